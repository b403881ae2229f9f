//! `[machnet]`: settings of every flow of messages.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use causeway_core::ip::is_group_or_broadcast;
use causeway_core::machnet;
use causeway_core::stack::BAD_CHECKSUM_PEERS_MAX;
use causeway_core::time::Duration;
use serde::Deserialize;
use toml::Spanned;

use super::check::{Integer, address};
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMachnet {
    msg_max: Option<Spanned<i128>>,
    rto_us_min: Option<Spanned<i128>>,
    rto_us_max: Option<Spanned<i128>>,
    syn_rto_ms: Option<Spanned<i128>>,
    syn_attempts_max: Option<Spanned<i128>>,
    retries_max: Option<Spanned<i128>>,
    linger_ms: Option<Spanned<i128>>,
    extended: Option<bool>,
    ack_delay_us: Option<Spanned<i128>>,
    keepalive_ms: Option<Spanned<i128>>,
    target_us: Option<Spanned<i128>>,
    hop_us: Option<Spanned<i128>>,
    flows_us: Option<Spanned<i128>>,
    accept_bad_udp_checksum: Option<Spanned<Vec<Spanned<String>>>>,
}

const MSG_MAX: Integer = Integer::new("machnet.msg_max", 8 << 20, 1, 64 << 20, "bytes");
const RTO_US_MIN: Integer =
    Integer::new("machnet.rto_us_min", 20_000, 100, 1_000_000, "microseconds");
const RTO_US_MAX: Integer =
    Integer::new("machnet.rto_us_max", 3_000_000, 1_000_000, 60_000_000, "microseconds");
const SYN_RTO_MS: Integer = Integer::new("machnet.syn_rto_ms", 1_000, 10, 60_000, "milliseconds");
const SYN_ATTEMPTS_MAX: Integer = Integer::new("machnet.syn_attempts_max", 5, 1, 16, "attempts");
const RETRIES_MAX: Integer = Integer::new("machnet.retries_max", 10, 1, 64, "timeouts");
const LINGER_MS: Integer = Integer::new("machnet.linger_ms", 30_000, 0, 3_600_000, "milliseconds");
const ACK_DELAY_US: Integer = Integer::new("machnet.ack_delay_us", 500, 0, 100_000, "microseconds");
const KEEPALIVE_MS: Integer =
    Integer::new("machnet.keepalive_ms", 30_000, 100, 3_600_000, "milliseconds");
const TARGET_US: Integer = Integer::new("machnet.target_us", 300, 1, 1_000_000, "microseconds");
const HOP_US: Integer = Integer::new("machnet.hop_us", 10, 0, 1_000_000, "microseconds");
const FLOWS_US: Integer = Integer::new("machnet.flows_us", 200, 0, 1_000_000, "microseconds");

/// Whether flows offer the extended profile where nothing is said.
const EXTENDED: bool = true;

impl RawMachnet {
    /// Each of the peers once, in the order of the file.
    pub(super) fn accept_bad_udp_checksum(
        &self,
        source: &Source<'_>,
    ) -> Result<Vec<Ipv4Addr>, ConfigError> {
        const KEY: &str = "machnet.accept_bad_udp_checksum";
        let Some(list) = &self.accept_bad_udp_checksum else { return Ok(Vec::new()) };
        let count = list.get_ref().len();
        if count > BAD_CHECKSUM_PEERS_MAX {
            let problem = format!("{count} peers are listed");
            let advice = format!("list at most {BAD_CHECKSUM_PEERS_MAX}");
            return Err(source.error(KEY, list.span(), problem, advice));
        }
        let mut peers = Vec::with_capacity(count);
        for text in list.get_ref() {
            let complain = |problem: &str, advice: &str| {
                source.error(KEY, text.span(), format!("{} {problem}", text.get_ref()), advice)
            };
            let peer = match address(source, KEY, text)? {
                IpAddr::V4(peer)
                    if !is_group_or_broadcast(peer.into()) && !peer.is_unspecified() =>
                {
                    peer
                }
                _ => return Err(complain("cannot be one host's", "give the peer's address")),
            };
            if peers.contains(&peer) {
                return Err(complain("is listed twice", "list it once"));
            }
            peers.push(peer);
        }
        Ok(peers)
    }

    /// Where the longest message is given.
    pub(super) fn msg_max_span(&self) -> Option<Range<usize>> {
        self.msg_max.as_ref().map(Spanned::span)
    }

    pub(super) fn build(self, source: &Source<'_>) -> Result<machnet::Config, ConfigError> {
        let micros = |setting: &Integer, value: &Option<Spanned<i128>>| {
            setting.check_u64(source, value.as_ref()).map(Duration::from_micros)
        };
        let millis = |setting: &Integer, value: &Option<Spanned<i128>>| {
            setting.check_u64(source, value.as_ref()).map(Duration::from_millis)
        };
        let rto_min = micros(&RTO_US_MIN, &self.rto_us_min)?;
        let rto_max = micros(&RTO_US_MAX, &self.rto_us_max)?;
        let syn_attempts = SYN_ATTEMPTS_MAX.check_u8(source, self.syn_attempts_max.as_ref())?;
        let builder = machnet::Config::builder()
            .msg_max(MSG_MAX.check_u32(source, self.msg_max.as_ref())?)
            .rto(rto_min, rto_max)
            .syn_rto(millis(&SYN_RTO_MS, &self.syn_rto_ms)?)
            .syn_attempts_max(syn_attempts)
            .retries_max(RETRIES_MAX.check_u8(source, self.retries_max.as_ref())?)
            .linger(millis(&LINGER_MS, &self.linger_ms)?)
            .extended(self.extended.unwrap_or(EXTENDED))
            .ack_delay(micros(&ACK_DELAY_US, &self.ack_delay_us)?)
            .keepalive(millis(&KEEPALIVE_MS, &self.keepalive_ms)?)
            .swift_delays(
                micros(&TARGET_US, &self.target_us)?,
                micros(&HOP_US, &self.hop_us)?,
                micros(&FLOWS_US, &self.flows_us)?,
            );
        Ok(builder
            .build()
            .expect("each value is in its range, the least timeout below the greatest"))
    }
}
