//! The sizes of a channel, validated.

use crate::daemon::budget::FLOOR_CHUNKS;

/// How large the parts of one channel's memory are. Built with [`Geometry::builder`]; both sides keep a private copy
/// and never read it back from the shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    lanes: u32,
    command_entries: u32,
    completion_entries: u32,
    streams_per_lane: u32,
    table_slots: u32,
    chunk_bytes: u32,
    tx_chunks: u32,
    rx_chunks_per_lane: u32,
    message_bytes_max: u32,
}

/// Why a [`Geometry`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// `lanes` is not in 1..=64.
    #[error("lanes must be 1 to 64")]
    Lanes,
    /// A ring's size is not a power of two in 16..=65536.
    #[error("ring sizes must be powers of two, 16 to 65536 entries")]
    RingEntries,
    /// `streams_per_lane` is not in 1..=65536.
    #[error("streams per lane must be 1 to 65536")]
    Streams,
    /// `table_slots` is not a power of two in 4..=65536.
    #[error("table slots must be a power of two, 4 to 65536")]
    TableSlots,
    /// `chunk_bytes` is not a power of two in 4096..=1 MiB.
    #[error("chunk bytes must be a power of two, 4096 to 1048576")]
    ChunkBytes,
    /// `tx_chunks` or `rx_chunks_per_lane` is not in 4..=1048576.
    #[error("chunk counts must be 4 to 1048576")]
    Chunks,
    /// `message_bytes_max` is zero or does not fit a stream's window and the TX pool.
    #[error("the longest message must fit a stream's window and both chunk pools")]
    MessageBytesMax,
    /// The whole is larger than 64 GiB.
    #[error("the channel would be larger than 64 GiB")]
    TooLarge,
}

/// Builds a [`Geometry`]. Every setting has a default.
#[derive(Clone, Copy, Debug)]
pub struct GeometryBuilder(Geometry);

impl Default for Geometry {
    fn default() -> Self {
        Self {
            lanes: 1,
            command_entries: 1024,
            completion_entries: 1024,
            streams_per_lane: 1024,
            table_slots: 1024,
            chunk_bytes: 16 << 10,
            tx_chunks: 1024,
            rx_chunks_per_lane: 4096,
            message_bytes_max: 8 << 20,
        }
    }
}

impl Geometry {
    /// Getter: bytes of address space that a channel's memory takes; the machine's memory is taken as it is used.
    pub fn memory_bytes(&self) -> u64 {
        crate::layout::Layout::new(self).total_bytes
    }

    /// RX chunks that each TCP stream begins with and always has.
    pub const RX_FLOOR_CHUNKS: u32 = FLOOR_CHUNKS;

    /// A builder with the defaults: one lane, rings of 1024 entries, 1024 streams, chunks of 16 KiB, 16 MiB for TX, 64 MiB
    /// for RX, messages to 8 MiB. Pages are only taken from the machine when they are touched.
    pub fn builder() -> GeometryBuilder {
        GeometryBuilder(Self::default())
    }

    /// Getter: number of lanes; one per engine.
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }

    /// Getter: entries of each command ring.
    pub const fn command_entries(&self) -> u32 {
        self.command_entries
    }

    /// Getter: entries of each completion ring.
    pub const fn completion_entries(&self) -> u32 {
        self.completion_entries
    }

    /// Getter: streams (pairs of byte rings) of each lane. Lane `l` owns the slots
    /// `l * streams_per_lane .. (l + 1) * streams_per_lane`.
    pub const fn streams_per_lane(&self) -> u32 {
        self.streams_per_lane
    }

    /// Getter: streams of the whole channel.
    pub const fn streams(&self) -> u32 {
        self.lanes * self.streams_per_lane
    }

    /// Getter: chunks that one byte ring can have attached at a time.
    pub const fn table_slots(&self) -> u32 {
        self.table_slots
    }

    /// Getter: bytes of a chunk.
    pub const fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// Getter: chunks that belong to the application, for TX.
    pub const fn tx_chunks(&self) -> u32 {
        self.tx_chunks
    }

    /// Getter: chunks that belong to the daemon, for RX, in each lane.
    pub const fn rx_chunks_per_lane(&self) -> u32 {
        self.rx_chunks_per_lane
    }

    /// Getter: RX chunks of the whole channel. Lane `l` owns
    /// `l * rx_chunks_per_lane .. (l + 1) * rx_chunks_per_lane`.
    pub const fn rx_chunks(&self) -> u32 {
        self.lanes * self.rx_chunks_per_lane
    }

    /// Getter: the longest message, in bytes.
    pub const fn message_bytes_max(&self) -> u32 {
        self.message_bytes_max
    }

    /// Getter: the most bytes that one byte ring can span. A window that begins in the middle of a
    /// chunk touches one chunk more, so it is one chunk less than the table.
    pub const fn window_bytes_max(&self) -> u64 {
        (self.table_slots as u64 - 1) * self.chunk_bytes as u64
    }

    /// Getter: RX chunks that the longest message may touch.
    pub(crate) const fn message_chunks(&self) -> u32 {
        self.message_bytes_max.div_ceil(self.chunk_bytes) + 1
    }

    /// Getter: the window that each TCP stream begins with and always has.
    pub const fn rx_floor_bytes(&self) -> u32 {
        FLOOR_CHUNKS * self.chunk_bytes
    }

    /// The fields in their order in the handshake and the header.
    pub(crate) const fn to_words(self) -> [u32; 9] {
        [
            self.lanes,
            self.command_entries,
            self.completion_entries,
            self.streams_per_lane,
            self.table_slots,
            self.chunk_bytes,
            self.tx_chunks,
            self.rx_chunks_per_lane,
            self.message_bytes_max,
        ]
    }

    /// The inverse of [`Geometry::to_words`], validated.
    pub(crate) fn from_words(words: [u32; 9]) -> Result<Self, GeometryError> {
        let [lanes, command, completion, streams, slots, chunk, tx, rx, message] = words;
        GeometryBuilder(Self {
            lanes,
            command_entries: command,
            completion_entries: completion,
            streams_per_lane: streams,
            table_slots: slots,
            chunk_bytes: chunk,
            tx_chunks: tx,
            rx_chunks_per_lane: rx,
            message_bytes_max: message,
        })
        .build()
    }
}

