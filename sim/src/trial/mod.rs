//! One run of a scenario under a seed or a plan, watched by every oracle.

mod build;
mod case;
mod excuse;
mod outcome;
mod panic;
mod watch;

pub use build::TrialError;
pub use case::{Case, CaseError};
pub use outcome::{Outcome, Trial};
