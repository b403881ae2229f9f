//! What happens when a timer expires (RFC 6298 §5.4 to 5.7; RFC 9293 §3.8.3, §3.8.4, §3.8.6.1).

use super::connection::{Connection, millis};
use super::recovery::{Phase, Trouble};
use super::state::State;
use super::timer::TimerReason;
use super::transition::Trigger;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::{Duration, Instant};

impl Connection {
    /// Input: the deadline of `poll_timeout` has come; too early does nothing. Then `poll_transmit` and
    /// `poll_event` until they give `None`.
    pub fn handle_timeout(&mut self, now: Instant, io: &mut impl StreamIo) {
        // First: a probe restarts the retransmission timer.
        for _ in 0..4 {
            let due = self.recovery.flight.as_deref_mut().and_then(|f| f.timers.take_due(now));
            let Some(timer) = due else { break };
            self.expire(timer, now, io);
        }
        for timer in TimerReason::ALL {
            if self.timers.take_due(timer, now) {
                self.expire(timer, now, io);
            }
        }
    }

    fn expire(&mut self, timer: TimerReason, now: Instant, io: &impl StreamIo) {
        match timer {
            TimerReason::Retransmit => self.retransmission_timeout(now),
            TimerReason::Persist => self.persist_timeout(now, io),
            TimerReason::DelayedAck => self.delayed_ack_timeout(),
            TimerReason::Keepalive => self.keepalive_timeout(now),
            TimerReason::TimeWait => self.expire_quietly(now),
            TimerReason::Orphan => self.orphan_timeout(now),
            // `poll_transmit` is asked after every input.
            TimerReason::Pacing => {}
            TimerReason::ReorderTimeout => self.reorder_timeout(now),
            TimerReason::Probe => self.probe_timeout(now),
            TimerReason::FlightIdle => self.idle_timeout(now),
        }
    }

    /// Everything that was promised to the peer was done.
    pub(in crate::tcp) fn expire_quietly(&mut self, now: Instant) {
        self.advance(now, Trigger::Expire);
        self.end(EndReason::Closed);
    }

    /// The peer took back its window, and nothing that is outstanding fits: what is sent again is a probe, and no number of them
    /// ends the connection as long as they are answered (RFC 9293 §3.8.6.1, RFC 1122 §4.2.2.17). Congestion is not what they tell of,
    /// but as on Linux the window shrinks all the same.
    #[cold]
    fn probe_with_outstanding(&mut self, now: Instant) {
        reach!(ShutOverFlight);
        if self.rtt.backoff() == 0 || self.recovery.phase != Phase::Loss {
            self.begin_stall(now, self.rto());
        }
        if self.is_shut_for_good(now) {
            self.advance(now, Trigger::GiveUp);
            return self.end(EndReason::TimedOut);
        }
        self.rtt.back_off();
        self.enter_loss(now, false);
        let at = self.within_user_timeout(now, self.rto());
        self.timers.set(TimerReason::Retransmit, at);
    }

    /// The user timeout has passed, or without one, nothing came from the peer for twice the longest RTO.
    fn is_shut_for_good(&self, now: Instant) -> bool {
        match self.user_timeout_left(now) {
            Some(left) => left == Duration::ZERO,
            None => {
                let silence = now.saturating_since(self.counters.last_rx);
                silence > millis(self.config.rto_ms_max.saturating_mul(2))
            }
        }
    }

    fn retransmission_timeout(&mut self, now: Instant) {
        let beyond =
            planted::is(Bug::StrandedByTheWindow) && self.snd.outstanding() > self.snd.snd_wnd;
        if self.snd.outstanding() == 0 || beyond {
            return;
        }
        if planted::is(Bug::FinSentOnce) && matches!(self.state, State::Closing | State::LastAck) {
            return;
        }
        let handshake = !self.state.is_synchronized();
        let shut = !handshake && self.snd.snd_wnd == 0 && !self.flags.reader.is_gone();
        if shut && !planted::is(Bug::ShutWindowIsLoss) {
            return self.probe_with_outstanding(now);
        }
        let max = match (handshake, self.is_half_open()) {
            (true, true) => self.config.syn_ack_retries_max,
            (true, false) => self.config.syn_retries_max,
            (false, _) => self.retries_max(),
        };
        if self.recovery.retries == 0 && !self.recovery.probed() {
            self.begin_stall(now, self.rto());
        }
        let once = planted::is(Bug::OneSynAck) && self.is_half_open();
        let enough = once || (handshake && self.recovery.retries >= max);
        let patient = self.waits_for_data() || (handshake && planted::is(Bug::SynForEver));
        if !patient && (enough || self.is_given_up(now, self.recovery.retries, max)) {
            reach!(GivenUp);
            self.advance(now, Trigger::GiveUp);
            return self.end(EndReason::TimedOut);
        }
        let again = self.recovery.retries > 0;
        let rests = self.rests();
        if !again {
            self.events.soft_error = None;
        } else {
            reach!(TimeoutAgain);
        }
        // With a user timeout no number ends it.
        self.recovery.retries = self.recovery.retries.saturating_add(1);
        Trouble::of(&mut self.recovery.trouble).timed_out(now, !again);
        self.rtt.back_off();
        if rests {
            // Nothing is sent, and nothing was lost.
        } else if handshake {
            self.snd.snd_nxt = self.snd.snd_una;
            self.counters.syn_lost |= !self.is_deferred();
        } else {
            self.enter_loss(now, again);
            self.suspect_black_hole(now);
        }
        // Already now: a frame that cannot be had must not lose the timer.
        let at = match self.waits_for_data() && !planted::is(Bug::SpansBurnAtOnce) {
            true => now + self.rto(),
            false => self.within_user_timeout(now, self.rto()),
        };
        self.timers.set(TimerReason::Retransmit, at);
    }

