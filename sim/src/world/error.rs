//! Why a run failed, naming who waits for what.

use std::fmt;

use causeway_core::time::Instant;

/// One guest that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub guest: String,
    /// Its host's name.
    pub host: String,
    /// The call that it is in, or was in last.
    pub call: &'static str,
    /// For what, in words.
    pub state: String,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on host {}: in {}, {}", self.guest, self.host, self.call, self.state)
    }
}

/// Why a run failed. Guests that were not over stay stopped for ever; their threads are given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Nothing will ever happen again, and some guests are not over.
    #[error("deadlock at {at} s of virtual time: no event is left{}", list(.waiting))]
    Deadlock {
        /// When.
        at: Instant,
        /// Who.
        waiting: Vec<Waiting>,
    },
    /// The virtual clock passed the limit.
    #[error("not finished at {at} s of virtual time{}", list(.waiting))]
    TooLong {
        /// The limit.
        at: Instant,
        /// Who.
        waiting: Vec<Waiting>,
    },
    /// The number of events passed the limit.
    #[error("not finished after {events} events, at {at} s of virtual time{}", list(.waiting))]
    TooManyEvents {
        /// When.
        at: Instant,
        /// The limit.
        events: u64,
        /// Who.
        waiting: Vec<Waiting>,
    },
    /// A guest computes without ever calling the library.
    #[error("guest `{guest}` has not come back to the simulator after {call}")]
    GuestStuck {
        /// Its name.
        guest: String,
        /// Its last call.
        call: &'static str,
    },
    /// A guest panicked.
    #[error("guest `{guest}` panicked: {message}")]
    GuestPanicked {
        /// Its name.
        guest: String,
        /// What it said.
        message: String,
    },
    /// A guest ended with an exit code other than 0.
    #[error("guest `{guest}` ended with exit code {code}")]
    GuestFailed {
        /// Its name.
        guest: String,
        /// What its `main` returned.
        code: i32,
    },
    /// A guest's process died of a signal.
    #[error("guest `{guest}` was killed by signal {signal} ({}) after {call}", signal_name(*.signal).unwrap_or("see signal(7)"))]
    GuestKilled {
        /// Its name.
        guest: String,
        /// The signal.
        signal: i32,
        /// Its last call.
        call: &'static str,
    },
    /// A guest's process cannot be run under virtual time.
    #[error("guest `{guest}` cannot be simulated: {what}")]
    GuestDenied {
        /// Its name.
        guest: String,
        /// What it did.
        what: String,
    },
}

/// Getter: the name of a signal of which programs die.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        // RLIMIT_FSIZE.
        libc::SIGXFSZ => "SIGXFSZ",
        _ => return None,
    })
}

fn list(waiting: &[Waiting]) -> String {
    waiting.iter().map(|one| format!("\n  {one}")).collect()
}
