//! Where the endpoint listens.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::config::MetricsAddress;

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
pub struct MetricsListener {
    fd: OwnedFd,
    /// With device and inode: a successor's is left alone.
    file: Option<(PathBuf, (u64, u64))>,
}

impl MetricsListener {
    /// Listens. A socket file gets `mode`; one that nobody listens on is replaced.
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
                Ok(Self { fd: listener.into(), file: None })
            }
            MetricsAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                let identity = fs::symlink_metadata(path).map_err(failed)?;
                let identity = (identity.dev(), identity.ino());
                let listener = Self { fd: listener.into(), file: Some((path.clone(), identity)) };
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
                Ok(listener)
            }
        }
    }

    /// Output: the next connection, `None` when there is none at present. Never blocks.
    ///
    /// # Errors
    /// No descriptors, no memory.
    pub fn accept(&self) -> io::Result<Option<OwnedFd>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.fd, flags) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsFd for MetricsListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for MetricsListener {
    fn drop(&mut self) {
        let Some((path, identity)) = &self.file else { return };
        let ours = fs::symlink_metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == *identity);
        if ours {
            let _ = fs::remove_file(path);
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), MetricsBindError> {
    let at = path.display().to_string();
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(MetricsBindError::System { at, cause }),
        Ok(meta) if !meta.file_type().is_socket() => Err(MetricsBindError::NotASocket(at)),
        // Only a refusal proves that nobody listens.
        Ok(_) => match UnixStream::connect(path) {
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(|cause| MetricsBindError::System { at, cause })
            }
            _ => Err(MetricsBindError::InUse(at)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
