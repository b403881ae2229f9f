//! The ACK field (RFC 9293 §3.10.7.4, fifth): progress, duplicates, the send window, round-trip samples.

use super::super::congestion::LossEvent;
use super::super::connection::{Connection, Reader, clock_ms};
use super::super::disposition::Disposition;
use super::super::recovery::Delivery;
use super::super::state::State;
use super::super::timer::TimerReason;
use super::super::transition::Trigger;
use super::SegmentIn;
use super::handshake::reset_for;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::tcp::SeqNumber;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader, TcpOptions, Timestamps};

impl Connection {
    /// `Err`: the segment is dropped with this disposition.
    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Result<(), Disposition> {
        let header = segment.header;
        if self.state == State::SynReceived {
            if planted::is(Bug::ThirdAckDataLost) && header.seq == self.rcv.rcv_nxt {
                self.rcv.advance(u64::from(segment.payload_len), io);
            }
            return self.complete_handshake(now, segment, io);
        }
        if header.ack > self.snd.snd_max && !planted::is(Bug::AckOfTheFuture) {
            if planted::is(Bug::FutureAcksCount) {
                self.update_send_window(header.seq, self.snd.snd_una, header.window);
                self.rcv.ts_recent = header.options.timestamps.map_or(0, |t| t.value);
            }
            reach!(FutureAck);
            // "If the ACK acks something not yet sent, then send an ACK, drop the segment, and return."
            return Err(self.challenge(now));
        }
        if self.snd.snd_una.distance_from(header.ack).cast_unsigned() > self.snd.snd_wnd_max
            && header.ack < self.snd.snd_una
            && !planted::is(Bug::AncientAcks)
        {
            reach!(AncientAck);
            // RFC 5961 §5.2: older than anything that can still be under way.
            return Err(self.challenge(now));
        }
        self.note_echo(header.flags);
        if header.ack > self.snd.snd_una {
            self.take_ack(
                now,
                header.ack,
                header.options.timestamps,
                &header.options.sack,
                false,
                io,
            );
            self.update_send_window(header.seq, header.ack, header.window);
        } else {
            self.take_ack_of_nothing_new(now, segment, io);
        }
        self.receive_echo(now);
        if self.counters.probes > 0 {
            self.probe_answered(now);
        }
        if !planted::is(Bug::AnsweredProbesCount) {
            self.counters.probes = 0;
        }
        self.after_fin_acked(now);
        if self.state == State::Closed { Err(Disposition::Accept) } else { Ok(()) }
    }

    /// Nothing is acknowledged that was not before: the window may be news, what it tells selectively, or that it came at all.
    fn take_ack_of_nothing_new(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) {
        let header = segment.header;
        let outstanding = self.snd.outstanding() > 0;
        let window_changed = self.update_send_window(header.seq, header.ack, header.window);
        let bare = segment.payload_len == 0 && !header.flags.contains(TcpFlags::FIN);
        // RFC 5681 §2, the definition of a duplicate acknowledgement.
        let same = header.ack == self.snd.snd_una;
        let duplicate = same && bare && outstanding && !window_changed;
        let TcpOptions { timestamps, sack, .. } = &header.options;
        // Selective acknowledgements tell something whatever they come with, late ones too.
        let tells = sack.len > 0 && (same || !planted::is(Bug::LateBlocksIgnored));
        if tells && !same {
            reach!(LateBlocks);
        }
        if duplicate || tells {
            self.take_ack(now, header.ack, *timestamps, sack, duplicate, io);
        }
    }

