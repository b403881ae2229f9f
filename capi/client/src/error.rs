//! Why a call failed: one enum for each question.

use std::io;

use causeway_channel::handshake::{HandshakeError, Refusal};
use causeway_channel::{ChannelFault, MapError};
use causeway_core::error::{CommandError, EndReason};

use crate::message::Flow;
use crate::words;

/// Why a call could not do its work now, whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It would have to wait, and was told not to.
    #[error("it would have to wait")]
    WouldBlock,
    /// The time that it was given has passed.
    #[error("the time has passed")]
    TimedOut,
    /// A signal came. What was begun goes on; calling again continues.
    #[error("interrupted by a signal")]
    Interrupted,
    /// This process is a child of the one that attached. Only the parent has the channel.
    #[error("the channel belongs to the parent process")]
    Forked,
    /// The daemon is gone.
    #[error("the daemon is gone")]
    DaemonGone,
    /// The daemon wrote something impossible.
    #[error("the channel is broken: {0}")]
    Broken(ChannelFault),
}

// Here and below by hand: the error prints its cause itself, so that one line says everything, and a chain of
// causes must not say it again.
impl From<ChannelFault> for CallError {
    fn from(fault: ChannelFault) -> Self {
        Self::Broken(fault)
    }
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The daemon's socket cannot be reached.
    #[error("cannot reach the daemon at {path}: {error}")]
    NoDaemon {
        /// Where its socket should be.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The daemon refused.
    #[error("{0}")]
    Refused(Refusal),
    /// What answered is no daemon of this version.
    #[error("daemon and library do not understand each other: {0}")]
    Protocol(String),
    /// A system call failed.
    #[error("cannot attach: {0}")]
    Os(io::Error),
}

impl From<io::Error> for AttachError {
    fn from(error: io::Error) -> Self {
        Self::Os(error)
    }
}

impl From<HandshakeError> for AttachError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Refused(refusal) => Self::Refused(refusal),
            HandshakeError::Os(error) => Self::Os(error),
            HandshakeError::Malformed | HandshakeError::Layout | HandshakeError::Closed => {
                Self::Protocol(error.to_string())
            }
        }
    }
}

impl From<MapError> for AttachError {
    fn from(error: MapError) -> Self {
        match error {
            MapError::Os(error) => Self::Os(error),
            MapError::Mismatch | MapError::Layout => Self::Protocol(error.to_string()),
        }
    }
}

/// Why nothing listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The stack refused.
    #[error("cannot listen: {}", words::refusal(.0))]
    Refused(CommandError),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why a UDP socket has not the ends that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The stack refused.
    #[error("cannot bind: {}", words::refusal(.0))]
    Refused(CommandError),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<ChannelFault> for BindError {
    fn from(fault: ChannelFault) -> Self {
        Self::Call(fault.into())
    }
}

/// Why a datagram was not sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Longer than [`crate::DATAGRAM_BYTES_MAX`].
    #[error("the datagram is too long")]
    TooLong,
    /// What was sent earlier was not taken. The socket goes on.
    #[error("the peer does not take datagrams: {}", words::end(.0))]
    Refused(EndReason),
    /// The socket is at its end.
    #[error("the socket is closed")]
    Closed,
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<ChannelFault> for DatagramError {
    fn from(fault: ChannelFault) -> Self {
        Self::Call(fault.into())
    }
}

