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

/// Most groups of a process (NGROUPS_MAX).
const GROUPS_MAX: usize = 65_536;

/// Output (daemon): the other groups that the process was in when it connected (SO_PEERGROUPS, Linux 4.13).
///
/// # Errors
/// What getsockopt(2) says.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<u32> = vec![0; 32];
    loop {
        let mut len = size_of_val(groups.as_slice()) as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as it is borrowed; the kernel writes at most `len` bytes, the size of what `groups`
        // holds, of which every bit pattern is a number, and the length written or needed to `len`. Both outlive the call.
        let outcome = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let count = len as usize / size_of::<u32>();
        if outcome == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Too few: `len` says how many there are.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > GROUPS_MAX
        {
            return Err(error);
        }
        groups.resize(count, 0);
    }
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

    #[test]
    fn the_groups_of_the_peer_are_those_that_it_is_in() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let own = rustix::process::getgroups().unwrap();
        let own: Vec<u32> = own.into_iter().map(rustix::process::Gid::as_raw).collect();
        assert_eq!(peer_groups(ours.as_fd()).unwrap(), own);
        let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        assert!(peer_groups(file.as_fd()).is_err());
    }

    #[test]
    fn more_groups_than_are_usual_are_told_as_well() {
        // In a process of its own: groups are for root to set.
        let mut child = std::process::Command::new("setpriv");
        let many: Vec<String> = (5_000..5_100).map(|group: u32| group.to_string()).collect();
        child.args(["--groups", &many.join(",")]);
        if !rustix::process::geteuid().is_root() {
            // Who may not set groups is told so, and has few: the other test has them.
            assert!(!child.arg("true").status().unwrap().success());
            return;
        }
        let directory =
            std::env::temp_dir().join(format!("causeway-groups-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1)";
        let mut child = child.args(["python3", "-c", script]).arg(&path).spawn().unwrap();
        let (peer, _) = listener.accept().unwrap();
        let mut groups = peer_groups(peer.as_fd()).unwrap();
        groups.sort_unstable();
        assert_eq!(groups, (5_000..5_100).collect::<Vec<u32>>());
        drop(peer);
        assert!(child.wait().unwrap().success());
        std::fs::remove_dir_all(&directory).unwrap();
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
