//! Simulated programs: operating-system threads or processes, exactly one of which runs at a time.

mod bells;
mod context;
mod env;
mod kind;
mod program;
mod random;
mod thread;

pub use bells::{AppBell, Bells, HostBell};
pub use context::{Context, current, now, sleep};
pub use env::{SimEnv, copy_bytes_per_nano, name_and_cost};
pub use kind::{AttachRequest, Guest, GuestId, GuestState, Moment, TurnEnd};
pub use program::{Outcome, Program, Release, set_release};
pub use random::Random;
pub use thread::ThreadGuest;
