//! Oracle O5: hosts that are not Causeway, to talk to those that are.
//!
//! [`TextbookHost`] is a plain reading of RFC 9293 with nothing else: no SACK, no timestamps, no window scale, go-back-N after a fixed
//! timeout that doubles, one fixed window. It shares no code with the stack. Both sides run the flows of a scenario, and both are held
//! to oracle O1: every byte once, in order, and the end where it belongs.
//!
//! [`SmolHost`] is the smoltcp crate: somebody else's reading, with window scaling, delayed acknowledgements, Nagle's algorithm and fast
//! retransmission, and with its own defects.

mod host;
mod segment;
mod smol;
mod talk;
#[cfg(test)]
mod tests;
mod textbook;

pub use host::TextbookHost;
pub use smol::SmolHost;

use std::net::{Ipv4Addr, SocketAddr};

use crate::nic::NicConfig;

/// What a host with another stack is made of.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Its NIC.
    pub nic: NicConfig,
    /// Its address, and the length of its link's prefix in bits.
    pub address: (Ipv4Addr, u8),
    /// Where everything beyond its link goes.
    pub gateway: Option<Ipv4Addr>,
    /// Bytes that a connection keeps of what it received and of what it sends, where the stack can be told.
    pub buffers: [usize; 2],
    /// Idle connections are kept alive, where the stack can do that.
    pub keepalive: bool,
}

/// An address over IPv4 with its port.
const fn v4(address: SocketAddr) -> Option<(Ipv4Addr, u16)> {
    match address {
        SocketAddr::V4(address) => Some((*address.ip(), address.port())),
        SocketAddr::V6(_) => None,
    }
}
