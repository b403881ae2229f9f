//! Oracle O9: what long transfers make of a bottleneck, seen where it begins.
//!
//! Judged is the time in which every flow has something to send: from a while after the last one began to the first one's FIN. What
//! passes the bottleneck arrives, so that the same bytes in it once more are a copy that nobody needed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use causeway_core::time::Instant;

use crate::link::wire_bytes;
use crate::packet::{Flags, Network, Packet, Transport};
use crate::scenario::{OracleSpec, Scenario};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::workload::Violation;

/// The shortest span that says something, in round trips of the bottleneck's own link.
const ROUNDS_MIN: u64 = 20;

/// One flow through the bottleneck.
#[derive(Debug, Default)]
struct Flow {
    first: u32,
    /// The next number that never passed, as an offset.
    highest: u64,
    /// Ranges below it that were dropped.
    dropped: Vec<(u64, u64)>,
    /// New bytes in the time that is judged.
    bytes: u64,
}

#[derive(Debug)]
struct State {
    spec: OracleSpec,
    direction: DirectionId,
    rate_bps: u64,
    round_trip_ns: u64,
    begins_at: Instant,
    last_at: Option<Instant>,
    over: bool,
    /// Of new bytes with their headers, in the time that is judged.
    useful_wire_bytes: u64,
    /// The first copy that nobody needed.
    copy: Option<(Instant, String)>,
    flows: BTreeMap<(SocketAddr, SocketAddr), Flow>,
}

/// The judge. Clones share their state: one goes to the world, the other is asked.
#[derive(Clone, Debug)]
pub(super) struct Bottleneck(Rc<RefCell<State>>);

impl Bottleneck {
    /// A judge, where the scenario asks for one.
    pub(super) fn new(scenario: &Scenario) -> Option<Self> {
        let spec = scenario.oracle?;
        let (link, side) = spec.bottleneck;
        let physics = &scenario.links[link].physics;
        let last = scenario.flows.iter().map(|flow| flow.starts_at).max()?;
        let delays = physics[0].delay + physics[1].delay;
        Some(Self(Rc::new(RefCell::new(State {
            spec,
            // The directions of a link follow each other, as links do.
            direction: DirectionId(2 * link + side),
            rate_bps: physics[side].rate_bps,
            round_trip_ns: delays.as_nanos(),
            begins_at: last + spec.settle,
            last_at: None,
            over: false,
            useful_wire_bytes: 0,
            copy: None,
            flows: BTreeMap::new(),
        }))))
    }

    /// Output: what was not reached.
    pub(super) fn finish(&self) -> Option<Violation> {
        let state = self.0.borrow();
        let spec = state.spec;
        let violation = |signature: &str, at, words| {
            Some(Violation { signature: signature.to_owned(), at, words })
        };
        if let Some((at, words)) = &state.copy {
            return violation("O9.copy", *at, words.clone());
        }
        let at = state.last_at.unwrap_or(state.begins_at);
        let span_ns = at.saturating_since(state.begins_at).as_nanos();
        if span_ns < ROUNDS_MIN * state.round_trip_ns.max(1) {
            let words = "the transfers are too short to be judged: give more bytes".to_owned();
            return violation("O9.short", at, words);
        }
        let could = u128::from(state.rate_bps) * u128::from(span_ns) / 8_000_000_000;
        let percent = (u128::from(state.useful_wire_bytes) * 100 / could.max(1)) as u32;
        if percent < spec.use_percent {
            let words =
                format!("{percent} % of the bottleneck are used, {} % are due", spec.use_percent);
            return violation("O9.use", at, words);
        }
        let shares: Vec<u128> = state.flows.values().map(|flow| u128::from(flow.bytes)).collect();
        let fairness = jain_percent(&shares);
        if fairness < spec.fairness_percent {
            let words = format!(
                "Jain's index of {shares:?} bytes is {fairness} %, {} % are due",
                spec.fairness_percent
            );
            return violation("O9.fairness", at, words);
        }
        None
    }
}

/// Jain's index in percent: the square of the sum through the count times the sum of the squares.
fn jain_percent(shares: &[u128]) -> u32 {
    let sum: u128 = shares.iter().sum();
    let squares: u128 = shares.iter().map(|share| share * share).sum();
    (100 * sum * sum / (shares.len() as u128 * squares).max(1)) as u32
}

impl State {
    fn judges(&self, at: Instant) -> bool {
        !self.over && at >= self.begins_at
    }

    fn segment(&mut self, at: Instant, packet: &Packet<'_>, dropped: bool) {
        let Network::Ip(ip, Transport::Tcp(tcp)) = &packet.network else { return };
        let key: (SocketAddr, SocketAddr) =
            ((ip.source, tcp.source_port).into(), (ip.destination, tcp.destination_port).into());
        if tcp.flags.has(Flags::SYN) {
            let first = tcp.seq.wrapping_add(1);
            if self.flows.get(&key).is_none_or(|flow| flow.first != first) {
                self.flows.insert(key, Flow { first, ..Flow::default() });
            }
            return;
        }
        let judges = self.judges(at);
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let len = packet.payload().len() as u64;
        let near = tcp.seq.wrapping_sub(flow.first).wrapping_sub(flow.highest as u32);
        let from = flow.highest.saturating_add_signed(i64::from(near.cast_signed()));
        let fresh = flow.pass(from, from + len, dropped);
        if fresh > 0 && judges && !dropped {
            flow.bytes += fresh;
            self.useful_wire_bytes += wire_bytes(packet.frame().len());
            self.last_at = Some(at);
        }
        if len > 0 && fresh == 0 && judges && !dropped {
            let words =
                || format!("{} to {}: {from} .. {} passed before", key.0, key.1, from + len);
            self.copy.get_or_insert_with(|| (at, words()));
        }
        self.over |= tcp.flags.has(Flags::FIN);
    }
}

