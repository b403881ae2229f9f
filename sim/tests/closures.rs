//! Rust functions as programs of a scenario: judged, repeated and drawn around as any program is.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use causeway_client::{Channel, RecvError, Wait};
use causeway_core::time::Duration;
use causeway_sim::guest;
use causeway_sim::swarm::{Around, Cases};
use causeway_sim::trial::{Case, Outcome, Trial};

const SCENARIO: &str = r#"
host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }], machnet = { retries_max = 64, syn_attempts_max = 16 } },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }], machnet = { retries_max = 64, syn_attempts_max = 16 } },
]
link = [{ between = ["a", "b"], delay_us = 500 }]
program = [
  { name = "server", host = "b", kind = "closure", background = true },
  { name = "client", host = "a", kind = "closure", start_ms = 1 },
]
run = { heal_ms = 1000, limit_s = 60 }
"#;

const PING: &[u8] = b"ping";

fn serve() -> i32 {
    let channel = Channel::attach().unwrap();
    channel.listen_messages("10.0.0.2:7000".parse().unwrap()).unwrap();
    let mut buffer = [0; 64];
    loop {
        match channel.recv(&mut buffer, Wait::Forever) {
            // Who asked may be gone meanwhile.
            Ok((len, flow)) => {
                let _ = channel.send(flow, &[&buffer[..len]], Wait::Forever);
            }
            Err(RecvError::Ended { .. }) => {}
            Err(_) => return 0,
        }
    }
}

fn ask(count: u32) -> i32 {
    let channel = Channel::attach().unwrap();
    let server = "10.0.0.2:7000".parse().unwrap();
    let flow = channel.connect_messages(None, server, Wait::Forever).unwrap();
    let mut buffer = [0; 64];
    for _ in 0..count {
        channel.send(flow, &[PING], Wait::Forever).unwrap();
        let (len, _) = channel.recv(&mut buffer, Wait::Forever).unwrap();
        if &buffer[..len] != PING {
            return 3;
        }
        guest::sleep(Duration::from_millis(10));
    }
    0
}

fn case(seed: u64) -> Case {
    let plan = "causeway fault plan 2\ndrop a->b 4\ndrop b->a 5\n".parse().unwrap();
    Case { seed, failed: None, scenario: SCENARIO.to_owned(), plan }
}

/// A run with this client.
fn run(case: &Case, client: impl Fn() -> i32 + Send + Sync + 'static) -> Outcome {
    let trial = Trial::new("case", case).unwrap();
    trial.with_program("server", serve).with_program("client", client).run(Vec::new()).unwrap()
}

fn signature(outcome: &Outcome) -> &str {
    outcome.violation.as_ref().map_or("none", |violation| &violation.signature)
}

#[test]
fn a_closure_is_judged_by_what_it_returns_and_equal_seeds_give_equal_runs() {
    let first = run(&case(1), || ask(20));
    assert_eq!((signature(&first), first.executed.len()), ("none", 2));
    assert_eq!(run(&case(1), || ask(20)).hash, first.hash);
    assert_ne!(run(&case(2), || ask(20)).hash, first.hash);
    assert_ne!(run(&case(1), || ask(21)).hash, first.hash);
    assert_eq!(signature(&run(&case(1), || 7)), "O3.exit.client.7");
    let panics = run(&case(1), || panic!("seven"));
    let violation = panics.violation.unwrap();
    assert_eq!(violation.signature, "O3.panic.client");
    assert_eq!(violation.words, "program client failed: seven");
    let late = run(&case(1), || {
        guest::sleep(Duration::from_secs(100));
        0
    });
    assert_eq!(signature(&late), "O7.unfinished");
}

#[test]
fn what_nobody_gave_and_what_nobody_asked_for_are_errors() {
    let trial = Trial::new("case", &case(1)).unwrap().with_program("server", serve);
    let error = trial.run(Vec::new()).unwrap_err().to_string();
    assert!(
        error.starts_with("program client: its kind is closure, and nobody gave one"),
        "{error}"
    );
    let trial = trial.with_program("client", || 0).with_program("other", || 0);
    let error = trial.run(Vec::new()).unwrap_err().to_string();
    assert!(
        error.starts_with("program other: the scenario has no program of this name"),
        "{error}"
    );
}

#[test]
fn a_crash_of_its_host_starts_a_lasting_closure_again() {
    let plan = "causeway fault plan 2\ncrash a 50ms..60ms\n".parse().unwrap();
    let scenario = SCENARIO.replace("start_ms = 1 }", "start_ms = 1, restart = true }");
    let case = Case { scenario, plan, ..case(1) };
    let starts = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&starts);
    let outcome = run(&case, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        // Of a host that is gone no channel is to be had, and what it says of a call that fails counts for nothing.
        std::panic::catch_unwind(|| ask(20)).unwrap_or(0)
    });
    assert_eq!(signature(&outcome), "none", "{:?}", outcome.violation);
    assert_eq!(starts.load(Ordering::Relaxed), 2);
}

#[test]
fn around_closures_a_swarm_draws_what_goes_wrong_and_nothing_is_broken() {
    let cases = Cases::Around(Arc::new(Around::new("closures.toml", SCENARIO).unwrap()));
    let mut hashes = BTreeSet::new();
    let mut decisions = 0;
    for seed in 0..40 {
        let case = cases.case(seed);
        let outcome = run(&case, || ask(20));
        assert_eq!(signature(&outcome), "none", "seed {seed}: {:?}", outcome.violation);
        assert_eq!(run(&case, || ask(20)).hash, outcome.hash, "seed {seed}");
        hashes.insert(outcome.hash);
        decisions += outcome.executed.len();
    }
    assert!(hashes.len() > 30 && decisions > 10, "{} runs, {decisions} decisions", hashes.len());
}
