//! Captures of runs of our own, taken at both hosts by clocks that differ, become cases whose runs suffer the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::runs::{HOSTS, KERNEL, Shared, captured};
use super::super::tests::{ACK, Made, SYN, mutated, pcap};
use super::*;
use crate::explain::{Explain, Outputs};
use crate::fault::FaultPlan;
use crate::scenario::{FlowKind, Scenario};
use crate::trial::{Case, Trial};

fn imported(files: &[Vec<u8>; 2]) -> Imported {
    let input = |name, file| Input { name, bytes: file };
    import(&[input("A.pcap", &files[0]), input("B.pcap", &files[1])]).expect("it can be imported")
}

/// Decisions about frames by verb, without ARP's.
fn kinds(plan: &FaultPlan) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    for decision in plan.decisions() {
        let text = decision.to_string();
        let verb = text.split(' ').next().unwrap_or_default().to_owned();
        *kinds.entry(verb).or_default() += 1;
    }
    kinds
}

/// A scenario as the text of a case has it.
fn barred(rest: &str) -> String {
    format!("{HOSTS}{rest}").lines().map(|line| format!("| {line}\n")).collect()
}

const STREAM: &str = "flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 400000, reply_bytes = 30000 }]\n";

/// What the tests draw: kinds that leave a trace at both ends, and delays long enough for others to overtake.
const FAULTS: &str = "fault = { loss_ppm = 15000, duplicate_ppm = 8000, reorder_ppm = 8000, \
    reorder_us_max = 30000, corrupt_ppm = 4000, mark_ppm = 5000, truncate_ppm = 3000, split_ppm = 3000 }\n";

/// Decisions about frames: direction and verb, and the frame.
fn places(plan: &FaultPlan) -> Vec<((String, String), u64)> {
    let words = plan.decisions().map(|decision| {
        let text = decision.to_string();
        let words: Vec<&str> = text.split(' ').collect();
        let frame = words[2].parse().expect("a decision about a frame");
        ((words[0].to_owned(), words[1].to_owned()), frame)
    });
    words.collect()
}

#[test]
fn a_capture_of_our_own_run_becomes_a_case_that_suffers_the_same_at_the_same_places() {
    let (mut found, mut all) = (0, 0);
    for seed in 1..=12 {
        let (outcome, files) = captured(seed, &format!("{STREAM}{FAULTS}"), "", seed % 2 == 0);
        let made = imported(&files);
        assert_eq!(made.outcome.violation, None, "seed {seed}:\n{made}");
        let counts: [u64; 2] = [made.found.values().sum(), made.executed.values().sum()];
        assert_eq!(counts[0], counts[1], "seed {seed}: all is done:\n{made}");
        assert!(counts[0] >= 10, "seed {seed}:\n{made}");
        let (before, after) = (kinds(&outcome.executed), kinds(&made.outcome.executed));
        for verb in ["drop", "duplicate", "delay", "corrupt", "mark", "truncate", "split"] {
            let count = |kinds: &BTreeMap<String, u64>| kinds.get(verb).copied().unwrap_or(0);
            // A frame with two of them shows one, ARP none, and what is cut to nothing is lost.
            assert!(count(&before).abs_diff(count(&after)) <= 3, "seed {seed}, {verb}:\n{made}");
        }
        let ours = places(&made.outcome.executed);
        for (what, frame) in places(&outcome.executed) {
            all += 1;
            let same =
                |(other, at): &((String, String), u64)| *other == what && at.abs_diff(frame) <= 2;
            found += usize::from(ours.iter().any(same));
        }
    }
    assert!(found * 100 >= all * 85, "{found} of {all} at their places");
}

#[test]
fn hosts_link_and_flows_are_described_as_they_were() {
    let hosts = "flow = [\n\
        { kind = \"request\", from = \"b\", to = \"a\", bytes = 300, reply_bytes = 4000, count = 7, start_ms = 40 },\n\
        { kind = \"stream\", from = \"a\", to = \"b\", bytes = 50000, reply_bytes = 0, start_ms = 1000 },\n]\n";
    let (_, files) =
        captured(3, hosts, "mss-clamp a->b 0s..10s 1000\nstrip b->a 3 sack-permitted\n", true);
    let made = imported(&files);
    let scenario = Scenario::parse("x", &made.case.scenario).expect("it can be read");
    let flows: Vec<_> = scenario
        .flows
        .iter()
        .map(|f| (f.kind, f.from, f.to, f.bytes, f.reply_bytes, f.count))
        .collect();
    let (request, stream) = (FlowKind::Request, FlowKind::Stream);
    let expected = [(request, 1, 0, 300, 4_000, 7), (stream, 0, 1, 50_000, 0, 10)];
    assert_eq!(flows, expected, "{made}");
    // The first SYN waited for an address; the second one did not.
    let later = scenario.flows[1].starts_at.saturating_since(scenario.flows[0].starts_at);
    assert!((950..=960).contains(&later.as_millis()), "{made}");
    let physics = scenario.links[0].physics[0];
    assert!((19_000_000..=21_000_000).contains(&physics.rate_bps), "{made}");
    // Without the 34 us that the least frame takes at this rate.
    assert!((2_980..=3_020).contains(&physics.delay.as_micros()), "{made}");
    assert_eq!((made.found["mss-clamp"], made.executed["mss-clamp"]), (2, 2), "{made}");
    let clamp = |line: &str| line.starts_with("mss-clamp a->b 0s..") && line.ends_with(" 1000");
    assert!(made.case.to_string().lines().any(clamp), "{}", made.case);
    assert_eq!(
        (made.found.get("strip"), made.executed.get("strip")),
        (Some(&1), Some(&1)),
        "{made}"
    );
    assert!(made.notes.iter().any(|note| note.contains("77.123457 s ahead")), "{made}");
}

