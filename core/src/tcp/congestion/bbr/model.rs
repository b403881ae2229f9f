//! The model of the path (draft-ietf-ccwg-bbr §4.4, §4.5): bandwidth, round trip, aggregation, and the bounds that loss
//! sets.

use serde::{Deserialize, Serialize};

use super::Context;
use super::rate::RateSample;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// BBRLossThresh: 2 %.
const LOSS_THRESH_PERCENT: u64 = 2;
/// BBRBeta: 0.7.
const BETA_PERCENT: u64 = 70;
/// BBRHeadroom: 0.15.
const HEADROOM_PERCENT: u64 = 15;
/// BBRMinRTTFilterLen and BBRProbeRTTInterval.
const MIN_RTT_FILTER_LEN: Duration = Duration::from_secs(10);
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// BBRExtraAckedFilterLen is ten rounds: two halves of five.
const EXTRA_ACKED_HALF_ROUNDS: u32 = 5;
/// No bound.
pub(super) const INFINITE: u64 = u64::MAX;

/// Rates in bytes a second, amounts in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Model {
    /// The greatest rate of this probing cycle and of the one before (BBRMaxBwFilterLen).
    max_bw_filter: [u64; 2],
    /// What is used: the greatest rate, within the short-term bound.
    pub(super) bw: u64,
    /// BBR.bw_lo and BBR.inflight_lo: short-term bounds from loss outside of probing.
    bw_lo: u64,
    pub(super) inflight_lo: u64,
    /// BBR.inflight_hi: the long-term bound: what was found to be too much.
    pub(super) inflight_hi: u64,
    bw_latest: u64,
    inflight_latest: u64,
    /// Packet-timed rounds.
    pub(super) round_start: bool,
    round_count: u32,
    pub(super) rounds_since_bw_probe: u32,
    next_round_delivered: u64,
    loss_round_start: bool,
    loss_round_delivered: u64,
    loss_in_round: bool,
    /// The bounds before the last loss.
    undo: [u64; 3],
    /// BBR.min_rtt in microseconds and when it was seen; the same for the least of this interval of ProbeRTT.
    min_rtt_us: u64,
    min_rtt_stamp: Instant,
    probe_rtt_min_us: u64,
    pub(super) probe_rtt_min_stamp: Instant,
    pub(super) probe_rtt_expired: bool,
    extra_acked_start: Instant,
    extra_acked_delivered: u64,
    /// The most that came above the rate, of this half of the filter and of the one before.
    extra_acked: [u64; 2],
    extra_acked_round: u32,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            max_bw_filter: [0; 2],
            bw: 0,
            bw_lo: INFINITE,
            inflight_lo: INFINITE,
            inflight_hi: INFINITE,
            bw_latest: 0,
            inflight_latest: 0,
            round_start: false,
            round_count: 0,
            rounds_since_bw_probe: 0,
            next_round_delivered: 0,
            loss_round_start: false,
            loss_round_delivered: 0,
            loss_in_round: false,
            undo: [INFINITE; 3],
            min_rtt_us: INFINITE,
            min_rtt_stamp: Instant::ZERO,
            probe_rtt_min_us: INFINITE,
            probe_rtt_min_stamp: Instant::ZERO,
            probe_rtt_expired: false,
            extra_acked_start: Instant::ZERO,
            extra_acked_delivered: 0,
            extra_acked: [0; 2],
            extra_acked_round: 0,
        }
    }
}

pub(super) const fn percent(value: u64, percent: u64) -> u64 {
    (value / 100).saturating_mul(percent).saturating_add(value % 100 * percent / 100)
}

impl Model {
    /// Getter: the greatest delivery rate seen of late.
    pub(super) fn max_bw(&self) -> u64 {
        self.max_bw_filter[0].max(self.max_bw_filter[1])
    }

    /// Getter: the least round trip; 0 before the first.
    pub(super) const fn min_rtt_us(&self) -> u64 {
        if self.min_rtt_us == INFINITE { 0 } else { self.min_rtt_us }
    }

