//! The rules of the wire, judged at the hosts of a run.
//!
//! A host has received what it took from its receive ring: what still lies there it cannot know.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use causeway_core::nic::BURST_MAX;
use causeway_core::tcp::MtuProbing;
use causeway_core::tcp::congestion::Algorithm;
use causeway_core::time::{Duration, Instant};

use super::ipc;
use crate::fault::{ClockTrouble, Condition, Decision, Event, Fault, FaultPlan, NicTrouble};
use crate::link::Queue;
use crate::packet::{Checksums, Packet, Verdict};
use crate::rules::{Calm, HostRules, WireRules};
use crate::scenario::{FlowKind, HostFaults, HostSpec, LinkEnd, Scenario, StackKind};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::workload::{Violation, foreign_signature};
use crate::world::{HostId, World};

/// Frames that an engine has ready for a NIC, and a few more.
const ENGINE_FRAMES: u64 = 4 * BURST_MAX as u64;
/// Bits of a full frame and what is around it on the wire, jumbo frames included.
const FRAME_BITS: u64 = 9_038 * 8;
/// What a stranger may be sent beyond three times what it sent; and the length of one of Machnet's answers to a SYN, over IPv6.
const STRANGER_BYTES: u64 = 1_000;
const SYN_ACK_BYTES: u64 = 102;
/// Most frames of a direction that are remembered as they were sent; those beyond are read again when they arrive.
const REMEMBERED_MAX: usize = 4_096;

/// Feeds the judge. Clones share it: one goes to the world, the other is asked.
#[derive(Clone)]
pub(super) struct Watch {
    inner: Rc<RefCell<Inner>>,
}

struct Inner {
    rules: WireRules,
    /// By direction: the host that sends, and the host that receives.
    ends: Vec<[Option<usize>; 2]>,
    /// By direction: what is under way as it was sent, where a host of ours receives it, in the order of numbers.
    under_way: Vec<VecDeque<UnderWay>>,
    /// By direction: what lies in the receive ring at its end.
    rings: Vec<VecDeque<Waiting>>,
}

/// What was read of a frame when it was sent: whoever receives the same bytes need not read them again.
struct UnderWay {
    number: u64,
    packet: Packet<'static>,
    sums: Checksums,
}

/// A frame in a receive ring.
#[allow(clippy::large_enum_variant, reason = "nearly every frame is read, and none shall allocate")]
enum Waiting {
    /// One that cannot be read.
    Unreadable,
    /// One of which the headers are enough.
    Read(Packet<'static>, Checksums),
    /// One of which the payload is judged too.
    Whole(Box<[u8]>),
}

impl Waiting {
    fn new(frame: &[u8]) -> Self {
        match Packet::parse(frame) {
            Ok(packet) if packet.icmp().is_some() => Self::Whole(frame.into()),
            Ok(packet) => Self::Read(packet.headers(), packet.checksums()),
            Err(_) => Self::Unreadable,
        }
    }

    /// One whose NIC says that its checksum is right, which it is not.
    fn believed(self) -> Self {
        match self {
            Self::Read(packet, sums) => {
                Self::Read(packet, Checksums { transport: Verdict::Right, ..sums })
            }
            other => other,
        }
    }
}

impl Watch {
    /// A judge of the hosts of `scenario`, whose world this is.
    pub(super) fn new(scenario: &Scenario, plan: &FaultPlan, world: &World) -> Self {
        let hosts = (0..scenario.hosts.len()).map(|host| rules_of(scenario, plan, host));
        let ours = |host: &HostId| scenario.hosts[host.0].stack == StackKind::Causeway;
        let number = |host: Option<HostId>| host.filter(ours).map(|host| host.0);
        let ends = (0..world.lanes().len()).map(DirectionId);
        let ends = ends.map(|id| [number(world.sender_of(id)), number(world.receiver_of(id))]);
        let ends: Vec<_> = ends.collect();
        let rings = ends.iter().map(|_| VecDeque::new()).collect();
        let under_way = ends.iter().map(|_| VecDeque::new()).collect();
        let mut rules = WireRules::new(hosts.collect());
        if may_lack_memory(scenario, plan) {
            // What finds no memory is dropped, and comes again.
            for rule in ["O4.tcp.ack-delay", "O4.tcp.ack-at-once"] {
                rules.disable(rule);
            }
        }
        if ipc::may_scribble(scenario, plan) {
            // What was sent and is not acknowledged lies where the program may write.
            for rule in ["O4.tcp.same-bytes", "O4.machnet.same"] {
                rules.disable(rule);
            }
        }
        if is_watched_for_calm(scenario, plan) {
            rules.expect_calm(Calm { narrow: is_narrow(scenario) });
        }
        Self { inner: Rc::new(RefCell::new(Inner { rules, ends, under_way, rings })) }
    }

