//! Who is at the other end of a unix socket.
//!
//! Not `rustix::net::sockopt::socket_peercred`: its `UCred::pid` has no zero, and zero is what the kernel says of a process in
//! another PID namespace (unix(7), `pid_vnr`), as of a container's on the host.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

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
    let credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    // SAFETY: every bit pattern is a ucred, and it owns nothing.
    let credentials = unsafe { socket_option(socket, libc::SO_PEERCRED, credentials)? };
    // The kernel's numbers are not negative.
    let pid = credentials.pid.unsigned_abs();
    Ok(PeerCredentials { pid, uid: credentials.uid, gid: credentials.gid })
}

/// `SO_PEERPIDFD` of Linux 6.5 (asm-generic/socket.h), which [`libc`] does not have.
const SO_PEERPIDFD: libc::c_int = 77;

/// Output (daemon): a descriptor that is readable once the process that connected has ended: however it ended, and whoever
/// inherited the connection. `None` where there is none to be had: an old kernel and a process of another PID namespace.
///
/// # Errors
/// What the system says; `NotFound` or an error of ESRCH when the process is gone already.
pub fn peer_process(
    socket: BorrowedFd<'_>,
    credentials: &PeerCredentials,
) -> io::Result<Option<OwnedFd>> {
    // SAFETY: every number is an integer.
    match unsafe { socket_option::<RawFd>(socket, SO_PEERPIDFD, -1) } {
        Ok(fd) if fd >= 0 => {
            // SAFETY: the kernel has just installed it, for us (unix(7)).
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
        }
        Ok(_) => Ok(None),
        // The option is unknown, or the kernel kept no process with the connection.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOPROTOOPT | libc::ENODATA)) => {
            process_by_number(credentials.pid)
        }
        Err(e) => Err(e),
    }
}

/// The same by the number. It may have gone to another process only if the one that connected ended since and all other
/// numbers were given out meanwhile; then the hang-up alone tells the end.
fn process_by_number(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => Ok(Some(fd)),
        // Before Linux 5.3, or forbidden by a seccomp filter of that time.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// What getsockopt(2) says of `name` at the level of sockets; `value` is what it writes over.
///
/// # Safety
/// Every bit pattern is a `T`.
unsafe fn socket_option<T: Copy>(
    socket: BorrowedFd<'_>,
    name: libc::c_int,
    mut value: T,
) -> io::Result<T> {
    let size = size_of::<T>() as libc::socklen_t;
    let mut len = size;
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes at most `len` bytes, the size
    // of `value`, of which every bit pattern is a value, and the length written to `len`. Both outlive the call.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // A socket of another family answers with less, or with nothing.
    if len == size { Ok(value) } else { Err(io::ErrorKind::InvalidData.into()) }
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

    /// Whether the process has ended.
    fn ended(process: &OwnedFd) -> bool {
        let mut watched = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut watched, Some(&now)).unwrap() == 1
    }

    #[test]
    fn the_process_of_the_peer_is_watched_and_lives() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = peer_credentials(ours.as_fd()).unwrap();
        let process = peer_process(ours.as_fd(), &peer).unwrap();
        assert!(!ended(&process.expect("a kernel of these years")));
        assert!(!ended(&process_by_number(peer.pid).unwrap().expect("a process of our own")));
    }

    #[test]
    fn a_process_without_a_number_here_is_not_watched_by_it() {
        assert!(process_by_number(0).unwrap().is_none());
        assert!(process_by_number(u32::MAX).unwrap().is_none());
    }

    #[test]
    fn by_its_number_a_process_is_seen_to_end() {
        let mut child = std::process::Command::new("cat");
        let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = process_by_number(child.id()).unwrap().unwrap();
        assert!(!ended(&process));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ended(&process));
        assert!(process_by_number(child.id()).is_err(), "it is gone");
    }

    #[test]
    fn what_is_no_unix_socket_is_an_error() {
        let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        assert!(peer_credentials(file.as_fd()).is_err());
        let peer = PeerCredentials { pid: 0, uid: 0, gid: 0 };
        assert!(peer_process(file.as_fd(), &peer).is_err());
    }
}
