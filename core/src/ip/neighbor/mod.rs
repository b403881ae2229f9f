//! Neighbours: link-layer addresses of the next hops (RFC 826, RFC 1122 §2.3.2; timers of RFC 4861 §10).
//!
//! The table does no I/O. It says whom to ask ([`NeighborTable::poll_request`]) and is told what was
//! heard ([`NeighborTable::handle_arp`], [`NeighborTable::handle_advertised`]). Who waits for an answer parks its socket on the entry and is
//! woken by [`NeighborTable::poll_woken`]; no frame is ever queued here.

mod config;
mod table;

pub use config::{NeighborConfig, NeighborConfigBuilder, NeighborConfigError};
pub use table::{ArpOutcome, Heard, Lookup, NeighborKey, NeighborTable, Solicit};
