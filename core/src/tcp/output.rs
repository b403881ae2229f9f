//! What to send next (RFC 9293 §3.8.6.2.1, RFC 5681): `poll_transmit`.

use super::connection::Connection;
use super::ecn::Ecn;
use super::more::More;
use super::recovery::{Flight, Marks, Phase, Resend};
use super::recv_buffer::AckDue;
use super::seq::SeqNumber;
use super::state::State;
use super::timer::TimerReason;
use alloc::boxed::Box;

use crate::event::RetransmitCause;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::Instant;
use crate::wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};

/// What the way out can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxLimits {
    /// TCP header options and payload that fit into one packet beside a bare TCP header: the MTU less
    /// 40 bytes with IPv4, less 60 with IPv6.
    pub mss_ip: u16,
    /// The same for the link alone, whatever the path lets through: what our SYN announces, as it is of what we can receive
    /// (RFC 9293 §3.7.1).
    pub mss_link: u16,
    /// Most payload bytes of a super-segment that the NIC will cut; 0 where it cuts none.
    pub gso_bytes_max: u32,
}

/// A segment to be sent. The payload is the TX stream's `payload_offset .. payload_offset + payload_len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOut {
    /// The header; its ports are zero, the stack fills them.
    pub header: TcpHeader,
    /// Where the payload begins in the TX stream.
    pub payload_offset: u64,
    /// Payload bytes.
    pub payload_len: u32,
    /// Payload bytes of each segment that the NIC shall cut it into; 0 for an ordinary segment.
    pub gso_size: u16,
    /// The ECN field of the IP header (RFC 3168 §5): the two lowest bits of its type of service or traffic class.
    pub ecn: Ecn,
}

impl SegmentOut {
    /// Getter: the segment at `index` of those that this one, which has a `gso_size` and is a multiple of it, is to be cut into.
    pub fn cut(&self, index: u32) -> Self {
        let size = u32::from(self.gso_size);
        let start = index * size;
        let mut segment = Self { payload_len: size, gso_size: 0, ..*self };
        segment.header.seq = self.header.seq + start;
        segment.payload_offset += u64::from(start);
        if start + size < self.payload_len {
            segment.header.flags.0 &= !TcpFlags::PSH.0;
        }
        segment
    }

    /// A segment without payload.
    pub(in crate::tcp) const fn bare(header: TcpHeader, ecn: Ecn) -> Self {
        Self { header, payload_offset: 0, payload_len: 0, gso_size: 0, ecn }
    }
}

/// An acknowledgement without payload, and without options but timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BareAck {
    /// The next sequence number.
    pub seq: SeqNumber,
    /// What it acknowledges.
    pub ack: SeqNumber,
    /// ACK, and ECE where congestion is echoed.
    pub flags: TcpFlags,
    /// The window field.
    pub window: u16,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// The ECN field of the IP header.
    pub ecn: Ecn,
}

impl From<BareAck> for SegmentOut {
    fn from(bare: BareAck) -> Self {
        let BareAck { seq, ack, flags, window, timestamps, ecn } = bare;
        let options = TcpOptions { timestamps, ..TcpOptions::default() };
        Self::bare(TcpHeader { seq, ack, flags, window, options, ..TcpHeader::default() }, ecn)
    }
}

/// What the windows let through.
#[derive(Clone, Copy)]
pub(in crate::tcp) struct Sendable {
    pub(in crate::tcp) len: u32,
    pub(in crate::tcp) fin: bool,
    /// Nothing more may leave after this: the last segment of a burst.
    pub(in crate::tcp) last: bool,
    /// It is pushed: the end of a record (MSG_EOR).
    pub(in crate::tcp) push: bool,
}

