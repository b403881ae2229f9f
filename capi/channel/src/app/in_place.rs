//! Messages where they lie: room to write in before it is sent, and what has arrived without copying it out.

use super::channel::{AppChannel, ChannelFault};
use crate::daemon::pieces;
use crate::table;

/// Bytes of the channel's memory, as their address. The daemon has the same memory: what is read there may change while it is read, if the
/// daemon is broken, and what is written there is seen by it. Laid out as `struct iovec` of `<sys/uio.h>`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins. Valid as long as the channel is mapped, and the application's as long as the call says that gave it.
    pub address: *mut u8,
    /// Bytes.
    pub len: usize,
}

// SAFETY: an address, of memory that every thread of the process may use; whoever follows it says why that is right.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

impl Piece {
    /// Nothing, for an array to be filled.
    pub const EMPTY: Self = Self { address: std::ptr::null_mut(), len: 0 };
}

/// Gathers pieces, joined where they lie side by side.
struct Pieces<'a> {
    out: &'a mut [Piece],
    /// So many there are, whether `out` has room for them or not.
    count: usize,
    end: Option<usize>,
}

impl Pieces<'_> {
    fn push(&mut self, address: *mut u8, len: usize) {
        let joins = self.end == Some(address.addr());
        self.end = address.addr().checked_add(len);
        if !joins {
            self.count += 1;
        }
        match self.out.get_mut(self.count - 1) {
            Some(piece) if joins => piece.len += len,
            Some(piece) => *piece = Piece { address, len },
            None => {}
        }
    }
}

impl AppChannel {
    /// Command: room for `len` bytes behind those staged, in place: written to `out`, as few pieces as there are. Returns how many
    /// that is; if `out` is too short nothing is reserved. The caller has seen that there is room ([`AppChannel::await_room`]). Until
    /// [`AppChannel::tx_fill`] nothing else may be staged.
    pub fn tx_reserve(
        &mut self,
        slot: u32,
        len: u64,
        out: &mut [Piece],
    ) -> Result<usize, ChannelFault> {
        let (mapping, table_slots) = (self.mapping.clone(), self.table_slots);
        let chunk_bytes = self.chunk_bytes;
        let free = &mut self.tx_free;
        let stream = self.streams.get_mut(slot as usize).and_then(Option::as_mut);
        let Some(stream) = stream else { return Err(ChannelFault::Stream) };
        let start = stream.tx_staged;
        let mut found = Pieces { out, count: 0, end: None };
        for (at, piece) in pieces(start, len as usize, chunk_bytes) {
            let chunk = stream.tx_chunks.hold(at, chunk_bytes, free, |ordinal, chunk| {
                let place = mapping.layout.tx_table(slot, (ordinal % table_slots) as u32);
                table::name(mapping.u32_at(place), chunk);
            });
            let chunk = chunk.expect("the caller saw that there is room");
            let base = mapping.layout.tx_chunk(chunk) + at % chunk_bytes;
            found.push(mapping.address(base, piece.len()), piece.len());
        }
        let count = found.count;
        if count > found.out.len() {
            stream.tx_chunks.trim((stream.tx_released, start), chunk_bytes, free);
        } else {
            stream.tx_reserved = len;
        }
        Ok(count)
    }

    /// Command: the first `len` of the reserved bytes are staged, the others are no longer reserved.
    pub fn tx_fill(&mut self, slot: u32, len: u64) {
        let (chunk_bytes, free) = (self.chunk_bytes, &mut self.tx_free);
        if let Some(stream) = self.streams.get_mut(slot as usize).and_then(Option::as_mut) {
            stream.tx_staged += len.min(stream.tx_reserved);
            stream.tx_reserved = 0;
            let kept = (stream.tx_released, stream.tx_staged);
            stream.tx_chunks.trim(kept, chunk_bytes, free);
        }
    }

    /// Getter: bytes reserved and not filled.
    pub fn tx_reserved(&self, slot: u32) -> u64 {
        self.streams.get(slot as usize).and_then(Option::as_ref).map_or(0, |s| s.tx_reserved)
    }

    /// Output: where the `len` bytes lie that begin `skip` bytes beyond the consumed ones, in `out`. Returns how many pieces that is,
    /// more than `out` has room for perhaps. They stay there until they are consumed.
    pub fn rx_pieces(
        &self,
        slot: u32,
        skip: u64,
        len: usize,
        out: &mut [Piece],
    ) -> Result<usize, ChannelFault> {
        if self.rx_available(slot)? < skip.saturating_add(len as u64) {
            return Err(ChannelFault::Stream);
        }
        let start = self.rx_consumed(slot) + skip;
        let mut found = Pieces { out, count: 0, end: None };
        for (at, piece) in pieces(start, len, self.chunk_bytes) {
            let index = (at / self.chunk_bytes % self.table_slots) as u32;
            let place = self.mapping.layout.rx_table(slot, index);
            let chunks = self.mapping.geometry.rx_chunks();
            let chunk = table::look_up(self.mapping.u32_at(place), chunks);
            let chunk = chunk.ok_or(ChannelFault::Stream)?;
            let base = self.mapping.layout.rx_chunk(chunk) + at % self.chunk_bytes;
            found.push(self.mapping.address(base, piece.len()), piece.len());
        }
        Ok(found.count)
    }
}
