//! AVX2: 32 bytes a turn, their 16-bit words added in pairs by one multiplication with ones.
//!
//! `vpmaddwd` takes its words as signed. Each is biased by 2^15 before (one exclusive or), and the bias, a known number of
//! times 2^15, is added back at the end: three instructions a register, exact for every input.

use core::arch::asm;
use core::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_add_epi32,
    _mm256_andnot_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maskstore_epi32, _mm256_set1_epi16, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm256_xor_si256,
};

use crate::portable;

/// Bytes in one register.
const WIDTH: usize = 32;
/// Registers in one turn of the loops.
const UNROLL: usize = 8;
/// Registers after which the 32-bit lanes are emptied. Each adds at most 2^16 to a lane, and all eight lanes together have to
/// fit into one.
const REGISTERS_MAX: usize = 1 << 11;
/// What the bias of all words of a register amounts to.
const BIAS: u64 = (WIDTH as u64 / 2) << 15;

/// # Safety
/// The CPU must have AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn sum(bytes: &[u8]) -> u16 {
    let (blocks, tail) = bytes.as_chunks::<WIDTH>();
    debug_assert!(!blocks.is_empty(), "whoever has less takes the portable way");
    let mut lanes = Accumulator::new();
    let mut total = 0;
    match bytes.last_chunk::<WIDTH>() {
        // In an odd number of bytes the words of the last register are not those of the whole.
        Some(last) if tail.len() % 2 == 0 => {
            lanes.add(_mm256_andnot_si256(first_bytes(WIDTH - tail.len()), load(last)));
        }
        _ => {
            lanes.add(_mm256_setzero_si256());
            total = portable::sum_tail(tail);
        }
    }
    let mut registers = 1;
    for run in blocks.chunks(REGISTERS_MAX - 1) {
        registers += run.len();
        let (turns, rest) = run.as_chunks::<UNROLL>();
        for turn in turns {
            lanes.add_all(turn);
        }
        let (half, rest) = rest.as_chunks::<{ UNROLL / 2 }>();
        for turn in half {
            lanes.add_all(turn);
        }
        for block in rest {
            lanes.add(load(block));
        }
        total += lanes.take(core::mem::take(&mut registers));
    }
    portable::from_native(total)
}

/// # Safety
/// The CPU must have AVX2; for the rest as [`crate::Implementation::copy_sum_ptr`].
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn copy_sum_ptr(mut src: *const u8, dst: &mut [u8]) -> u16 {
    let (blocks, tail) = dst.as_chunks_mut::<WIDTH>();
    debug_assert!(!blocks.is_empty(), "whoever has less takes the portable way");
    let (words, odd) = tail.split_at_mut(tail.len() & !3);
    let mut lanes = Accumulator::new();
    let mut total = 0;
    // SAFETY: blocks, words and odd bytes are together `dst.len()` bytes, for which the caller vouches.
    let src_words = unsafe { src.add(blocks.len() * WIDTH) };
    // SAFETY: as above; the words are fewer than a register.
    lanes.add(unsafe { copy_words(src_words, words) });
    if !odd.is_empty() {
        // SAFETY: as above. All parts begin at even positions.
        total = unsafe { portable::copy_add_ptr(src_words.add(words.len()), odd) };
    }
    let mut registers = 1;
    for run in blocks.chunks_mut(REGISTERS_MAX - 1) {
        registers += run.len();
        let (turns, rest) = run.as_chunks_mut::<UNROLL>();
        for turn in turns {
            // SAFETY: as above; these are the registers that `src` has come to, and it moves on behind them.
            src = unsafe { lanes.copy_eight(src, turn) };
        }
        let (half, rest) = rest.as_chunks_mut::<{ UNROLL / 2 }>();
        for turn in half {
            // SAFETY: as above.
            src = unsafe { lanes.copy_four(src, turn) };
        }
        for to in rest {
            // SAFETY: as above.
            lanes.add(unsafe { copy_register::<0>(src, to) });
            // SAFETY: as above.
            src = unsafe { src.add(WIDTH) };
        }
        total += lanes.take(core::mem::take(&mut registers));
    }
    portable::from_native(total)
}

/// A register of which the first `count` bytes have all bits set, and the others none.
#[target_feature(enable = "avx2")]
#[inline]
fn first_bytes(count: usize) -> __m256i {
    const MASK: [u8; 2 * WIDTH] = {
        let mut mask = [0; 2 * WIDTH];
        let mut i = 0;
        while i < WIDTH {
            mask[i] = 0xff;
            i += 1;
        }
        mask
    };
    let at = WIDTH - count.min(WIDTH);
    MASK.get(at..).and_then(|from| from.first_chunk()).map_or(_mm256_setzero_si256(), |m| load(m))
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &[u8; WIDTH]) -> __m256i {
    // SAFETY: an unaligned load of the 32 bytes that `block` refers to.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}

/// Loads the 32 bytes that lie `AT` bytes behind `src` once, stores them, and hands out what was stored.
///
/// # Safety
/// The CPU must have AVX2, `src + AT .. src + AT + 32` must be readable.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn copy_register<const AT: usize>(src: *const u8, dst: &mut [u8; WIDTH]) -> __m256i {
    let value: __m256i;
    // SAFETY: reads 32 readable bytes and nothing else. It is assembly because the memory may be
    // changing: the compiler must treat the block as one opaque load, and may neither repeat it nor
    // read the source instead of `dst` later, as it may with the intrinsic.
    unsafe {
        asm!(
            "vmovdqu {value}, ymmword ptr [{src} + {at}]",
            value = lateout(ymm_reg) value,
            src = in(reg) src,
            at = const AT,
            options(nostack, preserves_flags, readonly),
        );
    }
    // SAFETY: an unaligned store of 32 bytes into `dst`, which has 32.
    unsafe { _mm256_storeu_si256(dst.as_mut_ptr().cast(), value) };
    value
}

