//! What IP needs to know to send and to accept: our addresses, routes, neighbours.
//!
//! Interfaces and keys are dual-stack throughout.

pub mod address;
pub mod neighbor;
pub mod pmtu;
pub mod route;

pub use address::{
    AddressError, InterfaceAddress, is_group_or_broadcast, is_martian_destination,
    is_martian_source,
};
pub use neighbor::{
    ArpOutcome, Lookup, NeighborConfig, NeighborConfigBuilder, NeighborConfigError, NeighborKey,
    NeighborTable, Solicit,
};
pub use pmtu::{PMTU_ENTRIES_MAX, PMTU_LIFETIME, PMTU_MIN_V4, PMTU_MIN_V6, PathMtus};
pub use route::{Route, RouteError, RouteHit, RouteTable};
