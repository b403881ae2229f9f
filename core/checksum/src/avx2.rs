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

/// Runs `work`.
///
/// # Safety
/// The CPU must have AVX2.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    work()
}

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
/// The CPU must have AVX2; `src .. src + len` must be readable, `dst .. dst + len` writable, and they must not overlap. Either may be
/// memory that another process uses at this moment; `len` is at least that of a register.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn copy_sum_ptr(mut src: *const u8, mut dst: *mut u8, len: usize) -> u16 {
    debug_assert!(len >= WIDTH, "whoever has less takes the portable way");
    let (mut left, words) = (len / WIDTH, (len % WIDTH) & !3);
    let mut lanes = Accumulator::new();
    let mut total = 0;
    let tail = left * WIDTH;
    // SAFETY: blocks, words and odd bytes are together `len` bytes, for which the caller vouches; the words are fewer than a
    // register has.
    lanes.add(unsafe { copy_words(src.add(tail), dst.add(tail), words) });
    let odd = tail + words;
    if odd < len {
        // SAFETY: as above. All parts begin at even positions.
        total = unsafe { portable::copy_add_raw(src.add(odd), dst.add(odd), len - odd) };
    }
    let mut registers = 1;
    while left > 0 {
        let run = left.min(REGISTERS_MAX - 1);
        registers += run;
        left -= run;
        // SAFETY: as above; these are the registers that `src` and `dst` have come to, and they move on behind them.
        unsafe {
            for _ in 0..run / 16 {
                (src, dst) = lanes.copy_eight(src, dst);
                (src, dst) = lanes.copy_eight(src, dst);
            }
            if run & 8 != 0 {
                (src, dst) = lanes.copy_eight(src, dst);
            }
            if run & 4 != 0 {
                (src, dst) = lanes.copy_four(src, dst);
            }
            for _ in 0..run & 3 {
                lanes.add(copy_register::<0>(src, dst));
                (src, dst) = (src.add(WIDTH), dst.add(WIDTH));
            }
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

/// Loads the 32 bytes that lie `AT` bytes behind `src` once, stores them as far behind `dst`, and hands out what was stored.
///
/// # Safety
/// The CPU must have AVX2, `src + AT .. src + AT + 32` must be readable and `dst + AT .. dst + AT + 32` writable.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn copy_register<const AT: usize>(src: *const u8, dst: *mut u8) -> __m256i {
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
    // SAFETY: an unaligned store of 32 bytes, for which the caller vouches.
    unsafe { _mm256_storeu_si256(dst.add(AT).cast(), value) };
    value
}

/// Copies `len` bytes, whole 32-bit words and fewer than a register has, and hands out what was stored, followed by zeros. Each word
/// is loaded once.
///
/// # Safety
/// The CPU must have AVX2, `src .. src + len` must be readable, `dst .. dst + len` writable, and `len` a multiple of 4 below 32.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn copy_words(src: *const u8, dst: *mut u8, len: usize) -> __m256i {
    debug_assert!(len < WIDTH && len.is_multiple_of(4), "{len}");
    let mask = first_bytes(len);
    let value: __m256i;
    // SAFETY: reads the words that the mask has, which are `len` readable bytes, and nothing else. Assembly for the reason that is
    // given at `copy_register`.
    unsafe {
        asm!(
            "vpmaskmovd {value}, {mask}, ymmword ptr [{src}]",
            value = lateout(ymm_reg) value,
            mask = in(ymm_reg) mask,
            src = in(reg) src,
            options(nostack, preserves_flags, readonly),
        );
    }
    // SAFETY: stores the words that the mask has: `len` bytes.
    unsafe { _mm256_maskstore_epi32(dst.cast(), mask, value) };
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

    /// Copies four registers and adds what was copied. Returns where source and destination go on.
    ///
    /// # Safety
    /// The CPU must have AVX2, and as many bytes from `src` on must be readable, and from `dst` on writable.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn copy_four(&mut self, src: *const u8, dst: *mut u8) -> (*const u8, *mut u8) {
        // SAFETY: the four registers that the caller vouches for; at most one past the last byte.
        unsafe {
            self.add(copy_register::<0>(src, dst));
            self.add(copy_register::<WIDTH>(src, dst));
            self.add(copy_register::<{ 2 * WIDTH }>(src, dst));
            self.add(copy_register::<{ 3 * WIDTH }>(src, dst));
            (src.add(4 * WIDTH), dst.add(4 * WIDTH))
        }
    }

    /// The same with eight.
    ///
    /// # Safety
    /// As for [`Accumulator::copy_four`].
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn copy_eight(&mut self, src: *const u8, dst: *mut u8) -> (*const u8, *mut u8) {
        // SAFETY: the eight registers that the caller vouches for; at most one past the last byte.
        unsafe {
            self.add(copy_register::<0>(src, dst));
            self.add(copy_register::<WIDTH>(src, dst));
            self.add(copy_register::<{ 2 * WIDTH }>(src, dst));
            self.add(copy_register::<{ 3 * WIDTH }>(src, dst));
            self.add(copy_register::<{ 4 * WIDTH }>(src, dst));
            self.add(copy_register::<{ 5 * WIDTH }>(src, dst));
            self.add(copy_register::<{ 6 * WIDTH }>(src, dst));
            self.add(copy_register::<{ 7 * WIDTH }>(src, dst));
            (src.add(8 * WIDTH), dst.add(8 * WIDTH))
        }
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
