//! A set of packets by their distance from the first one of a window.

use serde::{Deserialize, Serialize};

/// Packets of the widest window.
pub(super) const BITS: u32 = 256;

/// Bit `i` stands for the packet `i` above the first one of a window, in word `i / 64` (as on the wire of the extended profile).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bits(pub(super) [u64; 4]);

impl Bits {
    /// Every packet.
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    /// The first `count` packets.
    pub(super) fn first(count: u32) -> Self {
        Self(core::array::from_fn(|word| {
            let count = count.saturating_sub(64 * word as u32).min(64);
            if count == 64 { u64::MAX } else { (1 << count) - 1 }
        }))
    }

    pub(super) const fn get(&self, i: u32) -> bool {
        i < BITS && self.0[(i / 64) as usize] >> (i % 64) & 1 == 1
    }

    /// Packets beyond the widest window are none.
    pub(super) const fn set(&mut self, i: u32, to: bool) {
        if i < BITS {
            let word = &mut self.0[(i / 64) as usize];
            *word = *word & !(1 << (i % 64)) | (to as u64) << (i % 64);
        }
    }

    /// One more than the highest; 0 for the empty set.
    pub(super) fn end(&self) -> u32 {
        let top = self.0.iter().rposition(|word| *word != 0);
        top.map_or(0, |word| 64 * (word as u32 + 1) - self.0[word].leading_zeros())
    }

    /// The lowest one.
    pub(super) fn lowest(&self) -> Option<u32> {
        let word = self.0.iter().position(|word| *word != 0)?;
        Some(64 * word as u32 + self.0[word].trailing_zeros())
    }

    /// The window moved on by `count` packets.
    pub(super) fn shift(&mut self, count: u32) {
        let (words, bits) = ((count / 64) as usize, count % 64);
        let at = |word: usize| self.0.get(word).copied().unwrap_or(0);
        self.0 = core::array::from_fn(|word| {
            let word = word + words;
            // In two steps: a shift by 64 is none.
            at(word) >> bits | at(word + 1) << 1 << (63 - bits)
        });
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(core::array::from_fn(|word| self.0[word] & !other.0[word]))
    }
}

impl From<u32> for Bits {
    fn from(low: u32) -> Self {
        Self([u64::from(low), 0, 0, 0])
    }
}

/// Its members, the lowest first.
impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let lowest = self.lowest()?;
        self.set(lowest, false);
        Some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers_below_256(
            members in prop::collection::btree_set(0u32..BITS, 0..40), by in 0u32..300, count in 0u32..300,
        ) {
            let mut bits = Bits::default();
            for i in &members {
                bits.set(*i, true);
            }
            prop_assert_eq!(bits.collect::<Vec<_>>(), members.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(bits.count(), members.len());
            prop_assert_eq!(bits.end(), members.last().map_or(0, |last| last + 1));
            prop_assert!((0..300).all(|i| bits.get(i) == members.contains(&i)));
            let first: BTreeSet<u32> = (0..count.min(BITS)).collect();
            let both: Vec<u32> = members.intersection(&first).copied().collect();
            prop_assert_eq!(bits.and(Bits::first(count)).collect::<Vec<_>>(), both);
            let rest: Vec<u32> = members.difference(&first).copied().collect();
            prop_assert_eq!(bits.without(Bits::first(count)).collect::<Vec<_>>(), rest);
            let either: Vec<u32> = members.union(&first).copied().collect();
            prop_assert_eq!(bits.or(Bits::first(count)).collect::<Vec<_>>(), either);
            bits.shift(by);
            let moved: Vec<u32> = members.iter().filter_map(|i| i.checked_sub(by)).collect();
            prop_assert_eq!(bits.collect::<Vec<_>>(), moved);
        }
    }
}
