//! Hosts whose programs reach the engine over channels, as processes do.

use super::draw::{Draw, span};
use crate::fault::{Condition, FaultPlan};

/// One case in so many has them.
const ONE_IN: u64 = 10;

/// What is drawn about channels. Streams 40 to 49 are its.
#[derive(Debug)]
pub(super) struct Ipc {
    has_channels: bool,
    draw: Draw,
    /// Hosts that have them.
    hosts: Vec<&'static str>,
}

impl Ipc {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 40);
        Self { has_channels: draw.stream.below(ONE_IN) == 0, draw, hosts: Vec::new() }
    }

    /// Output: the settings of host `name`, without `machnet`, and whether its programs have channels.
    pub(super) fn host(&mut self, name: &'static str) -> (String, bool) {
        let draw = &mut self.draw;
        if !self.has_channels || draw.chance(20) {
            return (String::new(), false);
        }
        self.hosts.push(name);
        // Lanes that are full now and then.
        let chunk = 1 << draw.between(12, 14);
        let entries = 1 << draw.between(4, 9);
        let (tx, rx) = (draw.magnitude(64 << 10, 1 << 20), draw.magnitude(128 << 10, 2 << 20));
        let window = draw.magnitude(64 << 10, 1 << 20);
        let commands = draw.of(&[1, 2, 8, 64, 64]);
        let text = format!(
            ", port = \"channel\", channel = {{ streams_max = {}, ring_entries = {entries}, \
             chunk_bytes = {chunk}, tx_bytes = {tx}, rx_bytes = {rx}, rx_window_bytes = {window}, \
             commands_per_step = {commands} }}",
            draw.between(8, 32)
        );
        (text, true)
    }

    /// Output: what goes wrong at random on those hosts, for `[fault]`.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.hosts.is_empty() {
            return faults;
        }
        let mut draw = Draw::new(self.draw.seed(), 41);
        for (percent, key, most) in [
            (40, "late_bell_ppm", 100_000),
            (10, "lost_bell_ppm", 3_000),
            (25, "no_channel_ppm", 500_000),
            (15, "dies_ppm", 5_000),
            (15, "hangs_ppm", 5_000),
            (30, "scribbles_ppm", 20_000),
        ] {
            if draw.chance(percent) {
                faults.push(format!("{key} = {}", draw.magnitude(most / 100, most)));
            }
        }
        if draw.chance(60) {
            faults.push(format!("late_bell_us_max = {}", draw.magnitude(10, 50_000)));
        }
        faults
    }

    /// Output: what is so for a while on those hosts, all of it over when the faults end.
    pub(super) fn add_spans(&self, plan: &mut FaultPlan, heal_ms: u64) {
        let mut draw = Draw::new(self.draw.seed(), 42);
        for host in &self.hosts {
            for (percent, condition) in [(25, Condition::Stall), (10, Condition::DaemonRestart)] {
                if !draw.chance(percent) {
                    continue;
                }
                let from = draw.stream.below(heal_ms);
                let until = draw.between(from + 1, heal_ms);
                plan.push(span((*host).to_owned(), from..until, condition));
            }
        }
    }
}
