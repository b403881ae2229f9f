//! Faults are data: explicit decisions, drawn from a seed or read from a text, then executed.

mod draw;
mod plan;
mod text;

pub use causeway_backends::adapt::fault::FaultProfile;
pub use draw::{FaultSource, draw};
pub use plan::{Decision, Fault, FaultPlan};
pub use text::{PlanError, write_decision};
