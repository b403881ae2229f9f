//! AVX2: 32 bytes a turn, their 16-bit words added in pairs by one multiplication with ones.
//!
//! `vpmaddwd` takes its words as signed. Each is biased by 2^15 before (one exclusive or), and the bias, a known number of
//! times 2^15, is added back at the end: three instructions a register, exact for every input.

use core::arch::asm;
use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_set1_epi16, _mm256_setzero_si256, _mm256_storeu_si256, _mm256_xor_si256,
};

use crate::portable;

/// Bytes in one register.
const WIDTH: usize = 32;
/// Registers in one turn of the loops.
const UNROLL: usize = 4;
/// Bytes after which the 32-bit lanes are emptied. A register adds at most 2^16 to each: 2^14 of them fit twice.
const BYTES_MAX: usize = WIDTH << 14;
/// What the bias of all words of a register amounts to.
const BIAS: u64 = (WIDTH as u64 / 2) << 15;

/// # Safety
/// The CPU must have AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn sum(bytes: &[u8]) -> u16 {
    let (blocks, tail) = bytes.as_chunks::<WIDTH>();
    let mut total = match bytes.last_chunk::<WIDTH>() {
        // In an odd number of bytes the words of the last register are not those of the whole.
        Some(last) if tail.len() % 2 == 0 => sum_end(last, tail.len()),
        _ => portable::sum_tail(tail),
    };
    for run in blocks.chunks(BYTES_MAX / WIDTH) {
        let mut lanes = Accumulator::new();
        let (turns, rest) = run.as_chunks::<UNROLL>();
        for [a, b, c, d] in turns {
            lanes.add(load(a));
            lanes.add(load(b));
            lanes.add(load(c));
            lanes.add(load(d));
        }
        for block in rest {
            lanes.add(load(block));
        }
        total += lanes.total(run.len());
    }
    portable::from_native(total)
}

/// # Safety
/// The CPU must have AVX2; for the rest as [`crate::Implementation::copy_sum_ptr`].
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn copy_sum_ptr(mut src: *const u8, dst: &mut [u8]) -> u16 {
    let (blocks, tail) = dst.as_chunks_mut::<WIDTH>();
    let mut total = 0;
    for run in blocks.chunks_mut(BYTES_MAX / WIDTH) {
        let registers = run.len();
        let mut lanes = Accumulator::new();
        let (turns, rest) = run.as_chunks_mut::<UNROLL>();
        for turn in turns {
            let [a, b, c, d] = turn;
            // SAFETY: together the runs and the tail are `dst.len()` bytes, for which the caller vouches; these are
            // the four registers of the turn that `src` has come to.
            unsafe {
                lanes.add(copy_register::<0>(src, a));
                lanes.add(copy_register::<WIDTH>(src, b));
                lanes.add(copy_register::<{ 2 * WIDTH }>(src, c));
                lanes.add(copy_register::<{ 3 * WIDTH }>(src, d));
            }
            // SAFETY: as above: at most one past the last byte.
            src = unsafe { src.add(UNROLL * WIDTH) };
        }
        for to in rest {
            // SAFETY: as above.
            lanes.add(unsafe { copy_register::<0>(src, to) });
            // SAFETY: as above.
            src = unsafe { src.add(WIDTH) };
        }
        total += lanes.total(registers);
    }
    // SAFETY: `src` has come to where `tail` begins. Both parts begin at even positions, as `WIDTH` is even.
    portable::from_native(total + unsafe { portable::copy_add_ptr(src, tail) })
}

/// The sum of the words in the last `count` bytes of `last`, `count` being even.
#[target_feature(enable = "avx2")]
#[inline]
fn sum_end(last: &[u8; WIDTH], count: usize) -> u64 {
    /// Any 32 bytes of it are zeros followed by ones.
    const MASK: [u8; 2 * WIDTH] = {
        let mut mask = [0; 2 * WIDTH];
        let mut i = WIDTH;
        while i < 2 * WIDTH {
            mask[i] = 0xff;
            i += 1;
        }
        mask
    };
    let Some(mask) = MASK.get(count..).and_then(|from| from.first_chunk()) else { return 0 };
    let mut lanes = Accumulator::new();
    lanes.add(_mm256_and_si256(load(last), load(mask)));
    lanes.total(1)
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

    /// The sum of the words of `registers` registers in native byte order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn total(self, registers: usize) -> u64 {
        let mut lanes = [0i32; WIDTH / 4];
        // SAFETY: an unaligned store of 32 bytes into an array of 32 bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), self.lanes) };
        let biased: i64 = lanes.iter().map(|lane| i64::from(*lane)).sum();
        (registers as u64 * BIAS).wrapping_add_signed(biased)
    }
}
