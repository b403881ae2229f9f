//! Who is at the other end of a unix socket.
//!
//! Not `rustix::net::sockopt::socket_peercred`: its `UCred::pid` has no zero, and zero is what the kernel says of a process in
//! another PID namespace (unix(7), `pid_vnr`), as of a container's on the host.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The process at the other end of a connection, as the kernel knew it when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Its number, as seen from here; 0 where it has none here.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Getter (daemon): who connected. Errors: what getsockopt(2) says.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    const LEN: libc::socklen_t = size_of::<libc::ucred>() as libc::socklen_t;
    let mut len = LEN;
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes at most `len` bytes, the size
    // of `credentials`, of which every bit pattern is a value, and the length written to `len`. Both outlive the call.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut len,
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // A socket of another family answers with less, or with nothing.
    if len != LEN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // The kernel's numbers are not negative.
    let pid = credentials.pid.unsigned_abs();
    Ok(PeerCredentials { pid, uid: credentials.uid, gid: credentials.gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_is_who_connected() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = peer_credentials(ours.as_fd()).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::getuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getgid().as_raw());
    }

    #[test]
    fn what_is_no_unix_socket_is_an_error() {
        let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        assert!(peer_credentials(file.as_fd()).is_err());
    }
}
