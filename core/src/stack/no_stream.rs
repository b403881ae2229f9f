//! The rings of a connection that has none.

use causeway_checksum::Implementation;

use crate::port::{AppPort, RingError, StreamId, StreamIo};

/// The rings of a socket, or none: before the handshake is complete, and after the application let go.
#[derive(Debug)]
pub(super) struct MaybeStream<S>(Option<S>);

/// The rings behind `stream`.
pub(super) fn rings<P: AppPort>(
    port: &mut P,
    stream: Option<StreamId>,
) -> MaybeStream<P::Stream<'_>> {
    MaybeStream(stream.map(|stream| port.stream(stream)))
}

impl<S: StreamIo> StreamIo for MaybeStream<S> {
    fn tx_end(&self) -> u64 {
        self.0.as_ref().map_or(0, S::tx_end)
    }

    fn tx_is_full(&self) -> bool {
        self.0.as_ref().is_some_and(S::tx_is_full)
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        if let Some(stream) = &self.0 {
            return stream.tx_copy_out_sum(offset, dst);
        }
        dst.fill(0);
        0
    }

    fn tx_release(&mut self, offset: u64) {
        if let Some(stream) = &mut self.0 {
            stream.tx_release(offset);
        }
    }

    fn rx_limit(&self) -> u64 {
        self.0.as_ref().map_or(0, S::rx_limit)
    }

    fn rx_consumed(&self) -> u64 {
        self.0.as_ref().map_or(0, S::rx_consumed)
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        self.0.as_mut().map_or(Err(RingError::Gone), |stream| stream.rx_copy_in(offset, src))
    }

    #[inline]
    fn rx_copy_in_sum(
        &mut self,
        offset: u64,
        src: &[u8],
        checksum: Implementation,
    ) -> Result<u16, RingError> {
        match &mut self.0 {
            Some(stream) => stream.rx_copy_in_sum(offset, src, checksum),
            None => Err(RingError::Gone),
        }
    }

    fn rx_commit(&mut self, offset: u64) {
        if let Some(stream) = &mut self.0 {
            stream.rx_commit(offset);
        }
    }
}
