//! What a socket is found by: its id, its addresses, its turn.
//!
//! Everything here holds slot indices of the one [`Table`]; nothing costs more with more sockets.

mod demux;
mod info;
mod key;
mod option;
mod ports;
mod ready;
mod table;

pub use demux::{ConnectionDemux, DemuxError, LISTENERS_PER_ENDPOINT_MAX, ListenerDemux};
pub use info::{INFO_WORDS, SocketInfo};
pub use key::{Address, Endpoint, FourTuple};
pub use option::{MtuDiscover, QuickAck, SocketOption};
pub(crate) use ports::PortSequence;
pub use ports::{EphemeralPorts, PROBES_MAX, PortRangeError};
pub use ready::ReadyQueue;
pub use table::{PAGE_SLOTS, Table};
