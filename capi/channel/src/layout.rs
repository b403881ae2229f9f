//! Where everything lies in a channel's memory: offsets, computed from the geometry by both sides alike.
//!
//! ```text
//! header page     magic, version, features, layout hash, geometry; armed word of the application
//! lanes           for each: four ring indices and the armed word of the engine, then the entries of both rings
//! streams         256 bytes each: offsets and flags, a cache line for each writer
//! tables          for each stream a TX and an RX table: which chunk holds which part of the stream
//! chunks          the TX pool, then the RX pool, page aligned
//! ```

use crate::geometry::Geometry;

/// First word of the memory: "causeway" in ASCII.
pub const MAGIC: u64 = u64::from_le_bytes(*b"causeway");
/// Changes when an old peer could not understand the memory or the entries any more.
pub const MAJOR: u16 = 3;
/// Changes when something was added; a daemon serves the previous minor too.
pub const MINOR: u16 = 0;
/// Feature bits that this build speaks. None is defined yet.
pub const FEATURES: u64 = 0;

pub(crate) const HEADER_BYTES: u64 = 4096;
pub(crate) const HEADER_MAGIC: u64 = 0;
pub(crate) const HEADER_VERSION: u64 = 8;
pub(crate) const HEADER_FEATURES: u64 = 16;
pub(crate) const HEADER_LAYOUT_HASH: u64 = 24;
pub(crate) const HEADER_TOTAL: u64 = 32;
pub(crate) const HEADER_GEOMETRY: u64 = 64;
pub(crate) const HEADER_APP_ARMED: u64 = 1024;

pub(crate) const LANE_COMMAND_TAIL: u64 = 0;
pub(crate) const LANE_COMMAND_HEAD: u64 = 64;
pub(crate) const LANE_COMPLETION_TAIL: u64 = 128;
pub(crate) const LANE_COMPLETION_HEAD: u64 = 192;
pub(crate) const LANE_ARMED: u64 = 256;
pub(crate) const LANE_HEADER_BYTES: u64 = 512;
pub(crate) const ENTRY_BYTES: u64 = 64;

pub(crate) const STREAM_BYTES: u64 = 256;
pub(crate) const STREAM_TX_WRITTEN: u64 = 0;
pub(crate) const STREAM_RX_CONSUMED: u64 = 8;
pub(crate) const STREAM_TX_RELEASED: u64 = 64;
pub(crate) const STREAM_RX_COMMITTED: u64 = 72;
pub(crate) const STREAM_KICK: u64 = 128;
pub(crate) const STREAM_TX_WANTED: u64 = 136;
pub(crate) const STREAM_TX_WANTED_AT: u64 = 144;
pub(crate) const STREAM_READY: u64 = 192;

