//! The timers that run only while data is in flight, or was a moment ago.

use serde::{Deserialize, Serialize};

use crate::tcp::timer::TimerReason;
use crate::time::Instant;

/// A timer that is off.
pub(in crate::tcp) const OFF: Instant = Instant::from_nanos(u64::MAX);

/// When each expires; [`OFF`] for never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct RecoveryTimers {
    pub(in crate::tcp) reorder: Instant,
    pub(in crate::tcp) probe: Instant,
    pub(in crate::tcp) idle: Instant,
    pub(in crate::tcp) pacing: Instant,
}

impl RecoveryTimers {
    pub(in crate::tcp) const fn new() -> Self {
        Self { reorder: OFF, probe: OFF, idle: OFF, pacing: OFF }
    }

    /// Getter: the earliest, at [`OFF`] if none is set.
    #[inline]
    pub(in crate::tcp) fn earliest(&self) -> (Instant, TimerReason) {
        let mut earliest = (self.reorder, TimerReason::ReorderTimeout);
        for next in [
            (self.probe, TimerReason::Probe),
            (self.idle, TimerReason::FlightIdle),
            (self.pacing, TimerReason::Pacing),
        ] {
            if next.0 < earliest.0 {
                earliest = next;
            }
        }
        earliest
    }

    /// Command: takes one that is due at `now`, the earliest first, and switches it off.
    pub(in crate::tcp) fn take_due(&mut self, now: Instant) -> Option<TimerReason> {
        let (at, reason) = self.earliest();
        if at > now || at == OFF {
            return None;
        }
        let timer = match reason {
            TimerReason::Probe => &mut self.probe,
            TimerReason::FlightIdle => &mut self.idle,
            TimerReason::Pacing => &mut self.pacing,
            TimerReason::ReorderTimeout
            | TimerReason::Retransmit
            | TimerReason::Persist
            | TimerReason::DelayedAck
            | TimerReason::Keepalive
            | TimerReason::TimeWait
            | TimerReason::Orphan => &mut self.reorder,
        };
        *timer = OFF;
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_taken_once_and_the_earliest_first() {
        let at = Instant::from_nanos;
        let mut timers = RecoveryTimers::new();
        assert_eq!((timers.earliest().0, timers.take_due(at(u64::MAX))), (OFF, None));
        timers.idle = at(5);
        timers.probe = at(3);
        assert_eq!(timers.earliest(), (at(3), TimerReason::Probe));
        assert_eq!(timers.take_due(at(2)), None);
        assert_eq!(timers.take_due(at(9)), Some(TimerReason::Probe));
        assert_eq!(timers.take_due(at(9)), Some(TimerReason::FlightIdle));
        assert_eq!(timers.take_due(at(9)), None);
    }
}
