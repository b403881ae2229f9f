//! Copies between private memory and memory that another process may change meanwhile.
//!
//! The compiler must not assume that the shared side holds still, so it never sees a slice of it, nor a `memcpy` that
//! it understands: large copies are one `rep movsb` in an `asm!` block, which it cannot look into; small
//! ones, and machines without that instruction, go by volatile words.

/// Below this many bytes the start-up cost of `rep movsb` is more than the words cost.
#[cfg(target_arch = "x86_64")]
const STRING_COPY_BYTES_MIN: usize = 128;

/// Copies `len` bytes. One side is shared memory, the other private.
///
/// # Safety
/// `src` is readable and `dst` writable for `len` bytes, and the two do not overlap.
pub(crate) unsafe fn copy_shared(src: *const u8, dst: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    if len >= STRING_COPY_BYTES_MIN {
        // SAFETY: the caller vouches for both ranges; the ABI keeps the direction flag clear; the three
        // registers that the instruction changes are declared.
        unsafe {
            core::arch::asm!(
                "rep movsb",
                inout("rcx") len => _,
                inout("rsi") src => _,
                inout("rdi") dst => _,
                options(nostack, preserves_flags)
            );
        }
        return;
    }
    // SAFETY: as the caller vouches.
    unsafe { copy_by_words(src, dst, len) }
}

/// # Safety
/// As [`copy_shared`].
unsafe fn copy_by_words(src: *const u8, dst: *mut u8, len: usize) {
    let mut at = 0;
    // Words where both ends are aligned alike; bytes otherwise and at the ends.
    if (src as usize ^ dst as usize) & 7 == 0 {
        while at < len && !(src as usize + at).is_multiple_of(8) {
            // SAFETY: at < len.
            unsafe { dst.add(at).write_volatile(src.add(at).read_volatile()) };
            at += 1;
        }
        while at + 8 <= len {
            // SAFETY: at + 8 <= len, and both addresses are multiples of 8 (aligned alike, and the
            // loop above ran until the source was).
            unsafe {
                let word = src.add(at).cast::<u64>().read_volatile();
                dst.add(at).cast::<u64>().write_volatile(word);
            }
            at += 8;
        }
    }
    while at < len {
        // SAFETY: at < len.
        unsafe { dst.add(at).write_volatile(src.add(at).read_volatile()) };
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_alignment_copies_exactly_its_bytes() {
        let src: Vec<u8> = (0..600_u32).map(|i| (i * 7 + 1) as u8).collect();
        for (from, to) in [(0, 0), (1, 1), (3, 5), (7, 0), (0, 3)] {
            for len in [0, 1, 7, 8, 9, 63, 64, 127, 128, 129, 500] {
                let mut dst = vec![0xAA_u8; 600];
                // SAFETY: both vectors hold 600 bytes, offsets are below 8 and lengths at most 500.
                unsafe { copy_shared(src.as_ptr().add(from), dst.as_mut_ptr().add(to), len) };
                assert_eq!(dst[to..to + len], src[from..from + len]);
                assert!(dst[..to].iter().chain(&dst[to + len..]).all(|b| *b == 0xAA));
            }
        }
    }
}
