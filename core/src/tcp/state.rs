//! The states of RFC 9293 §3.3.2.

use serde::{Deserialize, Serialize};

/// A connection's state. LISTEN is a listener's, not a connection's, and CLOSED is a connection that waits to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// No connection.
    Closed,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received and answered.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// We sent FIN.
    FinWait1,
    /// Our FIN is acknowledged.
    FinWait2,
    /// The peer sent FIN.
    CloseWait,
    /// Both sent FIN at once, ours is not acknowledged.
    Closing,
    /// The peer sent FIN first, then we did.
    LastAck,
    /// Waiting for old segments to die out.
    TimeWait,
}
