//! A host with the smoltcp crate's stack, as that crate is shipped: one socket for each flow, over the simulated NIC.
//!
//! Its time is virtual, its random numbers come from the host's seed, and it keeps no map whose order depends on addresses: its neighbours are
//! a list of eight. It is polled when a frame arrives, and at the moments that it asks for itself.

mod device;
mod host;
mod socket;

pub use host::SmolHost;
