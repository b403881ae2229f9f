//! What every byte of a simulated transfer has to be: a function of the flow, the message and the offset.
//!
//! Both ends compute it, and so does the oracle on the wire; nothing is stored and nothing is compared
//! with what somebody else remembers. `sim/programs/content.h` is the same function in C.

use causeway_checksum::Implementation;

/// What separates a word from the next one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Where the content of a message begins.
const fn base(flow: u64, index: u64) -> u64 {
    let mut x =
        index.wrapping_mul(0xe703_7ed1_a0b4_28db) ^ flow.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 32;
    x = x.wrapping_mul(0xa076_1d64_78bd_642f);
    x ^ (x >> 29)
}

/// Eight bytes of the content, little-endian, by a number that grows by [`STEP`] from word to word: sums, shifts and no
/// product, so that a processor's vector unit makes two or four at a time.
const fn word(number: u64) -> u64 {
    number ^ (number >> 32)
}

/// The number of the word at `offset`.
const fn number(flow: u64, index: u64, offset: u64) -> u64 {
    base(flow, index).wrapping_add((offset / 8).wrapping_mul(STEP))
}

/// Getter: one byte.
pub const fn byte(flow: u64, index: u64, offset: u64) -> u8 {
    word(number(flow, index, offset)).to_le_bytes()[(offset % 8) as usize]
}

/// Command: fills `bytes` with the content from `offset` on.
pub fn fill(flow: u64, index: u64, offset: u64, bytes: &mut [u8]) {
    let (head, body) = bytes.split_at_mut(unaligned(offset).min(bytes.len()));
    let mut at = offset;
    for one in head {
        *one = byte(flow, index, at);
        at += 1;
    }
    let first = number(flow, index, at);
    // As the stack sums: with the widest registers that there are.
    Implementation::detect().vectorised(
        #[inline(always)]
        || fill_words(first, body),
    );
}

/// Fills `bytes` with whole words, the last of them perhaps in part.
#[inline(always)]
fn fill_words(first: u64, bytes: &mut [u8]) {
    let mut next = first;
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for one in words {
        *one = word(next).to_le_bytes();
        next = next.wrapping_add(STEP);
    }
    tail.copy_from_slice(&word(next).to_le_bytes()[..tail.len()]);
}

/// Getter: the position in `bytes` of the first one that is not the content at `offset` and on.
pub fn mismatch(flow: u64, index: u64, offset: u64, bytes: &[u8]) -> Option<usize> {
    let head = unaligned(offset).min(bytes.len());
    let first = number(flow, index, offset + head as u64);
    let (start, body) = bytes.split_at(head);
    let (blocks, tail) = body.as_chunks::<BLOCK>();
    let suspect = |position: usize, piece: &[u8]| {
        let wrong = |(at, &one): (usize, &u8)| {
            (one != byte(flow, index, offset + (position + at) as u64)).then_some(position + at)
        };
        piece.iter().enumerate().find_map(wrong)
    };
    if let Some(position) = suspect(0, start) {
        return Some(position);
    }
    let different = Implementation::detect().vectorised(
        #[inline(always)]
        || different_block(first, blocks),
    );
    if let Some(number) = different {
        return suspect(head + number * BLOCK, &blocks[number]);
    }
    let end = bytes.len() - tail.len();
    let passed = (blocks.len() * (BLOCK / 8)) as u64;
    let after = first.wrapping_add(passed.wrapping_mul(STEP));
    if is_of_words(after, tail) { None } else { suspect(end, tail) }
}

/// Getter: `bytes` are words from `first` on, the last of them perhaps in part.
#[inline]
fn is_of_words(first: u64, bytes: &[u8]) -> bool {
    let mut next = first;
    let (words, rest) = bytes.as_chunks::<8>();
    for seen in words {
        if u64::from_le_bytes(*seen) != word(next) {
            return false;
        }
        next = next.wrapping_add(STEP);
    }
    rest.iter().zip(word(next).to_le_bytes()).all(|(seen, byte)| *seen == byte)
}

/// The first block that is not made of the words from `first` on.
#[inline(always)]
fn different_block(first: u64, blocks: &[[u8; BLOCK]]) -> Option<usize> {
    let mut next = first;
    for (number, block) in blocks.iter().enumerate() {
        let mut different = 0;
        for seen in block.as_chunks::<8>().0 {
            different |= u64::from_le_bytes(*seen) ^ word(next);
            next = next.wrapping_add(STEP);
        }
        if different != 0 {
            return Some(number);
        }
    }
    None
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
