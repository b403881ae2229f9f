//! What the clocks of a host show.

use causeway_core::time::{Duration, Instant};

const MILLION: i64 = 1_000_000;

/// The monotonic clock of a host, by which its stack and its programs live, and how wrong the wall clock of its programs is.
///
/// It never goes back, and is right until it first runs fast or slow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostClock {
    /// It runs as it does since this time.
    since: Instant,
    /// What it showed then.
    showed: Instant,
    /// How fast, in parts per million beyond what is right.
    ppm: i64,
    /// The wall clock is so many nanoseconds ahead.
    wall_ahead: i64,
}

impl HostClock {
    /// Getter: what it shows at a time.
    pub(super) fn shows(&self, at: Instant) -> Instant {
        if self.is_right() || at < self.since {
            return at;
        }
        let passed = u128::from(at.saturating_since(self.since).as_nanos());
        let passed = passed * self.speed() / MILLION as u128;
        self.showed + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Getter: the first time at which it shows `shown`, or more.
    pub(super) fn truth(&self, shown: Instant) -> Instant {
        if self.is_right() {
            return shown;
        }
        let passed = u128::from(shown.saturating_since(self.showed).as_nanos());
        let passed = (passed * MILLION as u128).div_ceil(self.speed());
        self.since + Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Command: from `now` on it runs by so many parts per million faster than it did.
    pub(super) fn quicken(&mut self, now: Instant, ppm: i32) {
        (self.showed, self.since) = (self.shows(now), now);
        self.ppm += i64::from(ppm);
    }

    /// Command: the wall clock is by so many nanoseconds further ahead than it was.
    pub(super) const fn step_wall(&mut self, by: i64) {
        self.wall_ahead = self.wall_ahead.saturating_add(by);
    }

    /// Getter: how far the wall clock is ahead, in nanoseconds.
    pub(super) const fn wall_ahead(&self) -> i64 {
        self.wall_ahead
    }

    fn is_right(&self) -> bool {
        self.ppm == 0 && self.since == self.showed
    }

    /// Of several reasons to be slow the sum may be more than a clock can be.
    const fn speed(&self) -> u128 {
        let speed = MILLION + self.ppm;
        if speed < MILLION / 2 { MILLION as u128 / 2 } else { speed as u128 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn what_a_clock_gains_stays_and_it_never_goes_back() {
        let mut clock = HostClock::default();
        assert_eq!((clock.shows(at(77)), clock.truth(at(77))), (at(77), at(77)));
        clock.quicken(at(1_000_000), 500);
        assert_eq!(clock.shows(at(3_000_000)), at(3_001_000));
        assert_eq!(clock.truth(at(3_001_000)), at(3_000_000));
        clock.quicken(at(3_000_000), -500);
        assert_eq!(clock.shows(at(4_000_000)), at(4_001_000), "it is right, and ahead");
        clock.quicken(at(4_000_000), -250);
        assert_eq!(clock.shows(at(8_000_000)), at(8_000_000), "it has caught up");
    }

    #[test]
    fn the_wall_clock_goes_there_and_back() {
        let mut clock = HostClock::default();
        clock.step_wall(-5);
        clock.step_wall(7);
        assert_eq!(clock.wall_ahead(), 2);
        assert_eq!(clock.shows(at(9)), at(9), "the other one is no wall clock");
    }

    proptest! {
        #[test]
        fn a_time_is_found_again_and_order_is_kept(
            changes in proptest::collection::vec((0_u64..1 << 40, -10_000_i32..10_000), 0..20),
            looks in proptest::collection::vec(0_u64..1 << 45, 2..20),
        ) {
            let mut clock = HostClock::default();
            let (mut now, mut shown) = (Instant::ZERO, Instant::ZERO);
            for (span, ppm) in changes {
                now += Duration::from_nanos(span);
                prop_assert!(clock.shows(now) >= shown);
                shown = clock.shows(now);
                clock.quicken(now, ppm);
                prop_assert_eq!(clock.shows(now), shown);
            }
            for span in looks {
                let look = shown + Duration::from_nanos(span);
                let found = clock.truth(look);
                prop_assert!(found >= now && clock.shows(found) >= look);
                let before = Instant::from_nanos(found.as_nanos().saturating_sub(1));
                prop_assert!(found == now || clock.shows(before) < look, "it is the first one");
            }
        }
    }
}
