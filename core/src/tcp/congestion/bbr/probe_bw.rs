//! ProbeBW (draft-ietf-ccwg-bbr §4.3.3): a cycle of sending a little less, as much, and a little more than what the path
//! delivers.

use serde::{Deserialize, Serialize};

use super::model::{INFINITE, Model};
use super::{Bbr, Context, State};
use crate::planted::{self, Bug};
use crate::rng::Stream;
use crate::time::{Duration, Instant};

/// A probe comes at the latest after as many rounds as Reno would need to grow, at most these (§4.3.3.5.1).
const RENO_ROUNDS_MAX: u64 = 63;
/// Otherwise after 2 to 3 s.
const PROBE_WAIT_MS: (u64, u64) = (2_000, 1_000);

/// The four parts of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Less than the path delivers: the queue of the probe runs empty.
    Down,
    /// As much as it delivers, with room left for others.
    Cruise,
    /// As much, for a round, so that the probe finds a full pipe.
    Refill,
    /// More.
    Up,
}

/// What the acknowledgements that arrive now are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AckPhase {
    Init,
    Refilling,
    ProbeStarting,
    ProbeFeedback,
    ProbeStopping,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cycle {
    stamp: Instant,
    wait: Duration,
    pub(super) ack_phase: AckPhase,
    /// Samples of a probe come in: too much loss bounds `inflight_hi`.
    pub(super) samples: bool,
    up_rounds: u32,
    up_acks: u64,
    /// Bytes acknowledged for one more segment of `inflight_hi`.
    up_count: u64,
    cycles: u64,
}

impl Default for Cycle {
    fn default() -> Self {
        Self {
            stamp: Instant::ZERO,
            wait: Duration::ZERO,
            ack_phase: AckPhase::Init,
            samples: false,
            up_rounds: 0,
            up_acks: 0,
            up_count: INFINITE,
            cycles: 0,
        }
    }
}

impl Bbr {
    pub(super) const fn is_in_probe_bw(&self) -> bool {
        matches!(self.state, State::ProbeBw(_))
    }

    /// BBRStartProbeBW_DOWN.
    pub(super) fn start_down(&mut self, c: &Context) {
        self.model.reset_congestion_signals();
        let cycle = &mut self.cycle;
        cycle.up_count = INFINITE;
        // BBRPickProbeWait: flows that began together shall not probe together. What was delivered so far is as good
        // as a seed: it differs between connections and is the same in a replay.
        cycle.cycles += 1;
        let mut random = Stream::new(c.rs.total_delivered, cycle.cycles);
        self.model.rounds_since_bw_probe = u32::from(random.below(2) == 1);
        cycle.wait = Duration::from_millis(PROBE_WAIT_MS.0 + random.below(PROBE_WAIT_MS.1));
        cycle.stamp = c.now;
        cycle.ack_phase = AckPhase::ProbeStopping;
        self.model.start_round(c.rs.total_delivered);
        self.state = State::ProbeBw(Phase::Down);
    }

    pub(super) const fn start_cruise(&mut self) {
        self.state = State::ProbeBw(Phase::Cruise);
    }

    fn start_refill(&mut self, c: &Context) {
        self.model.reset_lower_bounds();
        self.cycle.up_rounds = 0;
        self.cycle.up_acks = 0;
        self.cycle.ack_phase = AckPhase::Refilling;
        self.model.start_round(c.rs.total_delivered);
        self.state = State::ProbeBw(Phase::Refill);
    }

    fn start_up(&mut self, c: &Context) {
        self.cycle.ack_phase = AckPhase::ProbeStarting;
        self.model.start_round(c.rs.total_delivered);
        self.full.restart_from(c.rs.delivery_rate);
        self.cycle.stamp = c.now;
        self.state = State::ProbeBw(Phase::Up);
        self.raise_inflight_hi_slope(c);
    }

    /// BBRUpdateProbeBWCyclePhase.
    pub(super) fn update_probe_bw_phase(&mut self, c: &Context) {
        if !self.full.reached {
            return;
        }
        self.adapt_upper_bounds(c);
        let State::ProbeBw(phase) = self.state else { return };
        match phase {
            Phase::Down => {
                if !self.probe_if_it_is_time(c) && self.is_time_to_cruise(c) {
                    self.start_cruise();
                }
            }
            Phase::Cruise => {
                self.probe_if_it_is_time(c);
            }
            Phase::Refill => {
                // A round later the samples of the full pipe come in.
                if self.model.round_start {
                    self.cycle.samples = true;
                    self.start_up(c);
                }
            }
            Phase::Up => {
                if self.is_time_to_go_down(c) {
                    self.start_down(c);
                }
            }
        }
    }

