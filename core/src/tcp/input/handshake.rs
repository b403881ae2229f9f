//! SYN-SENT (RFC 9293 §3.10.7.3) and what is particular to SYN-RECEIVED.

use super::super::chrono::coarse;
use super::super::congestion::Congestion;
use super::super::connection::{Connection, clock_ms, clock_s};
use super::super::disposition::{Disposition, Rst};
use super::super::event::Events;
use super::super::listener::closed;
use super::super::recv_buffer::AckDue;
use super::super::seq::SeqNumber;
use super::super::state::State;
use super::super::timer::TimerReason;
use super::super::transition::Trigger;
use super::SegmentIn;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader, Timestamps};

/// How long the RST gets before the SYN follows it (TCP_TIMEOUT_MIN).
const TRY_AGAIN: Duration = Duration::from_millis(2);

impl Connection {
    /// RFC 9293 §3.10.7.3, in its order.
    pub(super) fn handle_in_syn_sent(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        let header = segment.header;
        let flags = header.flags;
        let reset = flags.contains(TcpFlags::RST);
        let acks = flags.contains(TcpFlags::ACK);
        let bad = header.ack <= self.snd.iss || header.ack > self.snd.snd_max;
        let old = bad && acks && !reset;
        let bad = bad || self.echoes_no_syn_of_ours(now, header.options.timestamps);
        if acks && bad && !planted::is(Bug::AnyAckInSynSent) {
            return match reset && !planted::is(Bug::ResetOfAReset) {
                true => Disposition::Ignore,
                false => {
                    self.try_again_soon(now, old);
                    Disposition::SendRst(reset_for(header))
                }
            };
        }
        if reset {
            if acks || planted::is(Bug::RefusedByBareRst) {
                self.advance(now, Trigger::RecvRst);
                let reset = planted::is(Bug::RefusalIsAReset);
                self.end(if reset { EndReason::Reset } else { EndReason::Refused });
                return Disposition::Accept;
            }
            return Disposition::Ignore;
        }
        if !flags.contains(TcpFlags::SYN) || (planted::is(Bug::NoSimultaneousOpen) && !acks) {
            return Disposition::Ignore;
        }
        self.take_syn(now, header);
        if planted::is(Bug::SynAckDataLost) {
            self.rcv.rcv_nxt += segment.payload_len;
        }
        if acks {
            self.sample_handshake(now, header.options.timestamps);
            self.snd.acknowledge(header.ack, io);
            self.settle_syn_data(header);
            self.establish(now, header, Trigger::RecvSynAck);
            self.resend_syn_data(now);
            self.take_syn_ack_data(now, segment, io);
            self.rcv.ack_due = AckDue::Now;
            // Somebody waits with more than the SYN carried: what is sent with the acknowledgement begins a conversation.
            self.rcv.pace.interactive = self.has_more_than_syn_data(io);
        } else {
            // Simultaneous open: our SYN goes out again, with an acknowledgement.
            self.snd.snd_nxt = self.snd.iss;
            reach!(SimultaneousOpen);
            self.advance(now, Trigger::RecvSyn);
        }
        Disposition::Accept
    }

    /// The peer had a connection of long ago, which our RST ends: the SYN need not wait for its timer (tcp_rcv_synsent_state_process).
    /// Only the first, so that the two do not answer each other for ever.
    fn try_again_soon(&mut self, now: Instant, old: bool) {
        if old && self.recovery.retries == 0 && !planted::is(Bug::StalePeerWaits) {
            self.timers.set_no_later(TimerReason::Retransmit, now + TRY_AGAIN);
        }
    }

    /// Getter: of SYN-SENT: the echo is of nothing that we can have sent since the connection was begun: an old connection's, or a
    /// guess (tcp_rcv_synsent_state_process). An echo of zero says nothing.
    fn echoes_no_syn_of_ours(&self, now: Instant, timestamps: Option<Timestamps>) -> bool {
        let echo = timestamps.filter(|_| self.options.timestamps).map_or(0, |t| t.echo);
        let age = self.timestamp(now).wrapping_sub(echo);
        let oldest = clock_ms(now).wrapping_sub(clock_ms(self.counters.last_rx));
        echo != 0 && age > oldest && !planted::is(Bug::AnyEchoInSynSent)
    }

