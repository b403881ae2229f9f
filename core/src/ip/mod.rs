//! What IP needs to know to send and to accept: our addresses, routes, neighbours.
//!
//! Interfaces and keys are dual-stack throughout.

pub mod address;
pub mod announce;
pub mod autoconf;
pub mod identification;
pub mod multicast;
pub mod neighbor;
pub mod pmtu;
pub mod reassembly;
pub mod route;
pub mod select;

pub use address::{
    AddressError, InterfaceAddress, is_group_or_broadcast, is_martian_destination,
    is_martian_source,
};
pub use announce::{Announcer, Claim, ClaimAction};
pub use autoconf::{AddressState, Ipv6Config, Ipv6Interface, Ipv6Mode};
pub use identification::Identifications;
pub use multicast::{ALL_NODES, ALL_ROUTERS, group_station, solicited_node};
pub use neighbor::{
    ArpOutcome, Heard, Lookup, NeighborConfig, NeighborConfigBuilder, NeighborConfigError,
    NeighborKey, NeighborTable, Solicit,
};
pub use pmtu::{PMTU_ENTRIES_MAX, PMTU_LIFETIME, PMTU_MIN_V4, PMTU_MIN_V6, PathMtus};
pub use reassembly::{Expired, Fragment, FragmentKey, Reassembled, Reassembly, Whole};
pub use route::{Route, RouteError, RouteHit, RouteTable};
pub use select::{SourceCandidate, select_source};
