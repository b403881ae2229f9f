//! Where reasons become errno: the one place of this crate.

use causeway_core::error::{CommandError, EndReason};

/// A number of `errno(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident)*) => {
        /// The errors that calls of this host end with.
        #[allow(missing_docs, reason = "errno(3) documents each")]
        impl Errno {
            $(pub const $name: Self = Self(libc::$name);)*
        }
        /// Each name with its number.
        pub const NAMES: &[(&str, i32)] = &[$((stringify!($name), libc::$name)),*];
    };
}

errnos! {
    E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBUSY ECONNABORTED ECONNREFUSED
    ECONNRESET EDESTADDRREQ EDOM EEXIST EFAULT EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN ELOOP EMFILE
    EMSGSIZE ENETDOWN ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOMEM ENOMSG ENOPROTOOPT ENOSYS ENOTCONN ENOTSOCK
    ENOTSUP EOPNOTSUPP EPERM EPIPE EPROTO EPROTONOSUPPORT EPROTOTYPE ERANGE ESPIPE ETIMEDOUT ENOTTY
    ESOCKTNOSUPPORT
}

impl Errno {
    /// Getter: its name, or its number.
    pub fn name(self) -> String {
        let found = NAMES.iter().find(|(_, number)| *number == self.0);
        found.map_or_else(|| self.0.to_string(), |(name, _)| (*name).to_owned())
    }

    /// What the next call on a connection that ended for `reason` reports; `None` for an end in peace.
    /// `peer_closed`: the peer's FIN came before (Linux says EPIPE of a reset then).
    pub fn of_end(reason: EndReason, peer_closed: bool) -> Option<Self> {
        Some(match reason {
            EndReason::Closed => return None,
            EndReason::Refused => Self::ECONNREFUSED,
            EndReason::Reset if peer_closed => Self::EPIPE,
            EndReason::Reset => Self::ECONNRESET,
            EndReason::TimedOut => Self::ETIMEDOUT,
            EndReason::Aborted => Self::ECONNABORTED,
            EndReason::NoRoute => Self::ENETUNREACH,
            EndReason::HostUnreachable => Self::EHOSTUNREACH,
            EndReason::NoMemory => Self::ENOBUFS,
        })
    }
}

impl From<CommandError> for Errno {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::AddressInUse => Self::EADDRINUSE,
            CommandError::AddressNotAvailable | CommandError::PortsExhausted => Self::EADDRNOTAVAIL,
            CommandError::NoRoute => Self::ENETUNREACH,
            CommandError::LimitReached => Self::ENOBUFS,
            CommandError::UnknownSocket => Self::EBADF,
            CommandError::WrongState | CommandError::InvalidArgument => Self::EINVAL,
            CommandError::Unsupported => Self::EAFNOSUPPORT,
            CommandError::TimedOut => Self::ETIMEDOUT,
            CommandError::MtuTooSmall => Self::EMSGSIZE,
        }
    }
}
