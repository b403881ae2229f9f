//! The timers of the extended profile, and what they lead to: a delayed acknowledgement, the next paced packet, questions.

use crate::error::EndReason;
use crate::machnet::flow::Flow;
use crate::machnet::packet::FlowTimer;
use crate::planted::{self, Bug};
use crate::reach::reach;
use crate::time::{Duration, Instant};

/// Kinds of timers that only flows in the extended profile have: those of [`FlowTimer`] from [`FlowTimer::Ack`] on.
pub(in crate::machnet) const EXTENDED_TIMERS: usize = 4;

impl Flow {
    /// An acknowledgement has waited for company long enough.
    pub(in crate::machnet) fn on_ack_timer(&mut self) {
        if let Some(extended) = &mut self.extended {
            reach!(MachnetAckDelayed);
            extended.ack.expire();
        }
    }

    /// The next packet may leave.
    pub(in crate::machnet) fn on_pacing_timer(&mut self) {
        if let Some(extended) = &mut self.extended {
            extended.paced = false;
        }
    }

    /// The tail of what was sent is not acknowledged, or a window stays closed.
    pub(in crate::machnet) fn on_probe_timer(&mut self, now: Instant) {
        let blocked = self.tx.is_empty();
        if blocked && !self.is_blocked() {
            return;
        }
        if blocked {
            reach!(MachnetWindowProbe);
            if !self.count_retry() {
                return;
            }
            let asked = self.extended.as_ref().map_or(0, |extended| extended.questions);
            self.note_questions(asked.saturating_add(1));
            let wait = self.question_wait(asked.saturating_add(1));
            self.set_timer(FlowTimer::Probe, Some(now + wait));
        } else {
            reach!(MachnetTailProbe);
        }
        self.ask();
    }

    /// Nothing was heard of the peer for long, unless it was.
    pub(in crate::machnet) fn on_keepalive_timer(&mut self, now: Instant) {
        let Some(extended) = &self.extended else { return };
        let since = now.saturating_since(extended.heard_at);
        // What is under way, and a closed window, have timers of their own.
        let watched = !self.tx.is_empty() || self.timer(FlowTimer::Probe).is_some();
        let wait = if since < self.config.keepalive() {
            self.config.keepalive().saturating_sub(since)
        } else if watched {
            self.config.keepalive()
        } else {
            reach!(MachnetKeepalive);
            if !self.count_retry() {
                return;
            }
            self.ask();
            self.question_wait(self.retries - 1)
        };
        self.set_timer(FlowTimer::Keepalive, Some(now + wait));
    }

    /// Another question without an answer. False when those are too many, and the flow has ended.
    fn count_retry(&mut self) -> bool {
        self.retries += 1;
        let lives = self.retries <= self.config.retries_max;
        if !lives {
            self.end(EndReason::TimedOut);
        }
        lives
    }

    fn ask(&mut self) {
        if let Some(extended) = &mut self.extended {
            extended.asking = true;
        }
    }

    fn note_questions(&mut self, count: u8) {
        if let Some(extended) = &mut self.extended {
            extended.questions = count;
        }
    }

    /// How long the answer to a question is waited for, after `doublings` others.
    fn question_wait(&self, doublings: u8) -> Duration {
        let doublings = doublings.min(20);
        let base = self.rto.base(&self.config) + self.config.ack_delay();
        base.saturating_mul(1 << doublings).min(self.config.rto_max)
    }

    /// There is something to send, nothing is under way, and the peer's window does not take it.
    fn is_blocked(&self) -> bool {
        self.is_open() && self.tx.is_empty() && !self.queue.is_empty() && !self.can_send_new()
    }

    /// Command: watches over what was queued, where the peer has no room for it. To be called after [`Flow::send_message`].
    pub fn watch(&mut self, now: Instant) {
        if self.extended.is_none() {
            return;
        }
        let probing = self.timer(FlowTimer::Probe).is_some();
        if self.is_blocked() {
            if !probing && !planted::is(Bug::MachnetNoWindowProbe) {
                let wait = self.question_wait(0);
                self.set_timer(FlowTimer::Probe, Some(now + wait));
            }
        } else {
            self.note_questions(0);
            if probing && self.tx.is_empty() {
                self.set_timer(FlowTimer::Probe, None);
            }
        }
    }

    /// The tail is looked after from now on: what is under way should be acknowledged within two round trips and what the peer may
    /// wait (RFC 8985 §7.2).
    pub(super) fn watch_tail(&mut self, now: Instant) {
        let wait = match self.rto.srtt() {
            Duration::ZERO => self.rto.base(&self.config),
            srtt => srtt.saturating_mul(2),
        };
        let at = now + wait + self.config.ack_delay();
        let tail = !self.tx.is_empty() && !self.tx.has_lost();
        self.set_timer(FlowTimer::Probe, tail.then_some(at));
    }
}
