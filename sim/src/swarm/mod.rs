//! Campaigns of many seeds: drawn, run, and what fails made small.

mod around;
mod around_path;
mod calls;
mod campaign;
mod clocks;
mod draw;
mod foreign;
mod homes;
mod ipc;
mod links;
mod long;
mod neighbors;
mod nic;
mod parts;
mod profiles;
mod reach;
mod shrink;
mod twice;

pub use around::{Around, AroundError};
pub use campaign::{Campaign, Cases, Failure, Progress, Results, Standing};
pub use draw::draw;
pub use shrink::{Shrunk, shrink, shrink_until};
