//! What a segment led to, by name: the connection decides, the stack acts.

use super::seq::SeqNumber;

/// What became of a received segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Taken. Whether something is due is `poll_transmit`'s and `poll_event`'s to say.
    Accept,
    /// Dropped without an answer.
    Ignore,
    /// Dropped, or of no use, and an acknowledgement is due: `poll_transmit` gives it.
    SendAck,
    /// Dropped, and a challenge ACK is due (RFC 5961): `poll_transmit` gives it.
    ChallengeAck,
    /// Answer with a RST (RFC 9293 §3.10.7.1). The stack makes it of the segment's addresses.
    SendRst(Rst),
    /// A SYN that may begin a new incarnation of this connection arrived in TIME-WAIT (RFC 6191): the stack
    /// forgets this connection and offers the segment to the listener, or drops it where there is none.
    Reopen,
}

/// The RST that answers a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rst {
    /// Its sequence number.
    pub seq: SeqNumber,
    /// Its acknowledgement number; significant with `with_ack`.
    pub ack: SeqNumber,
    /// Whether the ACK bit is set.
    pub with_ack: bool,
}
