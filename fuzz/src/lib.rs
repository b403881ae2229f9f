//! What the fuzz targets share: readers of fuzz bytes, a script language for TCP, the peer that plays it and watches the
//! answers, and rings that check what is done with them.

mod bytes;
pub mod content;
pub mod frame;
mod host;
pub mod hostile;
pub mod judge;
pub mod lab;
mod peer;
mod rings;
pub mod sandbox;
pub mod script;
mod village;

pub use bytes::Bytes;
pub use causeway_core::testing::{ReassemblyModel, StreamModel};
pub use host::Wired;
pub use peer::{MSS_LEAST, MSS_MOST, Peer};
pub use rings::CheckedRings;
pub use village::Village;
