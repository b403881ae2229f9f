//! Ephemeral ports: of connections by RFC 6056's double hash (§3.3.4), of what is bound and has no peer yet at random (§3.3.1).

use core::ops::RangeInclusive;

use super::key::FourTuple;
use crate::keyed_hash::KeyedHash;
use crate::planted::{self, Bug};
use crate::rng::Stream;

/// Why a port range was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortRangeError {
    /// The first port is 0 or beyond the last.
    Empty,
}

/// The range of ephemeral ports, and how hard to look for a free one in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EphemeralPorts {
    first: u16,
    last: u16,
    probes_max: u16,
}

/// Most candidates that one [`EphemeralPorts::choose`] looks at.
pub const PROBES_MAX: u16 = 4_096;
/// After so many candidates in a row a connection looks elsewhere: the ports that were handed out lately are a block.
const IN_A_ROW_MAX: u16 = 64;

impl Default for EphemeralPorts {
    /// 32768 to 60999, as on Linux.
    fn default() -> Self {
        Self { first: 32_768, last: 60_999, probes_max: PROBES_MAX }
    }
}

impl EphemeralPorts {
    /// Ports out of `range`, both ends included.
    pub const fn new(range: RangeInclusive<u16>) -> Result<Self, PortRangeError> {
        let (first, last) = (*range.start(), *range.end());
        if first == 0 || first > last {
            return Err(PortRangeError::Empty);
        }
        Ok(Self { first, last, probes_max: PROBES_MAX })
    }

    /// Getter: the range.
    pub const fn range(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Command: a port for a connection, for which `is_free` says yes, or `None` after [`PROBES_MAX`] candidates and a few (or
    /// the whole range, if smaller), so that an exhausted range costs a bounded time. `flow` is its four-tuple with 0 for the
    /// port.
    ///
    /// Towards one peer the ports follow each other, from a place that nobody else can guess: each comes again only after all
    /// the others, when its TIME-WAIT is most likely over. `is_free` looks at four-tuples, so that one port serves many peers
    /// and TIME-WAIT is respected (RFC 6056 §2.4).
    pub(crate) fn choose_towards(
        &self,
        sequence: &mut PortSequence,
        flow: &FourTuple,
        mut is_free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let size = u32::from(self.last - self.first) + 1;
        let (hash, count) = sequence.towards(flow);
        for _ in 0..size.min(u32::from(IN_A_ROW_MAX)) {
            let at = ((hash & 0xffff_ffff) + u64::from(*count)) % u64::from(size);
            *count = count.wrapping_add(1);
            let port = self.first + at as u16;
            if is_free(port) {
                return Some(port);
            }
        }
        self.choose(&mut Stream::new(hash, u64::from(*count)), is_free)
    }

    /// Command: a port for something without a peer, for which `is_free` says yes, or `None` as
    /// for connections. With one port in 400 free, the odds of missing them all are below 1 in 10,000.
    ///
    /// The first candidate and the stride are random, so that the next port can be guessed neither from
    /// the last one nor from what is taken.
    pub fn choose(&self, rng: &mut Stream, mut is_free: impl FnMut(u16) -> bool) -> Option<u16> {
        let size = u32::from(self.last - self.first) + 1;
        let mut offset = rng.below(u64::from(size)) as u32;
        let stride = coprime_stride(rng, size);
        for _ in 0..size.min(u32::from(self.probes_max)) {
            let port = self.first + offset as u16;
            if is_free(port) || planted::is(Bug::TakenPortsAgain) {
                return Some(port);
            }
            offset = (offset + stride) % size;
        }
        None
    }
}

/// How many counters the connections of all peers share (TABLE_LENGTH of RFC 6056 §3.3.4): who opens connections to us and looks
/// at the ports learns how many went to some of the peers, not to which.
const COUNTERS: usize = 64;

/// Where the search for the port of a connection begins.
#[derive(Clone, Debug)]
pub(crate) struct PortSequence {
    hash: KeyedHash,
    counts: [u32; COUNTERS],
}

impl PortSequence {
    /// `seed` must be secret from peers.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Stream::new(seed, 0x636f_756e);
        Self {
            hash: KeyedHash::new(seed, 0x706f_7274),
            counts: core::array::from_fn(|_| random.next_u64() as u32),
        }
    }

    /// F() and the counter at G() of the RFC.
    fn towards(&mut self, flow: &FourTuple) -> (u64, &mut u32) {
        let hash = if planted::is(Bug::NeighbouringPorts) { 0 } else { self.hash.tuple(flow) };
        (hash, &mut self.counts[(hash >> 32) as usize % COUNTERS])
    }
}

/// A random stride that visits each of `size` candidates once before it returns to the first.
fn coprime_stride(rng: &mut Stream, size: u32) -> u32 {
    let mut stride = 1 + rng.below(u64::from(size)) as u32;
    // 65,535 has five prime factors; gaps between coprime numbers are short. 1 is always coprime.
    while gcd(stride, size) != 1 {
        stride = stride % size + 1;
    }
    stride
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_range_and_port_0_are_refused() {
        assert_eq!(EphemeralPorts::new(0..=9), Err(PortRangeError::Empty));
        #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
        let reversed = 9..=8;
        assert_eq!(EphemeralPorts::new(reversed), Err(PortRangeError::Empty));
        assert!(EphemeralPorts::new(9..=9).is_ok());
    }

    #[test]
    fn an_exhausted_range_costs_a_bounded_number_of_probes() {
        let mut probes = 0;
        let ports = EphemeralPorts::default();
        let choice = ports.choose(&mut Stream::new(1, 1), |_| {
            probes += 1;
            false
        });
        assert_eq!((choice, probes), (None, PROBES_MAX));
    }

    fn flow(peer: u8) -> FourTuple {
        let end = |host, port| core::net::SocketAddr::from(([10, 0, 0, host], port));
        FourTuple::new(end(1, 0), end(peer, 80))
    }

    #[test]
    fn towards_one_peer_a_port_comes_again_after_all_others() {
        let ports = EphemeralPorts::new(40_000..=40_099).unwrap();
        let mut sequence = PortSequence::new(7);
        let mut choose = || ports.choose_towards(&mut sequence, &flow(2), |_| true).unwrap();
        let first: std::vec::Vec<u16> = (0..100).map(|_| choose()).collect();
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 100);
        let again: std::vec::Vec<u16> = (0..100).map(|_| choose()).collect();
        assert_eq!(first, again);
    }

