//! Discrete events: hosts, links and guests under one virtual clock that jumps and never ticks.

mod build;
mod clock;
mod edges;
mod error;
mod guests;
mod rest;
mod run;
mod state;
#[cfg(test)]
mod tests;

pub use build::{End, HostEngine, HostId, Relay, RelayId, WorldConfig};
pub use edges::UnknownTarget;
pub use error::{RunError, Waiting, signal_name};
pub use guests::Again;
pub use rest::Described;
pub use run::Stop;
pub use state::{Stats, World};
