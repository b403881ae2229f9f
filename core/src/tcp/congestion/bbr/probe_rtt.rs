//! ProbeRTT (draft-ietf-ccwg-bbr §4.3.4): little in flight for 200 ms, so that the round trip of the empty path is seen.

use serde::{Deserialize, Serialize};

use super::super::sample::Sent;
use super::super::window::Window;
use super::probe_bw::AckPhase;
use super::{Bbr, Context, State};
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// BBRProbeRTTDuration.
const DURATION: Duration = Duration::from_millis(200);
/// BBRProbeRTTCwndGain: half of the bandwidth-delay product.
const CWND_GAIN_PERCENT: u64 = 50;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProbeRtt {
    /// When it may end; known once little is in flight.
    done_stamp: Option<Instant>,
    round_done: bool,
}

impl Bbr {
    /// BBRProbeRTTCwnd.
    pub(super) fn probe_rtt_cwnd(&self, c: &Context) -> u64 {
        let half = self.model.bdp(self.model.bw, CWND_GAIN_PERCENT).unwrap_or(0);
        half.max(u64::from(c.min_pipe()))
    }

    /// BBRUpdateMinRTT and BBRCheckProbeRTT.
    pub(super) fn check_probe_rtt(&mut self, window: &mut Window, c: &Context) {
        if self.model.probe_rtt_min_stamp == Instant::ZERO {
            self.model.probe_rtt_min_stamp = c.now;
        }
        self.model.update_min_rtt(c);
        let probes = self.model.probe_rtt_expired && !planted::is(Bug::NoProbeRtt);
        if self.state != State::ProbeRtt && probes && !self.idle_restart {
            self.save_cwnd(window.cwnd);
            self.state = State::ProbeRtt;
            self.probe_rtt = ProbeRtt::default();
            self.cycle.ack_phase = AckPhase::ProbeStopping;
            self.model.start_round(c.rs.total_delivered);
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(window, c);
        }
        if c.rs.delivered > 0 {
            self.idle_restart = false;
        }
    }

    /// BBRHandleProbeRTT.
    fn handle_probe_rtt(&mut self, window: &mut Window, c: &Context) {
        // Samples of so little say nothing about the bandwidth.
        self.rate.mark_app_limited(c.in_flight);
        if self.probe_rtt.done_stamp.is_none() {
            if u64::from(c.in_flight) <= self.probe_rtt_cwnd(c) {
                self.probe_rtt.done_stamp = Some(c.now + DURATION);
                self.probe_rtt.round_done = false;
                self.model.start_round(c.rs.total_delivered);
            }
            return;
        }
        self.probe_rtt.round_done |= self.model.round_start;
        if self.probe_rtt.round_done {
            self.end_probe_rtt_if_done(window, c);
        }
    }

    /// BBRCheckProbeRTTDone and BBRExitProbeRTT.
    fn end_probe_rtt_if_done(&mut self, window: &mut Window, c: &Context) {
        if self.probe_rtt.done_stamp.is_none_or(|at| c.now <= at) {
            return;
        }
        self.model.probe_rtt_min_stamp = c.now;
        window.cwnd = window.cwnd.max(self.prior_cwnd);
        self.model.reset_lower_bounds();
        if self.full.reached {
            self.start_down(c);
            self.start_cruise();
        } else {
            self.state = State::Startup;
        }
    }

    /// BBRHandleRestartFromIdle.
    pub(super) fn restart_from_idle(&mut self, window: &mut Window, sent: &Sent) {
        self.idle_restart = true;
        self.model.restart_ack_aggregation(sent.now);
        if self.is_in_probe_bw() {
            self.set_pacing_rate(100);
        } else if self.state == State::ProbeRtt {
            let c = Context {
                now: sent.now,
                mss: sent.mss,
                in_flight: 0,
                cwnd_limited: false,
                cwnd: window.cwnd,
                rs: super::RateSample {
                    total_delivered: self.rate.delivered(),
                    ..super::RateSample::default()
                },
            };
            self.end_probe_rtt_if_done(window, &c);
        }
    }
}
