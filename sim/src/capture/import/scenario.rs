//! Hosts, link and flows, as far as a capture tells of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use causeway_core::ip::InterfaceAddress;
use causeway_core::time::{Duration, Instant};

use super::super::exchange::{Exchange, Voice};
use super::super::units::Unit;
use super::super::{Connection, Datagram, Half, Role, Segment};
use super::ImportError;
use super::clock::Clock;
use super::differences::Change;
use super::events::{Event, Lanes, Observed, Of};
use super::matching::Lane;
use super::names::Side;
use super::parcels::Parcels;
use super::resolve::DIRECTIONS;
use crate::fault::{Condition, Decision, FaultPlan};
use crate::link::wire_bytes;

/// The names of the hosts at the two points.
pub(super) const HOSTS: [&str; 2] = ["a", "b"];
/// Most flows of a case.
const FLOWS_MAX: usize = 1_000;
/// Most bytes of all flows together.
const BYTES_MAX: u64 = 4 << 30;
/// IPv6 addresses are the host's a few seconds after the start (RFC 4862 5.4).
const V6_START_MS: u64 = 3_000;
/// A scenario lasts a day at most.
const DAY_MS: u64 = 86_400_000;
/// What links carry where frames of two sizes do not tell: in kbit/s.
const RATE_KBIT_S: u64 = 1_000_000;
/// Frames up to this many bytes are short, and those from that many on are long.
const SHORT: usize = 200;
const LONG: usize = 900;
/// What Machnet needs of a link (`causeway_core::wire::machnet`).
const MACHNET_MTU: u32 = 1_500;
/// The least that a path carries: every host takes so much (RFC 791 3.1, RFC 8200 5); who says less says nothing.
const PATH_LEAST: u16 = 576;
const PATH_LEAST_V6: u16 = 1_280;
/// Less than this is lost in the clocks, in nanoseconds.
const TELLING: i64 = 5_000;

/// A flow of the case.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) toml: String,
    /// What comments say of it.
    pub(super) words: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) toml: String,
    pub(super) flows: Vec<Flow>,
    /// By connection.
    pub(super) flow_of: Vec<Option<usize>>,
    /// By conversation and role: which flow what it sent belongs to, and as whose.
    pub(super) sides: Vec<[Option<Side>; 2]>,
    /// What was sent, by direction.
    pub(super) segments: [Vec<Segment>; 2],
    datagrams: [Vec<Datagram>; 2],
    /// What was so all the time.
    pub(super) spans: FaultPlan,
    clamped: [Option<u16>; 2],
    /// What each path carries, where hosts were told.
    path: [Option<u16>; 2],
    pub(super) rate_kbit_s: u64,
    pub(super) delay_us: u64,
    /// Connections and conversations that are none of the flows.
    pub(super) left_out: u64,
}

/// The flows of a case, as they are found.
#[derive(Debug, Default)]
struct Flows {
    all: Vec<Flow>,
    bytes: u64,
    left_out: u64,
}

impl Flows {
    /// Getter: there is room for `count` more, of so many bytes together.
    fn have_room(&self, count: usize, bytes: u64) -> bool {
        self.all.len() + count <= FLOWS_MAX && self.bytes + bytes <= BYTES_MAX
    }

    /// The flow of each connection.
    fn connections(
        &mut self,
        observed: &Observed,
        addresses: &[Vec<IpAddr>; 2],
        start_ms: u64,
    ) -> Vec<Option<usize>> {
        let all = observed.connections.all().iter().enumerate();
        let of = all.map(|(index, connection)| {
            let host = |ip: IpAddr| addresses.iter().position(|own| own.contains(&ip));
            let bytes = connection.halves.iter().map(Half::len).sum::<u64>();
            let ends = (host(connection.client.ip()), host(connection.server.ip()));
            let (Some(from), Some(_), true) = (ends.0, ends.1, self.have_room(1, bytes)) else {
                self.left_out += 1;
                return None;
            };
            self.bytes += bytes;
            self.all.push(flow(index, connection, observed, from, start_ms));
            Some(self.all.len() - 1)
        });
        of.collect()
    }

