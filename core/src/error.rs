//! Why something ended or was refused. One enum for each question; errno is made in `capi` only.

use serde::{Deserialize, Serialize};

/// Why a connection or flow came to its end. The socket layer reports exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndReason {
    /// Both sides closed, everything was delivered.
    Closed,
    /// The peer refused the connection: a valid RST in SYN-SENT (RFC 9293 §3.10.7.3).
    Refused,
    /// The peer sent a valid RST on an established connection.
    Reset,
    /// Retransmissions or probes were given up (RFC 9293 §3.8.3, R2).
    TimedOut,
    /// The local application aborted it.
    Aborted,
    /// No route to the destination.
    NoRoute,
    /// The next hop does not answer address resolution.
    HostUnreachable,
    /// The stack had no memory for it.
    NoMemory,
}

/// Why a command from an application was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommandError {
    /// The address and port are taken.
    AddressInUse,
    /// The local address belongs to none of our interfaces.
    AddressNotAvailable,
    /// No route to the remote address.
    NoRoute,
    /// Every ephemeral port towards that peer is taken.
    PortsExhausted,
    /// A configured limit (sockets, channels, memory) was reached.
    LimitReached,
    /// The socket does not exist or belongs to another channel.
    UnknownSocket,
    /// The socket is of another kind or in a state in which this makes no sense.
    WrongState,
    /// An argument is outside its documented range.
    InvalidArgument,
    /// The address family or protocol is not configured on this stack.
    Unsupported,
    /// No answer came in time (echo requests).
    TimedOut,
    /// Machnet needs a link with an MTU of at least 1500 bytes ([`crate::wire::machnet::MTU_MIN`]).
    MtuTooSmall,
}
