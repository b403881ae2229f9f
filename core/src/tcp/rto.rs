//! The retransmission timeout (RFC 6298) and the round-trip samples it is made of.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::seq::SeqNumber;
use crate::time::{Duration, Instant};

/// Smoothed round-trip time, its variation, backoff, and the one segment whose trip is being timed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct RttEstimator {
    /// 8 x SRTT in microseconds; 0 before the first sample.
    srtt_us_x8: u32,
    /// 4 x RTTVAR in microseconds.
    rttvar_us_x4: u32,
    /// RTO before backoff, in microseconds.
    rto_us: u32,
    /// The last byte of the segment being timed.
    timed_seq: SeqNumber,
    /// When it left; `None` when none is being timed.
    timed_at: Option<Instant>,
    /// Doublings since the last progress.
    backoff: u8,
}

impl RttEstimator {
    pub(in crate::tcp) fn new(config: &Config) -> Self {
        Self {
            srtt_us_x8: 0,
            rttvar_us_x4: 0,
            rto_us: config.rto_ms_initial.saturating_mul(1_000),
            timed_seq: SeqNumber(0),
            timed_at: None,
            backoff: 0,
        }
    }

    /// Getter: the current timeout, backoff included (RFC 6298 §5.5), within the configured bounds.
    pub(in crate::tcp) fn rto(&self, config: &Config) -> Duration {
        let max_us = u64::from(config.rto_ms_max) * 1_000;
        let us = u64::from(self.rto_us) << self.backoff.min(20);
        Duration::from_micros(us.min(max_us))
    }

    pub(in crate::tcp) const fn backoff(&self) -> u8 {
        self.backoff
    }

    pub(in crate::tcp) const fn has_sample(&self) -> bool {
        self.srtt_us_x8 != 0
    }

    pub(in crate::tcp) fn srtt(&self) -> Duration {
        Duration::from_nanos(u64::from(self.srtt_us_x8) * 125)
    }

    pub(in crate::tcp) fn rttvar(&self) -> Duration {
        Duration::from_nanos(u64::from(self.rttvar_us_x4) * 250)
    }

    /// RFC 6298 §5.5: back off the timer.
    pub(in crate::tcp) fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// An acknowledgement made progress: the next timeout starts from the estimate again.
    pub(in crate::tcp) fn progress(&mut self) {
        self.backoff = 0;
    }

    /// RFC 6298 §5.7: a SYN was lost and no sample is known, so begin with 3 s.
    pub(in crate::tcp) fn after_lost_syn(&mut self, config: &Config) {
        self.backoff = 0;
        if !self.has_sample() {
            self.rto_us = config.rto_ms_initial.saturating_mul(3_000);
        }
    }

    /// Begins to time the segment whose last byte is `seq`, unless another is being timed.
    pub(in crate::tcp) fn start_timing(&mut self, seq: SeqNumber, now: Instant) {
        if self.timed_at.is_none() {
            self.timed_seq = seq;
            self.timed_at = Some(now);
        }
    }

    /// Karn's algorithm (RFC 6298 §3): what was sent twice is not timed.
    pub(in crate::tcp) fn stop_timing(&mut self) {
        self.timed_at = None;
    }

    /// The trip of the timed segment, when `ack` covers it.
    pub(in crate::tcp) fn take_timed(&mut self, ack: SeqNumber, now: Instant) -> Option<Duration> {
        let sent_at = self.timed_at.filter(|_| ack > self.timed_seq)?;
        self.timed_at = None;
        Some(now.saturating_since(sent_at))
    }

    /// RFC 6298 §2.2 and §2.3 with alpha = 1/8, beta = 1/4, K = 4.
    pub(in crate::tcp) fn sample(&mut self, rtt: Duration, config: &Config) {
        let rtt_us = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX).clamp(1, 1 << 27);
        if self.srtt_us_x8 == 0 {
            self.srtt_us_x8 = rtt_us * 8;
            self.rttvar_us_x4 = rtt_us * 2;
        } else {
            let deviation = (self.srtt_us_x8 / 8).abs_diff(rtt_us);
            self.rttvar_us_x4 = self.rttvar_us_x4 - self.rttvar_us_x4 / 4 + deviation;
            self.srtt_us_x8 = (self.srtt_us_x8 - self.srtt_us_x8 / 8 + rtt_us).max(1);
        }
        let (min, max) = (config.rto_ms_min * 1_000, config.rto_ms_max * 1_000);
        // The minimum stands below the variation, not below the sum: an acknowledgement that the
        // peer delays must not look like a loss however steady the path is.
        self.rto_us = (self.srtt_us_x8 / 8 + self.rttvar_us_x4.max(min)).min(max);
        self.backoff = 0;
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.srtt_us_x8 <= 1 << 30 && self.rttvar_us_x4 <= 1 << 30 && self.rto_us > 0
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
        rtt.sample(Duration::from_millis(100), &config);
        assert_eq!(rtt.srtt(), Duration::from_millis(100));
        assert_eq!(rtt.rttvar(), Duration::from_millis(50));
        assert_eq!(rtt.rto(&config), Duration::from_millis(300));
        rtt.sample(Duration::from_millis(200), &config);
        // 7/8 of 100 + 1/8 of 200; 3/4 of 50 + 1/4 of 100.
        assert_eq!(rtt.srtt(), Duration::from_micros(112_500));
        assert_eq!(rtt.rttvar(), Duration::from_micros(62_500));
    }

    #[test]
    fn the_variation_counts_for_at_least_the_configured_minimum() {
        let (mut rtt, config) = estimator();
        for _ in 0..100 {
            rtt.sample(Duration::from_micros(20), &config);
        }
        assert_eq!(rtt.rto(&config), Duration::from_micros(200_020));
    }

    #[test]
    fn a_segment_that_was_sent_twice_gives_no_sample() {
        let (mut rtt, _) = estimator();
        rtt.start_timing(SeqNumber(10), Instant::from_nanos(5));
        assert_eq!(rtt.take_timed(SeqNumber(10), Instant::from_nanos(9)), None);
        rtt.stop_timing();
        assert_eq!(rtt.take_timed(SeqNumber(11), Instant::from_nanos(9)), None);
        rtt.start_timing(SeqNumber(20), Instant::from_nanos(10));
        assert_eq!(
            rtt.take_timed(SeqNumber(21), Instant::from_nanos(19)),
            Some(Duration::from_nanos(9))
        );
    }
}
