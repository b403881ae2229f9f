//! Runs in which hosts are misled about where their neighbours are, and have to find out.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::{Duration, Instant};

use super::{Case, Outcome, Trial};
use crate::packet::{Network, Packet, Transport};
use crate::tap::{Delivery, DirectionId, Fate, Tap};

const SCENARIO: &str = r#"host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24", "fd00::1/64"] }] },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24", "fd00::2/64"] }] },
]
link = [{ between = ["a", "b"], rate_kbit_s = 10000, delay_us = 2000 }]
flow = [{ kind = "stream", from = "a", to = "b", bytes = 100000, start_ms = 3000, VERSION }]
run = { heal_ms = 8000 }
"#;

/// Segments that host a sends: to whom, and when the last one of each; and whether it has sent a FIN to the right station.
#[derive(Debug, Default)]
struct Sent {
    right: u32,
    wrong: u32,
    first_wrong: Option<Instant>,
    finished: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
struct Stations(Rc<RefCell<Sent>>);

impl Tap for Stations {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        let packet = Packet::parse(frame).expect("it can be read");
        let Network::Ip(_, Transport::Tcp(tcp)) = &packet.network else { return };
        if direction != DirectionId(0) {
            return;
        }
        let sent = &mut *self.0.borrow_mut();
        if packet.link.destination != [2, 0, 10, 0, 0, 2] {
            sent.wrong += 1;
            sent.first_wrong.get_or_insert(at);
            return;
        }
        sent.right += 1;
        if tcp.flags.has(crate::packet::Flags::FIN) {
            sent.finished.get_or_insert(at);
        }
    }

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

fn run(v6: bool, plan: &str) -> (Outcome, Sent) {
    let version = if v6 { "ipv6 = true" } else { "ipv6 = false" };
    let scenario = SCENARIO.replace("VERSION", version);
    let plan = format!("causeway fault plan 2\n{plan}\n").parse().expect("a plan");
    let case = Case { seed: 4, failed: None, scenario, plan };
    let trial = Trial::new("case", &case).expect("it is right");
    let stations = Stations::default();
    let outcome = trial.run(vec![Box::new(stations.clone())]).expect("it is right");
    assert_eq!(outcome.violation, None, "{version} {:?}", case.plan);
    assert_eq!(outcome.executed, case.plan, "it was done");
    let again = trial.run(Vec::new()).expect("it is right");
    assert_eq!(again.hash, outcome.hash);
    let sent = stations.0.take();
    (outcome, sent)
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

#[test]
fn who_was_told_another_station_finds_the_right_one_when_the_truth_is_told() {
    for v6 in [false, true] {
        let (_, sent) = run(v6, "false-neighbor b->a 0s..4s 02:66:00:00:00:01");
        assert!(sent.wrong > 1 && sent.first_wrong < Some(at(4_000)), "{v6} {sent:?}");
        // What was an answer is believed for half a minute; then it is confirmed by nobody, and everybody is asked.
        let finished = sent.finished.expect("everything was sent");
        assert!(at(30_000) < finished && finished < at(110_000), "{v6} {sent:?}");
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_found_out_soon() {
    for v6 in [false, true] {
        let (_, sent) = run(v6, "forge b->a 20 neighbor 7");
        assert!(sent.wrong > 0 && sent.right > 70, "{v6} {sent:?}");
        let (wrong, finished) = (sent.first_wrong, sent.finished);
        let took = finished.expect("it was sent").saturating_since(wrong.expect("it was sent"));
        // Three questions to a station that is not there, or five seconds and three; and what the sender's timer adds.
        assert!(took > Duration::from_secs(2) && took < Duration::from_secs(20), "{v6} {took}");
    }
}

#[test]
fn a_neighbor_that_is_silent_or_late_is_waited_for() {
    for v6 in [false, true] {
        let (_, prompt) = run(v6, "");
        let (_, silent) = run(v6, "silent-neighbor b->a 2900ms..4500ms");
        let (_, late) = run(v6, "late-neighbor b->a 2900ms..8s 1200ms");
        let finished = [prompt, silent, late].map(|sent| {
            assert_eq!(sent.wrong, 0, "{v6}");
            sent.finished.expect("everything was sent")
        });
        let [prompt, silent, late] = finished;
        assert!(prompt < at(3_500), "{v6} {prompt}");
        assert!(at(4_500) < silent && silent < at(9_000), "{v6} {silent}");
        assert!(at(4_200) < late && late < at(9_000), "{v6} {late}");
    }
}

#[test]
fn one_that_never_answers_ends_the_flow() {
    for v6 in [false, true] {
        let (outcome, sent) = run(v6, "silent-neighbor b->a 0s..3600s");
        assert_eq!((sent.right, sent.wrong), (0, 0), "{v6}");
        // The programs are told when three questions have no answer, and end.
        assert!(outcome.ended_at < at(3_600_000 + 700_000), "{v6} {}", outcome.ended_at);
    }
}
