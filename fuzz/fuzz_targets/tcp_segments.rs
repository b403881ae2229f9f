//! A script of segments, time and application calls against a live connection of a whole stack, aimed near the numbers at which
//! something changes. After each step: the window's right edge was not retracted, no acknowledgement taken back, nothing sent
//! that was not written or that the window does not let go, every byte delivered is the one that was sent there, no timer is
//! overdue, the output is bounded, and the state is the same after it was written out and read back. In the end everything ends.
#![no_main]

use causeway_fuzz::Wired;
use causeway_fuzz::script::Script;
use libfuzzer_sys::fuzz_target;

/// More make a run slow and find no more.
const ACTIONS_MAX: usize = 200;

fuzz_target!(|script: Script| {
    let mut wired = Wired::new(&script.setup);
    for action in script.actions.iter().take(ACTIONS_MAX) {
        if wired.is_over() {
            break;
        }
        wired.play(action);
    }
    wired.finish();
});
