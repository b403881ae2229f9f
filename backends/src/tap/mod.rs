//! A Linux TAP device: Ethernet frames between this process and the kernel.
//!
//! The device is created (or attached to, where it exists) by the `tun-tap` crate; what that crate does not
//! do is here: the name is checked before the kernel would cut it short, the MTU and the
//! hardware address are read from the kernel, the device is brought up, and a mask of offloads that an
//! earlier user of a persistent device left behind is cleared.
//!
//! A TAP is a wire with two ends. The kernel's end has the device's own hardware address; ours
//! ([`NicCaps::mac`](causeway_core::nic::NicCaps)) differs from it, and is the same each time for the same
//! kernel address.
//!
//! No offloads: each frame is at most one MTU long, with its checksums complete.

mod device;
mod error;

pub use device::{Tap, TapConfig, TapStats};
pub use error::TapError;
