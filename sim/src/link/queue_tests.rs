//! Managed queues in whole runs.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::Instant;

use crate::fault::Fault;
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::trial::{Case, Outcome, Trial};

/// Frames that did not fit, were dropped early, and were marked.
#[derive(Clone, Debug, Default)]
struct Fates(Rc<RefCell<[usize; 3]>>);

impl Tap for Fates {
    fn sent(&mut self, _: Instant, _: DirectionId, _: &[u8], fate: Fate<'_>) {
        let counts = &mut *self.0.borrow_mut();
        match fate {
            Fate::QueueFull => counts[0] += 1,
            Fate::DroppedEarly => counts[1] += 1,
            Fate::OnWire { faults: [Fault::Mark], .. } => counts[2] += 1,
            Fate::OnWire { .. } | Fate::Swallowed { .. } => {}
        }
    }
    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

fn run(case: &Case) -> (Outcome, [usize; 3]) {
    let fates = Fates::default();
    let trial = Trial::new("case", case).expect("it is right");
    let outcome = trial.run(vec![Box::new(fates.clone())]).expect("it is right");
    assert_eq!(outcome.violation, None);
    let counts = *fates.0.borrow();
    (outcome, counts)
}

/// 4 MB over 10 Mbit/s and a round trip of 20 ms, through `queue`.
fn transfer(queue: &str, ecn: u8) -> [usize; 3] {
    let host = |name: &str, octet: u8| {
        format!(
            "{{ name = \"{name}\", interface = [{{ name = \"eth0\", addresses = \
             [\"10.0.0.{octet}/24\"] }}], tcp = {{ ecn = {ecn} }} }}, "
        )
    };
    let scenario = format!(
        "host = [{}{}]\nlink = [{{ between = [\"a\", \"b\"], rate_kbit_s = 10000, \
         delay_us = 10000, {queue}, queue_frames = 200 }}]\n\
         flow = [{{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 4000000 }}]\n",
        host("a", 1),
        host("b", 2)
    );
    let case = Case { seed: 1, scenario, ..Case::default() };
    let (outcome, counts) = run(&case);
    let again = Case { plan: outcome.executed.clone(), ..case };
    assert!(again.plan.is_empty(), "what a queue does is no decision");
    assert_eq!(run(&again).0.hash, outcome.hash);
    counts
}

#[test]
fn managed_queues_drop_before_they_are_full_and_mark_what_can_be_marked() {
    let red = "queue = \"red\", red = { weight_shift = 5, ecn = true }";
    let codel = "queue = \"codel\", codel = { ecn = true }";
    let [full, early, marked] = transfer("queue = \"drop-tail\"", 1);
    assert!(early == 0 && marked == 0 && full > 0, "{full} {early} {marked}");
    for queue in [red, codel] {
        let [full, early, marked] = transfer(queue, 0);
        assert!(full == 0 && early > 5 && marked == 0, "{queue}: {full} {early} {marked}");
        let [_, early, marked] = transfer(queue, 1);
        assert!(marked > 5 && early < marked, "{queue}: {early} {marked}");
    }
}
