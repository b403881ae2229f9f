//! A connection whose application is gone: what it had handed over is delivered, within a deadline.

use super::connection::{Connection, millis};
use super::state::State;
use super::timer::TimerReason;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::reach::reach;
use crate::time::{Duration, Instant};

/// Retransmissions and probes without an answer for a connection that nobody waits for any more (tcp_orphan_retries).
const RETRIES_MAX: u8 = 8;
/// From this retransmission timeout on a closed connection is not worth another probe, answered or not (TCP_RTO_MAX of Linux).
const RTO_MAX: Duration = Duration::from_secs(120);

impl Connection {
    /// Getter: how often something is sent again without an answer.
    pub(in crate::tcp) fn retries_max(&self) -> u8 {
        let max = self.config.retries_max;
        if self.flags.reader.is_gone() && !planted::is(Bug::EndlessOrphan) {
            max.min(RETRIES_MAX)
        } else {
            max
        }
    }

    /// Getter: the socket is closed, and the peer has kept its window shut for so long that what is queued will never be sent. A
    /// peer that lives and reads nothing could hold a closed connection for ever otherwise (RFC 6429).
    pub(in crate::tcp) fn is_shut_out(&self) -> bool {
        let longest = RTO_MAX.min(millis(self.config.rto_ms_max));
        self.flags.reader.is_gone() && self.rto() >= longest && !planted::is(Bug::EndlessOrphan)
    }

    /// Command: the application is gone, and will neither read nor write any more. A connection that owes the peer
    /// bytes or a FIN is closed as by [`Connection::close`], and what is not acknowledged at `deadline` ends with RST. One that
    /// owes nothing is aborted, so that the peer is told at once. TIME-WAIT goes on.
    pub fn detach(&mut self, now: Instant, deadline: Instant, io: &impl StreamIo) {
        match self.state {
            State::Closed | State::TimeWait => return,
            State::SynSent | State::SynReceived => return self.abort(now),
            State::Established | State::CloseWait
                if self.snd.outstanding() == 0 && !self.has_unsent(io) =>
            {
                return self.abort(now);
            }
            State::Established
            | State::CloseWait
            | State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck => {}
        }
        if !self.flags.reader.is_gone() {
            self.close(now, self.rcv.anchor.offset > io.rx_consumed(), io);
        }
        if self.state != State::Closed {
            self.timers.set_no_later(TimerReason::Orphan, deadline);
        }
    }

    /// In FIN-WAIT-2 everything is delivered, and a peer that still sends is answered with RST by whoever gets it. In any
    /// other state something is lost, of which the peer must know: also in CLOSING and LAST-ACK, where RFC 9293 §3.10.5 is
    /// content to forget, because there the application would not have been told either.
    pub(in crate::tcp) fn orphan_timeout(&mut self, now: Instant) {
        match self.state {
            State::FinWait2 if planted::is(Bug::EternalFinWait2) => {}
            State::FinWait2 => self.expire_quietly(now),
            State::Established
            | State::FinWait1
            | State::CloseWait
            | State::Closing
            | State::LastAck => {
                reach!(OrphanTimeout);
                self.end(EndReason::Aborted);
                self.flags.rst_due = true;
            }
            State::Closed | State::SynSent | State::SynReceived | State::TimeWait => {}
        }
    }
}