    fn is_time_to_cruise(&self, c: &Context) -> bool {
        let in_flight = u64::from(c.in_flight);
        let one = self.model.bdp(self.model.max_bw(), 100).unwrap_or(INFINITE);
        in_flight <= self.model.inflight_with_headroom(c) && in_flight <= one
    }

    /// BBRIsTimeToProbeBW.
    fn probe_if_it_is_time(&mut self, c: &Context) -> bool {
        let waited = c.now.saturating_since(self.cycle.stamp) > self.cycle.wait;
        let reno_rounds = (self.target_inflight(c) / u64::from(c.mss.max(1))).min(RENO_ROUNDS_MAX);
        let is_time = waited || u64::from(self.model.rounds_since_bw_probe) >= reno_rounds.max(1);
        let is_time = is_time && !planted::is(Bug::NoProbeUp);
        if is_time {
            self.start_refill(c);
        }
        is_time
    }

    /// BBRIsTimeToGoDown.
    fn is_time_to_go_down(&mut self, c: &Context) -> bool {
        if c.cwnd_limited && u64::from(c.cwnd) >= self.model.inflight_hi {
            // The bound, and not the path, was in the way: growth counts from here.
            self.full.restart_from(c.rs.delivery_rate);
            return false;
        }
        self.full.now
    }

    /// BBRTargetInflight.
    fn target_inflight(&self, c: &Context) -> u64 {
        let bdp = self.model.bdp(self.model.bw, 100).unwrap_or(INFINITE);
        bdp.min(u64::from(c.cwnd))
    }

    /// BBRAdaptLongTermModel.
    fn adapt_upper_bounds(&mut self, c: &Context) {
        if self.model.round_start {
            match self.cycle.ack_phase {
                AckPhase::ProbeStarting => self.cycle.ack_phase = AckPhase::ProbeFeedback,
                AckPhase::ProbeStopping => {
                    self.cycle.samples = false;
                    self.cycle.ack_phase = AckPhase::Init;
                    if self.is_in_probe_bw() && !c.rs.is_app_limited {
                        self.model.advance_max_bw_filter();
                    }
                }
                AckPhase::Init | AckPhase::Refilling | AckPhase::ProbeFeedback => {}
            }
        }
        if Model::is_inflight_too_high(&c.rs) {
            if self.cycle.samples {
                self.handle_inflight_too_high(c);
            }
            return;
        }
        if self.model.inflight_hi == INFINITE {
            return;
        }
        self.model.inflight_hi = self.model.inflight_hi.max(u64::from(c.rs.tx_in_flight));
        if self.state == State::ProbeBw(Phase::Up) {
            self.probe_inflight_hi_upward(c);
        }
    }

    /// BBRHandleInflightTooHigh.
    pub(super) fn handle_inflight_too_high(&mut self, c: &Context) {
        self.cycle.samples = false;
        let target = self.target_inflight(c);
        self.model.lower_inflight_hi(&c.rs, target);
        if self.state == State::ProbeBw(Phase::Up) {
            self.start_down(c);
        }
    }

    /// BBRProbeInflightLongTermUpward.
    fn probe_inflight_hi_upward(&mut self, c: &Context) {
        if !c.cwnd_limited || u64::from(c.cwnd) < self.model.inflight_hi {
            return;
        }
        self.cycle.up_acks = self.cycle.up_acks.saturating_add(c.rs.newly_acked.into());
        if self.cycle.up_acks >= self.cycle.up_count {
            let count = self.cycle.up_count.max(1);
            let delta = self.cycle.up_acks / count;
            self.cycle.up_acks %= count;
            self.model.inflight_hi =
                self.model.inflight_hi.saturating_add(delta.saturating_mul(c.mss.into()));
        }
        if self.model.round_start {
            self.raise_inflight_hi_slope(c);
        }
    }

    /// BBRRaiseInflightLongTermSlope: by one segment in the first round, by twice as many in each further one.
    fn raise_inflight_hi_slope(&mut self, c: &Context) {
        let growth = 1u64 << self.cycle.up_rounds.min(30);
        self.cycle.up_rounds = self.cycle.up_rounds.saturating_add(1).min(30);
        self.cycle.up_count = (u64::from(c.cwnd) / growth).max(u64::from(c.mss)).max(1);
    }
}