    /// The flows of each conversation, by role.
    fn exchanges(
        &mut self,
        observed: &Observed,
        addresses: &[Vec<IpAddr>; 2],
        start_ms: u64,
    ) -> Vec<[Option<Side>; 2]> {
        let all = observed.exchanges.all().iter().zip(&observed.begins);
        let of = all.map(|(exchange, begins_at)| {
            let parcels = Parcels::of(exchange, (*begins_at, start_ms), addresses, self.all.len());
            let room = |parcels: &Parcels| self.have_room(parcels.flows.len(), parcels.bytes);
            let Some(parcels) = parcels.filter(room) else {
                self.left_out += 1;
                return [None; 2];
            };
            self.bytes += parcels.bytes;
            let sides = parcels.sides();
            self.all.extend(parcels.flows);
            sides
        });
        of.collect()
    }
}

impl Described {
    pub(super) fn of(
        clock: &Clock,
        (lanes, roads): &Lanes<'_>,
        observed: &Observed,
    ) -> Result<Self, ImportError> {
        let (hosts, addresses) = hosts(clock, observed);
        let v6 = addresses.iter().all(|own| own.iter().any(IpAddr::is_ipv6));
        let start_ms = if v6 { V6_START_MS } else { 1 };
        let mut flows = Flows::default();
        let flow_of = flows.connections(observed, &addresses, start_ms);
        let sides = flows.exchanges(observed, &addresses, start_ms);
        if flows.all.is_empty() {
            return Err(ImportError::Nothing);
        }
        let (rate_kbit_s, delay_us) = link(clock, lanes);
        let segments_at = lanes.iter().flat_map(|lane| &lane.sent).map(|seen| seen.at);
        let parcels_at = roads.iter().flat_map(|road| &road.sent).map(|seen| seen.at);
        let last = segments_at.chain(parcels_at).max().unwrap_or(0);
        // Another stack may take longer: until twice the time everything is done to it.
        let heal_ms = (u64::try_from(last / 1_000_000).unwrap_or(0) * 2 + 20_000).min(DAY_MS);
        let segments = lanes
            .each_ref()
            .map(|lane| lane.sent.iter().filter_map(|seen| seen.unit.segment).collect());
        let datagrams =
            roads.each_ref().map(|road| road.sent.iter().map(|seen| seen.unit.datagram).collect());
        let least = if v6 { PATH_LEAST_V6 } else { PATH_LEAST };
        let mut described = Self {
            toml: String::new(),
            left_out: flows.left_out,
            flows: flows.all,
            flow_of,
            sides,
            segments,
            datagrams,
            spans: FaultPlan::new(),
            clamped: [None; 2],
            path: observed.path.map(|path| path.map(|bytes| bytes.max(least))),
            rate_kbit_s,
            delay_us,
        };
        described.clamp(observed, heal_ms);
        described.narrow(heal_ms);
        described.write(&hosts, heal_ms);
        Ok(described)
    }

    /// Getter: the event is part of what is so all the time.
    pub(super) fn is_spanned(&self, event: &Event) -> bool {
        let bytes = match event.of {
            Of::Unit(unit) => self.segments[event.lane].get(unit).map_or(0, Segment::packet_len),
            Of::Parcel(parcel) => self.datagrams[event.lane].get(parcel).map_or(0, |d| d.end),
        };
        match event.change {
            Change::Clamp(_) => self.clamped[event.lane].is_some(),
            Change::Drop => self.path[event.lane].is_some_and(|path| bytes > usize::from(path)),
            _ => false,
        }
    }

    /// A path that was too narrow once stays so, and its hosts are told as they were.
    fn narrow(&mut self, heal_ms: u64) {
        for (name, path) in DIRECTIONS.iter().zip(self.path) {
            let Some(bytes) = path else { continue };
            self.spans.push(whole_run(name, heal_ms, Condition::Mtu { bytes, told: true }));
        }
    }

