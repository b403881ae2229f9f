//! A keyed hash of keys that peers choose.

use crate::rng::Stream;

/// NH (Black et al., UMAC; RFC 4418 §5.2) in 64-bit words, and a finaliser.
///
/// Without the key, two different keys collide with probability 2^-64, however they were chosen. That cannot
/// be said of a general-purpose hash whose constants are public and only its initial state is secret:
/// there, chosen words cancel a constant and collide under every key. The finaliser spreads the sum over
/// all bits, because tables take both the low bits (bucket) and the top seven (tag) of a hash.
#[derive(Clone, Debug)]
pub(crate) struct KeyedHash {
    keys: [u64; 6],
}

impl KeyedHash {
    /// The hash under `seed`, which must be secret from peers. `entity` tells the tables of one stack apart.
    pub(crate) fn new(seed: u64, entity: u64) -> Self {
        let mut stream = Stream::new(seed, entity);
        Self { keys: core::array::from_fn(|_| stream.next_u64()) }
    }

    /// The hash of six words.
    pub(crate) fn words(&self, words: [u64; 6]) -> u64 {
        let add = |i: usize| u128::from(words[i].wrapping_add(self.keys[i]));
        let pair = |i: usize| add(i) * add(i + 1);
        let sum = pair(0).wrapping_add(pair(2)).wrapping_add(pair(4));
        finalise((sum >> 64) as u64 ^ (sum as u64).rotate_left(32))
    }
}

/// Spreads each bit over all (the finaliser of MurmurHash3).
const fn finalise(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_of_each_word_and_the_key_change_about_half_of_the_hash() {
        let base = [1, 2, 3, 4, 5, 6];
        for seed in 0..16 {
            let hash = KeyedHash::new(seed, 1);
            for bit in 0..6 * 64 {
                let mut words = base;
                words[bit / 64] ^= 1 << (bit % 64);
                let changed = (hash.words(base) ^ hash.words(words)).count_ones();
                assert!(
                    (8..56).contains(&changed),
                    "seed {seed}, bit {bit}: {changed} bits changed"
                );
            }
            assert_ne!(hash.words(base), KeyedHash::new(seed, 2).words(base));
        }
    }
}
