//! The client library's environment in a simulated program.

use std::io;

use causeway_channel::BellWait;
use causeway_client::{ApiCall, AttachError, Attachment, Env, WaitOutcome};
use causeway_core::time::{Duration, Instant};

use super::context::current;
use super::kind::GuestId;

/// Stands in for the operating system on a guest's thread. Everything is in the thread's
/// [`super::Context`]; a thread that is no guest can do nothing with it. Each guest has its own, as each process has.
#[derive(Debug)]
pub struct SimEnv {
    /// Keeps the value from being empty: libraries tell environments apart by their addresses.
    _guest: GuestId,
}

impl SimEnv {
    /// The environment of a guest.
    pub(super) const fn new(guest: GuestId) -> Self {
        Self { _guest: guest }
    }
}

/// How long copying takes: 10 bytes a nanosecond, which is what one core does from its cache.
const COPY_BYTES_PER_NANO: u64 = 10;

/// Getter: how many bytes are copied in a nanosecond.
pub const fn copy_bytes_per_nano() -> u64 {
    COPY_BYTES_PER_NANO
}

/// Getter: the name of a call in reports, and its declared cost in virtual time.
///
/// The costs are those of a call that finds what it needs, on a machine of today: they make programs
/// take time, in the right order of magnitude. What a call waits for comes on top.
pub fn name_and_cost(call: ApiCall) -> (&'static str, Duration) {
    let copy = |bytes: u32| u64::from(bytes) / COPY_BYTES_PER_NANO;
    let (name, nanos) = match call {
        ApiCall::Attach => ("attach", 100_000),
        ApiCall::Listen => ("listen", 1_000),
        ApiCall::Connect => ("connect", 1_000),
        ApiCall::Accept => ("accept", 500),
        ApiCall::Send(bytes) => ("send", 200 + copy(bytes)),
        ApiCall::Recv => ("recv", 300),
        ApiCall::Read => ("read", 300),
        ApiCall::Write(bytes) => ("write", 200 + copy(bytes)),
        ApiCall::Close => ("close", 500),
        ApiCall::Info => ("info", 500),
        ApiCall::SetOption => ("set_option", 500),
        ApiCall::Ping => ("ping", 500),
    };
    (name, Duration::from_nanos(nanos))
}

impl Env for SimEnv {
    fn attach(&self) -> Result<Attachment, AttachError> {
        let context = current().ok_or_else(outside)?;
        let grant = context.attach().map_err(|why| AttachError::Os(io::Error::other(why)))?;
        Ok(Attachment { grant, control: None })
    }

    fn wait(&self, bell: &BellWait, deadline: Option<Instant>) -> WaitOutcome {
        let (Some(context), BellWait::Virtual(token)) = (current(), bell) else {
            return WaitOutcome::DaemonGone;
        };
        match context.bell(*token) {
            Some(bell) if context.wait(&bell, deadline) => WaitOutcome::Woken,
            Some(_) if context.is_gone() => WaitOutcome::DaemonGone,
            Some(_) => WaitOutcome::TimedOut,
            None => WaitOutcome::DaemonGone,
        }
    }

    fn now(&self) -> Instant {
        super::now()
    }

    fn enter(&self, call: ApiCall) {
        if let Some(context) = current() {
            let (name, cost) = name_and_cost(call);
            context.enter(name, cost);
        }
    }
}

fn outside() -> AttachError {
    AttachError::Os(io::Error::other("this thread is no simulated program"))
}
