//! What is sent again, and when it may (RFC 6675 §5, RFC 8985 §7.3).

use super::sent::{Marks, Sent};
use super::state::{Phase, Trouble};
use crate::event::RetransmitCause;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::tcp::connection::Connection;
use crate::tcp::output::{SegmentOut, Sendable, TxLimits};
use crate::tcp::timer::TimerReason;
use crate::time::Instant;
use crate::wire::tcp::TcpFlags;

/// What recovery has to send.
pub(in crate::tcp) enum Resend {
    /// This.
    Segment(SegmentOut),
    /// Something, but the window has no room for it yet; nor for anything new.
    Wait,
    /// Nothing.
    Nothing,
}

impl Connection {
    /// Output: the next segment that recovery sends, before any new data.
    #[inline]
    pub(in crate::tcp) fn transmit_recovery(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Resend {
        let Some(flight) = self.recovery.flight.as_deref() else { return Resend::Nothing };
        if flight.tlp.due {
            return self.transmit_tail_probe(now, limits, io);
        }
        if flight.lost.is_empty() || flight.prefer_new {
            return Resend::Nothing;
        }
        self.retransmit_lost(now, limits, io)
    }

    /// The first segment that is lost, if the windows let it out. What is at `snd_una` the peer's window never holds back.
    #[cold]
    fn retransmit_lost(&mut self, now: Instant, limits: &TxLimits, io: &impl StreamIo) -> Resend {
        let mss = self.options.mss();
        let full = self.current_mss();
        let stream_end = self.snd.end(io);
        let burst_max = self.resent_max(full);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return Resend::Nothing };
        let Some(index) = flight.next_lost() else { return Resend::Nothing };
        flight.join_lost(index, full, flight.una + u64::from(self.snd.snd_wnd));
        let Some(record) = flight.sent.get(index).copied() else { return Resend::Nothing };
        let before = (record.start() - flight.una) as u32;
        let wnd = self.snd.snd_wnd.saturating_sub(before);
        let most = match wnd {
            // Tiny pieces of a window that is opened byte by byte would be records without end.
            0 => full,
            _ if flight.sent.is_full() || planted::is(Bug::ResentPastTheWindow) => mss,
            wnd => full.min(wnd),
        };
        let sendable = sendable_of(&record, stream_end, most);
        let end = record.start() + u64::from(sendable.len) + u64::from(sendable.fin);
        let len = (end - record.start()) as u32;
        // The first segment goes in any case, once, however small a window the loss has left.
        let first = index == 0 && flight.retrans_bytes == 0;
        let in_window = len <= wnd || index == 0;
        let fits = flight.pipe(mss).saturating_add(sendable.len) <= self.congestion.cwnd();
        if len == 0 || !in_window || !(fits || first) {
            return Resend::Wait;
        }
        if end < record.end {
            flight.split(index, end);
        }
        let more = flight.pipe(mss).saturating_add(sendable.len + full) <= self.congestion.cwnd();
        let count = flight.burst.resent(now, record.start(), end);
        let settled = Marks::SACKED | Marks::RETRANS;
        let is_lost = |r: &Sent| r.marks.has(Marks::LOST) && !r.marks.has(settled);
        let ends = !more
            || count >= burst_max
            || flight.sent.get(index).is_some_and(|r| r.marks.has(Marks::BURST | Marks::PUSHED))
            || !flight.sent.get(index + 1).is_some_and(is_lost);
        if ends {
            flight.burst.end_resent();
        }
        let mut segment = self.retransmit(now, index, sendable, limits, io);
        if ends && count > 1 {
            segment.header.flags = segment.header.flags.union(TcpFlags::PSH);
        }
        Resend::Segment(segment)
    }