#[test]
fn one_file_with_both_hosts_interfaces_is_enough_and_has_no_case_of_its_own() {
    let case: Case =
        format!("causeway fault plan 2\nseed 5\n{}drop a->b 20\nmark a->b 30\n", barred(STREAM))
            .parse()
            .expect("a case");
    let trial = Trial::new("case", &case).expect("the scenario is right");
    let file = Shared::default();
    let outputs = Outputs { pcapng: Some(Box::new(file.clone())), ..Outputs::default() };
    let explain = Explain::new(&case, &trial, outputs).expect("memory");
    let outcome = trial.run(explain.taps()).expect("it runs");
    explain.finish(&outcome).expect("memory");
    let file = file.0.take();
    let made = import(&[Input { name: "run.pcapng", bytes: &file }]).expect("it can be imported");
    assert_eq!(places(&made.outcome.executed), places(&outcome.executed), "{}", made.case);
}

#[test]
fn what_cannot_be_imported_is_told() {
    let (_, files) = captured(1, STREAM, "", true);
    let error = |a: &[u8], b: &[u8]| {
        let inputs = [Input { name: "A", bytes: a }, Input { name: "B", bytes: b }];
        import(&inputs).expect_err("it cannot be").to_string()
    };
    let header = &files[0][..24];
    assert!(error(header, &files[1]).starts_with("no packet of TCP or UDP is in both captures"));
    assert!(error(b"abcd", &files[1]).starts_with("A: this is neither a pcap nor a pcapng file"));
    let one = import(&[Input { name: "A", bytes: &files[0] }]).expect_err("one place").to_string();
    assert!(
        one.starts_with("the traffic has to be captured at two places, and there are 1"),
        "{one}"
    );
}

#[test]
fn a_capture_of_two_kernels_becomes_a_case_with_everything_that_was_done_between_them() {
    let [a, b] = KERNEL;
    let made = import(&[Input { name: "A", bytes: a }, Input { name: "B", bytes: b }]);
    let made = made.expect("it can be imported");
    let expected = BTreeMap::from([("corrupt", 1), ("delay", 2), ("drop", 5), ("duplicate", 1)]);
    assert_eq!((&made.found, &made.executed), (&expected, &expected), "{}", made.case);
    assert_eq!(made.outcome.violation, None);
    let text = made.case.to_string();
    let flow = "kind = \"request\", bytes = 90000, reply_bytes = 3000, count = 1, start_ms = 1 }";
    assert!(text.contains(flow), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let behind = |words: &str| {
        let at = lines.iter().position(|line| line.contains(words));
        at.and_then(|at| lines.get(at + 1)).copied().unwrap_or_default()
    };
    assert!(behind("SYN of the server of flow 1, number 1").starts_with("drop b->a "), "{text}");
    assert!(behind("byte 24616 of the client of flow 1").starts_with("drop a->b "), "{text}");
    assert!(behind("byte 63712 of the client of flow 1").ends_with("byte 110 xor 0x10"), "{text}");
}

#[test]
fn numbers_far_from_each_other_are_no_long_stream() {
    let (a, b) = ((1, 4_000), (2, 80));
    let made = [
        Made::new(a, b, (9, 0), SYN),
        Made::new(b, a, (7, 10), SYN | ACK),
        Made::new(a, b, (10, 8), ACK).data(300),
        Made::new(a, b, (10 + (1 << 29), 8), ACK).data(300),
    ];
    let file = |by: u64| {
        let packet = |(at, m): (usize, &Made)| (at as u64 * 1_000_000 + by, m.ip(), m.ip().len());
        pcap(101, true, false, &made.iter().enumerate().map(packet).collect::<Vec<_>>())
    };
    let made = imported(&[file(0), file(50_000)]);
    assert!(made.case.scenario.contains("bytes = 600, reply_bytes = 0"), "{}", made.case);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_pair_of_files_makes_the_import_panic(a in mutated(), b in mutated()) {
        let inputs = [Input { name: "A", bytes: &a }, Input { name: "B", bytes: &b }];
        if let Ok(made) = import(&inputs) {
            prop_assert!(made.case.to_string().parse::<Case>().is_ok());
            // A panic of the run is caught and told.
            let panicked = made.outcome.violation.as_ref().is_some_and(|v| v.signature.contains("O13"));
            prop_assert!(!panicked, "{}", made);
        }
    }
}