/// Copies the 32-bit words of `dst`, fewer than a register has, and hands out what was stored, followed by zeros. Each is
/// loaded once.
///
/// # Safety
/// The CPU must have AVX2, `src .. src + dst.len()` must be readable, and `dst.len()` a multiple of 4 below 32.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn copy_words(src: *const u8, dst: &mut [u8]) -> __m256i {
    debug_assert!(dst.len() < WIDTH && dst.len().is_multiple_of(4), "{}", dst.len());
    let mask = first_bytes(dst.len());
    let value: __m256i;
    // SAFETY: reads the words that the mask has, which are `dst.len()` readable bytes, and nothing else. Assembly for the
    // reason that is given at `copy_register`.
    unsafe {
        asm!(
            "vpmaskmovd {value}, {mask}, ymmword ptr [{src}]",
            value = lateout(ymm_reg) value,
            mask = in(ymm_reg) mask,
            src = in(reg) src,
            options(nostack, preserves_flags, readonly),
        );
    }
    // SAFETY: stores the words that the mask has: `dst.len()` bytes.
    unsafe { _mm256_maskstore_epi32(dst.as_mut_ptr().cast(), mask, value) };
    value
}

/// Sums of biased words in eight 32-bit lanes.
struct Accumulator {
    lanes: __m256i,
    bias: __m256i,
    ones: __m256i,
}

impl Accumulator {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new() -> Self {
        Self {
            lanes: _mm256_setzero_si256(),
            bias: _mm256_set1_epi16(i16::MIN),
            ones: _mm256_set1_epi16(1),
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add(&mut self, value: __m256i) {
        let pairs = _mm256_madd_epi16(_mm256_xor_si256(value, self.bias), self.ones);
        self.lanes = _mm256_add_epi32(self.lanes, pairs);
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add_all<const N: usize>(&mut self, blocks: &[[u8; WIDTH]; N]) {
        for block in blocks {
            self.add(load(block));
        }
    }

    /// Copies to `blocks` from `src` and adds what was copied. Returns where the source goes on.
    ///
    /// # Safety
    /// The CPU must have AVX2, and as many bytes from `src` on as `blocks` have must be readable.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn copy_four(&mut self, src: *const u8, blocks: &mut [[u8; WIDTH]; 4]) -> *const u8 {
        let [a, b, c, d] = blocks;
        // SAFETY: the four registers that the caller vouches for.
        unsafe {
            self.add(copy_register::<0>(src, a));
            self.add(copy_register::<WIDTH>(src, b));
            self.add(copy_register::<{ 2 * WIDTH }>(src, c));
            self.add(copy_register::<{ 3 * WIDTH }>(src, d));
        }
        // SAFETY: at most one past the last of them.
        unsafe { src.add(4 * WIDTH) }
    }

    /// Like [`Accumulator::copy_four`].
    ///
    /// # Safety
    /// As there.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn copy_eight(&mut self, src: *const u8, blocks: &mut [[u8; WIDTH]; 8]) -> *const u8 {
        let [a, b, c, d, e, f, g, h] = blocks;
        // SAFETY: the eight registers that the caller vouches for.
        unsafe {
            self.add(copy_register::<0>(src, a));
            self.add(copy_register::<WIDTH>(src, b));
            self.add(copy_register::<{ 2 * WIDTH }>(src, c));
            self.add(copy_register::<{ 3 * WIDTH }>(src, d));
            self.add(copy_register::<{ 4 * WIDTH }>(src, e));
            self.add(copy_register::<{ 5 * WIDTH }>(src, f));
            self.add(copy_register::<{ 6 * WIDTH }>(src, g));
            self.add(copy_register::<{ 7 * WIDTH }>(src, h));
        }
        // SAFETY: at most one past the last of them.
        unsafe { src.add(8 * WIDTH) }
    }

    /// The sum of the words of the `registers` registers since the last time, in native byte order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn take(&mut self, registers: usize) -> u64 {
        let four = _mm_add_epi32(
            _mm256_castsi256_si128(self.lanes),
            _mm256_extracti128_si256(self.lanes, 1),
        );
        let two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0b01_00_11_10));
        let one = _mm_add_epi32(two, _mm_shuffle_epi32(two, 0b10_11_00_01));
        self.lanes = _mm256_setzero_si256();
        (registers as u64 * BIAS).wrapping_add_signed(i64::from(_mm_cvtsi128_si32(one)))
    }
}
