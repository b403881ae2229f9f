//! Whole runs, and what is told of them.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::{Explain, Outputs, timeline};
use crate::swarm;
use crate::trial::{Case, Outcome, Trial};

/// A file that can be looked at afterwards.
#[derive(Clone, Default)]
struct File(Rc<RefCell<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that is written of a run.
struct Told {
    pcapng: Vec<u8>,
    json: String,
    timeline: String,
    html: String,
    outcome: Outcome,
}

fn trial(case: &Case) -> Trial {
    Trial::new("case", case).expect("the scenario is right")
}

fn explained(case: &Case) -> Told {
    explained_in(case, None)
}

/// With lines of so many characters.
fn explained_in(case: &Case, columns: Option<usize>) -> Told {
    let files: [File; 4] = Default::default();
    let [pcapng, json, timeline, html] = files.each_ref().map(|file| {
        let file: Box<dyn Write> = Box::new(file.clone());
        Some(file)
    });
    let trial = trial(case);
    let explain = Explain::new(case, &trial, Outputs { pcapng, json, timeline, columns, html });
    let explain = explain.expect("memory");
    let outcome = trial.run(explain.taps()).expect("it can be run");
    explain.finish(&outcome).expect("memory");
    let [pcapng, json, timeline, html] = files.map(|file| file.0.take());
    let text = |bytes| String::from_utf8(bytes).expect("texts are UTF-8");
    Told { pcapng, json: text(json), timeline: text(timeline), html: text(html), outcome }
}

/// Two hosts and a router's queue, two hosts behind a switch, and every protocol.
const SCENARIO: &str = r#"
host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24", "fd00::1/64"] }] },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24", "fd00::2/64"] }] },
  { name = "c", interface = [{ name = "eth0", addresses = ["10.0.0.3/24"] }] },
]
switch = [{ name = "s" }]
link = [
  { between = ["a", "s"], rate_kbit_s = 10000, delay_us = 2000, queue = "drop-tail", queue_frames = 8 },
  { between = ["b", "s"] },
  { between = ["c", "s"] },
]
flow = [
  { kind = "stream", from = "a", to = "b", bytes = 60000 },
  { kind = "request", from = "a", to = "b", bytes = 100, reply_bytes = 5000, count = 3, ipv6 = true },
  { kind = "message", from = "c", to = "b", bytes = 4000, count = 4 },
  { kind = "datagram", from = "c", to = "a", bytes = 300, count = 3 },
]
"#;

fn case(plan: &str) -> Case {
    let plan = format!("causeway fault plan 2\n{plan}").parse().expect("a plan");
    Case { seed: 7, failed: None, scenario: SCENARIO.to_owned(), plan }
}

fn busy() -> Case {
    case(
        "delay a->s 15 by 30ms\nduplicate a->s 19 after 1ms\ncorrupt a->s 21 byte 60 xor 0x01\n\
         drop s->b 25\nforge a->s 27 ack 0\nmtu s->b 40ms..60ms 900 told\npartition s->c 1ms..1500us\n",
    )
}

#[test]
fn a_capture_repeats_the_run_that_it_shows() {
    let told = explained(&busy());
    let case = Case::from_pcapng(&told.pcapng).expect("it has its case");
    assert_eq!(case, busy());
    let again = trial(&case).run(Vec::new()).expect("it can be run");
    assert_eq!((again.hash, again.executed), (told.outcome.hash, told.outcome.executed));
}

#[test]
fn a_run_is_the_same_whether_it_is_explained_or_not() {
    for seed in 0..12 {
        let case = swarm::draw(seed);
        let plain = trial(&case).run(Vec::new()).expect("it can be run");
        let told = explained(&case);
        assert_eq!((told.outcome.hash, told.outcome.events), (plain.hash, plain.events), "{seed}");
    }
    let [first, second] = [busy(), busy()].map(|case| explained(&case));
    assert_eq!((first.html, first.json), (second.html, second.json));
    assert_eq!((first.timeline, first.pcapng), (second.timeline, second.pcapng));
}

/// The packets' comments.
fn comments(capture: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    let (mut rest, mut parser) = pcap_file::pcapng::PcapNgParser::new(capture).expect("a header");
    while !rest.is_empty() {
        let (after, block) = parser.next_block(rest).expect("a block");
        rest = after;
        let Some(packet) = block.into_enhanced_packet() else { continue };
        for option in packet.options {
            if let pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption::Comment(text) =
                option
            {
                all.push(text.into_owned());
            }
        }
    }
    all
}

