//! Segment text and FIN (RFC 9293 §3.10.7.4, seventh and eighth).

use super::super::connection::Connection;
use super::super::disposition::Disposition;
use super::super::event::Events;
use super::super::recovery::Trouble;
use super::super::recv_buffer::{AckDue, Payload, Stored};
use super::super::seq::{SeqNumber, StreamEnd};
use super::super::state::State;
use super::super::transition::Trigger;
use super::SegmentIn;
use super::handshake::reset_for;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::Instant;
use crate::wire::tcp::TcpFlags;

impl Connection {
    /// `seq` is the sequence number of the first payload byte.
    pub(super) fn handle_text(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        seq: SeqNumber,
        io: &mut impl StreamIo,
    ) -> Disposition {
        let fin = segment.header.flags.contains(TcpFlags::FIN);
        if segment.payload_len == 0 && !fin {
            return Disposition::Accept;
        }
        let deaf = planted::is(Bug::DeafAfterShutdown) && self.snd.is_shut();
        if !self.state.may_receive() || deaf {
            return self.text_after_fin(now, fin, segment.payload_len);
        }
        // A FIN beyond what is here says that there is some.
        let more = segment.payload_len > 0 || seq > self.rcv.rcv_nxt;
        if more && self.resets_late_data() && !planted::is(Bug::LateDataTaken) {
            reach!(LateData);
            let reset = reset_for(segment.header);
            self.advance(now, Trigger::Abort);
            self.end(EndReason::Aborted);
            return Disposition::SendRst(reset);
        }
        if fin && self.rcv.end_at(seq, seq + segment.payload_len) {
            self.events.raise(Events::MEMORY);
        }
        if fin && segment.payload_len > 0 {
            self.expect_answer_to_end(seq);
        }
        let disposition = self.store_text(now, segment, seq, io);
        if fin {
            // Where the stream ends, whether or not all before it has arrived. Of those that come before their turn the first
            // counts; one below bytes that were received contradicts them, and the bytes were first.
            let end = self.rcv.anchor.offset_of(seq + segment.payload_len);
            let end = end.filter(|end| *end >= self.rcv.stored_end());
            let gap = planted::is(Bug::ForgottenFin) && end != Some(self.rcv.anchor.offset);
            let known = self.rcv.fin_offset.is_known();
            if let Some(end) = end.filter(|_| !known && !gap) {
                self.rcv.fin_offset = StreamEnd::at(end);
            }
            if planted::is(Bug::FinBeforeItsTurn) {
                self.events.raise(Events::PEER_CLOSED);
            }
            let in_turn = self.rcv.fin_offset.known() == Some(self.rcv.anchor.offset);
            let lone = segment.payload_len == 0 && !in_turn && end.is_some();
            if end.is_some() && !in_turn {
                reach!(FinBeyondGap);
            }
            if lone && end == self.rcv.fin_offset.known() {
                self.note_lone_fin(known);
            }
            if self.rcv.ack_due != AckDue::Now && !in_turn {
                self.rcv.acknowledge_out_of_order();
            }
        }
        self.take_fin(now);
        self.delay_ack(now);
        disposition
    }

    /// After the peer's FIN nothing more can come; the same FIN can. In TIME-WAIT text is answered, whatever it is, so that a peer that
    /// is not done learns that we are (as on Linux).
    fn text_after_fin(&mut self, now: Instant, fin: bool, payload_len: u32) -> Disposition {
        if self.state == State::TimeWait && fin {
            self.restart_time_wait(now);
        }
        let late = self.state == State::TimeWait && payload_len > 0;
        if fin || (late && !planted::is(Bug::LateDataInSilence)) {
            self.rcv.ack_due = AckDue::Now;
            return Disposition::SendAck;
        }
        Disposition::Ignore
    }

