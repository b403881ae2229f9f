//! What the service manager is told, by datagrams as in sd_notify(3), and how it learns that the engine still turns.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use causeway_core::time::{Duration, Instant};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::links::clock;

/// Why the manager cannot be told anything, although it asks for it.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The variable has no path and no abstract name.
    #[error("NOTIFY_SOCKET is {0:?}, no path of a unix socket; unset it")]
    Address(String),
    /// The variable has no number.
    #[error("{0} is {1:?}, no number; unset it")]
    Number(&'static str, String),
    /// The operating system refuses a socket.
    #[error("the system refuses a socket to the service manager: {0}")]
    System(io::Error),
}

/// The way to the service manager, if there is one that wants to know.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    way: Option<Way>,
    watchdog: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Way {
    socket: Arc<OwnedFd>,
    to: SocketAddrUnix,
}

impl Way {
    fn send(&self, state: &[u8], flags: SendFlags) -> rustix::io::Result<()> {
        let flags = flags | SendFlags::NOSIGNAL;
        rustix::net::sendto(&self.socket, state, flags, &self.to).map(drop)
    }
}

impl Supervisor {
    /// Nobody wants to know.
    pub fn none() -> Self {
        Self::default()
    }

    /// The one that `NOTIFY_SOCKET` names, with the watchdog that `WATCHDOG_USEC` and `WATCHDOG_PID` ask for.
    ///
    /// # Errors
    /// A variable that says nothing, or no socket is to be had.
    pub fn from_env() -> Result<Self, SupervisorError> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(Self::none());
        };
        let pid = number("WATCHDOG_PID")?;
        let ours = pid.is_none_or(|pid| pid == u64::from(std::process::id()));
        let micros = number("WATCHDOG_USEC")?.filter(|micros| ours && *micros > 0);
        Self::new(&name, micros.map(Duration::from_micros))
    }

    /// The one that listens at `name`, a path or `@` and an abstract name; with a `watchdog` it takes the daemon for dead after so
    /// long a silence.
    ///
    /// # Errors
    /// It is no such name, or no socket is to be had.
    pub fn new(name: &OsStr, watchdog: Option<Duration>) -> Result<Self, SupervisorError> {
        let to = match name.as_bytes() {
            [b'@', hidden @ ..] if !hidden.is_empty() => SocketAddrUnix::new_abstract_name(hidden),
            [b'/', ..] => SocketAddrUnix::new(name),
            _ => Err(rustix::io::Errno::INVAL),
        };
        let to = to.map_err(|_| SupervisorError::Address(name.to_string_lossy().into_owned()))?;
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .map_err(|cause| SupervisorError::System(cause.into()))?;
        let way = Some(Way { socket: Arc::new(socket), to });
        Ok(Self { way, watchdog })
    }

    /// Command: applications can attach, or the configuration was read again.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Command: the configuration is being read again; [`Supervisor::ready`] follows.
    pub fn reloading(&self) {
        // The manager orders this against its own request by the clock.
        let micros = clock::now().as_nanos() / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Command: the daemon is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(way) = &self.way else { return };
        if let Err(cause) = way.send(state.as_bytes(), SendFlags::empty()) {
            tracing::warn!(%cause, state, "the service manager cannot be told");
        }
    }

    /// Getter: what an engine feeds, if the manager wants that.
    pub(crate) fn watchdog(&self) -> Option<Watchdog> {
        let (way, limit) = (self.way.clone()?, self.watchdog?);
        Some(Watchdog { way, every: part(limit, 3), next: Instant::ZERO })
    }
}

fn part(span: Duration, of: u64) -> Duration {
    Duration::from_nanos(span.as_nanos() / of)
}

fn number(name: &'static str) -> Result<Option<u64>, SupervisorError> {
    let Some(text) = env::var_os(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.to_str().and_then(|text| text.parse().ok()) {
        Some(number) => Ok(Some(number)),
        None => Err(SupervisorError::Number(name, text.to_string_lossy().into_owned())),
    }
}

/// What an engine's own thread feeds in its turns: an engine that hangs feeds no more, whatever the other threads do.
#[derive(Debug)]
pub(crate) struct Watchdog {
    way: Way,
    /// A third of the silence that the manager allows: one datagram may be late, and the next one, too.
    every: Duration,
    next: Instant,
}

impl Watchdog {
    /// Command: in each turn. Never waits; allocates nothing.
    pub(crate) fn feed(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        let fed = self.way.send(b"WATCHDOG=1", SendFlags::DONTWAIT);
        // A manager that is busy has a full queue: soon again.
        self.next = now + if fed.is_ok() { self.every } else { part(self.every, 8) };
    }

    /// Getter: when it is to be fed again.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_name_that_is_no_sockets_is_refused_in_one_line() {
        let refused = Supervisor::new(OsStr::new("vsock:2:1"), None).unwrap_err().to_string();
        assert_eq!(refused, "NOTIFY_SOCKET is \"vsock:2:1\", no path of a unix socket; unset it");
    }

    #[test]
    fn a_watchdog_is_fed_three_times_in_its_limit_and_sooner_when_it_was_not_heard() {
        let path = std::env::temp_dir().join(format!("causeway-notify-{}", std::process::id()));
        let limit = Duration::from_millis(300);
        let supervisor = Supervisor::new(path.as_os_str(), Some(limit)).unwrap();
        let mut watchdog = supervisor.watchdog().unwrap();
        let start = Instant::from_nanos(1_000_000_000);
        watchdog.feed(start);
        assert!(watchdog.next() < start + Duration::from_millis(50), "nobody listens yet");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let at = watchdog.next();
        watchdog.feed(at);
        assert_eq!(watchdog.next(), at + Duration::from_millis(100));
        watchdog.feed(at + Duration::from_millis(99));
        let mut bytes = [0; 64];
        let len = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"WATCHDOG=1");
        assert!(manager.recv(&mut bytes).is_err(), "once");
        std::fs::remove_file(&path).unwrap();
    }
}
