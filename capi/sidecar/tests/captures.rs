//! `causeway sim import` and `replay` as their users have them: captures of two kernels, captures of ours, and whatever else is a file.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod place;

use std::fs;
use std::path::Path;

use place::{Place, Told};

/// Two hosts, a flow of TCP, one of Machnet and one of UDP, and what happens to their frames.
const CASE: &str = r#"causeway fault plan 2
seed 5
| host = [
|   { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }] },
|   { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }] },
| ]
| link = [{ between = ["a", "b"], rate_kbit_s = 20000, delay_us = 3000 }]
| flow = [
|   { kind = "stream", from = "a", to = "b", bytes = 40000, reply_bytes = 2000 },
|   { kind = "message", from = "b", to = "a", bytes = 3000, reply_bytes = 100, count = 5, start_ms = 100 },
|   { kind = "datagram", from = "a", to = "b", bytes = 200, count = 9, start_ms = 200 },
| ]
drop a->b 12
mark b->a 7
"#;

/// Copies a capture of two Linux kernels.
fn kernels(place: &Place) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sim/tests/captures");
    for name in ["kernel-a.pcap", "kernel-b.ng"] {
        fs::copy(from.join(name), place.0.join(name)).unwrap();
    }
}

/// A pcap file with packets of this link type, each kept whole.
fn pcap(link: u32, packets: &[&[u8]]) -> Vec<u8> {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, link]);
    for (second, packet) in (1_700_000_000..).zip(packets) {
        let len = packet.len() as u32;
        file.extend(words(&[second, 0, len, len]));
        file.extend(*packet);
    }
    file
}

/// The line of `text` that begins so.
fn line<'a>(text: &'a str, begin: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {text}"))
}

#[test]
fn a_capture_of_both_ends_becomes_a_case_that_is_run() {
    let place = Place::new("import");
    kernels(&place);
    let told = place.sim("import kernel-a.pcap kernel-b.ng --out found.case").good();
    let read = line(&told, "kernel-a.pcap: ");
    assert!(read.ends_with("0 ICMP errors about TCP, without use: 2 ARP, 12 ICMP"), "{read}");
    assert_eq!(line(&told, "drop: "), "drop: 5 in the captures, 5 in the run of the case");
    assert_eq!(line(&told, "9 events"), "9 events in the captures, 9 in the run of the case");
    assert_eq!(told.lines().last(), Some("the run of the case keeps every rule"));
    let case = place.read("found.case");
    assert!(case.starts_with("causeway fault plan 2\n# causeway "), "{case}");
    assert!(place.sim("run found.case").good().starts_with("seed 1, "));
    // Without --out the case is what is printed, and the rest is for people.
    let Told(status, printed, errors) = place.sim("import kernel-a.pcap kernel-b.ng");
    assert_eq!((status, &printed, errors.trim_end()), (0, &case, told.trim_end()));
}

#[test]
fn a_capture_of_ours_is_imported_with_its_messages_and_datagrams() {
    let place = Place::new("ours");
    place.write("own.case", CASE);
    place.sim("run own.case --pcapng own.pcapng").good();
    let told = place.sim("import own.pcapng --out again.case").good();
    for flow in ["flow 1 was 10.0.0.1:", "flow 2 was 10.0.0.2:", "flow 3 was 10.0.0.1:"] {
        line(&told, flow);
    }
    assert_eq!(line(&told, "2 events"), "2 events in the captures, 2 in the run of the case");
    let case = place.read("again.case");
    assert_eq!((line(&case, "drop "), line(&case, "mark ")), ("drop a->b 12", "mark b->a 7"));
    for flow in [
        "kind = \"stream\", bytes = 40000, reply_bytes = 2000,",
        "kind = \"message\", bytes = 3000, reply_bytes = 100, count = 5,",
        "kind = \"datagram\", bytes = 200, count = 9,",
    ] {
        assert!(case.contains(flow), "{flow}: {case}");
    }
    place.sim("run again.case").good();
}

