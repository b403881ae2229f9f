//! Hosts with two NICs: which of a case's hosts are in a second network too, and what goes wrong there.

use causeway_core::time::{Duration, Instant};

use super::draw::Draw;
use super::foreign::Foreign;
use crate::fault::{Condition, Decision, FaultPlan};

/// Who is in the second network and how, which flows go over it, and what is so for a while have streams of their own.
const PART_SHAPE: u64 = 34;
const PART_FLOWS: u64 = 35;
const PART_SPANS: u64 = 36;

/// Cases in a hundred that have such hosts, where two of their hosts can be.
const PERCENT: u64 = 12;

/// The second NIC of each host.
const SECOND: [&str; 4] = ["a.eth1", "b.eth1", "c.eth1", "d.eth1"];
/// The first one of each.
const FIRST: [&str; 4] = ["a.eth0", "b.eth0", "c.eth0", "d.eth0"];
/// The switch of the second network, where it has one of its own.
const SWITCH: &str = "t";

/// What connects the second NICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wires {
    /// A cable between two.
    Cable,
    /// A switch of their own.
    Apart,
    /// The switch `s` to which the first NICs are connected: two networks on one link.
    Shared,
}

/// The second network of a case. Without hosts there is none.
#[derive(Debug)]
pub(super) struct Homes {
    seed: u64,
    /// By their places, in order.
    hosts: Vec<usize>,
    wires: Wires,
    flows: Draw,
}

impl Homes {
    /// That of the case of `seed`, which has so many hosts. `star`: their first NICs are connected to the switch `s`. A host with another
    /// stack has one NIC only.
    pub(super) fn new(seed: u64, hosts: usize, foreign: Option<Foreign>, star: bool) -> Self {
        let mut draw = Draw::new(seed, PART_SHAPE);
        let mut able: Vec<usize> = (0..hosts).collect();
        able.retain(|host| foreign.is_none_or(|(at, _)| at != *host));
        let drawn = draw.chance(PERCENT) && able.len() > 1;
        if able.len() > 2 && draw.chance(50) {
            able.remove(draw.stream.below(able.len() as u64) as usize);
        }
        let wires = match (able.len(), star) {
            (_, true) if draw.chance(40) => Wires::Shared,
            (2, _) if draw.chance(60) => Wires::Cable,
            _ => Wires::Apart,
        };
        let hosts = if drawn { able } else { Vec::new() };
        Self { seed, hosts, wires, flows: Draw::new(seed, PART_FLOWS) }
    }

    /// Output: the second interface of a host, as it stands behind the first one in its list.
    pub(super) fn interface(&self, host: usize, mtu: u64) -> String {
        if !self.hosts.contains(&host) {
            return String::new();
        }
        let octet = host + 1;
        format!(
            ", {{ name = \"eth1\", mtu = {mtu}, \
             addresses = [\"10.1.0.{octet}/24\", \"fd01::{octet}/64\"] }}"
        )
    }

