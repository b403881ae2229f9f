//! What may end or spoil a flow without anybody being wrong, by what was done to that flow: not what the scenario permits excuses it, but a
//! decision that struck one of its frames, or one of its hosts, before it failed.
//!
//! | what was executed | whom it excuses |
//! |---|---|
//! | a byte changed under checksums that fit, behind the ports of a segment; a forged packet | the flow of that segment |
//! | a forged reset | an end of that flow may wait for ever, where the other is another stack's |
//! | the same in another place or another packet; a wrong checksum that a NIC called right | the flows of the hosts at that link |
//! | no rings, no memory; a crash or a restart of the daemon that has begun | the flows of that host |
//! | a restart of the daemon | an end of a flow of that host may wait for ever, when the other is forgotten |
//! | a false answer of a neighbour | the flows of those hosts may time out |
//! | acknowledgements ahead of what was received | the flows of the hosts of that direction |
//! | address resolution lost, or without a buffer; anything that is so for a while | the flows of those hosts may find their peer unreachable |
//! | a claim that a neighbour is at another station | the flows of the hosts at that link may find their peer unreachable |
//! | a byte of a station's address changed, or of address resolution | every flow may |
//!
//! A host that is not named excuses every flow. What is not in the table excuses by what the scenario permits ([`excuses`]).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use causeway_core::time::{Duration, Instant};

use super::excuse::excuses;
use crate::fault::{
    ClockTrouble, Condition, Decision, Event, Fault, FaultPlan, Forgery, ForgeryKind,
    NeighborTrouble,
};
use crate::packet::{Network, Packet, Transport};
use crate::scenario::{FlowSpec, LinkEnd, Scenario};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::workload::{Excuse, Excuses};

/// Ethernet's header, in which nothing is summed up.
const LINK_HEADER: u32 = 14;
/// Neighbour discovery (RFC 4861 §4): solicitations and advertisements of routers and neighbours, and redirects.
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;

/// What was counted on a host: once is enough.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// It had no rings, or no memory for what came.
    pub(super) refused: Arc<AtomicBool>,
    /// Its NIC had no buffer, or took a part of a burst only.
    pub(super) unsent: Arc<AtomicBool>,
}

/// Something that is so for a while.
#[derive(Clone, Debug)]
struct Span {
    from: Instant,
    hosts: Hosts,
    excuses: Excuses,
}

/// Hosts by their number; without any, all of them.
#[derive(Clone, Debug, Default)]
struct Hosts(Vec<usize>);

impl Hosts {
    fn are_of(&self, ends: [usize; 2]) -> bool {
        self.0.is_empty() || ends.iter().any(|end| self.0.contains(end))
    }
}

/// A flow.
#[derive(Clone, Copy, Debug)]
struct Struck {
    /// What struck it.
    excuses: Excuses,
    /// Its hosts.
    ends: [usize; 2],
    /// The port of its server.
    port: u16,
    /// A stack has an end of it that is not Causeway's.
    is_foreign: bool,
}

#[derive(Debug)]
struct Inner {
    /// Whatever is not in the table.
    general: Excuses,
    flows: Vec<Struck>,
    /// By direction: the hosts at its ends.
    directions: Vec<Hosts>,
    spans: Vec<Span>,
    /// Programs by whose clocks something is told may be so far behind.
    behind: Duration,
    counts: Vec<Counts>,
}

/// See the module. Clones share it: the world has one as a tap, the ledger another to ask.
#[derive(Clone, Debug)]
pub(super) struct Strikes(Rc<RefCell<Inner>>);

