//! Captures that open in Wireshark: pcapng, two interfaces per link side, and the case that made them.

mod pcapng;
mod read;
#[cfg(test)]
mod walk;

pub use pcapng::{CaptureSide, PcapngTap, TEXT_BLOCK_PEN};
pub use read::CaptureError;
