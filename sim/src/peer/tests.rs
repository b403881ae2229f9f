//! The textbook's host and Causeway, in both roles, over links that lose, repeat, reorder and damage.

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

const PAIRS: [[&str; 2]; 3] =
    [["causeway", "textbook"], ["textbook", "causeway"], ["textbook", "textbook"]];

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
