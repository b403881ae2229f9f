//! `[channel]`: what applications may have.

use std::ops::Range;

use causeway_channel::{Geometry, GeometryError};
use serde::Deserialize;
use toml::Spanned;

use super::check::{Integer, first_given};
use super::error::{ConfigError, Source};
use super::tcp::WINDOW_BYTES_MAX;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChannel {
    channels_max: Option<Spanned<i128>>,
    streams_max: Option<Spanned<i128>>,
    sockets_per_channel_max: Option<Spanned<i128>>,
    tx_bytes: Option<Spanned<i128>>,
    rx_bytes: Option<Spanned<i128>>,
    chunk_bytes: Option<Spanned<i128>>,
    ring_entries: Option<Spanned<i128>>,
    rx_window_bytes: Option<Spanned<i128>>,
    commands_per_step: Option<Spanned<i128>>,
}

/// What applications may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    channels_max: u32,
    sockets_per_channel_max: u32,
    geometry: Geometry,
    rx_window_bytes: u64,
    commands_per_step: u32,
}

impl ChannelConfig {
    /// Getter: most channels at a time, default 256.
    pub fn channels_max(&self) -> u32 {
        self.channels_max
    }

    /// Getter: most sockets of one channel, listeners and connections that still open or end included, default 16,384.
    pub fn sockets_per_channel_max(&self) -> u32 {
        self.sockets_per_channel_max
    }

    /// Getter: the sizes of each channel, one lane.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Getter: bytes that may lie in one connection's RX ring.
    pub fn rx_window_bytes(&self) -> u64 {
        self.rx_window_bytes
    }

    /// Getter: the window that a connection promises before it has rings: what each is sure to have.
    pub fn rcv_wnd_initial(&self) -> u32 {
        let window = u32::try_from(self.rx_window_bytes).unwrap_or(u32::MAX);
        self.geometry.rx_floor_bytes().min(window).min(65_535)
    }

    /// Getter: commands of one channel per step, default 64.
    pub fn commands_per_step(&self) -> u32 {
        self.commands_per_step
    }
}

const CHANNELS_MAX: Integer = Integer::new("channel.channels_max", 256, 1, 4096, "channels");
const STREAMS_MAX: Integer = Integer::new("channel.streams_max", 1024, 1, 65_536, "streams");
const SOCKETS_PER_CHANNEL_MAX: Integer =
    Integer::new("channel.sockets_per_channel_max", 16_384, 1, 65_536, "sockets");
const TX_BYTES: Integer = Integer::new("channel.tx_bytes", 16 << 20, 64 << 10, 1 << 34, "bytes");
const RX_BYTES: Integer = Integer::new("channel.rx_bytes", 64 << 20, 64 << 10, 1 << 34, "bytes");
const CHUNK_BYTES: Integer =
    Integer::new("channel.chunk_bytes", 16 << 10, 4 << 10, 1 << 20, "bytes");
const RING_ENTRIES: Integer = Integer::new("channel.ring_entries", 1024, 16, 65_536, "entries");
const RX_WINDOW_BYTES: Integer =
    Integer::new("channel.rx_window_bytes", 12 << 20, 64 << 10, WINDOW_BYTES_MAX, "bytes");
const COMMANDS_PER_STEP: Integer =
    Integer::new("channel.commands_per_step", 64, 1, 256, "commands");

/// The bounds of [`Geometry`], for better words than its own.
const CHUNKS_MIN: u32 = 4;
const CHUNKS_MAX: u32 = 1 << 20;
const TABLE_SLOTS_MAX: u32 = 65_536;

