//! The ACK field (RFC 9293 §3.10.7.4, fifth): progress, duplicates, the send window, round-trip samples.

use super::super::congestion::{AckPhase, AckSample, LossEvent};
use super::super::connection::Connection;
use super::super::disposition::Disposition;
use super::super::event::Events;
use super::super::recovery::{Phase, Progress};
use super::super::recv_buffer::AckDue;
use super::super::state::State;
use super::super::timer::TimerReason;
use super::super::transition::Trigger;
use super::SegmentIn;
use super::handshake::reset_for;
use crate::error::EndReason;
use crate::port::StreamIo;
use crate::tcp::SeqNumber;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader, Timestamps};

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
            if header.ack <= self.snd.iss || header.ack > self.snd.snd_max {
                return Err(Disposition::SendRst(reset_for(header)));
            }
            self.sample_rtt(now, header.ack, header.options.timestamps);
            // The SYN is acknowledged here; data or a FIN among it cannot be yet.
            self.snd.acknowledge(header.ack, io);
            self.establish(now, header, Trigger::RecvAckOfSyn);
            self.update_send_window(header.seq, header.ack, header.window);
            return Ok(());
        }
        if header.ack > self.snd.snd_max {
            // "If the ACK acks something not yet sent, then send an ACK, drop the segment, and return."
            return Err(self.challenge(now));
        }
        if self.snd.snd_una.distance_from(header.ack).cast_unsigned() > self.snd.snd_wnd_max
            && header.ack < self.snd.snd_una
        {
            // RFC 5961 §5.2: older than anything that can still be under way.
            return Err(self.challenge(now));
        }
        self.note_echo(header.flags);
        if header.ack > self.snd.snd_una {
            self.acknowledge(now, header.ack, header.options.timestamps, io);
            self.update_send_window(header.seq, header.ack, header.window);
            if self.take_sack(header) {
                self.duplicate_ack(now);
            }
        } else {
            let outstanding = self.snd.outstanding() > 0;
            let window_changed = self.update_send_window(header.seq, header.ack, header.window);
            let bare = segment.payload_len == 0 && !header.flags.contains(TcpFlags::FIN);
            // RFC 5681 §2, the definition of a duplicate acknowledgement.
            let duplicate = bare && outstanding && !window_changed;
            // RFC 6675 §2: with selective acknowledgements, what brings news of them.
            if header.ack == self.snd.snd_una && (self.take_sack(header) || duplicate) {
                self.duplicate_ack(now);
            }
        }
        self.receive_echo(now);
        self.counters.probes = 0;
        self.after_fin_acked(now);
        if self.state == State::Closed { Err(Disposition::Accept) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn update_send_window(
        &mut self,
        seq: SeqNumber,
        ack: SeqNumber,
        window: u16,
    ) -> bool {
        let wnd = u32::from(window) << self.options.snd_wscale;
        let changed = self.snd.update_window(seq, ack, wnd);
        if changed && wnd > 0 {
            self.timers.stop(TimerReason::Persist);
            if self.snd.outstanding() == 0 {
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

    /// SND.UNA < SEG.ACK =< SND.NXT.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        ack: SeqNumber,
        timestamps: Option<Timestamps>,
        io: &mut impl StreamIo,
    ) {
        let rtt = self.sample_rtt(now, ack, timestamps);
        let in_flight_before = self.snd.in_flight();
        let acked = self.snd.acknowledge(ack, io);
        if let Some(board) = self.recovery.scoreboard.as_mut() {
            board.advance(self.snd.anchor.offset);
        }
        self.rtt.progress();
        let mss = self.options.mss();
        let before = (self.congestion.cwnd(), self.congestion.ssthresh());
        let progress = self.recovery.on_progress(self.snd.snd_una, acked, mss);
        self.congestion.on_ack(&AckSample {
            now,
            phase: match progress {
                Progress::Open => AckPhase::Open,
                Progress::Loss => AckPhase::Loss,
                Progress::Partial | Progress::Recovered => AckPhase::Recovery,
            },
            acked_bytes: acked,
            delivered_bytes: acked,
            lost_bytes: 0,
            in_flight_before,
            in_flight: self.snd.in_flight(),
            mss,
            rtt,
            srtt: self.rtt.srtt(),
            min_rtt: Duration::ZERO,
            snd_una: self.snd.snd_una,
            snd_max: self.snd.snd_max,
            delivered_seq: self.snd.snd_una,
            ece: self.ecn.is_echoed(),
            cwnd_limited: self.snd.cwnd_limited,
        });
        if progress == Progress::Recovered {
            let event = self.loss_event(now);
            self.congestion.on_recovered(&event);
        }
        if before != (self.congestion.cwnd(), self.congestion.ssthresh()) {
            self.events.raise(Events::CONGESTION);
        }
        if acked > 0 {
            self.events.raise(Events::WRITABLE);
        }
        // RFC 6298 §5.2 and §5.3.
        if self.snd.outstanding() == 0 {
            self.timers.stop(TimerReason::Retransmit);
        } else {
            self.timers.set(TimerReason::Retransmit, now + self.rto());
        }
    }

    fn duplicate_ack(&mut self, now: Instant) {
        let una = self.snd.anchor.offset;
        let mss = self.options.mss();
        let lost = self.recovery.scoreboard.as_ref().is_some_and(|b| b.is_lost(una, mss));
        if !self.recovery.on_duplicate_ack(self.snd.snd_una, self.snd.snd_max, lost) {
            return;
        }
        if let Some(board) = self.recovery.scoreboard.as_mut() {
            board.begin(una);
        }
        let event = self.loss_event(now);
        self.congestion.on_loss(&event);
        self.events.raise(Events::CONGESTION);
    }

    /// The SACK blocks of a segment (RFC 2018 §5.1). Blocks that cannot be are ignored, those below
    /// `snd_una` too (RFC 2883 duplicates). True when they bring news.
    fn take_sack(&mut self, header: &TcpHeader) -> bool {
        let blocks = header.options.sack;
        if blocks.len == 0 || !self.options.sack {
            return false;
        }
        let board = self.recovery.scoreboard.get_or_insert_default();
        let mut news = false;
        for (left, right) in blocks.as_slice() {
            if *left > self.snd.snd_una && left < right && *right <= self.snd.snd_max {
                news |= board.insert(self.snd.offset_of(*left), self.snd.offset_of(*right));
            }
        }
        news
    }

    /// What the acknowledgement of our FIN moves.
    fn after_fin_acked(&mut self, now: Instant) {
        if !self.snd.fin_acked() {
            return;
        }
        let last = self.state == State::LastAck;
        self.advance(now, Trigger::RecvAckOfFin);
        if last {
            self.end(EndReason::Closed);
        }
    }

    /// A round-trip sample, if the acknowledgement gives one: the timed segment, or after a
    /// retransmission, when Karn's algorithm forbids that, the echoed timestamp (RFC 7323 §4).
    pub(super) fn sample_rtt(
        &mut self,
        now: Instant,
        ack: SeqNumber,
        timestamps: Option<Timestamps>,
    ) -> Option<Duration> {
        if let Some(rtt) = self.rtt.take_timed(ack, now) {
            self.rtt.sample(rtt, &self.config);
            return Some(rtt);
        }
        let doubtful = self.rtt.backoff() > 0 || self.recovery.phase != Phase::Open;
        if !doubtful || !self.options.timestamps {
            return None;
        }
        let ms = self.timestamp(now).wrapping_sub(timestamps?.echo);
        // An echo from the future, or of more than RTO's maximum ago, is not ours.
        if ms > self.config.rto_ms_max {
            return None;
        }
        let rtt = Duration::from_millis(u64::from(ms));
        self.rtt.sample(rtt, &self.config);
        Some(rtt)
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

    pub(super) fn delay_ack(&mut self, now: Instant) {
        if self.rcv.ack_due == AckDue::Delayed && !self.timers.is_set(TimerReason::DelayedAck) {
            let delay = Duration::from_millis(u64::from(self.config.delayed_ack_ms));
            self.timers.set(TimerReason::DelayedAck, now + delay);
        }
    }
}
