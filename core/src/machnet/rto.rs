//! The retransmission timeout (RFC 6298 §2), in nanoseconds and integers.

use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::time::Duration;

/// Most doublings that change anything: 100 us x 2^20 exceeds the largest `rto_max`.
const BACKOFF_MAX: u8 = 20;

/// Round-trip estimation and backoff of one flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rto {
    srtt: Duration,
    rttvar: Duration,
    backoff: u8,
}

impl Rto {
    pub(super) const fn new() -> Self {
        Self { srtt: Duration::ZERO, rttvar: Duration::ZERO, backoff: 0 }
    }

    /// Takes a sample of a packet that was sent once (Karn's algorithm, RFC 6298 §3: the caller's duty).
    pub(super) fn sample(&mut self, rtt: Duration) {
        let r = rtt.as_nanos().max(1);
        let (srtt, rttvar) = (self.srtt.as_nanos(), self.rttvar.as_nanos());
        if srtt == 0 {
            // RFC 6298 (2.2).
            self.srtt = Duration::from_nanos(r);
            self.rttvar = Duration::from_nanos(r / 2);
        } else {
            // RFC 6298 (2.3): alpha 1/8, beta 1/4.
            let deviation = srtt.abs_diff(r);
            self.rttvar = Duration::from_nanos(rttvar - rttvar / 4 + deviation / 4);
            self.srtt = Duration::from_nanos((srtt - srtt / 8 + r / 8).max(1));
        }
    }

    /// The peer acknowledged something new: the backoff ends.
    pub(super) const fn progress(&mut self) {
        self.backoff = 0;
    }

    /// The timer expired (RFC 6298 (5.5)).
    pub(super) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(BACKOFF_MAX);
    }

    /// The timeout without backoff, RFC 6298 (2.1) before the first sample.
    pub(super) fn base(&self, config: &Config) -> Duration {
        let base = if self.srtt == Duration::ZERO {
            Duration::from_secs(1)
        } else {
            self.srtt + self.rttvar.saturating_mul(4)
        };
        base.clamp(config.rto_min, config.rto_max)
    }

    /// How long answers to what is in the network may come in: the timeout without its lower bound.
    pub(super) fn settle(&self, config: &Config) -> Duration {
        if self.srtt == Duration::ZERO {
            self.base(config)
        } else {
            self.srtt + self.rttvar.saturating_mul(4)
        }
    }

    /// The timeout at present.
    pub(super) fn current(&self, config: &Config) -> Duration {
        self.base(config).saturating_mul(1 << self.backoff).min(config.rto_max)
    }

    pub(super) const fn srtt(&self) -> Duration {
        self.srtt
    }

    pub(super) const fn rttvar(&self) -> Duration {
        self.rttvar
    }

    /// Values that only a damaged state can hold.
    pub(super) const fn is_valid(&self) -> bool {
        let Self { srtt, rttvar, backoff } = self;
        const DAY_S: u64 = 86_400;
        srtt.as_secs() <= DAY_S && rttvar.as_secs() <= DAY_S && *backoff <= BACKOFF_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_round_trip_time_within_its_bounds() {
        let config = Config::builder()
            .rto(Duration::from_millis(1), Duration::from_secs(3))
            .build()
            .unwrap();
        let mut rto = Rto::new();
        assert_eq!(rto.current(&config), Duration::from_secs(1));
        for _ in 0..100 {
            rto.sample(Duration::from_millis(50));
        }
        assert_eq!(rto.srtt(), Duration::from_millis(50));
        assert!(rto.current(&config) < Duration::from_millis(60));
        for _ in 0..100 {
            rto.sample(Duration::from_micros(10));
        }
        assert_eq!(rto.current(&config), Duration::from_millis(1));
    }

    #[test]
    fn the_backoff_doubles_up_to_the_maximum_and_ends_with_progress() {
        let config = Config::default();
        let mut rto = Rto::new();
        rto.sample(Duration::from_micros(20));
        let first = rto.current(&config);
        rto.back_off();
        assert_eq!(rto.current(&config), first.saturating_mul(2));
        for _ in 0..200 {
            rto.back_off();
        }
        assert_eq!(rto.current(&config), Duration::from_secs(3));
        rto.progress();
        assert_eq!(rto.current(&config), first);
    }
}
