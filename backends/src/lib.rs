//! NIC backends of Causeway: the edge between the stack and a network.
//!
//! | module | what it is |
//! |---|---|
//! | [`tap`] | a Linux TAP device |
//! | [`packet`] | an Ethernet device of the kernel, shared with it (AF_PACKET) |
//! | [`loopback`] | what is sent comes back, or arrives at the other end of a pair |
//! | [`fault`] | a decorator that loses, duplicates, reorders and corrupts, by a seed |
//! | [`AnyNic`] | all of them behind one type, one `match` a burst |
//! | [`Buf`] | the one frame type that they share |
//! | [`device`] | the names of the kernel's devices |
//! | [`contract`] | the test-suite that every backend passes |
//!
//! A backend belongs to one thread: open it on the thread that drives it.

pub mod adapt;
mod any;
mod buf;
pub mod contract;
pub mod device;
pub mod loopback;
pub mod packet;
pub mod tap;

pub use adapt::fault;
pub use any::{AnyNic, Losses, OpenError};
pub use buf::{Buf, HEADROOM, Pool};
pub use loopback::Loopback;
pub use packet::Packet;
pub use tap::Tap;
