//! Queues, routes and what meddles with flows, in whole runs.

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
    assert!(early == 0 && marked == 0, "{full} {early} {marked}");
    for queue in [red, codel] {
        let [full, early, marked] = transfer(queue, 0);
        assert!(full == 0 && early > 5 && marked == 0, "{queue}: {full} {early} {marked}");
        let [full, early, marked] = transfer(queue, 1);
        assert!(full == 0 && marked > 5, "{queue}: {early} {marked}");
        assert!(early == 0 || queue == red, "{early}");
    }
}

/// Two hosts behind a router each, and two links between these.
const TWO_PATHS: &str = r#"
host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.1.1/24"] }], route = [{ destination = "0.0.0.0/0", gateway = "10.0.1.254" }] },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.2.2/24"] }], route = [{ destination = "0.0.0.0/0", gateway = "10.0.2.254" }] },
]
router = [
  { name = "r", interface = [{ name = "eth1", addresses = ["10.0.1.254/24"] }, { name = "near", addresses = ["10.0.101.1/24"] }, { name = "far", mtu = 1300, addresses = ["10.0.102.1/24"] }], route = [{ destination = "10.0.2.0/24", gateway = "10.0.101.2" }, { destination = "0.0.0.0/0", gateway = "10.0.102.2" }] },
  { name = "q", interface = [{ name = "eth2", addresses = ["10.0.2.254/24"] }, { name = "near", addresses = ["10.0.101.2/24"] }, { name = "far", mtu = 1300, addresses = ["10.0.102.2/24"] }], route = [{ destination = "10.0.1.0/24", gateway = "10.0.101.1" }, { destination = "0.0.0.0/0", gateway = "10.0.102.1" }] },
]
link = [
  { between = ["a", "r"] },
  { between = ["b", "q"] },
  { between = ["r.near", "q.near"], rate_kbit_s = 20000, delay_us = 1000 },
  { between = ["r.far", "q.far"], rate_kbit_s = 20000, delay_us = 30000 },
]
flow = [{ kind = "stream", from = "a", to = "b", bytes = 2000000 }]
"#;

/// How many frames each direction of the two links between the routers carried.
#[derive(Clone, Debug, Default)]
struct Carried(Rc<RefCell<[usize; 4]>>);

impl Tap for Carried {
    fn sent(&mut self, _: Instant, direction: DirectionId, _: &[u8], _: Fate<'_>) {
        if let Some(link) = direction.0.checked_sub(4) {
            self.0.borrow_mut()[link] += 1;
        }
    }
    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}
}

#[test]
fn a_route_that_changes_in_mid_flow_takes_the_other_path_and_comes_back() {
    let carried = |plan: &str| {
        let plan = format!("causeway fault plan 2\n{plan}").parse().expect("a plan");
        let case = Case { seed: 1, scenario: TWO_PATHS.to_owned(), plan, ..Case::default() };
        let trial = Trial::new("case", &case).expect("it is right");
        let carried = Carried::default();
        let outcome = trial.run(vec![Box::new(carried.clone())]).expect("it is right");
        assert_eq!(outcome.violation, None);
        let again = Case { plan: outcome.executed.clone(), ..case };
        assert_eq!(run(&again).0.hash, outcome.hash);
        *carried.0.borrow()
    };
    let [near, near_back, far, far_back] = carried("");
    assert!(near > 1_000 && near_back > 300 && far + far_back == 0, "{near} {near_back}");
    // Bytes in flight are lost where the MTU is less, and are told of.
    let [near, near_back, far, far_back] = carried("no-route r.near 200ms..400ms\n");
    assert!(near > 300 && far > 100 && near_back > 100 && far_back < 5, "{near} {far} {far_back}");
    let both = "no-route r.near 200ms..30s\nno-route q.near 200ms..30s\n";
    let [near, _, far, far_back] = carried(both);
    assert!(near < 1_000 && far > 500 && far_back > 100, "{near} {far} {far_back}");
}

#[test]
fn everything_on_a_path_together_is_survived_and_its_plan_is_the_same_run() {
    let faults = "hold_ppm = 50000, header_ppm = 20000, join_ppm = 300000, thin_ppm = 400000, \
                  divide_ppm = 200000, ack_storm_ppm = 1000";
    let scenario = format!("{TWO_PATHS}fault = {{ {faults} }}\nrun = {{ heal_ms = 20000 }}\n");
    let spans = "sack-ahead b->q 100ms..300ms 5000\nstripped b->q 300ms..2s sack\n\
                 flap a->r 50ms..1s up 40ms down 5ms\n";
    let plan = format!("causeway fault plan 2\n{spans}").parse().expect("a plan");
    let case = Case { seed: 3, scenario, plan, ..Case::default() };
    let (outcome, _) = run(&case);
    let text = outcome.executed.to_string();
    for verb in ["hold", "corrupt", "join", "thin", "divide", "forge", "flap", "sack-ahead"] {
        assert!(text.lines().any(|line| line.starts_with(verb)), "{verb}");
    }
    let without = case.scenario.replace(&format!("fault = {{ {faults} }}\n"), "");
    let again = Case { scenario: without, plan: outcome.executed.clone(), ..case };
    assert_eq!(run(&again).0.hash, outcome.hash);
}
