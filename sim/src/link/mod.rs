//! The physics of a link: what a frame costs, when it arrives, what does not fit.

mod cost;
mod direction;
mod lane;

pub use cost::{ETHERNET_OVERHEAD_BYTES, FRAME_BYTES_MIN, wire_bytes};
pub use direction::{Counters, Direction, LinkConfig, Queue, QueueLimit, Sent};
pub use lane::{Decider, FaultCounters, Flight, Lane, Stragglers};
