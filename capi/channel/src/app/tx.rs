//! Writing: the application fills chunks of its own pool and publishes how far it got.
//!
//! Chunks are attached when bytes come and taken back when the daemon released all that is in them, so an idle stream holds none.

use std::collections::VecDeque;

use causeway_core::machnet::MESSAGES_QUEUED_MAX;

use super::channel::{AppChannel, AppStream, ChannelFault};
use crate::armed;
use crate::cursor;
use crate::layout;
use crate::sync::Ordering;
use crate::table;

/// What [`AppChannel::await_room`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The bytes can be staged now.
    Here,
    /// Not before more of the stream is released: its ring says when.
    Released,
    /// The stream's window would do, and the pool does not: any stream's chunk helps. To be told to [`AppChannel::arm`].
    Pooled,
}

impl AppChannel {
    fn tx_stream(&mut self, slot: u32) -> Option<&mut AppStream> {
        self.streams.get_mut(slot as usize)?.as_mut()
    }

    /// Getter: how many bytes can be staged now, and up to `window_bytes` unreleased in all. Takes
    /// released chunks back first.
    pub fn tx_room(&mut self, slot: u32, window_bytes: u64) -> Result<u64, ChannelFault> {
        self.tx_reap(slot)?;
        let (pool, window) = self.tx_rooms(slot, window_bytes);
        if pool >= window {
            return Ok(window);
        }
        // The pool is the limit: what other streams no longer need counts too.
        self.tx_any_released()?;
        let (pool, window) = self.tx_rooms(slot, window_bytes);
        Ok(pool.min(window))
    }

    /// What the pool and what the window have room for.
    fn tx_rooms(&mut self, slot: u32, window_bytes: u64) -> (u64, u64) {
        let window = window_bytes.min(self.mapping.geometry.window_bytes_max());
        let (free, chunk_bytes) = (self.tx_free.len() as u64, self.chunk_bytes);
        let Some(stream) = self.tx_stream(slot) else { return (0, 0) };
        let attached = stream.tx_chunks.end(chunk_bytes);
        let holds = !stream.tx_chunks.is_empty();
        let tail = if holds { attached - stream.tx_staged } else { 0 };
        // Without a tail, the first free chunk begins where the staged bytes end, perhaps inside it.
        let lost = if holds { 0 } else { stream.tx_staged % chunk_bytes };
        let pool = (tail + free * chunk_bytes).saturating_sub(lost);
        (pool, window.saturating_sub(stream.tx_staged - stream.tx_released))
    }

    /// Command: copies bytes into the stream without showing them yet. Returns how many fit; see [`AppChannel::tx_room`].
    pub fn tx_stage(
        &mut self,
        slot: u32,
        bytes: &[u8],
        window_bytes: u64,
    ) -> Result<usize, ChannelFault> {
        let room = self.tx_room(slot, window_bytes)?;
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        let Some(mut stream) = self.streams[slot as usize].take() else { return Ok(0) };
        let mut done = 0;
        while done < bytes.len() {
            let inside = stream.tx_staged % self.chunk_bytes;
            let chunk = self.tx_chunk(slot, &mut stream);
            let len = (self.chunk_bytes - inside).min((bytes.len() - done) as u64) as usize;
            let place = self.mapping.layout.tx_chunk(chunk) + inside;
            self.mapping.copy_in(place, &bytes[done..done + len]);
            stream.tx_staged += len as u64;
            done += len;
        }
        self.streams[slot as usize] = Some(stream);
        Ok(done)
    }

    /// The chunk that the next staged byte goes to.
    fn tx_chunk(&mut self, slot: u32, stream: &mut AppStream) -> u32 {
        let (mapping, table_slots) = (&self.mapping, self.table_slots);
        let (staged, chunk_bytes) = (stream.tx_staged, self.chunk_bytes);
        let chunk =
            stream.tx_chunks.hold(staged, chunk_bytes, &mut self.tx_free, |ordinal, chunk| {
                let place = mapping.layout.tx_table(slot, (ordinal % table_slots) as u32);
                table::name(mapping.u32_at(place), chunk);
            });
        chunk.expect("tx_room counted the free chunks")
    }

    /// Getter: the stream offset of the next byte to be staged.
    pub fn tx_offset(&self, slot: u32) -> u64 {
        self.streams.get(slot as usize).and_then(Option::as_ref).map_or(0, |s| s.tx_staged)
    }