impl Connection {
    /// Output: the next segment, until `None`. Allocate the frame first: what is returned counts as sent.
    #[inline(always)]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Option<SegmentOut> {
        self.options.mss_ip = match self.seldom.mtu_search() {
            None => limits.mss_ip,
            Some(_) => self.searched_mss_ip(limits.mss_ip),
        };
        let segment = self.next_segment(now, limits, io)?;
        // Linux's SYN,ACKs are a request's, not the connection's.
        if !(self.is_half_open() && segment.header.flags.contains(TcpFlags::SYN)) {
            self.counters.count_sent(&segment);
        }
        Some(segment)
    }

    #[inline]
    fn next_segment(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Option<SegmentOut> {
        if self.flags.rst_due {
            return Some(self.emit_reset(now));
        }
        match self.state {
            State::Closed => None,
            State::SynReceived if self.snd.snd_nxt != self.snd.iss && self.is_fast_child() => {
                let data = self.transmit_data(now, limits, io);
                data.or_else(|| self.transmit_ack(now, io))
            }
            State::SynSent | State::SynReceived => self.transmit_syn(now, limits, io),
            State::CloseWait if planted::is(Bug::MuteInCloseWait) => self.transmit_ack(now, io),
            State::Established
            | State::FinWait1
            | State::CloseWait
            | State::Closing
            | State::LastAck => {
                if let Some(segment) = self.transmit_data(now, limits, io) {
                    return Some(segment);
                }
                self.transmit_probe(now, io).or_else(|| self.transmit_ack(now, io))
            }
            State::FinWait2 if planted::is(Bug::MuteInFinWait2) => None,
            State::FinWait2 | State::TimeWait => {
                self.transmit_probe(now, io).or_else(|| self.transmit_ack(now, io))
            }
        }
    }

    /// Getter: `poll_transmit` would give `None` and change nothing. It may still give `None` where this says false.
    #[inline]
    pub fn is_quiet(&self, io: &impl StreamIo) -> bool {
        self.rcv.ack_due != AckDue::Now && self.owes_at_most_an_ack(io)
    }

    /// Getter: a bare acknowledgement is due, without options but timestamps, and nothing else: `transmit_bare_ack` gives it.
    #[inline]
    pub fn owes_bare_ack(&self, io: &impl StreamIo) -> bool {
        self.rcv.ack_due == AckDue::Now
            && self.rcv.assembler.is_none()
            && self.rcv.duplicate_acks <= 1
            && self.seldom.urgent().is_none()
            && self.owes_at_most_an_ack(io)
    }

    /// Output: the acknowledgement of which [`Connection::owes_bare_ack`] says that it is due.
    #[inline]
    pub fn transmit_bare_ack(&mut self, now: Instant, io: &impl StreamIo) -> BareAck {
        let window = self.rcv.advertise(self.options.rcv_wscale, io);
        self.acknowledge_all();
        self.rcv.duplicate_acks = 0;
        self.acknowledged();
        self.counters.segs_out = self.counters.segs_out.wrapping_add(1);
        let agreed = self.ecn.is_agreed();
        BareAck {
            seq: self.snd.snd_max,
            ack: self.rcv.rcv_nxt,
            flags: if agreed { TcpFlags::ACK.union(self.ecn.echo()) } else { TcpFlags::ACK },
            window,
            timestamps: self.options.timestamps.then(|| self.timestamps(now)),
            ecn: if agreed { self.ecn.field() } else { Ecn::NotEct },
        }
    }

    /// Getter: in ESTABLISHED, with nothing to send but perhaps an acknowledgement.
    #[inline(always)]
    fn owes_at_most_an_ack(&self, io: &impl StreamIo) -> bool {
        self.state == State::Established
            && self.recovery.phase == Phase::Open
            && !self.recovery.flight.as_deref().is_some_and(|flight| flight.tlp.due)
            && !(self.flags.rst_due
                || self.flags.probe_due
                || self.snd.is_shut()
                || self.snd.cwnd_limited)
            && io.tx_end() <= self.snd.anchor.offset + u64::from(self.snd.outstanding())
    }

    /// Getter: bytes that the application has written and the peer has not acknowledged.
    pub fn unacknowledged(&self, io: &impl StreamIo) -> u64 {
        self.snd.end(io).saturating_sub(self.snd.anchor.offset)
    }

    #[inline(never)]
    fn transmit_syn(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Option<SegmentOut> {
        if self.waits_for_syn_data(io) {
            return None;
        }
        if self.snd.snd_nxt != self.snd.iss {
            return if self.state == State::SynReceived {
                self.transmit_ack(now, io)
            } else {
                None
            };
        }
        let again = self.snd.snd_max != self.snd.iss;
        let beyond = again && planted::is(Bug::SynAgainBeyond) && self.state == State::SynSent;
        let seq = self.snd.iss + u32::from(beyond);
        let mut header = TcpHeader { seq, flags: TcpFlags::SYN, ..TcpHeader::default() };
        if self.state == State::SynReceived {
            header.flags = TcpFlags::SYN.union(TcpFlags::ACK);
            header.ack = self.rcv.rcv_nxt;
            // With Fast Open more than the SYN: what came with it is acknowledged here.
            self.rcv.last_ack_sent = self.rcv.rcv_nxt;
            self.acknowledged();
        }
        let ecn = if self.state == State::SynReceived {
            self.ecn_of_syn_ack()
        } else {
            self.ecn_of_syn(again)
        };
        header.flags = header.flags.union(ecn);
        // One that replaces a SYN with data, which may have been too big, says what the path is known to carry.
        let mss = match again && self.syn_data_len() > 0 {
            true => limits.mss_link.min(limits.mss_ip),
            false => limits.mss_link,
        };
        header.options = self.options.syn_options(&self.config, mss, self.timestamps(now));
        let (cookie, len) = self.fast_open_syn(again, limits.mss_ip, io);
        header.options.fast_open = cookie;
        let scale = header.options.window_scale.unwrap_or(0);
        header.window = self.rcv.advertise_on_syn(self.config.rcv_wnd_initial, scale, io);
        self.snd.snd_nxt = self.snd.iss + 1;
        self.snd.snd_max = self.snd.snd_max.max(self.snd.snd_nxt + len);
        self.counters.bytes_sent += u64::from(len);
        // Its round trip is told from here, if it is sent but once (RFC 6298 §3).
        self.counters.last_tx = now;
        self.counters.syn_timed = !again;
        if again {
            self.counters.retransmits = self.counters.retransmits.saturating_add(1);
            self.events.retransmitted(self.snd.iss, 0, RetransmitCause::Timeout);
        }
        if !self.timers.is_set(TimerReason::Retransmit) {
            self.timers.set(TimerReason::Retransmit, now + self.rto());
        }
        self.begin_fast_child();
        Some(SegmentOut { payload_len: len, ..SegmentOut::bare(header, Ecn::NotEct) })
    }

    #[inline(always)]
    fn transmit_data(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Option<SegmentOut> {
        if self.is_held_by_pacing(now) {
            return None;
        }
        match self.transmit_recovery(now, limits, io) {
            Resend::Segment(segment) => return Some(segment),
            Resend::Wait => return None,
            Resend::Nothing => {}
        }
        if self.seldom.mtu_search().is_some() {
            match self.transmit_mtu_probe(now, limits, io) {
                Resend::Segment(segment) => return Some(segment),
                Resend::Wait => return None,
                Resend::Nothing => {}
            }
        }
        let Some(mut sendable) = self.sendable(now, limits, io) else {
            self.end_burst();
            return None;
        };
        let quantum = self.pacing_quantum(self.options.mss());
        if sendable.len > quantum {
            sendable = Sendable::part(quantum);
        }
        // One segment, not several: each has a pointer of its own, or is shorter than others are.
        let mss = self.current_mss();
        let alone = |it: &Self| it.is_cwr_due() || it.is_urgent() || mss < it.options.mss();
        if sendable.len > mss && alone(self) {
            sendable = Sendable::part(mss);
        }
        Some(self.transmit_new(now, sendable, limits, io))
    }

    /// Getter: payload bytes of a full segment that leaves now. SACK blocks are in all segments that acknowledge (RFC 2018 §4), and
    /// what options take is not there for data (RFC 6691 §3; tcp_current_mss).
    #[inline]
    pub(in crate::tcp) fn current_mss(&self) -> u32 {
        let mss = self.options.mss();
        match self.rcv.assembler.is_some() && !planted::is(Bug::NoRoomForSack) {
            false => mss,
            true => mss.saturating_sub(self.rcv.sack_len(&self.options)).max(1),
        }
    }

    /// Getter: bytes in the network (pipe of RFC 6675).
    pub(in crate::tcp) fn pipe(&self, mss: u32) -> u32 {
        self.recovery.flight.as_deref().map_or(0, |flight| flight.pipe(mss))
    }

    /// How much may leave that never did. `None` for nothing; then the timer that will ask again is set.
    #[inline(never)]
    fn sendable(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Option<Sendable> {
        let mss = self.current_mss();
        let end = self.snd.end(io);
        let in_flight = self.snd.outstanding();
        let offset = self.snd.offset_of(self.snd.snd_max);
        let waiting = u32::try_from(end.saturating_sub(offset)).unwrap_or(u32::MAX);
        // RFC 9293 §3.10.4: in SYN-RECEIVED what was sent before it has to be acknowledged first (Fast Open).
        let early = self.state == State::SynReceived && !planted::is(Bug::FinOfAChildEarly);
        let fin_waits = self.snd.is_shut() && offset <= end && !early;
        if waiting == 0 && !fin_waits {
            self.snd.cwnd_limited = false;
            return None;
        }
        if in_flight == 0 && waiting > 0 {
            self.restart_after_idle(now, self.options.mss());
        }
        if self.recovery.flight.as_deref().is_some_and(|flight| flight.sent.is_full()) {
            return None;
        }
        if planted::is(Bug::ShrunkenWindowPanics) {
            assert!(in_flight <= self.snd.snd_wnd, "subtract with underflow");
        }
        let in_flight = if planted::is(Bug::WindowForEachSegment) { 0 } else { in_flight };
        let wnd = self.snd.snd_wnd.saturating_sub(in_flight);
        let pipe =
            if planted::is(Bug::CwndForEachSegment) { 0 } else { self.pipe(self.options.mss()) };
        let cwnd = self.congestion.cwnd().saturating_sub(pipe);
        // A FIN takes a sequence number of the window, too.
        if wnd == 0 {
            self.snd.cwnd_limited = false;
            self.limited_by_window(now);
            return self.wait_for_window(now);
        }
        let room = wnd.min(cwnd);
        self.snd.cwnd_limited = waiting > cwnd && cwnd <= wnd;
        let flight = self.recovery.flight.as_deref_mut();
        let record = flight.map_or(u32::MAX, |flight| flight.record_left(offset));
        // What lies behind the end of a record goes into segments of its own, and nothing small waits for it.
        let ends = record < waiting;
        let waiting = waiting.min(record);
        if room < waiting {
            return self.part_of(waiting, room, wnd, mss, now, limits);
        }
        let max = segment_max(limits, mss);
        if ends {
            let len = waiting.min(max);
            return Some(Sendable { push: len == waiting, ..Sendable::part(len) });
        }
        let allowed = self.without_small_tail(now, waiting, max, fin_waits);
        let len = allowed.min(max);
        if len == 0 && !(waiting == 0 && fin_waits) {
            return None;
        }
        let fin_fits = len < wnd || planted::is(Bug::FinBeyondTheWindow);
        let fin = fin_waits && len == waiting && fin_fits;
        Some(Sendable { len, fin, last: len == allowed, push: false })
    }

    /// Less than what waits: whole segments only (sender SWS avoidance, RFC 9293 §3.8.6.2.1).
    fn part_of(
        &mut self,
        waiting: u32,
        room: u32,
        wnd: u32,
        mss: u32,
        now: Instant,
        limits: &TxLimits,
    ) -> Option<Sendable> {
        let max = segment_max(limits, mss);
        let mut room = room;
        if room < mss && room < wnd {
            // The congestion window is in the way: an acknowledgement will come, unless nothing is outstanding.
            if self.snd.outstanding() > 0 || planted::is(Bug::WindowBelowASegment) {
                return None;
            }
            self.congestion.hold_a_segment(self.options.mss());
            room = wnd.min(mss);
        }
        if room >= mss {
            let len = if room >= max { max } else { room - room % mss }.min(waiting);
            return Some(Sendable { last: room - len < mss, ..Sendable::part(len) });
        }
        let worth = wnd >= self.snd.snd_wnd_max / 2 || planted::is(Bug::SillySender);
        self.limited_by_window(now);
        if worth {
            return Some(Sendable { last: true, ..Sendable::part(room) });
        }
        if core::mem::take(&mut self.flags.override_due) {
            // Nothing follows before the peer has made room (tcp_write_wakeup of Linux pushes it, too).
            return Some(Sendable { last: true, push: true, ..Sendable::part(room) });
        }
        self.wait_for_window(now)
    }

    /// Nagle's algorithm with Minshall's refinement: a small segment waits while another is under way.
    fn without_small_tail(&mut self, now: Instant, waiting: u32, max: u32, last: bool) -> u32 {
        let mss = self.current_mss();
        if self.is_urgent() {
            return waiting;
        }
        if (self.config.cork || self.snd.more == More::Held) && !last {
            return self.corked(now, waiting, max);
        }
        // `snd_sml` is clamped to `snd_una` as that advances.
        let small_under_way = self.snd.snd_sml > self.snd.snd_una;
        let nodelay = self.config.nodelay && !planted::is(Bug::NodelayIgnored);
        if nodelay || last || !small_under_way || planted::is(Bug::NoNagle) {
            return waiting;
        }
        waiting - waiting % mss
    }

    /// RFC 9293 §3.8.6.1: with nothing outstanding nobody would tell that the window opened.
    #[cold]
    fn wait_for_window(&mut self, now: Instant) -> Option<Sendable> {
        if self.snd.outstanding() == 0 {
            self.start_persist(now);
        }
        None
    }

    /// RFC 5681 §4.1.
    fn restart_after_idle(&mut self, now: Instant, mss: u32) {
        let restarts = self.config.slow_start_after_idle || planted::is(Bug::RestartsAnyway);
        if restarts && now.saturating_since(self.counters.last_tx) > self.rto() {
            self.congestion.on_idle_restart(mss);
        }
    }

    /// The application has no more to send, and the window would let it (delivery rate draft §3.4).
    #[inline]
    fn note_app_limited(&mut self, mss: u32) {
        let cwnd = self.congestion.cwnd();
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            let pipe = flight.pipe(mss);
            if pipe < cwnd && flight.lost.is_empty() {
                flight.rate.app_limited(pipe);
            }
        }
    }

    /// Sends `sendable`, which was never sent before.
    #[inline]
    pub(in crate::tcp) fn transmit_new(
        &mut self,
        now: Instant,
        sendable: Sendable,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> SegmentOut {
        let Sendable { len, fin, .. } = sendable;
        let mss = self.options.mss();
        let seq = self.snd.snd_max;
        let start = self.snd.offset_of(seq);
        let next = seq + len + u32::from(fin);
        self.not_limited(now);
        // In urgent mode each goes alone.
        let last = sendable.last || start + u64::from(len) >= self.snd.end(io) || self.is_urgent();
        let ends = self.ends_burst(len, mss, start, last);
        let full = self.current_mss();
        let mut segment = self.emit_data(now, seq, sendable, limits, io);
        let pushed = segment.header.flags.contains(TcpFlags::PSH);
        if ends && !planted::is(Bug::NoPush) {
            segment.header.flags = segment.header.flags.union(TcpFlags::PSH);
        }
        if len != full && !len.is_multiple_of(full) {
            self.snd.snd_sml = next;
        }
        self.snd.snd_nxt = next;
        self.snd.snd_max = next;
        let flight = self.recovery.flight.get_or_insert_with(|| Box::new(Flight::new(start)));
        flight.push(now, start + u64::from(len) + u64::from(fin), fin);
        if pushed || ends {
            flight.mark_last(if pushed { Marks::PUSHED } else { Marks::BURST });
        }
        if flight.records.front() == Some(&(start + u64::from(len))) {
            flight.mark_last(Marks::RECORD);
        }
        if self.recovery.phase == Phase::Fast || flight.prr.is_of_echo() {
            flight.prr.sent(len);
        }
        // RFC 6298 §5.1.
        if !self.timers.is_set(TimerReason::Retransmit) && !planted::is(Bug::TimerNeverStarts) {
            self.timers.set(TimerReason::Retransmit, now + self.rto());
        }
        self.schedule_probe(now);
        if start + u64::from(len) >= self.snd.end(io) {
            self.note_app_limited(mss);
            self.all_has_left(now, io);
        }
        segment
    }

    /// Sends `sendable` again, or for the first time: the segment, and what it acknowledges.
    #[inline(always)]
    pub(in crate::tcp) fn emit_data(
        &mut self,
        now: Instant,
        seq: SeqNumber,
        sendable: Sendable,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> SegmentOut {
        let Sendable { len, fin, push, .. } = sendable;
        let payload_offset = self.snd.offset_of(seq);
        let end = payload_offset + u64::from(len);
        let mut header = self.header(now, seq, io);
        let push = push || (end >= self.snd.end(io) && !self.snd.more.is_on());
        if len > 0 && push && !planted::is(Bug::NoPush) {
            header.flags = header.flags.union(TcpFlags::PSH);
        }
        if fin {
            header.flags = header.flags.union(TcpFlags::FIN);
        }
        let mss = self.options.mss();
        if self.rcv.assembler.is_some() && !planted::is(Bug::NoSackOnData) {
            header.options.sack = self.rcv.sack_blocks(&self.options, mss.saturating_sub(len));
        }
        let next = seq + len + u32::from(fin);
        let (flags, ecn) = self.ecn_of_data(len > 0 && seq == self.snd.snd_max);
        header.flags = header.flags.union(flags);
        if self.congestion.pacing().is_some() {
            self.pacing_sent(now, (seq, next), len, io);
        }
        self.counters.bytes_sent += u64::from(len);
        self.counters.last_tx = now;
        self.acknowledged_by_data(now, len);
        let gso_size = if len > mss && limits.gso_bytes_max > 0 { mss as u16 } else { 0 };
        SegmentOut { header, payload_offset, payload_len: len, gso_size, ecn }
    }

    /// Zero-window and keepalive probes alike: a sequence number that the peer has acknowledged
    /// already, which it must answer (RFC 9293 §3.8.4).
    #[inline(never)]
    fn transmit_probe(&mut self, now: Instant, io: &impl StreamIo) -> Option<SegmentOut> {
        if !core::mem::take(&mut self.flags.probe_due) {
            return None;
        }
        let mut seq = self.snd.snd_una - u32::from(!planted::is(Bug::ProbeAtSndNxt));
        if self.seldom.urgent().is_some()
            && let Some(taken) = self.urgent_probe()
        {
            (seq, self.flags.probe_due) = (taken, true);
        }
        let header = self.header(now, seq, io);
        Some(SegmentOut::bare(header, self.ecn.field()))
    }

    #[inline(always)]
    fn transmit_ack(&mut self, now: Instant, io: &impl StreamIo) -> Option<SegmentOut> {
        if self.rcv.ack_due != AckDue::Now {
            return None;
        }
        let mut header = self.header(now, self.snd.snd_max, io);
        header.options.timestamps =
            header.options.timestamps.filter(|_| !planted::is(Bug::BareAcksWithout));
        header.options.sack = self.rcv.sack_blocks(&self.options, u32::MAX);
        self.rcv.duplicate_acks = self.rcv.duplicate_acks.saturating_sub(1);
        if self.rcv.duplicate_acks == 0 {
            self.acknowledged();
        }
        Some(SegmentOut::bare(header, self.ecn.field()))
    }

    /// Data carries the acknowledgement along, but duplicates must be bare (RFC 5681 §2).
    #[inline]
    fn acknowledged_by_data(&mut self, now: Instant, len: u32) {
        if len > 0 {
            self.note_answer(now);
        }
        if self.rcv.duplicate_acks == 0 {
            self.acknowledged();
        }
    }

    #[inline]
    fn acknowledged(&mut self) {
        self.rcv.ack_due = AckDue::No;
        self.rcv.pace.pushed = 0;
        self.timers.stop(TimerReason::DelayedAck);
    }

    #[inline(never)]
    fn emit_reset(&mut self, now: Instant) -> SegmentOut {
        self.flags.rst_due = false;
        if self.snd.snd_max == self.snd.iss {
            // The answer to a SYN that never left, so that the peer was told no number of ours: as where there is no connection
            // (RFC 9293 §3.10.7.1), <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>.
            let flags = TcpFlags::RST.union(TcpFlags::ACK);
            let header = TcpHeader { ack: self.rcv.rcv_nxt, flags, ..TcpHeader::default() };
            return SegmentOut::bare(header, Ecn::NotEct);
        }
        let header = TcpHeader {
            seq: self.snd.snd_max,
            ack: self.rcv.rcv_nxt,
            flags: TcpFlags::RST.union(TcpFlags::ACK),
            window: u16::try_from(self.rcv.rcv_wnd() >> self.options.rcv_wscale)
                .unwrap_or(u16::MAX),
            options: match planted::is(Bug::ResetWithout) {
                true => TcpOptions::default(),
                false => self.plain_options(now),
            },
            ..TcpHeader::default()
        };
        SegmentOut::bare(header, Ecn::NotEct)
    }

    /// The header of a segment at `seq` that acknowledges everything received in order.
    #[inline(always)]
    fn header(&mut self, now: Instant, seq: SeqNumber, io: &impl StreamIo) -> TcpHeader {
        let window = self.rcv.advertise(self.options.rcv_wscale, io);
        self.acknowledge_all();
        let mut header = TcpHeader {
            seq,
            ack: self.rcv.rcv_nxt,
            flags: TcpFlags::ACK.union(self.ecn.echo()),
            window,
            options: self.plain_options(now),
            ..TcpHeader::default()
        };
        if self.seldom.urgent().is_some() {
            self.point_at_urgent(&mut header);
        }
        header
    }

    #[inline]
    fn plain_options(&self, now: Instant) -> TcpOptions {
        TcpOptions {
            timestamps: self.options.timestamps.then(|| self.timestamps(now)),
            ..TcpOptions::default()
        }
    }

    fn timestamps(&self, now: Instant) -> Timestamps {
        Timestamps { value: self.timestamp(now), echo: self.rcv.ts_recent }
    }
}

impl Sendable {
    /// `len` bytes, and it is not known what follows.
    pub(in crate::tcp) const fn part(len: u32) -> Self {
        Self { len, fin: false, last: false, push: false }
    }
}

/// Most payload of one segment, or of one super-segment: whole segments only.
const fn segment_max(limits: &TxLimits, mss: u32) -> u32 {
    let most = if limits.gso_bytes_max < 65_535 { limits.gso_bytes_max } else { 65_535 };
    if most < 2 * mss { mss } else { most - most % mss }
}
