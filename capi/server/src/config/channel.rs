//! `[channel]`: what applications may have.

use causeway_channel::Geometry;
use serde::Deserialize;
use toml::Spanned;

use super::check::Integer;
use super::error::{ConfigError, Source};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChannel {
    channels_max: Option<Spanned<i64>>,
    streams_max: Option<Spanned<i64>>,
    tx_bytes: Option<Spanned<i64>>,
    rx_bytes: Option<Spanned<i64>>,
    chunk_bytes: Option<Spanned<i64>>,
    ring_entries: Option<Spanned<i64>>,
    rx_window_bytes: Option<Spanned<i64>>,
    commands_per_step: Option<Spanned<i64>>,
}

/// What applications may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    channels_max: u32,
    geometry: Geometry,
    rx_window_bytes: u64,
    commands_per_step: u32,
}

impl ChannelConfig {
    /// Getter: most channels at a time, default 256.
    pub fn channels_max(&self) -> u32 {
        self.channels_max
    }

    /// Getter: the sizes of each channel, one lane.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Getter: bytes that may lie in one connection's RX ring.
    pub fn rx_window_bytes(&self) -> u64 {
        self.rx_window_bytes
    }

    /// Getter: commands of one channel per step, default 64.
    pub fn commands_per_step(&self) -> u32 {
        self.commands_per_step
    }
}

const fn setting(
    key: &'static str,
    default: i64,
    low: i64,
    high: i64,
    unit: &'static str,
) -> Integer {
    Integer { key, default, range: low..=high, unit }
}

const CHANNELS_MAX: Integer = setting("channel.channels_max", 256, 1, 4096, "channels");
const STREAMS_MAX: Integer = setting("channel.streams_max", 1024, 1, 65_536, "streams");
const TX_BYTES: Integer = setting("channel.tx_bytes", 16 << 20, 64 << 10, 1 << 34, "bytes");
const RX_BYTES: Integer = setting("channel.rx_bytes", 32 << 20, 64 << 10, 1 << 34, "bytes");
const CHUNK_BYTES: Integer = setting("channel.chunk_bytes", 16 << 10, 4 << 10, 1 << 20, "bytes");
const RING_ENTRIES: Integer = setting("channel.ring_entries", 1024, 16, 65_536, "entries");
const RX_WINDOW_BYTES: Integer =
    setting("channel.rx_window_bytes", 12 << 20, 64 << 10, 1 << 30, "bytes");
const COMMANDS_PER_STEP: Integer = setting("channel.commands_per_step", 64, 1, 256, "commands");

impl RawChannel {
    /// `msg_max` is the longest message: one must fit a channel's window and pools.
    pub(super) fn build(
        self,
        source: &Source<'_>,
        msg_max: u32,
    ) -> Result<ChannelConfig, ConfigError> {
        let power = |setting: &Integer, value: &Option<Spanned<i64>>| {
            let n = setting.check_u32(source, value.as_ref())?;
            let Some(value) = value.as_ref().filter(|_| !n.is_power_of_two()) else {
                return Ok(n);
            };
            let problem = format!("{n} is no power of two");
            let advice = format!("give {} or {}", n.next_power_of_two() / 2, n.next_power_of_two());
            Err(source.error(setting.key, value.span(), problem, advice))
        };
        let chunk_bytes = power(&CHUNK_BYTES, &self.chunk_bytes)?;
        let ring_entries = power(&RING_ENTRIES, &self.ring_entries)?;
        let rx_window_bytes = RX_WINDOW_BYTES.check_u64(source, self.rx_window_bytes.as_ref())?;
        let chunks = |setting: &Integer, value: &Option<Spanned<i64>>| {
            let bytes = setting.check_u64(source, value.as_ref())?;
            // At most 2^34 / 2^12.
            Ok((bytes / u64::from(chunk_bytes)) as u32)
        };
        let (tx, rx) = (chunks(&TX_BYTES, &self.tx_bytes)?, chunks(&RX_BYTES, &self.rx_bytes)?);
        // A window that begins within a chunk touches one chunk more.
        let spanned = rx_window_bytes.max(msg_max.into()).div_ceil(chunk_bytes.into()) + 1;
        let slots = u32::try_from(spanned.next_power_of_two()).unwrap_or(u32::MAX).max(4);
        let geometry = Geometry::builder()
            .ring_entries(ring_entries, ring_entries)
            .streams_per_lane(STREAMS_MAX.check_u32(source, self.streams_max.as_ref())?)
            .chunk_bytes(chunk_bytes)
            .chunks(tx, rx)
            .table_slots(slots)
            .message_bytes_max(msg_max)
            .build()
            .map_err(|reason| {
                let advice = "see tx_bytes, rx_bytes, chunk_bytes and machnet.msg_max in \
                              docs/configuration.md";
                source.error_overall("channel", format!("does not fit: {reason}"), advice)
            })?;
        Ok(ChannelConfig {
            channels_max: CHANNELS_MAX.check_u32(source, self.channels_max.as_ref())?,
            geometry,
            rx_window_bytes,
            commands_per_step: COMMANDS_PER_STEP
                .check_u32(source, self.commands_per_step.as_ref())?,
        })
    }
}
