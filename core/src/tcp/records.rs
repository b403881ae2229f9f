//! Ends of records (MSG_EOR): no segment carries bytes from both sides of one, so that the receiver's offload and the sender's
//! retransmissions keep what belongs together in one piece. A wish, not a promise: of many that wait some are forgotten.

use super::connection::Connection;
use super::recovery::Flight;
use crate::error::CommandError;
use crate::port::StreamIo;

/// Most ends that are remembered.
const RECORDS_MAX: usize = 1_024;

impl Connection {
    /// Command: the byte before `offset` of the TX stream ends a record. Ask `poll_transmit` afterwards.
    ///
    /// # Errors
    /// [`CommandError::InvalidArgument`] for a byte that was not written, [`CommandError::WrongState`] where no data can be sent.
    pub fn end_record(&mut self, offset: u64, io: &impl StreamIo) -> Result<(), CommandError> {
        if !self.state.may_send() {
            return Err(CommandError::WrongState);
        }
        if offset > self.snd.end(io) {
            return Err(CommandError::InvalidArgument);
        }
        let sent = self.snd.offset_of(self.snd.snd_max);
        if offset <= sent {
            return Ok(());
        }
        let flight = self.flight_or_new();
        let newer = flight.records.back().is_none_or(|last| *last < offset);
        if newer && flight.records.len() < RECORDS_MAX {
            flight.records.push_back(offset);
        }
        Ok(())
    }
}

impl Flight {
    /// Getter: bytes from `offset` of the stream to the end of its record; `u32::MAX` where none is known.
    pub(in crate::tcp) fn record_left(&mut self, offset: u64) -> u32 {
        while self.records.front().is_some_and(|end| *end <= offset) {
            self.records.pop_front();
        }
        let left = self.records.front().map(|end| *end - offset);
        left.and_then(|left| u32::try_from(left).ok()).unwrap_or(u32::MAX)
    }

    /// Getter: the end of a record lies behind `offset` of the stream.
    pub(in crate::tcp) fn has_records_behind(&self, offset: u64) -> bool {
        self.records.back().is_some_and(|end| *end > offset)
    }

    /// Getter: whether what was read back ascends and is no more than may be remembered.
    pub(in crate::tcp) fn has_valid_records(&self) -> bool {
        self.records.len() <= RECORDS_MAX
            && self.records.iter().is_sorted()
            && self.records.back().is_none_or(|end| *end < 1 << 62)
    }
}
