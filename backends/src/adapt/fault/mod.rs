//! Faults by a seed: loss, duplication, reordering, corruption.
//!
//! [`decide`] is a pure function of (profile, seed, entity, frame number), so that a run can be
//! repeated, and leaving out one kind of fault does not move the others. [`Fault`] applies it to a
//! real backend; the simulator's links apply the same function to theirs.

mod decorator;
mod profile;

pub use decorator::{Fault, HELD_MAX, IDLE_POLLS_MAX};
pub use profile::{FaultProfile, FaultProfileBuilder, ProfileError, Verdict, corrupt, decide};