    /// Input: programs end now, which may reset what still waits for an acknowledgement.
    pub(super) fn programs_end(&self) {
        self.inner.borrow_mut().rules.disable("O10.tcp.reset");
    }

    /// Output: the first rule that was broken in a run that is over at `at`.
    pub(super) fn finish(&self, at: Instant, hosts: &[HostSpec]) -> Option<Violation> {
        let rules = &mut self.inner.borrow_mut().rules;
        rules.finish(at);
        let first = rules.violations().first()?;
        let remote = first.ends.map(|(_, remote)| remote.ip());
        let has = |host: &&HostSpec| {
            let mut own = host.config.interfaces().iter().flat_map(|i| i.addresses());
            own.any(|address| Some(address.addr()) == remote)
        };
        let foreign = hosts.iter().find(has).and_then(|host| host.stack.foreign());
        let signature = foreign_signature(foreign, first.rule.id);
        let words = format!("host {}: {first}", hosts[first.host].name);
        Some(Violation { signature, at: first.at, words })
    }
}

/// Getter: what goes wrong can be seen on the links: neither hosts nor conditions do it out of sight.
fn is_watched_for_calm(scenario: &Scenario, plan: &FaultPlan) -> bool {
    let HostFaults { short_burst_ppm, no_buffer_ppm, no_rings_ppm, no_memory_ppm, ipc, .. } =
        scenario.faults.host;
    let hosts = [short_burst_ppm, no_buffer_ppm, no_rings_ppm, no_memory_ppm];
    // Both ends of a connection have to be seen.
    let ours = scenario.hosts.iter().all(|host| host.stack == StackKind::Causeway);
    let on_frames = |decision: &Decision| matches!(decision, Decision::Frame { .. });
    let silent = scenario.faults.host.nic.is_clean() && !ipc.is_any();
    // Who calls anything asks for refusals and resets.
    let calls = scenario.flows.iter().any(|flow| flow.kind == FlowKind::Calls);
    ours && silent && !calls && hosts.iter().all(|ppm| *ppm == 0) && plan.decisions().all(on_frames)
}

/// Getter: some host may find no memory for what it receives.
fn may_lack_memory(scenario: &Scenario, plan: &FaultPlan) -> bool {
    let planned =
        |decision: &Decision| matches!(decision, Decision::Counted { event: Event::NoMemory, .. });
    scenario.faults.host.no_memory_ppm > 0 || plan.decisions().any(planned)
}

/// Getter: not every link carries what every host sends.
fn is_narrow(scenario: &Scenario) -> bool {
    let hosts = scenario.hosts.iter().map(|host| &host.config);
    let nodes = hosts.chain(scenario.routers.iter().map(|router| &router.config));
    let mtus: BTreeSet<u16> = nodes.flat_map(|n| n.interfaces()).map(|i| i.mtu()).collect();
    mtus.len() > 1
}

/// What a host is held to.
fn rules_of(scenario: &Scenario, plan: &FaultPlan, index: usize) -> HostRules {
    let spec = &scenario.hosts[index];
    let (config, tcp) = (&spec.config, spec.config.tcp());
    let interfaces = config.interfaces();
    let addresses = interfaces.iter().flat_map(|i| i.addresses()).map(|a| a.addr()).collect();
    let [rto_initial, rto_min, rto_max] = tcp.rto();
    let mut rules = HostRules {
        mtu: interfaces.iter().map(|i| i.mtu()).max().unwrap_or(1_500),
        stations: interfaces.iter().map(|i| i.mac().0).collect(),
        mac: (interfaces.len() == 1).then(|| interfaces[0].mac().0),
        mtu_probing: tcp.mtu_probing() != MtuProbing::Off,
        keepalive: tcp.keepalive(),
        stranger_bytes: STRANGER_BYTES
            .max(u64::from(spec.config.machnet().syn_attempts()) * SYN_ACK_BYTES),
        dctcp: tcp.congestion() == Algorithm::Dctcp,
        rto_initial,
        rto_min,
        rto_max,
        ..HostRules::new(addresses)
    };
    rules.slack = slack(scenario, plan, index);
    rules
}

/// How late a host may be in everything: its loop, its clock, its pauses, and frames that wait in its ring for a slow link.
fn slack(scenario: &Scenario, plan: &FaultPlan, index: usize) -> Duration {
    let spec = &scenario.hosts[index];
    let mut nanos = 8 * scenario.rules.poll_interval.as_nanos();
    // What waits to be handed over leaves a burst at a time, and a loop with coarse timers comes back late.
    let burst = spec.nics.iter().map(|nic| u64::from(nic.burst)).min().unwrap_or(1).max(1);
    let turns = 1 + ENGINE_FRAMES.div_ceil(burst);
    nanos += turns * spec.granularity.as_nanos() + 4 * scenario.faults.host.late_max.as_nanos();
    let slowest = plan.spans().filter_map(|(_, _, _, condition)| match condition {
        Condition::Rate(bps) => Some(bps),
        _ => None,
    });
    let slowest = slowest.min().unwrap_or(u64::MAX);
    for link in &scenario.links {
        for (end, physics) in link.ends.iter().zip(&link.physics) {
            if matches!(end, LinkEnd::Host(host, _) if *host == index)
                && physics.queue == Queue::Ring
            {
                let waiting =
                    spec.nics.iter().map(|nic| nic.tx_ring).max().unwrap_or(0) as u64 + 64;
                let rate = physics.rate_bps.min(slowest).max(1);
                nanos +=
                    (u128::from(waiting * FRAME_BITS) * 1_000_000_000 / u128::from(rate)) as u64;
            }
        }
    }
    for (target, from, until, condition) in plan.spans() {
        let is_ours = target == spec.name || target.split('.').next() == Some(&spec.name);
        if !is_ours {
            continue;
        }
        let lasts = until.saturating_since(from).as_nanos();
        nanos += match condition {
            // What a timer is wrong by.
            Condition::Clock(ClockTrouble::Rate(ppm)) => {
                lasts * u64::from(ppm.unsigned_abs()) / 1_000_000 + 1
            }
            // The host is told of frames later than they arrive.
            Condition::Nic(NicTrouble::Coalesced(interval)) => interval.as_nanos(),
            Condition::Pause
            | Condition::NoCarrier
            | Condition::Crash
            | Condition::DaemonRestart
            | Condition::Nic(
                NicTrouble::TxStalled | NicTrouble::NoBuffers | NicTrouble::LateCompletion(_),
            ) => lasts,
            _ => 0,
        };
    }
    Duration::from_nanos(nanos)
}

/// Getter: whoever receives what comes of it believes that somebody sent it, and may take it for something else.
const fn is_believed(fault: &Fault) -> bool {
    matches!(fault, Fault::Corrupt { repaired: true, .. } | Fault::Forge(_))
}

/// What the link does to a frame.
fn disturb(rules: &mut WireRules, at: Instant, frame: &[u8], fate: Fate<'_>) {
    let by_fault = match fate {
        Fate::OnWire { faults: [], .. } => return,
        Fate::OnWire { faults, .. } if faults.iter().any(is_believed) => return rules.end_calm(),
        Fate::OnWire { .. } | Fate::Swallowed { .. } => true,
        Fate::QueueFull | Fate::DroppedEarly => false,
    };
    rules.disturbed(at, Packet::parse(frame).ok().as_ref(), by_fault);
}

impl Inner {
    /// What was read of frame `number` when it was sent, if that is remembered. Forgets those before it.
    fn as_sent(&mut self, direction: DirectionId, number: u64) -> Option<UnderWay> {
        let under_way = &mut self.under_way[direction.0];
        while under_way.pop_front_if(|sent| sent.number < number).is_some() {}
        under_way.pop_front_if(|sent| sent.number == number)
    }