const fn fold(mut hash: u64, words: &[u64]) -> u64 {
    let mut i = 0;
    while i < words.len() {
        hash = (hash ^ words[i]).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// A hash of every constant above: two builds that disagree about the layout disagree about this.
pub const LAYOUT_HASH: u64 = fold(
    0xcbf2_9ce4_8422_2325,
    &[
        HEADER_BYTES,
        HEADER_GEOMETRY,
        HEADER_APP_ARMED,
        LANE_COMMAND_TAIL,
        LANE_COMMAND_HEAD,
        LANE_COMPLETION_TAIL,
        LANE_COMPLETION_HEAD,
        LANE_ARMED,
        LANE_HEADER_BYTES,
        ENTRY_BYTES,
        STREAM_BYTES,
        STREAM_TX_WRITTEN,
        STREAM_RX_CONSUMED,
        STREAM_TX_RELEASED,
        STREAM_RX_COMMITTED,
        STREAM_KICK,
        STREAM_TX_WANTED,
        STREAM_TX_WANTED_AT,
        STREAM_READY,
    ],
);

/// The hash that belongs to [`MAJOR`]: the build fails when the layout changed without a new major.
const PINNED: (u16, u64) = (3, 0x73e6_4323_6acd_2d8f);
const _: () = assert!(
    PINNED.0 == MAJOR && PINNED.1 == LAYOUT_HASH,
    "the layout of the shared memory changed: give it a new MAJOR and pin its hash here"
);

/// Where an application finds the parts of a channel's memory that it may write to: for tests that write there what no
/// application does. Offsets in bytes; of the lanes the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The first lane: its indices of commands, written and taken, then of completions, then its armed word, 64 bytes apart.
    pub lane: u64,
    /// The entries of its command ring, 64 bytes each.
    pub commands: u64,
    /// How many there are.
    pub command_entries: u32,
    /// The offsets and flags of streams, 256 bytes each.
    pub streams: u64,
    /// The tables of chunks.
    pub tables: u64,
    /// The chunks.
    pub chunks: u64,
    /// Behind the last byte.
    pub total: u64,
}

impl Geometry {
    /// Getter: where the parts of a channel of these sizes are.
    pub fn places(&self) -> Places {
        let layout = Layout::new(self);
        Places {
            lane: layout.lane(0),
            commands: layout.command_entries(0),
            command_entries: self.command_entries(),
            streams: layout.streams,
            tables: layout.tx_tables,
            chunks: layout.tx_chunks,
            total: layout.total_bytes,
        }
    }
}

/// The offsets of one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    lane_bytes: u64,
    completion_entries: u64,
    streams: u64,
    tx_tables: u64,
    rx_tables: u64,
    table_bytes: u64,
    tx_chunks: u64,
    rx_chunks: u64,
    chunk_bytes: u64,
    /// Size of the memory.
    pub(crate) total_bytes: u64,
}

impl Layout {
    /// The geometry's field ranges keep every sum far below 2^64.
    pub(crate) fn new(g: &Geometry) -> Self {
        let page = |n: u64| n.next_multiple_of(4096);
        let completion_entries = LANE_HEADER_BYTES + u64::from(g.command_entries()) * ENTRY_BYTES;
        let lane_bytes = page(completion_entries + u64::from(g.completion_entries()) * ENTRY_BYTES);
        let streams = HEADER_BYTES + u64::from(g.lanes()) * lane_bytes;
        let table_bytes = u64::from(g.table_slots()) * 4;
        let tables = u64::from(g.streams()) * table_bytes;
        let tx_tables = page(streams + u64::from(g.streams()) * STREAM_BYTES);
        let rx_tables = tx_tables + tables;
        let chunk_bytes = u64::from(g.chunk_bytes());
        let tx_chunks = page(rx_tables + tables);
        let rx_chunks = tx_chunks + u64::from(g.tx_chunks()) * chunk_bytes;
        let total_bytes = rx_chunks + u64::from(g.rx_chunks()) * chunk_bytes;
        Self {
            lane_bytes,
            completion_entries,
            streams,
            tx_tables,
            rx_tables,
            table_bytes,
            tx_chunks,
            rx_chunks,
            chunk_bytes,
            total_bytes,
        }
    }

    pub(crate) fn lane(&self, lane: u32) -> u64 {
        HEADER_BYTES + u64::from(lane) * self.lane_bytes
    }

    pub(crate) fn command_entries(&self, lane: u32) -> u64 {
        self.lane(lane) + LANE_HEADER_BYTES
    }

    pub(crate) fn completion_entries(&self, lane: u32) -> u64 {
        self.lane(lane) + self.completion_entries
    }

    pub(crate) fn stream(&self, slot: u32) -> u64 {
        self.streams + u64::from(slot) * STREAM_BYTES
    }

    pub(crate) fn tx_table(&self, slot: u32, index: u32) -> u64 {
        self.tx_tables + u64::from(slot) * self.table_bytes + u64::from(index) * 4
    }

    pub(crate) fn rx_table(&self, slot: u32, index: u32) -> u64 {
        self.rx_tables + u64::from(slot) * self.table_bytes + u64::from(index) * 4
    }

    pub(crate) fn tx_chunk(&self, chunk: u32) -> u64 {
        self.tx_chunks + u64::from(chunk) * self.chunk_bytes
    }

    pub(crate) fn rx_chunk(&self, chunk: u32) -> u64 {
        self.rx_chunks + u64::from(chunk) * self.chunk_bytes
    }
}
