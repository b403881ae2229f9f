//! SEGMENT ARRIVES (RFC 9293 §3.10.7), but for LISTEN and CLOSED.

mod ack;
mod handshake;
mod predicted;
mod text;

pub use predicted::{PlainHeader, SegmentRun};

use super::connection::{Connection, clock_ms, clock_s};
use super::disposition::Disposition;
use super::ecn::Ecn;
use super::listener::{closed, segment_len};
use super::recv_buffer::AckDue;
use super::state::State;
use super::transition::Trigger;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::Instant;
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// One received segment, checksum verified.
#[derive(Clone, Copy, Debug)]
pub struct SegmentIn<'a> {
    /// Its header.
    pub header: &'a TcpHeader,
    /// Its payload, in the slices of the frame's memory that it lies in.
    pub payload: &'a [&'a [u8]],
    /// Bytes in `payload` together.
    pub payload_len: u32,
    /// Payload bytes of each of the segments that the NIC joined to this one (LRO), but for the last, which may have fewer; 0 where it
    /// came as one.
    pub gso_size: u16,
    /// The ECN field of the IP header.
    pub ecn: Ecn,
}

/// Stale timestamps are believed again after 24 days (RFC 7323 §5.5), in seconds.
const PAWS_EXPIRE_S: u32 = 24 * 24 * 3_600;
/// Out-of-window and challenge acknowledgements of a connection: so many in [`CHALLENGE_MS`] (RFC 5961 §7; Linux's
/// tcp_invalid_ratelimit).
const CHALLENGES: u8 = 1;
const CHALLENGE_MS: u32 = 500;

impl Connection {
    /// Input: a segment of this connection. Then `poll_transmit` and `poll_event` until they give `None`.
    ///
    /// A passive open gets its rings when `Established` is told; the payload of that very segment was
    /// refused by the rings that were not there. Handing the same segment in again delivers it.
    pub fn handle_segment(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        if planted::is(Bug::WaitsForPush) && segment.header.flags.0 == TcpFlags::ACK.0 {
            return Disposition::Ignore;
        }
        if let Some(disposition) = self.predicted(now, segment, io) {
            return disposition;
        }
        self.counters.count_received(1, u32::from(segment.payload_len > 0));
        match self.state {
            State::Closed => match closed(segment.header, segment.payload_len) {
                Some(rst) => Disposition::SendRst(rst),
                None => Disposition::Ignore,
            },
            State::SynSent => self.handle_in_syn_sent(now, segment, io),
            State::TimeWait if self.may_reopen(segment) => {
                reach!(Reopened);
                Disposition::Reopen
            }
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => self.handle_synchronized(now, segment, io),
        }
    }

    /// RFC 9293 §3.10.7.4, in its order.
    pub(in crate::tcp) fn handle_synchronized(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        let header = segment.header;
        let flags = header.flags;
        if let Some(disposition) = self.syn_in_syn_received(now, header) {
            return disposition;
        }
        let reset = flags.contains(TcpFlags::RST);
        let judged = !reset || planted::is(Bug::PawsForRst);
        if judged && self.is_stale(now, header) {
            reach!(PawsDrop);
            return self.acknowledge_unacceptable(now, segment);
        }
        // A SYN that answers ours counts for nothing any more: the rest of the segment begins after it.
        let simultaneous = self.is_answer_to_our_syn(header);
        let seq = if simultaneous { header.seq + 1 } else { header.seq };
        if !simultaneous && !self.is_acceptable(segment) {
            if reset && !planted::is(Bug::AcknowledgesAnyRst) {
                return Disposition::Ignore;
            }
            return self.acknowledge_unacceptable(now, segment);
        }
        if reset {
            return self.handle_reset(now, header);
        }
        if flags.contains(TcpFlags::SYN) && !simultaneous {
            if planted::is(Bug::SilentOnSyn) {
                return Disposition::Ignore;
            }
            if self.is_half_open() && !planted::is(Bug::OtherSynChallenged) {
                return self.refuse_other_syn(segment);
            }
            // RFC 5961 §4.2, whatever the sequence number.
            return self.challenge(now);
        }
        if !flags.contains(TcpFlags::ACK) && !planted::is(Bug::NoAckNeeded) {
            return Disposition::Ignore;
        }
        if let Err(disposition) = self.handle_ack(now, segment, io) {
            return disposition;
        }
        self.counters.last_rx = now;
        self.release_more();
        self.update_ts_recent(now, header);
        if flags.contains(TcpFlags::URG) || self.seldom.urgent().is_some() {
            self.handle_urgent(segment, seq);
        }
        let disposition = self.handle_text(now, segment, seq, io);
        self.receive_ecn(segment);
        disposition
    }

