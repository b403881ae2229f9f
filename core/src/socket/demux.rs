//! From the addresses of a segment to the slot of its socket.
//!
//! The tables hold slot indices only, 4 bytes and a tag byte each; the keys live in the sockets. So every
//! method that compares takes a closure from a slot to the key of the socket in it.

use hashbrown::HashTable;

use super::key::{Address, Endpoint, FourTuple};
use crate::keyed_hash::KeyedHash;

/// Most listeners that share one address and port.
pub const LISTENERS_PER_ENDPOINT_MAX: usize = 64;

/// Why a key was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DemuxError {
    /// A connection has these four already.
    Occupied,
    /// [`LISTENERS_PER_ENDPOINT_MAX`] listeners share this endpoint.
    Crowded,
}

/// Connections or flows of one transport by their four-tuple.
#[derive(Clone, Debug)]
pub struct ConnectionDemux {
    hash: KeyedHash,
    slots: HashTable<u32>,
}

impl ConnectionDemux {
    /// An empty table. `seed` must be secret from peers, and may be the stack's one.
    pub fn new(seed: u64) -> Self {
        Self { hash: KeyedHash::new(seed, 0x636f_6e6e), slots: HashTable::new() }
    }

    /// Getter: how many connections are entered.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Getter: true when none is.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Getter: the slot of the connection with `tuple`. `tuple_of` says the tuple of an entered slot.
    pub fn lookup(&self, tuple: &FourTuple, tuple_of: impl Fn(u32) -> FourTuple) -> Option<u32> {
        self.slots.find(self.hash.tuple(tuple), |&slot| tuple_of(slot) == *tuple).copied()
    }

    /// Command: enters the connection in `slot`. Growing asks `tuple_of` for the tuple of each slot.
    pub fn insert(
        &mut self,
        tuple: &FourTuple,
        slot: u32,
        tuple_of: impl Fn(u32) -> FourTuple,
    ) -> Result<(), DemuxError> {
        if self.lookup(tuple, &tuple_of).is_some() {
            return Err(DemuxError::Occupied);
        }
        let Self { hash, slots } = self;
        slots.insert_unique(hash.tuple(tuple), slot, |&slot| hash.tuple(&tuple_of(slot)));
        Ok(())
    }

    /// Command: takes the connection in `slot`, entered with `tuple`, out. Returns false when it was not in.
    pub fn remove(&mut self, tuple: &FourTuple, slot: u32) -> bool {
        let found = self.slots.find_entry(self.hash.tuple(tuple), |&other| other == slot);
        found.map(|entry| entry.remove()).is_ok()
    }
}

/// Listeners of one transport by their endpoint; several may share one.
#[derive(Clone, Debug)]
pub struct ListenerDemux {
    hash: KeyedHash,
    slots: HashTable<u32>,
}

impl ListenerDemux {
    /// An empty table. `seed` must be secret from peers, and may be the stack's one.
    pub fn new(seed: u64) -> Self {
        Self { hash: KeyedHash::new(seed, 0x6c69_7374), slots: HashTable::new() }
    }

    /// Getter: how many listeners are entered.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Getter: true when none is.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Getter: the slot of the listener for a first segment from `tuple.remote`: one on the very address,
    /// else one on the unspecified address of its family, else, for IPv4, one on `::`. Listeners that share an
    /// endpoint get a share of the flows each; a flow's retransmissions come to the same one.
    pub fn lookup(&self, tuple: &FourTuple, endpoint_of: impl Fn(u32) -> Endpoint) -> Option<u32> {
        let port = tuple.local.port;
        let family = tuple.local.address.unspecified();
        [tuple.local.address, family, Address::V6_ANY]
            .into_iter()
            .find_map(|address| self.share(&Endpoint { address, port }, tuple, &endpoint_of))
    }

    /// Getter: a slot of one that listens on exactly `endpoint`: for asking whether it is taken.
    pub fn exact(&self, endpoint: &Endpoint, endpoint_of: impl Fn(u32) -> Endpoint) -> Option<u32> {
        self.sharers(endpoint, &endpoint_of).min()
    }

    /// Command: enters the listener in `slot`, beside those that share its endpoint. Whether it may share is
    /// the caller's decision. Growing asks `endpoint_of` for the endpoint of each slot.
    pub fn insert(
        &mut self,
        endpoint: &Endpoint,
        slot: u32,
        endpoint_of: impl Fn(u32) -> Endpoint,
    ) -> Result<(), DemuxError> {
        if self.sharers(endpoint, &endpoint_of).count() >= LISTENERS_PER_ENDPOINT_MAX {
            return Err(DemuxError::Crowded);
        }
        let Self { hash, slots } = self;
        slots.insert_unique(hash.endpoint(endpoint), slot, |&slot| {
            hash.endpoint(&endpoint_of(slot))
        });
        Ok(())
    }

    /// Command: takes the listener in `slot`, entered with `endpoint`, out. Returns false when it was not in.
    pub fn remove(&mut self, endpoint: &Endpoint, slot: u32) -> bool {
        let found = self.slots.find_entry(self.hash.endpoint(endpoint), |&other| other == slot);
        found.map(|entry| entry.remove()).is_ok()
    }