    /// In SYN-RECEIVED.
    fn complete_handshake(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Result<(), Disposition> {
        let header = segment.header;
        let bad = header.ack <= self.snd.iss || header.ack > self.snd.snd_max;
        if bad && !planted::is(Bug::AnyAckInSynReceived) {
            return Err(Disposition::SendRst(reset_for(header)));
        }
        let timestamps = header.options.timestamps;
        if self.defers_accept(header, segment.payload_len) {
            if !self.is_deferred()
                && let Some(rtt) = self.handshake_rtt(now, timestamps)
            {
                // It counts once data comes: until then the timer has spans of its own.
                self.rtt.path_sample(rtt, clock_ms(now));
            }
            self.flags.reader = Reader::Later;
            self.update_ts_recent(now, header);
            return Err(Disposition::Ignore);
        }
        if self.is_deferred() && !planted::is(Bug::DataAnswersTheSyn) {
            self.flags.reader = Reader::Here;
            let rtt = self.rtt.min_rtt();
            if rtt > Duration::ZERO {
                self.rtt.sample(rtt, self.snd.snd_una, self.snd.snd_max, &self.config);
            }
        } else {
            self.sample_handshake(now, timestamps);
        }
        // The SYN is acknowledged here; data or a FIN among it cannot be yet.
        let child = self.is_fast_child();
        // What was sent before the handshake was done is acknowledged like any other data.
        let syn = if child { self.snd.iss + 1 } else { header.ack };
        self.snd.acknowledge(syn, io);
        self.settle_syn_data(header);
        self.establish(now, header, Trigger::RecvAckOfSyn);
        // The greatest window so far is none of a SYN, which could not be scaled.
        self.snd.snd_wnd_max = 0;
        self.update_send_window(header.seq, header.ack, header.window);
        match child {
            true => self.acknowledge_child(now, header, io),
            false => self.resend_syn_data(now),
        }
        Ok(())
    }

    /// The acknowledgement that completes the handshake of a connection that may have sent data before.
    fn acknowledge_child(&mut self, now: Instant, header: &TcpHeader, io: &mut impl StreamIo) {
        let TcpOptions { timestamps, sack, .. } = &header.options;
        // It may tell of what came behind a gap as well.
        if header.ack > self.snd.snd_una || sack.len > 0 {
            self.take_ack(now, header.ack, *timestamps, sack, false, io);
        }
        if self.snd.outstanding() > 0 && !self.timers.is_set(TimerReason::Retransmit) {
            self.timers.set(TimerReason::Retransmit, now + self.rto());
        }
        self.after_fin_acked(now);
    }

    #[inline]
    pub(super) fn update_send_window(
        &mut self,
        seq: SeqNumber,
        ack: SeqNumber,
        window: u16,
    ) -> bool {
        let wnd = u32::from(window) << self.options.snd_wscale;
        let wnd = if planted::is(Bug::WindowOfSixteenBits) { wnd.min(65_535) } else { wnd };
        let changed = self.snd.update_window(seq, ack, wnd);
        if changed && wnd > 0 {
            let probed = self.timers.is_set(TimerReason::Persist);
            self.timers.stop(TimerReason::Persist);
            if probed && self.snd.outstanding() == 0 {
                // Only probes of the closed window were backed off: what is sent into the open one starts from
                // the estimate (RFC 6298 §5.7 speaks of segments that timed out).
                self.rtt.progress();
            }
            self.flags.probe_due = false;
        }
        if self.snd.snd_wnd == 0 {
            // The peer lives: a zero window alone never ends a connection (RFC 9293 §3.8.6.1).
            self.recovery.retries = 0;
        }
        changed
    }

    /// What the acknowledgement of our FIN moves.
    fn after_fin_acked(&mut self, now: Instant) {
        let any = planted::is(Bug::LastAckEndsWithAnyAck) && self.state == State::LastAck;
        if !self.snd.fin_acked() && !any {
            return;
        }
        let last = self.state == State::LastAck;
        self.advance(now, Trigger::RecvAckOfFin);
        if last {
            self.end(EndReason::Closed);
        }
    }

    /// A round-trip sample, if the acknowledgement gives one, as Linux takes it: from when what it delivers was sent, the first
    /// segment for SRTT and the last for the path; where Karn's algorithm forbids that, from the echoed timestamp if `snd_una`
    /// advances (RFC 7323 §4.1). Returns the path's.
    pub(in crate::tcp) fn sample_rtt(
        &mut self,
        now: Instant,
        timestamps: Option<Timestamps>,
        delivery: &Delivery,
    ) -> Option<Duration> {
        let acked = delivery.acked.filter(|_| !delivery.resent || planted::is(Bug::NoKarn));
        let (rtt, path) = match acked.or(delivery.sacked) {
            Some((first, last)) => (now.saturating_since(first), now.saturating_since(last)),
            None if delivery.bytes > 0 => {
                let rtt = self.echoed_rtt(now, timestamps)?;
                (rtt, rtt)
            }
            None => return None,
        };
        self.rtt.path_sample(path, clock_ms(now));
        self.rtt.sample(rtt, self.snd.snd_una, self.snd.snd_max, &self.config);
        Some(path)
    }

    /// The round trip that the echoed timestamp tells, at least a tick of that clock.
    fn echoed_rtt(&self, now: Instant, timestamps: Option<Timestamps>) -> Option<Duration> {
        if !self.options.timestamps || planted::is(Bug::EchoesUnread) {
            return None;
        }
        let ms = self.timestamp(now).wrapping_sub(timestamps?.echo);
        // An echo from the future, or of more than RTO's maximum ago, is not ours.
        (ms <= self.config.rto_ms_max).then(|| Duration::from_millis(u64::from(ms.max(1))))
    }

    /// The echo is of the last segment that was sent, not of an earlier one.
    fn echoes_last(&self, timestamps: Option<Timestamps>) -> bool {
        let last = self.timestamp(self.counters.last_tx);
        timestamps.is_some_and(|t| t.echo.wrapping_sub(last).cast_signed() >= 0)
    }

    /// The round trip of the SYN, or of the SYN,ACK.
    pub(super) fn sample_handshake(&mut self, now: Instant, timestamps: Option<Timestamps>) {
        if let Some(rtt) = self.handshake_rtt(now, timestamps) {
            self.rtt.path_sample(rtt, clock_ms(now));
            self.rtt.sample(rtt, self.snd.snd_una, self.snd.snd_max, &self.config);
        }
    }

    /// Getter: what this acknowledgement of the SYN, or of the SYN,ACK, tells of the round trip.
    fn handshake_rtt(&self, now: Instant, timestamps: Option<Timestamps>) -> Option<Duration> {
        // Where data followed the SYN,ACK at once, `last_tx` is that of the data.
        let alone = self.flags.active || self.snd.snd_max == self.snd.iss + 1;
        match self.counters.syn_timed && alone {
            true => Some(now.saturating_since(self.counters.last_tx)),
            // A connection made of a cookie never sent one, and its echo is no time. Of several, only the last tells: what
            // answers it may still echo the first (Karn's algorithm).
            false if planted::is(Bug::EchoOfTheSynUnread) => None,
            false if self.counters.retransmits > 0 => self
                .echoed_rtt(now, timestamps)
                .filter(|_| self.echoes_last(timestamps) || planted::is(Bug::EchoOfTheFirst)),
            false => None,
        }
    }

    /// Getter: what congestion control is told when something goes wrong, or is over.
    pub(in crate::tcp) fn loss_event(&self, now: Instant) -> LossEvent {
        LossEvent {
            now,
            flight: self.snd.outstanding(),
            mss: self.options.mss(),
            snd_una: self.snd.snd_una,
            snd_max: self.snd.snd_max,
        }
    }
}