    /// RFC 9293 §3.10.7.4, first: the four cases of SEG.LEN and RCV.WND. An empty segment at the right edge is acceptable as well,
    /// which table 6 grants to a closed window only: it is where a peer that has filled the window acknowledges from. If its
    /// data was lost, and ours in the other direction too, neither would ever hear the other (Linux takes it likewise).
    fn is_acceptable(&self, segment: &SegmentIn<'_>) -> bool {
        let len = segment_len(segment.header.flags, segment.payload_len);
        let first = segment.header.seq.distance_from(self.rcv.rcv_nxt);
        let wnd = self.rcv.rcv_wnd().cast_signed();
        let in_window = |distance: i32| 0 <= distance && distance < wnd;
        match (len, wnd) {
            (0, 0) if planted::is(Bug::EmptyAtAClosedWindow) => true,
            (0, 0) => first == 0 && !planted::is(Bug::DeafWithZeroWindow),
            (0, _) if planted::is(Bug::DeafAtTheRightEdge) => in_window(first),
            (0, _) => (0 <= first && first <= wnd) || planted::is(Bug::EmptyAnywhere),
            // "special allowance should be made to accept valid ACKs, URGs, and RSTs": the bytes
            // themselves are beyond the window and will be cut off.
            (_, 0) => first == 0,
            (_, _) => {
                let last = first.wrapping_add_unsigned(len - 1);
                let ends = in_window(last) || (first < 0 && last >= wnd);
                in_window(first) || (ends && !planted::is(Bug::OnlyWhatBeginsInside))
            }
        }
    }

    /// RFC 5961 §3.2 and RFC 9293 §3.10.7.4, second.
    fn handle_reset(&mut self, now: Instant, header: &TcpHeader) -> Disposition {
        if self.state == State::TimeWait && !planted::is(Bug::TimeWaitAssassinated) {
            // RFC 1337: old duplicates would open the port to old data.
            return Disposition::Ignore;
        }
        let told = self.options.sack && self.rcv.is_sacked_edge(header.seq);
        let expected = header.seq == self.rcv.rcv_nxt || told;
        if !expected && !planted::is(Bug::RstAnywhere) {
            reach!(RstInWindow);
            if planted::is(Bug::RstInSilence) {
                return Disposition::Ignore;
            }
            return self.challenge(now);
        }
        if planted::is(Bug::DeafInSynReceived) && self.is_half_open() {
            return Disposition::Ignore;
        }
        let reason = match self.state {
            State::SynReceived if self.flags.active => EndReason::Refused,
            State::Closing | State::LastAck => match planted::is(Bug::LateResetIsAnError) {
                true => EndReason::Reset,
                false => EndReason::Closed,
            },
            State::Closed
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::TimeWait => EndReason::Reset,
        };
        self.advance(now, Trigger::RecvRst);
        let reason = if planted::is(Bug::ResetIsTheEnd) { EndReason::Closed } else { reason };
        self.end(reason);
        Disposition::Accept
    }

    /// PAWS (RFC 7323 §5.3 R1), and the policy for segments without the timestamps that were agreed on (§3.2).
    fn is_stale(&self, now: Instant, header: &TcpHeader) -> bool {
        if !self.options.timestamps || planted::is(Bug::NoPaws) {
            return false;
        }
        let Some(timestamps) = header.options.timestamps else {
            return self.config.timestamps_required || planted::is(Bug::TimestampsDemanded);
        };
        // Some say 0 in a SYN and the truth from then on: it is no time to compare with (tcp_paws_check).
        let known = self.rcv.ts_recent != 0 || planted::is(Bug::ZeroIsATime);
        let age = timestamps.value.wrapping_sub(self.rcv.ts_recent).cast_signed();
        let recent = clock_s(now).wrapping_sub(self.rcv.ts_recent_s) < PAWS_EXPIRE_S;
        known && age < 0 && (recent || planted::is(Bug::PawsForEver))
    }