impl RawChannel {
    /// `longest` is the longest message, and where it was given: one must fit a channel's window and pools.
    pub(super) fn build(
        self,
        source: &Source<'_>,
        longest: (u32, Option<Range<usize>>),
    ) -> Result<ChannelConfig, ConfigError> {
        let msg_max = longest.0;
        let power = |setting: &Integer, value: &Option<Spanned<i128>>| {
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
        let chunks = |setting: &Integer, value: &Option<Spanned<i128>>| {
            let bytes = setting.check_u64(source, value.as_ref())?;
            // At most 2^34 / 2^12.
            Ok((bytes / u64::from(chunk_bytes)) as u32)
        };
        let (tx, rx) = (chunks(&TX_BYTES, &self.tx_bytes)?, chunks(&RX_BYTES, &self.rx_bytes)?);
        self.check_pool(source, (&TX_BYTES, &self.tx_bytes), tx, chunk_bytes, &longest)?;
        self.check_pool(source, (&RX_BYTES, &self.rx_bytes), rx, chunk_bytes, &longest)?;
        let slots = self.table_slots(source, rx_window_bytes, chunk_bytes, msg_max)?;
        let geometry = Geometry::builder()
            .ring_entries(ring_entries, ring_entries)
            .streams_per_lane(STREAMS_MAX.check_u32(source, self.streams_max.as_ref())?)
            .chunk_bytes(chunk_bytes)
            .chunks(tx, rx)
            .table_slots(slots)
            .message_bytes_max(msg_max)
            .build()
            .map_err(|reason| self.too_large(source, reason))?;
        Ok(ChannelConfig {
            channels_max: CHANNELS_MAX.check_u32(source, self.channels_max.as_ref())?,
            sockets_per_channel_max: SOCKETS_PER_CHANNEL_MAX
                .check_u32(source, self.sockets_per_channel_max.as_ref())?,
            geometry,
            rx_window_bytes,
            commands_per_step: COMMANDS_PER_STEP
                .check_u32(source, self.commands_per_step.as_ref())?,
        })
    }

    /// A pool is cut into chunks, and the longest message must lie in it wherever in a chunk it begins.
    fn check_pool(
        &self,
        source: &Source<'_>,
        pool: (&Integer, &Option<Spanned<i128>>),
        chunks: u32,
        chunk_bytes: u32,
        (msg_max, msg_max_span): &(u32, Option<Range<usize>>),
    ) -> Result<(), ConfigError> {
        // Beside it, a TCP stream must have room.
        let beside = if pool.0.key == RX_BYTES.key { Geometry::RX_FLOOR_CHUNKS } else { 0 };
        let least = (msg_max.div_ceil(chunk_bytes) + 1 + beside).max(CHUNKS_MIN);
        if (least..=CHUNKS_MAX).contains(&chunks) {
            return Ok(());
        }
        let longest = || msg_max_span.clone().map(|span| ("machnet.msg_max", span));
        let (key, span) = first_given(&[pool, (&CHUNK_BYTES, &self.chunk_bytes)])
            .or_else(longest)
            .expect("the default pools hold the longest message by default");
        let name = pool.0.key.trim_start_matches("channel.");
        let of = |n: u32| u64::from(n) * u64::from(chunk_bytes);
        let (problem, advice) = if chunks < least {
            let problem = format!(
                "with a chunk_bytes of {chunk_bytes} and a machnet.msg_max of {msg_max}, \
                 {name} must be {} or more",
                of(least)
            );
            (problem, format!("raise {name}, or lower machnet.msg_max or chunk_bytes"))
        } else {
            let most = of(CHUNKS_MAX);
            let problem =
                format!("with a chunk_bytes of {chunk_bytes}, {name} can be {most} at most");
            (problem, "lower it, or raise chunk_bytes".to_owned())
        };
        Err(source.error(key, span, problem, advice))
    }

    /// Chunks that one connection's ring can hold.
    fn table_slots(
        &self,
        source: &Source<'_>,
        rx_window_bytes: u64,
        chunk_bytes: u32,
        msg_max: u32,
    ) -> Result<u32, ConfigError> {
        // A window that begins within a chunk touches one chunk more.
        let spanned = rx_window_bytes.max(msg_max.into()).div_ceil(chunk_bytes.into()) + 1;
        let slots = u32::try_from(spanned.next_power_of_two()).unwrap_or(u32::MAX).max(4);
        if slots <= TABLE_SLOTS_MAX {
            return Ok(slots);
        }
        let settings =
            [(&RX_WINDOW_BYTES, &self.rx_window_bytes), (&CHUNK_BYTES, &self.chunk_bytes)];
        let (key, span) = first_given(&settings).expect("the default window fits its table");
        let most = u64::from(TABLE_SLOTS_MAX - 1) * u64::from(chunk_bytes);
        let problem =
            format!("with a chunk_bytes of {chunk_bytes}, rx_window_bytes can be {most} at most");
        Err(source.error(key, span, problem, "lower it, or raise chunk_bytes"))
    }

    /// What is left to go wrong: the parts together.
    fn too_large(&self, source: &Source<'_>, reason: GeometryError) -> ConfigError {
        let settings = [
            (&STREAMS_MAX, &self.streams_max),
            (&RX_WINDOW_BYTES, &self.rx_window_bytes),
            (&CHUNK_BYTES, &self.chunk_bytes),
            (&RX_BYTES, &self.rx_bytes),
            (&TX_BYTES, &self.tx_bytes),
        ];
        let (key, span) = first_given(&settings).expect("the default channel is not too large");
        let advice =
            "lower streams_max, rx_window_bytes, rx_bytes or tx_bytes, or raise chunk_bytes";
        source.error(key, span, reason.to_string(), advice)
    }
}
