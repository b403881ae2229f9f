//! What a drawn host's NICs are like, in which VLAN the hosts are, and what is wrong with NICs.

use causeway_core::time::Duration;

use super::draw::{Draw, span};
use crate::fault::{Condition, FaultPlan, NicTrouble};

/// Capabilities, rates and what is so for a while have streams of their own; so have cases around a scenario.
const PART_OFFLOADS: u64 = 30;
const PART_RATES: u64 = 31;
const PART_SPANS: u64 = 32;
const PART_SPANS_AROUND: u64 = 33;
/// A NIC that takes nothing is asked again all the time: none is so for longer.
const SPAN_MS_MAX: u64 = 300;

/// Draws NICs, host by host.
pub(super) struct Nics(Draw);

impl Nics {
    /// Those of a seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(Draw::new(seed, PART_OFFLOADS))
    }

    /// Output: the VLAN in which all interfaces are. Routers know of none.
    pub(super) const fn vlan(&mut self) -> Option<u64> {
        if self.0.chance(6) { Some(self.0.between(1, 4_094)) } else { None }
    }

    /// Output: what the next host's NIC does for its stack, as keys of `host.nic`. Each capability comes alone or with others; only what
    /// needs another one does not.
    pub(super) fn offloads(&mut self) -> Vec<String> {
        let draw = &mut self.0;
        let mut keys = Vec::new();
        if !draw.chance(40) {
            return keys;
        }
        let sums = draw.chance(60);
        if sums {
            keys.push("tx_checksum = true".to_owned());
        }
        if sums && draw.chance(60) {
            keys.push(format!("tso_bytes_max = {}", draw.magnitude(2_000, 65_549)));
        }
        let judges = draw.chance(60);
        if judges {
            keys.push("rx_checksum = true".to_owned());
        }
        if judges && draw.chance(60) {
            keys.push("lro = true".to_owned());
        }
        if draw.chance(30) {
            keys.push(format!("tx_segments = {}", draw.between(2, 20)));
        }
        if draw.chance(30) {
            keys.push(format!("rx_buffer = {}", draw.magnitude(128, 16_384)));
        }
        if draw.chance(30) {
            keys.push("vlan = true".to_owned());
        }
        keys
    }
}

/// Output: how often what a NIC does goes wrong, as keys of `[fault]`. Without the capability a rate does nothing.
pub(super) fn rates(seed: u64) -> Vec<String> {
    let mut draw = Draw::new(seed, PART_RATES);
    let mut keys = Vec::new();
    for (percent, key, most) in [
        (15, "sum_unknown_ppm", 300_000),
        (10, "sum_bad_ppm", 50_000),
        (3, "sum_good_ppm", 200_000),
        (15, "odd_cut_ppm", 500_000),
        (15, "greedy_join_ppm", 500_000),
    ] {
        if draw.chance(percent) {
            keys.push(format!("{key} = {}", draw.magnitude(most / 100, most)));
        }
    }
    keys
}

/// Command: adds what is wrong with one of `nics` for a while, all of it over after `heal_ms`. `around`: a scenario that is given.
pub(super) fn draw_spans(
    plan: &mut FaultPlan,
    seed: u64,
    nics: &[String],
    heal_ms: u64,
    around: bool,
) {
    let mut draw = Draw::new(seed, if around { PART_SPANS_AROUND } else { PART_SPANS });
    let count = if draw.chance(75) { 0 } else { draw.between(1, 3) };
    for _ in 0..count {
        let Some(target) = nics.get(draw.stream.below(nics.len().max(1) as u64) as usize) else {
            return;
        };
        let micros = |draw: &mut Draw, most| Duration::from_micros(draw.magnitude(1, most));
        let trouble = match draw.stream.below(6) {
            0 => NicTrouble::TxStalled,
            1 => NicTrouble::NoBuffers,
            2 => NicTrouble::LateCompletion(micros(&mut draw, 10_000)),
            3 => NicTrouble::RxRing(draw.magnitude(1, 64) as u32),
            _ => NicTrouble::Coalesced(micros(&mut draw, 20_000)),
        };
        let from = draw.stream.below(heal_ms);
        let until = from + draw.magnitude(1, SPAN_MS_MAX.min(heal_ms - from));
        plan.push(span(target.clone(), from..until, Condition::Nic(trouble)));
    }
}
