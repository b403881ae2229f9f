//! The pair of rings of one connection or flow.

use std::collections::VecDeque;

use causeway_checksum::Implementation;
use causeway_core::machnet::MESSAGES_QUEUED_MAX;
use causeway_core::port::{RingError, SocketId, StreamIo};

use super::ring::Ring;
use crate::fault::Dice;

/// What stack and application know of one pair of rings.
#[derive(Debug)]
pub(super) struct Stream {
    /// The socket of the stack that it was opened for.
    pub(super) socket: SocketId,
    pub(super) tx: Ring,
    pub(super) tx_written: u64,
    pub(super) tx_seen: u64,
    pub(super) tx_released: u64,
    /// Where each message ends that the stack has not released (Machnet).
    pub(super) unreleased: VecDeque<u64>,
    pub(super) rx: Ring,
    pub(super) rx_committed: u64,
    pub(super) rx_consumed: u64,
    pub(super) rx_seen: u64,
    /// What the application changed is in the queue of commands.
    pub(super) kicked: bool,
    /// The stack has not closed it.
    pub(super) in_stack: bool,
    /// The application has not let go of it.
    pub(super) in_app: bool,
}

impl Stream {
    pub(super) fn new(socket: SocketId) -> Self {
        Self {
            socket,
            tx: Ring::default(),
            tx_written: 0,
            tx_seen: 0,
            tx_released: 0,
            unreleased: VecDeque::new(),
            rx: Ring::default(),
            rx_committed: 0,
            rx_consumed: 0,
            rx_seen: 0,
            kicked: false,
            in_stack: true,
            in_app: true,
        }
    }

    /// Getter: bytes that the application may write now.
    pub(super) const fn room(&self, size: usize) -> usize {
        size - (self.tx_written - self.tx_released) as usize
    }

    /// Command: forgets messages that were released, if there are many. True when the stack takes one more, however short.
    pub(super) fn may_queue(&mut self) -> bool {
        if self.unreleased.len() < MESSAGES_QUEUED_MAX as usize {
            return true;
        }
        while self.unreleased.pop_front_if(|end| *end <= self.tx_released).is_some() {}
        self.unreleased.len() < MESSAGES_QUEUED_MAX as usize
    }

    /// Getter: bytes that the application may read now.
    pub(super) const fn readable(&self) -> usize {
        (self.rx_committed - self.rx_consumed) as usize
    }
}

/// The stack's view of a pair of rings, or of none.
#[derive(Debug)]
pub struct PolledStream<'a> {
    pub(super) size: usize,
    pub(super) checksum: Implementation,
    pub(super) spare: &'a mut Vec<Vec<u8>>,
    /// Decides whether a store finds memory.
    pub(super) memory: &'a mut Dice,
    pub(super) stream: Option<&'a mut Stream>,
}

impl PolledStream<'_> {
    /// The ring that takes `len` bytes at `offset`.
    fn taker(&mut self, offset: u64, len: usize) -> Result<&mut Ring, RingError> {
        let limit = self.rx_limit();
        let stream = self.stream.as_mut().ok_or(RingError::Gone)?;
        if offset + len as u64 > limit || offset < stream.rx_consumed {
            return Err(RingError::OutOfRange);
        }
        if self.memory.roll().is_some() {
            return Err(RingError::NoMemory);
        }
        stream.rx.attach(self.size, self.spare);
        Ok(&mut stream.rx)
    }
}

impl StreamIo for PolledStream<'_> {
    fn tx_end(&self) -> u64 {
        self.stream.as_ref().map_or(0, |s| s.tx_seen)
    }

    fn tx_is_full(&self) -> bool {
        self.stream.as_ref().is_some_and(|s| s.room(self.size) == 0)
    }

    fn tx_copy_out_sum(&self, offset: u64, dst: &mut [u8]) -> u16 {
        match &self.stream {
            Some(s) if offset >= s.tx_released && offset + dst.len() as u64 <= s.tx_written => {
                s.tx.take_sum(offset, dst, self.checksum)
            }
            _ => {
                dst.fill(0);
                0
            }
        }
    }

    fn tx_release(&mut self, offset: u64) {
        if let Some(stream) = &mut self.stream {
            stream.tx_released = offset;
        }
    }

    fn rx_limit(&self) -> u64 {
        self.stream.as_ref().map_or(0, |s| s.rx_seen + self.size as u64)
    }

    fn rx_consumed(&self) -> u64 {
        self.stream.as_ref().map_or(0, |s| s.rx_seen)
    }

    fn rx_copy_in(&mut self, offset: u64, src: &[u8]) -> Result<(), RingError> {
        self.taker(offset, src.len())?.put(offset, src);
        Ok(())
    }

    fn rx_copy_in_sum(
        &mut self,
        offset: u64,
        src: &[u8],
        checksum: Implementation,
    ) -> Result<u16, RingError> {
        Ok(self.taker(offset, src.len())?.put_sum(offset, src, checksum))
    }

    fn rx_commit(&mut self, offset: u64) {
        if let Some(stream) = &mut self.stream {
            stream.rx_committed = offset;
        }
    }
}
