//! The routing table: longest prefix first, both families.

use alloc::vec::Vec;
use core::net::IpAddr;

use hashbrown::HashTable;

use super::address::{bits, network_of};
use crate::keyed_hash::KeyedHash;
use crate::nic::IfIndex;

/// Why a route was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteError {
    /// The prefix is longer than the addresses of its family.
    PrefixLength,
    /// The destination has bits set behind its prefix.
    HostBits,
    /// Gateway or source are of another family than the destination.
    Family,
    /// IPv4 in IPv6's clothes (`::ffff:0:0/96`): say it as IPv4.
    Mapped,
    /// There is a route for that prefix.
    Exists,
    /// The table is at its limit.
    Full,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// The network it leads to; bits behind the prefix are zero.
    pub destination: IpAddr,
    /// Bits of the network part; 0 is the default route.
    pub prefix_len: u8,
    /// The router to send to; `None` when destinations are on the link.
    pub gateway: Option<IpAddr>,
    /// The interface to send from.
    pub interface: IfIndex,
    /// The address to send from, if the route prefers one.
    pub source: Option<IpAddr>,
}

/// How to reach a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteHit {
    /// The interface to send from.
    pub interface: IfIndex,
    /// Whose link-layer address the frame needs: the gateway, or the destination itself.
    pub next_hop: IpAddr,
    /// The address to send from, if the route prefers one; else one of the interface's.
    pub source: Option<IpAddr>,
}

/// At most `limit` routes. A lookup costs one hash probe for each prefix length in use that is tried, 33 or
/// 129 at most, whatever the number of routes.
#[derive(Clone, Debug)]
pub struct RouteTable {
    slots: HashTable<Route>,
    limit: usize,
    key: KeyedHash,
    v4: Lengths<33>,
    v6: Lengths<129>,
}

/// How many routes there are of each prefix length, and a bitmap of the lengths in use.
#[derive(Clone, Debug)]
struct Lengths<const N: usize> {
    counts: [u32; N],
    used: [u64; 3],
}

impl RouteTable {
    /// An empty table for at most `limit` routes. `seed` keys its hash.
    pub fn new(limit: usize, seed: u64) -> Self {
        Self {
            slots: HashTable::new(),
            limit,
            key: KeyedHash::new(seed, 0x726f_7574),
            v4: Lengths::new(),
            v6: Lengths::new(),
        }
    }

    /// Getter: how many routes there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Getter: true when there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Command: enters a route.
    pub fn insert(&mut self, route: Route) -> Result<(), RouteError> {
        check(&route)?;
        if self.find(route.destination, route.prefix_len).is_some() {
            return Err(RouteError::Exists);
        }
        if self.len() >= self.limit {
            return Err(RouteError::Full);
        }
        let Self { slots, key, .. } = self;
        let hash_of = |route: &Route| hash(key, route.destination, route.prefix_len);
        slots.insert_unique(hash_of(&route), route, hash_of);
        match route.destination {
            IpAddr::V4(_) => self.v4.add(route.prefix_len),
            IpAddr::V6(_) => self.v6.add(route.prefix_len),
        }
        Ok(())
    }

    /// Command: takes the route for a prefix out.
    pub fn remove(&mut self, destination: IpAddr, prefix_len: u8) -> Option<Route> {
        let found = self.slots.find_entry(hash(&self.key, destination, prefix_len), |route| {
            (route.destination, route.prefix_len) == (destination, prefix_len)
        });
        let route = found.ok()?.remove().0;
        match destination {
            IpAddr::V4(_) => self.v4.remove(prefix_len),
            IpAddr::V6(_) => self.v6.remove(prefix_len),
        }
        Some(route)
    }

    /// Getter: how to reach `destination`: by the route with the longest prefix of it.
    pub fn lookup(&self, destination: IpAddr) -> Option<RouteHit> {
        let route = match destination {
            IpAddr::V4(_) => self.v4.find_longest(|len| self.find_containing(destination, len)),
            IpAddr::V6(_) => self.v6.find_longest(|len| self.find_containing(destination, len)),
        }?;
        Some(RouteHit {
            interface: route.interface,
            next_hop: route.gateway.unwrap_or(destination),
            source: route.source,
        })
    }

