//! The physics of a link: what a frame costs, when it arrives, what does not fit, and what goes wrong on the way.

mod codel;
mod conditions;
mod cost;
mod decider;
mod direction;
mod forge;
mod held;
mod lane;
mod meddle;
mod neighbor;
mod red;
mod rewrite;
#[cfg(test)]
mod run_tests;

pub use codel::CoDelConfig;
pub use conditions::{Conditions, Passage};
pub use cost::{ETHERNET_OVERHEAD_BYTES, FRAME_BYTES_MIN, wire_bytes};
pub use decider::Decider;
pub use direction::{Counters, Direction, LinkConfig, Queue, QueueLimit, Sent};
pub use lane::{FaultCounters, Flight, Lane, Observers, Sink, Stragglers};
pub use red::RedConfig;
pub use rewrite::repair;
pub(crate) use rewrite::set_len as set_ip_len;