    /// Command: shows the staged bytes to the daemon. Tell it by a command with the slot or by [`AppChannel::kick`].
    pub fn tx_publish(&mut self, slot: u32) {
        let at = self.mapping.layout.stream(slot) + layout::STREAM_TX_WRITTEN;
        let mapping = self.mapping.clone();
        if let Some(stream) = self.tx_stream(slot)
            && stream.tx_published != stream.tx_staged
        {
            stream.tx_published = stream.tx_staged;
            cursor::publish(mapping.u64_at(at), stream.tx_staged);
        }
    }

    /// Getter: bytes that were published and not yet released (acknowledged).
    pub fn tx_unreleased(&mut self, slot: u32) -> Result<u64, ChannelFault> {
        self.tx_reap(slot)?;
        Ok(self.tx_stream(slot).map_or(0, |s| s.tx_published - s.tx_released))
    }

    /// Command, before [`AppChannel::arm`]: the daemon shall report the stream as ready once everything below `offset` is released: a
    /// writer is woken for a useful amount of room, not for each acknowledgement. True: it is already, look again.
    pub fn want_tx(&mut self, slot: u32, offset: u64) -> Result<bool, ChannelFault> {
        let at = self.mapping.layout.stream(slot);
        let wanted = self.mapping.u64_at(at + layout::STREAM_TX_WANTED_AT);
        wanted.store(offset, Ordering::Relaxed);
        armed::arm(self.mapping.u32_at(at + layout::STREAM_TX_WANTED), armed::EVENTS);
        Ok(self.tx_released(slot)? >= offset)
    }

    /// Command: whether `bytes` fit into a stream now, of which up to `window_bytes` may be unreleased in all; if not, arranges for a
    /// ring when they may.
    pub fn await_room(
        &mut self,
        slot: u32,
        bytes: u64,
        window_bytes: u64,
    ) -> Result<Room, ChannelFault> {
        if self.tx_room(slot, window_bytes)? >= bytes {
            return Ok(Room::Here);
        }
        let window = window_bytes.min(self.geometry().window_bytes_max());
        if self.tx_unreleased(slot)? + bytes > window {
            let wanted = (self.tx_offset(slot) + bytes).saturating_sub(window);
            if !self.want_tx(slot, wanted)? {
                return Ok(Room::Released);
            }
        }
        Ok(if self.tx_room(slot, window)? >= bytes { Room::Here } else { Room::Pooled })
    }

    /// Command: whether the daemon takes one more message on a flow, however short; if not, arranges for a ring when it may. `ends` are
    /// the offsets at which the messages end that were not known to be released.
    pub fn may_queue(&mut self, slot: u32, ends: &mut VecDeque<u64>) -> Result<bool, ChannelFault> {
        // What was released is looked at once in so many messages, not at each.
        while ends.len() >= MESSAGES_QUEUED_MAX as usize {
            let released = self.tx_offset(slot) - self.tx_unreleased(slot)?;
            while ends.pop_front_if(|end| *end <= released).is_some() {}
            let full = ends.len() >= MESSAGES_QUEUED_MAX as usize;
            if let Some(&first) = ends.front().filter(|_| full)
                && !self.want_tx(slot, first)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The daemon's offset, validated.
    fn tx_released(&mut self, slot: u32) -> Result<u64, ChannelFault> {
        let at = self.mapping.layout.stream(slot) + layout::STREAM_TX_RELEASED;
        let mapping = self.mapping.clone();
        let Some(stream) = self.tx_stream(slot) else { return Ok(0) };
        cursor::observe(mapping.u64_at(at), stream.tx_released, stream.tx_published)
            .map_err(|_| ChannelFault::Stream)
    }

    /// Takes back the chunks whose bytes were all released.
    fn tx_reap(&mut self, slot: u32) -> Result<(), ChannelFault> {
        let released = self.tx_released(slot)?;
        let chunk_bytes = self.chunk_bytes;
        let Some(stream) = self.streams[slot as usize].as_mut() else { return Ok(()) };
        stream.tx_released = released;
        // What is reserved is not released, and its chunks are in use.
        let end = stream.tx_staged + stream.tx_reserved;
        stream.tx_chunks.reap(released, end, chunk_bytes, &mut self.tx_free);
        Ok(())
    }

    /// Whether any stream that holds chunks had bytes released since it was last looked at; takes them back.
    pub(super) fn tx_any_released(&mut self) -> Result<bool, ChannelFault> {
        let before = self.tx_free.len();
        for slot in 0..self.streams.len() as u32 {
            if self.tx_stream(slot).is_some_and(|s| !s.tx_chunks.is_empty()) {
                self.tx_reap(slot)?;
            }
        }
        Ok(self.tx_free.len() != before)
    }
}
