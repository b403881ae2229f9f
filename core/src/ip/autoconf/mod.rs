//! IPv6 on one interface: its addresses and whether they may be used (RFC 4862), what routers say of the link (RFC 4861 §6),
//! and the groups that must be heard for all that.
//!
//! [`Ipv6Interface`] does no I/O. It is told what was heard and what time it is; it says what is to be sent
//! ([`Ipv6Interface::poll_action`]) and whether addresses or routes have changed ([`Ipv6Interface::take_changed`]).

mod address;
mod config;
mod iid;
mod interface;
mod routers;

pub use address::{AddressState, OwnAddress};
pub use config::{DAD_TRANSMITS_MAX, Ipv6Config, Ipv6Mode};
pub use interface::{Action, Ipv6Interface};

#[cfg(test)]
mod tests;
