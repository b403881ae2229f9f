//! Doorbells: how one side wakes the other out of its sleep.
//!
//! A doorbell is rung only when the other side is *armed* ([`crate::armed`]), so at most once per sleep.
//!
//! The application's bell on an operating system is a unix socket pair whose far end only the daemon holds. One plain `read` on it then waits for
//! news *and* for the daemon's death (end of file), restarts after a signal exactly as `SA_RESTART` says, which
//! `ppoll` on an eventfd and the control socket would not, and can be handed to `poll` by the application.
//! The daemon's bells, one per lane, are eventfds that it polls beside its NICs; each channel has its own, so an
//! application that reads from one silences only itself.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

/// A bell that lives in the same process: the simulator's.
pub trait Wake: Send + Sync {
    /// Command: the sleeper has something to do.
    fn wake(&self);
}

/// The end of a bell that is rung.
#[derive(Clone)]
pub enum Doorbell {
    /// An eventfd.
    EventFd(Arc<OwnedFd>),
    /// Our end of a socket pair.
    Socket(Arc<OwnedFd>),
    /// A call in this process.
    Virtual(Arc<dyn Wake>),
}

impl std::fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EventFd(fd) => f.debug_tuple("EventFd").field(fd).finish(),
            Self::Socket(fd) => f.debug_tuple("Socket").field(fd).finish(),
            Self::Virtual(_) => f.write_str("Virtual"),
        }
    }
}

impl Doorbell {
    /// A bell that calls `wake`.
    pub fn from_wake(wake: Arc<dyn Wake>) -> Self {
        Self::Virtual(wake)
    }

    /// Command: rings. Never blocks. A bell that cannot be rung is either rung already or its owner is gone: nothing to do in both cases.
    pub fn ring(&self) {
        match self {
            Self::EventFd(fd) => {
                let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
            }
            Self::Socket(fd) => {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = rustix::net::send(fd, &[1], flags);
            }
            Self::Virtual(wake) => wake.wake(),
        }
    }

    /// Getter: what to poll for reading (an eventfd) or for the other end's death (a socket).
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::EventFd(fd) | Self::Socket(fd) => Some(fd.as_fd()),
            Self::Virtual(_) => None,
        }
    }

    /// Command: forgets past rings, after a wake.
    pub fn drain(&self) {
        if let Self::EventFd(fd) = self {
            let _ = rustix::io::read(fd, &mut [0_u8; 8]);
        }
    }
}

/// The end of the application's bell that is waited on.
#[derive(Debug)]
pub enum BellWait {
    /// A stream of bytes, one for each ring; end of file when the daemon is gone.
    Fd(OwnedFd),
    /// A number by which the environment (the simulator) knows the sleeper.
    Virtual(u64),
}

/// All the bells of one channel, made by the daemon before [`crate::DaemonChannel::create`].
#[derive(Debug)]
pub struct Doorbells {
    /// How the daemon wakes the application.
    pub app: Doorbell,
    /// What the application waits on; travels in the grant.
    pub app_wait: BellWait,
    /// How the application wakes each lane's engine; one per lane.
    pub lanes: Vec<Doorbell>,
}

impl Doorbells {
    /// Command: real ones.
    pub fn os(lanes: u32) -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let lanes = (0..lanes)
            .map(|_| {
                let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                Ok(Doorbell::EventFd(Arc::new(eventfd(0, flags)?)))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { app: Doorbell::Socket(Arc::new(ours)), app_wait: BellWait::Fd(theirs), lanes })
    }

    /// Virtual ones: `app` is woken for the application (which waits as `token`), `lanes` for the engines.
    pub fn simulated(app: Arc<dyn Wake>, token: u64, lanes: Vec<Arc<dyn Wake>>) -> Self {
        Self {
            app: Doorbell::Virtual(app),
            app_wait: BellWait::Virtual(token),
            lanes: lanes.into_iter().map(Doorbell::Virtual).collect(),
        }
    }
}
