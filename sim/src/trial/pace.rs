//! How long the flows of a scenario may take: the floor of oracle O9 on speed where nothing goes wrong, and the bound of oracle O7 after it did.
//!
//! Over a clean network the last flow is done within
//!
//! > start + 2 transfer + 2 rtt rounds + 2 (rtt + rto) frames / queue + grace
//!
//! where `start` is when the last flow begins; `transfer` the time that every byte of all flows with its headers takes on the slowest link of
//! its path, one after the other, what programs that call anything wait, and what timers that are seen late add for each frame; `rtt` the longest round trip, with a full frame on each link; `rounds` what the flow with most of them needs:
//! the handshake, one for each request, and the doublings of slow start up to its longest transfer (RFC 5681 3.1, an initial window of ten
//! segments); `frames / queue` the round trips of a sender that a queue of so many frames lets through that many at a time, each ended by the
//! least retransmission timeout, `rto`, which is the worst that congestion control may make of it; and `grace` what timers cost before a round trip is known, and delayed acknowledgements.
//!
//! Where only one end scales its windows, the limit of the scenario holds.
//!
//! After the last fault a flow waits for its next attempt first: a timer that doubled during faults that lasted so long is over within
//! three times as long, or within its maximum. Where a daemon forgot the flows of its host, Machnet's ends give up on their peers first, each after
//! its retries: nobody tells them. Then it has what a clean run has, [`PATIENCE`] times: what was lost comes again.

use causeway_core::time::{Duration, Instant};

use crate::fault::{
    Condition, Decision, Fault, FaultPlan, ForgeryKind, NeighborTrouble, TcpOption,
};
use crate::link::{LinkConfig, Queue, QueueLimit};
use crate::scenario::{FlowKind, FlowSpec, HostSpec, LinkEnd, Scenario, StackKind};

/// A frame's payload, as little as drawn links carry in one; headers and what is around a frame.
const PAYLOAD: u64 = 1_200;
const OVERHEAD: u64 = 120;
/// Segments of an initial window (RFC 6928 2).
const INITIAL: u64 = 10;
/// First timeouts (RFC 6298 2: one second, twice), address resolution, delayed acknowledgements of 500 ms at most.
const GRACE: Duration = Duration::from_secs(10);
/// A flow that went through faults has so many times what a clean one has.
const PATIENCE: u64 = 4;
/// What a program that calls anything waits before a call on average ([`crate::workload`] draws it).
const CALL_PAUSE: Duration = Duration::from_millis(10);
/// So many losses in a row while nothing new is acknowledged are borne by who has no timestamps.
const DOUBLED: u64 = 3;
/// A host's ring, where frames wait for a cable.
const RING: u64 = 1_024;

/// What a flow has to do, and over what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    transfer: Duration,
    rtt: Duration,
    rto: Duration,
    rounds: u64,
    frames: u64,
    /// The shortest queue.
    queue: u64,
}

fn nanos(value: u128) -> Duration {
    Duration::from_nanos(u64::try_from(value).unwrap_or(u64::MAX / 4))
}

fn on_wire(bytes: u64, physics: &LinkConfig) -> Duration {
    nanos(u128::from(bytes) * 8_000_000_000 / u128::from(physics.rate_bps.max(1)))
}

/// The links between two NICs, by the fewest of them; the same host twice has none.
fn path(scenario: &Scenario, from: LinkEnd, to: LinkEnd) -> Option<Vec<&LinkConfig>> {
    if host_of(from) == host_of(to) {
        return Some(Vec::new());
    }
    let mut known: Vec<(LinkEnd, Vec<&LinkConfig>)> = vec![(from, Vec::new())];
    let mut at = 0;
    while at < known.len() {
        let (node, links) = known[at].clone();
        if node == to {
            return Some(links);
        }
        for link in &scenario.links {
            let ends = link.ends.map(LinkEnd::whole);
            for near in 0..2 {
                let far = ends[1 - near];
                if ends[near] == node && known.iter().all(|(other, _)| *other != far) {
                    let mut further = links.clone();
                    further.push(&link.physics[near]);
                    known.push((far, further));
                }
            }
        }
        at += 1;
    }
    None
}

