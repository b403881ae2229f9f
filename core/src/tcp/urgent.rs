//! Urgent data (RFC 9293 §3.8.5, RFC 6093): where it lies in each direction.
//!
//! The bytes themselves stay in the streams. Sending, the urgent pointer is put on the segments in front of and with the urgent
//! byte, one past it, as every stack does (RFC 6093 §2.1). Receiving, the application is told the offset of the latest urgent
//! byte, and the byte where it came before those in front of it; whether it reads it out of line is its own affair.

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::event::{ConnectionEvent, Events};
use super::input::SegmentIn;
use super::seq::{SeqNumber, StreamEnd};
use super::state::State;
use crate::error::CommandError;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// What there is to know once either side has said that something is urgent. Most connections never have one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Urgent {
    /// SND.UP: one past the last urgent byte of the TX stream. Once it is acknowledged nothing is urgent.
    snd_up: u64,
    /// The closed window was probed with the urgent pointer, and the probe that asks for an answer is next.
    announced: bool,
    /// RCV.UP: the offset of the peer's latest urgent byte in the RX stream.
    rcv_up: StreamEnd,
    /// That byte, if it was seen since its pointer came.
    byte: Option<u8>,
}

impl Urgent {
    pub(in crate::tcp) const fn new() -> Self {
        Self { snd_up: 0, announced: false, rcv_up: StreamEnd::UNKNOWN, byte: None }
    }

    /// Getter: the peer has said that something is urgent.
    #[cfg(any(test, feature = "testing"))]
    pub(in crate::tcp) fn is_told(&self) -> bool {
        self.rcv_up.is_known()
    }

    pub(in crate::tcp) fn is_valid(&self) -> bool {
        self.snd_up < 1 << 62 && self.rcv_up.known().is_none_or(|offset| offset < 1 << 62)
    }
}

/// The pointer of a segment from which the urgent byte is farther away than its field can say.
const FARTHER: u16 = u16::MAX;

impl Connection {
    /// Command: the byte before `offset` of the TX stream, and with it what is in front of it, is urgent (MSG_OOB). Of several
    /// the last counts (RFC 9293 §3.8.5). Ask `poll_transmit` afterwards: small urgent segments do not wait.
    ///
    /// # Errors
    /// [`CommandError::InvalidArgument`] for a byte that was not written, [`CommandError::WrongState`] where nothing can be
    /// sent any more.
    pub fn mark_urgent(&mut self, offset: u64, io: &impl StreamIo) -> Result<(), CommandError> {
        let queues = matches!(self.state, State::SynSent | State::SynReceived);
        if !self.state.may_send() && !queues {
            return Err(CommandError::WrongState);
        }
        if offset == 0 || offset > self.snd.end(io) {
            return Err(CommandError::InvalidArgument);
        }
        let urgent = self.seldom.attach_urgent();
        urgent.snd_up = urgent.snd_up.max(offset);
        urgent.announced = false;
        Ok(())
    }

    /// Getter: something that was sent, or waits, is urgent.
    #[inline]
    pub(in crate::tcp) fn is_urgent(&self) -> bool {
        self.seldom.urgent().is_some_and(|urgent| urgent.snd_up > self.snd.anchor.offset)
    }

    /// The urgent pointer of a segment that begins at `header.seq`: on whatever goes out before the urgent byte is
    /// acknowledged and begins in front of its end, acknowledgements and probes too, so that the peer learns of it however small
    /// its window is (RFC 9293 §3.8.5).
    #[cold]
    pub(in crate::tcp) fn point_at_urgent(&self, header: &mut TcpHeader) {
        let Some(urgent) = self.seldom.urgent().filter(|_| self.is_urgent()) else { return };
        let anchor = self.snd.anchor;
        let ahead = (urgent.snd_up - anchor.offset).cast_signed()
            - i64::from(header.seq.distance_from(anchor.seq));
        if ahead <= 0 {
            return;
        }
        header.urgent = match u16::try_from(ahead) {
            Ok(pointer) if planted::is(Bug::UrgentPointsAtTheByte) => pointer - 1,
            Ok(pointer) => pointer,
            // What is sent again from far behind says nothing: segments that the peer has not seen will.
            Err(_) if header.seq + u32::from(FARTHER) <= self.snd.snd_max => return,
            Err(_) => FARTHER,
        };
        header.flags = header.flags.union(TcpFlags::URG);
    }