    #[test]
    fn a_port_towards_one_peer_says_nothing_of_that_towards_another() {
        let ports = EphemeralPorts::default();
        let mut sequence = PortSequence::new(7);
        let chosen: std::vec::Vec<u16> = (2..=201)
            .map(|peer| ports.choose_towards(&mut sequence, &flow(peer), |_| true).unwrap())
            .collect();
        let near = chosen.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 28).count();
        assert!(near < 8, "{near} of 199 neighbours within 0.1 % of the range");
        let mut other = PortSequence::new(8);
        let same = (2..=201).zip(&chosen).filter(|(peer, port)| {
            ports.choose_towards(&mut other, &flow(*peer), |_| true) == Some(**port)
        });
        assert!(same.count() < 4, "another secret gives other ports");
    }

    #[test]
    fn no_port_of_a_full_range_costs_a_bounded_number_of_probes_and_the_one_that_is_free_is_found()
    {
        let mut probes = 0;
        let all = EphemeralPorts::default();
        let mut sequence = PortSequence::new(7);
        let choice = all.choose_towards(&mut sequence, &flow(2), |_| {
            probes += 1;
            false
        });
        assert_eq!((choice, probes), (None, PROBES_MAX + IN_A_ROW_MAX));
        let few = EphemeralPorts::new(500..=1_000).unwrap();
        let choice = few.choose_towards(&mut sequence, &flow(2), |port| port == 777);
        assert_eq!(choice, Some(777));
    }

    #[test]
    fn a_block_of_taken_ports_does_not_hide_the_free_ones_behind_it() {
        let ports = EphemeralPorts::default();
        let mut sequence = PortSequence::new(7);
        let next = ports.choose_towards(&mut sequence, &flow(2), |_| true).unwrap();
        let is_free = |port: u16| port.wrapping_sub(next) > 10_000;
        for _ in 0..100 {
            let port = ports.choose_towards(&mut sequence, &flow(2), is_free);
            assert!(port.is_some_and(is_free), "{port:?} beside 10,001 that are taken from {next}");
        }
    }

    #[test]
    fn successive_ports_do_not_follow_each_other() {
        let ports = EphemeralPorts::default();
        let mut rng = Stream::new(5, 5);
        let chosen: std::vec::Vec<u16> =
            (0..1_000).map(|_| ports.choose(&mut rng, |_| true).unwrap()).collect();
        let near = chosen.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 28).count();
        assert!(near < 20, "{near} of 999 neighbours within 0.1 % of the range");
    }

    proptest! {
        #[test]
        fn each_port_of_a_small_range_is_found(seed: u64, first in 1u16..60_000, size in 1u16..700) {
            let ports = EphemeralPorts::new(first..=first + size - 1).unwrap();
            let mut rng = Stream::new(seed, 0);
            let mut taken = BTreeSet::new();
            for _ in 0..size {
                let port = ports.choose(&mut rng, |port| !taken.contains(&port)).unwrap();
                prop_assert!(ports.range().contains(&port));
                taken.insert(port);
            }
            prop_assert_eq!(ports.choose(&mut rng, |port| !taken.contains(&port)), None);
        }
    }
}
