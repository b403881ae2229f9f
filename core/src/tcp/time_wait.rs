//! TIME-WAIT (RFC 9293 §3.4.2, §3.6.1; RFC 1337; RFC 6191).

use super::connection::{Connection, millis};
use super::disposition::Disposition;
use super::input::SegmentIn;
use super::seq::SeqNumber;
use super::state::State;
use super::timer::TimerReason;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::Instant;
use crate::wire::tcp::TcpFlags;

/// What a connection in TIME-WAIT leaves to the one that takes its place.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// When TIME-WAIT began.
    pub since: Instant,
    /// The highest sequence number that was used.
    pub last: SeqNumber,
    ts_recent: u32,
    ts_recent_s: u32,
}

impl Connection {
    /// Getter: what the next connection with this four-tuple goes on from; `None` unless in TIME-WAIT, and with timestamps, by
    /// which segments of this one can be told from the next one's (RFC 6191 §2).
    pub fn before(&self) -> Option<Before> {
        if self.state != State::TimeWait || !self.options.timestamps {
            return None;
        }
        let begun = Instant::ZERO + millis(self.config.time_wait_ms);
        let since = self.timers.deadline(TimerReason::TimeWait).saturating_since(begun);
        Some(Before {
            since: Instant::ZERO + since,
            last: self.snd.snd_max,
            ts_recent: self.rcv.ts_recent,
            ts_recent_s: self.rcv.ts_recent_s,
        })
    }

    /// Command, before anything is sent: this connection takes the place of one in TIME-WAIT: segments older than the newest of
    /// that one are stale.
    pub fn go_on(&mut self, before: Before) {
        let Before { since: _, last: _, ts_recent, ts_recent_s } = before;
        (self.rcv.ts_recent, self.rcv.ts_recent_s) = (ts_recent, ts_recent_s);
    }

    pub(in crate::tcp) fn enter_time_wait(&mut self, now: Instant) {
        self.timers.stop_all();
        self.recovery.let_go();
        self.restart_time_wait(now);
        self.tell_end(EndReason::Closed);
    }

    pub(in crate::tcp) fn restart_time_wait(&mut self, now: Instant) {
        if !self.timers.is_set(TimerReason::TimeWait) || !planted::is(Bug::TimeWaitNotRestarted) {
            let halves = 1 + u32::from(planted::is(Bug::ShortTimeWait));
            self.timers.set(TimerReason::TimeWait, now + millis(self.config.time_wait_ms / halves));
        }
    }

    /// Getter: the highest sequence number used so far: what the next incarnation has to begin beyond (RFC 9293 MAY-2).
    pub fn last_sequence(&self) -> SeqNumber {
        self.snd.snd_max
    }

    /// Input: the SYN of [`Disposition::Reopen`], of which nothing can come: TIME-WAIT goes on and answers
    /// it as any other segment.
    pub fn handle_refused_syn(
        &mut self,
        now: Instant,
        segment: &SegmentIn<'_>,
        io: &mut impl StreamIo,
    ) -> Disposition {
        self.handle_synchronized(now, segment, io)
    }

    /// Getter: whether `segment` is a SYN that may begin a new incarnation: its timestamp, or without
    /// timestamps its sequence number, is beyond everything the old one can have sent (RFC 6191 §2).
    pub(in crate::tcp) fn may_reopen(&self, segment: &SegmentIn<'_>) -> bool {
        let header = segment.header;
        let opening = TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::RST.0);
        if header.flags.0 & opening.0 != TcpFlags::SYN.0 || planted::is(Bug::TimeWaitNeverReopens) {
            return false;
        }
        match header.options.timestamps.filter(|_| self.options.timestamps) {
            Some(ts) if ts.value != self.rcv.ts_recent => {
                ts.value.wrapping_sub(self.rcv.ts_recent).cast_signed() > 0
            }
            Some(_) | None => header.seq > self.rcv.rcv_nxt || planted::is(Bug::ReopenedByOldSyn),
        }
    }
}
