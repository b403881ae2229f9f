//! The environment of an operating system.

use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use causeway_channel::BellWait;
use causeway_channel::handshake::{self, Hello};
use causeway_core::time::Instant;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::env::{ApiCall, Attachment, Env, WaitOutcome};
use crate::error::AttachError;

/// The environment variable that names the daemon's socket.
pub const SOCKET_VARIABLE: &str = "CAUSEWAY_SOCKET";
/// Where the daemon's socket is when nothing names it.
pub const DEFAULT_SOCKET: &str = "/run/causeway/causeway.sock";

/// An operating system: unix sockets, real time, real sleep.
///
/// The daemon's socket is, in this order: what was given to [`OsEnv::with_socket`]; the value of `CAUSEWAY_SOCKET`;
/// `$XDG_RUNTIME_DIR/causeway/causeway.sock` if it exists; `/run/causeway/causeway.sock`.
#[derive(Debug, Default)]
pub struct OsEnv {
    socket: Option<PathBuf>,
}

impl OsEnv {
    /// The usual one; the variables are read at each attach.
    pub const fn new() -> Self {
        Self { socket: None }
    }

    /// One whose daemon listens at `path`, whatever the variables say.
    pub fn with_socket(path: impl Into<PathBuf>) -> Self {
        Self { socket: Some(path.into()) }
    }

    /// Getter: where the daemon's socket is expected.
    pub fn socket_path(&self) -> PathBuf {
        if let Some(path) = &self.socket {
            return path.clone();
        }
        if let Some(path) = env::var_os(SOCKET_VARIABLE).filter(|v| !v.is_empty()) {
            return path.into();
        }
        env::var_os("XDG_RUNTIME_DIR")
            .map(|dir| PathBuf::from(dir).join("causeway/causeway.sock"))
            .filter(|path| path.exists())
            .unwrap_or_else(|| DEFAULT_SOCKET.into())
    }
}

impl Env for OsEnv {
    fn attach(&self) -> Result<Attachment, AttachError> {
        let path = self.socket_path();
        let control = handshake::connect(&path)
            .map_err(|error| AttachError::NoDaemon { path: path.display().to_string(), error })?;
        handshake::send_hello(control.as_fd(), &Hello::ours())?;
        let grant = handshake::recv_reply(control.as_fd())?;
        Ok(Attachment { grant, control: Some(control) })
    }

    fn wait(&self, bell: &BellWait, deadline: Option<Instant>) -> WaitOutcome {
        match (bell, deadline) {
            // A plain blocking receive: it restarts after a signal exactly as SA_RESTART says.
            (BellWait::Fd(fd), None) => take_rings(fd, RecvFlags::empty()),
            (BellWait::Fd(fd), Some(deadline)) => self.wait_until(fd, deadline),
            // A bell of the simulator has nothing to wait on here.
            (BellWait::Virtual(_), _) => WaitOutcome::DaemonGone,
        }
    }

    fn now(&self) -> Instant {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    fn enter(&self, _: ApiCall) {}
}

impl OsEnv {
    fn wait_until(&self, fd: &OwnedFd, deadline: Instant) -> WaitOutcome {
        let left = deadline.saturating_since(self.now()).as_nanos();
        let timeout = Timespec {
            tv_sec: i64::try_from(left / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (left % 1_000_000_000) as _,
        };
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => WaitOutcome::TimedOut,
            Ok(_) => take_rings(fd, RecvFlags::DONTWAIT),
            Err(Errno::INTR) => WaitOutcome::Interrupted,
            Err(_) => WaitOutcome::DaemonGone,
        }
    }
}

/// Takes the rings that are there, or waits for one.
fn take_rings(fd: &OwnedFd, flags: RecvFlags) -> WaitOutcome {
    let mut rings = [0; 64];
    match rustix::net::recv(fd, &mut rings[..], flags) {
        // Only the daemon holds the other end.
        Ok((_, 0)) => WaitOutcome::DaemonGone,
        Ok(_) | Err(Errno::AGAIN) => WaitOutcome::Woken,
        Err(Errno::INTR) => WaitOutcome::Interrupted,
        Err(_) => WaitOutcome::DaemonGone,
    }
}