#[test]
fn what_cannot_be_imported_is_told_in_one_line() {
    let place = Place::new("import-wrong");
    kernels(&place);
    place.write("own.case", CASE);
    place.sim("run own.case --pcapng own.pcapng").good();
    place.write("text.txt", "not a capture\n");
    fs::create_dir(place.0.join("directory")).unwrap();
    let whole = fs::read(place.0.join("kernel-a.pcap")).unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(place.0.join(name), bytes).unwrap();
    file("empty", b"");
    file("same.pcap", &whole);
    file("short.pcap", &whole[..20]);
    file("old.pcap", &[&whole[..4], &[1, 0, 9, 0], &whole[8..]].concat());
    let mut long = whole.clone();
    long[24 + 8..24 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    file("long.pcap", &long);
    file("usb.pcap", &pcap(189, &[&[0; 64], &[1; 64]]));
    file("arp.pcap", &pcap(1, &[&[&[0; 12][..], &[8, 6], &[0; 28]].concat()]));
    for (args, expected) in [
        ("none.pcap kernel-b.ng", "none.pcap: cannot be read: No such file"),
        ("kernel-a.pcap directory", "directory: cannot be read: Is a directory"),
        ("text.txt kernel-b.ng", "text.txt: this is neither a pcap nor a pcapng file"),
        ("empty kernel-b.ng", "empty: this is neither a pcap nor a pcapng file"),
        ("short.pcap kernel-b.ng", "short.pcap: the capture ends inside of its header, at byte 20"),
        ("old.pcap kernel-b.ng", "old.pcap: this pcap has version 1.9; version 2 is read"),
        ("long.pcap kernel-b.ng", "long.pcap: at byte 24 the capture is damaged: packet 1 is said"),
        ("kernel-a.pcap same.pcap", "kernel-a.pcap and same.pcap are the same capture"),
        ("kernel-a.pcap", "the traffic has to be captured at two places, and there are 1 (inter"),
        (
            "usb.pcap",
            "the traffic has to be captured at two places, and there are 0 (usb.pcap: 2 pa",
        ),
        ("kernel-a.pcap own.pcapng", "no packet of TCP or UDP is in both captures; they have to"),
        ("kernel-a.pcap usb.pcap", "no packet of TCP or UDP is in both captures; they have to"),
        ("kernel-a.pcap kernel-b.ng --out no/x.case", "no/x.case: cannot be written: No such file"),
    ] {
        let error = place.sim(&format!("import {args}")).failed();
        assert!(error.starts_with(&format!("causeway: {expected}")), "{args}: {error}");
    }
    // What was read of each says why.
    let error = place.sim("import usb.pcap arp.pcap").failed();
    assert!(error.contains("usb.pcap: 2 packets, 0 TCP segments, 0 UDP datagrams"), "{error}");
    assert!(error.contains("without use: 2 of link type 189; arp.pcap: 1 packets"), "{error}");
    assert!(error.trim_end().ends_with("without use: 1 ARP)"), "{error}");
    for (args, word) in [
        ("import", "<CAPTURE>"),
        ("import a b c", "CAPTURE"),
        ("replay", "<CAPTURE>"),
        ("replay kernel-a.pcap", "--host <ADDRESS>"),
        ("replay kernel-a.pcap --host a", "--host <ADDRESS>"),
    ] {
        let told = place.sim(args);
        assert_eq!((told.0, told.1.as_str()), (2, ""), "{args}: {}", told.2);
        assert!(told.2.contains(word), "{args}: {}", told.2);
    }
    for command in ["import", "replay"] {
        assert!(place.sim(&format!("{command} --help")).good().contains("Example"), "{command}");
    }
}

#[test]
fn our_stack_takes_the_place_of_a_captured_host() {
    let place = Place::new("replay");
    kernels(&place);
    let told = place.sim("replay kernel-b.ng --host 10.7.0.2").good();
    let first = line(&told, "our stack in place of ");
    assert!(first.starts_with("our stack in place of 10.7.0.2: 2 connections, "), "{first}");
    assert_eq!(line(&told, "without use"), "without use: 2 ARP, 12 ICMP");
    assert_eq!(told.lines().last(), Some("every rule was kept"));
    let all = place.sim("replay kernel-b.ng --host 10.7.0.2 --all").good();
    assert!(all.lines().count() > told.lines().count() && all.contains(" = [S.] "), "{all}");
    // Datagrams are not for it, and it says so.
    place.write("own.case", CASE);
    place.sim("run own.case --pcapng own.pcapng").good();
    let own = place.sim("replay own.pcapng --host 10.0.0.2").good();
    assert!(line(&own, "without use").contains(" UDP"), "{own}");
}

#[test]
fn what_cannot_be_replayed_is_told_in_one_line() {
    let place = Place::new("replay-wrong");
    kernels(&place);
    place.write("text.txt", "not a capture\n");
    let whole = fs::read(place.0.join("kernel-a.pcap")).unwrap();
    fs::write(place.0.join("usb.pcap"), pcap(189, &[&[0; 64]])).unwrap();
    // The end of a capture has the end of connections only.
    let mut at = 24;
    while whole.len() - at > 500 {
        let len = u32::from_le_bytes(whole[at + 8..at + 12].try_into().unwrap());
        at += 16 + len as usize;
    }
    fs::write(place.0.join("rest.pcap"), [&whole[..24], &whole[at..]].concat()).unwrap();
    for (args, expected) in [
        ("none.pcap --host 10.7.0.1", "none.pcap: cannot be read: No such file"),
        ("text.txt --host 10.7.0.1", "text.txt: this is neither a pcap nor a pcapng file"),
        ("kernel-a.pcap --host 10.7.0.9", "kernel-a.pcap: no TCP segment of the capture goes to"),
        ("usb.pcap --host 10.7.0.1", "usb.pcap: no TCP segment of the capture goes to 10.7.0.1"),
        ("rest.pcap --host 10.7.0.1", "rest.pcap: no connection of 10.7.0.1 begins in the capture"),
        ("kernel-a.pcap --host 224.0.0.1", "kernel-a.pcap: no TCP segment of the capture goes"),
    ] {
        let error = place.sim(&format!("replay {args}")).failed();
        assert!(error.starts_with(&format!("causeway: {expected}")), "{args}: {error}");
    }
}
