//! Captures of runs of our own: our stack in the place of itself does what it did.

use std::net::IpAddr;

use proptest::prelude::*;

use super::super::Role;
use super::super::runs::{KERNEL, captured};
use super::super::tests::mutated;
use super::*;

const STREAM: &str = "flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 200000, reply_bytes = 30000 }]\n";

fn replayed(file: &[u8], host: &str) -> Replayed {
    let host: IpAddr = host.parse().expect("an address");
    replay("A.pcap", file, &[host]).expect("it can be replayed")
}

/// Faults of which each end sees something.
const FAULTS: &str = "fault = { loss_ppm = 20000, duplicate_ppm = 10000, reorder_ppm = 10000, \
    reorder_us_max = 20000, corrupt_ppm = 5000, mark_ppm = 5000 }\n";

#[test]
fn on_a_clean_network_our_stack_in_its_own_place_does_what_it_did() {
    let (_, files) = captured(1, STREAM, "", true);
    for (file, host) in files.iter().zip(["10.0.0.1", "10.0.0.2"]) {
        let made = replayed(file, host);
        let report = made.report(true);
        assert_eq!(made.violation, None, "{report}");
        assert_eq!((made.ahead, made.undelivered, made.left_out), (0, 0, 0), "{report}");
        // When a receiver's window grows depends on where a millisecond of its clock begins, and with that what it acknowledges when.
        let lines = made.connections.iter().flat_map(|connection| &connection.lines);
        let is_pure = |line: &&Line| line.captured.or(line.ours).is_some_and(|item| item.is_pure());
        let others = lines.filter(|line| line.sameness != Sameness::Same);
        let others: Vec<Line> =
            others.filter(|line| host == "10.0.0.1" || !is_pure(line)).copied().collect();
        assert_eq!(others, [], "{report}");
        assert!(made.count(Sameness::Same) > 30, "{report}");
    }
}

#[test]
fn over_bad_links_it_repeats_what_it_repeated_and_keeps_every_rule() {
    let mut same = 0;
    let mut all = 0;
    for seed in 1..=10 {
        let (_, files) = captured(seed, &format!("{STREAM}{FAULTS}"), "", seed % 2 == 0);
        for (file, host) in files.iter().zip(["10.0.0.1", "10.0.0.2"]) {
            let made = replayed(file, host);
            assert_eq!(made.violation, None, "seed {seed}:\n{}", made.report(false));
            let [connection] = made.connections.as_slice() else { panic!("one connection") };
            let sent = |of: fn(&Line) -> Option<Item>| {
                let items = connection.lines.iter().filter_map(of).filter(|item| item.len > 0);
                items.map(|item| item.offset + i64::from(item.len)).max()
            };
            assert_eq!(
                sent(|line| line.captured),
                sent(|line| line.ours),
                "seed {seed}: all bytes"
            );
            same += made.count(Sameness::Same);
            all += connection.lines.len();
        }
    }
    assert!(same * 100 >= all * 90, "{same} of {all}");
}

#[test]
fn in_the_place_of_a_kernel_it_sends_the_same_bytes_in_the_same_segments() {
    for (file, host) in KERNEL.iter().zip(["10.7.0.1", "10.7.0.2"]) {
        let made = replayed(file, host);
        let report = made.report(true);
        assert_eq!(made.violation, None, "{report}");
        assert_eq!(
            (made.connections.len(), made.left_out, made.undelivered),
            (2, 0, 0),
            "{report}"
        );
        let lines = made.connections.iter().flat_map(|connection| &connection.lines);
        let data = lines.filter(|line| line.captured.is_some_and(|item| item.len > 0));
        let lost = data.clone().filter(|line| line.sameness == Sameness::CapturedOnly).count();
        assert!(data.count() > 1 && lost * 10 <= made.count(Sameness::Same), "{report}");
    }
}

#[test]
fn several_connections_of_either_role_are_told_apart() {
    let flows = "flow = [\n\
        { kind = \"request\", from = \"a\", to = \"b\", bytes = 300, reply_bytes = 4000, count = 7 },\n\
        { kind = \"request\", from = \"b\", to = \"a\", bytes = 500, reply_bytes = 100, count = 9, start_ms = 2 },\n\
        { kind = \"stream\", from = \"a\", to = \"b\", bytes = 90000, start_ms = 3 },\n]\n";
    let (_, files) = captured(4, flows, "", true);
    let made = replayed(&files[0], "10.0.0.1");
    let roles: Vec<_> = made.connections.iter().map(|connection| connection.role).collect();
    assert_eq!(roles, [Role::Client, Role::Client, Role::Server]);
    let others = made.count(Sameness::CapturedOnly) + made.count(Sameness::OursOnly);
    assert!(others * 20 <= made.count(Sameness::Same), "{}", made.report(false));
    assert_eq!(made.violation, None);
}

#[test]
fn what_cannot_be_replayed_is_told() {
    let (_, files) = captured(1, STREAM, "", true);
    let error = |file: &[u8], host: &str| {
        let host: IpAddr = host.parse().expect("an address");
        replay("A.pcap", file, &[host]).expect_err("it cannot be").to_string()
    };
    assert!(
        error(&files[0], "10.0.0.9").starts_with("no TCP segment of the capture goes to 10.0.0.9")
    );
    assert!(error(b"", "10.0.0.1").starts_with("this is neither"));
    // Without its first packets, address resolution among them, the connection has no SYN.
    let mut at = 24;
    for _ in 0..14 {
        let len = u32::from_le_bytes(files[0][at + 8..at + 12].try_into().expect("four bytes"));
        at += 16 + len as usize;
    }
    let rest = [&files[0][..24], &files[0][at..]].concat();
    assert!(
        error(&rest, "10.0.0.1").starts_with("no connection of 10.0.0.1 begins in the capture")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_file_makes_the_replay_panic(file in mutated(), v6: bool) {
        let mut hosts: Vec<IpAddr> = vec!["10.0.0.2".parse().expect("an address")];
        hosts.extend(v6.then(|| "fd00::1".parse::<IpAddr>().expect("an address")));
        if let Ok(made) = replay("A.pcap", &file, &hosts) {
            prop_assert!(made.violation.is_none(), "{}", made.report(false));
        }
    }
}
