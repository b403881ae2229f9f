//! Plain Rust: halves of 64-bit words in 64-bit lanes, a shape that compilers vectorise.
//!
//! Words are added in the machine's byte order and the folded result is swapped once: the one's
//! complement sum does not depend on the order (RFC 1071 §2 (B)).

use crate::fold;

/// Bytes of one turn of the main loop.
const BLOCK: usize = 64;
/// 64-bit words in a block.
const LANES: usize = BLOCK / 8;

/// Sums of the low and the high 32-bit halves of 64-bit words. None can overflow before 2^32 blocks.
#[derive(Default)]
struct Lanes {
    low: [u64; LANES],
    high: [u64; LANES],
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, block: &[u8; BLOCK]) {
        for (i, word) in block.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_ne_bytes(*word);
            self.low[i] += word & 0xffff_ffff;
            self.high[i] += word >> 32;
        }
    }

    #[inline(always)]
    fn total(&self) -> u64 {
        self.low.iter().chain(&self.high).sum()
    }
}

pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    if blocks.is_empty() {
        return from_native(sum_tail(tail));
    }
    let mut lanes = Lanes::default();
    for block in blocks {
        lanes.add(block);
    }
    from_native(lanes.total() + sum_tail(tail))
}

pub(crate) fn copy_sum(src: &[u8], dst: &mut [u8]) -> u16 {
    let (blocks, tail) = src.as_chunks::<BLOCK>();
    let (blocks_to, tail_to) = dst.as_chunks_mut::<BLOCK>();
    tail_to.copy_from_slice(tail);
    if blocks.is_empty() {
        return from_native(sum_tail(tail));
    }
    let mut lanes = Lanes::default();
    for (block, to) in blocks.iter().zip(blocks_to) {
        *to = *block;
        lanes.add(block);
    }
    from_native(lanes.total() + sum_tail(tail))
}

/// # Safety
/// As for [`crate::Implementation::copy_sum_ptr`].
pub(crate) unsafe fn copy_sum_ptr(src: *const u8, dst: *mut u8, len: usize) -> u16 {
    // SAFETY: the caller's promise, passed on.
    from_native(unsafe { copy_add_raw(src, dst, len) })
}

/// The sum in native byte order, not folded below 64 bits.
///
/// # Safety
/// `src .. src + len` must be readable, `dst .. dst + len` writable, and they must not overlap. Either may be memory that another process
/// uses at this moment.
pub(crate) unsafe fn copy_add_raw(src: *const u8, dst: *mut u8, len: usize) -> u64 {
    let (mut low, mut high) = (0u64, 0u64);
    let mut at = 0;
    while at + 8 <= len {
        // SAFETY: `at + 8 <= len`, and the caller vouches for that many bytes on both sides.
        let value = unsafe { copy_word::<u64>(src, dst, at) };
        low += value & 0xffff_ffff;
        high += value >> 32;
        at += 8;
    }
    if at + 4 <= len {
        // SAFETY: as above with 4.
        low += u64::from(unsafe { copy_word::<u32>(src, dst, at) });
        at += 4;
    }
    if at + 2 <= len {
        // SAFETY: as above with 2.
        low += u64::from(unsafe { copy_word::<u16>(src, dst, at) });
        at += 2;
    }
    if at < len {
        // SAFETY: `at` is the last byte.
        let byte = unsafe { copy_word::<u8>(src, dst, at) };
        low += u64::from(u16::from_ne_bytes([byte, 0]));
    }
    low + high
}

/// Copies the word that lies `at` bytes behind `src` as far behind `dst`, and returns what was stored.
///
/// # Safety
/// It must be readable there, and writable here.
#[inline(always)]
unsafe fn copy_word<T: Copy>(src: *const u8, dst: *mut u8, at: usize) -> T {
    // SAFETY: the caller vouches for the bytes, and `Unaligned` has alignment 1. A volatile load happens once and is not
    // repeated or split by the compiler into reads of the same byte, so the value that is stored is the value that is added.
    unsafe {
        let value = src.add(at).cast::<Unaligned<T>>().read_volatile();
        dst.add(at).cast::<Unaligned<T>>().write(value);
        value.0
    }
}

/// A word at any address.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Unaligned<T>(T);

/// Few bytes, from an even position on: the sum of words of 8, 4, 2 bytes and a last one with a zero behind.
#[inline]
pub(crate) fn sum_tail(tail: &[u8]) -> u64 {
    let (words, rest) = tail.as_chunks::<8>();
    let mut sum = 0;
    for word in words {
        let word = u64::from_ne_bytes(*word);
        sum += (word & 0xffff_ffff) + (word >> 32);
    }
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    let (words, rest) = rest.as_chunks::<2>();
    for word in words {
        sum += u64::from(u16::from_ne_bytes(*word));
    }
    match rest {
        [last, ..] => sum + u64::from(u16::from_ne_bytes([*last, 0])),
        [] => sum,
    }
}

/// A sum of native-order words as a partial sum in network order.
pub(crate) const fn from_native(sum: u64) -> u16 {
    u16::from_be(fold(sum))
}
