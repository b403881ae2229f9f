//! Reading: the daemon says which chunks hold the stream and how far it is in order.

use super::channel::{AppChannel, AppStream, ChannelFault};
use crate::cursor;
use crate::daemon::pieces;
use crate::layout;
use crate::table;

impl AppChannel {
    fn rx_stream(&self, slot: u32) -> Option<&AppStream> {
        self.streams.get(slot as usize)?.as_ref()
    }

    /// Getter: the offset of the next byte that was not consumed.
    pub fn rx_consumed(&self, slot: u32) -> u64 {
        self.rx_stream(slot).map_or(0, |s| s.rx_consumed)
    }

    /// Getter: bytes that can be read.
    pub fn rx_available(&self, slot: u32) -> Result<u64, ChannelFault> {
        let Some(stream) = self.rx_stream(slot) else { return Ok(0) };
        let at = self.mapping.layout.stream(slot) + layout::STREAM_RX_COMMITTED;
        let committed = cursor::observe(self.mapping.u64_at(at), stream.rx_consumed, u64::MAX)
            .map_err(|_| ChannelFault::Stream)?;
        Ok(committed - stream.rx_consumed)
    }

    /// Output: copies up to `dst.len()` bytes from `skip` bytes beyond the consumed ones, and leaves them there. Returns how many.
    pub fn rx_peek(&self, slot: u32, skip: u64, dst: &mut [u8]) -> Result<usize, ChannelFault> {
        let available = self.rx_available(slot)?.saturating_sub(skip);
        let len = dst.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        let start = self.rx_consumed(slot) + skip;
        for (at, piece) in pieces(start, len, self.chunk_bytes) {
            let index = (at / self.chunk_bytes % self.table_slots) as u32;
            let place = self.mapping.layout.rx_table(slot, index);
            let chunks = self.mapping.geometry.rx_chunks();
            let chunk = table::look_up(self.mapping.u32_at(place), chunks);
            let chunk = chunk.ok_or(ChannelFault::Stream)?;
            let base = self.mapping.layout.rx_chunk(chunk) + at % self.chunk_bytes;
            self.mapping.copy_out(base, &mut dst[piece]);
        }
        Ok(len)
    }

    /// Command: `bytes` more are done with; the daemon may use their room once it is kicked. Capped to what is available.
    pub fn rx_consume(&mut self, slot: u32, bytes: u64) -> Result<(), ChannelFault> {
        let bytes = bytes.min(self.rx_available(slot)?);
        let at = self.mapping.layout.stream(slot) + layout::STREAM_RX_CONSUMED;
        if let Some(stream) = self.streams.get_mut(slot as usize).and_then(Option::as_mut) {
            stream.rx_consumed += bytes;
            cursor::publish(self.mapping.u64_at(at), stream.rx_consumed);
        }
        Ok(())
    }
}
