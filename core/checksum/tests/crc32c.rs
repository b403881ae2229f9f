//! CRC-32C against RFC 3720, against its definition, and each implementation against the other.

use causeway_checksum::Implementation;
use proptest::prelude::*;

/// The definition: one bit after the other.
fn model(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn implementations() -> [Implementation; 2] {
    [Implementation::PORTABLE, Implementation::detect()]
}

#[test]
fn the_vectors_of_rfc_3720_come_out() {
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    let mut command = [0; 48];
    for (at, byte) in [(0, 0x01), (1, 0xc0), (16, 0x14), (22, 0x04), (27, 0x14), (31, 0x18)] {
        command[at] = byte;
    }
    (command[32], command[40]) = (0x28, 0x02);
    for implementation in implementations() {
        // Appendix B.4, whose bytes are in the order of the wire.
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (&command, 0xd996_3a56),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(implementation.crc32c(0, bytes), expected, "{implementation:?}");
            assert_eq!(model(bytes), expected);
        }
    }
}

#[test]
fn every_length_at_every_place_agrees_with_the_definition() {
    let bytes: Vec<u8> = (0..1_300u32).map(|i| ((i * i) >> 3) as u8).collect();
    for len in 0..1_250 {
        let piece = &bytes[len % 17..len % 17 + len];
        let expected = model(piece);
        for implementation in implementations() {
            assert_eq!(implementation.crc32c(0, piece), expected, "{implementation:?} {len}");
        }
    }
}

proptest! {
    #[test]
    fn pieces_of_any_length_have_the_crc_of_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..5_000),
        cuts in prop::collection::vec(0usize..5_000, 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        for implementation in implementations() {
            let (mut crc, mut from) = (0, 0);
            for cut in &cuts {
                crc = implementation.crc32c(crc, &bytes[from..*cut]);
                from = *cut;
            }
            prop_assert_eq!(crc, model(&bytes));
        }
    }
}
