//! From a seed to a case: hosts, links, flows and faults, each drawn from the seed alone.

use std::fmt::Write as _;
use std::ops::Range;

use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};

use super::calls::Calls;
use super::foreign::{Foreign, foreign_stack};
use super::homes::Homes;
use super::ipc::Ipc;
use super::links::{self, Queues};
use super::long::draw_long;
use super::neighbors::Neighbors;
use super::nic::Nics;
use super::profiles::Profiles;
use crate::fault::{Condition, Decision, FaultPlan, TcpOption};
use crate::trial::Case;

/// What separates these draws from those of the run.
const ENTITY: u64 = 0x0a00_0000;

/// One case in so many is of long transfers: each is as long as some ten others.
const LONG_ONE_IN: u64 = 100;

/// The draws of one case. Each part has a stream of its own, so that a change to one part of this file leaves the others as they were.
pub(super) struct Draw {
    seed: u64,
    pub(super) stream: Stream,
}

impl Draw {
    pub(super) const fn new(seed: u64, part: u64) -> Self {
        Self { seed, stream: Stream::new(seed, ENTITY + part) }
    }

    /// Getter: the seed of the case.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// From `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.stream.below(high - low + 1)
    }

    /// True in `percent` of all cases.
    pub(super) const fn chance(&mut self, percent: u64) -> bool {
        self.stream.below(100) < percent
    }

    /// One of a list.
    pub(super) const fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.stream.below(list.len() as u64) as usize]
    }

    /// From `low` to `high`, each order of magnitude as likely as another.
    pub(super) fn magnitude(&mut self, low: u64, high: u64) -> u64 {
        let (bottom, top) = (64 - low.max(1).leading_zeros(), 64 - high.leading_zeros());
        let bits = self.between(bottom.into(), top.into());
        let top = (1_u64 << (bits - 1)) | self.stream.below(1 << (bits - 1));
        top.clamp(low, high)
    }
}

/// Output: the case of a seed.
pub fn draw(seed: u64) -> Case {
    let mut class = Draw::new(seed, 9);
    if class.stream.below(LONG_ONE_IN) == 0 {
        return draw_long(seed, &mut class);
    }
    let mut shape = Draw::new(seed, 0);
    let hosts = if shape.chance(60) { 2 } else { shape.between(3, 4) as usize };
    let star = hosts > 2 || shape.chance(20);
    let mut layout = Draw::new(seed, 6);
    let layout = match (layout.chance(15), star) {
        (true, _) if links::has_detour(seed) => Layout::Detour,
        (true, _) => Layout::Routed { narrow: layout.chance(30) },
        (false, true) => Layout::Star,
        (false, false) => Layout::Pair,
    };
    let mtu = if shape.chance(70) { 1_500 } else { shape.of(&[1_280, 1_400, 4_000, 9_000]) };
    let mut text = String::new();
    // The last host is not Causeway.
    let foreign = foreign_stack(seed).map(|stack| (hosts - 1, stack));
    let (mut ipc, calls) = (Ipc::new(seed), Calls::new(seed));
    let mut homes = Homes::new(seed, hosts, foreign, layout == Layout::Star);
    let who = (hosts, foreign, &homes);
    write_hosts(&mut text, &mut Draw::new(seed, 1), layout, who, mtu, (&mut ipc, &calls));
    let links = (hosts, homes.links());
    write_switches(&mut text, layout, &homes);
    write_links(&mut text, (&mut Draw::new(seed, 2), &mut Queues::new(seed)), layout, links);
    let path = write_router(&mut text, &mut Draw::new(seed, 7), layout, hosts, mtu);
    write_flows(&mut text, &mut Draw::new(seed, 3), (hosts, foreign, &mut homes), path, calls);
    let clean = shape.chance(20);
    // Datagram protocols give up after a while; nothing lasts that long.
    let heal_ms = shape.between(200, 6_000);
    let mut neighbors = Neighbors::new(seed, foreign.is_some());
    if !clean {
        let more = [links::faults(seed), ipc.faults(), neighbors.faults()].concat();
        write_faults(&mut text, &mut Draw::new(seed, 4), more);
    }
    let poll_ns = shape.of(&[500, 500, 1_000, 5_000, 50_000]);
    let _ =
        writeln!(text, "run = {{ heal_ms = {heal_ms}, poll_ns = {poll_ns}, limit_s = {LIMIT_S} }}");
    let mut plan = FaultPlan::new();
    if !clean {
        draw_spans(&mut plan, &mut Draw::new(seed, 5), hosts, layout, heal_ms);
        let pairs = (0..hosts).map(|host| (NAMES[host], layout.other_end(host)));
        let pairs: Vec<_> = pairs.chain(homes.links()).collect();
        links::draw_spans(&mut plan, seed, &pairs, heal_ms);
        neighbors.draw_spans(&mut plan, &pairs, heal_ms);
        if layout == Layout::Detour {
            links::draw_detours(&mut plan, seed, heal_ms);
        }
        ipc.add_spans(&mut plan, heal_ms);
        let nics = NAMES[..hosts].iter().map(|name| format!("{name}.eth0"));
        let nics = nics.chain(homes.nics().map(str::to_owned));
        super::nic::draw_spans(&mut plan, seed, &nics.collect::<Vec<_>>(), heal_ms, false);
        homes.draw_spans(&mut plan, heal_ms);
        super::clocks::draw_rates(&mut plan, seed, &NAMES[..hosts], heal_ms);
    }
    Case { seed, failed: None, scenario: text, plan }
}

