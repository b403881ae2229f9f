//! The stack's reasons in words, as people read them in an error. The names of the variants are for programs.

use causeway_core::error::{CommandError, EndReason};

/// Getter: why the stack refuses.
pub const fn refusal(reason: &CommandError) -> &'static str {
    match reason {
        CommandError::AddressInUse => "the address and port are taken",
        CommandError::AddressNotAvailable => "the local address is none of the daemon's",
        CommandError::NoRoute => "the daemon has no route to it",
        CommandError::PortsExhausted => "no local port is free",
        CommandError::LimitReached => "a limit of the daemon is reached",
        CommandError::UnknownSocket => "the socket is gone",
        CommandError::WrongState => "the socket is in the wrong state",
        CommandError::InvalidArgument => "an argument is out of range",
        CommandError::Unsupported => "the daemon does not support it",
        CommandError::TimedOut => "no answer came in time",
        CommandError::MtuTooSmall => "Machnet needs a link with an MTU of 1500 bytes or more",
    }
}

/// Getter: why a connection or flow is at its end.
pub const fn end(reason: &EndReason) -> &'static str {
    match reason {
        EndReason::Closed => "both sides closed it",
        EndReason::Refused => "the peer refused",
        EndReason::Reset => "the peer reset it",
        EndReason::TimedOut => "the peer does not answer",
        EndReason::Aborted => "it was aborted here",
        EndReason::NoRoute => "the daemon has no route to the peer",
        EndReason::HostUnreachable => "the next hop does not answer",
        EndReason::NoMemory => "the daemon has no memory for it",
    }
}
