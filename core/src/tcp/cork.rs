//! TCP_CORK: only full segments leave, until it is taken off or a ceiling of time has passed.

use super::connection::Connection;
use super::timer::TimerReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};

/// For how long output may be corked (tcp(7)).
const CORK_MAX: Duration = Duration::from_millis(200);

impl Connection {
    /// Command: what waits leaves, once, cork or not: TCP_NODELAY is set (tcp(7)).
    pub fn push_corked(&mut self, io: &impl StreamIo) {
        self.release_more();
        if self.config.cork && self.has_unsent(io) {
            self.flags.override_due = true;
        }
    }

    /// How many of `waiting` bytes may leave through the cork: full segments, or all once the ceiling has passed.
    /// `max` of them leave at once.
    #[cold]
    pub(in crate::tcp) fn corked(&mut self, now: Instant, waiting: u32, max: u32) -> u32 {
        let tail = waiting % self.current_mss();
        if tail == 0 || self.flags.override_due {
            // The cork holds again once the tail is gone, for its whole time.
            if waiting <= max {
                self.flags.override_due = false;
                self.timers.stop(TimerReason::Persist);
            }
            return waiting;
        }
        // The timer that overrides silly-window avoidance serves here too: it lets the tail go.
        if self.snd.outstanding() == 0
            && tail == waiting
            && !self.timers.is_set(TimerReason::Persist)
            && !planted::is(Bug::CorkForEver)
        {
            self.timers.set(TimerReason::Persist, now + CORK_MAX);
        }
        waiting - tail
    }
}