/// Streams through windows of 255 bytes, which one end has not scaled, and smoltcp, which fills a short ring again and again for want of
/// congestion control, are not done sooner.
const LIMIT_S: u32 = 2_400;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What connects the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// A cable between two.
    Pair,
    /// A switch.
    Star,
    /// A router; `narrow`: some of its links carry less than hosts know.
    Routed { narrow: bool },
    /// Two routers, with two links between them.
    Detour,
}

impl Layout {
    /// What is at the other end of the link of a host.
    const fn other_end(self, host: usize) -> &'static str {
        match self {
            Self::Pair => NAMES[1 - host],
            Self::Star => "s",
            Self::Routed { .. } => "r",
            Self::Detour => links::ROUTERS[host % 2],
        }
    }
}

/// A router with an interface for each host. Returns the MTU of the narrowest link.
fn write_router(text: &mut String, draw: &mut Draw, layout: Layout, hosts: usize, mtu: u64) -> u64 {
    let narrow = match layout {
        Layout::Pair | Layout::Star => return mtu,
        Layout::Detour => return links::write_routers(text, draw, hosts, mtu),
        Layout::Routed { narrow } => narrow,
    };
    let mut least = mtu;
    text.push_str("router = [{ name = \"r\", interface = [");
    for link in 1..=hosts {
        let carries = if narrow && draw.chance(50) { draw.between(1_280, mtu) } else { mtu };
        least = least.min(carries);
        let _ = write!(
            text,
            "{{ name = \"eth{link}\", mtu = {carries}, \
             addresses = [\"10.0.{link}.254/24\", \"fd00:{link}::fe/64\"] }}, "
        );
    }
    text.push_str("] }]\n");
    least
}

