//! Enums of the core as numbers. Numbers are never reused.

use causeway_core::error::{CommandError, EndReason};
use causeway_core::port::Transport;

use super::ProtoError;

macro_rules! codes {
    ($encode:ident, $decode:ident, $ty:ty, { $($variant:ident = $code:literal),* $(,)? }) => {
        pub(super) const fn $encode(value: $ty) -> u16 {
            match value { $(<$ty>::$variant => $code),* }
        }

        pub(super) const fn $decode(code: u64) -> Result<$ty, ProtoError> {
            match code { $($code => Ok(<$ty>::$variant),)* _ => Err(ProtoError::Code) }
        }
    };
}

codes!(transport_code, transport, Transport, { Tcp = 1, Machnet = 2, Udp = 3 });

codes!(end_reason_code, end_reason, EndReason, {
    Closed = 1,
    Refused = 2,
    Reset = 3,
    TimedOut = 4,
    Aborted = 5,
    NoRoute = 6,
    HostUnreachable = 7,
    NoMemory = 8,
});

codes!(command_error_code, command_error, CommandError, {
    AddressInUse = 1,
    AddressNotAvailable = 2,
    NoRoute = 3,
    PortsExhausted = 4,
    LimitReached = 5,
    UnknownSocket = 6,
    WrongState = 7,
    InvalidArgument = 8,
    Unsupported = 9,
    TimedOut = 10,
    MtuTooSmall = 11,
});
