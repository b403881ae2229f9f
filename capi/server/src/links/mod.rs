//! What goes between the daemon's threads: orders one way, evictions the other, and the bells for both.

pub(crate) mod clock;
mod order;
mod waker;

pub use order::{EngineHandle, EngineLinks, ORDERS_MAX, Order, links};
pub use waker::Waker;
