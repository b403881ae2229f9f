//! Hostile frames with steps of time into a whole stack with sockets of every kind, over both families. Whatever comes: replies
//! are bounded in number, size and rate, errors are never about errors, tables and memory stay within their bounds, no timer
//! is overdue, and when everybody has left nothing remains.
#![no_main]

use arbitrary::Arbitrary;
use causeway_core::time::Duration;
use causeway_fuzz::Village;
use causeway_fuzz::hostile::HostileFrame;
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 150;

#[derive(Arbitrary, Debug)]
enum Step {
    Frame(HostileFrame),
    Reflect { which: u8, changes: [Option<(u8, u8)>; 2] },
    Noise(Vec<u8>),
    Ask { what: u8, which: u8, number: u8, len: u16 },
    Millis(u16),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut village = Village::new();
    for step in steps.iter().take(STEPS_MAX) {
        if village.is_over() {
            break;
        }
        match step {
            Step::Frame(frame) => village.receive(frame),
            Step::Reflect { which, changes } => {
                let changes: Vec<(u8, u8)> = changes.iter().copied().flatten().collect();
                village.reflect(*which, &changes);
            }
            Step::Noise(bytes) => village.noise(bytes),
            Step::Ask { what, which, number, len } => village.ask(*what, *which, *number, *len),
            Step::Millis(ms) => village.pass(Duration::from_millis((*ms).into())),
        }
    }
    village.finish();
});
