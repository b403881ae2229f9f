//! Counter-based random numbers.
//!
//! A draw is a pure function of (seed, entity, counter). One shared generator would make shrinking a
//! failing simulation impossible: leaving out one fault would shift every later draw.

use serde::{Deserialize, Serialize};

/// A stream of random numbers that belongs to one entity (a connection, a link direction, a port
/// table). Streams with different entities are independent; a stream's state is two words.
///
/// Not for secrets: sequence numbers and cookies use a keyed hash whose key the driver supplies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The stream of `entity` under `seed`, at its beginning.
    pub const fn new(seed: u64, entity: u64) -> Self {
        Self { key: mix(seed ^ mix(entity ^ 0x9e37_79b9_7f4a_7c15)), counter: 0 }
    }

    /// Getter: the value at position `counter`, without moving the stream.
    pub const fn at(&self, counter: u64) -> u64 {
        mix(self.key ^ mix(counter.wrapping_add(0xd1b5_4a32_d192_ed03)))
    }

    /// Output: the next value.
    pub const fn next_u64(&mut self) -> u64 {
        let value = self.at(self.counter);
        self.counter = self.counter.wrapping_add(1);
        value
    }

    /// Output: a value below `bound`, without modulo bias worth naming (2^-64 x bound). `bound` = 0 gives 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// Output: true with probability `parts_per_million` / 1,000,000.
    pub const fn chance_ppm(&mut self, parts_per_million: u32) -> bool {
        self.below(1_000_000) < parts_per_million as u64
    }
}

/// A bijective finaliser with full avalanche (the constants are those of SplitMix64).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_only_on_seed_entity_and_counter() {
        let mut a = Stream::new(1, 2);
        let first = a.next_u64();
        let second = a.next_u64();
        assert_eq!(Stream::new(1, 2).at(0), first);
        assert_eq!(Stream::new(1, 2).at(1), second);
        assert_ne!(Stream::new(1, 3).at(0), first);
        assert_ne!(Stream::new(2, 2).at(0), first);
    }

    #[test]
    fn chances_come_out_near_what_was_asked() {
        let mut s = Stream::new(7, 7);
        let hits = (0..100_000).filter(|_| s.chance_ppm(100_000)).count();
        assert!((9_500..10_500).contains(&hits), "{hits} of 100,000 at 10 %");
        assert!(!s.chance_ppm(0));
        assert!(s.chance_ppm(1_000_000));
    }
}