/// The excuses of a scenario and a plan without what is judged by what was executed.
fn general(scenario: &Scenario, plan: &FaultPlan) -> Excuses {
    let mut scenario = scenario.clone();
    let (link, host) = (&mut scenario.faults.link, &mut scenario.faults.host);
    (link.repaired_ppm, link.forge_ppm) = (0, 0);
    (link.path.header_repaired_ppm, link.path.storm_ppm) = (0, 0);
    (host.no_rings_ppm, host.no_memory_ppm, host.nic.sum_good_ppm) = (0, 0, 0);
    let is_other = |decision: &&Decision| match decision {
        Decision::Frame { fault, .. } => {
            !matches!(fault, Fault::Forge(_) | Fault::Corrupt { repaired: true, .. })
        }
        Decision::Counted { event, .. } => {
            !matches!(event, Event::NoRings | Event::NoMemory | Event::SumGood)
        }
        Decision::Span { condition, .. } => {
            use Condition::{AckAhead, Crash, DaemonRestart};
            !matches!(condition, Crash | DaemonRestart | AckAhead(_))
        }
    };
    let plan: FaultPlan = plan.decisions().filter(is_other).cloned().collect();
    Excuses { unreachable: false, ..excuses(&scenario, &plan) }
}

const NOTHING: Excuses = Excuses {
    end: false,
    content: false,
    numbers: false,
    unreachable: false,
    refused: false,
    half_open: false,
    misled: false,
};

/// What something that is so for a while excuses.
const fn of_condition(condition: Condition) -> Excuses {
    if matches!(condition, Condition::Clock(_)) {
        // Nobody gives up a thousandth earlier.
        return NOTHING;
    }
    let ahead = matches!(condition, Condition::AckAhead(_));
    let end = ahead || matches!(condition, Condition::Crash | Condition::DaemonRestart);
    // What was acknowledged and did not arrive is nobody's any more.
    let half_open = matches!(condition, Condition::DaemonRestart);
    // A call is given up after two minutes, in which the doubling waits that a false answer began may reach nobody.
    let misled = matches!(condition, Condition::Neighbor(NeighborTrouble::False(_)));
    let (content, numbers) = (ahead, ahead);
    Excuses { end, content, numbers, unreachable: true, refused: false, half_open, misled }
}

impl Strikes {
    /// Nothing has happened yet in a run of `scenario`.
    pub(super) fn new(scenario: &Scenario, plan: &FaultPlan) -> Self {
        let number = |name: &str| scenario.hosts.iter().position(|host| host.name == name);
        let named = |target: &str| {
            let nodes = target.split("->").filter_map(|node| node.split('.').next());
            Hosts(nodes.filter_map(number).collect())
        };
        let spans = plan.spans().map(|(target, from, _, condition)| {
            let (hosts, excuses) = (named(target), of_condition(condition));
            Span { from, hosts, excuses }
        });
        let behind = plan.spans().filter_map(|(_, from, until, condition)| match condition {
            Condition::Clock(ClockTrouble::Rate(ppm)) if ppm < 0 => {
                let lasts = until.saturating_since(from).as_nanos();
                Some(lasts / 1_000_000 * u64::from(ppm.unsigned_abs()) + 1_000_000)
            }
            _ => None,
        });
        let flow = |(index, flow): (usize, &FlowSpec)| {
            let ends = [flow.from, flow.to];
            let is_foreign = ends.iter().any(|end| scenario.hosts[*end].stack.foreign().is_some());
            let port = flow.address(index).port();
            Struck { excuses: Excuses::default(), ends, port, is_foreign }
        };
        let at_ends = scenario.links.iter().flat_map(|link| {
            let host = |end: &LinkEnd| match end {
                LinkEnd::Host(host, _) => Some(*host),
                LinkEnd::Switch(_) | LinkEnd::Router(..) => None,
            };
            let hosts = Hosts(link.ends.iter().filter_map(host).collect());
            [hosts.clone(), hosts]
        });
        Self(Rc::new(RefCell::new(Inner {
            general: general(scenario, plan),
            flows: scenario.flows.iter().enumerate().map(flow).collect(),
            directions: at_ends.collect(),
            spans: spans.collect(),
            behind: Duration::from_nanos(behind.sum()),
            counts: scenario.hosts.iter().map(|_| Counts::default()).collect(),
        })))
    }

    /// Getter: where what is counted on a host is told.
    pub(super) fn counts(&self, host: usize) -> Counts {
        self.0.borrow().counts[host].clone()
    }
}

/// Getter: this and that together.
const fn both(a: Excuses, b: Excuses) -> Excuses {
    Excuses {
        end: a.end || b.end,
        content: a.content || b.content,
        numbers: a.numbers || b.numbers,
        unreachable: a.unreachable || b.unreachable,
        refused: a.refused || b.refused,
        half_open: a.half_open || b.half_open,
        misled: a.misled || b.misled,
    }
}

