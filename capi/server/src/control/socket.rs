//! The listening socket and its file.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Why the control socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon answers there.
    #[error("another daemon listens on {}; stop it or set daemon.socket", .0.display())]
    InUse(PathBuf),
    /// The path names something else than a socket, which is not ours to delete.
    #[error("{} exists and is not a socket; remove it or set daemon.socket", .0.display())]
    NotASocket(PathBuf),
    /// The operating system refused.
    #[error("{}: cannot {what}: {cause}; {}", path.display(), advice(what, cause))]
    System {
        /// Of the socket.
        path: PathBuf,
        /// Which step.
        what: &'static str,
        /// Why.
        cause: io::Error,
    },
}

const SET_OWNER: &str = "set its owner";

fn advice(what: &str, cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "make the directory that it is to be in, or set daemon.socket",
        _ if what == SET_OWNER => "remove daemon.socket_owner, or start as root",
        _ => "set daemon.socket to a path that this user may create",
    }
}

/// A listening unix socket. Its file goes when this is dropped.
#[derive(Debug)]
pub struct ListeningSocket {
    fd: OwnedFd,
    path: PathBuf,
    /// Device and inode of our file: a successor's is left alone.
    identity: (u64, u64),
}

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 64;

impl ListeningSocket {
    /// Creates the file and listens. A file left by a daemon that died is replaced; one that somebody
    /// listens on, and anything that is not a socket, is not. Where the file is, connections are possible,
    /// and its permissions are in place.
    ///
    /// # Errors
    /// [`BindError`]; what was at `path` is there as before, unless it was a stale file.
    pub fn bind(
        path: &Path,
        kind: SocketType,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, BindError> {
        let system = |what: &'static str| {
            let path = path.to_owned();
            move |cause: io::Error| BindError::System { path, what, cause }
        };
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        match fs::DirBuilder::new().mode(0o755).create(parent) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(system("create its directory")(e));
            }
            _ => {}
        }
        // Two daemons that start at once must not both find the other's file stale.
        let _lock = lock_directory(parent).map_err(system("lock its directory"))?;
        remove_stale(path, kind)?;
        // Whoever sees the file may connect at once: it gets its name when everything else is done.
        let (unready, fd) = Unready::listen(parent, kind, mode, owner)
            .map_err(|(what, cause)| system(what)(cause))?;
        fs::rename(&unready.0, path).map_err(system("name its file"))?;
        let meta = fs::symlink_metadata(path).map_err(system("look at its file"))?;
        Ok(Self { fd, path: path.to_owned(), identity: (meta.dev(), meta.ino()) })
    }

    /// Getter: where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Output: the next connection, `None` when there is none at present. Never blocks.
    ///
    /// # Errors
    /// No descriptors, no memory.
    pub fn accept(&self) -> io::Result<Option<OwnedFd>> {
        accept(self.as_fd())
    }
}

/// Output: the next connection to a listening socket, `None` when there is none at present or it has gone already.
///
/// # Errors
/// No descriptors, no memory.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match rustix::net::accept_with(listener, flags) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for ListeningSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.identity);
        if ours {
            // Nothing can be done about a failure, and the next daemon replaces a stale file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The file of a socket that has not its name yet; it goes when this is dropped.
#[derive(Debug)]
struct Unready(PathBuf);

impl Unready {
    /// A socket that listens, in `directory`. An error comes with what could not be done.
    fn listen(
        directory: &Path,
        kind: SocketType,
        mode: u32,
        owner: Option<(u32, u32)>,
    ) -> Result<(Self, OwnedFd), (&'static str, io::Error)> {
        let failed = |what: &'static str| move |e: Errno| (what, io::Error::from(e));
        let unready = Self(directory.join(format!(".{}", std::process::id())));
        let path = &unready.0;
        let _ = fs::remove_file(path);
        let address = SocketAddrUnix::new(path).map_err(failed("use this path"))?;
        let fd = unix_socket(kind).map_err(failed("create a socket"))?;
        rustix::net::bind(&fd, &address).map_err(failed("bind"))?;
        let mode = Mode::from_raw_mode(mode);
        rustix::fs::chmod(path, mode).map_err(failed("set its mode"))?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(|e| (SET_OWNER, e))?;
        }
        rustix::net::listen(&fd, BACKLOG).map_err(failed("listen"))?;
        Ok((unready, fd))
    }
}

