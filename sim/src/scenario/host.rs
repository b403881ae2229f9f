//! `[[host]]`: what the daemon's file says, and what its machine is like.

use std::collections::BTreeSet;

use causeway_core::socket::EphemeralPorts;
use causeway_core::time::Duration;
use causeway_server::config::document::{
    self, Channel, Integer, Interfaces, Machnet, Routes, Settings, Source, Tcp, word,
};
use causeway_server::config::{Config, ConfigError};
use serde::Deserialize;
use toml::Spanned;

use super::nic::RawNic;
use super::{FlowSpec, unique};
use crate::nic::NicConfig;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHost {
    name: Spanned<String>,
    stack: Option<Spanned<String>>,
    port: Option<Spanned<String>>,
    #[serde(default)]
    interface: Interfaces,
    #[serde(default)]
    route: Routes,
    #[serde(default)]
    tcp: Tcp,
    #[serde(default)]
    machnet: Machnet,
    #[serde(default)]
    channel: Channel,
    #[serde(default)]
    nic: RawNic,
    ring_bytes: Option<Spanned<i128>>,
    streams_max: Option<Spanned<i128>>,
    granularity_us: Option<Spanned<i128>>,
    ports_max: Option<Spanned<i128>>,
}

/// What a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackKind {
    /// The production engine.
    Causeway,
    /// RFC 9293 and nothing else ([`crate::peer`]).
    Textbook,
    /// The smoltcp crate ([`crate::peer`]).
    Smoltcp,
}

impl StackKind {
    /// Getter: its word in a scenario, unless it is the production engine.
    pub const fn foreign(self) -> Option<&'static str> {
        match self {
            Self::Causeway => None,
            Self::Textbook => Some("textbook"),
            Self::Smoltcp => Some("smoltcp"),
        }
    }
}

/// How the ends of flows on a host reach its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortKind {
    /// Through ordinary memory.
    #[default]
    Polled,
    /// Each through a channel of its own, as processes do.
    Channel,
}

/// A host.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub stack: StackKind,
    /// How the ends of flows on it reach the engine.
    pub port: PortKind,
    /// What its daemon would be told.
    pub config: Config,
    /// Its NICs, one for each interface.
    pub nics: Vec<NicConfig>,
    /// Bytes of each ring of a polled program, a power of two.
    pub ring_bytes: usize,
    /// Most connections and flows of polled programs.
    pub streams_max: usize,
    /// Its timers are seen late by up to this.
    pub granularity: Duration,
    /// Ephemeral ports that it has; the first is Linux's.
    pub ports_max: u16,
}

impl HostSpec {
    /// Getter: the ports of sockets that name none.
    pub fn ports(&self) -> EphemeralPorts {
        let first = *EphemeralPorts::default().range().start();
        // The setting's bounds keep it within Linux's range.
        EphemeralPorts::new(first..=first + (self.ports_max - 1)).unwrap_or_default()
    }
}

/// A SYN promises up to 65,535 bytes, whatever the rings are.
const RING_BYTES: Integer = Integer::new("host.ring_bytes", 256 << 10, 64 << 10, 64 << 20, "bytes");
const STREAMS_MAX: Integer = Integer::new("host.streams_max", 1_024, 1, 1 << 20, "streams");
const PORTS_MAX: Integer = Integer::new("host.ports_max", 28_232, 1, 28_232, "ports");
const GRANULARITY_US: Integer = Integer::new("host.granularity_us", 0, 0, 100_000, "microseconds");

impl RawHost {
    pub(super) fn build(
        self,
        source: &Source<'_>,
        names: &mut BTreeSet<String>,
    ) -> Result<HostSpec, ConfigError> {
        let name = unique(source, "host.name", &self.name, names)?;
        let kinds = [
            ("causeway", StackKind::Causeway),
            ("textbook", StackKind::Textbook),
            ("smoltcp", StackKind::Smoltcp),
        ];
        let stack = word(source, "host.stack", self.stack.as_ref(), StackKind::Causeway, &kinds)?;
        let ports = [("polled", PortKind::Polled), ("channel", PortKind::Channel)];
        let port = word(source, "host.port", self.port.as_ref(), PortKind::Polled, &ports)?;
        if let Some(given) = self.port.as_ref().filter(|_| stack != StackKind::Causeway) {
            let word = stack.foreign().unwrap_or_default();
            let problem = format!("flows on a {word} host reach their stack without a port");
            return Err(source.error("host.port", given.span(), problem, "leave it out"));
        }
        let settings = Settings { tcp: self.tcp, machnet: self.machnet, channel: self.channel };
        let config = document::host(source, self.interface, self.route, settings)?;
        if let Some(given) = self.stack.as_ref().filter(|_| stack != StackKind::Causeway) {
            let v4 = config.interfaces().iter().flat_map(|i| i.addresses());
            if config.interfaces().len() != 1 || !v4.clone().any(|a| a.addr().is_ipv4()) {
                let problem = format!("a {} host has one interface, over IPv4", given.get_ref());
                let advice = "give it one interface with an IPv4 address";
                return Err(source.error("host.stack", given.span(), problem, advice));
            }
        }
        let nic = self.nic.build(source, stack)?;
        let number = |setting: &Integer, value: &Option<Spanned<i128>>| {
            setting.check_u32(source, value.as_ref()).map(|n| n as usize)
        };
        let ring_bytes = number(&RING_BYTES, &self.ring_bytes)?;
        if let Some(given) = self.ring_bytes.as_ref().filter(|_| !ring_bytes.is_power_of_two()) {
            let problem = format!("{ring_bytes} is no power of two");
            let (below, above) =
                (ring_bytes.next_power_of_two() / 2, ring_bytes.next_power_of_two());
            let advice = format!("give {below} or {above}");
            return Err(source.error("host.ring_bytes", given.span(), problem, advice));
        }
        let nics = config.interfaces().iter().map(|interface| NicConfig {
            mac: interface.mac(),
            mtu: interface.mtu(),
            ..nic.clone()
        });
        Ok(HostSpec {
            name,
            stack,
            port,
            nics: nics.collect(),
            config,
            ring_bytes,
            streams_max: number(&STREAMS_MAX, &self.streams_max)?,
            ports_max: number(&PORTS_MAX, &self.ports_max)? as u16,
            granularity: Duration::from_micros(
                GRANULARITY_US.check_u64(source, self.granularity_us.as_ref())?,
            ),
        })
    }
}

/// Each end of a flow on a host with channels has one of its own.
pub(super) fn have_channels(
    source: &Source<'_>,
    hosts: &[HostSpec],
    flows: &[FlowSpec],
) -> Result<(), ConfigError> {
    for (index, host) in hosts.iter().enumerate().filter(|(_, h)| h.port == PortKind::Channel) {
        let ends = |flow: &FlowSpec| u32::from(flow.from == index) + u32::from(flow.to == index);
        let ends: u32 = flows.iter().map(ends).sum();
        let most = host.config.channel().channels_max();
        if ends > most {
            let problem =
                format!("host {} has {ends} ends of flows and {most} channels", host.name);
            let advice = "raise its channel.channels_max, or leave out port";
            return Err(source.error_overall("host.port", problem, advice));
        }
    }
    Ok(())
}