    fn store_text(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        seq: SeqNumber,
        io: &mut impl StreamIo,
    ) -> Disposition {
        // Cut off what was received before, what lies beyond the window, and what follows a FIN.
        let before = u32::try_from(self.rcv.rcv_nxt.distance_from(seq)).unwrap_or(0);
        let skip = before.min(segment.payload_len);
        let first = seq + skip;
        if skip > 0 {
            reach!(OldBytes);
            self.rcv.note_duplicate(seq, first);
            self.rcv.acknowledge_out_of_order();
        }
        let room = u32::try_from(self.rcv.rcv_adv.distance_from(first)).unwrap_or(0);
        let room = if planted::is(Bug::PastTheWindow) { u32::MAX } else { room };
        let mut len = (segment.payload_len - skip).min(room);
        let Some(start) = self.rcv.anchor.offset_of(first) else { return Disposition::Ignore };
        if let Some(end) = self.rcv.fin_offset.known().filter(|_| !planted::is(Bug::TextAfterFin)) {
            len = len.min(u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX));
        }
        if len == 0 {
            return self.nothing_to_store(segment.payload_len, skip, seq);
        }
        if self.rcv.choked && start + u64::from(len) > self.receive_floor_end(io) {
            // The next look may find room. The peer has to know that somebody is there all the same.
            self.note_receive_memory(now, io);
            self.rcv.ack_due = AckDue::Now;
            return Disposition::SendAck;
        }
        let beyond = start > self.rcv.anchor.offset;
        let payload = Payload { slices: segment.payload, skip, len };
        let stored = self.rcv.store(start, payload, io);
        let once = planted::is(Bug::LateTwiceCountsOnce) && stored == Stored::Duplicate;
        if beyond && stored != Stored::Refused && !once {
            self.count_out_of_order();
        }
        match stored {
            Stored::InOrder { filled } => {
                self.events.raise(Events::READABLE);
                self.rcv.note_in_order(len, || segment.gso_size, || self.options.mss());
                self.rcv.acknowledge_in_order();
                self.data_arrived(now, 1);
                if filled && !planted::is(Bug::GapFillWaits) {
                    self.rcv.ack_due = AckDue::Now;
                }
                self.tune_receive(now, segment.header.options.timestamps, len, io);
                Disposition::Accept
            }
            Stored::OutOfOrder => {
                self.rcv.acknowledge_out_of_order();
                self.note_receive_memory(now, io);
                Disposition::Accept
            }
            Stored::Duplicate => {
                self.rcv.acknowledge_out_of_order();
                Disposition::SendAck
            }
            // There is no room for another gap. It tells of one all the same (RFC 5681 §4.2).
            Stored::Refused if beyond => {
                self.rcv.acknowledge_out_of_order();
                Disposition::SendAck
            }
            // Not acknowledged, so it comes again. No acknowledgement is due either: one for each
            // dropped segment would look like duplicates to the peer, and like a loss in the network.
            Stored::Refused => Disposition::Ignore,
        }
    }

    /// Linux: an application that has got something will most likely answer (pingpong mode): its FIN, if nothing else, carries the
    /// acknowledgement. More than one segment does not wait.
    fn acknowledge_fin(&mut self) {
        let answers = self.state == State::Established && self.rcv.rcv_mss > 0;
        let waits =
            answers && self.rcv.ack_due != AckDue::Now && !self.rcv.has_more_than_a_segment();
        let late = self.config.fin_ack_delayed && waits;
        let late = late || planted::is(Bug::FinAckedLate);
        self.rcv.ack_due = if late { AckDue::Delayed } else { AckDue::Now };
    }

    /// A FIN came before what it follows, alone; `again`: it was here.
    #[cold]
    fn note_lone_fin(&mut self, again: bool) {
        let Some(end) = self.rcv.fin_offset.known() else { return };
        self.rcv.note_lone_fin(end);
        if again {
            let seq = self.rcv.anchor.seq_of(end);
            self.rcv.note_duplicate(seq, seq + 1);
        }
        self.count_out_of_order();
    }

    /// Something came beyond a gap, for the first time or again.
    #[cold]
    fn count_out_of_order(&mut self) {
        let trouble = Trouble::of(&mut self.recovery.trouble);
        trouble.out_of_order = trouble.out_of_order.wrapping_add(1);
    }

    /// Linux: the FIN that comes with the last data counts before the acknowledgement of that data does (tcp_fin).
    fn expect_answer_to_end(&mut self, seq: SeqNumber) {
        let in_order = seq <= self.rcv.rcv_nxt && !self.rcv.has_gap();
        if self.config.fin_ack_delayed && in_order && self.state == State::Established {
            self.rcv.pace.interactive = true;
        }
    }

    /// A FIN alone; or `payload_len` bytes from `seq` on, of which the first `skip` were received before and the others have no place.
    fn nothing_to_store(&mut self, payload_len: u32, skip: u32, seq: SeqNumber) -> Disposition {
        if payload_len == 0 {
            return Disposition::Accept;
        }
        self.rcv.ack_due = AckDue::Now;
        if payload_len > skip {
            reach!(BeyondTheEdge);
            self.told_nothing_new(seq + payload_len);
        }
        Disposition::SendAck
    }

    /// The peer's FIN, once everything before it is here.
    pub(in crate::tcp) fn take_fin(&mut self, now: Instant) {
        if self.rcv.fin_offset.known() != Some(self.rcv.anchor.offset)
            || self.rcv.rcv_nxt != self.rcv.anchor.seq
        {
            return;
        }
        self.rcv.rcv_nxt += 1;
        // A duplicate that came with it is of no use any more: nothing follows that could be sent again in vain.
        self.rcv.forget_duplicate();
        self.rcv.rcv_adv = self.rcv.rcv_adv.max(self.rcv.rcv_nxt);
        self.acknowledge_fin();
        self.events.raise(Events::PEER_CLOSED);
        self.advance(now, Trigger::RecvFin);
    }
}
