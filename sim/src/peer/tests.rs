//! The textbook's host, smoltcp and Causeway, in both roles, over links that lose, repeat, reorder and damage.

use crate::trial::{Case, Outcome, Trial};

fn run(seed: u64, stacks: [&str; 2], flows: &str, rest: &str) -> Outcome {
    let host = |name: &str, octet: u8, stack: &str| {
        format!(
            "{{ name = \"{name}\", stack = \"{stack}\", interface = [{{ name = \"eth0\", \
             addresses = [\"10.0.0.{octet}/24\"] }}] }}, "
        )
    };
    let scenario = format!(
        "host = [{}{}]\nlink = [{{ between = [\"a\", \"b\"], delay_us = 900 }}]\nflow = [{flows}]\n{rest}",
        host("a", 1, stacks[0]),
        host("b", 2, stacks[1])
    );
    let case = Case { seed, scenario, ..Case::default() };
    let trial = Trial::new("case", &case).expect("the scenario is right");
    trial.run(Vec::new()).expect("the plan is empty")
}

const PAIRS: [[&str; 2]; 6] = [
    ["causeway", "textbook"],
    ["textbook", "causeway"],
    ["textbook", "textbook"],
    ["causeway", "smoltcp"],
    ["smoltcp", "causeway"],
    ["smoltcp", "textbook"],
];

const FLOWS: &str = "{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 60000 }, \
     { kind = \"stream\", from = \"b\", to = \"a\", bytes = 1, reply_bytes = 40000 }, \
     { kind = \"stream\", from = \"a\", to = \"b\", bytes = 0 }, \
     { kind = \"request\", from = \"b\", to = \"a\", bytes = 3000, reply_bytes = 700, count = 4 }, \
     { kind = \"request\", from = \"a\", to = \"b\", bytes = 1, reply_bytes = 20000, count = 2 }, ";

#[test]
fn everything_arrives_over_a_clean_link() {
    for stacks in PAIRS {
        let outcome = run(1, stacks, FLOWS, "");
        assert_eq!(outcome.violation, None, "{stacks:?}");
        assert!(outcome.frames > 200, "{stacks:?}: {} frames", outcome.frames);
    }
}

#[test]
fn everything_arrives_over_a_bad_link() {
    let faults = "fault = { loss_ppm = 50000, duplicate_ppm = 20000, reorder_ppm = 50000, \
                  corrupt_ppm = 20000, syn_loss_ppm = 200000, fin_loss_ppm = 200000, \
                  split_ppm = 20000, truncate_ppm = 5000 }\nrun = { heal_ms = 5000 }\n";
    for stacks in PAIRS {
        for seed in 1..12 {
            let outcome = run(seed, stacks, FLOWS, faults);
            assert_eq!(outcome.violation, None, "{stacks:?}, seed {seed}");
            assert_eq!(run(seed, stacks, FLOWS, faults).hash, outcome.hash);
        }
    }
}

#[test]
fn what_goes_wrong_with_another_stack_is_named_after_it() {
    let never = "run = { limit_s = 3 }\n";
    let flow = "{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 90000000 }";
    for stack in ["textbook", "smoltcp"] {
        // In three seconds none of them is done, Causeway over this slow link as little.
        let slow = format!("{never}fault = {{ loss_ppm = 300000 }}\n");
        let outcome = run(1, ["causeway", stack], flow, &slow);
        let violation = outcome.violation.expect("it is not done");
        assert_eq!(violation.signature, format!("O5.{stack}.O7.unfinished"));
        let both = format!("with Causeway in place of {stack}: O7.unfinished");
        assert!(violation.words.contains(&both), "{}", violation.words);
    }
    let outcome = run(
        1,
        ["causeway", "causeway"],
        flow,
        &format!("{never}fault = {{ loss_ppm = 300000 }}\n"),
    );
    assert_eq!(outcome.violation.map(|one| one.signature).as_deref(), Some("O7.unfinished"));
}

#[test]
fn smoltcp_is_another_after_a_restart_and_leaves_nothing() {
    let plan = "causeway fault plan 2\ncrash b 20ms..900ms\n";
    let scenario = "host = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
        { name = \"b\", stack = \"smoltcp\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n\
        ]\nlink = [{ between = [\"a\", \"b\"], rate_kbit_s = 5000 }]\n\
        flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 200000 }, \
        { kind = \"stream\", from = \"b\", to = \"a\", bytes = 9, start_ms = 1500 }]\n";
    let case = Case {
        seed: 4,
        plan: plan.parse().expect("a plan"),
        scenario: scenario.to_owned(),
        ..Case::default()
    };
    let run =
        || Trial::new("case", &case).expect("it is right").run(Vec::new()).expect("b is there");
    let outcome = run();
    assert_eq!(outcome.violation, None);
    assert_eq!(outcome.hash, run().hash);
}

#[test]
fn behind_a_router_smoltcp_sends_what_every_path_carries() {
    let scenario = "host = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }], \
          route = [{ destination = \"0.0.0.0/0\", gateway = \"10.0.0.254\" }] },\n\
        { name = \"b\", stack = \"smoltcp\", interface = [{ name = \"eth0\", addresses = [\"10.0.1.1/24\"] }], \
          route = [{ destination = \"0.0.0.0/0\", gateway = \"10.0.1.254\" }] },\n]\n\
        router = [{ name = \"r\", interface = [{ name = \"eth0\", mtu = 700, addresses = [\"10.0.0.254/24\"] }, \
          { name = \"eth1\", addresses = [\"10.0.1.254/24\"] }] }]\n\
        link = [{ between = [\"a\", \"r\"] }, { between = [\"r\", \"b\"] }]\n\
        flow = [{ kind = \"stream\", from = \"b\", to = \"a\", bytes = 50000, reply_bytes = 50000 }]\n";
    let case = Case { seed: 4, scenario: scenario.to_owned(), ..Case::default() };
    let outcome = Trial::new("case", &case).expect("it is right").run(Vec::new()).expect("no plan");
    assert_eq!(outcome.violation, None);
}
