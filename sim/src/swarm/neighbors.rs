//! Neighbours that are silent or late, and what misleads about where they are.

use causeway_core::time::{Duration, Instant};

use super::draw::Draw;
use crate::fault::{Condition, Decision, FaultPlan, NeighborTrouble};

/// The part of the draws.
const PART: u64 = 39;
/// Cases in a hundred that have such.
const PERCENT: u64 = 10;
/// Most claims, in parts per million of frames.
const CLAIMS_PPM_MAX: u64 = 20_000;
/// How late a neighbour answers at most: too late for the first question, and for the second (RFC 4861 10: a second).
const LATE_US_MAX: u64 = 2_500_000;

/// What misleads hosts in a case. Other stacks believe what they were told for as long as it suits them: none is misled.
#[derive(Debug)]
pub(super) struct Neighbors {
    draw: Draw,
    drawn: bool,
}

impl Neighbors {
    /// That of the case of `seed`; `foreign`: it has a host with another stack.
    pub(super) fn new(seed: u64, foreign: bool) -> Self {
        let mut draw = Draw::new(seed, PART);
        let drawn = draw.chance(PERCENT) && !foreign;
        Self { draw, drawn }
    }

    /// Output: what of it is random, as keys of `[fault]`.
    pub(super) fn faults(&mut self) -> Vec<String> {
        let (claims, ppm) = (self.draw.chance(50), self.draw.magnitude(100, CLAIMS_PPM_MAX));
        if self.drawn && claims { vec![format!("neighbor_ppm = {ppm}")] } else { Vec::new() }
    }

    /// Command: adds what is so for a while, all of it over after `heal_ms`. `pairs` are the ends of links, a host's first.
    pub(super) fn draw_spans(mut self, plan: &mut FaultPlan, pairs: &[(&str, &str)], heal_ms: u64) {
        let draw = &mut self.draw;
        let count = if self.drawn { draw.between(0, 3) } else { 0 };
        for _ in 0..count {
            let (host, other) = draw.of(pairs);
            let target = if draw.chance(50) {
                format!("{host}->{other}")
            } else {
                format!("{other}->{host}")
            };
            let trouble = match draw.stream.below(3) {
                0 => NeighborTrouble::Silent,
                1 => NeighborTrouble::Late(Duration::from_micros(draw.magnitude(10, LATE_US_MAX))),
                _ => NeighborTrouble::False(station(draw)),
            };
            // At the begin everybody is asked for.
            let from = if draw.chance(50) { 0 } else { draw.stream.below(heal_ms) };
            let until = draw.between(from + 1, heal_ms);
            let at = |ms| Instant::ZERO + Duration::from_millis(ms);
            let (from, until) = (at(from), at(until));
            plan.push(Decision::Span {
                target,
                from,
                until,
                condition: Condition::Neighbor(trouble),
            });
        }
    }
}

/// Somebody's who is not there, or the first host's, whose packets another one gets then.
fn station(draw: &mut Draw) -> [u8; 6] {
    let nobody = draw.chance(70);
    if nobody { [0x02, 0x66, 0, 0, 0, draw.between(1, 255) as u8] } else { [0x02, 0, 10, 0, 0, 1] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, StackKind};
    use crate::swarm::draw;

    #[test]
    fn whatever_misleads_is_drawn_and_no_other_stack_is_misled() {
        let (mut spans, mut claims) = ([0; 3], 0);
        for seed in 0..1_500 {
            let case = draw(seed);
            let scenario = Scenario::parse("case", &case.scenario).expect("it is right");
            let foreign = scenario.hosts.iter().any(|host| host.stack != StackKind::Causeway);
            let claimed = scenario.faults.link.neighbor_ppm > 0;
            claims += u32::from(claimed);
            let before = spans;
            for (_, _, until, condition) in case.plan.spans() {
                assert!(until <= scenario.rules.heal_at);
                match condition {
                    Condition::Neighbor(NeighborTrouble::Silent) => spans[0] += 1,
                    Condition::Neighbor(NeighborTrouble::Late(_)) => spans[1] += 1,
                    Condition::Neighbor(NeighborTrouble::False(_)) => spans[2] += 1,
                    _ => {}
                }
            }
            assert!(!foreign || !claimed && spans == before, "{seed}");
        }
        assert!(claims > 20 && spans.iter().all(|count| *count > 15), "{claims} {spans:?}");
    }
}
