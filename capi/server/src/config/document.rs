//! Parts of documents that describe several hosts, each as the daemon's own file describes one.

use serde::Deserialize;

pub use super::check::{Integer, word};
pub use super::error::Source;
use super::{
    Config, ConfigError, RawConfig, channel, daemon, interface, machnet, metrics, route, tcp,
};

/// `[[interface]]` as it was read.
pub type Interfaces = Vec<interface::RawInterface>;
/// `[[route]]` as it was read.
pub type Routes = Vec<route::RawRoute>;

/// What a host has besides interfaces and routes, as it was read.
#[derive(Debug, Default)]
pub struct Settings {
    /// `[tcp]`.
    pub tcp: Tcp,
    /// `[machnet]`.
    pub machnet: Machnet,
    /// `[channel]`.
    pub channel: Channel,
}

/// `[tcp]` as it was read.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Tcp(tcp::RawTcp);

/// `[machnet]` as it was read.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Machnet(machnet::RawMachnet);

/// `[channel]` as it was read.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Channel(channel::RawChannel);

/// Checks the parts of one host as the daemon checks its file.
///
/// # Errors
/// The first fault in them.
pub fn host(
    source: &Source<'_>,
    interface: Interfaces,
    route: Routes,
    settings: Settings,
) -> Result<Config, ConfigError> {
    let Settings { tcp, machnet, channel } = settings;
    let daemon = daemon::RawDaemon::default();
    let (tcp, machnet, channel) = (tcp.0, machnet.0, channel.0);
    let (tenant, metrics) = (Vec::new(), metrics::RawMetrics::default());
    let raw = RawConfig { daemon, interface, route, tcp, machnet, channel, tenant, metrics };
    Config::build(source, raw)
}
