//! The application side of one engine: every channel's lane behind one [`causeway_core::port::AppPort`].
//!
//! A channel is *hot* or *idle*. Hot ones are looked at in each step. One that brought nothing for a while, or when the
//! engine is about to sleep, is armed and idle: nobody looks at it until its doorbell
//! rings or the stack has news for it. So a step costs what the active channels cost, however many are attached.

mod bells;
mod channel;
mod channel_port;
mod slots;
mod survey;
#[cfg(test)]
mod tests;

pub use bells::{BellQueue, Bells, EpollBells};
pub use channel::{Attached, Peer};
pub use channel_port::{ChannelPort, Eviction, PortConfig};
pub use slots::{Lease, Slots, TenantId};
pub use survey::SeenChannel;
