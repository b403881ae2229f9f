//! Captures that open in Wireshark: pcapng, two interfaces per link side.

mod pcapng;
#[cfg(test)]
mod walk;

pub use pcapng::{CaptureSide, PLAN_BLOCK_PEN, PcapngTap};
