//! Random early detection (Floyd and Jacobson 1993; RFC 7567): the longer a queue is on average, the more of what comes is dropped or
//! marked. All of it is integers.

/// Fractional bits of the average.
const FRACTION: u32 = 24;
/// What stands for certainty.
const ONE: u64 = 1 << 32;

/// How a RED queue is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedConfig {
    /// Frames that wait at most, whatever the average says.
    pub limit_frames: usize,
    /// Below so many frames on average nothing is dropped.
    pub min_frames: u32,
    /// From so many on everything is. Greater than `min_frames`.
    pub max_frames: u32,
    /// How often at `max_frames`, just below: parts per million.
    pub max_ppm: u32,
    /// A frame counts 1/2^shift in the average; 1 to 16.
    pub weight_shift: u32,
    /// ECN-capable packets are marked instead, below `max_frames` on average.
    pub ecn: bool,
}

/// What a managed queue does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Managed {
    /// It goes on.
    Passes,
    /// It goes on, marked: congestion experienced.
    Marked,
    /// It does not.
    Dropped,
}

/// The state of one queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Red {
    config: RedConfig,
    average: u64,
    /// Frames since the last one that was dropped or marked, while the average is between the thresholds.
    since: Option<u64>,
}

impl Red {
    pub(super) const fn new(config: RedConfig) -> Self {
        Self { config, average: 0, since: None }
    }

    /// Input: a frame comes where `waiting` are. `idle_frames`: so many could have been sent since the transmitter had nothing to do.
    /// `draw` is any number of 32 bits, `capable` says that the packet can be marked.
    pub(super) fn arrive(
        &mut self,
        waiting: usize,
        idle_frames: u64,
        capable: bool,
        draw: u32,
    ) -> Managed {
        let RedConfig { min_frames, max_frames, max_ppm, weight_shift, ecn, .. } = self.config;
        if idle_frames > 0 {
            self.average = fraction(self.average, power(ONE - (ONE >> weight_shift), idle_frames));
        }
        let target = (waiting as u64) << FRACTION;
        if target >= self.average {
            self.average += (target - self.average) >> weight_shift;
        } else {
            self.average -= (self.average - target) >> weight_shift;
        }
        let (low, high) = (u64::from(min_frames) << FRACTION, u64::from(max_frames) << FRACTION);
        if self.average < low {
            self.since = None;
            return Managed::Passes;
        }
        if self.average >= high {
            self.since = Some(0);
            return Managed::Dropped;
        }
        let since = self.since.map_or(0, |since| since + 1);
        self.since = Some(since);
        // Counted so that the frames between two drops are spread evenly: p / (1 - count p).
        let share = u128::from(self.average - low) * u128::from(ONE) / u128::from(high - low);
        let p = share * u128::from(max_ppm) / 1_000_000;
        let rest = u128::from(ONE).saturating_sub(u128::from(since) * p);
        if u128::from(draw) * rest >= p * u128::from(ONE) {
            return Managed::Passes;
        }
        self.since = Some(0);
        if ecn && capable { Managed::Marked } else { Managed::Dropped }
    }
}

/// `value` times `part` of [`ONE`].
fn fraction(value: u64, part: u64) -> u64 {
    ((u128::from(value) * u128::from(part)) >> 32) as u64
}

/// `base`, a part of [`ONE`], to the power of `exponent`.
fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = ONE;
    while exponent > 0 && result > 0 {
        if exponent & 1 == 1 {
            result = fraction(result, base);
        }
        base = fraction(base, base);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_core::rng::Stream;

    const CONFIG: RedConfig = RedConfig {
        limit_frames: 100,
        min_frames: 5,
        max_frames: 15,
        max_ppm: 100_000,
        weight_shift: 3,
        ecn: true,
    };

    /// Of 10,000 frames that find so many waiting, those that are dropped and marked.
    fn shares(waiting: usize, capable: bool) -> (usize, usize) {
        let mut red = Red::new(CONFIG);
        for _ in 0..200 {
            red.arrive(waiting, 0, capable, u32::MAX);
        }
        let mut stream = Stream::new(1, 1);
        let mut arrive = || red.arrive(waiting, 0, capable, stream.next_u64() as u32);
        let all: Vec<Managed> = (0..10_000).map(|_| arrive()).collect();
        let count = |wanted| all.iter().filter(|one| **one == wanted).count();
        (count(Managed::Dropped), count(Managed::Marked))
    }

    #[test]
    fn more_is_dropped_the_longer_the_queue_is_on_average() {
        assert_eq!(shares(4, false), (0, 0));
        // At p = 0.05 one of ten, since distances spread evenly from 1 to 1/p - 1 (Floyd and Jacobson 1993, section 7).
        let (dropped, _) = shares(10, false);
        assert!((850..1_050).contains(&dropped), "{dropped}");
        let (more, _) = shares(14, false);
        assert!(more > dropped * 3 / 2, "{more}");
        assert_eq!(shares(16, false), (10_000, 0));
    }

    #[test]
    fn what_can_be_marked_is_marked_until_the_queue_is_too_long() {
        let (dropped, marked) = shares(10, true);
        assert!(dropped == 0 && (850..1_050).contains(&marked), "{marked}");
        assert_eq!(shares(16, true), (10_000, 0));
    }

    #[test]
    fn the_average_follows_slowly_and_falls_while_nothing_is_sent() {
        let mut red = Red::new(CONFIG);
        assert_eq!(red.arrive(16, 0, false, 0), Managed::Passes, "two on average");
        for _ in 0..100 {
            red.arrive(16, 0, false, 0);
        }
        assert_eq!(red.arrive(0, 0, false, u32::MAX), Managed::Passes, "14 on average");
        assert_eq!(red.arrive(0, 0, false, 0), Managed::Dropped, "12 on average");
        assert_eq!(red.arrive(0, 100, false, 0), Managed::Passes, "none on average");
    }
}