    /// An MSS that was lowered stays so: for all SYNs of the direction.
    fn clamp(&mut self, observed: &Observed, heal_ms: u64) {
        for (lane, name) in DIRECTIONS.iter().enumerate() {
            let clamps = observed.events.iter().filter(|event| event.lane == lane);
            let least = clamps.filter_map(|event| match event.change {
                Change::Clamp(mss) => Some(mss),
                _ => None,
            });
            self.clamped[lane] = least.min();
            if let Some(mss) = self.clamped[lane] {
                self.spans.push(whole_run(name, heal_ms, Condition::MssClamp(mss)));
            }
        }
    }

    fn write(&mut self, hosts: &[String; 2], heal_ms: u64) {
        let toml = &mut self.toml;
        let (rate, delay) = (self.rate_kbit_s, self.delay_us);
        // Writing to a string cannot fail.
        let _ = writeln!(toml, "host = [\n  {},\n  {},\n]", hosts[0], hosts[1]);
        let _ = writeln!(
            toml,
            "link = [{{ between = [\"a\", \"b\"], rate_kbit_s = {rate}, delay_us = {delay} }}]"
        );
        toml.push_str("flow = [\n");
        for flow in &self.flows {
            let _ = writeln!(toml, "  {},", flow.toml);
        }
        let _ = writeln!(toml, "]\nrun = {{ heal_ms = {heal_ms} }}");
    }
}

/// What is so of a direction until nothing goes wrong any more.
fn whole_run(direction: &str, heal_ms: u64, condition: Condition) -> Decision {
    let (target, from) = (direction.to_owned(), Instant::ZERO);
    Decision::Span { target, from, until: from + Duration::from_millis(heal_ms), condition }
}

/// When a flow begins that began at `at` of the capture, where flows begin at `first_ms`: in milliseconds.
pub(super) fn starts_at(at: i64, first_ms: u64) -> u64 {
    (u64::try_from(at / 1_000_000).unwrap_or(0) + first_ms).min(DAY_MS)
}

/// The hosts in TOML, and the addresses of each that can be used.
fn hosts(clock: &Clock, observed: &Observed) -> ([String; 2], [Vec<IpAddr>; 2]) {
    let (connections, exchanges) = (observed.connections.all(), observed.exchanges.all());
    let talk: BTreeSet<IpAddr> = connections
        .iter()
        .flat_map(|c| [c.client.ip(), c.server.ip()])
        .chain(exchanges.iter().flat_map(|e| [e.client.ip(), e.server.ip()]))
        .collect();
    let first = |host: usize, v6: bool| {
        let used = |ip: &&IpAddr| {
            ip.is_ipv6() == v6
                && InterfaceAddress::new(**ip, if v6 { 128 } else { 32 }).is_ok()
                && talk.contains(*ip)
        };
        clock.hosts[host].iter().find(used).copied()
    };
    // Flows go to the first address of a version: it is the only one.
    let pairs = [false, true].map(|v6| first(0, v6).zip(first(1, v6)));
    let mut addresses = [Vec::new(), Vec::new()];
    let mut written = [Vec::new(), Vec::new()];
    let mut routes = [Vec::new(), Vec::new()];
    for (a, b) in pairs.into_iter().flatten() {
        let (link_len, host_len) = if a.is_ipv4() { (24, 32) } else { (64, 128) };
        let both = (InterfaceAddress::new(a, link_len), InterfaceAddress::new(b, link_len));
        let together = matches!(both, (Ok(first), Ok(_)) if first.contains(b));
        let len = if together { link_len } else { host_len };
        for (host, (own, peer)) in [(a, b), (b, a)].into_iter().enumerate() {
            addresses[host].push(own);
            written[host].push(format!("\"{own}/{len}\""));
            if !together {
                let to = format!("{{ destination = \"{peer}/{host_len}\", interface = \"eth0\" }}");
                routes[host].push(to);
            }
        }
    }
    let machnet = profile(exchanges);
    let toml = [0, 1].map(|host: usize| {
        let route = match routes[host].as_slice() {
            [] => String::new(),
            routes => format!(", route = [{}]", routes.join(", ")),
        };
        let halves = halves(&addresses[host], connections);
        let voices = voices(&addresses[host], exchanges);
        let mtu = mtu(&halves, &voices, addresses[host].iter().any(IpAddr::is_ipv6));
        format!(
            "{{ name = \"{}\", interface = [{{ name = \"eth0\", mtu = {mtu}, addresses = [{}] }}]{route}, tcp = {{ {} }}{machnet} }}",
            HOSTS[host],
            written[host].join(", "),
            settings(&halves)
        )
    });
    (toml, addresses)
}

