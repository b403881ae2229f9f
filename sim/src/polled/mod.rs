//! Polled hosts: the production engine with programs that are plain values, without channel, threads or system calls.
//!
//! What a campaign of millions of seeds runs on. A host whose programs shall go through the shared-memory channel and the client
//! library is a [`crate::host::Host`].

mod host;
mod net;
mod port;
mod ring;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

pub use host::{MakeStack, PolledConfig, PolledHost, Program};
pub use net::{Net, NetError};
pub use port::{PolledPort, PortFaults};
pub use socket::{Sock, State};
pub use stream::PolledStream;

use causeway_core::port::ChannelId;

/// Names no program's channel.
const NO_CHANNEL: ChannelId = ChannelId { index: u32::MAX, generation: u32::MAX };