const fn host_of(end: LinkEnd) -> Option<usize> {
    match end {
        LinkEnd::Host(host, _) => Some(host),
        LinkEnd::Switch(_) | LinkEnd::Router(..) => None,
    }
}

/// The NICs between which a flow goes: that of the address that is called, and on the other host the one in its network, else the first.
fn nics(scenario: &Scenario, flow: &FlowSpec) -> [LinkEnd; 2] {
    let server = flow.server.ip();
    let interfaces = |host: usize| scenario.hosts[host].config.interfaces().iter();
    let theirs = interfaces(flow.to).position(|i| i.addresses().iter().any(|a| a.addr() == server));
    let ours = interfaces(flow.from).position(|i| i.addresses().iter().any(|a| a.contains(server)));
    [(flow.from, ours), (flow.to, theirs)]
        .map(|(host, nic)| LinkEnd::Host(host, nic.unwrap_or_default()))
}

fn queue_of(physics: &LinkConfig) -> u64 {
    match physics.queue {
        Queue::DropTail(QueueLimit::Frames(frames)) => frames as u64,
        Queue::DropTail(QueueLimit::Bytes(bytes)) => bytes / (PAYLOAD + OVERHEAD),
        // On average there are no more.
        Queue::Red(red) => (red.limit_frames as u64).min(red.max_frames.into()),
        Queue::CoDel(codel) => codel.limit_frames as u64,
        Queue::Ring => RING,
    }
}

/// Round trips of slow start until so many bytes are sent.
fn doublings(bytes: u64) -> u64 {
    let windows = bytes.div_ceil(PAYLOAD).div_ceil(INITIAL).max(1);
    u64::from(windows.ilog2()) + 2
}

/// `None` for a flow whose hosts nothing connects.
fn load(scenario: &Scenario, flow: &FlowSpec) -> Option<Load> {
    let [client, server] = nics(scenario, flow);
    let there = path(scenario, client, server)?;
    let back = path(scenario, server, client)?;
    let rounds = if flow.kind == FlowKind::Stream { 1 } else { flow.count.max(1) };
    let frames_of = |bytes: u64| bytes.div_ceil(PAYLOAD) + 1;
    let frames = rounds * (frames_of(flow.bytes) + frames_of(flow.reply_bytes));
    // Acknowledgements are frames, too.
    let bytes = rounds * (flow.bytes + flow.reply_bytes) + 2 * frames * OVERHEAD;
    let both = || there.iter().chain(&back);
    let full = PAYLOAD + OVERHEAD;
    let crossing = both().map(|physics| {
        let one = on_wire(full, physics) + physics.delay;
        u128::from(one.as_nanos())
    });
    let begins = doublings(flow.bytes) + doublings(flow.reply_bytes);
    // What is paced leaves when its timer is seen.
    let [from, to] = [flow.from, flow.to].map(|host| &scenario.hosts[host]);
    let paced = from.granularity.max(to.granularity).saturating_mul(frames);
    let paced = paced
        + match flow.kind {
            FlowKind::Calls => CALL_PAUSE.saturating_mul(rounds),
            _ => Duration::ZERO,
        };
    let ring = [from, to].into_iter().flat_map(|host| &host.nics).map(|nic| nic.rx_ring as u64);
    let queues = both().map(|physics| queue_of(physics)).chain(ring);
    let rto = [from, to].into_iter().map(|host| match host.stack {
        StackKind::Causeway => host.config.tcp().rto()[1],
        // Whatever is lost waits for a timer, which is a second, and twice that after it.
        StackKind::Textbook | StackKind::Smoltcp => Duration::from_secs(2),
    });
    Some(Load {
        rto: rto.max().unwrap_or_default(),
        transfer: both().map(|physics| on_wire(bytes, physics)).max().unwrap_or_default() + paced,
        rtt: nanos(crossing.sum()),
        rounds: 3 + begins + 2 * rounds,
        frames,
        queue: queues.min().unwrap_or(RING),
    })
}

