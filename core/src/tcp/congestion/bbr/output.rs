//! What the model means for sending (draft-ietf-ccwg-bbr §4.6): pacing rate and window.

use super::super::figures::CongestionFigures;
use super::super::sample::AckSample;
use super::super::window::{CWND_MAX, Window, initial_window};
use super::model::{INFINITE, percent};
use super::probe_bw::Phase;
use super::{Bbr, Context, State};
use crate::planted::{self, Bug};
use crate::tcp::pacing::quantum;
use crate::time::Duration;

/// BBRStartupPacingGain: 4 ln 2.
const STARTUP_PACING_GAIN: u64 = 277;
/// BBRDrainPacingGain.
const DRAIN_PACING_GAIN: u64 = 50;
/// BBRPacingMarginPercent: what is left of the rate, so that queues run empty.
const PACING_MARGIN: u64 = 99;

impl Bbr {
    const fn pacing_gain(&self) -> u64 {
        match self.state {
            State::Startup => STARTUP_PACING_GAIN,
            State::Drain => DRAIN_PACING_GAIN,
            State::ProbeBw(Phase::Down) => 90,
            State::ProbeBw(Phase::Cruise | Phase::Refill) | State::ProbeRtt => 100,
            State::ProbeBw(Phase::Up) => 125,
        }
    }

    const fn cwnd_gain(&self) -> u64 {
        match self.state {
            State::Startup | State::Drain => 200,
            State::ProbeBw(Phase::Down | Phase::Cruise | Phase::Refill) => 200,
            State::ProbeBw(Phase::Up) => 225,
            State::ProbeRtt => 50,
        }
    }

    /// Getter: bandwidth and round trip of the model, and the gains of the state.
    pub(in super::super) fn figures(&self) -> CongestionFigures {
        CongestionFigures::Bbr {
            // Nothing was measured yet.
            bandwidth: if self.model.bw == u64::MAX { 0 } else { self.model.bw },
            min_rtt: Duration::from_micros(self.model.min_rtt_us()),
            pacing_gain: self.pacing_gain() as u32,
            cwnd_gain: self.cwnd_gain() as u32,
        }
    }

    /// BBRInitPacingRate: as if the path were a millisecond long until it is known.
    pub(super) fn init_pacing_rate(&mut self, cwnd: u32, srtt: Duration) {
        let us = if srtt == Duration::ZERO { 1_000 } else { srtt.as_micros().max(1) };
        let nominal = u64::from(cwnd) * 1_000_000 / us;
        self.pacing_rate = percent(nominal, STARTUP_PACING_GAIN).max(1);
    }

    /// BBRSetPacingRateWithGain.
    pub(super) fn set_pacing_rate(&mut self, gain: u64) {
        let rate = percent(percent(self.model.bw, gain), PACING_MARGIN);
        if rate > 0 && (self.full.reached || rate > self.pacing_rate) {
            self.pacing_rate = rate;
        }
    }

    /// BBRUpdateControlParameters.
    pub(super) fn update_control_parameters(
        &mut self,
        window: &mut Window,
        c: &Context,
        ack: &AckSample,
    ) {
        if self.model.max_bw() == 0 && ack.srtt != Duration::ZERO {
            self.init_pacing_rate(window.cwnd, ack.srtt);
        }
        self.set_pacing_rate(self.pacing_gain());
        self.set_cwnd(window, c);
    }

    /// BBRUpdateMaxInflight, with BBRQuantizationBudget.
    fn max_inflight(&self, c: &Context) -> u64 {
        let Some(bdp) = self.model.bdp(self.model.bw, self.cwnd_gain()) else {
            return u64::from(initial_window(c.mss, false));
        };
        let offload = 3 * u64::from(quantum(self.pacing_rate, c.mss));
        let inflight = bdp.saturating_add(self.model.extra_acked());
        let inflight = inflight.max(offload).max(u64::from(c.min_pipe()));
        let up = self.state == State::ProbeBw(Phase::Up);
        inflight.saturating_add(if up { 2 * u64::from(c.mss) } else { 0 })
    }

    /// BBRSetCwnd.
    fn set_cwnd(&self, window: &mut Window, c: &Context) {
        let max = self.max_inflight(c);
        let mut cwnd = u64::from(window.cwnd);
        // BBRModulateCwndForRecovery.
        cwnd = cwnd.saturating_sub(u64::from(c.rs.newly_lost)).max(u64::from(c.mss));
        let grown = cwnd + u64::from(c.rs.newly_acked);
        if self.full.reached {
            cwnd = grown.min(max);
        } else if cwnd < max || c.rs.total_delivered < u64::from(initial_window(c.mss, false)) {
            cwnd = grown;
        }
        if !self.in_loss {
            cwnd = cwnd.max(u64::from(c.min_pipe()));
        }
        if self.state == State::ProbeRtt {
            cwnd = cwnd.min(self.probe_rtt_cwnd(c));
        }
        cwnd = cwnd.min(self.cap(c)).clamp(1, u64::from(CWND_MAX));
        window.cwnd = cwnd as u32;
    }

    /// BBRBoundCwndForModel.
    fn cap(&self, c: &Context) -> u64 {
        if planted::is(Bug::InflightUncapped) {
            return INFINITE;
        }
        let long_term = match self.state {
            State::ProbeBw(Phase::Down | Phase::Refill | Phase::Up) => self.model.inflight_hi,
            State::ProbeBw(Phase::Cruise) | State::ProbeRtt => self.model.inflight_with_headroom(c),
            State::Startup | State::Drain => INFINITE,
        };
        long_term.min(self.model.inflight_lo).max(u64::from(c.min_pipe()))
    }
}
