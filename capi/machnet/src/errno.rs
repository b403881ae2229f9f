//! errno: the one place where reasons become numbers, and numbers words.

use std::ffi::{CStr, c_int};
use std::io;

use causeway_client::{
    AttachError, CallError, CommandError, ConnectError, EndReason, FdError, ListenError, RecvError,
    Refusal, ReleaseError, SendError,
};

/// A value of errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    pub(crate) const INVALID: Self = Self(libc::EINVAL);
    pub(crate) const BAD_FLOW: Self = Self(libc::EBADF);
    pub(crate) const NOT_RECOVERABLE: Self = Self(libc::ENOTRECOVERABLE);

    /// Command: sets the calling thread's errno.
    pub(crate) fn set(self) {
        // SAFETY: the C library guarantees that the result points to the calling thread's errno, which lives
        // as long as the thread.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

impl From<CallError> for Errno {
    fn from(error: CallError) -> Self {
        Self(match error {
            CallError::WouldBlock => libc::EAGAIN,
            CallError::TimedOut => libc::ETIMEDOUT,
            CallError::Interrupted => libc::EINTR,
            CallError::Forked => libc::EINVAL,
            // A daemon that writes nonsense is as good as gone: detach and attach again.
            CallError::DaemonGone | CallError::Broken(_) => libc::ENETDOWN,
        })
    }
}

impl From<CommandError> for Errno {
    fn from(error: CommandError) -> Self {
        Self(match error {
            CommandError::AddressInUse => libc::EADDRINUSE,
            CommandError::AddressNotAvailable | CommandError::PortsExhausted => libc::EADDRNOTAVAIL,
            CommandError::NoRoute => libc::ENETUNREACH,
            CommandError::LimitReached => libc::ENOBUFS,
            CommandError::UnknownSocket => libc::EBADF,
            CommandError::WrongState
            | CommandError::InvalidArgument
            | CommandError::Unsupported => libc::EINVAL,
            CommandError::TimedOut => libc::ETIMEDOUT,
            CommandError::MtuTooSmall => libc::EMSGSIZE,
        })
    }
}

/// Why an attempt to connect came to nothing.
fn attempt_ended(reason: EndReason) -> Errno {
    Errno(match reason {
        EndReason::TimedOut => libc::ETIMEDOUT,
        EndReason::NoRoute => libc::ENETUNREACH,
        EndReason::HostUnreachable => libc::EHOSTUNREACH,
        EndReason::NoMemory => libc::ENOBUFS,
        EndReason::Refused | EndReason::Closed | EndReason::Reset | EndReason::Aborted => {
            libc::ECONNREFUSED
        }
    })
}

/// Why a flow that was there is there no more: the header promises one of these two.
fn flow_ended(reason: EndReason) -> Errno {
    Errno(match reason {
        // The peer cannot be reached any more.
        EndReason::TimedOut | EndReason::NoRoute | EndReason::HostUnreachable => libc::ETIMEDOUT,
        // To the application a flow that its peer closed is as dead as one that was reset.
        EndReason::Closed
        | EndReason::Reset
        | EndReason::Aborted
        | EndReason::Refused
        | EndReason::NoMemory => libc::ECONNRESET,
    })
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        // Without a number of the system's: the other side spoke, and wrongly.
        Self(error.raw_os_error().unwrap_or(libc::EPROTO))
    }
}

impl From<AttachError> for Errno {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::NoDaemon { error, .. } | AttachError::Os(error) => error.into(),
            AttachError::Refused(Refusal::Version) | AttachError::Protocol(_) => Self(libc::EPROTO),
            AttachError::Refused(Refusal::LimitReached) => Self(libc::ENOBUFS),
            AttachError::Refused(Refusal::Denied) => Self(libc::EACCES),
            AttachError::Refused(Refusal::ShuttingDown) => Self(libc::ECONNREFUSED),
        }
    }
}

impl From<ListenError> for Errno {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Refused(error) => error.into(),
            ListenError::Call(error) => error.into(),
        }
    }
}

