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

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Closed,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// Getter: both SYNs are known and acknowledged (RFC 9293 §3.5.1).
    pub const fn is_synchronized(self) -> bool {
        match self {
            Self::Closed | Self::SynSent | Self::SynReceived => false,
            Self::Established
            | Self::FinWait1
            | Self::FinWait2
            | Self::CloseWait
            | Self::Closing
            | Self::LastAck
            | Self::TimeWait => true,
        }
    }

    /// Getter: data from the peer may still arrive (RFC 9293 §3.10.7.4, seventh).
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Getter: data or our FIN may still have to be sent, or sent again.
    pub const fn may_send(self) -> bool {
        matches!(
            self,
            Self::Established | Self::FinWait1 | Self::CloseWait | Self::Closing | Self::LastAck
        )
    }

    /// Getter: the application has asked for our FIN.
    pub const fn is_closing(self) -> bool {
        matches!(
            self,
            Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck | Self::TimeWait
        )
    }
}