/// Why there is no connection or flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The stack refused.
    #[error("cannot connect: {}", words::refusal(.0))]
    Refused(CommandError),
    /// The attempt came to its end.
    #[error("cannot connect: {}", words::end(.0))]
    Ended(EndReason),
    /// The call itself failed. The attempt was given up.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The connection ended otherwise than by the peer's closing, and everything that had arrived was read.
    #[error("the connection is at its end: {}", words::end(.0))]
    Ended(EndReason),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why bytes could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The connection is at its end.
    #[error("the connection is at its end: {}", words::end(.0))]
    Ended(EndReason),
    /// `shutdown_write` was called before.
    #[error("the stream was shut down for writing")]
    Shut,
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why a message could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A message has at least one byte.
    #[error("a message has at least one byte")]
    Empty,
    /// It is longer than a message may be.
    #[error("a message has at most {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: u32,
    },
    /// No such flow on this channel.
    #[error("no such flow")]
    UnknownFlow,
    /// The flow is at its end.
    #[error("the flow is at its end: {}", words::end(.0))]
    Ended(EndReason),
    /// Room was reserved on the flow and is neither sent nor given up.
    #[error("room is reserved on the flow: send it or give it up first")]
    Reserved,
    /// Nothing, or less, was reserved on the flow.
    #[error("so much was not reserved on the flow")]
    NotReserved,
    /// The room lies in more pieces than the caller takes. Nothing is reserved.
    #[error("the room lies in {needed} pieces, more than there is space for")]
    TooManyPieces {
        /// How many.
        needed: usize,
    },
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why there is no descriptor to poll.
#[derive(Debug, thiserror::Error)]
pub enum FdError {
    /// The environment has no descriptors.
    #[error("there is no descriptor here: nothing to poll inside the simulator's own process")]
    Unsupported,
    /// The operating system refused one.
    #[error("the system refuses a descriptor: {0}")]
    Os(std::io::Error),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why a borrowed message was not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// No message of this channel begins there that is borrowed.
    #[error("no borrowed message begins there")]
    NotBorrowed,
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why no message was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The next message is longer than the buffer. It stays queued.
    #[error("the message has {len} bytes, more than the buffer")]
    TooSmall {
        /// Its length in bytes.
        len: u32,
        /// Its flow.
        flow: Flow,
    },
    /// The next message lies in more pieces than the caller takes. It stays queued.
    #[error("the message lies in {needed} pieces, more than there is space for")]
    TooManyPieces {
        /// How many.
        needed: usize,
        /// Its flow.
        flow: Flow,
    },
    /// A flow has died, and everything that had arrived on it was delivered. Said once.
    #[error("a flow is at its end: {}", words::end(reason))]
    Ended {
        /// Which.
        flow: Flow,
        /// Why.
        reason: EndReason,
    },
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why an echo request got no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// The stack refused, or no reply came in its time.
    #[error("no echo: {}", words::refusal(.0))]
    Refused(CommandError),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why there are no figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// The stack does not know the socket (any more).
    #[error("no figures: {}", words::refusal(.0))]
    Refused(CommandError),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why an option was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Its value is outside the documented range.
    #[error("the option is not set: {}", words::refusal(.0))]
    Refused(CommandError),
    /// The call itself failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

macro_rules! from_fault {
    ($($error:ty),*) => {$(
        impl From<ChannelFault> for $error {
            fn from(fault: ChannelFault) -> Self {
                Self::Call(CallError::Broken(fault))
            }
        }
    )*};
}
from_fault!(
    ListenError,
    ConnectError,
    ReadError,
    WriteError,
    SendError,
    RecvError,
    PingError,
    InfoError,
    OptionError
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn an_error_is_one_sentence_without_names_of_rust() {
        let said = [
            ListenError::Refused(CommandError::AddressInUse).to_string(),
            ConnectError::Refused(CommandError::InvalidArgument).to_string(),
            ConnectError::Ended(EndReason::Refused).to_string(),
            WriteError::Ended(EndReason::TimedOut).to_string(),
        ];
        let expected = [
            "cannot listen: the address and port are taken",
            "cannot connect: an argument is out of range",
            "cannot connect: the peer refused",
            "the connection is at its end: the peer does not answer",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_cause_is_said_once() {
        let error = AttachError::from(io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(error.to_string(), "cannot attach: permission denied");
        assert!(error.source().is_none());
    }
}
