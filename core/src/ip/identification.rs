//! Identifications of the datagrams that may be fragmented (RFC 6864; RFC 7739 for IPv6).

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::keyed_hash::KeyedHash;
use crate::planted::{self, Bug};
use crate::wire::IpProtocol;

/// Counters that destinations share by hash, a power of two.
const COUNTERS: usize = 1_024;

/// A counter for each of a number of classes of (source, destination, protocol), which a secret hash tells apart: two
/// datagrams between the same hosts get different numbers until all have been used (RFC 6864 §4.3), a stranger cannot
/// tell from his own numbers how many datagrams others get (RFC 7739 §5.3).
#[derive(Debug)]
pub struct Identifications {
    hash: KeyedHash,
    /// Made when the first datagram asks.
    counters: Vec<u32>,
}

impl Identifications {
    /// `seed` must be secret from peers.
    pub fn new(seed: u64) -> Self {
        Self { hash: KeyedHash::new(seed, 0x6964_656e), counters: Vec::new() }
    }

    /// Output: the number for one more datagram; IPv4 has room for its lower half.
    pub fn next(&mut self, src: IpAddr, dst: IpAddr, protocol: IpProtocol) -> u32 {
        let (a, b) = words(src);
        let (c, d) = words(dst);
        let hash = self.hash.words([a, b, c, d, u64::from(protocol.0), 0]);
        if self.counters.is_empty() {
            // Where each begins is nobody's to know.
            self.counters = (0..COUNTERS as u64)
                .map(|i| self.hash.words([i, 0, 0, 0, 0, u64::MAX]) as u32)
                .collect();
        }
        let counter = &mut self.counters[hash as usize % COUNTERS];
        *counter = counter.wrapping_add(!planted::is(Bug::OneIdentification) as u32);
        // A class is a secret of ours; its members are told apart by an offset of their own.
        counter.wrapping_add((hash >> 32) as u32)
    }
}

fn words(address: IpAddr) -> (u64, u64) {
    match address {
        IpAddr::V4(v4) => (0, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => ((v6.to_bits() >> 64) as u64, v6.to_bits() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_between_two_hosts_repeat_only_after_all_were_used_however_many_others_are_served() {
        let mut ids = Identifications::new(1);
        let host = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(n));
        let mut seen = BTreeSet::new();
        for i in 0..30_000 {
            assert!(seen.insert(ids.next(host(1), host(2), IpProtocol::UDP) as u16));
            ids.next(host(1), host(3 + i % 100), IpProtocol::UDP);
        }
    }

    #[test]
    fn numbers_begin_somewhere_else_for_each_destination_and_secret() {
        let first = |seed, dst: u32| {
            let src = IpAddr::V4(Ipv4Addr::from_bits(1));
            let dst = IpAddr::V4(Ipv4Addr::from_bits(dst));
            Identifications::new(seed).next(src, dst, IpProtocol::UDP)
        };
        let firsts: BTreeSet<u32> =
            (0..8).flat_map(|s| (2..10).map(move |d| first(s, d))).collect();
        assert_eq!(firsts.len(), 64);
    }
}
