//! Runs over NICs that do much for their stacks, and some of it wrong.

use causeway_core::time::Instant;

use super::{Case, Outcome, Trial};
use crate::fault::{Decision, Event, FaultPlan};
use crate::packet::Packet;
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// Two hosts with every capability, in a VLAN that one of them tags itself, and flows of each kind.
const SCENARIO: &str = r#"host = [
  { name = "a", interface = [{ name = "eth0", vlan = VLAN, addresses = ["10.0.0.1/24", "fd00::1/64"] }], nic = { NIC } },
  { name = "b", interface = [{ name = "eth0", vlan = VLAN, addresses = ["10.0.0.2/24", "fd00::2/64"] }], nic = { NIC, vlan = true } },
]
link = [{ between = ["a", "b"], rate_kbit_s = 100000, delay_us = 1000 }]
flow = [
  { kind = "stream", from = "a", to = "b", bytes = 600000, reply_bytes = 200000 },
  { kind = "stream", from = "b", to = "a", bytes = 300000, ipv6 = true, start_ms = 3000 },
  { kind = "message", from = "a", to = "b", bytes = 16000, reply_bytes = 100, count = 5 },
  { kind = "datagram", from = "b", to = "a", bytes = 1000, reply_bytes = 1000, count = 5 },
]
"#;
const ABLE: &str = "tx_checksum = true, rx_checksum = true, tso_bytes_max = 40000, lro = true, \
                    tx_segments = 7, rx_buffer = 1000, burst = 64";

fn scenario(nic: &str, vlan: bool, faults: &str) -> String {
    let text = SCENARIO.replace("NIC", nic);
    let text = if vlan { text.replace("VLAN", "5") } else { text.replace("vlan = VLAN, ", "") };
    format!("{text}{faults}")
}

fn run(scenario: String, plan: FaultPlan, taps: Vec<Box<dyn Tap>>) -> Outcome {
    let case = Case { seed: 7, failed: None, scenario, plan };
    let trial = Trial::new("case", &case).expect("the scenario is right");
    trial.run(taps).expect("the plan names what exists")
}

/// Every frame is one that a plain NIC could have sent.
#[derive(Debug)]
struct Plain {
    tagged: bool,
    frame_bytes_max: usize,
}

impl Tap for Plain {
    fn sent(&mut self, _: Instant, _: DirectionId, frame: &[u8], _: Fate<'_>) {
        let packet = Packet::parse(frame).expect("it can be read");
        assert!(packet.checksums_right());
        assert_eq!(packet.link.vlan, self.tagged.then_some(5));
        assert!(frame.len() <= self.frame_bytes_max, "{}", frame.len());
    }

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

#[test]
fn what_nics_do_is_not_seen_on_the_wire_nor_by_programs() {
    for (nic, tagged) in [(ABLE, true), (ABLE, false), ("burst = 64", true)] {
        let frame_bytes_max = if tagged { 1_518 } else { 1_514 };
        let taps: Vec<Box<dyn Tap>> = vec![Box::new(Plain { tagged, frame_bytes_max })];
        let outcome = run(scenario(nic, tagged, ""), FaultPlan::new(), taps);
        assert_eq!(outcome.violation, None, "{nic} {tagged}");
        assert!(outcome.executed.is_empty());
    }
}

#[test]
fn what_nics_do_wrong_is_a_plan_that_repeats_the_run() {
    let faults = "fault = { corrupt_ppm = 20000, sum_unknown_ppm = 200000, sum_bad_ppm = 20000, \
                  odd_cut_ppm = 300000, greedy_join_ppm = 300000, short_burst_ppm = 50000 }\n";
    let spans = "causeway fault plan 2\ntx-stalled a.eth0 5ms..20ms\nno-buffers b.eth0 8ms..12ms\n\
                 late-completion a.eth0 20ms..60ms 3ms\nrx-ring b.eth0 30ms..50ms 3\n\
                 coalesced a.eth0 15ms..90ms 700us\ncoalesced b.eth0 1ms..300ms 900us\n";
    let spans: FaultPlan = spans.parse().expect("a plan");
    let first = run(scenario(ABLE, false, faults), spans.clone(), Vec::new());
    assert_eq!(first.violation, None);
    let counted = |wanted: Event| {
        let decisions = first.executed.decisions();
        decisions
            .filter(|d| matches!(d, Decision::Counted { event, .. } if *event == wanted))
            .count()
    };
    for event in [Event::SumUnknown, Event::SumBad, Event::OddCut, Event::GreedyJoin] {
        assert!(counted(event) > 0, "{event:?} does not happen");
    }
    assert_eq!(first.executed.spans().count(), 6);
    let plan = first.executed.to_string().parse().expect("what is printed is a plan");
    let again = run(scenario(ABLE, false, ""), plan, Vec::new());
    assert_eq!((again.hash, again.executed.len()), (first.hash, first.executed.len()));
    let without: FaultPlan = spans.decisions().skip(1).cloned().collect();
    assert_ne!(run(scenario(ABLE, false, faults), without, Vec::new()).hash, first.hash);
}

#[test]
fn a_checksum_that_a_nic_calls_right_excuses_content_and_one_that_it_calls_wrong_does_not() {
    let nic = "rx_checksum = true";
    let spoiled = |more: &str| {
        let plan = format!("causeway fault plan 2\ncorrupt a->b 60 byte 300 xor 0x10\n{more}");
        run(scenario(nic, false, ""), plan.parse().expect("a plan"), Vec::new())
    };
    let plain = spoiled("");
    assert_eq!(plain.violation, None);
    let believed = spoiled("sum-good b.eth0 1\n");
    assert_eq!(believed.violation, None, "what comes of it is excused");
    assert_eq!(believed.executed.len(), 2, "it was done");
    assert_ne!(believed.hash, plain.hash);
    assert_eq!(spoiled("sum-bad b.eth0 40\n").violation, None, "it is a loss");
}