    fn sharers(
        &self,
        endpoint: &Endpoint,
        endpoint_of: &impl Fn(u32) -> Endpoint,
    ) -> impl Iterator<Item = u32> {
        let slots = self.slots.iter_hash(self.hash.endpoint(endpoint)).copied();
        slots.filter(move |&slot| endpoint_of(slot) == *endpoint)
    }

    /// Rendezvous hashing: the choice does not depend on the order in the table, and when a listener comes
    /// or goes only its own flows move.
    fn share(
        &self,
        endpoint: &Endpoint,
        tuple: &FourTuple,
        endpoint_of: &impl Fn(u32) -> Endpoint,
    ) -> Option<u32> {
        let flow = self.hash.tuple(tuple);
        self.sharers(endpoint, endpoint_of).max_by_key(|&slot| (self.hash.pair(flow, slot), slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    fn tuple(local: &str, remote: &str) -> FourTuple {
        FourTuple::new(local.parse().unwrap(), remote.parse().unwrap())
    }

    fn endpoint(text: &str) -> Endpoint {
        text.parse::<SocketAddr>().unwrap().into()
    }

    fn listeners(endpoints: &[&str]) -> (ListenerDemux, impl Fn(u32) -> Endpoint) {
        let all: Vec<Endpoint> = endpoints.iter().map(|text| endpoint(text)).collect();
        let mut demux = ListenerDemux::new(1);
        let of = move |slot: u32| all[slot as usize];
        for slot in 0..endpoints.len() as u32 {
            demux.insert(&of(slot), slot, &of).unwrap();
        }
        (demux, of)
    }

    #[test]
    fn the_most_specific_listener_wins() {
        let (demux, of) = listeners(&["10.0.0.1:80", "0.0.0.0:80", "[::]:80", "[::]:81"]);
        let find = |local| demux.lookup(&tuple(local, "10.9.9.9:5"), &of);
        let find_v6 = |local| demux.lookup(&tuple(local, "[2001:db8::9]:5"), &of);
        assert_eq!(find("10.0.0.1:80"), Some(0));
        assert_eq!(find("10.0.0.2:80"), Some(1));
        assert_eq!(find("10.0.0.2:81"), Some(3));
        assert_eq!(find("10.0.0.1:82"), None);
        assert_eq!(find_v6("[2001:db8::1]:80"), Some(2));
        assert_eq!(demux.exact(&endpoint("0.0.0.0:81"), &of), None);
        assert_eq!(demux.exact(&endpoint("[::]:81"), &of), Some(3));
    }

    #[test]
    fn sharers_of_an_endpoint_share_the_flows_and_a_flow_stays_where_it_is() {
        let (mut demux, of) = listeners(&["10.0.0.1:80"; 4]);
        let flows: Vec<FourTuple> = (1..2_000u16)
            .map(|port| tuple("10.0.0.1:80", &std::format!("10.0.0.2:{port}")))
            .collect();
        let before: Vec<u32> = flows.iter().map(|flow| demux.lookup(flow, &of).unwrap()).collect();
        for slot in 0..4 {
            let share = before.iter().filter(|&&s| s == slot).count();
            assert!((400..600).contains(&share), "listener {slot} got {share} of 1,999");
        }
        assert!(demux.remove(&of(2), 2) && !demux.remove(&of(2), 2));
        for (flow, &slot) in flows.iter().zip(&before) {
            let now = demux.lookup(flow, &of).unwrap();
            assert!(now != 2 && (slot == 2 || now == slot));
        }
    }

    #[test]
    fn an_endpoint_is_shared_by_a_bounded_number() {
        let (mut demux, of) = listeners(&["10.0.0.1:80"; LISTENERS_PER_ENDPOINT_MAX]);
        assert_eq!(demux.insert(&endpoint("10.0.0.1:80"), 0, &of), Err(DemuxError::Crowded));
        assert_eq!(demux.len(), LISTENERS_PER_ENDPOINT_MAX);
    }

    proptest! {
        #[test]
        fn connections_are_found_like_in_a_map(
            steps in proptest::collection::vec((0u8..4, 0u16..40, 0u16..3, any::<bool>()), 0..400),
        ) {
            let mut demux = ConnectionDemux::new(7);
            let mut tuples = Vec::new();
            let mut model: BTreeMap<FourTuple, u32> = BTreeMap::new();
            for (host, remote, local, remove) in steps {
                let key = tuple(&std::format!("10.0.0.1:{local}"), &std::format!("10.0.1.{host}:{remote}"));
                if remove {
                    let slot = model.remove(&key);
                    prop_assert_eq!(demux.remove(&key, slot.unwrap_or(u32::MAX)), slot.is_some());
                } else {
                    let slot = tuples.len() as u32;
                    tuples.push(key);
                    let expected = if model.contains_key(&key) { Err(DemuxError::Occupied) } else { Ok(()) };
                    prop_assert_eq!(demux.insert(&key, slot, |s| tuples[s as usize]), expected);
                    model.entry(key).or_insert(slot);
                }
                prop_assert_eq!(demux.lookup(&key, |s| tuples[s as usize]), model.get(&key).copied());
            }
            prop_assert_eq!(demux.len(), model.len());
        }
    }
}
