//! Polled programs over channels.

use crate::trial::{Case, Outcome, Trial};

fn host(name: &str, octet: u8, channel: &str) -> String {
    format!(
        "{{ name = \"{name}\", interface = [{{ name = \"eth0\", addresses = \
         [\"10.0.0.{octet}/24\"] }}], port = \"channel\", machnet = {{ msg_max = 16384 }}, \
         channel = {{ {channel} }} }}, "
    )
}

const SMALL: &str = "streams_max = 8, ring_entries = 16, chunk_bytes = 4096, tx_bytes = 65536, \
                     rx_bytes = 65536, rx_window_bytes = 65536, commands_per_step = 1";

const FLOWS: &str = r#"
  { kind = "stream", from = "a", to = "b", bytes = 400000, reply_bytes = 90000 },
  { kind = "request", from = "b", to = "a", bytes = 3000, reply_bytes = 20000, count = 8 },
  { kind = "message", from = "a", to = "b", bytes = 16000, reply_bytes = 9000, count = 12 },
  { kind = "datagram", from = "b", to = "a", bytes = 4000, count = 15 },
  { kind = "stream", from = "a", to = "a", bytes = 200000 },
"#;

/// A case of hosts a and b with channels, over a link that loses.
pub(super) fn case(seed: u64, channel: &str, flows: &str, plan: &str) -> Case {
    let scenario = format!(
        "host = [{}{}]\nlink = [{{ between = [\"a\", \"b\"], rate_kbit_s = 100000 }}]\n\
         flow = [{flows}]\nrun = {{ heal_ms = 2000 }}\n",
        host("a", 1, channel),
        host("b", 2, channel)
    );
    let plan = format!("causeway fault plan 2\n{plan}").parse().expect("it is a plan");
    Case { seed, scenario, plan, ..Case::default() }
}

pub(super) fn run(case: &Case) -> Outcome {
    let trial = Trial::new("case", case).expect("the scenario is right");
    trial.run(Vec::new()).expect("the plan names what exists")
}

#[test]
fn all_that_programs_do_goes_over_channels_and_nothing_is_left_of_it() {
    let losses: String = (5..60).step_by(5).map(|n| format!("drop a->b {n}\n")).collect();
    for channel in ["", SMALL] {
        let case = case(1, channel, FLOWS, &losses);
        let outcome = run(&case);
        assert_eq!(outcome.violation, None, "{channel}");
        assert_eq!(run(&case).hash, outcome.hash, "equal cases are equal runs");
        assert!(outcome.frames > 500, "{}", outcome.frames);
    }
}

#[test]
fn programs_of_a_host_that_comes_back_have_channels_again() {
    let flows = FLOWS.replace("count = 8", "count = 8, start_ms = 900");
    let outcome = run(&case(2, SMALL, &flows, "crash a 30ms..600ms\n"));
    assert_eq!(outcome.violation, None);
    assert!(outcome.frames > 100, "{}", outcome.frames);
}

/// What goes wrong on host a, and how often, in the executed plan.
fn executed(outcome: &Outcome, verb: &str) -> usize {
    outcome.executed.decisions().filter(|d| d.to_string().starts_with(verb)).count()
}

#[test]
fn late_bells_and_full_rings_excuse_nothing_that_has_begun() {
    let bells: String = (30..90).map(|n| format!("late-bell a {n} by 700us\n")).collect();
    let plan = format!("{bells}stall a 40ms..300ms\nstall b 350ms..600ms\n");
    let outcome = run(&case(3, SMALL, FLOWS, &plan));
    assert_eq!(outcome.violation, None);
    assert_eq!(["late-bell", "stall"].map(|verb| executed(&outcome, verb)), [60, 2]);
    let calm = run(&case(3, SMALL, FLOWS, ""));
    assert_eq!(calm.violation, None);
    // As much is done as without, and later.
    assert!(outcome.frames * 10 > calm.frames * 9, "{} and {}", outcome.frames, calm.frames);
    assert!(outcome.ended_at > calm.ended_at);
}

#[test]
fn who_gets_no_channel_asks_again() {
    let attaches: String = (1..9).map(|n| format!("no-channel b {n} for {}\n", n + 50)).collect();
    // The server of a stream is too late for its client, that of datagrams has no client that waits.
    let outcome = run(&case(3, SMALL, FLOWS, &attaches));
    assert_eq!(outcome.violation, None);
    assert!(executed(&outcome, "no-channel") >= 4, "{}", outcome.executed);
    // Whoever begins on b waits for a channel, and goes on then.
    assert!(outcome.frames > 200, "{}", outcome.frames);
}

#[test]
fn a_program_that_is_not_what_it_was_harms_no_other() {
    for (line, numbers) in [
        ("dies a N with 7N", 1..25),
        ("hangs a N", 1..25),
        ("scribbles a N with 31N", 1..80),
        ("lost-bell a N", 1..25),
    ] {
        for number in numbers {
            let plan = line.replace('N', &number.to_string());
            let outcome = run(&case(4, SMALL, FLOWS, &plan));
            assert_eq!(outcome.violation, None, "{plan}");
            assert_eq!(outcome.executed.len(), 1, "{plan}");
        }
    }
}

#[test]
fn programs_live_on_when_their_daemon_is_another() {
    let flows = FLOWS.replace("count = 8", "count = 8, start_ms = 900");
    let outcome = run(&case(5, SMALL, &flows, "daemon-restart a 30ms..200ms\n"));
    assert_eq!(outcome.violation, None);
    // The requests began afterwards, at a server that waits again.
    let with = outcome.frames;
    let without = flows.lines().filter(|line| !line.contains("request")).collect::<String>();
    let outcome = run(&case(5, SMALL, &without, "daemon-restart a 30ms..200ms\n"));
    assert!(with > outcome.frames + 100, "{with} and {}", outcome.frames);
}

#[test]
fn a_plan_about_channels_that_are_not_there_is_refused() {
    let mut case = case(6, SMALL, FLOWS, "dies b 3 with 1\n");
    let (a, b) = case.scenario.split_once("name = \"b\"").expect("it has a b");
    case.scenario = format!("{a}name = \"b\"{}", b.replacen("\"channel\"", "\"polled\"", 1));
    let trial = Trial::new("case", &case).expect("the scenario is right");
    let error = trial.run(Vec::new()).expect_err("b has no channels").to_string();
    assert!(error.starts_with("`dies b 3 with 1`: host b needs port"), "{error}");
}