fn write_hosts(
    text: &mut String,
    draw: &mut Draw,
    layout: Layout,
    (hosts, foreign, homes): (usize, Option<Foreign>, &Homes),
    mtu: u64,
    (ipc, calls): (&mut Ipc, &Calls),
) {
    text.push_str("host = [\n");
    let routed = matches!(layout, Layout::Routed { .. } | Layout::Detour);
    let mut nics = Nics::new(draw.seed);
    let mut profiles = Profiles::new(draw.seed);
    let vlan = nics.vlan().filter(|_| !routed && foreign.is_none());
    let vlan = vlan.map_or_else(String::new, |id| format!("vlan = {id}, "));
    for (index, name) in NAMES[..hosts].iter().enumerate() {
        let octet = index + 1;
        let (link, prefix) =
            if routed { (octet, format!("fd00:{octet}::")) } else { (0, "fd00::".to_owned()) };
        let _ = write!(
            text,
            "  {{ name = \"{name}\", interface = [{{ name = \"eth0\", mtu = {mtu}, {vlan}\
             addresses = [\"10.0.{link}.{octet}/24\", \"{prefix}{octet}/64\"] }}{}]",
            homes.interface(index, mtu)
        );
        if routed {
            let _ = write!(
                text,
                ", route = [{{ destination = \"0.0.0.0/0\", gateway = \"10.0.{link}.254\" }}, \
                 {{ destination = \"::/0\", gateway = \"{prefix}fe\" }}]"
            );
        }
        let mut tcp = vec![];
        write_tcp(&mut tcp, draw);
        if !tcp.is_empty() {
            let _ = write!(text, ", tcp = {{ {} }}", tcp.join(", "));
        }
        if let Some((_, stack)) = foreign.filter(|(at, _)| *at == index) {
            let _ = write!(text, ", stack = \"{stack}\"");
        }
        let (channel, has_channels) = if foreign.is_some_and(|(at, _)| at == index) {
            Default::default()
        } else {
            ipc.host(name)
        };
        text.push_str(&profiles.host(has_channels));
        text.push_str(&channel);
        text.push_str(&calls.host());
        if draw.chance(30) {
            let ring = 1 << draw.between(16, 19);
            let _ = write!(text, ", ring_bytes = {ring}");
        }
        if draw.chance(20) {
            let _ = write!(text, ", granularity_us = {}", draw.magnitude(10, 10_000));
        }
        let mut nic = nics.offloads();
        nic.retain(|_| foreign.is_none_or(|(at, _)| at != index));
        if draw.chance(30) {
            let (rx, tx) = (draw.magnitude(16, 1_024), draw.magnitude(2, 1_024));
            let burst = draw.of(&[1, 2, 8, 32, 64]);
            nic.push(format!("rx_ring = {rx}, tx_ring = {tx}, burst = {burst}"));
        }
        if !nic.is_empty() {
            let _ = write!(text, ", nic = {{ {} }}", nic.join(", "));
        }
        text.push_str(" },\n");
    }
    text.push_str("]\n");
}

fn write_tcp(tcp: &mut Vec<String>, draw: &mut Draw) {
    for (percent, key, value) in [
        (15, "sack", "false"),
        (15, "timestamps", "false"),
        (10, "window_scaling", "false"),
        (10, "moderate_rcvbuf", "false"),
        (15, "pacing", "true"),
        (10, "slow_start_after_idle", "false"),
        (20, "ecn", "1"),
        (10, "ecn", "0"),
        (10, "mtu_probing", "1"),
        (5, "mtu_probing", "2"),
        (20, "fast_open", "3"),
        (10, "keepalive_idle_ms", "500"),
        (10, "delayed_ack_ms", "0"),
        (10, "delayed_ack_ms", "200"),
        (10, "rto_ms_min", "25"),
    ] {
        let taken = tcp.iter().any(|other| other.starts_with(key));
        if draw.chance(percent) && !taken {
            tcp.push(format!("{key} = {value}"));
        }
    }
    if draw.chance(60) {
        let algorithm = draw.of(&["reno", "bbr", "dctcp", "cubic"]);
        tcp.push(format!("congestion = \"{algorithm}\""));
    }
}

fn write_switches(text: &mut String, layout: Layout, homes: &Homes) {
    let names = (layout == Layout::Star).then_some("s").into_iter().chain(homes.switch());
    let names: Vec<String> = names.map(|name| format!("{{ name = \"{name}\" }}")).collect();
    if !names.is_empty() {
        let _ = writeln!(text, "switch = [{}]", names.join(", "));
    }
}

