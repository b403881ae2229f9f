//! One run of a scenario under a seed or a plan, watched by every oracle.

mod bottleneck;
mod build;
mod case;
mod excuse;
mod foreign;
mod forgotten;
#[cfg(test)]
mod half_open_tests;
mod host;
mod ipc;
#[cfg(test)]
mod neighbor_tests;
#[cfg(test)]
mod nic_tests;
mod outcome;
mod pace;
mod panic;
mod pardon;
mod programs;
mod roster;
mod strikes;
mod watch;
mod witness;

pub use build::TrialError;
pub use case::{Case, CaseError};
#[cfg(test)]
pub(crate) use excuse::{ProgramExcuses, program_excuses};
pub use outcome::{Outcome, Trial};
pub(crate) use panic::catch;
pub use roster::{VIOLATION_LINE, Written};
