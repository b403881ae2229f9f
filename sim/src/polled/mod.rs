//! Polled hosts: the production engine with programs that are plain values, without channel, threads or system calls.
//!
//! What a campaign of millions of seeds runs on. Beside them a host may serve guests through the shared-memory channel
//! ([`ServedPort`]), and its own programs too ([`PolledPort::over_channels`]).

mod bells;
mod bounds;
#[cfg(test)]
mod channel_tests;
mod describe;
mod host;
mod host_port;
mod hostile;
mod lanes;
mod net;
mod port;
mod ring;
mod rings;
mod served;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod witness;

pub use host::{MakeStack, PolledConfig, PolledHost, Program};
pub use host_port::HostPort;
pub use net::{Net, NetError};
pub use port::{PolledPort, PortFaults};
pub use served::{ServedConfig, ServedPort, ServedStream};
pub use socket::{Sock, State};
pub use stream::PolledStream;
pub use witness::Witness;

use causeway_core::port::ChannelId;

/// Names no program's channel.
const NO_CHANNEL: ChannelId = ChannelId { index: u32::MAX, generation: u32::MAX };
