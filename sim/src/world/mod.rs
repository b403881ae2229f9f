//! Discrete events: hosts, links and guests under one virtual clock that jumps and never ticks.

mod build;
mod error;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub use build::{HostEngine, HostId, WorldConfig};
pub use error::{RunError, Waiting};
pub use state::{Stats, World};