impl From<ConnectError> for Errno {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused(error) => error.into(),
            ConnectError::Ended(reason) => attempt_ended(reason),
            ConnectError::Call(error) => error.into(),
        }
    }
}

impl From<SendError> for Errno {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Empty => Self::INVALID,
            SendError::TooLong { .. } => Self(libc::EMSGSIZE),
            SendError::UnknownFlow => Self::BAD_FLOW,
            SendError::Ended(reason) => flow_ended(reason),
            SendError::Reserved => Self(libc::EBUSY),
            SendError::NotReserved => Self::INVALID,
            SendError::TooManyPieces { .. } => Self(libc::ERANGE),
            SendError::Call(error) => error.into(),
        }
    }
}

impl From<FdError> for Errno {
    fn from(error: FdError) -> Self {
        match error {
            FdError::Unsupported => Self(libc::ENOTSUP),
            FdError::Os(error) => error.into(),
            FdError::Call(error) => error.into(),
        }
    }
}

impl From<ReleaseError> for Errno {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::NotBorrowed => Self::INVALID,
            ReleaseError::Call(error) => error.into(),
        }
    }
}

impl From<RecvError> for Errno {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::TooSmall { .. } => Self(libc::EMSGSIZE),
            RecvError::TooManyPieces { .. } => Self(libc::ERANGE),
            RecvError::Ended { reason, .. } => flow_ended(reason),
            RecvError::Call(error) => error.into(),
        }
    }
}

