//! Captures with Machnet, UDP and ICMP.

use std::collections::BTreeMap;

use super::super::runs::{HOSTS, captured, captured_between};
use super::*;
use crate::scenario::{FlowKind, Scenario};

fn imported(files: &[Vec<u8>; 2]) -> Result<Imported, ImportError> {
    let input = |name, file| Input { name, bytes: file };
    import(&[input("A.pcap", &files[0]), input("B.pcap", &files[1])])
}

/// Machnet's messages there and back, and datagrams back only.
const PARCELS: &str = "flow = [\n\
    { kind = \"message\", from = \"a\", to = \"b\", bytes = 4000, reply_bytes = 500, count = 30 },\n\
    { kind = \"datagram\", from = \"b\", to = \"a\", bytes = 300, count = 60, start_ms = 5 },\n]\n";

const FAULTS: &str = "fault = { loss_ppm = 40000, duplicate_ppm = 15000, reorder_ppm = 15000, \
    reorder_us_max = 20000, mark_ppm = 10000 }\n";

/// [`HOSTS`] with these keys of Machnet. The link is slow: its packets take longer than what counts as congestion by default.
fn hosts(machnet: &str) -> String {
    HOSTS.replace("] }] }", &format!("] }}], machnet = {{ {machnet} }} }}"))
}

const UPSTREAM: &str = "extended = false";
const EXTENDED: &str = "extended = true, target_us = 20000";

#[test]
fn conversations_over_udp_become_flows_that_suffer_the_same() {
    let (mut found, mut done) = (0, 0);
    for (seed, profile) in (1..=8).zip([UPSTREAM, EXTENDED].into_iter().cycle()) {
        let rest = format!("{PARCELS}{FAULTS}");
        let (_, files) = captured_between(&hosts(profile), seed, &rest, "", true);
        let made = imported(&files).expect("both directions are there");
        assert_eq!(made.outcome.violation, None, "seed {seed}:\n{made}");
        let scenario = Scenario::parse("x", &made.case.scenario).expect("it can be read");
        let flows: Vec<_> = scenario
            .flows
            .iter()
            .map(|f| (f.kind, f.from, f.to, f.bytes, f.reply_bytes, f.count))
            .collect();
        let message = (FlowKind::Message, 0, 1, 4_000, 500, 30);
        let datagram = (FlowKind::Datagram, 1, 0, 300, 0, 60);
        let both = flows.contains(&message) && flows.contains(&datagram);
        assert!(both && flows.len() == 2, "seed {seed}: {flows:?}\n{made}");
        let spoke = made.case.scenario.matches(&profile[..15]).count();
        assert_eq!(spoke, 2, "seed {seed}: {}", made.case.scenario);
        let skipped = made.read.iter().map(|read| read.skipped.udp).sum::<u64>();
        assert_eq!((skipped, made.read[0].segments), (0, 0), "{made}");
        for verb in ["drop", "duplicate", "delay"] {
            assert!(made.found.contains_key(verb), "seed {seed}, {verb}:\n{made}");
        }
        found += made.found.values().sum::<u64>();
        done += made.executed.values().sum::<u64>();
    }
    assert!(done * 100 >= found * 90, "{done} of {found}");
}

#[test]
fn the_third_datagram_is_lost_again_and_so_is_a_packet_of_a_message() {
    let plan = "drop b->a 9\ndrop a->b 8\nduplicate a->b 12 after 2ms\n";
    let (outcome, files) = captured_between(&hosts(UPSTREAM), 1, PARCELS, plan, true);
    let made = imported(&files).expect("both directions are there");
    let text = made.case.to_string();
    let kinds = BTreeMap::from([("drop", 2), ("duplicate", 1)]);
    assert_eq!((&made.found, &made.executed), (&kinds, &kinds), "{text}");
    let lines = |plan: &crate::fault::FaultPlan, from: &str| {
        let lines = plan.decisions().map(ToString::to_string);
        lines.filter(|line| line.contains(from)).collect::<Vec<_>>()
    };
    // What b sends are datagrams and acknowledgements, of which there may be one less before.
    let from_a = |outcome: &crate::trial::Outcome| lines(&outcome.executed, " a->b ");
    assert_eq!(from_a(&made.outcome), from_a(&outcome), "{text}");
    assert_eq!(lines(&made.outcome.executed, "drop b->a ").len(), 1, "{text}");
    for expected in [
        ": datagram of the client of flow 2, number 5\ndrop b->a ",
        ": packet 2 of the client of flow 1, number 1\ndrop a->b 8\n",
        ": packet 4 of the client of flow 1, number 1\nduplicate a->b 12 after 2ms\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

const STREAM: &str =
    "flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 60000, reply_bytes = 0 }]\n";

#[test]
fn a_path_that_its_host_was_told_of_carries_no_more_in_the_case_either() {
    let (_, files) = captured(1, STREAM, "mtu a->b 0s..10s 900 told\n", true);
    let made = imported(&files).expect("it can be imported");
    let text = made.case.to_string();
    let narrow = |line: &str| line.starts_with("mtu a->b 0s..") && line.ends_with(" 900 told");
    assert_eq!(text.lines().filter(|line| narrow(line)).count(), 1, "{text}");
    assert!(made.found["drop"] > 0 && made.found == made.executed, "{made}");
    assert!(!text.lines().any(|line| line.starts_with("drop ")), "the path does it: {text}");
    assert!(made.to_string().contains("a was told that its path carries 900 bytes"), "{made}");
    assert_eq!(made.outcome.violation, None);
    assert!(made.read[0].reports > 0 && made.read[1].reports == 0, "{made}");
}

#[test]
fn news_that_nobody_is_there_come_behind_the_same_segment() {
    let (_, files) = captured(1, STREAM, "forge b->a 9 unreachable 1448\n", true);
    let made = imported(&files).expect("it can be imported");
    assert_eq!(
        (made.found.get("forge"), made.executed.get("forge")),
        (Some(&1), Some(&1)),
        "{made}"
    );
    let told = "forge b->a 9 unreachable 1448";
    assert!(made.case.to_string().lines().any(|line| line == told), "{}", made.case);
    assert_eq!(made.outcome.violation, None);
}

#[test]
fn datagrams_of_one_direction_do_not_tell_how_the_clocks_differ() {
    let flow =
        "flow = [{ kind = \"datagram\", from = \"b\", to = \"a\", bytes = 300, count = 5 }]\n";
    let (_, files) = captured(1, flow, "", true);
    let error = imported(&files).expect_err("nothing goes the other way").to_string();
    assert!(
        error.starts_with("packets from 10.0.0.2 to 10.0.0.1 are in both captures, but"),
        "{error}"
    );
}