impl Excuse for Strikes {
    fn excuses(&self, flow: usize, at: Instant) -> Excuses {
        let inner = self.0.borrow();
        let Struck { excuses: struck, ends, .. } = inner.flows[flow];
        let mut sum = both(inner.general, struck);
        let at = at + inner.behind;
        for span in inner.spans.iter().filter(|span| span.from <= at && span.hosts.are_of(ends)) {
            sum = both(sum, span.excuses);
        }
        for end in ends {
            sum.end |= inner.counts[end].refused.load(Ordering::Relaxed);
            sum.unreachable |= inner.counts[end].unsent.load(Ordering::Relaxed);
        }
        // Whose bytes may be others may end with them.
        sum.end |= sum.content;
        sum
    }
}

impl Inner {
    /// A decision about a frame excuses the flows of `hosts`.
    fn strike(&mut self, hosts: &Hosts, excuses: Excuses) {
        for flow in &mut self.flows {
            if hosts.are_of(flow.ends) {
                flow.excuses = both(flow.excuses, excuses);
            }
        }
    }

    /// Something was done to `frame` in a direction.
    fn frame(&mut self, direction: DirectionId, frame: &[u8], faults: &[Fault]) {
        let packet = Packet::parse(frame).ok();
        let hosts = self.directions.get(direction.0).cloned().unwrap_or_default();
        let unreachable = Excuses { unreachable: true, ..Excuses::default() };
        let resolves = packet.as_ref().is_none_or(resolves);
        if resolves {
            self.strike(&hosts, unreachable);
        }
        for fault in faults {
            let Some((excuses, from)) = of_fault(*fault) else { continue };
            if matches!(fault, Fault::Corrupt { offset, .. } if *offset < LINK_HEADER || resolves) {
                self.strike(&Hosts::default(), unreachable);
            }
            if excuses == Excuses::default() {
                continue;
            }
            if is_claim(*fault) {
                self.strike(&hosts, excuses);
                continue;
            }
            let segment = packet.as_ref().and_then(|packet| Some((packet.ip()?, packet.tcp()?)));
            let flow = segment.and_then(|(ip, tcp)| {
                let ports = [tcp.source_port, tcp.destination_port];
                let flow = self.flows.iter().position(|flow| ports.contains(&flow.port))?;
                // What stands before the end of the ports says whose segment it is.
                (from as usize >= ip.payload_at + 4).then_some(flow)
            });
            match flow {
                Some(flow) => self.flows[flow].strike(*fault, excuses),
                None => self.strike(&hosts, excuses),
            }
        }
    }
}

impl Struck {
    fn strike(&mut self, fault: Fault, excuses: Excuses) {
        self.excuses = both(self.excuses, excuses);
        // Others believe a reset anywhere in their windows (RFC 5961 3 is Causeway's), and their peer hears of it when it sends.
        let resets = matches!(fault, Fault::Forge(Forgery { kind: ForgeryKind::Rst, .. }));
        self.excuses.half_open |= resets && self.is_foreign;
    }
}

/// Getter: what finds out a station's address.
fn resolves(packet: &Packet<'_>) -> bool {
    match &packet.network {
        Network::Arp(_) => true,
        Network::Ip(_, Transport::Icmp(icmp)) => !icmp.v4 && DISCOVERY.contains(&icmp.kind),
        Network::Ip(..) | Network::Other(_) => false,
    }
}

/// Getter: somebody claims that a neighbour is elsewhere.
const fn is_claim(fault: Fault) -> bool {
    matches!(fault, Fault::Forge(Forgery { kind: ForgeryKind::Neighbor, .. }))
}