    /// Getter: all routes, sorted: IPv4 first, then by destination and prefix length. For listings.
    pub fn list(&self) -> Vec<Route> {
        let mut all: Vec<Route> = self.slots.iter().copied().collect();
        all.sort_unstable_by_key(|route| (route.destination, route.prefix_len));
        all
    }

    fn find_containing(&self, address: IpAddr, prefix_len: u8) -> Option<&Route> {
        self.find(network_of(address, prefix_len), prefix_len)
    }

    fn find(&self, destination: IpAddr, prefix_len: u8) -> Option<&Route> {
        self.slots.find(hash(&self.key, destination, prefix_len), |route| {
            (route.destination, route.prefix_len) == (destination, prefix_len)
        })
    }
}

fn check(route: &Route) -> Result<(), RouteError> {
    let Route { destination, prefix_len, gateway, interface: _, source } = *route;
    if prefix_len > bits(destination) {
        return Err(RouteError::PrefixLength);
    }
    if network_of(destination, prefix_len) != destination {
        return Err(RouteError::HostBits);
    }
    if [gateway, source].into_iter().flatten().any(|a| a.is_ipv4() != destination.is_ipv4()) {
        return Err(RouteError::Family);
    }
    match destination {
        IpAddr::V6(v6) if prefix_len >= 96 && v6.to_ipv4_mapped().is_some() => {
            Err(RouteError::Mapped)
        }
        IpAddr::V4(_) | IpAddr::V6(_) => Ok(()),
    }
}