    /// RFC 7323 §4.3 (2): only by a segment that the last acknowledgement asked for.
    fn update_ts_recent(&mut self, now: Instant, header: &TcpHeader) {
        if let Some(timestamps) = header.options.timestamps.filter(|_| self.options.timestamps)
            && (header.seq <= self.rcv.last_ack_sent || planted::is(Bug::EchoOfTheLatest))
        {
            self.rcv.ts_recent = timestamps.value;
            self.rcv.ts_recent_s = clock_s(now);
        }
    }

    /// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply."
    fn acknowledge_unacceptable(&mut self, now: Instant, segment: &SegmentIn<'_>) -> Disposition {
        reach!(Unacceptable);
        if self.state == State::TimeWait && segment.header.flags.contains(TcpFlags::FIN) {
            reach!(TimeWaitAgain);
            // RFC 9293 §3.10.7.4: the peer's FIN again: acknowledge it and wait 2 MSL more.
            self.restart_time_wait(now);
        }
        let flags = segment.header.flags;
        if flags.contains(TcpFlags::SYN) && self.state != State::TimeWait {
            // RFC 5961 §4.2, whatever it carries.
            return self.challenge(now);
        }
        let bare = segment.payload_len == 0 && !flags.contains(TcpFlags::FIN);
        if (bare && !self.may_challenge(now)) || planted::is(Bug::SilentOnUnacceptable) {
            // Two ends that disagree must not answer each other for ever.
            return Disposition::Ignore;
        }
        let len = segment_len(flags, segment.payload_len);
        let told = if planted::is(Bug::FinAgainUntold) { segment.payload_len } else { len };
        let end = (segment.header.seq + told).min(self.rcv.rcv_nxt);
        if segment.header.seq < end && self.state != State::TimeWait {
            // RFC 2883 §4: tell what came again, a FIN as well. In TIME-WAIT nothing follows that could be sent again in vain.
            self.rcv.note_duplicate(segment.header.seq, end);
        }
        self.rcv.ack_due = AckDue::Now;
        // What came again, or data right behind the window's edge: a probe.
        let edge = self.rcv.rcv_nxt + self.rcv.rcv_wnd();
        if len > 0 && (segment.header.seq < self.rcv.rcv_nxt || segment.header.seq == edge) {
            self.told_nothing_new(segment.header.seq + len);
        }
        Disposition::SendAck
    }

    /// A challenge ACK (RFC 5961), if the limit allows.
    fn challenge(&mut self, now: Instant) -> Disposition {
        if !self.may_challenge(now) {
            reach!(ChallengeLimit);
            return Disposition::Ignore;
        }
        reach!(Challenge);
        self.rcv.ack_due = AckDue::Now;
        Disposition::ChallengeAck
    }

    /// Command: the challenge that [`Disposition::ChallengeAck`] spoke of is not to be sent: all connections together have
    /// sent enough of them in this second.
    pub fn withhold_challenge(&mut self) {
        // Where something else is unacknowledged an acknowledgement is due all the same.
        if self.rcv.duplicate_acks == 0 && self.rcv.rcv_nxt == self.rcv.last_ack_sent {
            self.rcv.ack_due = AckDue::No;
        }
    }

    fn may_challenge(&mut self, now: Instant) -> bool {
        let ms = clock_ms(now);
        if ms.wrapping_sub(self.counters.challenge_ms) >= CHALLENGE_MS {
            self.counters.challenge_ms = ms;
            self.counters.challenges = 0;
        }
        self.counters.challenges = self.counters.challenges.saturating_add(1);
        self.counters.challenges <= CHALLENGES || planted::is(Bug::EndlessChallenges)
    }
}