impl Drop for Unready {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn unix_socket(kind: SocketType) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)
}

/// Serialises daemons that start in one directory. Held during [`ListeningSocket::bind`] only; a lock that
/// somebody keeps for seconds is an error and not a daemon that hangs.
fn lock_directory(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(directory, flags, Mode::empty())?;
    for _ in 0..200 {
        match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(fd),
            Err(Errno::AGAIN | Errno::INTR) => thread::sleep(Duration::from_millis(10)),
            Err(e) => return Err(e.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

fn remove_stale(path: &Path, kind: SocketType) -> Result<(), BindError> {
    let system = |what: &'static str, cause: io::Error| BindError::System {
        path: path.to_owned(),
        what,
        cause,
    };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(system("look at its file", e)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    let address = SocketAddrUnix::new(path).map_err(|e| system("use this path", e.into()))?;
    let probe = unix_socket(kind).map_err(|e| system("create a socket", e.into()))?;
    match rustix::net::connect(&probe, &address) {
        // Only a refusal proves that nobody listens. (EPROTOTYPE: a listener of another kind.)
        Err(Errno::CONNREFUSED) => {
            fs::remove_file(path).map_err(|e| system("remove the stale file", e))
        }
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(BindError::InUse(path.to_owned())),
        Err(e) => Err(system("find out whether somebody listens", e.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("causeway-socket-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        dir
    }

    #[test]
    fn a_stale_file_is_replaced_and_a_live_daemon_is_not() {
        let dir = scratch("stale");
        let path = dir.join("s");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file, as a killed daemon does");
        let first = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None).unwrap();
        let second = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None);
        assert!(matches!(second, Err(BindError::InUse(_))), "{second:?}");
        drop(first);
        assert!(!path.exists(), "the file goes with the daemon");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_that_has_no_name_yet_can_be_connected_to_and_nothing_else_is_there() {
        let dir = scratch("ready");
        let (unready, fd) = Unready::listen(&dir, SocketType::SEQPACKET, 0o600, None).unwrap();
        let address = SocketAddrUnix::new(&unready.0).unwrap();
        assert_eq!(
            rustix::net::connect(unix_socket(SocketType::SEQPACKET).unwrap(), &address),
            Ok(())
        );
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "the name is not taken yet");
        drop((unready, fd));
        drop(ListeningSocket::bind(&dir.join("s"), SocketType::SEQPACKET, 0o600, None).unwrap());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing is left behind");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_listener_of_another_kind_counts_as_somebody() {
        let dir = scratch("kind");
        let path = dir.join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let bound = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None);
        assert!(matches!(bound, Err(BindError::InUse(_))), "{bound:?}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_path_that_cannot_be_says_what_to_do() {
        let dir = scratch("missing");
        let path = dir.join("a/b/s");
        let said = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None)
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            format!(
                "{}: cannot create its directory: No such file or directory (os error 2); make the \
                 directory that it is to be in, or set daemon.socket",
                path.display()
            )
        );
        fs::write(dir.join("a"), "").unwrap();
        let said = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None)
            .unwrap_err()
            .to_string();
        assert!(said.ends_with("set daemon.socket to a path that this user may create"), "{said}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_deleted() {
        let dir = scratch("file");
        let path = dir.join("s");
        fs::write(&path, "precious").unwrap();
        let bound = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None);
        assert!(matches!(bound, Err(BindError::NotASocket(_))), "{bound:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_mode_is_what_was_asked_whatever_the_umask() {
        let dir = scratch("mode");
        let socket =
            ListeningSocket::bind(&dir.join("s"), SocketType::SEQPACKET, 0o666, None).unwrap();
        let mode = fs::metadata(socket.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o666);
        drop(socket);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_successors_file_is_left_alone() {
        let dir = scratch("successor");
        let path = dir.join("s");
        let old = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None).unwrap();
        fs::remove_file(&path).unwrap();
        let new = ListeningSocket::bind(&path, SocketType::SEQPACKET, 0o600, None).unwrap();
        drop(old);
        assert!(path.exists());
        drop(new);
        fs::remove_dir_all(&dir).unwrap();
    }
}