/// What a fault excuses, and the first byte of the frame that it changes; `None` for one that changes nothing that anybody believes.
const fn of_fault(fault: Fault) -> Option<(Excuses, u32)> {
    let none = NOTHING;
    match fault {
        Fault::Corrupt { offset, repaired, .. } => {
            let excuses = Excuses { end: repaired, content: repaired, numbers: repaired, ..none };
            Some((excuses, offset))
        }
        Fault::Forge(_) if is_claim(fault) => {
            Some((Excuses { unreachable: true, misled: true, ..none }, u32::MAX))
        }
        // A reset may guess right, and so may a byte; of one that did, the number is what later windows are measured by (SND.WL1, RFC 9293
        // 3.10.7.4), as is that of an acknowledgement ahead of them. It is of the flow of the frame that it follows.
        Fault::Forge(Forgery { kind, ahead }) => {
            let data = matches!(kind, ForgeryKind::Data);
            let acks = matches!(kind, ForgeryKind::Ack | ForgeryKind::AckStorm(_)) && ahead != 0;
            Some((Excuses { end: true, content: data, numbers: data || acks, ..none }, u32::MAX))
        }
        _ => None,
    }
}

impl Tap for Strikes {
    fn sent(&mut self, _: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        match fate {
            Fate::OnWire { faults: [], .. } => {}
            Fate::OnWire { faults, .. } => self.0.borrow_mut().frame(direction, frame, faults),
            Fate::QueueFull | Fate::DroppedEarly | Fate::Swallowed { .. } => {
                self.0.borrow_mut().frame(direction, frame, &[]);
            }
        }
    }