impl GeometryBuilder {
    /// Lanes, one per engine. Default 1, range 1..=64.
    pub const fn lanes(mut self, n: u32) -> Self {
        self.0.lanes = n;
        self
    }

    /// Entries of each command and each completion ring. Default 1024, a power of two in 16..=65536.
    /// Larger rings take bursts without back-pressure; an entry is 64 bytes.
    pub const fn ring_entries(mut self, command: u32, completion: u32) -> Self {
        self.0.command_entries = command;
        self.0.completion_entries = completion;
        self
    }

    /// Streams of each lane: the most connections and flows at a time. Default 1024, range 1..=65536.
    pub const fn streams_per_lane(mut self, n: u32) -> Self {
        self.0.streams_per_lane = n;
        self
    }

    /// Chunks that one byte ring can have attached. Default 1024 (16 MiB with the default chunk), a
    /// power of two in 4..=65536. It bounds window and message length; 8 bytes of address space each.
    pub const fn table_slots(mut self, n: u32) -> Self {
        self.0.table_slots = n;
        self
    }

    /// Bytes of a chunk. Default 16 KiB, a power of two in 4 KiB..=1 MiB. Small chunks waste less on
    /// short streams, large ones need fewer look-ups.
    pub const fn chunk_bytes(mut self, n: u32) -> Self {
        self.0.chunk_bytes = n;
        self
    }

    /// Chunks for TX, of the whole channel, and for RX, of each lane. Default 1024 and 4096, range 4..=1048576.
    pub const fn chunks(mut self, tx: u32, rx_per_lane: u32) -> Self {
        self.0.tx_chunks = tx;
        self.0.rx_chunks_per_lane = rx_per_lane;
        self
    }

    /// The longest message in bytes. Default 8 MiB, at least 1; one chunk less than the table and the TX pool hold,
    /// three less than the RX pool: beside a message there is room for a TCP stream.
    pub const fn message_bytes_max(mut self, n: u32) -> Self {
        self.0.message_bytes_max = n;
        self
    }

    /// Validates.
    pub fn build(self) -> Result<Geometry, GeometryError> {
        let g = self.0;
        let ring = |n: u32| n.is_power_of_two() && (16..=65_536).contains(&n);
        if !(1..=64).contains(&g.lanes) {
            return Err(GeometryError::Lanes);
        }
        if !ring(g.command_entries) || !ring(g.completion_entries) {
            return Err(GeometryError::RingEntries);
        }
        if !(1..=65_536).contains(&g.streams_per_lane) {
            return Err(GeometryError::Streams);
        }
        if !g.table_slots.is_power_of_two() || !(4..=65_536).contains(&g.table_slots) {
            return Err(GeometryError::TableSlots);
        }
        if !g.chunk_bytes.is_power_of_two() || !(4096..=1 << 20).contains(&g.chunk_bytes) {
            return Err(GeometryError::ChunkBytes);
        }
        let chunks = 4..=1 << 20;
        if !chunks.contains(&g.tx_chunks) || !chunks.contains(&g.rx_chunks_per_lane) {
            return Err(GeometryError::Chunks);
        }
        let slots = g.table_slots.min(g.tx_chunks).min(g.rx_chunks_per_lane - FLOOR_CHUNKS);
        let longest = (u64::from(slots) - 1) * u64::from(g.chunk_bytes);
        if g.message_bytes_max == 0 || u64::from(g.message_bytes_max) > longest {
            return Err(GeometryError::MessageBytesMax);
        }
        if g.memory_bytes() > 64 << 30 {
            return Err(GeometryError::TooLarge);
        }
        Ok(g)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_survive_the_wire() {
        let g = Geometry::builder().build().unwrap();
        assert_eq!(Geometry::from_words(g.to_words()), Ok(g));
    }

    #[test]
    fn every_limit_is_checked() {
        let b = Geometry::builder;
        assert_eq!(b().lanes(0).build(), Err(GeometryError::Lanes));
        assert_eq!(b().lanes(65).build(), Err(GeometryError::Lanes));
        assert_eq!(b().ring_entries(17, 16).build(), Err(GeometryError::RingEntries));
        assert_eq!(b().ring_entries(16, 8).build(), Err(GeometryError::RingEntries));
        assert_eq!(b().streams_per_lane(0).build(), Err(GeometryError::Streams));
        assert_eq!(b().table_slots(1000).build(), Err(GeometryError::TableSlots));
        assert_eq!(b().chunk_bytes(2048).build(), Err(GeometryError::ChunkBytes));
        assert_eq!(b().chunks(3, 64).build(), Err(GeometryError::Chunks));
        assert_eq!(b().message_bytes_max(0).build(), Err(GeometryError::MessageBytesMax));
        assert_eq!(b().message_bytes_max(16 << 20).build(), Err(GeometryError::MessageBytesMax));
        assert_eq!(
            b().lanes(64).chunk_bytes(1 << 20).chunks(4096, 4096).build(),
            Err(GeometryError::TooLarge)
        );
    }
}
