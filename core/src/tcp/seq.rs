//! Sequence numbers: arithmetic modulo 2^32 (RFC 9293 §3.4).

use core::cmp::Ordering;
use core::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// A sequence number. Compared in the sense of RFC 9293 §3.4: meaningful for numbers less than 2^31 apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Getter: how far `self` lies behind `earlier`, negative when it lies before.
    pub const fn distance_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The later of the two.
    pub const fn max(self, other: Self) -> Self {
        if self.distance_from(other) >= 0 { self } else { other }
    }

    /// The earlier of the two.
    pub const fn min(self, other: Self) -> Self {
        if self.distance_from(other) <= 0 { self } else { other }
    }
}

impl Add<u32> for SeqNumber {
    type Output = Self;
    fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for SeqNumber {
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for SeqNumber {
    type Output = Self;
    fn sub(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n))
    }
}

impl PartialOrd for SeqNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if crate::planted::is(crate::planted::Bug::NoWrap) {
            return self.0.partial_cmp(&other.0);
        }
        Some(self.distance_from(*other).cmp(&0))
    }
}

/// A sequence number and the stream offset that it stands for: the one place where 32-bit sequence
/// numbers and 64-bit stream offsets are converted into each other.
///
/// Offsets never wrap and sequence numbers do, so a conversion needs a point close by (within 2^31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The sequence number of the byte at `offset`.
    pub seq: SeqNumber,
    /// A stream offset; 0 is the byte after the SYN.
    pub offset: u64,
}

impl Anchor {
    /// The beginning of a stream whose SYN has the sequence number `initial`.
    pub fn after_syn(initial: SeqNumber) -> Self {
        Self { seq: initial + 1, offset: 0 }
    }

    /// Getter: the sequence number of the byte at `offset`.
    pub const fn seq_of(self, offset: u64) -> SeqNumber {
        // Truncation is the point: sequence numbers are offsets modulo 2^32.
        SeqNumber(self.seq.0.wrapping_add(offset.wrapping_sub(self.offset) as u32))
    }

    /// Getter: the offset of the byte with the sequence number `seq`; `None` for one before the stream's beginning.
    pub const fn offset_of(self, seq: SeqNumber) -> Option<u64> {
        self.offset.checked_add_signed(seq.distance_from(self.seq) as i64)
    }

    /// Command: moves `bytes` on.
    pub fn advance(&mut self, bytes: u64) {
        self.seq = self.seq_of(self.offset.wrapping_add(bytes));
        self.offset = self.offset.wrapping_add(bytes);
        if crate::planted::is(crate::planted::Bug::StreamOfFourGibibytes) {
            self.offset &= u64::from(u32::MAX);
        }
    }
}

/// Where a stream ends, if that is known. Eight bytes, where an `Option<u64>` takes sixteen: each
/// connection holds two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct StreamEnd(u64);

impl StreamEnd {
    /// Not known yet. Streams are shorter than 2^62 bytes.
    pub(in crate::tcp) const UNKNOWN: Self = Self(u64::MAX);

    /// The stream ends at `offset`.
    pub(in crate::tcp) const fn at(offset: u64) -> Self {
        Self(offset)
    }

    /// Getter: the offset.
    pub(in crate::tcp) const fn known(self) -> Option<u64> {
        if self.is_known() { Some(self.0) } else { None }
    }

    /// Getter: whether it is known.
    pub(in crate::tcp) const fn is_known(self) -> bool {
        self.0 != Self::UNKNOWN.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comparison_is_modulo_two_to_the_thirty_two() {
        assert!(SeqNumber(u32::MAX) < SeqNumber(0));
        assert!(SeqNumber(5) > SeqNumber(0xffff_fff0));
        assert_eq!(SeqNumber(u32::MAX).max(SeqNumber(3)), SeqNumber(3));
        assert_eq!(SeqNumber(u32::MAX).min(SeqNumber(3)), SeqNumber(u32::MAX));
    }

    #[test]
    fn a_sequence_number_before_the_stream_has_no_offset() {
        let anchor = Anchor::after_syn(SeqNumber(u32::MAX));
        assert_eq!(anchor.offset_of(SeqNumber(0)), Some(0));
        assert_eq!(anchor.offset_of(SeqNumber(u32::MAX)), None);
    }

    /// Offsets around every wrap of the first 2^36 bytes, and anywhere.
    fn offsets() -> impl Strategy<Value = u64> {
        prop_oneof![
            (0u64..16, -3i64..=3)
                .prop_map(|(wraps, near)| (wraps << 32).saturating_add_signed(near)),
            (0u64..32, -3i64..=3)
                .prop_map(|(halves, near)| (halves << 31).saturating_add_signed(near)),
            0..1u64 << 60,
        ]
    }

    proptest! {
        #[test]
        fn offset_and_sequence_number_convert_back_and_forth_across_every_wrap(
            isn in prop_oneof![Just(u32::MAX), Just(u32::MAX - 1), Just(0), any::<u32>()],
            at in offsets(),
            near in -(1i64 << 31)..(1i64 << 31),
        ) {
            let mut anchor = Anchor::after_syn(SeqNumber(isn));
            anchor.advance(at);
            prop_assert_eq!(anchor.seq, SeqNumber(isn.wrapping_add(1).wrapping_add(at as u32)));
            if let Some(other) = at.checked_add_signed(near) {
                prop_assert_eq!(anchor.offset_of(anchor.seq_of(other)), Some(other));
            }
        }
    }
}
