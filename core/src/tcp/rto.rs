//! The retransmission timeout (RFC 6298), from the round trips that acknowledgements measure.
//!
//! Every acknowledgement that delivers something measures one, so the smoothing is Linux's: RTTVAR grows with each sample and
//! shrinks once a round trip. That is what RFC 7323 appendix G asks for, without counting the samples of a flight.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::seq::SeqNumber;
use crate::planted::{self, Bug};
use crate::time::Duration;

/// How long the least round trip is remembered, in ms (tcp_min_rtt_wlen).
const MIN_RTT_MS: u32 = 300_000;

/// Smoothed round-trip time, its variation, backoff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct RttEstimator {
    /// 8 x SRTT in microseconds; 0 before the first sample.
    srtt_us_x8: u32,
    /// 4 x the mean deviation in microseconds.
    mdev_us_x4: u32,
    /// The greatest of these in this round trip, at least the configured minimum.
    mdev_us_max: u32,
    /// What RTO stands above SRTT: K x RTTVAR in microseconds.
    rttvar_us: u32,
    /// `snd_max` when this round trip began.
    round_end: SeqNumber,
    /// RTO before backoff, in microseconds.
    rto_us: u32,
    /// The least round trip, and when it was measured, in ms.
    min_rtt_us: u32,
    min_rtt_ms: u32,
    /// Doublings since the last sample.
    backoff: u8,
}

impl RttEstimator {
    pub(in crate::tcp) fn new(config: &Config) -> Self {
        Self {
            srtt_us_x8: 0,
            mdev_us_x4: 0,
            mdev_us_max: 0,
            rttvar_us: 0,
            round_end: SeqNumber(0),
            rto_us: config.rto_ms_initial.saturating_mul(if planted::is(Bug::FirstTimeout3S) {
                3_000
            } else {
                1_000
            }),
            min_rtt_us: 0,
            min_rtt_ms: 0,
            backoff: 0,
        }
    }

    /// Getter: the current timeout, backoff included (RFC 6298 §5.5), within the configured bounds.
    #[inline]
    pub(in crate::tcp) fn rto(&self, config: &Config) -> Duration {
        let max_us = u64::from(config.rto_ms_max) * 1_000;
        let us = u64::from(self.rto_us) << self.backoff.min(20);
        Duration::from_micros(if planted::is(Bug::NoLongestTimeout) { us } else { us.min(max_us) })
    }

    pub(in crate::tcp) const fn backoff(&self) -> u8 {
        self.backoff
    }

    pub(in crate::tcp) const fn has_sample(&self) -> bool {
        self.srtt_us_x8 != 0
    }

    #[inline]
    pub(in crate::tcp) fn srtt(&self) -> Duration {
        Duration::from_nanos(u64::from(self.srtt_us_x8) * 125)
    }

    pub(in crate::tcp) fn rttvar(&self) -> Duration {
        Duration::from_nanos(u64::from(self.mdev_us_x4) * 250)
    }

    /// Getter: the least round trip of the last five minutes; zero before the first sample.
    #[inline]
    pub(in crate::tcp) fn min_rtt(&self) -> Duration {
        Duration::from_micros(u64::from(self.min_rtt_us))
    }

