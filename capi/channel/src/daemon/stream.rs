//! The byte rings of one stream, seen from the daemon.
//!
//! Everything authoritative is in [`StreamState`], in private memory: the offsets as last validated and which RX chunk
//! holds what. The shared tables and offsets are mirrors for the application, except the three things that only the application can say:
//! `tx_written`, `rx_consumed` and the TX table. The first two are validated in [`DaemonLane`]'s
//! snapshot, an entry of the third each time that it is used.

use causeway_checksum::{Implementation, combine};
use causeway_core::port::{RingError, SocketId, StreamIo};

use super::budget::{FLOOR_CHUNKS, RxShare};
use super::lane::DaemonLane;
use super::{Owner, Poison};
use crate::cursor;
use crate::layout;
use crate::mapping::Mapping;
use crate::table;

/// What the daemon knows about one slot.
#[derive(Clone, Debug)]
pub(super) struct StreamState {
    /// The socket that the rings are lent to.
    pub(super) socket: SocketId,
    /// The process that may use them.
    pub(super) owner: Owner,
    /// The stack still uses them.
    pub(super) open: bool,
    /// The application was told of them: before that it cannot let go of them.
    pub(super) told: bool,
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
    pub(super) rx_share: RxShare,
    /// Where the last message ended: they must not overlap.
    pub(super) message_end: u64,
}

impl StreamState {
    /// One past the last byte that may be stored.
    fn rx_limit(&self) -> u64 {
        match self.rx_share {
            RxShare::Stream { limit, .. } => limit,
            RxShare::Flow { .. } | RxShare::Datagrams { .. } => self.rx_consumed + self.rx_window,
        }
    }
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

