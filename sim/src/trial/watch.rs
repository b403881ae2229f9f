//! The rules of the wire, judged at the hosts of a run.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::tcp::MtuProbing;
use causeway_core::tcp::congestion::Algorithm;
use causeway_core::time::{Duration, Instant};

use crate::fault::{Condition, FaultPlan};
use crate::link::Queue;
use crate::packet::Packet;
use crate::rules::{HostRules, WireRules};
use crate::scenario::{HostSpec, LinkEnd, Scenario};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::workload::Violation;
use crate::world::{HostId, World};

/// Bits of a full frame and what is around it on the wire, jumbo frames included.
const FRAME_BITS: u64 = 9_038 * 8;

/// Feeds the judge. Clones share it: one goes to the world, the other is asked.
#[derive(Clone)]
pub(super) struct Watch {
    rules: Rc<RefCell<WireRules>>,
    /// By direction: the host that sends, and the host that receives.
    ends: Vec<[Option<usize>; 2]>,
}

impl Watch {
    /// A judge of the hosts of `scenario`, whose world this is.
    pub(super) fn new(scenario: &Scenario, plan: &FaultPlan, world: &World) -> Self {
        let hosts = (0..scenario.hosts.len()).map(|host| rules_of(scenario, plan, host));
        let number = |host: Option<HostId>| host.map(|host| host.0);
        let ends = (0..world.lanes().len()).map(DirectionId);
        let ends = ends.map(|id| [number(world.sender_of(id)), number(world.receiver_of(id))]);
        let rules = Rc::new(RefCell::new(WireRules::new(hosts.collect())));
        Self { rules, ends: ends.collect() }
    }

    /// Output: the first rule that was broken in a run that is over at `at`.
    pub(super) fn finish(&self, at: Instant, hosts: &[HostSpec]) -> Option<Violation> {
        let mut rules = self.rules.borrow_mut();
        rules.finish(at);
        let first = rules.violations().first()?;
        let signature = first.rule.id.to_owned();
        let words = format!("host {}: {first}", hosts[first.host].name);
        Some(Violation { signature, at: first.at, words })
    }
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
        mac: (interfaces.len() == 1).then(|| interfaces[0].mac().0),
        mtu_probing: tcp.mtu_probing() != MtuProbing::Off,
        keepalive: tcp.keepalive(),
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
    nanos += spec.granularity.as_nanos() + 4 * scenario.faults.host.late_max.as_nanos();
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
        if is_ours
            && matches!(condition, Condition::Pause | Condition::NoCarrier | Condition::Crash)
        {
            nanos += until.saturating_since(from).as_nanos();
        }
    }
    Duration::from_nanos(nanos)
}

impl Tap for Watch {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        let Some(host) = self.ends[direction.0][0] else { return };
        let mut rules = self.rules.borrow_mut();
        match Packet::parse(frame) {
            Ok(packet) => rules.sent(at, host, &packet),
            Err(error) => rules.malformed(at, host, error),
        }
    }

    fn injected(&mut self, _: Instant, _: DirectionId, _: &[u8], _: Fate<'_>) {}

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        _: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let Some(host) = self.ends[direction.0][1] else { return };
        if delivery == Delivery::Received
            && let Ok(packet) = Packet::parse(frame)
        {
            self.rules.borrow_mut().received(at, host, &packet);
        }
    }

    fn restarted(&mut self, _: Instant, host: HostId) {
        self.rules.borrow_mut().restarted(host.0);
    }
}
