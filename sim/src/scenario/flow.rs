//! `[[flow]]`: what is done over the links, every byte of which is known.

use std::net::{IpAddr, SocketAddr};

use causeway_core::time::{Duration, Instant};
use causeway_server::config::document::{Integer, Source, word};
use causeway_server::config::{ConfigError, InterfaceConfig};
use serde::Deserialize;
use toml::Spanned;

use super::host::{HostSpec, StackKind};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFlow {
    kind: Spanned<String>,
    from: Spanned<String>,
    to: Spanned<String>,
    interface: Option<Spanned<String>>,
    bytes: Option<Spanned<i128>>,
    reply_bytes: Option<Spanned<i128>>,
    count: Option<Spanned<i128>>,
    start_ms: Option<Spanned<i128>>,
    piece_bytes: Option<Spanned<i128>>,
    ipv6: Option<bool>,
}

/// What a flow does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowKind {
    /// TCP: `bytes` one way and `reply_bytes` the other at the same time.
    Stream,
    /// TCP: `count` times a request of `bytes` and its answer of `reply_bytes`.
    Request,
    /// Machnet: `count` messages of `bytes`, each answered by one of `reply_bytes`.
    Message,
    /// UDP: `count` datagrams of `bytes`; what arrives is what was sent.
    Datagram,
    /// Each end makes `count` calls, legal and illegal, of at most `bytes`.
    Calls,
}

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSpec {
    /// What it does.
    pub kind: FlowKind,
    /// Who begins, by position.
    pub from: usize,
    /// Who answers, by position.
    pub to: usize,
    /// The address that is called; its port is the flow's own.
    pub server: SocketAddr,
    /// The address of who begins, of the same version, if it has one that its file names.
    pub client: Option<IpAddr>,
    /// See [`FlowKind`].
    pub bytes: u64,
    /// See [`FlowKind`].
    pub reply_bytes: u64,
    /// See [`FlowKind`].
    pub count: u64,
    /// When it begins.
    pub starts_at: Instant,
    /// Bytes that an end reads or writes at a time.
    pub piece_bytes: usize,
}

const BYTES: Integer =
    Integer { key: "flow.bytes", default: 100_000, range: 0..=1 << 40, unit: "bytes" };
const REPLY_BYTES: Integer =
    Integer { key: "flow.reply_bytes", default: 0, range: 0..=1 << 40, unit: "bytes" };
const COUNT: Integer =
    Integer { key: "flow.count", default: 10, range: 1..=1_000_000_000, unit: "rounds" };
const START_MS: Integer =
    Integer { key: "flow.start_ms", default: 1, range: 0..=86_400_000, unit: "milliseconds" };
const PIECE_BYTES: Integer =
    Integer { key: "flow.piece_bytes", default: 1 << 20, range: 1..=1 << 24, unit: "bytes" };
/// Longest message of a flow: what the rings of polled programs hold.
const PARCEL_BYTES_MAX: u64 = 16 << 10;
/// The first flow's port; each has the next one.
const PORT_FIRST: u16 = 10_000;
/// Most flows of a scenario: their ports end before those that hosts choose themselves begin.
pub(super) const FLOWS_MAX: usize = 20_000;

