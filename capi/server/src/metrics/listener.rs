//! Where the endpoint listens.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::SocketType;

use crate::config::MetricsAddress;
use crate::control::{BindError, ListeningSocket, accept};

/// Why the endpoint cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetricsBindError {
    /// Something else is there.
    #[error("{0} is in use; stop what listens there or set metrics.listen")]
    InUse(String),
    /// Something that is not a socket is there, which is not ours to delete.
    #[error("{0} exists and is not a socket; remove it or set metrics.listen")]
    NotASocket(String),
    /// The operating system refused.
    #[error("cannot listen on {at}: {cause}; set metrics.listen to what this user may listen on")]
    System {
        /// Where.
        at: String,
        /// Why.
        cause: io::Error,
    },
}

/// A listening stream socket. Its file, if it has one, goes when this is dropped.
#[derive(Debug)]
pub enum MetricsListener {
    /// On a loopback address.
    Tcp(TcpListener),
    /// On a file.
    Unix(ListeningSocket),
}

impl MetricsListener {
    /// Listens. A socket file has `mode` before anybody can connect; one that nobody listens on is replaced.
    ///
    /// # Errors
    /// It is in use, or not to be had.
    pub fn bind(address: &MetricsAddress, mode: u32) -> Result<Self, MetricsBindError> {
        let at = address.to_string();
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AddrInUse => MetricsBindError::InUse(at.clone()),
            _ => MetricsBindError::System { at: at.clone(), cause },
        };
        match address {
            MetricsAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                Ok(Self::Tcp(listener))
            }
            MetricsAddress::Unix(path) => {
                let bound = ListeningSocket::bind(path, SocketType::STREAM, mode, None);
                bound.map(Self::Unix).map_err(|error| match error {
                    BindError::InUse(_) => MetricsBindError::InUse(at.clone()),
                    BindError::NotASocket(_) => MetricsBindError::NotASocket(at.clone()),
                    BindError::System { cause, .. } => failed(cause),
                })
            }
        }
    }

    /// Output: the next connection, `None` when there is none at present. Never blocks.
    ///
    /// # Errors
    /// No descriptors, no memory.
    pub fn accept(&self) -> io::Result<Option<OwnedFd>> {
        accept(self.as_fd())
    }
}

impl AsFd for MetricsListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_stale_socket_file_is_replaced_and_nothing_else_is() {
        let path = std::env::temp_dir().join(format!("causeway-metrics-{}", std::process::id()));
        let address = MetricsAddress::Unix(path.clone());
        // The standard library leaves the file.
        drop(UnixListener::bind(&path).unwrap());
        let first = MetricsListener::bind(&address, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let second = MetricsListener::bind(&address, 0o640);
        assert!(matches!(second, Err(MetricsBindError::InUse(_))), "{second:?}");
        drop(first);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        let refused = MetricsListener::bind(&address, 0o640);
        assert!(matches!(refused, Err(MetricsBindError::NotASocket(_))), "{refused:?}");
        fs::remove_file(&path).unwrap();
    }
}