    /// RFC 6298 §5.5: back off the timer.
    pub(in crate::tcp) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(u8::from(!planted::is(Bug::NoBackoff)));
    }

    /// What was backed off was a probe, not a loss: the next timeout starts from the estimate again.
    pub(in crate::tcp) fn progress(&mut self) {
        self.backoff = 0;
    }

    /// RFC 6298 §5.7: a SYN was lost and no sample is known, so begin with 3 s.
    pub(in crate::tcp) fn after_lost_syn(&mut self, config: &Config) {
        self.backoff = 0;
        if !self.has_sample() && !planted::is(Bug::EagerAfterLostSyn) {
            self.rto_us = config.rto_ms_initial.saturating_mul(3_000);
        }
    }

    /// Input: a round trip was measured. RFC 6298 §2.2 and §2.3 with alpha = 1/8, beta = 1/4, K = 4; §5.7: backoff ends with it.
    /// `una` and `max`: SND.UNA and the highest sequence number sent.
    #[inline]
    pub(in crate::tcp) fn sample(
        &mut self,
        rtt: Duration,
        una: SeqNumber,
        max: SeqNumber,
        config: &Config,
    ) {
        let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).clamp(1, 1 << 27);
        let min_us = config.rto_ms_min * if planted::is(Bug::NoLeastTimeout) { 0 } else { 1_000 };
        if self.srtt_us_x8 == 0 {
            self.srtt_us_x8 = rtt_us * 8;
            self.mdev_us_x4 = rtt_us * 2;
            // The minimum stands below the variation, not below the sum: an acknowledgement that the
            // peer delays must not look like a loss however steady the path is.
            self.rttvar_us = self.mdev_us_x4.max(min_us);
            self.mdev_us_max = self.rttvar_us;
            self.round_end = max;
        } else {
            self.smooth(rtt_us);
            if una > self.round_end {
                if self.mdev_us_max < self.rttvar_us {
                    self.rttvar_us -= (self.rttvar_us - self.mdev_us_max) / 4;
                }
                self.round_end = max;
                self.mdev_us_max = min_us;
            }
        }
        let variation = if planted::is(Bug::NoVariation) { 0 } else { self.rttvar_us };
        self.rto_us = (self.srtt_us_x8 / 8 + variation).min(config.rto_ms_max * 1_000);
        if !planted::is(Bug::BackoffStays) {
            self.backoff = 0;
        }
    }

    fn smooth(&mut self, rtt_us: u32) {
        let srtt_us = self.srtt_us_x8 / 8;
        let deviation = rtt_us.abs_diff(srtt_us);
        let mdev_us = self.mdev_us_x4 / 4;
        self.mdev_us_x4 = match deviation.checked_sub(mdev_us) {
            // A round trip that got shorter says less about what the next may take.
            Some(more) if rtt_us < srtt_us => self.mdev_us_x4 + more / 8,
            Some(more) => self.mdev_us_x4 + more,
            None => self.mdev_us_x4 - (mdev_us - deviation),
        };
        self.srtt_us_x8 = (self.srtt_us_x8 - srtt_us + rtt_us).max(1);
        if planted::is(Bug::LastSampleCounts) {
            self.srtt_us_x8 = rtt_us * 8;
        }
        if self.mdev_us_x4 > self.mdev_us_max {
            self.mdev_us_max = self.mdev_us_x4;
            self.rttvar_us = self.rttvar_us.max(self.mdev_us_max);
        }
    }

    /// Input: a round trip, of the segment that was sent last of those that were delivered.
    #[inline]
    pub(in crate::tcp) fn path_sample(&mut self, rtt: Duration, now_ms: u32) {
        let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).clamp(1, 1 << 27);
        let old = now_ms.wrapping_sub(self.min_rtt_ms) > MIN_RTT_MS;
        if rtt_us <= self.min_rtt_us || self.min_rtt_us == 0 || old {
            self.min_rtt_us = rtt_us;
            self.min_rtt_ms = now_ms;
        }
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        let sane = |us: u32| us <= 1 << 30;
        sane(self.srtt_us_x8)
            && sane(self.mdev_us_x4)
            && sane(self.mdev_us_max)
            && sane(self.rttvar_us)
            && sane(self.min_rtt_us)
            && self.rto_us > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimator() -> (RttEstimator, Config) {
        let config = Config::default();
        (RttEstimator::new(&config), config)
    }

    #[test]
    fn the_timeout_is_one_second_before_the_first_sample_and_doubles_up_to_the_maximum() {
        let (mut rtt, config) = estimator();
        assert_eq!(rtt.rto(&config), Duration::from_secs(1));
        rtt.back_off();
        assert_eq!(rtt.rto(&config), Duration::from_secs(2));
        for _ in 0..300 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(&config), Duration::from_secs(120));
        rtt.progress();
        assert_eq!(rtt.rto(&config), Duration::from_secs(1));
    }

    #[test]
    fn the_first_sample_sets_the_average_and_half_of_it_as_variation() {
        let (mut rtt, config) = estimator();
        rtt.sample(Duration::from_millis(100), SeqNumber(1), SeqNumber(100), &config);
        assert_eq!(rtt.srtt(), Duration::from_millis(100));
        assert_eq!(rtt.rttvar(), Duration::from_millis(50));
        assert_eq!(rtt.rto(&config), Duration::from_millis(300));
        rtt.sample(Duration::from_millis(200), SeqNumber(50), SeqNumber(100), &config);
        // 7/8 of 100 + 1/8 of 200; 3/4 of 50 + 1/4 of 100.
        assert_eq!(rtt.srtt(), Duration::from_micros(112_500));
        assert_eq!(rtt.rttvar(), Duration::from_micros(62_500));
    }

    #[test]
    fn the_variation_counts_for_at_least_the_configured_minimum() {
        let (mut rtt, config) = estimator();
        for i in 0..100 {
            rtt.sample(Duration::from_micros(20), SeqNumber(i), SeqNumber(i + 10), &config);
        }
        assert_eq!(rtt.rto(&config), Duration::from_micros(200_020));
    }

    #[test]
    fn the_variation_grows_with_each_sample_and_shrinks_once_a_round_trip() {
        let (mut rtt, config) = estimator();
        let ms = Duration::from_millis;
        rtt.sample(ms(500), SeqNumber(1), SeqNumber(100), &config);
        let first = rtt.rto(&config);
        assert_eq!(first, ms(1_500));
        for una in 2..=100 {
            rtt.sample(ms(500), SeqNumber(una), SeqNumber(200), &config);
        }
        assert_eq!(rtt.rto(&config), first, "samples of one flight are not a hundred flights");
        for round in 1..=3 {
            rtt.sample(ms(500), SeqNumber(round * 200), SeqNumber(round * 200 + 100), &config);
        }
        let later = rtt.rto(&config);
        assert!(later < first && later > ms(800), "{later:?}");
        for _ in 0..5 {
            rtt.sample(ms(1_500), SeqNumber(601), SeqNumber(700), &config);
        }
        assert!(rtt.rto(&config) > first, "{:?}", rtt.rto(&config));
    }

    #[test]
    fn backoff_ends_with_a_sample() {
        let (mut rtt, config) = estimator();
        rtt.back_off();
        rtt.sample(Duration::from_millis(100), SeqNumber(1), SeqNumber(100), &config);
        assert_eq!((rtt.backoff(), rtt.rto(&config)), (0, Duration::from_millis(300)));
    }

    #[test]
    fn the_least_round_trip_is_forgotten_after_five_minutes() {
        let (mut rtt, _) = estimator();
        rtt.path_sample(Duration::from_millis(30), 0);
        rtt.path_sample(Duration::from_millis(20), 1_000);
        rtt.path_sample(Duration::from_millis(30), 301_000);
        assert_eq!(rtt.min_rtt(), Duration::from_millis(20));
        rtt.path_sample(Duration::from_millis(30), 301_001);
        assert_eq!(rtt.min_rtt(), Duration::from_millis(30));
    }
}