impl Flow {
    /// Input: a segment passes, or is dropped. Returns how many of its bytes never passed before.
    fn pass(&mut self, from: u64, end: u64, dropped: bool) -> u64 {
        let mut fresh = end.saturating_sub(from.max(self.highest));
        let beyond = (from.max(self.highest), end);
        self.highest = self.highest.max(end);
        if dropped {
            if fresh > 0 {
                self.dropped.push(beyond);
            }
            return 0;
        }
        let mut rest = Vec::new();
        for (a, b) in self.dropped.drain(..) {
            let (low, high) = (a.max(from), b.min(end));
            if low >= high {
                rest.push((a, b));
                continue;
            }
            fresh += high - low;
            rest.extend([(a, low), (high, b)].into_iter().filter(|(a, b)| a < b));
        }
        self.dropped = rest;
        fresh
    }
}

impl Tap for Bottleneck {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        let mut state = self.0.borrow_mut();
        if direction == state.direction
            && let Ok(packet) = Packet::parse(frame)
        {
            state.segment(at, &packet, fate.is_lost());
        }
    }

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Case, Outcome, Trial};

    fn run(link: &str, flows: &str, oracle: &str, tcp: &str) -> Outcome {
        let host = |name: &str, octet: u8| {
            format!(
                "{{ name = \"{name}\", interface = [{{ name = \"eth0\", addresses = \
                 [\"10.0.0.{octet}/24\"] }}], tcp = {{ {tcp} }} }}, "
            )
        };
        let scenario = format!(
            "host = [{}{}]\nlink = [{{ between = [\"a\", \"b\"], {link} }}]\nflow = [{flows}]\n\
             oracle = {{ bottleneck = \"a->b\", {oracle} }}\n",
            host("a", 1),
            host("b", 2)
        );
        let case = Case { seed: 1, scenario, ..Case::default() };
        let trial = Trial::new("case", &case).expect("the scenario is right");
        trial.run(Vec::new()).expect("the plan is empty")
    }

    fn signature(outcome: &Outcome) -> Option<&str> {
        outcome.violation.as_ref().map(|violation| violation.signature.as_str())
    }

    const FLOW: &str = "{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 4000000 }, ";
    const LINK: &str =
        "rate_kbit_s = 10000, delay_us = 10000, queue = \"drop-tail\", queue_frames = 20";

    #[test]
    fn a_long_transfer_fills_the_bottleneck_with_what_is_new() {
        for algorithm in ["cubic", "reno", "bbr", "dctcp"] {
            let tcp = format!("congestion = \"{algorithm}\"");
            let outcome = run(LINK, FLOW, "settle_ms = 600", &tcp);
            assert_eq!(outcome.violation, None, "{algorithm}");
        }
    }

    #[test]
    fn equal_flows_share_it() {
        let oracle = "settle_ms = 1000, fairness_percent = 95";
        let outcome = run(LINK, &FLOW.repeat(2), oracle, "congestion = \"reno\"");
        assert_eq!(outcome.violation, None);
    }

    #[test]
    fn what_does_not_reach_it_is_found() {
        // A window of 64 KiB does not fill a path of 250,000 bytes.
        let long = "rate_kbit_s = 10000, delay_us = 100000, queue = \"drop-tail\"";
        let outcome = run(long, FLOW, "settle_ms = 2000", "window_scaling = false");
        assert_eq!(signature(&outcome), Some("O9.use"), "{:?}", outcome.violation);
        let outcome = run(LINK, FLOW, "settle_ms = 60000", "");
        assert_eq!(signature(&outcome), Some("O9.short"), "{:?}", outcome.violation);
        // Nobody shares to the byte.
        let outcome = run(LINK, &FLOW.repeat(2), "fairness_percent = 100", "congestion = \"reno\"");
        assert_eq!(signature(&outcome), Some("O9.fairness"), "{:?}", outcome.violation);
    }

    #[test]
    fn the_index_is_jains() {
        assert_eq!(jain_percent(&[10, 10]), 100);
        assert_eq!(jain_percent(&[10, 0]), 50);
        assert_eq!(jain_percent(&[1, 2, 3]), 85);
    }

    #[test]
    fn a_copy_of_what_passed_is_no_new_byte_and_what_was_dropped_is_one() {
        let mut flow = Flow::default();
        assert_eq!(flow.pass(0, 100, false), 100);
        assert_eq!(flow.pass(100, 300, true), 0);
        assert_eq!(flow.pass(300, 400, false), 100);
        assert_eq!(flow.pass(150, 250, false), 100);
        assert_eq!(flow.pass(150, 250, false), 0);
        assert_eq!(flow.pass(0, 350, false), 100);
        assert_eq!(flow.pass(0, 400, false), 0);
    }
}