impl RawFlow {
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.kind.span()
    }

    pub(super) fn build(
        self,
        source: &Source<'_>,
        hosts: &[HostSpec],
    ) -> Result<FlowSpec, ConfigError> {
        let kinds = [
            ("stream", FlowKind::Stream),
            ("request", FlowKind::Request),
            ("message", FlowKind::Message),
            ("datagram", FlowKind::Datagram),
            ("calls", FlowKind::Calls),
        ];
        let kind = word(source, "flow.kind", Some(&self.kind), FlowKind::Stream, &kinds)?;
        let find = |key: &str, name: &Spanned<String>| {
            let found = hosts.iter().position(|host| &host.name == name.get_ref());
            found.ok_or_else(|| {
                let problem = format!("there is no host {:?}", name.get_ref());
                source.error(key, name.span(), problem, "name a [[host]]")
            })
        };
        let (from, to) = (find("flow.from", &self.from)?, find("flow.to", &self.to)?);
        let wanted = self.ipv6.unwrap_or(false);
        let foreign = [from, to].iter().any(|at| hosts[*at].stack != StackKind::Causeway);
        let is_tcp = matches!(kind, FlowKind::Stream | FlowKind::Request);
        if foreign && (!is_tcp || wanted || from == to) {
            let problem = "a host with another stack has TCP over IPv4 to other hosts only";
            let advice = "give it streams or requests without ipv6, from or to another host";
            return Err(source.error("flow.kind", self.kind.span(), problem.to_owned(), advice));
        }
        let address = self.address(source, &hosts[to])?;
        let own = hosts[from].config.interfaces().iter().flat_map(|i| i.addresses());
        let client = own.map(|own| own.addr()).find(|own| own.is_ipv6() == wanted);
        let bytes = BYTES.check_u64(source, self.bytes.as_ref())?;
        let reply_bytes = REPLY_BYTES.check_u64(source, self.reply_bytes.as_ref())?;
        let empty = |key, problem: &str| {
            Err(source.error(key, self.kind.span(), problem, "give at least 1 byte"))
        };
        if bytes == 0 && kind != FlowKind::Stream {
            return empty("flow.bytes", "a flow of empty messages is none");
        }
        if reply_bytes == 0 && kind == FlowKind::Request {
            return empty("flow.reply_bytes", "a request needs an answer");
        }
        let longest = match kind {
            FlowKind::Message | FlowKind::Datagram => bytes.max(reply_bytes),
            FlowKind::Calls => reply_bytes,
            FlowKind::Stream | FlowKind::Request => 0,
        };
        if longest > PARCEL_BYTES_MAX {
            let problem = format!("a message of {longest} bytes is too long");
            let advice = format!("give at most {PARCEL_BYTES_MAX} bytes");
            return Err(source.error("flow.bytes", self.kind.span(), problem, advice));
        }
        let start = START_MS.check_u64(source, self.start_ms.as_ref())?;
        Ok(FlowSpec {
            kind,
            from,
            to,
            server: SocketAddr::new(address, PORT_FIRST),
            client,
            bytes,
            reply_bytes,
            count: COUNT.check_u64(source, self.count.as_ref())?,
            starts_at: Instant::ZERO + Duration::from_millis(start),
            piece_bytes: PIECE_BYTES.check_u32(source, self.piece_bytes.as_ref())? as usize,
        })
    }

    /// The address of `host` that is called: the first of its version, on the interface that is named if one is.
    fn address(&self, source: &Source<'_>, host: &HostSpec) -> Result<IpAddr, ConfigError> {
        let (to, interfaces) = (self.to.get_ref(), host.config.interfaces());
        let name = self.interface.as_ref().map(|name| name.get_ref().as_str());
        let is_it = |interface: &&InterfaceConfig| name.is_none_or(|it| it == interface.name());
        if let Some(given) =
            self.interface.as_ref().filter(|_| !interfaces.iter().any(|i| is_it(&i)))
        {
            let problem = format!("{to:?} has no interface {:?}", given.get_ref());
            let advice = "name one of its interfaces, or leave it out";
            return Err(source.error("flow.interface", given.span(), problem, advice));
        }
        let wants_v6 = self.ipv6.unwrap_or(false);
        let mut addresses = interfaces.iter().filter(is_it).flat_map(|i| i.addresses());
        let address = addresses.find(|address| address.addr().is_ipv6() == wants_v6);
        address.map(|address| address.addr()).ok_or_else(|| {
            let version = if wants_v6 { "IPv6" } else { "IPv4" };
            let place = name.map_or_else(String::new, |name| format!(" on {name:?}"));
            let problem = format!("{to:?} has no {version} address{place}");
            let advice = "add one, or choose the other with ipv6";
            source.error("flow.to", self.to.span(), problem, advice)
        })
    }
}

impl FlowSpec {
    /// Getter: the address and port of the flow that is the `index`-th of its scenario.
    pub fn address(&self, index: usize) -> SocketAddr {
        SocketAddr::new(self.server.ip(), self.server.port().saturating_add(index as u16))
    }
}
