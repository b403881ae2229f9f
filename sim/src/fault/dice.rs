//! Decisions about things that are counted: the n-th burst, the n-th allocation, the n-th iteration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use causeway_core::rng::Stream;

/// The n-th time suffers, or not; with a value where the fault has one.
///
/// A roll is a function of (seed, entity, n): leaving one decision out shifts no other. What was decided is recorded, so
/// that a run can be repeated from its plan.
#[derive(Clone, Debug, Default)]
pub struct Dice {
    source: Source,
    counter: u64,
    decided: Vec<(u64, u64)>,
    /// Set by the first hit.
    told: Option<Arc<AtomicBool>>,
}

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    Never,
    Drawn {
        parts_per_million: u32,
        stream: Stream,
        values: u64,
    },
    /// In order; those before `next` are done.
    Planned {
        decisions: Vec<(u64, u64)>,
        next: usize,
    },
}

impl Dice {
    /// Dice that hit with probability `parts_per_million` / 1,000,000; the value is below `values`.
    pub const fn drawn(seed: u64, entity: u64, parts_per_million: u32, values: u64) -> Self {
        let source = if parts_per_million == 0 {
            Source::Never
        } else {
            Source::Drawn { parts_per_million, stream: Stream::new(seed, entity), values }
        };
        Self { source, counter: 0, decided: Vec::new(), told: None }
    }

    /// Dice that hit at these numbers, counted from 1, with these values. Must be in order.
    pub fn planned(decisions: Vec<(u64, u64)>) -> Self {
        let source = if decisions.is_empty() {
            Source::Never
        } else {
            Source::Planned { decisions, next: 0 }
        };
        Self { source, counter: 0, decided: Vec::new(), told: None }
    }

    /// The same dice, whose first hit sets `told`.
    pub fn telling(self, told: &Arc<AtomicBool>) -> Self {
        Self { told: Some(Arc::clone(told)), ..self }
    }

    /// Output: the next decision: `Some(value)` where it hits.
    #[inline]
    pub fn roll(&mut self) -> Option<u64> {
        self.counter += 1;
        if matches!(self.source, Source::Never) {
            return None;
        }
        self.decide()
    }

    fn decide(&mut self) -> Option<u64> {
        let value = match &mut self.source {
            Source::Never => None,
            Source::Drawn { parts_per_million, stream, values } => {
                let draw = stream.at(2 * self.counter);
                let hit = ((u128::from(draw) * 1_000_000) >> 64) < u128::from(*parts_per_million);
                let scale = |draw: u64| ((u128::from(draw) * u128::from(*values)) >> 64) as u64;
                hit.then(|| scale(stream.at(2 * self.counter + 1)))
            }
            Source::Planned { decisions, next } => {
                while decisions.get(*next).is_some_and(|(number, _)| *number < self.counter) {
                    *next += 1;
                }
                decisions.get(*next).filter(|(number, _)| *number == self.counter).map(|d| d.1)
            }
        }?;
        if let Some(told) = &self.told {
            told.store(true, Ordering::Relaxed);
        }
        self.decided.push((self.counter, value));
        Some(value)
    }

    /// Command: nothing is hit from here on.
    pub fn heal(&mut self) {
        self.source = Source::Never;
    }

    /// Getter: what was hit so far: (number, value).
    pub fn decided(&self) -> &[(u64, u64)] {
        &self.decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolls(dice: &mut Dice, count: u64) -> Vec<(u64, u64)> {
        (1..=count).filter_map(|n| Some((n, dice.roll()?))).collect()
    }

    #[test]
    fn what_was_drawn_is_what_its_plan_does() {
        let mut drawn = Dice::drawn(1, 2, 100_000, 50);
        let hits = rolls(&mut drawn, 5_000);
        assert!((400..600).contains(&hits.len()), "{}", hits.len());
        assert!(hits.iter().all(|&(_, value)| value < 50) && hits.iter().any(|&(_, v)| v > 40));
        assert_eq!(drawn.decided(), hits);
        assert_eq!(rolls(&mut Dice::planned(hits.clone()), 5_000), hits);
        assert_ne!(rolls(&mut Dice::drawn(1, 3, 100_000, 50), 5_000), hits);
    }

    #[test]
    fn leaving_a_decision_out_shifts_no_other() {
        let mut plan = rolls(&mut Dice::drawn(1, 2, 100_000, 50), 1_000);
        plan.remove(7);
        assert_eq!(rolls(&mut Dice::planned(plan.clone()), 1_000), plan);
    }

    #[test]
    fn healed_dice_never_hit() {
        let mut dice = Dice::drawn(1, 2, 1_000_000, 1);
        assert_eq!(dice.roll(), Some(0));
        dice.heal();
        assert!(rolls(&mut dice, 100).is_empty() && dice.decided().len() == 1);
    }
}
