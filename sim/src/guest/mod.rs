//! Simulated programs: one operating-system thread each, exactly one of which runs at a time.

mod bells;
mod context;
mod env;
mod program;
mod random;
mod thread;

pub use bells::{AppBell, Bells, HostBell};
pub use context::{Context, current, now, sleep};
pub use env::{SimEnv, name_and_cost};
pub use program::{Outcome, Program, Release};
pub use random::Random;
pub use thread::{AttachRequest, Guest, GuestId, GuestState};
