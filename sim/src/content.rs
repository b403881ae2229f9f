//! What every byte of a simulated transfer has to be: a function of the flow, the message and the offset.
//!
//! Both ends compute it, and so does the oracle on the wire; nothing is stored and nothing is compared
//! with what somebody else remembers. `sim/programs/content.h` is the same function in C.

/// Eight bytes of the content, little-endian.
const fn word(flow: u64, index: u64, word: u64) -> u64 {
    let mut x = word
        .wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(flow.wrapping_mul(0xd1b5_4a32_d192_ed03));
    x ^= x >> 32;
    x = x.wrapping_mul(0xe703_7ed1_a0b4_28db);
    x ^= x >> 29;
    x = x.wrapping_mul(0xa076_1d64_78bd_642f);
    x ^ (x >> 32)
}

/// Getter: one byte.
pub const fn byte(flow: u64, index: u64, offset: u64) -> u8 {
    word(flow, index, offset / 8).to_le_bytes()[(offset % 8) as usize]
}

/// Command: fills `bytes` with the content from `offset` on.
pub fn fill(flow: u64, index: u64, offset: u64, bytes: &mut [u8]) {
    let (head, body) = bytes.split_at_mut(unaligned(offset).min(bytes.len()));
    let mut at = offset;
    for one in head {
        *one = byte(flow, index, at);
        at += 1;
    }
    for chunk in body.chunks_mut(8) {
        let word = word(flow, index, at / 8).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
        at += 8;
    }
}

/// Getter: the position in `bytes` of the first one that is not the content at `offset` and on.
pub fn mismatch(flow: u64, index: u64, offset: u64, bytes: &[u8]) -> Option<usize> {
    let (head, body) = bytes.split_at(unaligned(offset).min(bytes.len()));
    let wrong = |(position, &one): (usize, &u8)| {
        (one != byte(flow, index, offset + position as u64)).then_some(position)
    };
    if let Some(position) = head.iter().enumerate().find_map(wrong) {
        return Some(position);
    }
    let at = offset + head.len() as u64;
    body.chunks(8).enumerate().find_map(|(number, chunk)| {
        let expected = word(flow, index, at / 8 + number as u64).to_le_bytes();
        let first = chunk.iter().zip(&expected).position(|(a, b)| a != b)?;
        Some(head.len() + number * 8 + first)
    })
}

/// Bytes up to the next whole word.
const fn unaligned(offset: u64) -> usize {
    ((8 - offset % 8) % 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn filling_and_checking_agree_with_the_definition(
            flow in 0_u64..4, index: u64, offset in 0_u64..100_000, len in 0_usize..100
        ) {
            let mut bytes = vec![0; len];
            fill(flow, index, offset, &mut bytes);
            for (position, &one) in bytes.iter().enumerate() {
                prop_assert_eq!(one, byte(flow, index, offset + position as u64));
            }
            prop_assert_eq!(mismatch(flow, index, offset, &bytes), None);
        }

        #[test]
        fn the_first_wrong_byte_is_found(offset in 0_u64..64, len in 1_usize..100, at: usize) {
            let mut bytes = vec![0; len];
            fill(1, 2, offset, &mut bytes);
            let at = at % len;
            bytes[at] ^= 0x80;
            prop_assert_eq!(mismatch(1, 2, offset, &bytes), Some(at));
        }
    }

    #[test]
    fn the_programs_in_c_compute_the_same() {
        const SOURCE: &str = r#"
            #include <stdlib.h>
            #include "content.h"
            int main(int argc, char **argv) {
                for (int at = 4; at < argc; at++)
                    if (content_byte(strtoull(argv[1], 0, 10), strtoull(argv[2], 0, 10),
                                     strtoull(argv[3], 0, 10) + (unsigned)(at - 4)) != atoi(argv[at]))
                        return 1;
                return argc - 4;
            }"#;
        let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/programs");
        let image = crate::loader::build_for_test("content", SOURCE, &[include]);
        let (flow, index, offset) = (0x1234_5678_9abc, 77, 1_000_003);
        let numbers = [flow, index, offset].map(|number: u64| number.to_string());
        let bytes = (0..50).map(|at| byte(flow, index, offset + at).to_string());
        let arguments: Vec<String> = numbers.into_iter().chain(bytes).collect();
        let code = crate::loader::run_main("content", &image, &arguments);
        assert_eq!(code.expect("it loads"), 50);
    }

    #[test]
    fn another_flow_message_or_place_has_other_bytes() {
        let mut bytes = vec![0; 64];
        fill(1, 2, 3, &mut bytes);
        for (flow, index, offset) in [(0, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 11)] {
            assert!(mismatch(flow, index, offset, &bytes).is_some_and(|at| at < 4));
        }
    }
}
