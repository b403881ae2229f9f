//! What a guest runs, and how it ended.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use causeway_client::Env;

use crate::loader;
use crate::process::ProcessConfig;
use crate::world::signal_name;

/// A simulated program.
pub enum Program {
    /// A Rust closure. It uses the library as any program does; what it returns is its exit code.
    Closure(Box<dyn FnOnce() -> i32 + Send>),
    /// A program built as a shared object (`cc -shared -fPIC`): its `main` is called, with the guest's
    /// name as the first argument. Each instance is loaded from a copy of its own and has globals of its own. It must
    /// return from `main`: `exit` would end the simulator.
    SharedObject {
        /// The file's bytes.
        image: Cow<'static, [u8]>,
        /// Arguments after the name.
        arguments: Vec<String>,
        /// What the C library does when a process ends, called with the guest's environment after `main` has
        /// returned: it forgets the contexts that the program left behind. `None`: what [`set_release`] was told.
        release: Option<Release>,
    },
    /// A shipped program, run as a process of its own under virtual time.
    Process(ProcessConfig),
}

/// Forgets what a C library keeps of an environment.
pub type Release = fn(&Arc<dyn Env>);

/// That of the C library that is linked into this executable.
static RELEASE: OnceLock<Release> = OnceLock::new();

/// Command: says how the C library of this executable forgets what a program left behind: for shared objects that name nothing else. The
/// first call counts.
pub fn set_release(release: Release) {
    RELEASE.get_or_init(|| release);
}

impl Program {
    /// A closure whose panic is its only failure.
    pub fn from_fn(body: impl FnOnce() + Send + 'static) -> Self {
        Self::Closure(Box::new(move || {
            body();
            0
        }))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closure(_) => f.write_str("Closure"),
            Self::SharedObject { image, arguments, .. } => {
                write!(f, "SharedObject({} bytes, {arguments:?})", image.len())
            }
            Self::Process(config) => write!(f, "Process({config:?})"),
        }
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `main` returned this, or the process ended with it.
    Exit(i32),
    /// It panicked with this message.
    Panicked(String),
    /// The process died of this signal.
    Signal(i32),
    /// The process did what the simulator cannot order, or could not be started.
    Denied(String),
    /// It computes and neither calls nor ends; the call that it made last.
    Stuck(&'static str),
    /// The simulator ended it: its host crashed, or the run was over.
    Killed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "ended with status {status}"),
            Self::Panicked(message) => write!(f, "failed: {message}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name @ "SIGXFSZ") => {
                    write!(
                        f,
                        "was killed by {name}: it wrote more than 64 MiB to a file or to its output"
                    )
                }
                Some(name) => write!(f, "was killed by {name}"),
                None => write!(f, "was killed by signal {signal}"),
            },
            Self::Denied(what) => write!(f, "cannot be simulated: {what}"),
            Self::Stuck(call) => write!(f, "computes without end after {call}"),
            Self::Killed => f.write_str("was ended: its host crashed, or the run was over"),
        }
    }
}

impl Program {
    /// Command: runs it on this thread to its end.
    pub(super) fn run(self, name: &str) -> Outcome {
        let body = AssertUnwindSafe(|| match self {
            Self::Closure(body) => Outcome::Exit(body()),
            Self::SharedObject { image, arguments, release } => {
                let outcome = match loader::run_main(name, &image, &arguments) {
                    Ok(code) => Outcome::Exit(code),
                    Err(error) => Outcome::Panicked(error.to_string()),
                };
                if let Some(release) = release.or_else(|| RELEASE.get().copied()) {
                    release(&causeway_client::current_env());
                }
                outcome
            }
            Self::Process(_) => Outcome::Denied("a process is no thread".to_owned()),
        });
        catch_unwind(body).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Outcome::Panicked(text.unwrap_or("a value that is no text").to_owned())
        })
    }
}
