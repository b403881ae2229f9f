//! What is drawn of links beyond their rate and delay.

use std::fmt::Write as _;

use causeway_core::time::Duration;

use super::draw::{Draw, span};
use super::foreign::foreign_stack;
use crate::fault::{Condition, FaultPlan, TcpOption};

/// The parts of the draws; see [`super::draw()`].
const PART_QUEUES: u64 = 20;
const PART_FAULTS: u64 = 21;
const PART_SPANS: u64 = 22;
const PART_LAYOUT: u64 = 23;
const PART_DETOURS: u64 = 24;

/// The routers of a case with two paths.
pub(super) const ROUTERS: [&str; 2] = ["r", "q"];
/// The links between them: the first one is the path as long as it is there.
pub(super) const BETWEEN_ROUTERS: [(&str, &str); 2] =
    [("r.eth101", "q.eth101"), ("r.eth102", "q.eth102")];

/// The queues of a case's links, where they drop.
pub(super) struct Queues {
    draw: Draw,
    managed: bool,
}

/// Of a full frame of Ethernet.
const FRAME_BITS: u64 = 1_514 * 8;

impl Queues {
    /// The queues of the case of `seed`: in two of five some are managed. None is where smoltcp sends: it has no congestion window, so that
    /// after each timeout it sends all that the peer's window takes, of which such a queue drops most, and its timeout doubles.
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, PART_QUEUES);
        let managed = draw.chance(40) && foreign_stack(seed) != Some("smoltcp");
        Self { draw, managed }
    }

    /// Output: the next link's queue of at most `frames`, at `rate` kbit/s, as the scenario has it; `None`: one that drops what does not fit.
    pub(super) fn draw(&mut self, frames: u64, rate: u64) -> Option<String> {
        let draw = &mut self.draw;
        let (kind, ecn) = (draw.stream.below(3), draw.chance(60));
        // A queue that drops a good part of what it is there for makes a path of which no bound in time can be told: without SACK and timestamps
        // each loss of what was sent again doubles the timer, and nothing that is delivered brings it down (RFC 6298 3, 5.5).
        let max = draw.magnitude(8, frames.max(9));
        let (min, ppm) = (draw.between(2, max - 1), draw.magnitude(1_000, 200_000));
        let shift = draw.between(2, 10);
        let (target, interval) = (draw.magnitude(10, 20_000), draw.magnitude(1_000, 500_000));
        // A frame alone is no standing queue (RFC 8289 3.2): whatever waits behind one would be dropped in the end.
        let target = target.max(2 * FRAME_BITS * 1_000 / rate.max(1));
        // Where every frame that waits is late at once nothing but single frames gets through (RFC 8289 3.2: target is a small part of interval).
        let interval = interval.max(4 * target);
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

/// Command: what else is so for a while in the case of `seed`: in one of eight. `pairs` are the ends of the hosts' links.
pub(super) fn draw_spans(plan: &mut FaultPlan, seed: u64, pairs: &[(&str, &str)], heal_ms: u64) {
    let mut draw = Draw::new(seed, PART_SPANS);
    if !draw.chance(12) {
        return;
    }
    for _ in 0..draw.between(1, 2) {
        let (host, other) = draw.of(pairs);
        let (from, to) = if draw.chance(50) { (host, other) } else { (other, host) };
        let direction = format!("{from}->{to}");
        let begins_ms = draw.stream.below(heal_ms);
        let ends_ms = draw.between(begins_ms + 1, heal_ms);
        let mut push = |until_ms, condition| {
            plan.push(span(direction.clone(), begins_ms..until_ms, condition));
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

/// Getter: of the cases with a router, that of `seed` has two, with two paths between them.
pub(super) const fn has_detour(seed: u64) -> bool {
    Draw::new(seed, PART_LAYOUT).chance(30)
}

/// Two routers: the first has the hosts of even places, the other those of odd ones. Each knows a way to the other's hosts over the first
/// link between them, and for everything else one over the second. Returns the MTU of the narrowest link.
pub(super) fn write_routers(text: &mut String, draw: &mut Draw, hosts: usize, mtu: u64) -> u64 {
    let mtus: [u64; 2] =
        std::array::from_fn(|_| if draw.chance(40) { draw.between(1_280, mtu) } else { mtu });
    text.push_str("router = [\n");
    for (at, name) in ROUTERS.iter().enumerate() {
        let (own, other) = (at + 1, 2 - at);
        let _ = write!(text, "  {{ name = \"{name}\", interface = [");
        for host in (0..hosts).filter(|host| host % 2 == at) {
            let link = host + 1;
            let _ = write!(
                text,
                "{{ name = \"eth{link}\", mtu = {mtu}, \
                 addresses = [\"10.0.{link}.254/24\", \"fd00:{link}::fe/64\"] }}, "
            );
        }
        for (link, carries) in [101, 102].into_iter().zip(mtus) {
            let _ = write!(
                text,
                "{{ name = \"eth{link}\", mtu = {carries}, \
                 addresses = [\"10.0.{link}.{own}/24\", \"fd00:{link}::{own}/64\"] }}, "
            );
        }
        text.push_str("], route = [");
        for link in (1..=hosts).filter(|link| link % 2 != own % 2) {
            let _ = write!(
                text,
                "{{ destination = \"10.0.{link}.0/24\", gateway = \"10.0.101.{other}\" }}, \
                 {{ destination = \"fd00:{link}::/64\", gateway = \"fd00:101::{other}\" }}, "
            );
        }
        let _ = writeln!(
            text,
            "{{ destination = \"0.0.0.0/0\", gateway = \"10.0.102.{other}\" }}, \
             {{ destination = \"::/0\", gateway = \"fd00:102::{other}\" }}] }},"
        );
    }
    text.push_str("]\n");
    mtus.into_iter().fold(mtu, u64::min)
}

/// Command: when the routers of the case of `seed` do without the first link between them: both together, or one alone.
pub(super) fn draw_detours(plan: &mut FaultPlan, seed: u64, heal_ms: u64) {
    let mut draw = Draw::new(seed, PART_DETOURS);
    for _ in 0..draw.between(1, 3) {
        let begins_ms = draw.stream.below(heal_ms);
        let ends_ms = draw.between(begins_ms + 1, heal_ms);
        let who = draw.stream.below(4);
        for (index, name) in ROUTERS.iter().enumerate() {
            if who == index as u64 {
                continue;
            }
            plan.push(span(format!("{name}.eth101"), begins_ms..ends_ms, Condition::NoRoute));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FRAME_BITS;
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
                let physics = &link.physics[0];
                match physics.queue {
                    Queue::Red(red) => seen[usize::from(red.ecn)] += 1,
                    Queue::CoDel(codel) => {
                        seen[2 + usize::from(codel.ecn)] += 1;
                        let frame = FRAME_BITS * 1_000_000_000 / physics.rate_bps;
                        assert!(codel.target.as_nanos() > frame, "a frame alone is no queue");
                        assert!(codel.interval >= codel.target.saturating_mul(4));
                    }
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

    #[test]
    fn a_case_with_two_paths_changes_from_one_to_the_other() {
        let mut changes = 0;
        for seed in 0..1_000 {
            let case = draw(seed);
            let scenario = Scenario::parse("case", &case.scenario).expect("it is right");
            let two = scenario.routers.len() == 2;
            let targets = case.plan.spans().filter(|span| span.3 == Condition::NoRoute);
            let targets: Vec<&str> = targets.map(|span| span.0).collect();
            assert!(two || targets.is_empty());
            assert!(targets.iter().all(|target| ["r.eth101", "q.eth101"].contains(target)));
            changes += u32::from(!targets.is_empty());
        }
        assert!(changes > 10, "{changes}");
    }
}
