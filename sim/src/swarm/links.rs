//! What is drawn of links beyond their rate and delay.

use super::draw::Draw;

/// The part of the draws; see [`super::draw()`].
const PART_QUEUES: u64 = 20;

/// The queues of a case's links, where they drop.
pub(super) struct Queues {
    draw: Draw,
    managed: bool,
}

impl Queues {
    /// The queues of the case of `seed`: in two of five some are managed.
    pub(super) const fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, PART_QUEUES);
        let managed = draw.chance(40);
        Self { draw, managed }
    }

    /// Output: the next link's queue of at most `frames`, as the scenario has it; `None`: one that drops what does not fit.
    pub(super) fn draw(&mut self, frames: u64) -> Option<String> {
        let draw = &mut self.draw;
        let (kind, ecn) = (draw.stream.below(3), draw.chance(60));
        let max = draw.magnitude(2, frames.max(3));
        let (min, ppm) = (draw.stream.below(max), draw.magnitude(1_000, 1_000_000));
        let shift = draw.between(1, 10);
        let (target, interval) = (draw.magnitude(10, 20_000), draw.magnitude(1_000, 500_000));
        match kind {
            1 if self.managed => Some(format!(
                "queue = \"red\", red = {{ min_frames = {min}, max_frames = {max}, \
                 max_ppm = {ppm}, weight_shift = {shift}, ecn = {ecn} }}"
            )),
            2 if self.managed => Some(format!(
                "queue = \"codel\", \
                 codel = {{ target_us = {target}, interval_us = {interval}, ecn = {ecn} }}"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::link::Queue;
    use crate::scenario::Scenario;
    use crate::swarm::draw;

    #[test]
    fn managed_queues_are_drawn_of_both_kinds_with_and_without_marks() {
        let mut seen = [0; 4];
        for seed in 0..400 {
            let scenario = Scenario::parse("case", &draw(seed).scenario).expect("it is right");
            for link in &scenario.links {
                match link.physics[0].queue {
                    Queue::Red(red) => seen[usize::from(red.ecn)] += 1,
                    Queue::CoDel(codel) => seen[2 + usize::from(codel.ecn)] += 1,
                    Queue::Ring | Queue::DropTail(_) => {}
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 4), "{seen:?}");
    }
}
