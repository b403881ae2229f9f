//! `[tcp]`: settings of every TCP connection.

use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTcp {
    rto_us_min: Option<Spanned<i64>>,
    rto_us_max: Option<Spanned<i64>>,
    delayed_ack_us: Option<Spanned<i64>>,
}

/// Settings of every TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    rto_us_min: u64,
    rto_us_max: u64,
    delayed_ack_us: u64,
}

impl TcpConfig {
    /// Getter: least retransmission timeout in microseconds, default 200,000 (RFC 6298 §2.4 asks for
    /// 1 s; what everybody does is less).
    pub fn rto_us_min(&self) -> u64 {
        self.rto_us_min
    }

    /// Getter: greatest retransmission timeout in microseconds, at least 60 s (RFC 6298 §2.5).
    pub fn rto_us_max(&self) -> u64 {
        self.rto_us_max
    }

    /// Getter: how long an acknowledgement may wait, at most 500 ms (RFC 9293 §3.8.6.3).
    pub fn delayed_ack_us(&self) -> u64 {
        self.delayed_ack_us
    }
}

const RTO_US_MIN: Integer = Integer {
    key: "tcp.rto_us_min",
    default: 200_000,
    range: 1_000..=1_000_000,
    unit: "microseconds",
};
const RTO_US_MAX: Integer = Integer {
    key: "tcp.rto_us_max",
    default: 60_000_000,
    range: 60_000_000..=600_000_000,
    unit: "microseconds",
};
const DELAYED_ACK_US: Integer = Integer {
    key: "tcp.delayed_ack_us",
    default: 40_000,
    range: 0..=500_000,
    unit: "microseconds",
};

impl RawTcp {
    pub(super) fn build(self, source: &Source<'_>) -> Result<TcpConfig, ConfigError> {
        Ok(TcpConfig {
            rto_us_min: RTO_US_MIN.check_u64(source, self.rto_us_min.as_ref())?,
            rto_us_max: RTO_US_MAX.check_u64(source, self.rto_us_max.as_ref())?,
            delayed_ack_us: DELAYED_ACK_US.check_u64(source, self.delayed_ack_us.as_ref())?,
        })
    }
}
