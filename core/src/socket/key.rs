//! Compact dual-stack keys, and their hashes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::keyed_hash::KeyedHash;

/// An address of either family in 16 bytes: IPv4 as `::ffff:a.b.c.d` (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address([u8; 16]);

impl Address {
    /// Getter: as the standard library says it. An IPv4-mapped IPv6 address comes out as IPv4.
    #[inline]
    pub fn ip(self) -> IpAddr {
        match self.v4() {
            Some(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
            None => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }

    /// The unspecified address of the same family: what a listener on all addresses has.
    pub fn unspecified(self) -> Self {
        match self.ip() {
            IpAddr::V4(_) => Self::V4_ANY,
            IpAddr::V6(_) => Self::V6_ANY,
        }
    }

    /// 0.0.0.0.
    pub const V4_ANY: Self = Self(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
    /// ::, which listens for both families unless the socket says otherwise.
    pub const V6_ANY: Self = Self([0; 16]);

    /// The IPv4 address with these octets.
    #[inline]
    pub const fn from_v4([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// Getter: the octets of an IPv4 address.
    #[inline]
    pub const fn v4(self) -> Option<[u8; 4]> {
        const MAPPED: u128 = 0xffff << 32;
        let all = u128::from_be_bytes(self.0);
        if all >> 32 << 32 == MAPPED { Some((all as u32).to_be_bytes()) } else { None }
    }

    const fn words(self) -> [u64; 2] {
        let all = u128::from_ne_bytes(self.0);
        [all as u64, (all >> 64) as u64]
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => Self(v6.octets()),
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address.
    pub address: Address,
    /// Port.
    pub port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip().into(), port: address.port() }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address.ip(), endpoint.port)
    }
}

/// What names a connection or flow on this host: 36 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FourTuple {
    /// Our end.
    pub local: Endpoint,
    /// The peer's end.
    pub remote: Endpoint,
}

impl FourTuple {
    /// The tuple of a TCP or UDP packet in IPv4, by its fields.
    #[inline]
    pub const fn from_wire_v4(
        local: [u8; 4],
        local_port: u16,
        remote: [u8; 4],
        remote_port: u16,
    ) -> Self {
        Self {
            local: Endpoint { address: Address::from_v4(local), port: local_port },
            remote: Endpoint { address: Address::from_v4(remote), port: remote_port },
        }
    }

    /// The tuple of two socket addresses.
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local: local.into(), remote: remote.into() }
    }
}

/// The hashes of the demux tables.
impl KeyedHash {
    pub(super) fn tuple(&self, tuple: &FourTuple) -> u64 {
        let [a, b] = tuple.remote.address.words();
        let [c, d] = tuple.local.address.words();
        let ports = u64::from(tuple.remote.port) << 16 | u64::from(tuple.local.port);
        self.words([a, b, c, d, ports, 0])
    }

    pub(super) fn endpoint(&self, endpoint: &Endpoint) -> u64 {
        let [a, b] = endpoint.address.words();
        self.words([a, b, u64::from(endpoint.port), 0, 0, 0])
    }

    /// A flow label of 20 bits that is never zero, which would mean none (RFC 6437 §3).
    pub(crate) fn flow_label(&self, tuple: &FourTuple, turn: u8) -> u32 {
        let [a, b] = tuple.remote.address.words();
        let [c, d] = tuple.local.address.words();
        let ports = u64::from(tuple.remote.port) << 16 | u64::from(tuple.local.port);
        let hash = self.words([a, b, c, d, ports, u64::from(turn)]);
        ((hash >> 32) as u32 & 0x000f_ffff).max(1)
    }

    /// A hash of a hash and a number.
    pub(super) fn pair(&self, hash: u64, number: u32) -> u64 {
        self.words([hash, u64::from(number), 0, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    /// Tuples as real clients make them: a few hosts in a row, ports in a row.
    fn sequential() -> impl Iterator<Item = FourTuple> {
        (0..65_536u32).map(|i| {
            let host = Ipv4Addr::from(0x0a00_0100 + i / 1_024);
            let remote = SocketAddr::new(host.into(), (32_768 + i % 1_024) as u16);
            FourTuple::new("10.0.0.1:80".parse().unwrap(), remote)
        })
    }

    /// 65,536 balls in `bins` bins: chi-square per bin is 1 give or take sqrt(2 / bins).
    fn spread(bins: usize, bin: impl Fn(&FourTuple) -> usize) -> f64 {
        let mut counts = vec![0u32; bins];
        sequential().for_each(|tuple| counts[bin(&tuple)] += 1);
        let expected = 65_536.0 / bins as f64;
        let chi: f64 = counts.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        chi / bins as f64
    }

    #[test]
    fn sequential_tuples_spread_over_the_low_and_the_top_bits() {
        for seed in 0..8 {
            let hash = KeyedHash::new(seed, 1);
            for (name, ratio) in [
                ("low 10", spread(1_024, |t| hash.tuple(t) as usize % 1_024)),
                ("top 7", spread(128, |t| (hash.tuple(t) >> 57) as usize)),
                ("low 16", spread(65_536, |t| hash.tuple(t) as usize % 65_536)),
                ("middle 10", spread(1_024, |t| (hash.tuple(t) >> 30) as usize % 1_024)),
            ] {
                assert!((0.5..1.5).contains(&ratio), "seed {seed}, {name} bits: {ratio}");
            }
        }
    }

    #[test]
    fn no_two_sequential_tuples_have_the_same_hash() {
        let hash = KeyedHash::new(3, 1);
        let mut all: vec::Vec<u64> = sequential().map(|tuple| hash.tuple(&tuple)).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn tuples_that_collide_in_a_bucket_under_one_seed_spread_under_another() {
        let (one, other) = (KeyedHash::new(1, 1), KeyedHash::new(2, 1));
        let colliding: vec::Vec<_> =
            sequential().filter(|tuple| one.tuple(tuple) % 256 == 0).collect();
        let mut buckets: vec::Vec<_> = colliding.iter().map(|t| other.tuple(t) % 256).collect();
        buckets.sort_unstable();
        buckets.dedup();
        assert!(buckets.len() > 100, "{} tuples in {} buckets", colliding.len(), buckets.len());
    }

    #[test]
    fn every_field_counts() {
        let hash = KeyedHash::new(9, 1);
        let base = FourTuple::new("10.0.0.1:80".parse().unwrap(), "10.0.0.2:81".parse().unwrap());
        let swapped = FourTuple { local: base.remote, remote: base.local };
        let ports = FourTuple::new("10.0.0.1:81".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let v6 = FourTuple::new("[::a00:1]:80".parse().unwrap(), "10.0.0.2:81".parse().unwrap());
        for other in [swapped, ports, v6] {
            assert_ne!(hash.tuple(&base), hash.tuple(&other));
        }
    }

    #[test]
    fn keys_are_small_and_keep_the_address() {
        assert_eq!(size_of::<FourTuple>(), 36);
        for text in ["10.1.2.3:4", "[2001:db8::1]:5"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(Endpoint::from(address)), address);
        }
        assert_eq!(
            Endpoint::from(SocketAddr::from(([1, 2, 3, 4], 5))).address.unspecified(),
            Address::V4_ANY
        );
    }
}
