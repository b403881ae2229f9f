//! Controlled delay (RFC 8289): frames that waited too long are dropped or marked, the more often the longer that lasts.
//!
//! A queue that serves in order knows how long a frame will have waited as it comes, so that its fate is settled then; frames are judged in
//! the order in which they leave. What will stand behind a frame is not known then: whether there is a queue worth managing (RFC 8289
//! section 4.2, `bytes() <= maxpacket`) is told by what stands in front of it.

use causeway_core::time::{Duration, Instant};

use super::red::Managed;

/// Bytes of what is no queue worth managing: one frame.
const FRAME_BYTES: u64 = 1_514;
/// A pause shorter than so many intervals goes on where the last one ended (RFC 8289 section 5.4).
const RECENT_INTERVALS: u64 = 16;

/// How a CoDel queue is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDelConfig {
    /// Frames that wait at most.
    pub limit_frames: usize,
    /// Waiting for so long is good.
    pub target: Duration,
    /// Waiting for longer is bad after so long; about a long round trip.
    pub interval: Duration,
    /// ECN-capable packets are marked instead.
    pub ecn: bool,
}

/// What the frame before was, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// The first one of an episode: the next one passes.
    First,
    /// A later one: the time of the next is due.
    Later,
}

/// The state of one queue. Names are those of RFC 8289 section 5.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoDel {
    config: CoDelConfig,
    first_above: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    count: u32,
    last_count: u32,
    before: Before,
}

impl CoDel {
    pub(super) const fn new(config: CoDelConfig) -> Self {
        Self {
            config,
            first_above: None,
            dropping: false,
            drop_next: Instant::ZERO,
            count: 0,
            last_count: 0,
            before: Before::Nothing,
        }
    }

    /// Input: a frame leaves the queue at `at`, having waited for `sojourn` behind `backlog_bytes`. Times do not run backwards.
    pub(super) fn leave(
        &mut self,
        at: Instant,
        sojourn: Duration,
        backlog_bytes: u64,
        capable: bool,
    ) -> Managed {
        let above = self.is_above(at, sojourn, backlog_bytes);
        let before = std::mem::replace(&mut self.before, Before::Nothing);
        let marks = self.config.ecn && capable;
        if before == Before::First {
            return Managed::Passes;
        }
        if self.dropping {
            if !above {
                self.dropping = false;
                return Managed::Passes;
            }
            if before == Before::Later {
                self.drop_next = self.law(self.drop_next);
            }
            if at < self.drop_next {
                return Managed::Passes;
            }
            self.count = self.count.saturating_add(1);
            if marks {
                self.drop_next = self.law(self.drop_next);
                return Managed::Marked;
            }
            self.before = Before::Later;
            return Managed::Dropped;
        }
        if !above {
            return Managed::Passes;
        }
        self.begin(at);
        if marks {
            return Managed::Marked;
        }
        self.before = Before::First;
        Managed::Dropped
    }

    /// An episode begins.
    fn begin(&mut self, at: Instant) {
        let more = self.count.saturating_sub(self.last_count);
        let recent = self.config.interval.saturating_mul(RECENT_INTERVALS);
        let is_recent = at.saturating_since(self.drop_next) < recent;
        self.dropping = true;
        self.count = if more > 1 && is_recent { more } else { 1 };
        self.drop_next = self.law(at);
        self.last_count = self.count;
    }

    fn is_above(&mut self, at: Instant, sojourn: Duration, backlog_bytes: u64) -> bool {
        if sojourn < self.config.target || backlog_bytes <= FRAME_BYTES {
            self.first_above = None;
            return false;
        }
        let due = *self.first_above.get_or_insert(at + self.config.interval);
        at >= due
    }

    /// The control law: `t + interval / sqrt(count)`.
    fn law(&self, from: Instant) -> Instant {
        let square = u128::from(self.config.interval.as_nanos()).pow(2);
        from + Duration::from_nanos((square / u128::from(self.count.max(1))).isqrt() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn codel(ecn: bool) -> CoDel {
        CoDel::new(CoDelConfig {
            limit_frames: 1_000,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
            ecn,
        })
    }

    /// A frame a millisecond, each having waited for so long: when something happens.
    fn events(codel: &mut CoDel, from: u64, until: u64, waited_ms: u64, capable: bool) -> Vec<u64> {
        let mut leave = |ms: &u64| {
            let at = Instant::from_nanos(ms * MS);
            codel.leave(at, Duration::from_millis(waited_ms), 100_000, capable) != Managed::Passes
        };
        (from..until).filter(|ms| leave(ms)).collect()
    }

    #[test]
    fn drops_come_an_interval_after_the_first_long_wait_and_then_by_the_square_root() {
        let mut queue = codel(false);
        assert_eq!(events(&mut queue, 0, 1_000, 4, false), []);
        // 100 / sqrt(1, 2, 3, 4, ...) ms apart, at the next frame each.
        let dropped = events(&mut queue, 1_000, 1_500, 6, false);
        assert_eq!(dropped, [1_100, 1_200, 1_271, 1_329, 1_379, 1_424, 1_464]);
        assert_eq!(events(&mut queue, 1_500, 1_501, 4, false), [], "one short wait ends it");
        assert_eq!(events(&mut queue, 1_501, 1_601, 6, false), []);
        // It goes on where it was: six drops beyond the first, 100 / sqrt(6) apart.
        assert_eq!(events(&mut queue, 1_601, 1_700, 6, false), [1_601, 1_642, 1_680]);
    }

    #[test]
    fn what_can_be_marked_is_marked_at_the_same_times() {
        let (mut dropping, mut marking) = (codel(false), codel(true));
        let dropped = events(&mut dropping, 0, 2_000, 6, true);
        assert_eq!(events(&mut marking, 0, 2_000, 6, true), dropped);
        let late = Instant::from_nanos(2_100 * MS);
        let waited = Duration::from_millis(6);
        assert_eq!(marking.leave(late, waited, 100_000, true), Managed::Marked);
        assert_eq!(dropping.leave(late, waited, 100_000, true), Managed::Dropped);
    }

    #[test]
    fn a_single_frame_is_no_queue() {
        let mut queue = codel(false);
        let waited = Duration::from_millis(50);
        for ms in 0..1_000 {
            let at = Instant::from_nanos(ms * MS);
            assert_eq!(queue.leave(at, waited, 1_514, false), Managed::Passes);
        }
    }
}
