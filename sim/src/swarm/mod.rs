//! Campaigns of many seeds: drawn, run, and what fails made small.

mod campaign;
mod draw;
mod parts;
mod reach;
mod shrink;

pub use campaign::{Campaign, Failure, Progress, Results, Standing};
pub use draw::draw;
pub use shrink::{Shrunk, shrink, shrink_until};
