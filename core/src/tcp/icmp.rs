//! What ICMP errors do to a connection (RFC 1122 §4.2.3.9, RFC 5461, RFC 5927). Their part about the size of packets
//! is in `pmtu`.

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::seq::SeqNumber;
use super::state::State;
use crate::error::EndReason;
use crate::planted::{self, Bug};
use crate::reach::reach;

/// What an ICMP error says of the path or of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IcmpError {
    /// It may pass: no route at present, a time to live that ran out (RFC 1122 §4.2.3.9: codes 0, 1 and 5).
    Soft(EndReason),
    /// It will not pass: nobody has that port or speaks that protocol, or an administrator forbids it.
    Hard(EndReason),
}

impl Connection {
    /// Getter: a byte, SYN or FIN of ours with this sequence number is under way. Nobody off the path knows those numbers, so an
    /// ICMP error that quotes another one is forged or stale (RFC 5927 §4.1).
    pub fn has_in_flight(&self, seq: SeqNumber) -> bool {
        let anybody = planted::is(Bug::PmtuFromAnybody);
        anybody || (self.snd.snd_una <= seq && seq < self.snd.snd_max)
    }

    /// Getter: where what is acknowledged ends (SND.UNA), and what was sent.
    pub(crate) const fn progress(&self) -> (u32, u32) {
        (self.snd.snd_una.0, self.snd.snd_max.0)
    }

    /// Input: an ICMP error about the segment that began at `seq`. False when it is not believed.
    ///
    /// A connection that is being opened ends with either kind: nobody gains from waiting (RFC 5461 §4.1). A
    /// synchronized one never does, not even with the hard kind (RFC 5461 §4.2, RFC 5927 §5.2): what it heard is its
    /// reason if it times out later.
    pub fn handle_icmp(&mut self, seq: SeqNumber, error: IcmpError) -> bool {
        if !self.has_in_flight(seq) {
            return false;
        }
        let (IcmpError::Soft(reason) | IcmpError::Hard(reason)) = error;
        match self.state {
            State::SynSent | State::SynReceived if planted::is(Bug::IcmpUnheard) => {}
            // One that took data from a SYN is still being opened, whatever its application knows of it.
            State::SynSent | State::SynReceived => self.end(reason),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck => {
                reach!(SoftError);
                self.events.soft_error = Some(reason);
                if planted::is(Bug::IcmpEndsConnections) {
                    self.end(reason);
                }
            }
            State::Closed | State::TimeWait => {}
        }
        if planted::is(Bug::IcmpEndsConnections) {
            self.end(reason);
        }
        true
    }

    /// Getter: why a connection that times out has come to that, as far as ICMP has told since the last progress.
    pub(in crate::tcp) fn timeout_reason(&self) -> EndReason {
        self.events.soft_error.unwrap_or(EndReason::TimedOut)
    }
}
