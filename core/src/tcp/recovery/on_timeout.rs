//! When a timer of recovery expires: retransmission (RFC 6298 §5.4 to 5.6), reordering and probe (RFC 8985 §6.2, §7.3).

use alloc::boxed::Box;

use super::flight::Flight;
use super::rack::Rack;
use super::sent::{Marks, Sent};
use super::state::Phase;
use super::timers::OFF;
use crate::planted::{self, Bug};
use crate::reach::reach;
use crate::tcp::connection::Connection;
use crate::tcp::event::Events;
use crate::tcp::timer::TimerReason;
use crate::time::{Duration, Instant};

/// Nothing in flight for so long, and what recovery keeps is given back.
const IDLE: Duration = Duration::from_secs(5);

impl Connection {
    /// Input: the retransmission timer expired and data is outstanding. `again`: it did for the same data before.
    pub(in crate::tcp) fn enter_loss(&mut self, now: Instant, again: bool) {
        let event = self.loss_event(now);
        let mss = self.options.mss();
        let phase = self.recovery.phase;
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        // One reduction for each window of data (RFC 5681 §3.1).
        let fresh = planted::is(Bug::ThresholdEachTime)
            || phase == Phase::Open
            || flight.una >= flight.recover
            || (phase == Phase::Loss && !again);
        if fresh {
            flight.undo.begin(flight.una, true, 0);
            if flight.prr.is_of_echo() {
                flight.undo.congested();
            }
        }
        if !planted::is(Bug::WindowSurvivesTimeout) {
            self.congestion.on_timeout(&event, !fresh);
        }
        // RFC 5682 §3.1 step 1, §3.2: not when a recovery was on already.
        flight.frto = phase == Phase::Open || again;
        flight.treat();
        flight.prr.end();
        flight.lose_all(now);
        // What left a moment ago counts as under way; the segment at `snd_una` goes in any case.
        let pipe = flight.pipe(mss);
        if pipe > 0 {
            self.congestion.set_cwnd(pipe.saturating_add(mss));
        }
        self.recovery.phase = Phase::Loss;
        reach!(TimeoutLoss);
        self.tell_losses(now);
        self.events.raise(Events::CONGESTION);
    }

    /// Command: what is in flight in segments that are too big now is lost, and no fault of the network's load: the window stays.
    pub(in crate::tcp) fn resend_too_big(&mut self) {
        let mss = self.options.mss();
        let Some(flight) = self.recovery.flight.as_deref_mut() else { return };
        reach!(TooBig);
        // What was one burst is cut anew as a whole (tcp_simple_retransmit, tcp_fragment).
        flight.sent.join_bursts();
        flight.lose(|record, _| record.len > mss);
        flight.blameless();
        self.recovery.phase = Phase::Loss;
    }

    /// Command: the handshake is done. What our SYN carried and the peer did not take is lost, and goes again as what it was
    /// (RFC 7413 §4.2.2). Of the network's load that says nothing (tcp_non_congestion_loss_retransmit).
    pub(in crate::tcp) fn resend_syn_data(&mut self, now: Instant) {
        let len = self.snd.outstanding();
        if len == 0 || !self.flags.active || planted::is(Bug::SynDataNotResent) {
            return;
        }
        self.snd.snd_nxt = self.snd.snd_max;
        reach!(SynDataAgain);
        let start = self.snd.offset_of(self.snd.snd_una);
        let mut flight = Box::new(Flight::new(start));
        flight.push(now, start + u64::from(len), false);
        flight.mark_last(Marks::PUSHED);
        flight.lose(|_, _| true);
        flight.blameless();
        self.recovery.flight = Some(flight);
        self.recovery.phase = Phase::Loss;
        self.timers.set(TimerReason::Retransmit, now + self.rto());
    }

    /// Input: stragglers had their time (RFC 8985 §6.3).
    pub(in crate::tcp) fn reorder_timeout(&mut self, now: Instant) {
        if planted::is(Bug::NoReorderTimer) {
            return;
        }
        self.find_losses(now);
        let Some(flight) = self.recovery.flight.as_deref() else { return };
        if self.recovery.phase == Phase::Open && flight.lost_bytes > 0 && !self.mtu_probe_lost() {
            reach!(ReorderTimeout);
            self.enter_recovery(now, 0);
            // As if a segment had just been delivered: something has to clock the others out (tcp_rack_reo_timeout).
            let clock = if planted::is(Bug::TimerClocksNothing) { 0 } else { self.options.mss() };
            self.reduce_proportionally(clock, false);
            // What is sent again now has its whole time.
            self.timers.set(TimerReason::Retransmit, now + self.rto());
        }
        self.tell_losses(now);
    }

