//! Clocks that run fast or slow.

use causeway_core::time::{Duration, Instant};

use super::draw::Draw;
use crate::fault::{ClockTrouble, Condition, Decision, FaultPlan};

/// The parts of the draws: of a case, and of one around a scenario.
const PART_CLOCKS: u64 = 37;
const PART_CLOCKS_AROUND: u64 = 38;
/// Most parts per million: twice what a daemon corrects a clock by.
const PPM_MAX: u64 = 1_000;
/// Furthest step of a wall clock: somebody set it to another day, or year.
const STEP_MS_MAX: u64 = 400 * 86_400_000;

/// Command: adds whose monotonic clock is fast or slow for a while, in one case of eight; all is over after `heal_ms`.
pub(super) fn draw_rates(plan: &mut FaultPlan, seed: u64, hosts: &[&str], heal_ms: u64) {
    let mut draw = Draw::new(seed, PART_CLOCKS);
    if !draw.chance(12) {
        return;
    }
    for host in hosts {
        if draw.chance(60) {
            let trouble = rate(&mut draw);
            push(plan, &mut draw, host, trouble, heal_ms);
        }
    }
}

/// Command: the same around a scenario, beside steps of the wall clocks that its programs see.
pub(super) fn draw_around(plan: &mut FaultPlan, seed: u64, hosts: &[(String, bool)], heal_ms: u64) {
    let mut draw = Draw::new(seed, PART_CLOCKS_AROUND);
    for (host, _) in hosts {
        if draw.chance(12) {
            let trouble = rate(&mut draw);
            push(plan, &mut draw, host, trouble, heal_ms);
        }
        if draw.chance(12) {
            let ahead = draw.chance(50);
            let nanos = draw.magnitude(1, STEP_MS_MAX).cast_signed() * 1_000_000;
            let trouble = ClockTrouble::WallStep(if ahead { nanos } else { -nanos });
            push(plan, &mut draw, host, trouble, heal_ms);
        }
    }
}

fn rate(draw: &mut Draw) -> ClockTrouble {
    let fast = draw.chance(50);
    let ppm = draw.magnitude(1, PPM_MAX) as i32;
    ClockTrouble::Rate(if fast { ppm } else { -ppm })
}

fn push(plan: &mut FaultPlan, draw: &mut Draw, host: &str, trouble: ClockTrouble, heal_ms: u64) {
    let from = draw.stream.below(heal_ms);
    let until = draw.between(from + 1, heal_ms);
    let at = |ms| Instant::ZERO + Duration::from_millis(ms);
    let (target, condition) = (host.to_owned(), Condition::Clock(trouble));
    plan.push(Decision::Span { target, from: at(from), until: at(until), condition });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::draw;

    #[test]
    fn clocks_are_drawn_fast_and_slow() {
        let mut rates = [0; 2];
        for seed in 0..1_000 {
            for (_, _, _, condition) in draw(seed).plan.spans() {
                if let Condition::Clock(ClockTrouble::Rate(ppm)) = condition {
                    assert!(ppm != 0 && ppm.unsigned_abs() <= PPM_MAX as u32);
                    rates[usize::from(ppm > 0)] += 1;
                }
            }
        }
        assert!(rates.iter().all(|count| *count > 40), "{rates:?}");
    }
}
