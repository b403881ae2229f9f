//! AVX2: 128 bytes a turn, each 64-bit lane split into two 32-bit words in 64-bit accumulators.

use core::arch::asm;
use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_srli_epi64, _mm256_storeu_si256,
};

use crate::portable;

/// Bytes in one register.
const WIDTH: usize = 32;
/// Registers in one turn of the main loop.
const UNROLL: usize = 4;

/// # Safety
/// The CPU must have AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn sum(bytes: &[u8]) -> u16 {
    let mut lanes = Accumulator::new();
    let (blocks, tail) = bytes.as_chunks::<WIDTH>();
    for block in blocks {
        // SAFETY: an unaligned load of the 32 bytes that `block` refers to.
        lanes.add(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) });
    }
    combine(lanes.total(), portable::sum(tail))
}

/// # Safety
/// The CPU must have AVX2; for the rest as [`crate::Implementation::copy_sum_ptr`].
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn copy_sum_ptr(src: *const u8, dst: &mut [u8]) -> u16 {
    let mut lanes = Accumulator::new();
    let mut at = 0;
    let (turns, rest) = dst.as_chunks_mut::<{ WIDTH * UNROLL }>();
    for turn in turns {
        for (i, to) in turn.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            // SAFETY: `at + i * WIDTH + WIDTH <= dst.len()`, for which the caller vouches.
            lanes.add(unsafe { copy_register(src.add(at + i * WIDTH), to) });
        }
        at += WIDTH * UNROLL;
    }
    let (registers, tail) = rest.as_chunks_mut::<WIDTH>();
    for to in registers {
        // SAFETY: `at + WIDTH <= dst.len()`, for which the caller vouches.
        lanes.add(unsafe { copy_register(src.add(at), to) });
        at += WIDTH;
    }
    // SAFETY: `at + tail.len() == dst.len()`.
    combine(lanes.total(), unsafe { portable::copy_sum_ptr(src.add(at), tail) })
}

/// Loads 32 bytes once, stores them, and hands out what was stored.
///
/// # Safety
/// The CPU must have AVX2, `src .. src + 32` must be readable.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn copy_register(src: *const u8, dst: &mut [u8; WIDTH]) -> __m256i {
    let value: __m256i;
    // SAFETY: reads 32 readable bytes and nothing else. It is assembly because the memory may be
    // changing: the compiler must treat the block as one opaque load, and may neither repeat it nor
    // read the source instead of `dst` later, as it may with the intrinsic.
    unsafe {
        asm!(
            "vmovdqu {value}, ymmword ptr [{src}]",
            value = lateout(ymm_reg) value,
            src = in(reg) src,
            options(nostack, preserves_flags, readonly),
        );
    }
    // SAFETY: an unaligned store of 32 bytes into `dst`, which has 32.
    unsafe { _mm256_storeu_si256(dst.as_mut_ptr().cast(), value) };
    value
}

/// Sums of the low and the high 32-bit halves of each 64-bit lane. None can overflow before 2^32
/// registers, which is 128 GiB.
struct Accumulator {
    low: __m256i,
    high: __m256i,
    mask: __m256i,
}

impl Accumulator {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new() -> Self {
        let zero = _mm256_setzero_si256();
        Self { low: zero, high: zero, mask: _mm256_set1_epi64x(0xffff_ffff) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add(&mut self, value: __m256i) {
        self.low = _mm256_add_epi64(self.low, _mm256_and_si256(value, self.mask));
        self.high = _mm256_add_epi64(self.high, _mm256_srli_epi64::<32>(value));
    }

    /// The folded sum in network order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn total(self) -> u16 {
        let mut lanes = [0u64; WIDTH / 8];
        // SAFETY: an unaligned store of 32 bytes into an array of 32 bytes.
        unsafe {
            _mm256_storeu_si256(lanes.as_mut_ptr().cast(), _mm256_add_epi64(self.low, self.high));
        }
        portable::from_native(lanes.iter().sum())
    }
}

/// Both parts begin at even positions, as [`WIDTH`] is even.
fn combine(a: u16, b: u16) -> u16 {
    crate::combine(a, b, false)
}
