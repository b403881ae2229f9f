//! Live capture: what `causeway pcap` asks for.
//!
//! A tap in the engine copies what a filter lets through into a buffer of fixed size; the tool fetches it page by page. Nobody
//! waits for the tool: what finds the buffer full is counted as dropped. A capture that nobody asks for any more ends by itself.

mod captures;
mod filter;

pub(crate) use captures::CaptureTap;
pub use captures::{CAPTURES_MAX, Captures};
pub use filter::{Filter, Protocol};

use serde::{Deserialize, Serialize};

/// What to capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureStart {
    /// Which frames.
    pub filter: Filter,
    /// Bytes that are kept of each at most, 1 to [`SNAP_BYTES_MAX`].
    pub snap_bytes: u32,
}

/// The longest frame there is, and so the most that can be kept of one.
pub const SNAP_BYTES_MAX: u32 = causeway_core::nic::SUPER_FRAME_MAX as u32;

/// An interface as a capture names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedInterface {
    /// Its name.
    pub name: String,
    /// Frames begin with an Ethernet header; else with that of IP.
    pub ethernet: bool,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedFrame {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// Its place in the list of interfaces.
    pub interface: u8,
    /// It was sent.
    pub outgoing: bool,
    /// Its whole length.
    pub len: u32,
    /// What was kept of it.
    pub bytes: Vec<u8>,
}
