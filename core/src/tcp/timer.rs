//! The timers of a connection: an enum and an array, the earliest of which the stack's wheel holds.

use serde::{Deserialize, Serialize};

use crate::time::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimerReason {
    /// Retransmission (RFC 6298).
    Retransmit,
    /// Zero-window probe, or the override of silly-window avoidance (RFC 9293 §3.8.6).
    Persist,
    /// Delayed acknowledgement (RFC 9293 §3.8.6.3).
    DelayedAck,
    /// Keepalive probe (RFC 9293 §3.8.4).
    Keepalive,
    /// 2 MSL (RFC 9293 §3.4.2).
    TimeWait,
    /// A connection whose application is gone, and that has to come to an end: FIN-WAIT-2 that the peer does not leave,
    /// or the deadline of [`super::Connection::detach`].
    Orphan,
    /// The release time of the next segment.
    Pacing,
    /// Stragglers had their time: what is still missing is lost (RFC 8985 §6.3).
    ReorderTimeout,
    /// Tail loss probe (RFC 8985 §7).
    Probe,
    /// Nothing was in flight for a while: memory of recovery is given back.
    FlightIdle,
}

impl TimerReason {
    /// Those that any connection may need, in the order in which timers that are due at once are served; after those that run
    /// only while something is in flight.
    pub const ALL: [Self; 6] = [
        Self::Retransmit,
        Self::Persist,
        Self::DelayedAck,
        Self::Keepalive,
        Self::TimeWait,
        Self::Orphan,
    ];
}

const OFF: Instant = Instant::from_nanos(u64::MAX);

/// One deadline for each of [`TimerReason::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Timers {
    deadlines: [Instant; TimerReason::ALL.len()],
}

impl Timers {
    pub(in crate::tcp) const fn new() -> Self {
        Self { deadlines: [OFF; TimerReason::ALL.len()] }
    }

    pub(in crate::tcp) fn set(&mut self, timer: TimerReason, at: Instant) {
        self.deadlines[timer as usize] = at;
    }

    /// Command: sets `timer`, unless it is set to something earlier.
    pub(in crate::tcp) fn set_no_later(&mut self, timer: TimerReason, at: Instant) {
        let deadline = &mut self.deadlines[timer as usize];
        *deadline = at.min(*deadline);
    }

    /// Command: puts `timer` off until `at`, if it is set to something earlier.
    pub(in crate::tcp) fn set_no_sooner(&mut self, timer: TimerReason, at: Instant) {
        let deadline = &mut self.deadlines[timer as usize];
        *deadline = at.max(*deadline);
    }

    pub(in crate::tcp) fn stop(&mut self, timer: TimerReason) {
        self.deadlines[timer as usize] = OFF;
    }

    pub(in crate::tcp) fn stop_all(&mut self) {
        self.deadlines = [OFF; TimerReason::ALL.len()];
    }

    /// Getter: when `timer` expires; at the end of time if it is off.
    pub(in crate::tcp) fn deadline(&self, timer: TimerReason) -> Instant {
        self.deadlines[timer as usize]
    }

    pub(in crate::tcp) fn is_set(&self, timer: TimerReason) -> bool {
        self.deadlines[timer as usize] != OFF
    }

    /// Command: switches `timer` off when it is due, and says whether it was.
    pub(in crate::tcp) fn take_due(&mut self, timer: TimerReason, now: Instant) -> bool {
        let due = self.deadlines[timer as usize] <= now;
        if due {
            self.stop(timer);
        }
        due
    }

    /// Getter: the earliest deadline, at the end of time if there is none.
    #[inline]
    pub(in crate::tcp) fn earliest_at(&self) -> Instant {
        self.deadlines.iter().copied().fold(OFF, Instant::min)
    }

    pub(in crate::tcp) fn earliest(&self) -> Option<(Instant, TimerReason)> {
        let mut earliest = (OFF, TimerReason::Retransmit);
        for timer in TimerReason::ALL {
            let at = self.deadlines[timer as usize];
            if at < earliest.0 {
                earliest = (at, timer);
            }
        }
        (earliest.0 != OFF).then_some(earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_told_with_its_reason() {
        let mut timers = Timers::new();
        assert_eq!(timers.earliest(), None);
        timers.set(TimerReason::TimeWait, Instant::from_nanos(9));
        timers.set(TimerReason::DelayedAck, Instant::from_nanos(5));
        assert_eq!(timers.earliest(), Some((Instant::from_nanos(5), TimerReason::DelayedAck)));
        assert!(!timers.take_due(TimerReason::DelayedAck, Instant::from_nanos(4)));
        assert!(timers.take_due(TimerReason::DelayedAck, Instant::from_nanos(5)));
        assert!(!timers.is_set(TimerReason::DelayedAck));
        assert_eq!(timers.earliest(), Some((Instant::from_nanos(9), TimerReason::TimeWait)));
    }

    #[test]
    fn the_reasons_number_the_deadlines() {
        for (index, timer) in TimerReason::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }
}