    /// Sends the record at `index` again, which is `sendable` and no longer than one segment.
    fn retransmit(
        &mut self,
        now: Instant,
        index: usize,
        sendable: Sendable,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> SegmentOut {
        let timestamp = self.timestamp(now);
        let una = self.snd.offset_of(self.snd.snd_una);
        let record =
            self.recovery.flight.as_deref().and_then(|flight| flight.sent.get(index)).copied();
        let seq = self.snd.anchor.seq_of(record.as_ref().map_or(una, Sent::start));
        if let Some(record) = &record
            && self.seldom.mtu_search().is_some()
        {
            self.mtu_probe_resent(record);
        }
        let mut segment = self.emit_data(now, seq, sendable, limits, io);
        // What was pushed is pushed again.
        let whole = |record: &Sent| record.len == sendable.len + u32::from(sendable.fin);
        if record.is_some_and(|record| record.marks.has(Marks::PUSHED) && whole(&record)) {
            segment.header.flags = segment.header.flags.union(TcpFlags::PSH);
        }
        if planted::is(Bug::FinResentBeyond) && segment.header.flags.contains(TcpFlags::FIN) {
            segment.header.seq += 1;
        }
        let mut cause = RetransmitCause::Timeout;
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            let len = flight.retransmitted(now, index);
            flight.undo.retransmitted(1, timestamp);
            if self.recovery.phase == Phase::Fast {
                flight.prr.sent(len);
            }
            if self.recovery.phase != Phase::Loss {
                cause = RetransmitCause::Fast;
            }
        }
        let trouble = Trouble::of(&mut self.recovery.trouble);
        trouble.bytes_retrans = trouble.bytes_retrans.saturating_add(u64::from(sendable.len));
        self.counters.retransmits = self.counters.retransmits.saturating_add(1);
        self.events.retransmitted(seq, sendable.len, cause);
        if index == 0 || !self.timers.is_set(TimerReason::Retransmit) {
            // RFC 6298 §5.1, as RFC 6675 §5 (4.3) would have it: its acknowledgement is waited for from now on.
            let repeats = self.recovery.retries > 0 || self.snd.snd_wnd == 0;
            let at = match repeats {
                false => now + self.rto(),
                true => self.within_user_timeout(now, self.rto()),
            };
            self.timers.set(TimerReason::Retransmit, at);
        }
        segment
    }

    /// TLP_send_probe: new data if there is some and the peer's window takes it, else the last segment again.
    #[cold]
    fn transmit_tail_probe(
        &mut self,
        now: Instant,
        limits: &TxLimits,
        io: &impl StreamIo,
    ) -> Resend {
        let mss = self.options.mss();
        let full = self.current_mss();
        let wnd = self.snd.snd_wnd.saturating_sub(self.snd.outstanding());
        let end = self.snd.end(io);
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return Resend::Nothing };
        flight.tlp.due = false;
        if flight.tlp.is_under_way() || self.recovery.phase != Phase::Open {
            return Resend::Nothing;
        }
        let waiting = u32::try_from(end.saturating_sub(flight.max)).unwrap_or(u32::MAX);
        let len = waiting.min(full).min(flight.record_left(flight.max));
        if len > 0 && len <= wnd && !self.snd.fin_sent() {
            reach!(ProbeWithNewData);
            let fin = self.snd.is_shut() && len == waiting && len < wnd;
            let max = flight.max + u64::from(len) + u64::from(fin);
            flight.tlp.sent(max, false);
            return Resend::Segment(self.transmit_new(
                now,
                Sendable { fin, ..Sendable::part(len) },
                limits,
                io,
            ));
        }
        let Some(record) = flight.sent.last().copied().filter(|r| !r.marks.has(Marks::SACKED))
        else {
            return Resend::Nothing;
        };
        let last = record.last_segment(mss);
        // The window was taken back, perhaps: nothing goes beyond it but what is at SND.UNA (RFC 9293 §3.8.6).
        let free = last == flight.una || planted::is(Bug::ProbesBeyondTheWindow);
        let edge = flight.una + u64::from(self.snd.snd_wnd);
        let room = u32::try_from(edge.saturating_sub(last)).unwrap_or(u32::MAX);
        if room == 0 && !free {
            reach!(ProbeBeyondWindow);
            // That leaves when its timer says so.
            let since = flight.sent.front().map_or(now, |first| first.xmit_time);
            self.timers.set_no_later(TimerReason::Retransmit, (since + self.rto()).max(now));
            return Resend::Nothing;
        }
        let mut index = flight.sent.len() - 1;
        if last > record.start() {
            flight.split(index, last);
            index += 1;
        }
        reach!(ProbeWithOldData);
        flight.tlp.sent(flight.max, true);
        let Some(record) = flight.sent.get(index).copied() else { return Resend::Nothing };
        let mut sendable = sendable_of(&record, end, if free { full } else { full.min(room) });
        sendable.fin &= free || sendable.len < room;
        if sendable.len == 0 && !sendable.fin {
            return Resend::Nothing;
        }
        flight.split(index, record.start() + u64::from(sendable.len) + u64::from(sendable.fin));
        let segment = self.retransmit(now, index, sendable, limits, io);
        let flight = self.recovery.flight.as_deref_mut();
        if let Some(record) = flight.and_then(|flight| flight.sent.get_mut(index)) {
            record.marks.set(Marks::PROBE);
        }
        Resend::Segment(segment)
    }
}

/// What of `record` one segment of `mss` bytes carries. The stream ends at `stream_end`; behind it is FIN.
fn sendable_of(record: &Sent, stream_end: u64, mss: u32) -> Sendable {
    let data_end = record.end.min(stream_end);
    let data = u32::try_from(data_end.saturating_sub(record.start())).unwrap_or(u32::MAX);
    let len = data.min(mss);
    let fin = record.end > stream_end && !planted::is(Bug::FinNeverResent);
    Sendable { fin: fin && len == data, ..Sendable::part(len) }
}
