//! Captures of others: two that become a case, or one that is played to our stack. What cannot be read is refused; what can be is run without
//! a panic, and the case that comes of it reads back, and is the run that was told.
#![no_main]

use causeway_fuzz::Bytes;
use causeway_sim::capture::{Capture, Connections, Half, Input, Trace, import, replay};
use causeway_sim::trial::{Case, Trial};
use causeway_sim::workload::Violation;
use libfuzzer_sys::fuzz_target;

/// Packets of a file, and bytes of the streams in it: a length costs the fuzzer nothing, and longer runs show nothing else.
const PACKETS_MAX: usize = 100;
const BYTES_MAX: u64 = 1 << 20;

fn is_long(file: &[u8]) -> bool {
    let Ok(capture) = Capture::read(file) else { return false };
    let mut connections = Connections::new();
    for segment in Trace::of(&capture).frames.iter().filter_map(|frame| frame.segment.as_ref()) {
        connections.take(segment);
    }
    let bytes: u64 = connections.all().iter().flat_map(|c| &c.halves).map(Half::len).sum();
    capture.records.len() > PACKETS_MAX || bytes > BYTES_MAX
}

/// A run may break rules, with a capture of nonsense; it may not panic.
fn no_panic(violation: Option<&Violation>) {
    let panicked = violation.filter(|violation| violation.signature.contains("O13"));
    assert!(panicked.is_none(), "{panicked:?}");
}

fn become_a_case(files: &[&[u8]]) {
    let names = ["A", "B"];
    let inputs: Vec<Input<'_>> =
        names.iter().zip(files).map(|(name, bytes)| Input { name, bytes }).collect();
    match import(&inputs) {
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        Ok(made) => {
            no_panic(made.outcome.violation.as_ref());
            assert!(!made.to_string().is_empty());
            let again: Case =
                made.case.to_string().parse().expect("a case is read as it was written");
            let trial = Trial::new("case", &again).expect("what was run is right");
            let outcome = trial.run(Vec::new()).expect("and names what is there");
            assert_eq!(outcome.hash, made.outcome.hash, "{}", made.case);
        }
    }
}

fn be_played(file: &[u8]) {
    let Ok(capture) = Capture::read(file) else { return };
    let trace = Trace::of(&capture);
    let Some(segment) = trace.frames.iter().find_map(|frame| frame.segment) else { return };
    for host in [segment.destination.ip(), segment.source.ip()] {
        match replay("A", file, &[host]) {
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            Ok(played) => {
                no_panic(played.violation.as_ref());
                assert!(played.report(true).len() >= played.report(false).len());
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    // How many files there are, and how long the first one is.
    let (files, len) = (bytes.u8(), usize::from(bytes.u16()));
    let (first, second) = bytes.0.split_at(len.min(bytes.0.len()));
    if is_long(first) || is_long(second) {
        return;
    }
    match files % 3 {
        0 => be_played(first),
        1 => become_a_case(&[first]),
        _ => become_a_case(&[first, second]),
    }
});
