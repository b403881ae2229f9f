//! Causeway's sans-IO core: one network stack, driven by whoever has frames, a clock and applications.
//!
//! The core knows no clock, thread, file, socket, environment or global state. Time comes in as an
//! argument; frames come and go through [`nic::Nic`]; applications through [`port::AppPort`].
//! [`engine::Engine::step`] is the one function that the DPDK loop, the tap loop and the simulator call.
//!
//! Public methods are of four kinds, and each says which it is: **input** (`handle_*`), **command**
//! (a request by the owner), **output** (`poll_*`) and **getter**.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod engine;
pub mod error;
pub mod event;
pub mod frame_tap;
pub mod ip;
mod keyed_hash;
pub mod loopback;
pub mod machnet;
pub mod nic;
pub mod planted;
pub mod port;
pub mod reach;
pub mod rng;
pub mod socket;
pub mod stack;
pub mod tcp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod udp;
pub mod wheel;
pub mod wire;