    /// Input: PTO passed (RFC 8985 §7.3): a probe is due, and the retransmission timer starts again.
    pub(in crate::tcp) fn probe_timeout(&mut self, now: Instant) {
        if let Some(flight) = self.recovery.flight.as_deref_mut()
            && flight.outstanding() > 0
            && !flight.tlp.is_under_way()
            && !planted::is(Bug::NoTailProbe)
        {
            flight.tlp.due = true;
            let since = flight.sent.front().map_or(now, |record| record.xmit_time);
            self.begin_stall(now, now.saturating_since(since));
            let at = self.within_user_timeout(now, self.rto());
            self.timers.set(TimerReason::Retransmit, at);
        }
    }

    /// Command: nothing is in flight any more: recovery's memory goes after a while, unless it is needed again.
    pub(in crate::tcp) fn start_idle(&mut self, now: Instant) {
        self.not_busy(now);
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            flight.timers.probe = OFF;
            if flight.timers.idle == OFF {
                flight.timers.idle = now + IDLE;
            }
        }
    }

    /// The timer is not touched by traffic: it looks when it expires.
    pub(in crate::tcp) fn idle_timeout(&mut self, now: Instant) {
        let next = self.snd.offset_of(self.snd.snd_max);
        let waits = |f: &Flight| f.has_records_behind(next) && !planted::is(Bug::RecordsOfTheIdle);
        let flight = self.recovery.flight.as_deref();
        let held = flight.is_some_and(|f| f.timers.pacing != OFF || waits(f));
        let idle = now.saturating_since(self.counters.last_tx) >= IDLE;
        if self.snd.outstanding() == 0 && idle && !held {
            self.keep_busy_time(now);
            self.let_go_of_autotune();
            if let Some(flight) = self.recovery.flight.as_deref() {
                self.congestion.keep_delivery_rate(flight.rate.bytes_per_second());
                if flight.prr.is_of_echo() {
                    self.congestion.set_cwnd(self.congestion.ssthresh());
                }
            }
            return self.recovery.let_go();
        }
        if let Some(flight) = self.recovery.flight.as_deref_mut() {
            flight.timers.idle = match flight.outstanding() {
                0 if !held => self.counters.last_tx + IDLE,
                _ => now + IDLE,
            };
        }
    }
}

impl Flight {
    /// RACK_mark_losses_on_RTO (RFC 8985 §6.3): the first segment is lost, and each that had its time. What the peer holds it
    /// keeps, unless it took something back (RFC 2018 §8): then nothing that it said is believed, and all is lost.
    fn lose_all(&mut self, now: Instant) {
        let reneged = self.is_reneged() && !planted::is(Bug::RenegedInPart);
        if self.is_reneged() || planted::is(Bug::SackForgotten) {
            self.forget_sacked();
        }
        self.dup_acks = 0;
        let una = self.una;
        let all = |record: &Sent| record.start() == una || reneged;
        self.lose(|record, rack| all(record) || rack.had_its_time(record, now));
    }

    /// Command: what is lost was too big, and no fault of the network's load: there will be nothing to undo.
    pub(in crate::tcp) fn blameless(&mut self) {
        self.tell_lost(|_, _| ());
        self.treat();
        self.frto = false;
        self.undo.forget();
        self.tlp.reset();
        self.timers.probe = OFF;
    }

    /// Command: what lies in `start .. end` is lost, unless the peer holds it.
    pub(in crate::tcp) fn lose_range(&mut self, start: u64, end: u64) {
        let mut index = self.sent.index_of(start);
        while let Some(record) = self.sent.get(index).copied().filter(|r| r.start() < end) {
            if !record.marks.has(Marks::SACKED | Marks::LOST) {
                self.mark_lost(index);
            }
            index += 1;
        }
    }

    /// Marks every record lost that the peer does not hold, and that `is_lost` says of.
    fn lose(&mut self, is_lost: impl Fn(&Sent, &Rack) -> bool) {
        self.again.clear();
        self.prefer_new = false;
        self.tlp.reset();
        self.timers.reorder = OFF;
        self.timers.probe = OFF;
        let mut index = 0;
        while let Some(record) = self.sent.get(index).copied() {
            if !record.marks.has(Marks::SACKED) && is_lost(&record, &self.rack) {
                self.mark_lost(index);
            } else if record.marks.has(Marks::RETRANS) {
                self.again.push_back(record.start());
            }
            index += 1;
        }
        self.rack.judged = self.una;
    }
}