    /// The sequence number with which the closed window of a peer is probed while something is urgent: one that it takes,
    /// so that it sees the pointer. It answers no such segment: the usual probe follows. `None`: that one is next.
    #[cold]
    pub(in crate::tcp) fn urgent_probe(&mut self) -> Option<SeqNumber> {
        if !self.is_urgent() || self.snd.snd_wnd > 0 {
            return None;
        }
        let urgent = self.seldom.urgent_mut()?;
        urgent.announced = !urgent.announced;
        urgent.announced.then_some(self.snd.snd_una)
    }

    /// RFC 9293 §3.10.7.4, sixth. To be called for a segment with URG, and while an urgent byte is awaited; `seq` is the
    /// sequence number of the first payload byte.
    #[cold]
    pub(in crate::tcp) fn handle_urgent(&mut self, segment: &SegmentIn<'_>, seq: SeqNumber) {
        if !self.state.may_receive() || self.flags.reader.is_gone() {
            return;
        }
        if segment.header.flags.contains(TcpFlags::URG) {
            self.take_urgent_pointer(segment.header);
        }
        self.look_for_urgent_byte(segment, seq);
    }

    /// A pointer counts if it is newer than the one before and its byte has not arrived: it is no replay then (as Linux
    /// has it). However often a peer sends one, there is one.
    fn take_urgent_pointer(&mut self, header: &TcpHeader) {
        // The pointer is one past the urgent byte (RFC 6093 §2.1); zero is taken for one.
        let byte = header.seq + u32::from(header.urgent.saturating_sub(1));
        let Some(offset) = self.rcv.anchor.offset_of(byte) else { return };
        let before = self.seldom.urgent().and_then(|urgent| urgent.rcv_up.known());
        let old = offset < self.rcv.anchor.offset && !planted::is(Bug::OldPointersCount);
        if old || before.is_some_and(|before| offset <= before) {
            return;
        }
        let urgent = self.seldom.attach_urgent();
        (urgent.rcv_up, urgent.byte) = (StreamEnd::at(offset), None);
        if !planted::is(Bug::UrgentUntold) {
            self.events.raise(Events::URGENT);
        }
    }

    /// The urgent byte may come before what is in front of it; its application need not wait for that.
    fn look_for_urgent_byte(&mut self, segment: &SegmentIn<'_>, seq: SeqNumber) {
        let anchor = self.rcv.anchor;
        let Some(urgent) = self.seldom.urgent_mut().filter(|urgent| urgent.byte.is_none()) else {
            return;
        };
        let Some(offset) = urgent.rcv_up.known().filter(|offset| *offset >= anchor.offset) else {
            return;
        };
        let at = anchor.seq_of(offset).distance_from(seq);
        let Ok(mut at) = usize::try_from(at) else { return };
        for slice in segment.payload {
            if let Some(byte) = slice.get(at) {
                urgent.byte = Some(*byte);
                self.events.raise(Events::URGENT);
                return;
            }
            at -= slice.len();
        }
    }

    /// Output: what to tell of urgent data.
    pub(in crate::tcp) fn urgent_event(&mut self) -> Option<ConnectionEvent> {
        if !self.events.take_urgent() {
            return None;
        }
        let urgent = self.seldom.urgent()?;
        Some(ConnectionEvent::Urgent { offset: urgent.rcv_up.known()?, byte: urgent.byte })
    }
}
