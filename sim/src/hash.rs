//! The rolling hash over everything that happens in a run.

use twox_hash::XxHash3_64;

/// A 64-bit hash that folds in words and bytes in order. Two runs that print the same value saw the
/// same events at the same virtual times with the same frame bytes.
///
/// Bytes are hashed by XXH3, which has one definition for every machine, and is computed with whatever vectors a machine has.
/// Not cryptographic: it tells runs apart, it does not defend against anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollingHash {
    value: u64,
    words: u64,
}

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;
const K2: u64 = 0x8ebc_6af0_9c88_c6e3;

/// A 64 x 64 -> 128 bit product folded to 64 bits.
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

impl RollingHash {
    /// The hash of nothing under `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { value: fold(seed ^ K0, K2) ^ seed, words: 0 }
    }

    /// Input: one word.
    pub const fn word(&mut self, word: u64) {
        self.words = self.words.wrapping_add(1);
        self.value = fold(self.value ^ word, K1 ^ self.words);
    }

    /// Input: bytes, their number included.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.word(XxHash3_64::oneshot(bytes));
    }

    /// Getter: the value so far.
    pub const fn value(&self) -> u64 {
        fold(self.value ^ K2, K0 ^ self.words) ^ self.words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(bytes: &[u8]) -> u64 {
        let mut hash = RollingHash::new(1);
        hash.bytes(bytes);
        hash.value()
    }

    #[test]
    fn every_single_bit_of_a_frame_changes_the_hash() {
        // A length for each way in which XXH3 reads its input.
        for len in [3, 8, 16, 60, 101, 200, 1_514] {
            let mut frame = vec![0x5a_u8; len];
            let before = hash_of(&frame);
            for at in 0..frame.len() * 8 {
                frame[at / 8] ^= 1 << (at % 8);
                assert_ne!(hash_of(&frame), before, "bit {at} of {len} bytes");
                frame[at / 8] ^= 1 << (at % 8);
            }
            assert_eq!(hash_of(&frame), before);
        }
    }

    #[test]
    fn order_length_and_seed_count() {
        let mut ab = RollingHash::new(1);
        ab.word(1);
        ab.word(2);
        let mut ba = RollingHash::new(1);
        ba.word(2);
        ba.word(1);
        assert_ne!(ab.value(), ba.value());
        assert_ne!(hash_of(&[0; 31]), hash_of(&[0; 32]));
        assert_ne!(RollingHash::new(1).value(), RollingHash::new(2).value());
    }

    #[test]
    fn the_value_is_pinned_so_that_machines_and_builds_can_be_compared() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(format!("{:016x}", hash_of(&bytes)), "ec6dd6abed885bbb");
    }
}
