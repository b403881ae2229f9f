//! For each rule a capture that breaks it and nothing else, and one beside it that breaks nothing.

mod calm;
mod circumstances;
mod connection;
mod cookies;
mod frame;
mod machnet;
mod machnet_extended;
mod network;
mod story;
mod timing;

use std::collections::BTreeSet;

use super::*;
use story::Story;

/// A rule, a capture that breaks it, and one that does not.
struct Case {
    id: &'static str,
    bad: fn(&mut Story),
    good: fn(&mut Story),
}

const TABLES: [&[Case]; 7] = [
    network::CASES,
    connection::CASES,
    cookies::CASES,
    timing::CASES,
    machnet::CASES,
    machnet_extended::CASES,
    calm::CASES,
];

fn broken_by(capture: fn(&mut Story)) -> Vec<(&'static str, String)> {
    let mut story = Story::new();
    capture(&mut story);
    story.rules.finish(story.now);
    let found = story.rules.violations().iter();
    found.map(|violation| (violation.rule.id, violation.to_string())).collect()
}

fn check(table: &[Case]) {
    let mut wrong = Vec::new();
    for case in table {
        let bad = broken_by(case.bad);
        if bad.is_empty() || bad.iter().any(|(id, _)| *id != case.id) {
            wrong.push(format!("{}, the bad one: {bad:#?}", case.id));
        }
        let good = broken_by(case.good);
        if !good.is_empty() {
            wrong.push(format!("{}, the good one: {good:#?}", case.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rules_of_packets_are_broken_by_their_captures_alone() {
    check(network::CASES);
}

#[test]
fn rules_of_connections_are_broken_by_their_captures_alone() {
    check(connection::CASES);
}

#[test]
fn rules_of_handshakes_that_nobody_wrote_down_are_broken_by_their_captures_alone() {
    check(cookies::CASES);
}

#[test]
fn rules_of_timing_are_broken_by_their_captures_alone() {
    check(timing::CASES);
}

#[test]
fn rules_of_machnet_are_broken_by_their_captures_alone() {
    check(machnet::CASES);
}

#[test]
fn rules_of_machnet_s_extended_profile_are_broken_by_their_captures_alone() {
    check(machnet_extended::CASES);
}

#[test]
fn what_excuses_a_host_is_all_that_does() {
    check(circumstances::CASES);
}

#[test]
fn what_must_not_happen_on_a_calm_network_is_found_by_its_captures_alone() {
    check(calm::CASES);
}

#[test]
fn every_rule_has_its_captures() {
    let tested: BTreeSet<_> = TABLES.iter().flat_map(|table| table.iter()).map(|c| c.id).collect();
    let known: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(known.len(), RULES.len(), "ids differ");
    let untested: Vec<_> = known.difference(&tested).collect();
    assert!(untested.is_empty(), "{untested:?}");
    assert!(known.is_superset(&tested));
}

#[test]
fn every_rule_names_its_clause_and_says_itself_in_a_sentence() {
    for rule in RULES {
        let cited = rule.clause.starts_with("RFC ") || rule.clause.starts_with("Machnet: ");
        assert!(cited, "{}: {}", rule.id, rule.clause);
        assert!(rule.words.ends_with('.'), "{}: {}", rule.id, rule.words);
    }
}

#[test]
fn a_rule_that_is_switched_off_is_not_judged_and_the_first_sixteen_violations_are_kept() {
    let zero_hops = story::host(frame::SYN, 0, 0, 0).tweak(|packet| packet.hops = 0);
    let mut story = Story::new();
    assert!(story.rules.disable("O4.ip.header") && !story.rules.disable("O4.no-such-rule"));
    story.pass(zero_hops.clone());
    assert!(story.rules.violations().is_empty());
    let mut story = Story::new();
    for _ in 0..20 {
        story.pass(zero_hops.clone());
        story.ms(120_000);
    }
    assert_eq!((story.rules.violations().len(), story.rules.violation_count()), (16, 20));
}