    fn tx_is_full(&self) -> bool {
        let Some((lane, slot)) = &self.0 else { return false };
        let window = lane.mapping.geometry.window_bytes_max();
        lane.state(*slot).is_some_and(|s| s.tx_written.saturating_sub(s.tx_released) >= window)
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
        self.state().map_or(0, StreamState::rx_limit)
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

    fn rx_copy_in_sum(
        &mut self,
        offset: u64,
        src: &[u8],
        checksum: Implementation,
    ) -> Result<u16, RingError> {
        match &mut self.0 {
            Some((lane, slot)) => lane.rx_copy_in_sum(*slot, offset, src, checksum),
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
        let chunks = self.mapping.geometry.tx_chunks();
        let Some(chunk) = table::look_up(self.mapping.u32_at(place), chunks) else {
            self.poison_by(Poison::Chunk);
            return None;
        };
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
        self.rx_store(slot, offset, src, |mapping, at, piece| mapping.copy_in(at, piece))
    }

    fn rx_copy_in_sum(
        &mut self,
        slot: u32,
        offset: u64,
        src: &[u8],
        checksum: Implementation,
    ) -> Result<u16, RingError> {
        let state = self.state(slot).ok_or(RingError::Gone)?;
        if offset < state.rx_committed {
            // A part of it is not stored again.
            self.rx_copy_in(slot, offset, src)?;
            return Ok(checksum.sum(src));
        }
        let (mut sum, mut len) = (0, 0);
        self.rx_store(slot, offset, src, |mapping, at, piece| {
            let part = mapping.copy_in_sum(at, piece, checksum);
            sum = combine(sum, part, len % 2 == 1);
            len += piece.len();
        })?;
        Ok(sum)
    }

    /// Stores `src` with `copy`, chunk by chunk, in order.
    fn rx_store(
        &mut self,
        slot: u32,
        offset: u64,
        src: &[u8],
        mut copy: impl FnMut(&Mapping, u64, &[u8]),
    ) -> Result<(), RingError> {
        let message_room = self.message_room();
        let state = self.state(slot).filter(|s| !s.released).ok_or(RingError::Gone)?;
        let end = offset.checked_add(src.len() as u64).ok_or(RingError::OutOfRange)?;
        if end > state.rx_limit() {
            return Err(RingError::OutOfRange);
        }
        // What is committed may be read at this moment, what is consumed has no chunk any more: such
        // bytes were stored before and are not stored again.
        let start = offset.max(state.rx_committed);
        if start >= end {
            return Ok(());
        }
        // Each message is news of its own; a stream's readiness is kept once, however late it is read.
        if !message_room && !matches!(state.rx_share, RxShare::Stream { .. }) {
            return Err(RingError::NoMemory);
        }
        let src = &src[(start - offset) as usize..];
        let high = state.rx_high.max(end);
        self.rx_attach(slot, start, end)?;
        for (at, piece) in pieces(start, src.len(), self.chunk_bytes) {
            let chunk = self.rx_chunks.chunk(slot - self.first_slot, at);
            let chunk = chunk.expect("rx_attach gave every piece its chunk");
            let base = self.mapping.layout.rx_chunk(chunk);
            copy(&self.mapping, base + at % self.chunk_bytes, &src[piece]);
        }
        if let Some(state) = self.state_mut(slot) {
            state.rx_high = high;
        }
        Ok(())
    }

    /// Gives every part of `start .. end` a chunk, or changes nothing. Never fails for a TCP stream: a chunk
    /// is reserved for every part below its limit.
    fn rx_attach(&mut self, slot: u32, start: u64, end: u64) -> Result<(), RingError> {
        let local = slot - self.first_slot;
        let missing = self.rx_chunks.missing(local, start, end);
        let state = self.streams[local as usize].as_mut().ok_or(RingError::Gone)?;
        if !matches!(state.rx_share, RxShare::Stream { .. })
            && !self.rx_budget.draw(slot, &mut state.rx_share, missing)
        {
            return Err(RingError::NoMemory);
        }
        let mapping = &self.mapping;
        self.rx_chunks.attach(local, start, end, |index, chunk| {
            table::name(mapping.u32_at(mapping.layout.rx_table(slot, index)), chunk);
        });
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
        self.rx_promise(slot);
    }

    /// Moves the limit of a TCP stream on, as far as chunks are to be had for it. What the application has read comes back first.
    ///
    /// The window begins with the floor and is twice what was received beyond it, so that it doubles where a sender in slow start does
    /// (RFC 5681 section 3.1), and an idle connection reserves its floor only.
    pub(super) fn rx_promise(&mut self, slot: u32) {
        let (chunk_bytes, budget) = (self.chunk_bytes, &mut self.rx_budget);
        let state = self.streams.get_mut((slot - self.first_slot) as usize);
        let Some(state) = state.and_then(Option::as_mut) else { return };
        let RxShare::Stream { limit, elastic } = &mut state.rx_share else { return };
        let first = state.rx_consumed / chunk_bytes;
        // At most the table's slots.
        let beyond_floor = |limit: u64| {
            let span = limit.div_ceil(chunk_bytes).saturating_sub(first);
            span.saturating_sub(FLOOR_CHUNKS.into()) as u32
        };
        // What the application let go of takes nothing any more; of what the stack let go of, only what is stored needs chunks.
        let needed = match (state.released, state.open) {
            (true, _) => 0,
            (false, true) => *elastic,
            (false, false) => beyond_floor(state.rx_high),
        };
        let needed = needed.min(beyond_floor(*limit)).min(*elastic);
        budget.shrink(*elastic - needed);
        *elastic = needed;
        if !state.open || state.released {
            return;
        }
        let floor = u64::from(FLOOR_CHUNKS) * chunk_bytes;
        let window =
            state.rx_window.min(floor.saturating_add(state.rx_committed.saturating_mul(2)));
        let wanted = state.rx_consumed + window;
        *elastic = budget.grow(*elastic, beyond_floor(wanted));
        let backed = (first + u64::from(FLOOR_CHUNKS) + u64::from(*elastic)) * chunk_bytes;
        *limit = wanted.min(backed).max(*limit);
    }

    /// Gives back what the application has read since it had read up to `from`.
    pub(super) fn rx_recycle(&mut self, slot: u32, from: u64, to: u64) {
        let high = self.state(slot).map_or(0, |s| s.rx_high);
        let freed = self.rx_chunks.recycle(slot - self.first_slot, from, to, high);
        self.rx_freed(slot, freed);
    }

    /// Gives every chunk of a stream back.
    pub(super) fn rx_free_all(&mut self, slot: u32) {
        let Some(state) = self.state(slot) else { return };
        let (from, high) = (state.rx_consumed, state.rx_high);
        let freed = self.rx_chunks.free_all(slot - self.first_slot, from, high);
        self.rx_freed(slot, freed);
    }

    fn rx_freed(&mut self, slot: u32, freed: u32) {
        let state = self.streams[(slot - self.first_slot) as usize].as_mut();
        if let Some(state) = state {
            self.rx_budget.give(slot, &mut state.rx_share, freed);
        }
    }
}
