//! A script is played against a host, and what happens is compared with what it says.
//!
//! [`run_script`] takes the text of a script and gives an [`Outcome`] or a [`Failure`] that shows the line, what was expected
//! and what happened, and the timeline before it.

mod arguments;
mod command;
mod compare;
mod connection;
mod evaluate;
mod failure;
mod interpreter;
mod packets;
mod results;
mod syscalls;
mod wire;

pub use failure::Failure;
pub use interpreter::{Outcome, run_script};