    /// Getter: the network's own switch, where it has one.
    pub(super) fn switch(&self) -> Option<&'static str> {
        (self.wires == Wires::Apart && !self.hosts.is_empty()).then_some(SWITCH)
    }

    /// Getter: the ends of its links, a host's first.
    pub(super) fn links(&self) -> Vec<(&'static str, &'static str)> {
        let to = |end| self.hosts.iter().map(move |host| (SECOND[*host], end)).collect();
        match (self.wires, self.hosts.as_slice()) {
            (_, []) => Vec::new(),
            (Wires::Cable, [one, other, ..]) => vec![(SECOND[*one], SECOND[*other])],
            (Wires::Cable | Wires::Apart, _) => to(SWITCH),
            (Wires::Shared, _) => to("s"),
        }
    }

    /// Output: what a flow between two hosts says of the interface at which it arrives.
    pub(super) fn flow(&mut self, from: usize, to: usize) -> &'static str {
        let second = self.flows.chance(50);
        let both = self.hosts.contains(&from) && self.hosts.contains(&to);
        if both && second { ", interface = \"eth1\"" } else { "" }
    }

    /// Getter: the second NICs.
    pub(super) fn nics(&self) -> impl Iterator<Item = &'static str> {
        self.hosts.iter().map(|host| SECOND[*host])
    }

    /// Command: what is so for a while, all of it over after `heal_ms`: one NIC of two is down, or something is wrong with a link of the
    /// second network.
    pub(super) fn draw_spans(&self, plan: &mut FaultPlan, heal_ms: u64) {
        let mut draw = Draw::new(self.seed, PART_SPANS);
        let count = if draw.chance(30) { 0 } else { draw.between(1, 3) };
        for _ in 0..count {
            if self.hosts.is_empty() {
                return;
            }
            let host = draw.of(&self.hosts);
            let (near, far) = draw.of(&self.links());
            let direction =
                if draw.chance(50) { format!("{near}->{far}") } else { format!("{far}->{near}") };
            let (condition, target) = match draw.stream.below(8) {
                0..=2 => (Condition::NoCarrier, SECOND[host].to_owned()),
                3 => (Condition::NoCarrier, FIRST[host].to_owned()),
                4 | 5 => (Condition::Partition, direction),
                6 => {
                    let delay = Duration::from_micros(draw.magnitude(1, 200_000));
                    (Condition::Latency(delay), direction)
                }
                _ => (Condition::Rate(draw.magnitude(50_000, 1_000_000_000)), direction),
            };
            let from = draw.stream.below(heal_ms);
            let until = draw.between(from + 1, heal_ms);
            let at = |ms| Instant::ZERO + Duration::from_millis(ms);
            let (from, until) = (at(from), at(until));
            plan.push(Decision::Span { target, from, until, condition });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{LinkEnd, Scenario, StackKind};
    use crate::swarm::draw;

    #[test]
    fn hosts_with_two_nics_are_drawn_with_flows_over_each_and_faults_of_each() {
        let (mut cases, mut over, mut down, mut wires) = (0, [0; 2], [0; 2], [0; 3]);
        for seed in 0..2_000 {
            let case = draw(seed);
            let scenario = Scenario::parse("case", &case.scenario).expect("it is right");
            let two = |host: &usize| scenario.hosts[*host].nics.len() == 2;
            let hosts: Vec<usize> = (0..scenario.hosts.len()).filter(two).collect();
            if hosts.is_empty() {
                assert!(!case.scenario.contains("eth1\"") || !scenario.routers.is_empty());
                continue;
            }
            cases += 1;
            assert!(hosts.len() > 1, "the network of one host");
            assert!(hosts.iter().all(|host| scenario.hosts[*host].stack == StackKind::Causeway));
            for flow in scenario.flows.iter().filter(|flow| flow.from != flow.to) {
                let interfaces = scenario.hosts[flow.to].config.interfaces();
                let has = |nic: usize| {
                    let mut own = interfaces[nic].addresses().iter();
                    own.any(|own| own.addr() == flow.server.ip())
                };
                over[usize::from(!has(0))] += 1;
            }
            for (target, _, until, condition) in case.plan.spans() {
                assert!(until <= scenario.rules.heal_at);
                if condition == Condition::NoCarrier {
                    down[usize::from(target.ends_with(".eth1"))] += 1;
                }
            }
            let seconds = scenario.links.iter().flat_map(|link| link.ends.map(|end| (link, end)));
            let (link, _) = seconds
                .into_iter()
                .find(|(_, end)| matches!(end, LinkEnd::Host(_, 1)))
                .expect("the second NICs are connected");
            let wire = link.ends.iter().find_map(|end| match end {
                LinkEnd::Switch(at) => Some(scenario.switches[*at].name.as_str()),
                LinkEnd::Host(..) | LinkEnd::Router(..) => None,
            });
            wires[wire.map_or(0, |name| 1 + usize::from(name == "s"))] += 1;
        }
        assert!((150..300).contains(&cases), "{cases} of 2000, and an eighth was to be");
        assert!(over.iter().all(|count| *count > 100), "{over:?}");
        assert!(down.iter().all(|count| *count > 20), "{down:?}");
        assert!(wires.iter().all(|count| *count > 10), "{wires:?}");
    }
}