/// Links of so many hosts, and between others.
fn write_links(
    text: &mut String,
    (draw, queues): (&mut Draw, &mut Queues),
    layout: Layout,
    (hosts, others): (usize, Vec<(&str, &str)>),
) {
    text.push_str("link = [\n");
    let links = if layout == Layout::Pair { 1 } else { hosts };
    let mut ends: Vec<(&str, &str)> =
        (0..links).map(|host| (NAMES[host], layout.other_end(host))).collect();
    if layout == Layout::Detour {
        ends.extend(links::BETWEEN_ROUTERS);
    }
    ends.extend(others);
    for (from, to) in ends {
        let rate = draw.magnitude(1_000, 10_000_000);
        let delay = draw.magnitude(1, 100_000);
        let _ = write!(
            text,
            "  {{ between = [\"{from}\", \"{to}\"], rate_kbit_s = {rate}, delay_us = {delay}"
        );
        if draw.chance(50) {
            let frames = draw.magnitude(4, 500);
            let queue =
                queues.draw(frames, rate).unwrap_or_else(|| "queue = \"drop-tail\"".to_owned());
            let _ = write!(text, ", {queue}, queue_frames = {frames}");
        }
        text.push_str(" },\n");
    }
    text.push_str("]\n");
}

fn write_flows(
    text: &mut String,
    draw: &mut Draw,
    (hosts, foreign, homes): (usize, Option<Foreign>, &mut Homes),
    mtu: u64,
    calls: Calls,
) {
    text.push_str("flow = [\n");
    for _ in 0..draw.between(1, 6) {
        let from = draw.stream.below(hosts as u64) as usize;
        // Now and then over the loopback.
        let hop = if draw.chance(5) { 0 } else { draw.between(1, hosts as u64 - 1) as usize };
        let is_foreign = |at: usize| foreign.is_some_and(|(host, _)| host == at);
        let hop = if is_foreign(from) { hop.max(1) } else { hop };
        let to = (from + hop) % hosts;
        let tcp_v4 = is_foreign(from) || is_foreign(to);
        let interface = homes.flow(from, to);
        let tcp_only = tcp_v4 || calls.are_narrow();
        let (from, to) = (NAMES[from], NAMES[to]);
        let kind = draw.of(&["stream", "stream", "stream", "request", "message", "datagram"]);
        // Machnet needs a link of 1,500 bytes.
        let kind = if kind == "message" && mtu < 1_500 { "datagram" } else { kind };
        let parcels = matches!(kind, "message" | "datagram");
        let kind = if parcels && tcp_only { "request" } else { kind };
        let _ = write!(text, "  {{ kind = \"{kind}\", from = \"{from}\", to = \"{to}\"{interface}");
        let (bytes, reply) = match kind {
            "stream" => {
                let reply = if draw.chance(40) { draw.magnitude(1, 200_000) } else { 0 };
                (draw.magnitude(1, 500_000), reply)
            }
            "request" => (draw.magnitude(1, 20_000), draw.magnitude(1, 20_000)),
            _ => (draw.magnitude(1, 16_000), draw.magnitude(1, 16_000)),
        };
        let _ = write!(text, ", bytes = {bytes}, reply_bytes = {reply}");
        if kind != "stream" {
            let _ = write!(text, ", count = {}", draw.magnitude(1, 20));
        }
        let start = draw.between(2, 500);
        if draw.chance(30) {
            let _ = write!(text, ", piece_bytes = {}", draw.magnitude(1, 20_000));
        }
        if draw.chance(40) && !tcp_v4 {
            // Nobody else has the address: to be sure of that takes a while (RFC 4862 5.4).
            let _ = write!(text, ", ipv6 = true, start_ms = {}", start + 3_000);
        } else {
            let _ = write!(text, ", start_ms = {start}");
        }
        text.push_str(" },\n");
    }
    calls.write(text, &NAMES[..hosts], foreign.is_some(), mtu);
    text.push_str("]\n");
}

