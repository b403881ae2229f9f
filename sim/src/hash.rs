//! The rolling hash over everything that happens in a run.

/// A 64-bit hash that folds in words and bytes in order. Two runs that print the same value saw the
/// same events at the same virtual times with the same frame bytes.
///
/// Not cryptographic: it tells runs apart, it does not defend against anybody. The same on every
/// machine: little-endian by definition, no hardware-dependent path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollingHash {
    /// Four, so that a processor works on one while it waits for another.
    lanes: [u64; 4],
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

/// Eight bytes as a little-endian word; `chunk` has at least eight.
fn word_at(chunk: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&chunk[at..at + 8]);
    u64::from_le_bytes(bytes)
}

impl RollingHash {
    /// The hash of nothing under `seed`.
    pub const fn new(seed: u64) -> Self {
        let lane = fold(seed ^ K1, K2);
        Self { lanes: [seed ^ K0, lane, lane ^ K0, fold(lane ^ K0, K1)], words: 0 }
    }

    /// Input: one word.
    pub const fn word(&mut self, word: u64) {
        self.words = self.words.wrapping_add(1);
        self.lanes[0] = fold(self.lanes[0] ^ word, K1 ^ self.words);
    }

    /// Input: bytes, their number included.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(64);
        for chunk in &mut chunks {
            self.block(chunk);
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut tail = [0; 64];
            tail[..rest.len()].copy_from_slice(rest);
            self.block(&tail);
        }
    }

    /// Sixty-four bytes.
    #[inline(always)]
    fn block(&mut self, chunk: &[u8]) {
        const KEYS: [u64; 4] = [K1, K2, K0 ^ K1, K0 ^ K2];
        for (lane, key) in KEYS.into_iter().enumerate() {
            let (first, second) = (word_at(chunk, lane * 16), word_at(chunk, lane * 16 + 8));
            self.lanes[lane] = fold(first ^ key, second ^ self.lanes[lane]);
        }
    }

    /// Getter: the value so far.
    pub const fn value(&self) -> u64 {
        fold(self.lanes[0] ^ K0, self.lanes[1] ^ K1)
            ^ fold(self.lanes[2] ^ K2, self.lanes[3] ^ K0)
            ^ self.words
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
        let mut frame = vec![0x5a_u8; 101];
        let before = hash_of(&frame);
        for at in 0..frame.len() * 8 {
            frame[at / 8] ^= 1 << (at % 8);
            assert_ne!(hash_of(&frame), before, "bit {at}");
            frame[at / 8] ^= 1 << (at % 8);
        }
        assert_eq!(hash_of(&frame), before);
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
        assert_eq!(format!("{:016x}", hash_of(&bytes)), "9b950f4f575e454f");
    }
}