/// What a host sent, with what its peer did, by connection.
fn halves<'a>(own: &[IpAddr], connections: &'a [Connection]) -> Vec<(bool, &'a Half, &'a Half)> {
    let of = |connection: &'a Connection| {
        let role = if own.contains(&connection.client.ip()) {
            Role::Client
        } else if own.contains(&connection.server.ip()) {
            Role::Server
        } else {
            return None;
        };
        let v6 = connection.client.is_ipv6();
        Some((v6, connection.half(role), connection.half(role.other())))
    };
    connections.iter().filter_map(of).collect()
}

/// The hosts' key `machnet`: the profile that they spoke. A capture does not tell which delay they took for congestion: none of what the case can have.
fn profile(exchanges: &[Exchange]) -> String {
    let mut flows = exchanges.iter().filter(|exchange| exchange.is_machnet).peekable();
    if flows.peek().is_none() {
        return String::new();
    }
    let keys = match flows.any(|flow| flow.is_extended) {
        true => "extended = true, target_us = 1000000",
        false => "extended = false",
    };
    format!(", machnet = {{ {keys} }}")
}

/// What a host sent over UDP, by conversation, and whether that is Machnet's.
fn voices<'a>(own: &[IpAddr], exchanges: &'a [Exchange]) -> Vec<(bool, &'a Voice)> {
    let of = |exchange: &'a Exchange| {
        let is_client = own.contains(&exchange.client.ip());
        let role = if is_client { Role::Client } else { Role::Server };
        (is_client || own.contains(&exchange.server.ip()))
            .then(|| (exchange.is_machnet, exchange.voice(role)))
    };
    exchanges.iter().filter_map(of).collect()
}

/// What a host's link carries, from the MSS that it announced; no less than its datagrams and Machnet need.
fn mtu(halves: &[(bool, &Half, &Half)], voices: &[(bool, &Voice)], v6: bool) -> u32 {
    let announced = halves.iter().filter_map(|(v6, own, _)| {
        let mss = own.opening.as_ref()?.options.mss?;
        Some(u32::from(mss) + if *v6 { 60 } else { 40 })
    });
    let sent = || {
        let sizes = halves.iter().map(|(_, own, _)| own.packet_max);
        sizes.filter(|bytes| *bytes <= 9_000).max().unwrap_or(0).max(1_500)
    };
    let of_parcels = |(is_machnet, voice): &(bool, &Voice)| {
        voice.packet_max.max(if *is_machnet { MACHNET_MTU } else { 0 })
    };
    let parcels = voices.iter().map(of_parcels).max().unwrap_or(0);
    let mtu = announced.max().unwrap_or_else(sent).max(parcels);
    mtu.clamp(if v6 { 1_280 } else { 576 }, 9_000)
}

