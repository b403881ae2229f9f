//! Startup and Drain (draft-ietf-ccwg-bbr §4.3.1, §4.3.2).

use serde::{Deserialize, Serialize};

use super::model::{Model, percent};
use super::{Bbr, Context, State};
use crate::planted::{self, Bug};

/// A path whose bandwidth grows by less than a quarter in three rounds is full.
const GROWTH_PERCENT: u64 = 125;
const FULL_ROUNDS: u8 = 3;
/// BBRStartupFullLossCnt: so many segments lost in a round, and over 2 %, mean the same.
const FULL_LOSS_SEGMENTS: u64 = 6;

/// Whether the bandwidth still grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FullBandwidth {
    bw: u64,
    count: u8,
    /// It does not, since the last reset.
    pub(super) now: bool,
    /// It ever did not.
    pub(super) reached: bool,
    /// Bytes lost since the round began.
    lost: u64,
}

impl FullBandwidth {
    /// BBRResetFullBW.
    pub(super) const fn reset(&mut self) {
        self.bw = 0;
        self.count = 0;
        self.now = false;
    }

    /// The baseline from which growth counts.
    pub(super) const fn restart_from(&mut self, bw: u64) {
        self.reset();
        self.bw = bw;
    }

    /// BBRCheckFullBWReached.
    pub(super) fn check(&mut self, c: &Context, round_start: bool) {
        self.lost = if round_start { 0 } else { self.lost } + u64::from(c.rs.newly_lost);
        if self.now || !round_start || c.rs.is_app_limited {
            return;
        }
        if c.rs.delivery_rate >= percent(self.bw, GROWTH_PERCENT) {
            self.restart_from(c.rs.delivery_rate);
            return;
        }
        self.count += 1;
        self.now = self.count >= FULL_ROUNDS;
        self.reached |= self.now && !planted::is(Bug::StartupForEver);
    }

    fn is_lossy(&self, c: &Context) -> bool {
        self.lost >= FULL_LOSS_SEGMENTS * u64::from(c.mss) && Model::is_inflight_too_high(&c.rs)
    }
}

impl Bbr {
    /// BBRCheckStartupDone.
    pub(super) fn check_startup_done(&mut self, c: &Context) {
        if self.state != State::Startup {
            return;
        }
        if self.full.is_lossy(c) {
            self.full.reached = true;
            let bdp = self.model.bdp(self.model.max_bw(), 100).unwrap_or(0);
            self.model.inflight_hi = bdp.max(c.rs.delivered).max(u64::from(c.min_pipe()));
        }
        if self.full.reached {
            self.state = State::Drain;
        }
    }

    /// BBRCheckDrainDone.
    pub(super) fn check_drain_done(&mut self, c: &Context) {
        let one = self.model.bdp(self.model.max_bw(), 100).unwrap_or(0);
        if self.state == State::Drain
            && (u64::from(c.in_flight) <= one.max(u64::from(c.min_pipe()))
                || planted::is(Bug::NoDrain))
        {
            self.start_down(c);
        }
    }
}
