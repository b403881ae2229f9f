//! Every implementation against a scalar model of RFC 1071.

use causeway_checksum::{
    Implementation, combine, copy_ptr, copy_sum, copy_to_ptr, finish, fold, pseudo_header_v4,
    pseudo_header_v6, sum,
};
use proptest::prelude::*;

/// The definition: big-endian words, end-around carry.
fn model(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded after each step")
}

fn implementations() -> Vec<Implementation> {
    let mut all = vec![Implementation::PORTABLE];
    if Implementation::detect() != Implementation::PORTABLE {
        all.push(Implementation::detect());
    }
    all
}

/// Bytes that are different in each position and carry often.
fn pattern(len: usize, salt: u64) -> Vec<u8> {
    (0..len as u64)
        .map(|i| ((i + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | (salt as u8 & 0xf0))
        .collect()
}

#[test]
fn every_length_and_every_misalignment_agrees_with_the_model() {
    let source = pattern(4096 + 64, 3);
    for len in 0..=4096usize {
        let from = len % 33;
        let to = (len / 33) % 35;
        let bytes = &source[from..from + len];
        let expected = model(bytes);
        for implementation in implementations() {
            let mut dst = vec![0xa5u8; to + len + 40];
            assert_eq!(implementation.sum(bytes), expected, "{implementation:?} {len}");
            let got = implementation.copy_sum(bytes, &mut dst[to..to + len]);
            assert_eq!(got, expected, "{implementation:?} copy {len}");
            assert_eq!(&dst[to..to + len], bytes);
            dst.fill(0xa5);
            // SAFETY: `bytes` has `len` readable bytes and is another allocation than `dst`.
            let got =
                unsafe { implementation.copy_sum_ptr(bytes.as_ptr(), &mut dst[to..to + len]) };
            assert_eq!(got, expected, "{implementation:?} pointer {len}");
            assert_eq!(&dst[to..to + len], bytes);
            assert!(dst[..to].iter().chain(&dst[to + len..]).all(|&b| b == 0xa5), "stays inside");
        }
    }
}

#[test]
fn no_length_overflows_an_accumulator() {
    for byte in [0x00, 0x7f, 0x80, 0xff] {
        let bytes = vec![byte; (3 << 19) + 37];
        let expected = model(&bytes);
        let mut dst = vec![0xa5; bytes.len()];
        for implementation in implementations() {
            assert_eq!(implementation.sum(&bytes), expected, "{implementation:?} {byte:#x}");
            assert_eq!(implementation.copy_sum(&bytes, &mut dst), expected, "{implementation:?}");
            assert_eq!(dst, bytes);
        }
    }
}

#[test]
fn a_sum_of_ones_folds_to_ffff_and_of_zeros_to_0() {
    for implementation in implementations() {
        assert_eq!(implementation.sum(&[0xff; 65_536]), 0xffff);
        assert_eq!(implementation.sum(&[0; 65_536]), 0);
        assert_eq!(implementation.sum(&[]), 0);
    }
}

#[test]
fn the_copy_stops_at_the_shorter_slice() {
    let src = pattern(300, 9);
    let mut dst = vec![0u8; 200];
    assert_eq!(copy_sum(&src, &mut dst), model(&src[..200]));
    let mut longer = vec![7u8; 400];
    assert_eq!(copy_sum(&src, &mut longer), model(&src));
    assert!(longer[300..].iter().all(|&b| b == 7));
}

#[test]
fn pseudo_headers_are_the_sums_of_their_bytes() {
    let (a, b) = ([192, 168, 7, 255], [10, 255, 255, 9]);
    let mut bytes = Vec::from(a);
    bytes.extend(b);
    bytes.extend([0, 6, 0xff, 0xf3]);
    assert_eq!(pseudo_header_v4(a, b, 6, 0xfff3), model(&bytes));

    let a: [u8; 16] = core::array::from_fn(|i| 255 - i as u8);
    let b: [u8; 16] = core::array::from_fn(|i| 240 + i as u8);
    let mut bytes = Vec::from(a);
    bytes.extend(b);
    bytes.extend([0, 1, 0xff, 0xf3, 0, 0, 0, 17]);
    assert_eq!(pseudo_header_v6(a, b, 17, 0x0001_fff3), model(&bytes));
}

#[test]
fn the_example_of_rfc_1071_section_3() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(sum(&bytes), 0xddf2);
    assert_eq!(finish(sum(&bytes)), 0x220d);
}

/// While another thread writes words of equal bytes, each copied word must be one of them, and the sum
/// must be the sum of the copy.
#[test]
fn a_changing_source_never_makes_copy_and_sum_disagree() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    let shared: Vec<AtomicU64> = (0..256).map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut value = 1u64;
            while !stop.load(Ordering::Relaxed) {
                value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                for word in &shared {
                    word.store(value, Ordering::Relaxed);
                }
            }
        });
        let mut dst = vec![0u8; 2048];
        for turn in 0..5_000 {
            let len = 2048 - turn % 37;
            for implementation in implementations() {
                // SAFETY: 2048 bytes of atomics in another allocation; they may change meanwhile.
                let got =
                    unsafe { implementation.copy_sum_ptr(shared.as_ptr().cast(), &mut dst[..len]) };
                assert_eq!(got, model(&dst[..len]), "{implementation:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn plain_copies_through_pointers_copy() {
    let src = pattern(1000, 1);
    let mut there = vec![0u8; 1000];
    let mut back = vec![0u8; 1000];
    // SAFETY: three disjoint allocations of 1000 bytes.
    unsafe {
        copy_to_ptr(&src, there.as_mut_ptr());
        copy_ptr(there.as_ptr(), &mut back);
    }
    assert_eq!(back, src);
}

proptest! {
    #[test]
    fn arbitrary_bytes_agree_with_the_model(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for implementation in implementations() {
            prop_assert_eq!(implementation.sum(&bytes), model(&bytes));
            let mut dst = vec![0u8; bytes.len()];
            prop_assert_eq!(implementation.copy_sum(&bytes, &mut dst), model(&bytes));
            prop_assert_eq!(&dst, &bytes);
            dst.fill(0);
            // SAFETY: an allocation of as many bytes.
            let sum = unsafe { implementation.copy_sum_to_ptr(&bytes, dst.as_mut_ptr()) };
            prop_assert_eq!(sum, model(&bytes));
            prop_assert_eq!(&dst, &bytes);
        }
    }

    #[test]
    fn a_sum_can_be_made_of_two_parts(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(bytes.len() + 1);
        let (a, b) = bytes.split_at(cut);
        prop_assert_eq!(combine(sum(a), sum(b), cut % 2 == 1), model(&bytes));
    }

    #[test]
    fn folding_keeps_the_value_modulo_ffff(x in any::<u64>()) {
        prop_assert_eq!(u64::from(fold(x)) % 0xffff, x % 0xffff);
        prop_assert_eq!(fold(x) == 0, x == 0);
    }
}
