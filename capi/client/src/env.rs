//! Where the library runs.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use causeway_channel::{BellWait, Grant};
use causeway_core::time::{Duration, Instant};

use crate::error::AttachError;
use crate::os::OsEnv;

/// What an environment gives for an attach.
#[derive(Debug)]
pub struct Attachment {
    /// The channel.
    pub grant: Grant,
    /// The connection to the daemon: as long as it is open the daemon keeps the channel. `None` in the simulator.
    pub control: Option<OwnedFd>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The bell rang.
    Woken,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`.
    Interrupted,
    /// The daemon is gone.
    DaemonGone,
}

/// The entry points of the library, as scheduling points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiCall {
    /// Attach to the daemon.
    Attach,
    /// Listen for connections or flows.
    Listen,
    /// Open a connection or flow.
    Connect,
    /// Take an incoming connection.
    Accept,
    /// Send a message of so many bytes.
    Send(u32),
    /// Receive a message, or look at its size.
    Recv,
    /// Read from a stream.
    Read,
    /// Write so many bytes to a stream.
    Write(u32),
    /// Shut down, close or abort.
    Close,
    /// Ask for figures.
    Info,
    /// Set a socket option.
    SetOption,
    /// Send an echo request.
    Ping,
}

/// Where the library runs: an operating system, or a host of the simulator.
///
/// All of a program's channels on one host share one environment. Methods are called from the
/// application's threads.
pub trait Env: Send + Sync {
    /// Command: a new channel to the daemon of this host.
    fn attach(&self) -> Result<Attachment, AttachError>;

    /// Command: sleeps until the bell rings, the deadline (of [`Env::now`]'s clock) passes or the daemon
    /// is gone. A deadline that is not in the future means: look, do not sleep. Rings that
    /// came before count: a bell remembers one. May wake without reason.
    fn wait(&self, bell: &BellWait, deadline: Option<Instant>) -> WaitOutcome;

    /// Getter: the time, of a clock that never goes back.
    fn now(&self) -> Instant;

    /// Command: every entry point of the library begins with it. The simulator charges virtual time and may let others run;
    /// on an operating system it does nothing. Never called with a lock held.
    fn enter(&self, call: ApiCall);

    /// Getter: how long to look again and again before sleeping. Zero: not at all.
    fn spin(&self) -> Duration {
        Duration::ZERO
    }
}

thread_local! {
    static THREAD_ENV: RefCell<Option<Arc<dyn Env>>> = const { RefCell::new(None) };
}

/// Command: the environment of this thread from now on; `None` is the operating system's. Returns the one
/// before. The simulator calls it on each thread that plays a host.
pub fn set_thread_env(env: Option<Arc<dyn Env>>) -> Option<Arc<dyn Env>> {
    THREAD_ENV.with(|cell| cell.replace(env))
}

/// Command: runs `f` in an environment.
pub fn with_thread_env<T>(env: Arc<dyn Env>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<dyn Env>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            set_thread_env(self.0.take());
        }
    }
    let _restore = Restore(set_thread_env(Some(env)));
    f()
}

/// Getter: the environment of this thread.
pub fn current_env() -> Arc<dyn Env> {
    THREAD_ENV.with(|cell| cell.borrow().clone()).unwrap_or_else(|| Arc::clone(os()) as _)
}

/// Getter: the address of the environment of this thread, `Arc::as_ptr` of [`current_env`]. Names it as long as it
/// lives, and costs no count that other threads count too.
pub fn current_env_addr() -> usize {
    let own = THREAD_ENV.with(|cell| cell.borrow().as_ref().map(|env| Arc::as_ptr(env).addr()));
    own.unwrap_or_else(|| Arc::as_ptr(os()).addr())
}

/// Not state, only the absence of a simulator: what it needs it reads at each attach.
fn os() -> &'static Arc<OsEnv> {
    static OS: OnceLock<Arc<OsEnv>> = OnceLock::new();
    OS.get_or_init(|| Arc::new(OsEnv::new()))
}
