//! What the selective acknowledgement means. Upstream's writer and reader disagree about the layout:
//!
//! * its **reader** looks for "packet ackno + i is here" in word 3 - i/8, bit i % 8, and walks as many set bits as the
//!   count says, past the end of its packets if there are fewer: so this is what we send, and the count is exactly
//!   the number of bits that we set;
//! * its **writer** puts the same into word i/8, bit i % 8. Only word 0 and the count are to be trusted. The upper 56 bits of the words
//!   carry the history of packets that arrived in order, and are never all zero once one did.
//!
//! Another Causeway writes what upstream reads, with the upper bits zero, and that tells the two apart. Where both readings are
//! possible (nothing arrived in order yet) nothing is believed but that packet `ackno` is missing. In any case this is
//! advice: it decides what is sent again early, never what is forgotten.

use crate::wire::machnet::SackField;

/// Packets ahead of `ackno` that the field can speak of.
const VISIBLE: u32 = 32;

/// The field for a peer's reader; bit `i` of `held` means that packet ackno + i is here.
pub(super) const fn field(held: u64) -> SackField {
    // Bit 0 would say that the packet is here which `ackno` says is not.
    let visible = held as u32 & !1;
    let [w3, w2, w1, w0] = visible.to_le_bytes();
    SackField {
        words: [w0 as u64, w1 as u64, w2 as u64, w3 as u64],
        count: visible.count_ones() as u16,
    }
}

/// What an acknowledgement says about the packets from `ackno`; bit `i` is packet ackno + i.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SackView {
    /// These are with the peer.
    pub(super) held: u32,
    /// Of these we know; those not in `held` had not arrived.
    pub(super) known: u32,
}

/// Reads the field of a peer's ACK. `advanced`: the peer has received a packet in order before; `outstanding`: packets
/// sent and not acknowledged (at most 32).
pub(super) fn view(field: &SackField, advanced: bool, outstanding: u8) -> SackView {
    if field.count == 0 {
        return SackView { held: 0, known: u32::MAX };
    }
    let sent = ((1u64 << u32::from(outstanding).min(VISIBLE)) - 1) as u32 & !1;
    let low = field.words.map(|word| (word & 0xff) as u8);
    let history = field.words.iter().any(|word| word >> 8 != 0);
    let only_word_0 = low[1..] == [0; 3];

    let causeway = u32::from_le_bytes([low[3], low[2], low[1], low[0]]);
    let causeway_fits =
        !history && causeway & !sent == 0 && causeway.count_ones() == u32::from(field.count);
    let upstream = u32::from(low[0]);
    let upstream_fits = upstream & !sent == 0 && upstream.count_ones() <= u32::from(field.count);

    if causeway_fits && !only_word_0 && (advanced || low[0] == 0 || !upstream_fits) {
        SackView { held: causeway, known: u32::MAX }
    } else if upstream_fits && (!causeway_fits || only_word_0) {
        let complete = upstream.count_ones() == u32::from(field.count);
        SackView { held: upstream, known: if complete { u32::MAX } else { 0xff } }
    } else {
        SackView { held: 0, known: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_count_is_the_number_of_visible_bits_and_the_layout_is_the_readers() {
        let sack = field(1 << 1 | 1 << 9 | 1 << 31 | 1 << 40 | 1);
        assert_eq!(sack.words, [0x80, 0, 0x02, 0x02]);
        assert_eq!(sack.count, 3);
    }

    #[test]
    fn of_upstream_only_word_0_and_the_count_are_believed() {
        // From a capture: packet 10 missing, 11 to 19 here, the history of ten packets in word 1.
        let sack = SackField { words: [0xfe, 0xff80_0000_0000_0003, 0, 0], count: 9 };
        assert_eq!(view(&sack, true, 31), SackView { held: 0xfe, known: 0xff });
        let sack = SackField { words: [0x06, 0xff80_0000_0000_0000, 0, 0], count: 2 };
        assert_eq!(view(&sack, true, 31), SackView { held: 0x06, known: u32::MAX });
    }

    #[test]
    fn what_was_never_sent_is_not_believed() {
        let sack = SackField { words: [0x80, 1 << 63, 0, 0], count: 1 };
        assert_eq!(view(&sack, true, 4), SackView { held: 0, known: 1 });
    }

    proptest! {
        #[test]
        fn another_causeway_is_read_exactly(held in any::<u32>()) {
            let sack = field(u64::from(held));
            let held = held & !1;
            prop_assume!(held & 0x00ff_ffff != 0 || held == 0);
            prop_assert_eq!(view(&sack, true, 32), SackView { held, known: u32::MAX });
        }

        #[test]
        fn no_field_is_read_as_more_than_was_sent(
            words in any::<[u64; 4]>(), count in any::<u16>(), advanced: bool, outstanding in 0u8..=32
        ) {
            let read = view(&SackField { words, count }, advanced, outstanding);
            prop_assert!(u64::from(read.held) < 1 << outstanding.max(1));
            prop_assert_eq!(read.held & 1, 0);
        }
    }
}