/// Getter: how long the flows of a scenario may take after the last of them begins, where nothing goes wrong.
pub(super) fn clean(scenario: &Scenario) -> Duration {
    let loads: Vec<Load> = scenario.flows.iter().filter_map(|flow| load(scenario, flow)).collect();
    let transfer: u128 = loads.iter().map(|load| u128::from(load.transfer.as_nanos())).sum();
    let rtt = loads.iter().map(|load| load.rtt).max().unwrap_or_default();
    let rounds = loads.iter().map(|load| load.rounds).max().unwrap_or(0);
    let frames: u64 = loads.iter().map(|load| load.frames).sum();
    let queue = loads.iter().map(|load| load.queue).min().unwrap_or(RING).max(1);
    let rto = loads.iter().map(|load| load.rto).max().unwrap_or_default();
    let choked = (rtt + rto).saturating_mul(2 * frames / queue);
    nanos(2 * transfer) + rtt.saturating_mul(2 * rounds) + choked + GRACE
}

/// Getter: when the last flow begins.
fn begun(scenario: &Scenario) -> Instant {
    scenario.flows.iter().map(|flow| flow.starts_at).max().unwrap_or(Instant::ZERO)
}

/// Getter: when every flow is done where nothing goes wrong.
pub(super) fn clean_by(scenario: &Scenario) -> Instant {
    begun(scenario) + clean(scenario)
}

/// Getter: something may make connections slow for as long as they live: where only one end of two scales windows, the other takes a 256th
/// of what it is told for all of it.
fn cripples(scenario: &Scenario, plan: &FaultPlan) -> bool {
    strips(TcpOption::WindowScale, scenario, plan)
}

/// Getter: some SYN may be without `option` on its way.
fn strips(option: TcpOption, scenario: &Scenario, plan: &FaultPlan) -> bool {
    let strips = |decision: &Decision| match decision {
        Decision::Frame { fault, .. } => *fault == Fault::Strip(option),
        Decision::Span { condition, .. } => *condition == Condition::Stripped(option),
        Decision::Counted { .. } => false,
    };
    scenario.faults.link.strip_ppm > 0 || plan.decisions().any(strips)
}

/// Getter: connections may be without timestamps.
fn is_unstamped(scenario: &Scenario, plan: &FaultPlan) -> bool {
    let offers = |host: &HostSpec| {
        host.stack == StackKind::Causeway && host.config.tcp().offers_timestamps()
    };
    !scenario.hosts.iter().all(offers) || strips(TcpOption::Timestamps, scenario, plan)
}

/// Getter: until what Machnet sends to a daemon that forgot the flow is given up.
fn given_up(scenario: &Scenario, plan: &FaultPlan) -> Duration {
    let restarts = plan.spans().any(|(.., condition)| condition == Condition::DaemonRestart);
    if !restarts || scenario.flows.iter().all(|flow| flow.kind != FlowKind::Message) {
        return Duration::ZERO;
    }
    let hosts = scenario.hosts.iter().map(|host| host.config.machnet().gives_up_within());
    hosts.max().unwrap_or_default()
}

/// What was told of a neighbour is believed for so long, is confirmed or given up after it, and asked for again (RFC 4861 10: 30 s, 5 s, and
/// three attempts a second apart twice).
const BELIEF: Duration = Duration::from_secs(41);

/// Getter: somebody may have been told of a station where its neighbour is not.
fn misleads(scenario: &Scenario, plan: &FaultPlan) -> bool {
    let told = |decision: &Decision| match decision {
        Decision::Frame { fault: Fault::Forge(forgery), .. } => {
            forgery.kind == ForgeryKind::Neighbor
        }
        Decision::Span { condition, .. } => {
            matches!(condition, Condition::Neighbor(NeighborTrouble::False(_)))
        }
        _ => false,
    };
    scenario.faults.link.neighbor_ppm > 0 || plan.decisions().any(told)
}