    /// Getter: `gain` percent of the bandwidth-delay product; none before a round trip was seen.
    pub(super) fn bdp(&self, bw: u64, gain_percent: u64) -> Option<u64> {
        if self.min_rtt_us == INFINITE {
            return None;
        }
        Some(percent(bw.saturating_mul(self.min_rtt_us.min(1 << 24)) / 1_000_000, gain_percent))
    }

    /// Getter: bytes that come in bursts above the rate.
    pub(super) fn extra_acked(&self) -> u64 {
        self.extra_acked[0].max(self.extra_acked[1])
    }

    /// BBRInflightWithHeadroom.
    pub(super) fn inflight_with_headroom(&self, c: &Context) -> u64 {
        if self.inflight_hi == INFINITE {
            return INFINITE;
        }
        let headroom = percent(self.inflight_hi, HEADROOM_PERCENT).max(u64::from(c.mss));
        self.inflight_hi.saturating_sub(headroom).max(u64::from(c.min_pipe()))
    }

    /// BBRStartRound.
    pub(super) const fn start_round(&mut self, delivered: u64) {
        self.next_round_delivered = delivered;
    }

    /// BBRUpdateLatestDeliverySignals.
    pub(super) fn update_latest_delivery_signals(&mut self, c: &Context) {
        let rs = &c.rs;
        self.bw_latest = self.bw_latest.max(rs.delivery_rate);
        self.inflight_latest = self.inflight_latest.max(rs.delivered);
        self.loss_round_start = rs.delivered > 0 && rs.prior_delivered >= self.loss_round_delivered;
        if self.loss_round_start {
            self.loss_round_delivered = rs.total_delivered;
        }
    }

    /// BBRAdvanceLatestDeliverySignals.
    pub(super) const fn advance_latest_delivery_signals(&mut self, c: &Context) {
        if self.loss_round_start {
            self.bw_latest = c.rs.delivery_rate;
            self.inflight_latest = c.rs.delivered;
        }
    }

    /// BBRUpdateCongestionSignals.
    pub(super) fn update_congestion_signals(&mut self, c: &Context, probing: bool) {
        self.update_round(&c.rs);
        if c.rs.delivery_rate >= self.max_bw() || !c.rs.is_app_limited {
            self.max_bw_filter[1] = self.max_bw_filter[1].max(c.rs.delivery_rate);
        }
        if !self.loss_round_start {
            return;
        }
        if self.loss_in_round && !probing {
            self.lower_bounds(c.cwnd);
        }
        self.loss_in_round = false;
    }

    /// BBRInitLowerBounds and BBRLossLowerBounds.
    fn lower_bounds(&mut self, cwnd: u32) {
        if self.bw_lo == INFINITE {
            self.bw_lo = self.max_bw();
        }
        if self.inflight_lo == INFINITE {
            self.inflight_lo = u64::from(cwnd);
        }
        self.bw_lo = self.bw_latest.max(percent(self.bw_lo, BETA_PERCENT));
        self.inflight_lo = self.inflight_latest.max(percent(self.inflight_lo, BETA_PERCENT));
    }

    /// BBRResetShortTermModel: what loss did to the bounds is forgotten before probing.
    pub(super) const fn reset_lower_bounds(&mut self) {
        self.bw_lo = INFINITE;
        self.inflight_lo = INFINITE;
    }

    /// BBRResetCongestionSignals.
    pub(super) const fn reset_congestion_signals(&mut self) {
        self.loss_in_round = false;
        self.bw_latest = 0;
        self.inflight_latest = 0;
    }

    /// BBRAdvanceMaxBwFilter: a cycle of probing is over.
    pub(super) const fn advance_max_bw_filter(&mut self) {
        if self.max_bw_filter[1] > 0 {
            self.max_bw_filter = [self.max_bw_filter[1], 0];
        }
    }

    /// BBRUpdateRound.
    fn update_round(&mut self, rs: &RateSample) {
        self.round_start = rs.delivered > 0 && rs.prior_delivered >= self.next_round_delivered;
        if self.round_start {
            self.start_round(rs.total_delivered);
            self.round_count = self.round_count.wrapping_add(1);
            self.rounds_since_bw_probe = self.rounds_since_bw_probe.saturating_add(1);
        }
    }