    /// RFC 9293 §3.8.6.1, and the override of §3.8.6.2.1.
    fn persist_timeout(&mut self, now: Instant, io: &impl StreamIo) {
        if self.snd.outstanding() > 0 || !self.has_unsent(io) {
            return;
        }
        if self.snd.snd_wnd > 0 {
            reach!(SillyOverride);
            let held = !self.config.cork && self.snd.more.is_on();
            self.flags.override_due = !held && !planted::is(Bug::NoOverride);
            self.announce_more(false);
            return;
        }
        if self.is_given_up(now, self.counters.probes, self.retries_max()) {
            self.advance(now, Trigger::GiveUp);
            return self.end(EndReason::TimedOut);
        }
        if self.is_shut_out() {
            self.flags.rst_due = true;
            self.advance(now, Trigger::GiveUp);
            return self.end(EndReason::TimedOut);
        }
        self.counters.probes = self.counters.probes.saturating_add(1);
        self.flags.probe_due = true;
        reach!(WindowProbe);
        if !planted::is(Bug::SteadyProbes) {
            self.rtt.back_off();
        }
        self.start_persist(now);
    }

    /// Input: the peer answers a probe, and its window is shut still: the next one goes so much later than the answer (as Linux's
    /// tcp_ack_probe has it). Once for each probe, so that no chatter puts the next one off for ever.
    #[cold]
    pub(in crate::tcp) fn probe_answered(&mut self, now: Instant) {
        let shut = self.snd.snd_wnd == 0 && self.snd.outstanding() == 0;
        if shut && self.timers.is_set(TimerReason::Persist) && !planted::is(Bug::ProbesInHaste) {
            let at = self.within_user_timeout(now, self.rto());
            self.timers.set(TimerReason::Persist, at);
        }
    }

    pub(in crate::tcp) fn start_persist(&mut self, now: Instant) {
        if !self.timers.is_set(TimerReason::Persist) && !planted::is(Bug::NoPersist) {
            if self.rtt.backoff() == 0 {
                self.begin_stall(now, Duration::ZERO);
                // Those before were keepalive's.
                self.counters.probes = 0;
            }
            let at = self.within_user_timeout(now, self.rto());
            self.timers.set(TimerReason::Persist, at);
        }
    }

    /// Getter: bytes or a FIN that were never sent.
    pub(in crate::tcp) fn has_unsent(&self, io: &impl StreamIo) -> bool {
        let unsent = self.snd.offset_of(self.snd.snd_max) < self.snd.end(io);
        self.state.may_send() && (unsent || (self.snd.is_shut() && !self.snd.fin_sent()))
    }

    pub(in crate::tcp) fn start_keepalive(&mut self, now: Instant) {
        if self.config.keepalive {
            let idle = millis(self.config.keepalive_idle_ms);
            self.timers.set(TimerReason::Keepalive, now + idle);
        }
    }

    /// RFC 9293 §3.8.4. The timer is not touched by traffic: it looks when it expires.
    fn keepalive_timeout(&mut self, now: Instant) {
        let idle = millis(self.config.keepalive_idle_ms);
        let silence = now.saturating_since(self.counters.last_rx);
        if self.state == State::TimeWait || !self.config.keepalive {
            return;
        }
        let busy = self.snd.outstanding() > 0 || self.timers.is_set(TimerReason::Persist);
        if (silence < idle || busy) && !planted::is(Bug::KeepaliveInHaste) {
            // Traffic, or a timer of its own that will tell.
            let next = if silence < idle { self.counters.last_rx } else { now };
            return self.timers.set(TimerReason::Keepalive, next + idle);
        }
        // TCP_USER_TIMEOUT overrides the number of probes, as on Linux.
        let counted = planted::is(Bug::ProbesCountedAnyway);
        let over = match if counted { 0 } else { self.config.user_timeout_ms } {
            0 => self.counters.probes >= self.config.keepalive_probes,
            ms => self.counters.probes > 0 && silence >= millis(ms),
        };
        if over && !planted::is(Bug::EndlessKeepalive) {
            self.advance(now, Trigger::GiveUp);
            self.end(EndReason::TimedOut);
            self.flags.rst_due = true;
            return;
        }
        self.counters.probes = self.counters.probes.saturating_add(1);
        self.flags.probe_due = true;
        reach!(KeepaliveProbe);
        let interval = millis(self.config.keepalive_interval_ms);
        self.timers.set(TimerReason::Keepalive, now + interval);
    }
}
