//! UDP sockets (RFC 768): datagrams between the rings and the network. Addresses, routes and headers are the stack's.

mod set_option;
mod socket;

pub use socket::{ARRIVED_MAX, Outgoing, QUEUE_MAX, ReceiveError, SendError, UdpSocket};