    /// BBRNoteLoss, with BBRSaveStateUponLoss.
    pub(super) const fn note_loss(&mut self, delivered: u64) {
        if !self.loss_in_round {
            self.loss_round_delivered = delivered;
            self.undo = [self.bw_lo, self.inflight_lo, self.inflight_hi];
        }
        self.loss_in_round = true;
    }

    /// BBRHandleSpuriousLossDetection.
    pub(super) fn undo_loss(&mut self) {
        self.loss_in_round = false;
        self.bw_lo = self.bw_lo.max(self.undo[0]);
        self.inflight_lo = self.inflight_lo.max(self.undo[1]);
        self.inflight_hi = self.inflight_hi.max(self.undo[2]);
    }

    /// BBRIsInflightTooHigh: more than 2 % of what was in flight got lost.
    pub(super) fn is_inflight_too_high(rs: &RateSample) -> bool {
        !planted::is(Bug::LossMeansNothing)
            && rs.lost > 0
            && rs.lost > percent(rs.tx_in_flight as u64, LOSS_THRESH_PERCENT)
    }

    /// BBRInflightAtLoss: how much was in flight when losses came to more than 2 % of it: before the segment of `len` bytes
    /// that `rs` is of, and as much of it as was not too much yet.
    pub(super) fn inflight_at_loss(rs: &RateSample, len: u32) -> u32 {
        let in_flight = u64::from(rs.tx_in_flight.saturating_sub(len));
        let lost = rs.lost.saturating_sub(len.into());
        let allowed =
            in_flight.saturating_mul(LOSS_THRESH_PERCENT).saturating_sub(lost.saturating_mul(100));
        let prefix = allowed / (100 - LOSS_THRESH_PERCENT);
        u32::try_from(in_flight + prefix).unwrap_or(u32::MAX)
    }

    /// BBRHandleInflightTooHigh, the bound; `target` is what the flow meant to have in flight.
    pub(super) fn lower_inflight_hi(&mut self, rs: &RateSample, target: u64) {
        if !rs.is_app_limited {
            self.inflight_hi = u64::from(rs.tx_in_flight).max(percent(target, BETA_PERCENT));
        }
    }

    /// BBRBoundBWForModel.
    pub(super) fn bound_bw(&mut self) {
        self.bw = self.max_bw().min(self.bw_lo);
    }

    /// BBRUpdateACKAggregation.
    pub(super) fn update_ack_aggregation(&mut self, c: &Context) {
        let interval = c.now.saturating_since(self.extra_acked_start).as_micros().min(1 << 24);
        let mut expected = self.bw.saturating_mul(interval) / 1_000_000;
        if self.extra_acked_delivered <= expected {
            self.extra_acked_delivered = 0;
            self.extra_acked_start = c.now;
            expected = 0;
        }
        self.extra_acked_delivered += u64::from(c.rs.newly_acked);
        let extra = self.extra_acked_delivered.saturating_sub(expected).min(u64::from(c.cwnd));
        if self.round_count.wrapping_sub(self.extra_acked_round) >= EXTRA_ACKED_HALF_ROUNDS {
            self.extra_acked_round = self.round_count;
            self.extra_acked = [self.extra_acked[1], 0];
        }
        self.extra_acked[1] = self.extra_acked[1].max(extra);
    }

    /// The application is back: silence is no aggregation.
    pub(super) const fn restart_ack_aggregation(&mut self, now: Instant) {
        self.extra_acked_start = now;
        self.extra_acked_delivered = 0;
    }

    /// BBRUpdateMinRTT.
    pub(super) fn update_min_rtt(&mut self, c: &Context) {
        self.probe_rtt_expired = c.now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
        if let Some(rtt) = c.rs.rtt {
            let us = rtt.as_micros().max(1);
            if us < self.probe_rtt_min_us || self.probe_rtt_expired {
                self.probe_rtt_min_us = us;
                self.probe_rtt_min_stamp = c.now;
            }
        }
        let expired = c.now > self.min_rtt_stamp + MIN_RTT_FILTER_LEN;
        if self.probe_rtt_min_us < self.min_rtt_us || expired {
            self.min_rtt_us = self.probe_rtt_min_us;
            self.min_rtt_stamp = self.probe_rtt_min_stamp;
        }
    }
}