#[test]
fn each_packet_of_a_capture_says_what_became_of_it() {
    let comments = comments(&explained(&busy()).pcapng);
    for expected in [
        "frame 1 of a->s",
        "frame 15 of a->s: delay a->s 15 by 30ms",
        "frame 19 of a->s: duplicate a->s 19 after 1ms",
        "frame 25 of s->b: lost, drop s->b 25",
        "a->s: lost, the link's queue is full",
    ] {
        assert!(comments.iter().any(|comment| comment == expected), "{expected}: {comments:#?}");
    }
    let ends = |end: &str| comments.iter().any(|comment| comment.ends_with(end));
    assert!(ends("lost, mtu 900 told") && ends("(sent by a router on the way)"), "{comments:#?}");
    assert!(ends("lost, partition"), "{comments:#?}");
}

#[test]
fn a_full_ring_is_told_everywhere() {
    let ring = r#"nic = { rx_ring = 1 }, interface = [{ name = "eth0", addresses = ["10.0.0.2"#;
    let tiny = SCENARIO
        .replace(r#"interface = [{ name = "eth0", addresses = ["10.0.0.2"#, ring)
        .replace("poll_ns = 500", "");
    let tiny = format!("{tiny}\nrun = {{ poll_ns = 1000000 }}\n");
    let told = explained(&Case { scenario: tiny, ..case("") });
    let words = "lost, the receive ring is full";
    assert!(comments(&told.pcapng).iter().any(|comment| comment.ends_with(words)));
    assert!(told.timeline.contains("LOST: the receive ring is full"), "{}", told.timeline);
    assert!(told.json.contains("\"reason\":\"ring_full\""));
    assert!(told.html.contains("LOST: the receive ring is full"));
}

#[test]
fn the_timeline_names_what_is_sent_and_what_became_of_it() {
    let told = explained(&busy());
    let lines: Vec<&str> = told.timeline.lines().collect();
    for expected in [
        "ARP who-has b tell a",
        "NDP who-has b from a",
        "TCP a:",
        "[S] seq 0 win ",
        "<mss 1460 wscale ",
        "> b:10000 [S] ",
        "b:10000 > a:",
        "[S.] seq 0 ack 1 win ",
        "Machnet c:",
        " first len ",
        "UDP c:",
        " len 300",
        "too big, mtu 900, about a:",
        "  LOST: the queue is full",
        "  LOST: drop",
        "  LOST: mtu 900 told",
        "  delay by 30ms",
        "> b:10000 SynSent becomes Established",
    ] {
        assert!(told.timeline.contains(expected), "{expected}:\n{}", told.timeline);
    }
    let arrivals = |number: u64| {
        let place = format!("a => s {number:>6}  ");
        lines.iter().filter(|line| line.contains(&place)).count()
    };
    assert_eq!([15, 16, 19, 27].map(arrivals), [1, 0, 2, 2], "{}", told.timeline);
    assert_eq!(lines[0], "# seed 7, a, b, c, s");
    assert_eq!(lines.last(), Some(&"every rule was kept"));
    let longest = lines.iter().map(|line| line.chars().count()).max().expect("there are lines");
    assert!(longest <= timeline::WIDTH, "{longest}");
    assert!(lines.iter().any(|line| line.contains('…')) || longest < timeline::WIDTH);
}

#[test]
fn a_narrow_timeline_tells_what_became_of_a_frame_before_all_of_what_it_was() {
    let lines_of = |columns| explained_in(&busy(), columns).timeline;
    let longest = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.chars().count()).max()
    };
    let (narrow, wide) = (lines_of(Some(80)), lines_of(None));
    assert!(longest(&wide) > Some(80) && longest(&wide) <= Some(timeline::WIDTH), "{wide}");
    assert_eq!(longest(&narrow), Some(80), "{narrow}");
    assert_eq!(narrow.lines().count(), wide.lines().count());
    for fate in ["  LOST: drop", "  delay by 30ms"] {
        let count = |text: &str| text.lines().filter(|line| line.ends_with(fate)).count();
        assert_eq!(count(&narrow), 1, "{fate}:\n{narrow}");
    }
    assert_eq!(longest(&lines_of(Some(1))), Some(timeline::WIDTH_LEAST));
}

/// A run that breaks a rule: the stream needs more time than it has.
fn broken() -> Case {
    let scenario = format!("{SCENARIO}\nrun = {{ heal_ms = 1, limit_s = 2 }}\n");
    let scenario = scenario.replace("bytes = 60000", "bytes = 6000000");
    Case { scenario, ..case("") }
}