    /// What both opens learn from the peer's SYN.
    pub(in crate::tcp) fn take_syn(&mut self, now: Instant, syn: &TcpHeader) {
        self.rcv.begin(syn.seq);
        self.options.settle(&self.config, syn);
        self.settle_ecn(syn.flags);
        if let Some(timestamps) = syn.options.timestamps {
            self.rcv.ts_recent = timestamps.value;
            self.rcv.ts_recent_s = clock_s(now);
        }
        // A window on a SYN is never scaled (RFC 7323 §2.2).
        self.snd.snd_wnd = u32::from(syn.window);
        if planted::is(Bug::ScaledSynWindow) {
            self.snd.snd_wnd <<= self.options.snd_wscale;
        }
        self.snd.snd_wnd_max = self.snd.snd_wnd;
        self.snd.snd_wl1 = syn.seq;
        self.snd.snd_wl2 = syn.ack;
        self.counters.last_rx = now;
    }

    /// The handshake is done: what follows from it on either side.
    pub(super) fn establish(&mut self, now: Instant, header: &TcpHeader, trigger: Trigger) {
        self.timeout_repaired(now);
        self.advance(now, trigger);
        self.timers.stop(TimerReason::Retransmit);
        self.recovery.retries = 0;
        // The SYN.
        self.recovery.delivered = 1;
        if self.counters.syn_lost {
            self.rtt.after_lost_syn(&self.config);
        }
        // As Linux counts: neither side has been silent yet. But nothing has left at this very moment.
        self.counters.last_tx = Instant::from_nanos(now.as_nanos().saturating_sub(1));
        self.rcv.last_data = coarse(now);
        self.start_mtu_search(now);
        // Data that left before the handshake was done has a window already (Fast Open).
        if self.recovery.flight.is_none() {
            let (algorithm, mss) = (self.config.congestion, self.options.mss());
            self.congestion = Congestion::new(algorithm, mss, self.counters.syn_lost);
            self.follow_pacing_setting();
        }
        self.snd.snd_wl1 = header.seq;
        self.snd.snd_wl2 = header.ack;
        self.events.raise(Events::ESTABLISHED | Events::WRITABLE);
        self.start_keepalive(now);
        if self.snd.is_shut() {
            self.advance(now, Trigger::Close);
        }
    }

    /// A SYN again in SYN-RECEIVED: the peer did not get our SYN,ACK.
    pub(super) fn syn_in_syn_received(
        &mut self,
        now: Instant,
        header: &TcpHeader,
    ) -> Option<Disposition> {
        let opening = header.flags.0 & (TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::RST.0);
        let again = self.state == State::SynReceived
            && opening == TcpFlags::SYN.0
            && header.seq == self.rcv.irs();
        if !again {
            return None;
        }
        if !self.may_challenge(now) || planted::is(Bug::SynAgainIgnored) {
            return Some(Disposition::Ignore);
        }
        self.snd.snd_nxt = self.snd.iss;
        Some(Disposition::SendAck)
    }

    /// RFC 9293 §3.10.7.4, fourth, in SYN-RECEIVED of a passive open: a SYN in the window that is not the one that began the connection.
    /// "Return this connection to the LISTEN state": the state is not synchronized yet, and a challenge (RFC 5961 §4) would ask a peer
    /// that knows nothing of it. As on Linux the peer is told by a RST (tcp_check_req), and the connection stays in two cases: who
    /// acknowledges what we did not send does not speak of it, and one that took data with its SYN has an application already.
    pub(super) fn refuse_other_syn(&mut self, segment: &SegmentIn<'_>) -> Disposition {
        let header = segment.header;
        let of_another = header.flags.contains(TcpFlags::ACK) && header.ack != self.snd.iss + 1;
        if !of_another && !self.is_fast_child() {
            self.end(EndReason::Reset);
        }
        closed(header, segment.payload_len).map_or(Disposition::Ignore, Disposition::SendRst)
    }

    /// The SYN,ACK of a simultaneous open (RFC 9293 figure 8, line 6). Nobody answers a SYN,ACK with one: after a passive open it is
    /// outside of the window.
    pub(super) fn is_answer_to_our_syn(&self, header: &TcpHeader) -> bool {
        let ours_first = self.flags.active || planted::is(Bug::SynAckCompletes);
        self.state == State::SynReceived
            && ours_first
            && header.flags.contains(TcpFlags::SYN.union(TcpFlags::ACK))
            && !header.flags.contains(TcpFlags::RST)
            && header.seq == self.rcv.irs()
            // What our SYN carried may be acknowledged with it.
            && header.ack > self.snd.iss
            && header.ack <= self.snd.snd_max
    }
}

/// RFC 9293 §3.10.7: the RST for a segment whose acknowledgement makes no sense.
pub(super) const fn reset_for(header: &TcpHeader) -> Rst {
    Rst { seq: header.ack, ack: SeqNumber(0), with_ack: false }
}