/// A random subset of everything that can go wrong at random.
fn write_faults(text: &mut String, draw: &mut Draw, more: Vec<String>) {
    let mut faults = more;
    for (percent, key, most) in [
        (50, "loss_ppm", 100_000),
        (30, "duplicate_ppm", 50_000),
        (35, "reorder_ppm", 100_000),
        (25, "corrupt_ppm", 30_000),
        (10, "syn_loss_ppm", 300_000),
        (10, "fin_loss_ppm", 300_000),
        (15, "ack_loss_ppm", 300_000),
        (15, "retransmission_loss_ppm", 300_000),
        (10, "truncate_ppm", 10_000),
        (10, "pad_ppm", 50_000),
        (15, "mark_ppm", 50_000),
        (5, "bleach_ppm", 100_000),
        (10, "strip_ppm", 100_000),
        (10, "split_ppm", 100_000),
        (6, "forge_ppm", 30_000),
        (20, "late_ppm", 20_000),
        (15, "short_burst_ppm", 100_000),
        (10, "no_buffer_ppm", 20_000),
        (4, "no_rings_ppm", 200_000),
        (4, "no_memory_ppm", 50_000),
        (3, "repaired_ppm", 5_000),
    ] {
        if draw.chance(percent) {
            faults.push(format!("{key} = {}", draw.magnitude(most / 100, most)));
        }
    }
    if draw.chance(15) {
        let (enter, leave) = (draw.magnitude(1_000, 20_000), draw.magnitude(50_000, 500_000));
        let loss = draw.magnitude(200_000, 1_000_000);
        faults.push(format!(
            "burst_enter_ppm = {enter}, burst_leave_ppm = {leave}, burst_loss_ppm = {loss}"
        ));
    }
    if draw.chance(5) {
        faults.push(format!("nth = {}", draw.between(5, 200)));
    }
    for (percent, key, most) in [(60, "reorder_us_max", 50_000), (60, "late_us_max", 20_000)] {
        if draw.chance(percent) {
            faults.push(format!("{key} = {}", draw.magnitude(10, most)));
        }
    }
    faults.extend(super::nic::rates(draw.seed));
    let _ = writeln!(text, "fault = {{ {} }}", faults.join(", "));
}

/// What is so for a while, all of it over when the faults end.
fn draw_spans(plan: &mut FaultPlan, draw: &mut Draw, hosts: usize, layout: Layout, heal_ms: u64) {
    let count = if draw.chance(50) { 0 } else { draw.between(1, 4) };
    for _ in 0..count {
        let host = draw.stream.below(hosts as u64) as usize;
        let (host, other) = (NAMES[host], layout.other_end(host));
        let direction =
            if draw.chance(50) { format!("{host}->{other}") } else { format!("{other}->{host}") };
        let (condition, target) = match draw.stream.below(14) {
            0 | 1 => (Condition::Partition, direction),
            2 => (Condition::Rate(draw.magnitude(50_000, 1_000_000_000)), direction),
            3 => (Condition::Latency(Duration::from_micros(draw.magnitude(1, 200_000))), direction),
            4 => {
                let told = draw.chance(50);
                (Condition::Mtu { bytes: draw.between(600, 1_400) as u16, told }, direction)
            }
            5 => (Condition::Stripped(draw.of(&OPTIONS)), direction),
            6 => (Condition::MssClamp(draw.between(200, 1_400) as u16), direction),
            7 => (Condition::Window(draw.of(&[0, 0, 1, 2, 100])), direction),
            8 => (Condition::Bleached, direction),
            9 => (Condition::NoCarrier, format!("{host}.eth0")),
            10 | 11 => (Condition::Pause, host.to_owned()),
            12 => {
                let ahead = Duration::from_millis(draw.magnitude(1, 10_000_000));
                (Condition::ClockAhead(ahead), host.to_owned())
            }
            _ if draw.chance(40) => (Condition::Crash, host.to_owned()),
            _ => (Condition::Pause, host.to_owned()),
        };
        let from = draw.stream.below(heal_ms);
        let until = draw.between(from + 1, heal_ms);
        plan.push(span(target, from..until, condition));
    }
}

/// Output: what is so of `target` for these milliseconds of a run.
pub(super) fn span(target: String, ms: Range<u64>, condition: Condition) -> Decision {
    let at = |ms| Instant::ZERO + Duration::from_millis(ms);
    Decision::Span { target, from: at(ms.start), until: at(ms.end), condition }
}

/// Options that a middlebox may take away without breaking what was agreed on.
const OPTIONS: [TcpOption; 4] =
    [TcpOption::Mss, TcpOption::Sack, TcpOption::SackPermitted, TcpOption::FastOpen];

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Draw({})", self.seed)
    }
}