/// Getter: a value of errno in words, as `machnet.h` means it.
pub(crate) const fn text(error: c_int) -> &'static CStr {
    match error {
        0 => c"no error",
        libc::EINVAL => c"invalid argument, or a context that is not attached in this process",
        libc::EINTR => c"interrupted by a signal",
        libc::ENETDOWN => c"the daemon is gone",
        libc::ENOTRECOVERABLE => c"a defect in the library was caught; detach the context",
        libc::ENOENT => c"there is no daemon: its socket does not exist (see CAUSEWAY_SOCKET)",
        libc::ECONNREFUSED => c"nobody listens there",
        libc::EACCES => c"no permission to use the daemon's socket",
        libc::EPROTO => c"the daemon speaks another version of the protocol",
        libc::ENOMEM => c"out of memory",
        libc::EMFILE => c"too many open files in this process",
        libc::ENFILE => c"too many open files in the system",
        libc::ENOBUFS => c"a limit of the daemon is reached",
        libc::EADDRINUSE => c"the address is listened on already",
        libc::EADDRNOTAVAIL => c"not an address of the daemon, or no local port is free",
        libc::ETIMEDOUT => c"the peer does not answer",
        libc::EHOSTUNREACH => c"the next hop does not answer",
        libc::ENETUNREACH => c"no route to the peer",
        libc::EBADF => c"no such flow on this channel",
        libc::EMSGSIZE => {
            c"the message is longer than the buffer or than a message may be, or the link's MTU is below 1500"
        }
        libc::EAGAIN => c"it would have to wait",
        libc::ECONNRESET => c"the peer closed the flow, or it broke",
        libc::EBUSY => c"room is reserved on the flow: commit it, or give it up, first",
        libc::ERANGE => c"there are more pieces than the array has room for",
        libc::ENOTSUP => c"there are no descriptors inside the simulator's own process",
        _ => c"unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_client::Flow;

    const FLOW: Flow = Flow::from_bits(7);
    const ENDS: [EndReason; 8] = [
        EndReason::Closed,
        EndReason::Reset,
        EndReason::Refused,
        EndReason::TimedOut,
        EndReason::Aborted,
        EndReason::NoRoute,
        EndReason::HostUnreachable,
        EndReason::NoMemory,
    ];

    /// The values of errno that the header's text about `function` names.
    fn named_for(function: &str) -> Vec<&'static str> {
        let header = include_str!("../../include/machnet.h");
        let end = header.find(&format!("int {function}(")).unwrap();
        let text = &header[header[..end].rfind("/*\n").unwrap()..end];
        let words = text.split(|c: char| !c.is_ascii_uppercase());
        words.filter(|word| word.len() > 4 && word.starts_with('E')).collect()
    }

    fn name(error: Errno) -> &'static str {
        match error.0 {
            libc::ECONNREFUSED => "ECONNREFUSED",
            libc::ECONNRESET => "ECONNRESET",
            libc::EHOSTUNREACH => "EHOSTUNREACH",
            libc::ENETUNREACH => "ENETUNREACH",
            libc::ENOBUFS => "ENOBUFS",
            libc::ETIMEDOUT => "ETIMEDOUT",
            other => panic!("errno {other} for an end"),
        }
    }

    #[test]
    fn every_end_is_a_value_that_the_header_names_for_the_call() {
        let (send, recv, connect) =
            (named_for("machnet_send"), named_for("machnet_recv"), named_for("machnet_connect"));
        for reason in ENDS {
            let sent = name(SendError::Ended(reason).into());
            assert!(send.contains(&sent), "machnet_send says {sent} for {reason:?}");
            let received = name(RecvError::Ended { flow: FLOW, reason }.into());
            assert!(recv.contains(&received), "machnet_recv says {received} for {reason:?}");
            assert!(["ECONNRESET", "ETIMEDOUT"].contains(&received), "{reason:?}");
            let connected = name(ConnectError::Ended(reason).into());
            assert!(
                connect.contains(&connected),
                "machnet_connect says {connected} for {reason:?}"
            );
        }
    }

    #[test]
    fn a_buffer_that_is_too_small_is_among_the_words_for_what_it_gives() {
        let error = Errno::from(RecvError::TooSmall { len: 9, flow: FLOW });
        assert!(text(error.0).to_str().unwrap().contains("longer than the buffer"));
    }

    #[test]
    fn every_error_that_the_header_names_has_words_of_its_own() {
        let header = include_str!("../../include/machnet.h");
        let named = [
            ("EINVAL", libc::EINVAL),
            ("EINTR", libc::EINTR),
            ("ENETDOWN", libc::ENETDOWN),
            ("ENOTRECOVERABLE", libc::ENOTRECOVERABLE),
            ("ENOENT", libc::ENOENT),
            ("ECONNREFUSED", libc::ECONNREFUSED),
            ("EACCES", libc::EACCES),
            ("EPROTO", libc::EPROTO),
            ("ENOMEM", libc::ENOMEM),
            ("EMFILE", libc::EMFILE),
            ("ENFILE", libc::ENFILE),
            ("ENOBUFS", libc::ENOBUFS),
            ("EADDRINUSE", libc::EADDRINUSE),
            ("EADDRNOTAVAIL", libc::EADDRNOTAVAIL),
            ("ETIMEDOUT", libc::ETIMEDOUT),
            ("EHOSTUNREACH", libc::EHOSTUNREACH),
            ("ENETUNREACH", libc::ENETUNREACH),
            ("EBADF", libc::EBADF),
            ("EMSGSIZE", libc::EMSGSIZE),
            ("EAGAIN", libc::EAGAIN),
            ("ECONNRESET", libc::ECONNRESET),
            ("EBUSY", libc::EBUSY),
            ("ERANGE", libc::ERANGE),
            ("ENOTSUP", libc::ENOTSUP),
        ];
        let mut texts = std::collections::BTreeSet::new();
        for (name, value) in named {
            assert!(header.contains(name), "{name} is in the header");
            assert_ne!(text(value), c"unknown error", "{name}");
            assert!(texts.insert(text(value)), "{name} shares its words");
        }
        let words = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|w| w.len() > 4 && w.starts_with('E')) {
            let is_errno = word.chars().all(|c| c.is_ascii_uppercase());
            assert!(!is_errno || named.iter().any(|(name, _)| *name == word), "{word} is untested");
        }
        assert_eq!(text(-1), c"unknown error");
    }
}
