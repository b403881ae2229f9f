//! Campaigns of many seeds: drawn, run, and what fails made small.

mod campaign;
mod draw;
mod shrink;

pub use campaign::{Campaign, Failure, Results, Standing};
pub use draw::draw;
pub use shrink::{Shrunk, shrink};