/// Options that SYNs had, or had not where they could.
fn settings(halves: &[(bool, &Half, &Half)]) -> String {
    let offered = |has: fn(&super::super::Opening) -> bool| {
        let mut said: Option<bool> = None;
        for (_, own, peer) in halves {
            let Some(opening) = &own.opening else { continue };
            // Who answers has what was offered to it only.
            let free = peer.opening.as_ref().is_none_or(has);
            if has(opening) {
                said = Some(true);
            } else if free {
                said = said.or(Some(false));
            }
        }
        said.unwrap_or(true)
    };
    let sack = offered(|opening| opening.options.sack_permitted);
    let timestamps = offered(|opening| opening.options.timestamps.is_some());
    let scaling = offered(|opening| opening.options.window_scale.is_some());
    let ecn = halves.iter().any(|(_, own, _)| own.opening.is_some_and(|opening| opening.ecn));
    format!(
        "sack = {sack}, timestamps = {timestamps}, window_scaling = {scaling}, ecn = {}",
        if ecn { 1 } else { 2 }
    )
}

fn flow(
    index: usize,
    connection: &Connection,
    observed: &Observed,
    from: usize,
    start_ms: u64,
) -> Flow {
    let talk = &observed.talks[index];
    let [client, server] = &connection.halves;
    let start = starts_at(talk.begins_at, start_ms);
    let (what, words) = match talk.requests() {
        Some((count, round, equal)) => {
            let about = if equal { "" } else { "; their lengths differ, these are the means" };
            let (asked, answered) = (round.asked, round.answered);
            let what = format!(
                "kind = \"request\", bytes = {asked}, reply_bytes = {answered}, count = {count}"
            );
            (what, format!("{count} requests{about}"))
        }
        None => {
            let (sent, replied) = (client.len(), server.len());
            let what = format!("kind = \"stream\", bytes = {sent}, reply_bytes = {replied}");
            (what, format!("{sent} bytes there, {replied} back"))
        }
    };
    let (a, b) = (HOSTS[from], HOSTS[1 - from]);
    let ipv6 = if connection.client.is_ipv6() { ", ipv6 = true" } else { "" };
    let begun = if client.opening.is_some() { "" } else { "; it had begun before the capture" };
    let Connection { client, server, .. } = connection;
    Flow {
        toml: format!("{{ from = \"{a}\", to = \"{b}\", {what}, start_ms = {start}{ipv6} }}"),
        words: format!("{client} to {server}: {words}{begun}"),
    }
}

/// Rate in kbit/s and delay in microseconds: how much longer long frames take than short ones.
fn link(clock: &Clock, lanes: &[Lane<Unit<'_>>; 2]) -> (u64, u64) {
    let mut found: Option<(u64, i64)> = None;
    for lane in lanes {
        let mut short: Option<(i64, usize)> = None;
        let mut long: Option<(i64, usize)> = None;
        for (sent, arrivals) in lane.sent.iter().zip(&lane.arrivals) {
            let (Some(&first), None) = (arrivals.first(), sent.unit.part) else { continue };
            let len = sent.unit.frame.whole_len + super::super::frame::ETHERNET_LEN;
            let lasted = lane.received[first].at - sent.at;
            let class = if len <= SHORT {
                &mut short
            } else if len >= LONG {
                &mut long
            } else {
                continue;
            };
            if class.is_none_or(|(known, _)| lasted < known) {
                *class = Some((lasted, len));
            }
        }
        let (Some((short, few)), Some((long, many))) = (short, long) else { continue };
        let bits = (wire_bytes(many) - wire_bytes(few)) * 8;
        let longer = long - short;
        if longer >= TELLING {
            let rate = bits.saturating_mul(1_000_000) / longer.unsigned_abs();
            found = found.max(Some((rate.clamp(1, RATE_KBIT_S * 1_000), short)));
        }
    }
    let rate = found.map_or(RATE_KBIT_S, |(rate, _)| rate);
    // The least frame has to be serialised within the least time.
    let serialised = wire_bytes(60) * 8 * 1_000_000 / rate.max(1);
    (rate, clock.delay.saturating_sub(serialised).div_ceil(1_000).min(60_000_000))
}
