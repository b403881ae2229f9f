//! TCP_CORK: only full segments leave, until it is taken off or a ceiling of time has passed.

use super::connection::Connection;
use super::timer::TimerReason;
use crate::time::{Duration, Instant};

/// For how long output may be corked (tcp(7)).
const CORK_MAX: Duration = Duration::from_millis(200);

impl Connection {
    /// How many of `waiting` bytes may leave through the cork: full segments, or all once the ceiling has passed.
    #[cold]
    pub(in crate::tcp) fn corked(&mut self, now: Instant, waiting: u32, mss: u32) -> u32 {
        let tail = waiting % mss;
        if tail == 0 || core::mem::take(&mut self.flags.override_due) {
            return waiting;
        }
        // The timer that overrides silly-window avoidance serves here too: it lets the tail go.
        if self.snd.outstanding() == 0
            && tail == waiting
            && !self.timers.is_set(TimerReason::Persist)
        {
            self.timers.set(TimerReason::Persist, now + CORK_MAX);
        }
        waiting - tail
    }
}