/// Getter: when every flow is done where nothing goes wrong any more from `healed` on: at the latest when the scenario says.
pub(super) fn done_by(scenario: &Scenario, plan: &FaultPlan, healed: Instant) -> Instant {
    let limit = healed + scenario.rules.limit;
    if cripples(scenario, plan) {
        return limit;
    }
    let misleads = misleads(scenario, plan);
    let healed = if misleads { healed + BELIEF } else { healed };
    let faults = healed.saturating_since(Instant::ZERO);
    let waits = scenario.hosts.iter().map(|host| {
        let [initial, _, most] = host.config.tcp().rto();
        // The textbook's most is less, smoltcp's no more than a minute.
        (faults.saturating_mul(3) + initial.saturating_mul(2))
            .min(most.max(Duration::from_secs(60)))
    });
    let waits = waits.max().unwrap_or_default() + given_up(scenario, plan);
    let most = scenario.hosts.iter().map(|host| host.config.tcp().rto()[2]).max();
    // What is acknowledged when the lie is over echoes the timestamp of its first copy (RFC 7323 5.3: R2 comes before R3), so that the round
    // trip seems to have taken that long: the timeout is the greatest once more.
    let waits = waits + most.filter(|_| misleads).unwrap_or_default();
    // Nor does one without timestamps know how long what it has sent again takes (Karn): what is lost before something new is acknowledged waits
    // for a timeout that is still doubled (RFC 6298 5.7).
    let doubled = if is_unstamped(scenario, plan) { DOUBLED } else { 0 };
    let waits = waits + most.unwrap_or_default().saturating_mul(doubled);
    limit.min(healed.max(begun(scenario)) + waits + clean(scenario).saturating_mul(PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(link: &str, flows: &str, rest: &str) -> String {
        format!(
            "host = [\n\
             {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
             {{ name = \"b\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }},\n]\n\
             switch = [{{ name = \"s\" }}]\n\
             link = [{{ between = [\"a\", \"s\"], {link} }}, {{ between = [\"s\", \"b\"] }}]\n\
             flow = [{flows}]\n{rest}"
        )
    }

    fn scenario(link: &str, flows: &str, rest: &str) -> Scenario {
        Scenario::parse("x", &text(link, flows, rest)).expect("it is right")
    }

    const FLOW: &str =
        "{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 1200000, start_ms = 500 }, ";

    #[test]
    fn what_makes_a_run_longer_makes_its_bound_longer() {
        let bound = |link: &str, flows: &str| clean(&scenario(link, flows, "")).as_millis();
        let base = bound("rate_kbit_s = 100000, delay_us = 1000", FLOW);
        // 1.44 MB twice at 100 Mbit/s, 2.4 ms twice for each of 15 rounds, twenty timeouts as the switch's queue has a hundred
        // frames, and ten seconds.
        assert!((14_000..15_000).contains(&base), "{base}");
        let slow = bound("rate_kbit_s = 1000, delay_us = 1000", FLOW);
        assert!((37_000..39_500).contains(&slow), "{slow}: a hundredth of the rate");
        let far = bound("rate_kbit_s = 100000, delay_us = 100000", FLOW);
        assert!((23_500..25_500).contains(&far), "{far}: rounds and timeouts with 200 ms more");
        let link = "rate_kbit_s = 100000, delay_us = 1000, queue = \"drop-tail\", queue_frames = 4";
        let choked = bound(link, FLOW);
        assert!((105_000..120_000).contains(&choked), "{choked}: four frames a timeout");
        let early = "queue = \"red\", red = { min_frames = 1, max_frames = 4 }";
        let early = format!("rate_kbit_s = 100000, delay_us = 1000, {early}");
        assert_eq!(bound(&early, FLOW), choked, "on average");
        let both = bound("rate_kbit_s = 1000, delay_us = 1000", &FLOW.repeat(2));
        assert!((64_000..67_000).contains(&both), "{both}: one after the other");
    }

    #[test]
    fn what_goes_through_faults_has_their_timers_and_more_but_never_beyond_the_limit() {
        let link = "rate_kbit_s = 100000, delay_us = 1000";
        let of = |rest: &str| scenario(link, FLOW, rest);
        let after = |healed: u64, rest: &str| {
            let healed = Instant::ZERO + Duration::from_secs(healed);
            done_by(&of(rest), &FaultPlan::new(), healed).saturating_since(healed)
        };
        let patient = clean(&of("")).saturating_mul(PATIENCE);
        let seconds = Duration::from_secs;
        assert_eq!(after(4, ""), seconds(14) + patient, "three times four seconds, and two");
        assert_eq!(after(100, ""), seconds(120) + patient, "the greatest timeout");
        assert_eq!(after(4, "run = { limit_s = 20 }\n"), seconds(20));
        let unstamped =
            text(link, FLOW, "").replacen("\"a\",", "\"a\", tcp = { timestamps = false },", 1);
        let unstamped = Scenario::parse("x", &unstamped).expect("it is right");
        let of_all = |scenario: &Scenario| done_by(scenario, &FaultPlan::new(), Instant::ZERO);
        let more = of_all(&unstamped).saturating_since(of_all(&of("")));
        assert_eq!(more, seconds(360), "three times the greatest timeout");
        let plan = "causeway fault plan 2\nstrip s->a 3 window-scale\n".parse().expect("a plan");
        let short = "{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 1000 }, ";
        let unscaled = |rest: &str, plan: &FaultPlan| {
            let by = done_by(&scenario(link, short, rest), plan, Instant::ZERO);
            by.saturating_since(Instant::ZERO)
        };
        assert_eq!(unscaled("", &plan), seconds(600), "a window is not scaled");
        let drawn = unscaled("fault = { strip_ppm = 1 }\n", &FaultPlan::new());
        assert_eq!(drawn, seconds(600));
        assert_eq!(clean_by(&of("")), Instant::ZERO + clean(&of("")) + Duration::from_millis(500));
    }

    #[test]
    fn a_machnet_flow_that_a_daemon_forgot_is_given_up_first() {
        let by = |flow: &str, plan: &str| {
            let plan = format!("causeway fault plan 2\n{plan}").parse().expect("a plan");
            done_by(&scenario("delay_us = 1000", flow, ""), &plan, Instant::ZERO)
        };
        let message = FLOW.replace("stream", "message").replace("1200000", "1200");
        let more =
            |flow: &str| by(flow, "daemon-restart a 1ms..2ms\n").saturating_since(by(flow, ""));
        let why = "thirty seconds of silence, then ten retries of three";
        assert_eq!(more(&message), Duration::from_secs(63), "{why}");
        assert_eq!(more(FLOW), Duration::ZERO, "TCP is told with a reset");
    }

    #[test]
    fn whoever_was_misled_about_a_neighbour_has_as_long_as_it_is_believed_and_the_greatest_timeout()
    {
        let by = |plan: &str| {
            let plan = format!("causeway fault plan 2\n{plan}").parse().expect("a plan");
            done_by(&scenario("delay_us = 1000", FLOW, ""), &plan, Instant::ZERO)
        };
        let calm = by("drop s->a 3\n");
        // 41 s from 0 on in place of 0.5 s; and twice the greatest timeout in place of two seconds.
        let more = by("forge s->a 3 neighbor 5\n").saturating_since(calm);
        assert_eq!(more, Duration::from_millis(40_500 + 238_000));
    }

    #[test]
    fn nothing_is_said_of_flows_that_nothing_connects() {
        let text = "host = [\n\
            { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
            { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n]\n\
            flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 1200000 }]\n";
        assert_eq!(clean(&Scenario::parse("x", text).expect("it is right")), GRACE);
    }
}
