//! Captures that somebody else wrote: pcap and pcapng, read as hostile input.
//!
//! [`Capture`] is the file: its packets with their times, whatever wrote it. [`Trace`] is what of it can be used: TCP segments and UDP
//! datagrams over IPv4 and IPv6, and what ICMP says of segments. [`Connections`] are the connections that segments belong to, with numbers that
//! count from each one's begin.

mod connection;
mod datagram;
mod error;
mod exchange;
mod file;
mod frame;
mod import;
mod link;
mod pcap;
mod pcapng;
mod replay;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod tests;
mod trace;
mod units;

pub use connection::{Connection, Connections, Half, Opening, Role, Spot};
pub use datagram::{Datagram, Notice, Parcel, Report};
pub use error::ReadError;
pub use file::{Capture, Interface, PACKETS_MAX, Record};
pub use frame::{Frame, Segment};
pub use import::{ImportError, Imported, Input, Kinds, Read, import};
pub use link::LinkKind;
pub use replay::{Item, Line, ReplayError, Replayed, Sameness, replay};
pub use trace::{Skipped, Trace};