fn hash(key: &KeyedHash, destination: IpAddr, prefix_len: u8) -> u64 {
    let (high, low) = match destination {
        IpAddr::V4(v4) => (0, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => ((v6.to_bits() >> 64) as u64, v6.to_bits() as u64),
    };
    key.words([high, low, u64::from(prefix_len), u64::from(destination.is_ipv4()), 0, 0])
}

impl<const N: usize> Lengths<N> {
    const fn new() -> Self {
        Self { counts: [0; N], used: [0; 3] }
    }

    /// `len` was checked against the family: it is below `N`.
    const fn add(&mut self, len: u8) {
        self.counts[len as usize] += 1;
        self.used[len as usize / 64] |= 1 << (len % 64);
    }

    /// As for `add`; and a route of that length was there.
    const fn remove(&mut self, len: u8) {
        self.counts[len as usize] -= 1;
        if self.counts[len as usize] == 0 {
            self.used[len as usize / 64] &= !(1 << (len % 64));
        }
    }

    /// The first answer of `find` over the lengths in use, the longest first.
    fn find_longest<T>(&self, mut find: impl FnMut(u8) -> Option<T>) -> Option<T> {
        for (word, &bits) in self.used.iter().enumerate().rev() {
            let mut bits = bits;
            while bits != 0 {
                let bit = 63 - bits.leading_zeros();
                bits &= !(1 << bit);
                if let Some(found) = find((word as u32 * 64 + bit) as u8) {
                    return Some(found);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn route(destination: &str, prefix_len: u8, gateway: Option<&str>, interface: u8) -> Route {
        Route {
            destination: ip(destination),
            prefix_len,
            gateway: gateway.map(ip),
            interface: IfIndex(interface),
            source: None,
        }
    }

    #[test]
    fn the_longest_prefix_wins_and_families_do_not_mix() {
        let mut table = RouteTable::new(10, 1);
        for route in [
            route("0.0.0.0", 0, Some("10.0.0.254"), 1),
            route("10.0.0.0", 24, None, 1),
            route("10.0.0.128", 25, None, 2),
            route("10.0.0.200", 32, Some("10.0.0.1"), 1),
            route("2001:db8::", 32, Some("fe80::1"), 3),
        ] {
            table.insert(route).unwrap();
        }
        let find = |text| table.lookup(ip(text)).map(|hit| (hit.interface.0, hit.next_hop));
        assert_eq!(find("10.0.0.9"), Some((1, ip("10.0.0.9"))));
        assert_eq!(find("10.0.0.129"), Some((2, ip("10.0.0.129"))));
        assert_eq!(find("10.0.0.200"), Some((1, ip("10.0.0.1"))));
        assert_eq!(find("9.9.9.9"), Some((1, ip("10.0.0.254"))));
        assert_eq!(find("2001:db8:7::1"), Some((3, ip("fe80::1"))));
        assert_eq!(find("2001:db9::1"), None);
        assert!(table.remove(ip("0.0.0.0"), 0).is_some());
        assert_eq!(table.lookup(ip("9.9.9.9")), None);
    }

    #[test]
    fn a_route_that_makes_no_sense_is_refused_with_its_reason() {
        let mut table = RouteTable::new(1, 1);
        let refuse = |table: &mut RouteTable, r| table.insert(r).unwrap_err();
        assert_eq!(refuse(&mut table, route("10.0.0.0", 33, None, 1)), RouteError::PrefixLength);
        assert_eq!(refuse(&mut table, route("10.0.0.1", 24, None, 1)), RouteError::HostBits);
        let mixed = route("10.0.0.0", 24, Some("fe80::1"), 1);
        assert_eq!(refuse(&mut table, mixed), RouteError::Family);
        let mapped = route("::ffff:10.0.0.0", 120, None, 1);
        assert_eq!(refuse(&mut table, mapped), RouteError::Mapped);
        table.insert(route("10.0.0.0", 24, None, 1)).unwrap();
        assert_eq!(refuse(&mut table, route("10.0.0.0", 24, None, 2)), RouteError::Exists);
        assert_eq!(refuse(&mut table, route("10.0.1.0", 24, None, 2)), RouteError::Full);
        assert_eq!(table.remove(ip("10.0.1.0"), 24), None);
    }

    /// Addresses and prefixes from a small space, so that they meet.
    fn address() -> impl Strategy<Value = IpAddr> {
        (any::<bool>(), 0u8..8, 0u8..8).prop_map(|(v4, high, low)| {
            if v4 {
                IpAddr::V4(Ipv4Addr::new(high << 5, 0, 0, low))
            } else {
                IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 120 | u128::from(low)))
            }
        })
    }

    proptest! {
        #[test]
        fn a_lookup_finds_what_a_scan_of_all_routes_finds(
            prefixes in proptest::collection::vec((address(), any::<u8>(), any::<bool>()), 0..60),
            targets in proptest::collection::vec(address(), 1..30),
        ) {
            let mut table = RouteTable::new(100, 5);
            let mut model: Vec<Route> = Vec::new();
            for (i, (target, len, remove)) in prefixes.into_iter().enumerate() {
                let prefix_len = len % (bits(target) + 1);
                let destination = network_of(target, prefix_len);
                let interface = IfIndex(i as u8);
                let route = Route { destination, prefix_len, gateway: None, interface, source: None };
                let at = model.iter().position(|r| (r.destination, r.prefix_len) == (destination, prefix_len));
                if remove {
                    let expected = at.map(|at| model.remove(at));
                    prop_assert_eq!(table.remove(destination, prefix_len), expected);
                } else {
                    prop_assert_eq!(table.insert(route).is_err(), at.is_some());
                    if at.is_none() { model.push(route) }
                }
            }
            for target in targets {
                let best = model.iter()
                    .filter(|r| r.destination.is_ipv4() == target.is_ipv4())
                    .filter(|r| network_of(target, r.prefix_len) == r.destination)
                    .max_by_key(|r| r.prefix_len);
                prop_assert_eq!(table.lookup(target).map(|hit| hit.interface), best.map(|r| r.interface));
            }
            prop_assert_eq!(table.list().len(), model.len());
        }
    }
}
