//! `[machnet]`: settings of every flow of messages.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use super::check::{Integer, address};
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMachnet {
    msg_max: Option<Spanned<i64>>,
    rto_us_min: Option<Spanned<i64>>,
    rto_us_max: Option<Spanned<i64>>,
    accept_bad_udp_checksum: Option<Vec<Spanned<String>>>,
}

/// Settings of every flow of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachnetConfig {
    msg_max: u32,
    rto_us_min: u64,
    rto_us_max: u64,
    accept_bad_udp_checksum: Vec<IpAddr>,
}

impl MachnetConfig {
    /// Getter: the longest message in bytes, default 8 MiB.
    pub fn msg_max(&self) -> u32 {
        self.msg_max
    }

    /// Getter: least retransmission timeout in microseconds.
    pub fn rto_us_min(&self) -> u64 {
        self.rto_us_min
    }

    /// Getter: greatest retransmission timeout in microseconds.
    pub fn rto_us_max(&self) -> u64 {
        self.rto_us_max
    }

    /// Getter: peers whose wrong UDP checksums are counted and overlooked.
    pub fn accept_bad_udp_checksum(&self) -> &[IpAddr] {
        &self.accept_bad_udp_checksum
    }
}

const MSG_MAX: Integer =
    Integer { key: "machnet.msg_max", default: 8 << 20, range: 1..=64 << 20, unit: "bytes" };
const RTO_US_MIN: Integer = Integer {
    key: "machnet.rto_us_min",
    default: 1_000,
    range: 100..=1_000_000,
    unit: "microseconds",
};
const RTO_US_MAX: Integer = Integer {
    key: "machnet.rto_us_max",
    default: 3_000_000,
    range: 1_000_000..=60_000_000,
    unit: "microseconds",
};
const PEERS_MAX: usize = 256;

impl RawMachnet {
    pub(super) fn build(self, source: &Source<'_>) -> Result<MachnetConfig, ConfigError> {
        const KEY: &str = "machnet.accept_bad_udp_checksum";
        let peers = self.accept_bad_udp_checksum.unwrap_or_default();
        if let Some(beyond) = peers.get(PEERS_MAX) {
            let advice = format!("list at most {PEERS_MAX}");
            return Err(source.error(KEY, beyond.span(), "too many peers", advice));
        }
        let peers: Result<Vec<IpAddr>, ConfigError> =
            peers.iter().map(|text| address(source, KEY, text)).collect();
        Ok(MachnetConfig {
            msg_max: MSG_MAX.check_u32(source, self.msg_max.as_ref())?,
            rto_us_min: RTO_US_MIN.check_u64(source, self.rto_us_min.as_ref())?,
            rto_us_max: RTO_US_MAX.check_u64(source, self.rto_us_max.as_ref())?,
            accept_bad_udp_checksum: peers?,
        })
    }
}
