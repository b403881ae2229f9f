//! Challenge acknowledgements of all connections together (RFC 5961 §7).
//!
//! A fixed number a second would be a secret that leaks: who probes with forged segments could count how many challenges are
//! left and so learn whether two hosts talk, and where in the window (CVE-2016-5696). So the number is drawn anew each second.

use crate::planted::{self, Bug};
use crate::rng::Stream;
use crate::time::{Duration, Instant};

/// How many challenges may still be sent in this second.
#[derive(Debug)]
pub struct ChallengeBudget {
    per_second: u32,
    left: u32,
    drawn_at: Option<Instant>,
    random: Stream,
}

impl ChallengeBudget {
    /// From half to one and a half times `per_second`, drawn from `random`.
    pub const fn new(per_second: u32, random: Stream) -> Self {
        Self { per_second, left: 0, drawn_at: None, random }
    }

    /// Command: another number from now on.
    pub const fn set_per_second(&mut self, per_second: u32) {
        if per_second != self.per_second {
            (self.per_second, self.drawn_at) = (per_second, None);
        }
    }

    /// Command: takes one; false when none is left in this second.
    pub fn allow(&mut self, now: Instant) -> bool {
        let second = Duration::from_secs(1);
        if self.drawn_at.is_none_or(|at| now.saturating_since(at) >= second) {
            self.drawn_at = Some(now);
            let spread = self.random.below(u64::from(self.per_second) + 1) as u32;
            self.left = (self.per_second / 2).saturating_add(spread);
            if planted::is(Bug::CountableChallenges) {
                self.left = self.per_second;
            }
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_another_number_of_challenges_around_the_configured_one() {
        let mut budget = ChallengeBudget::new(100, Stream::new(1, 2));
        let mut now = Instant::ZERO;
        let mut counts = std::vec![];
        for _ in 0..20 {
            counts.push((0..1_000).filter(|_| budget.allow(now)).count());
            now += Duration::from_secs(1);
        }
        assert!(counts.iter().all(|count| (50..=150).contains(count)), "{counts:?}");
        counts.sort_unstable();
        counts.dedup();
        assert!(counts.len() > 10, "no two seconds need be alike: {counts:?}");
        assert!(!ChallengeBudget::new(0, Stream::new(1, 2)).allow(now));
        budget.set_per_second(0);
        assert!(!budget.allow(now), "another number counts at once");
    }
}
