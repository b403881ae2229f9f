//! What is drawn of links beyond their rate and delay.

use causeway_core::time::{Duration, Instant};

use super::draw::Draw;
use crate::fault::{Condition, Decision, FaultPlan, TcpOption};

/// The parts of the draws; see [`super::draw()`].
const PART_QUEUES: u64 = 20;
const PART_FAULTS: u64 = 21;
const PART_SPANS: u64 = 22;

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

/// Output: what else goes wrong with the frames of the case of `seed`, as keys of its `[fault]`.
pub(super) fn faults(seed: u64) -> Vec<String> {
    let mut draw = Draw::new(seed, PART_FAULTS);
    let mut faults = Vec::new();
    for (percent, key, most) in [
        (15, "hold_ppm", 100_000),
        (12, "header_ppm", 30_000),
        (12, "join_ppm", 500_000),
        (10, "thin_ppm", 700_000),
        (10, "divide_ppm", 200_000),
        (3, "ack_storm_ppm", 10_000),
        (2, "header_repaired_ppm", 5_000),
    ] {
        let (drawn, ppm) = (draw.chance(percent), draw.magnitude(most / 100, most));
        let (frames, micros) = (draw.magnitude(1, 100), draw.magnitude(10, 200_000));
        if drawn {
            faults.push(format!("{key} = {ppm}"));
            if key == "hold_ppm" {
                faults.push(format!("hold_frames_max = {frames}, hold_us_max = {micros}"));
            }
        }
    }
    faults
}

/// Command: what else is so for a while in the case of `seed`: in one of eight. `middle` is what all hosts are connected to, if there is
/// something.
pub(super) fn draw_spans(
    plan: &mut FaultPlan,
    seed: u64,
    (hosts, middle): (&[&str], Option<&str>),
    heal_ms: u64,
) {
    let mut draw = Draw::new(seed, PART_SPANS);
    if !draw.chance(12) {
        return;
    }
    for _ in 0..draw.between(1, 2) {
        let host = draw.of(hosts);
        let other = middle.unwrap_or(if host == hosts[0] { hosts[1] } else { hosts[0] });
        let (from, to) = if draw.chance(50) { (host, other) } else { (other, host) };
        let direction = format!("{from}->{to}");
        let begins_ms = draw.stream.below(heal_ms);
        let ends_ms = draw.between(begins_ms + 1, heal_ms);
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let mut push = |until_ms, condition| {
            let (target, from, until) = (direction.clone(), at(begins_ms), at(until_ms));
            plan.push(Decision::Span { target, from, until, condition });
        };
        let part = |draw: &mut Draw| Duration::from_micros(draw.magnitude(100, 500_000));
        match draw.stream.below(20) {
            0..10 => push(ends_ms, Condition::Flap { up: part(&mut draw), down: part(&mut draw) }),
            10..15 => {
                // What was told is told no more some time later: to its sender the receiver reneges.
                let told_ms = draw.between(begins_ms + 1, ends_ms);
                push(told_ms, Condition::SackAhead(draw.magnitude(1, 100_000) as u32));
                push(ends_ms, Condition::Stripped(TcpOption::Sack));
            }
            15..19 => push(ends_ms, Condition::Window(draw.of(&[0, 1]))),
            _ => push(ends_ms, Condition::AckAhead(draw.magnitude(1, 100_000) as u32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fault::{Condition, PathProfile};
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

    #[test]
    fn everything_that_can_go_wrong_on_a_path_is_drawn_alone_and_together() {
        let (mut single, mut all, mut spans) = ([0; 7], [0; 7], [0; 3]);
        for seed in 0..1_000 {
            let case = draw(seed);
            let scenario = Scenario::parse("case", &case.scenario).expect("it is right");
            let PathProfile { hold_ppm, header_ppm, join_ppm, thin_ppm, divide_ppm, .. } =
                scenario.faults.link.path;
            let PathProfile { storm_ppm, header_repaired_ppm, .. } = scenario.faults.link.path;
            let on = [hold_ppm, header_ppm, join_ppm, thin_ppm, divide_ppm];
            let on = on.into_iter().chain([storm_ppm, header_repaired_ppm]).map(|ppm| ppm > 0);
            let on: Vec<bool> = on.collect();
            let alone = on.iter().filter(|on| **on).count() == 1;
            for (index, _) in on.iter().enumerate().filter(|(_, on)| **on) {
                all[index] += 1;
                single[index] += u32::from(alone);
            }
            for (_, _, until, condition) in case.plan.spans() {
                assert!(until <= scenario.rules.heal_at);
                match condition {
                    Condition::Flap { .. } => spans[0] += 1,
                    Condition::SackAhead(_) => spans[1] += 1,
                    Condition::AckAhead(_) => spans[2] += 1,
                    _ => {}
                }
            }
        }
        let each = all.iter().chain(&spans).chain(&single);
        assert!(each.clone().all(|count| *count > 0), "{single:?} {all:?} {spans:?}");
        assert!(all[..5].iter().all(|count| *count > 50), "{all:?}");
    }
}
