//! Loss recovery: what is lost, and what to send again first. How fast is `congestion`'s to say.

mod newreno;
mod scoreboard;

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::seq::SeqNumber;

pub(in crate::tcp) use scoreboard::Scoreboard;

/// Duplicate acknowledgements that mean a loss (RFC 5681 §3.2).
pub(in crate::tcp) const DUP_THRESHOLD: u16 = 3;

/// Where recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) enum Phase {
    /// No loss is known.
    Open,
    /// Fast recovery (RFC 6582).
    Fast,
    /// After the retransmission timer expired (RFC 6298 §5.4 to 5.6).
    Loss,
}

/// Recovery state of the connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Recovery {
    pub(in crate::tcp) phase: Phase,
    /// The segment at `snd_una` is to be sent again, whatever the windows say.
    pub(in crate::tcp) retransmit_due: bool,
    /// Timeouts since the last progress, for R2.
    pub(in crate::tcp) retries: u8,
    /// Duplicate acknowledgements: each says that a segment left the network (RFC 5681 §3.2).
    pub(in crate::tcp) dup_acks: u16,
    /// The highest sequence number sent when the loss was found (RFC 6582 §3.2).
    pub(in crate::tcp) recover: SeqNumber,
    /// Made with the first SACK block, then kept.
    pub(in crate::tcp) scoreboard: Option<Box<Scoreboard>>,
}

/// What an acknowledgement means for recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tcp) enum Progress {
    /// No recovery is on: the window may grow.
    Open,
    /// Slow start after a timeout: the window may grow.
    Loss,
    /// A partial acknowledgement in fast recovery.
    Partial,
    /// Everything outstanding at the loss is acknowledged.
    Recovered,
}