#[test]
fn a_broken_rule_is_the_last_word_of_each() {
    let told = explained(&broken());
    let violation = told.outcome.violation.expect("6 MB do not go through in 2 s");
    let last = |text: &str| text.lines().last().expect("there is a line").to_owned();
    let expected = format!("{} at {} s: {}", violation.signature, violation.at, violation.words);
    assert_eq!(last(&told.timeline), expected);
    let lines: Vec<&str> = told.json.lines().collect();
    let [.., before, end] = lines.as_slice() else { panic!("there are lines") };
    assert!(before.contains(&format!("\"signature\":\"{}\"", violation.signature)), "{before}");
    assert!(end.contains(&format!("\"hash\":\"{:016x}\"", told.outcome.hash)), "{end}");
    assert!(told.html.contains(&format!("\"signature\":\"{}\"", violation.signature)));
}

#[test]
fn every_line_of_events_is_an_object_and_the_first_says_what_follows() {
    let told = explained(&busy());
    for line in told.json.lines() {
        let rest = value(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
        assert!(rest.is_empty() && line.starts_with('{'), "{line}");
    }
    let first = told.json.lines().next().expect("there is a header");
    let start = "{\"format\":\"causeway events\",\"version\":1,\"seed\":\"7\",\"hosts\":[\"a\",\"b\",\"c\"],\"switches\":[\"s\"]";
    assert!(first.starts_with(start), "{first}");
    for name in [
        "packet_sent",
        "packet_received",
        "packet_lost",
        "packet_injected",
        "connection_started",
        "connection_state_updated",
        "metrics_updated",
        "packet_retransmitted",
        "connection_closed",
        "end",
    ] {
        assert!(told.json.contains(&format!("\"name\":\"{name}\"")), "{name}");
    }
    for reason in ["queue_full", "fault", "condition"] {
        assert!(told.json.contains(&format!("\"reason\":\"{reason}\"")), "{reason}");
    }
    assert!(told.json.contains("\"faults\":[\"delay by 30ms\"]"));
}

/// Reads a JSON value as RFC 8259 has it; what follows it, or nothing where it is none.
fn value(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'{', b'}', rest @ ..] | [b'[', b']', rest @ ..] => Some(rest),
        [open @ (b'{' | b'['), rest @ ..] => {
            let mut rest = rest;
            loop {
                if *open == b'{' {
                    rest = string(rest)?.strip_prefix(b":")?;
                }
                rest = value(rest)?;
                match rest {
                    [b',', after @ ..] => rest = after,
                    [b'}', after @ ..] if *open == b'{' => return Some(after),
                    [b']', after @ ..] if *open == b'[' => return Some(after),
                    _ => return None,
                }
            }
        }
        [b'"', ..] => string(text),
        [b'0'..=b'9', ..] => {
            let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (digits == 1 || text[0] != b'0').then_some(&text[digits..])
        }
        _ => None,
    }
}

fn string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'u', hex @ ..] => {
                let (hex, after) = hex.split_at_checked(4)?;
                hex.iter().all(u8::is_ascii_hexdigit).then_some(after)?
            }
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', after @ ..] => after,
            [0x20..=0x5b | 0x5d..=0xff, after @ ..] => after,
            _ => return None,
        };
    }
}

#[test]
fn nothing_is_watched_that_nobody_asked_for() {
    let case = busy();
    let trial = trial(&case);
    let taps = |outputs: Outputs| {
        let explain = Explain::new(&case, &trial, outputs).expect("memory");
        let taps = explain.taps();
        (taps.len(), taps.iter().any(|tap| tap.wants_events()))
    };
    let file = || -> Option<Box<dyn Write>> { Some(Box::new(File::default())) };
    assert_eq!(taps(Outputs::default()), (0, false));
    assert_eq!(taps(Outputs { pcapng: file(), ..Outputs::default() }), (1, false));
    assert_eq!(taps(Outputs { json: file(), ..Outputs::default() }), (1, true));
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_told_at_the_end() {
    let case = busy();
    let outputs: [fn(Box<dyn Write>) -> Outputs; 4] = [
        |out| Outputs { pcapng: Some(out), ..Outputs::default() },
        |out| Outputs { json: Some(out), ..Outputs::default() },
        |out| Outputs { timeline: Some(out), ..Outputs::default() },
        |out| Outputs { html: Some(out), ..Outputs::default() },
    ];
    for make in outputs {
        let trial = trial(&case);
        let explain = Explain::new(&case, &trial, make(Box::new(Full(9_000)))).expect("room");
        let outcome = trial.run(explain.taps()).expect("it can be run");
        let error = explain.finish(&outcome).expect_err("the disk is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
