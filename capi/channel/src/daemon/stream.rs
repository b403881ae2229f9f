//! The byte rings of one stream, seen from the daemon.
//!
//! Everything authoritative is in [`StreamState`], in private memory: the offsets as last validated and which RX chunk
//! holds what. The shared tables and offsets are mirrors for the application, except the three things that only the application can say:
//! `tx_written`, `rx_consumed` and the TX table. The first two are validated in [`DaemonLane`]'s
//! snapshot, an entry of the third each time that it is used.

use causeway_core::port::{RingError, SocketId, StreamIo};

use super::lane::DaemonLane;
use super::{Owner, Poison};
use crate::cursor;
use crate::layout;
use crate::sync::Ordering;

/// What the daemon knows about one slot.
#[derive(Clone, Debug)]
pub(super) struct StreamState {
    /// The socket that the rings are lent to.
    pub(super) socket: SocketId,
    /// The process that may use them.
    pub(super) owner: Owner,
    /// The stack still uses them.
    pub(super) open: bool,
    /// The application let go of them.
    pub(super) released: bool,
    /// Its lane holds it in the list of streams that the next flush looks at.
    pub(super) dirty: bool,
    pub(super) tx_written: u64,
    pub(super) tx_released: u64,
    pub(super) rx_consumed: u64,
    pub(super) rx_committed: u64,
    /// One past the highest byte ever stored.
    pub(super) rx_high: u64,
    pub(super) rx_window: u64,
    /// Where the last message ended: they must not overlap.
    pub(super) message_end: u64,
}

/// The byte rings of a stream for the length of a borrow: the [`StreamIo`] of the channel.
#[derive(Debug)]
pub struct LaneStream<'a>(pub(super) Option<(&'a mut DaemonLane, u32)>);

impl LaneStream<'_> {
    /// The rings of a stream that is gone: empty, and take nothing.
    pub const fn gone() -> Self {
        Self(None)
    }

    fn state(&self) -> Option<&StreamState> {
        self.0.as_ref().and_then(|(lane, slot)| lane.state(*slot))
    }
}

impl StreamIo for LaneStream<'_> {
    fn tx_end(&self) -> u64 {
        self.state().map_or(0, |s| s.tx_written)
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        match &self.0 {
            Some((lane, slot)) => lane.tx_copy_out_sum(*slot, offset, dst),
            None => {
                dst.fill(0);
                0
            }
        }
    }

    fn tx_release(&mut self, offset: u64) {
        if let Some((lane, slot)) = &mut self.0 {
            lane.tx_release(*slot, offset);
        }
    }

    fn rx_limit(&self) -> u64 {
        self.state().map_or(0, |s| s.rx_consumed + s.rx_window)
    }

    fn rx_consumed(&self) -> u64 {
        self.state().map_or(0, |s| s.rx_consumed)
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        match &mut self.0 {
            Some((lane, slot)) => lane.rx_copy_in(*slot, offset, src),
            None => Err(RingError::Gone),
        }
    }

    fn rx_commit(&mut self, offset: u64) {
        if let Some((lane, slot)) = &mut self.0 {
            lane.rx_commit(*slot, offset);
        }
    }
}

/// The pieces of a run of stream bytes, chunk by chunk: (offset, bytes done before, length).
pub(crate) fn pieces(
    offset: u64,
    len: usize,
    chunk_bytes: u64,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0_usize;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let room = chunk_bytes - at % chunk_bytes;
        let piece = done..done + room.min((len - done) as u64) as usize;
        done = piece.end;
        Some((at, piece))
    })
}

impl DaemonLane {
    fn tx_copy_out_sum(&self, slot: u32, offset: u64, dst: &mut [u8]) -> u16 {
        let Some(state) = self.state(slot) else {
            dst.fill(0);
            return 0;
        };
        // Only bytes between what is released and what was written at the snapshot exist.
        let end = offset.saturating_add(dst.len() as u64).min(state.tx_written);
        let inside = if offset < state.tx_released { 0 } else { end.saturating_sub(offset) };
        let (bytes, rest) = dst.split_at_mut(inside as usize);
        rest.fill(0);
        let (mut total, mut odd) = (0, false);
        for (at, piece) in pieces(offset, bytes.len(), self.chunk_bytes) {
            let piece = &mut bytes[piece];
            let part = match self.tx_chunk(slot, at) {
                Some(base) => self.mapping.copy_out_sum(base + at % self.chunk_bytes, piece),
                None => {
                    piece.fill(0);
                    0
                }
            };
            total = causeway_checksum::combine(total, part, odd);
            odd ^= piece.len() % 2 == 1;
        }
        total
    }

    /// The place of the TX chunk that the application's table names for the byte at `at`.
    fn tx_chunk(&self, slot: u32, at: u64) -> Option<u64> {
        let index = (at / self.chunk_bytes % self.table_slots) as u32;
        let place = self.mapping.layout.tx_table(slot, index);
        // Read once, validated, used. Relaxed: the acquire of tx_written made an honest entry visible.
        let chunk = self.mapping.u32_at(place).load(Ordering::Relaxed);
        if chunk >= self.mapping.geometry.tx_chunks() {
            self.poison_by(Poison::Chunk);
            return None;
        }
        Some(self.mapping.layout.tx_chunk(chunk))
    }

