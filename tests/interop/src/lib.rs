//! The daemon against the Linux kernel, over real TAP devices and virtual cables, in network namespaces of its own.
//!
//! * [`lab`] runs a test inside a fresh namespace, as root or as an ordinary user.
//! * [`process`] starts programs that die with the test, however it ends.
//! * [`artifacts`] builds what the tests run: the daemon, the C library and the C programs.
//! * [`daemon`] starts `causeway serve`.
//! * [`messages`] measures messages between two daemons, beside the kernel.
//! * [`transfer`] moves bytes between the daemon and the kernel's own TCP.
//! * [`content`] is the payload of transfers.
//! * [`matrix`] combines what peers do with what links do; the program `matrix` runs it.
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod content;
pub mod daemon;
pub mod lab;
pub mod matrix;
pub mod messages;
pub mod process;
pub mod transfer;
