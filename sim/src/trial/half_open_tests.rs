//! A peer that was off and on again knows nothing of a connection that the other end still has: half-open (RFC 9293 §3.5.1).

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::Instant;

use super::{Case, Trial};
use crate::packet::{Flags, Network, Packet, Transport};
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// The first flow is the one that is lost; the second, in which b has no part, keeps the run going.
const SCENARIO: &str = r#"host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24", "fd00::1/64"] }], tcp = { keepalive_idle_ms = 500 } },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24", "fd00::2/64"] }] },
  { name = "c", interface = [{ name = "eth0", addresses = ["10.0.0.3/24", "fd00::3/64"] }] },
]
switch = [{ name = "s" }]
link = [
  { between = ["a", "s"], rate_kbit_s = 10000, delay_us = 1000 },
  { between = ["b", "s"], rate_kbit_s = 10000, delay_us = 1000 },
  { between = ["c", "s"], rate_kbit_s = 10000, delay_us = 1000 },
]
flow = [
  { kind = "stream", FLOW, bytes = 5000000, start_ms = 3000, VERSION },
  { kind = "stream", from = "a", to = "c", bytes = 8000000, start_ms = 3000 },
]
run = { heal_ms = 6000 }
"#;
/// Directions: from a, to a, from b, to b.
const ENDS: [DirectionId; 4] = [DirectionId(0), DirectionId(1), DirectionId(2), DirectionId(3)];
/// From here on b is back.
const BACK: Instant = Instant::from_nanos(4_800_000_000);

/// A segment of the first flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    arrived: bool,
    from_a: bool,
    seq: u32,
    ack: u32,
    reset: bool,
    acks: bool,
}

/// Those after b is back, in order.
#[derive(Clone, Debug, Default)]
struct Segments(Rc<RefCell<Vec<Seen>>>);

impl Segments {
    fn add(&self, at: Instant, direction: DirectionId, frame: &[u8], arrived: bool) {
        let [from_a, to_a, from_b, to_b] = ENDS;
        let ends = if arrived { [to_b, to_a] } else { [from_a, from_b] };
        if !ends.contains(&direction) {
            return;
        }
        let packet = Packet::parse(frame).expect("it can be read");
        let Network::Ip(_, Transport::Tcp(tcp)) = &packet.network else { return };
        if at < BACK || ![tcp.source_port, tcp.destination_port].contains(&10_000) {
            return;
        }
        self.0.borrow_mut().push(Seen {
            arrived,
            from_a: direction == ends[0],
            seq: tcp.seq,
            ack: tcp.ack,
            reset: tcp.flags.has(Flags::RST),
            acks: tcp.flags.has(Flags::ACK),
        });
    }
}

impl Tap for Segments {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        self.add(at, direction, frame, false);
    }

    fn arrived(&mut self, at: Instant, direction: DirectionId, _: u64, frame: &[u8], _: Delivery) {
        self.add(at, direction, frame, true);
    }
}

fn run(flow: &str, version: &str) -> Vec<Seen> {
    let scenario = SCENARIO.replace("FLOW", flow).replace("VERSION", version);
    let plan = "causeway fault plan 2\ncrash b 4500ms..4800ms\n".parse().expect("a plan");
    let case = Case { seed: 9, failed: None, scenario, plan };
    let trial = Trial::new("case", &case).expect("it is right");
    let segments = Segments::default();
    let outcome = trial.run(vec![Box::new(segments.clone())]).expect("it is right");
    assert_eq!(outcome.violation, None, "{flow} {version}");
    segments.0.take()
}

#[test]
fn who_lost_its_state_answers_with_a_reset_and_the_other_end_is_over() {
    // In the first, a has data to send; in the second it only waits for what b sent, and keeps asking whether that is there.
    let (ours, theirs) = ("from = \"a\", to = \"b\"", "from = \"b\", to = \"a\"");
    for (flow, version) in [(ours, "ipv6 = false"), (ours, "ipv6 = true"), (theirs, "ipv6 = false")]
    {
        let seen = run(flow, version);
        let asked = seen.iter().position(|one| one.from_a && one.arrived).expect("a asks");
        assert!(seen[..asked].iter().all(|one| one.from_a), "b says nothing by itself");
        let question = seen[asked];
        assert!(question.acks && !question.reset, "{flow} {version} {question:?}");
        let answer = seen[asked..].iter().find(|one| !one.from_a).expect("b answers");
        // A segment with ACK: the number that it acknowledges, and no ACK (RFC 9293 3.10.7.1).
        let right = answer.reset && !answer.acks && answer.seq == question.ack;
        assert!(right, "{flow} {version} {question:?} {answer:?}");
        let told = seen.iter().position(|one| !one.from_a && one.arrived).expect("it arrives");
        let after: Vec<_> = seen[told..].iter().filter(|one| one.from_a && !one.arrived).collect();
        assert!(after.is_empty(), "{flow} {version}: a goes on: {after:?}");
    }
}
