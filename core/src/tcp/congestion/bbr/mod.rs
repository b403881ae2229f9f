//! BBR (draft-ietf-ccwg-bbr, version 3): sends at the rate that the path delivers, with about one bandwidth-delay
//! product in flight, and probes for more now and then. It needs pacing.
//!
//! Reading order: `rate` (what was delivered how fast), `model` (the path: bandwidth, round trip, bounds), `startup`,
//! `probe_bw` and `probe_rtt` (the states), `output` (what follows for pacing rate and window). Names are the draft's.

mod model;
mod output;
mod probe_bw;
mod probe_rtt;
mod rate;
mod startup;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::control::CongestionControl;
use super::sample::{AckPhase, AckSample, LossEvent, Lost, Sent};
use super::window::Window;
use crate::time::Instant;

use model::Model;
use probe_bw::{Cycle, Phase};
use probe_rtt::ProbeRtt;
use rate::{RateEstimator, RateSample};
use startup::FullBandwidth;

/// BBRMinPipeCwnd in segments.
const MIN_PIPE_SEGMENTS: u32 = 4;

/// The states of the draft's §3.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Doubles the rate each round trip until the bandwidth grows no more or too much is lost.
    Startup,
    /// Lets the queue of Startup run empty.
    Drain,
    /// Sends at the bandwidth, and in turn a little less and a little more.
    ProbeBw(Phase),
    /// Sends little, to see the round trip of an empty path.
    ProbeRtt,
}

/// All of BBR's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bbr {
    state: State,
    rate: RateEstimator,
    model: Model,
    full: FullBandwidth,
    cycle: Cycle,
    probe_rtt: ProbeRtt,
    /// Bytes a second; 0 before the first acknowledgement or the first segment.
    pacing_rate: u64,
    /// The window before recovery or ProbeRTT.
    prior_cwnd: u32,
    /// A timeout is being repaired.
    in_loss: bool,
    /// The application was silent, and sends again.
    idle_restart: bool,
}

impl Default for Bbr {
    fn default() -> Self {
        Self {
            state: State::Startup,
            rate: RateEstimator::default(),
            model: Model::default(),
            full: FullBandwidth::default(),
            cycle: Cycle::default(),
            probe_rtt: ProbeRtt::default(),
            pacing_rate: 0,
            prior_cwnd: 0,
            in_loss: false,
            idle_restart: false,
        }
    }
}

/// What the steps of one acknowledgement share.
#[derive(Clone, Copy, Debug)]
struct Context {
    now: Instant,
    mss: u32,
    in_flight: u32,
    cwnd_limited: bool,
    cwnd: u32,
    rs: RateSample,
}

impl Context {
    const fn min_pipe(&self) -> u32 {
        MIN_PIPE_SEGMENTS * self.mss
    }
}

impl Bbr {
    /// Getter: where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// BBRSaveCwnd.
    fn save_cwnd(&mut self, cwnd: u32) {
        let keeps = !self.in_loss && self.state != State::ProbeRtt;
        self.prior_cwnd = if keeps { cwnd } else { self.prior_cwnd.max(cwnd) };
    }

    /// BBRUpdateModelAndState.
    fn update_model_and_state(&mut self, window: &mut Window, c: &Context) {
        self.model.update_latest_delivery_signals(c);
        let probing = self.is_probing_bw();
        self.model.update_congestion_signals(c, probing);
        self.model.update_ack_aggregation(c);
        self.full.check(c, self.model.round_start);
        self.check_startup_done(c);
        self.check_drain_done(c);
        self.update_probe_bw_phase(c);
        self.check_probe_rtt(window, c);
        self.model.advance_latest_delivery_signals(c);
        self.model.bound_bw();
    }

    /// IsProbingBW: what is lost now is the price of probing.
    const fn is_probing_bw(&self) -> bool {
        match self.state {
            State::Startup | State::ProbeBw(Phase::Refill | Phase::Up) => true,
            State::Drain | State::ProbeBw(Phase::Down | Phase::Cruise) | State::ProbeRtt => false,
        }
    }
}

impl CongestionControl for Bbr {
    fn on_ack(&mut self, window: &mut Window, ack: &AckSample) {
        if self.in_loss && ack.phase == AckPhase::Open {
            self.in_loss = false;
            window.cwnd = window.cwnd.max(self.prior_cwnd);
        }
        let rs = self.rate.on_ack(ack, self.model.min_rtt_us());
        let c = Context {
            now: ack.now,
            mss: ack.mss,
            in_flight: ack.in_flight,
            cwnd_limited: ack.cwnd_limited,
            cwnd: window.cwnd,
            rs,
        };
        self.update_model_and_state(window, &c);
        self.update_control_parameters(window, &c, ack);
    }

    fn on_loss(&mut self, window: &mut Window, event: &LossEvent) {
        let _ = event;
        self.save_cwnd(window.cwnd);
        self.model.note_loss(self.rate.delivered());
    }

    /// BBRHandleLostPacket.
    fn on_lost(&mut self, window: &mut Window, lost: &Lost) {
        self.model.note_loss(self.rate.delivered());
        let Some(rs) = self.rate.on_lost(lost) else { return };
        if !self.cycle.samples || !Model::is_inflight_too_high(&rs) {
            return;
        }
        let tx_in_flight = Model::inflight_at_loss(&rs, lost.len);
        let c = Context {
            now: lost.now,
            mss: lost.mss,
            in_flight: lost.in_flight,
            cwnd_limited: false,
            cwnd: window.cwnd,
            rs: RateSample { tx_in_flight, ..rs },
        };
        self.handle_inflight_too_high(&c);
    }

    fn on_recovered(&mut self, window: &mut Window, event: &LossEvent) {
        let _ = event;
        window.cwnd = window.cwnd.max(self.prior_cwnd);
    }

    fn on_timeout(&mut self, window: &mut Window, event: &LossEvent, again: bool) {
        if !again {
            self.save_cwnd(window.cwnd);
            self.model.note_loss(self.rate.delivered());
        }
        self.in_loss = true;
        window.cwnd = event.mss;
    }

    fn on_ecn(&mut self, window: &mut Window, event: &LossEvent) {
        // A sign of congestion like a loss; the bounds of the model follow, not the window itself.
        let _ = (window, event);
        self.model.note_loss(self.rate.delivered());
    }

    fn on_idle_restart(&mut self, window: &mut Window, mss: u32) {
        // The pacing rate, not the window, keeps what follows silence from being a burst.
        let _ = (window, mss);
    }

    fn on_spurious(&mut self) {
        self.in_loss = false;
        self.full.reset();
        self.model.undo_loss();
    }

    fn on_sent(&mut self, window: &mut Window, sent: &Sent) {
        if sent.in_flight == 0 && self.rate.is_app_limited() {
            self.restart_from_idle(window, sent);
        }
        self.rate.on_sent(sent);
        if self.pacing_rate == 0 {
            self.init_pacing_rate(window.cwnd, sent.srtt);
        }
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }
}