    fn arrived(
        &mut self,
        _: Instant,
        direction: DirectionId,
        _: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let mut inner = self.0.borrow_mut();
        match delivery {
            // What the NIC calls wrong is no address resolution, of which it says nothing.
            Delivery::Received | Delivery::Refused => {}
            Delivery::RingFull => inner.frame(direction, frame, &[]),
            Delivery::Believed => {
                let hosts = inner.directions.get(direction.0).cloned().unwrap_or_default();
                let any = Excuses { end: true, content: true, numbers: true, ..Excuses::default() };
                inner.strike(&hosts, any);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Case, Trial};

    /// Three hosts at a switch; flows from a to b, from c to b, and from c to a.
    const SCENARIO: &str = "host = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
        { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n\
        { name = \"c\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.3/24\"] }] },\n]\n\
        switch = [{ name = \"s\" }]\n\
        link = [{ between = [\"a\", \"s\"] }, { between = [\"b\", \"s\"] }, { between = [\"c\", \"s\"] }]\n\
        flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 20000 }, \
        { kind = \"stream\", from = \"c\", to = \"b\", bytes = 20000, start_ms = 20 }, \
        { kind = \"stream\", from = \"c\", to = \"a\", bytes = 20000, start_ms = 40 }]\n";

    /// What the three flows need not do at the end of a run.
    fn excused(plan: &str) -> [Excuses; 3] {
        let plan: FaultPlan = format!("causeway fault plan 2\n{plan}\n").parse().expect("a plan");
        let case = Case { seed: 1, scenario: SCENARIO.to_owned(), plan, ..Case::default() };
        let trial = Trial::new("case", &case).expect("it is right");
        let strikes = Strikes::new(trial.scenario(), &case.plan);
        let outcome = trial.run(vec![Box::new(strikes.clone())]).expect("what it names is there");
        [0, 1, 2].map(|flow| strikes.excuses(flow, outcome.ended_at))
    }

    const NONE: Excuses = NOTHING;
    const DEAF: Excuses = Excuses { unreachable: true, ..NONE };

    #[test]
    fn a_struck_frame_excuses_its_flow_and_no_other() {
        assert_eq!(excused("drop a->s 9"), [NONE; 3], "a lost segment excuses nothing");
        let end = Excuses { end: true, ..NONE };
        assert_eq!(excused("forge a->s 9 rst 0"), [end, NONE, NONE]);
        assert_eq!(excused("forge a->s 9 ack 0"), [end, NONE, NONE], "with the flow's own number");
        let ahead = Excuses { numbers: true, ..end };
        assert_eq!(excused("forge a->s 9 ack 7"), [ahead, NONE, NONE]);
        let all = Excuses { end: true, content: true, numbers: true, ..NONE };
        assert_eq!(excused("forge a->s 9 data 900000"), [all, NONE, NONE]);
        assert_eq!(excused("corrupt a->s 9 byte 300 xor 0x40 repaired"), [all, NONE, NONE]);
        assert_eq!(excused("corrupt a->s 9 byte 300 xor 0x40"), [NONE; 3], "the checksum tells");
        // Its port is another: it may be a segment of any flow of a.
        assert_eq!(excused("corrupt a->s 9 byte 37 xor 0x40 repaired"), [all, NONE, all]);
        assert_eq!(excused("corrupt a->s 9 byte 11 xor 0x40"), [DEAF; 3], "a switch believes it");
        // Frame 5000 was never sent.
        assert_eq!(excused("forge a->s 5000 rst 0"), [NONE; 3]);
    }

    #[test]
    fn a_forged_reset_may_leave_half_a_connection_where_another_stack_has_an_end() {
        let struck = |is_foreign| {
            let flow = Struck { excuses: NONE, ends: [0, 1], port: 1, is_foreign };
            let of = |kind| {
                let mut flow = flow;
                flow.strike(Fault::Forge(Forgery { kind, ahead: 5 }), NONE);
                flow.excuses.half_open
            };
            [of(ForgeryKind::Rst), of(ForgeryKind::Data)]
        };
        assert_eq!(struck(true), [true, false]);
        assert_eq!(struck(false), [false; 2], "ours asks first");
    }

    #[test]
    fn a_struck_host_excuses_its_flows_and_no_others() {
        assert_eq!(excused("drop c->s 1"), [NONE, DEAF, DEAF], "it asks for an address");
        assert_eq!(excused("pause c 1ms..2ms"), [NONE, DEAF, DEAF]);
        assert_eq!(excused("clock-rate c 1ms..2s -1000ppm"), [NONE; 3]);
        let gone = Excuses { end: true, ..DEAF };
        let plan: FaultPlan =
            "causeway fault plan 2\ncrash c 100ms..200ms\n".parse().expect("a plan");
        let strikes = Strikes::new(&Scenario::parse("x", SCENARIO).expect("it is right"), &plan);
        let at = |ms: u64| strikes.excuses(2, Instant::from_nanos(ms * 1_000_000));
        assert_eq!((at(99), at(100)), (NONE, gone), "not before it begins");
        let slow = "causeway fault plan 2\nclock-rate c 0s..1s -10000ppm\ncrash c 100ms..200ms\n";
        let slow = slow.parse().expect("a plan");
        let slow = Strikes::new(&Scenario::parse("x", SCENARIO).expect("it is right"), &slow);
        let at = |ms: u64| slow.excuses(2, Instant::from_nanos(ms * 1_000_000));
        assert_eq!((at(80), at(99)), (NONE, gone), "by a clock that is slow it was told before");
        assert_eq!(excused("crash c 1ms..200ms"), [NONE, gone, gone]);
        assert_eq!(excused("partition s->a 1ms..2ms"), [DEAF, NONE, DEAF]);
        let misled = Excuses { misled: true, ..DEAF };
        let lie = "false-neighbor s->a 1ms..2ms 02:66:00:00:00:01";
        assert_eq!(excused(lie), [misled, NONE, misled]);
        let claim = Forgery { kind: ForgeryKind::Neighbor, ahead: 5 };
        let told = of_fault(Fault::Forge(claim)).map(|(excuses, _)| excuses.misled);
        assert_eq!(told, Some(true), "one frame is enough");
    }

    #[test]
    fn what_is_counted_is_told_when_it_happens() {
        let plan = "causeway fault plan 2\nno-memory b 3\n".parse().expect("a plan");
        let scenario = Scenario::parse("x", SCENARIO).expect("it is right");
        let strikes = Strikes::new(&scenario, &plan);
        let at = |flow| strikes.excuses(flow, Instant::ZERO);
        assert_eq!([at(0), at(1), at(2)], [NONE; 3], "what may happen excuses nobody");
        strikes.counts(1).refused.store(true, Ordering::Relaxed);
        let end = Excuses { end: true, ..NONE };
        assert_eq!([at(0), at(1), at(2)], [end, end, NONE]);
        strikes.counts(2).unsent.store(true, Ordering::Relaxed);
        assert_eq!([at(0), at(2)], [end, DEAF]);
    }
}