    fn tx_release(&mut self, slot: u32, offset: u64) {
        let Some(state) = self.state_mut(slot) else { return };
        let offset = offset.min(state.tx_written);
        if offset <= state.tx_released {
            return;
        }
        state.tx_released = offset;
        self.mark_dirty(slot);
        self.released_any = true;
        let at = self.mapping.layout.stream(slot) + layout::STREAM_TX_RELEASED;
        cursor::publish(self.mapping.u64_at(at), offset);
    }

    fn rx_copy_in(&mut self, slot: u32, offset: u64, src: &[u8]) -> Result<(), RingError> {
        let message_room = self.message_room();
        let state = self.state(slot).filter(|s| !s.released).ok_or(RingError::Gone)?;
        let end = offset.checked_add(src.len() as u64).ok_or(RingError::OutOfRange)?;
        if end > state.rx_consumed + state.rx_window {
            return Err(RingError::OutOfRange);
        }
        // What is committed may be read at this moment, what is consumed has no chunk any more: such
        // bytes were stored before and are not stored again.
        let start = offset.max(state.rx_committed);
        if start >= end {
            return Ok(());
        }
        if !message_room {
            return Err(RingError::NoMemory);
        }
        let src = &src[(start - offset) as usize..];
        let high = state.rx_high.max(end);
        self.rx_attach(slot, start, end)?;
        for (at, piece) in pieces(start, src.len(), self.chunk_bytes) {
            let chunk = self.rx_table[self.rx_index(slot, at / self.chunk_bytes)]
                .checked_sub(1)
                .expect("rx_attach gave every piece its chunk");
            let base = self.mapping.layout.rx_chunk(chunk);
            self.mapping.copy_in(base + at % self.chunk_bytes, &src[piece]);
        }
        if let Some(state) = self.state_mut(slot) {
            state.rx_high = high;
        }
        Ok(())
    }

    /// Gives every part of `start .. end` a chunk, or changes nothing.
    fn rx_attach(&mut self, slot: u32, start: u64, end: u64) -> Result<(), RingError> {
        let ordinals = start / self.chunk_bytes..end.div_ceil(self.chunk_bytes);
        let missing = |o: &u64| self.rx_table[self.rx_index(slot, *o)] == 0;
        if ordinals.clone().filter(missing).count() > self.pool.available() {
            return Err(RingError::NoMemory);
        }
        for ordinal in ordinals {
            let index = self.rx_index(slot, ordinal);
            if self.rx_table[index] == 0 {
                let chunk = self.pool.take().expect("counted above");
                self.rx_table[index] = chunk + 1;
                let shared = (ordinal % self.table_slots) as u32;
                let place = self.mapping.layout.rx_table(slot, shared);
                // Relaxed: published by the Release of rx_committed, before which nobody looks.
                self.mapping.u32_at(place).store(chunk, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn rx_commit(&mut self, slot: u32, offset: u64) {
        let Some(state) = self.state_mut(slot) else { return };
        let offset = offset.min(state.rx_high);
        if offset <= state.rx_committed {
            return;
        }
        state.rx_committed = offset;
        let at = self.mapping.layout.stream(slot) + layout::STREAM_RX_COMMITTED;
        cursor::publish(self.mapping.u64_at(at), offset);
    }

    /// Where the private table of this lane holds an ordinal of a slot.
    fn rx_index(&self, slot: u32, ordinal: u64) -> usize {
        let local = u64::from(slot - self.first_slot);
        (local * self.table_slots + ordinal % self.table_slots) as usize
    }

    /// Gives the chunks below `to` back, and the last one too when nothing else is in it.
    pub(super) fn rx_recycle(&mut self, slot: u32, from: u64, to: u64) {
        let high = self.state(slot).map_or(0, |s| s.rx_high);
        let whole = from / self.chunk_bytes..to / self.chunk_bytes;
        let last = (to == high && !to.is_multiple_of(self.chunk_bytes)).then_some(whole.end);
        for ordinal in whole.chain(last) {
            self.rx_free(slot, ordinal);
        }
    }

    /// Gives every chunk of a stream back.
    pub(super) fn rx_free_all(&mut self, slot: u32) {
        let Some(state) = self.state(slot) else { return };
        let ordinals =
            state.rx_consumed / self.chunk_bytes..state.rx_high.div_ceil(self.chunk_bytes);
        for ordinal in ordinals {
            self.rx_free(slot, ordinal);
        }
    }

    fn rx_free(&mut self, slot: u32, ordinal: u64) {
        let index = self.rx_index(slot, ordinal);
        if let Some(chunk) = std::mem::take(&mut self.rx_table[index]).checked_sub(1) {
            self.pool.give(chunk);
        }
    }
}
