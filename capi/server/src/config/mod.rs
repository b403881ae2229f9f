//! The daemon's configuration: TOML in, checked values out.
//!
//! [`Config::load`] and [`Config::parse`] are the only ways to a [`Config`]; what they return has been
//! checked as a whole. Every key is described in `docs/configuration.md`, and a test holds the two together.

mod channel;
mod check;
mod daemon;
pub mod document;
#[cfg(test)]
mod document_tests;
mod error;
mod fault;
mod file;
mod interface;
mod machnet;
#[cfg(test)]
mod message_tests;
mod metrics;
mod packet;
pub mod reload;
mod route;
mod tcp;
mod tenant;

use std::net::Ipv4Addr;
use std::path::Path;

use serde::Deserialize;

pub use channel::ChannelConfig;
pub use check::Prefixed;
pub use daemon::{BusyPoll, DaemonConfig, LogFormat, LogLevel};
pub use error::ConfigError;
pub use fault::FaultConfig;
pub use interface::{Backend, InterfaceConfig};
pub use metrics::{MetricsAddress, MetricsConfig};
pub use packet::PacketOptions;
pub use route::RouteConfig;
pub use tenant::TenantConfig;

use error::Source;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    daemon: daemon::RawDaemon,
    #[serde(default)]
    interface: Vec<interface::RawInterface>,
    #[serde(default)]
    route: Vec<route::RawRoute>,
    #[serde(default)]
    tcp: tcp::RawTcp,
    #[serde(default)]
    machnet: machnet::RawMachnet,
    #[serde(default)]
    channel: channel::RawChannel,
    #[serde(default)]
    tenant: Vec<tenant::RawTenant>,
    #[serde(default)]
    metrics: metrics::RawMetrics,
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    daemon: DaemonConfig,
    interfaces: Vec<InterfaceConfig>,
    routes: Vec<RouteConfig>,
    tcp: causeway_core::tcp::Config,
    machnet: causeway_core::machnet::Config,
    accept_bad_udp_checksum: Vec<Ipv4Addr>,
    channel: ChannelConfig,
    tenants: Vec<TenantConfig>,
    metrics: MetricsConfig,
}

impl Config {
    /// Reads and checks a regular file of at most 1 MiB. Errors: it cannot be read, or the first fault in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        Self::parse(&file, &file::read(path, &file)?)
    }

    /// Checks a text; `file` is the name that errors give it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let source = Source { file, text, simulated: false };
        let raw: RawConfig = toml::from_str(text).map_err(|e| source.error_from_toml(&e))?;
        Self::build(&source, raw)
    }

    /// Checks a document that was read.
    fn build(source: &Source<'_>, raw: RawConfig) -> Result<Self, ConfigError> {
        let interfaces = interface::build_all(source, raw.interface)?;
        let routes = route::build_all(source, raw.route, &interfaces)?;
        let accept_bad_udp_checksum = raw.machnet.accept_bad_udp_checksum(source)?;
        let msg_max_span = raw.machnet.msg_max_span();
        let machnet = raw.machnet.build(source)?;
        let channel = raw.channel.build(source, (machnet.msg_max(), msg_max_span))?;
        Ok(Self {
            daemon: raw.daemon.build(source)?,
            interfaces,
            routes,
            tcp: raw.tcp.build(source, &channel)?,
            machnet,
            accept_bad_udp_checksum,
            tenants: tenant::build_all(source, raw.tenant, channel.channels_max())?,
            channel,
            metrics: raw.metrics.build(source)?,
        })
    }

    /// Getter: `[daemon]`.
    pub fn daemon(&self) -> &DaemonConfig {
        &self.daemon
    }

    /// Getter: each `[[interface]]`, 1 to 7.
    pub fn interfaces(&self) -> &[InterfaceConfig] {
        &self.interfaces
    }

    /// Getter: each `[[route]]`; the interfaces' own networks are not among them.
    pub fn routes(&self) -> &[RouteConfig] {
        &self.routes
    }

    /// Getter: `[tcp]`.
    pub fn tcp(&self) -> &causeway_core::tcp::Config {
        &self.tcp
    }

    /// Getter: `[machnet]`.
    pub fn machnet(&self) -> &causeway_core::machnet::Config {
        &self.machnet
    }

    /// Getter: `machnet.accept_bad_udp_checksum`, peers whose wrong UDP checksums are overlooked; default none.
    pub fn accept_bad_udp_checksum(&self) -> &[Ipv4Addr] {
        &self.accept_bad_udp_checksum
    }

    /// Getter: `[channel]`.
    pub fn channel(&self) -> &ChannelConfig {
        &self.channel
    }

    /// Getter: `[metrics]`.
    pub fn metrics(&self) -> &MetricsConfig {
        &self.metrics
    }

    /// Getter: each `[[tenant]]`; none: everybody who reaches the control socket is served.
    pub fn tenants(&self) -> &[TenantConfig] {
        &self.tenants
    }
}
