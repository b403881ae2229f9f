//! What a run is, as far as the model needs to know it.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use causeway_core::time::Duration;

/// A host.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// Every program that it has is seen by the model, and its stack is Causeway's.
    pub is_seen: bool,
    /// Its addresses, as far as they are known before it runs.
    pub addresses: Vec<IpAddr>,
    /// Bytes of each ring.
    pub ring_bytes: u64,
    /// Connections and flows that find rings.
    pub streams_max: usize,
    /// The ports of who names none.
    pub ports: RangeInclusive<u16>,
    /// A SYN is not given up earlier.
    pub connect_patience: Duration,
    /// Nor is a connection.
    pub patience: Duration,
    /// Nor what is left of one that was closed.
    pub linger: Duration,
}

/// What the network and the hosts may do besides what is asked of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Something goes wrong at some time.
    pub is_rough: bool,
    /// Frames that nobody sent are believed, or numbers that nobody wrote: what one end is told says nothing of the other.
    pub is_forged: bool,
    /// Rings may be refused.
    pub no_rings: bool,
    /// Memory for what is received may be refused.
    pub no_memory: bool,
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its hosts, in order.
    pub hosts: Vec<HostFacts>,
    /// What may happen.
    pub weather: Weather,
}