    /// A frame that reaches a host of ours. `waiting` reads it.
    #[inline]
    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        frame: &[u8],
        delivery: Delivery,
        waiting: impl FnOnce() -> Waiting,
    ) {
        let ring = &mut self.rings[direction.0];
        match delivery {
            Delivery::Received => ring.push_back(waiting()),
            Delivery::Believed => {
                // The host takes it for what somebody sent.
                self.rules.end_calm();
                ring.push_back(waiting().believed());
            }
            Delivery::Refused => {
                self.rules.disturbed(at, Packet::parse(frame).ok().as_ref(), true);
                ring.push_back(Waiting::Unreadable);
            }
            Delivery::RingFull => {
                self.rules.disturbed(at, Packet::parse(frame).ok().as_ref(), false);
            }
        }
    }
}

impl Tap for Watch {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        let inner = &mut *self.inner.borrow_mut();
        disturb(&mut inner.rules, at, frame, fate);
        let [Some(host), receiver] = inner.ends[direction.0] else { return };
        let packet = match Packet::parse(frame) {
            Ok(packet) => packet,
            Err(error) => return inner.rules.malformed(at, host, error),
        };
        let sums = packet.checksums();
        inner.rules.sent_with(at, host, &packet, &sums);
        // The payload of ICMP is looked at.
        let headers_do = receiver.is_some() && packet.icmp().is_none();
        if let Fate::OnWire { number, faults: [] } = fate
            && headers_do
        {
            let under_way = &mut inner.under_way[direction.0];
            if under_way.len() >= REMEMBERED_MAX {
                under_way.pop_front();
            }
            under_way.push_back(UnderWay { number, packet: packet.headers(), sums });
        }
    }

    fn injected(&mut self, at: Instant, _: DirectionId, frame: &[u8], fate: Fate<'_>) {
        disturb(&mut self.inner.borrow_mut().rules, at, frame, fate);
    }

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        _: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.ends[direction.0][1].is_some() {
            inner.arrived(at, direction, frame, delivery, || Waiting::new(frame));
        }
    }

    fn arrived_as_sent(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.ends[direction.0][1].is_none() {
            return;
        }
        match inner.as_sent(direction, number) {
            Some(UnderWay { packet, sums, .. }) => {
                let read = || Waiting::Read(packet, sums);
                inner.arrived(at, direction, frame, delivery, read);
            }
            None => inner.arrived(at, direction, frame, delivery, || Waiting::new(frame)),
        }
    }

    fn taken(&mut self, at: Instant, direction: DirectionId, frames: usize) {
        let Inner { rules, ends, rings, .. } = &mut *self.inner.borrow_mut();
        let Some(host) = ends[direction.0][1] else { return };
        let ring = &mut rings[direction.0];
        for frame in ring.range(..frames) {
            match frame {
                Waiting::Unreadable => {}
                Waiting::Read(packet, sums) => rules.received_with(at, host, packet, sums),
                Waiting::Whole(frame) => {
                    if let Ok(packet) = Packet::parse(frame) {
                        rules.received(at, host, &packet);
                    }
                }
            }
        }
        ring.drain(..frames);
    }

    fn restarted(&mut self, _: Instant, host: HostId) {
        let inner = &mut *self.inner.borrow_mut();
        inner.rules.restarted(host.0);
        for (ends, ring) in inner.ends.iter().zip(&mut inner.rings) {
            if ends[1] == Some(host.0) {
                ring.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "host = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
        { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n\
        ]\nlink = [{ between = [\"a\", \"b\"] }]\n";

    fn judges(scenario: &str, plan: &str) -> bool {
        let scenario = Scenario::parse("x", scenario).expect("it is right");
        let plan = format!("causeway fault plan 2\n{plan}");
        is_watched_for_calm(&scenario, &plan.parse().expect("it is right"))
    }

    #[test]
    fn a_calm_network_is_expected_where_all_that_goes_wrong_is_seen() {
        assert!(judges(SCENARIO, ""));
        assert!(judges(SCENARIO, "drop a->b 17\n"));
        assert!(judges(&format!("{SCENARIO}fault = {{ loss_ppm = 5, late_ppm = 5 }}\n"), ""));
        for decision in [
            "pause b 1s..2s\n",
            "no-memory a 3\n",
            "sum-bad a.eth0 3\n",
            "stripped a->b 1s..2s sack\n",
        ] {
            assert!(!judges(SCENARIO, decision), "{decision}");
        }
        for fault in
            ["short_burst_ppm", "no_buffer_ppm", "no_rings_ppm", "no_memory_ppm", "odd_cut_ppm"]
        {
            assert!(!judges(&format!("{SCENARIO}fault = {{ {fault} = 5 }}\n"), ""), "{fault}");
        }
        let foreign = SCENARIO.replace("name = \"b\",", "name = \"b\", stack = \"textbook\",");
        assert!(!judges(&foreign, ""));
    }

    #[test]
    fn a_network_is_narrow_where_interfaces_differ() {
        let narrow = |text: &str| is_narrow(&Scenario::parse("x", text).expect("it is right"));
        assert!(!narrow(SCENARIO));
        assert!(narrow(&SCENARIO.replacen("\"eth0\",", "\"eth0\", mtu = 1400,", 1)));
    }
}
