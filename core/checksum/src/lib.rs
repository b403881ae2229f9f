//! The Internet checksum (RFC 1071) and the copy that computes it on the way; and CRC-32C.
//!
//! A **partial sum** is the one's complement sum of big-endian 16-bit words, folded to 16 bits and not
//! complemented, counted from an even position; a last odd byte is the high half of its word. Partial
//! sums are added with [`combine`]; [`finish`] makes the field of a header out of one.
//!
//! The free functions choose the fastest implementation that the build can find: with the feature
//! `std` the CPU is asked at run time, without it only the portable code exists. All implementations
//! compute the same. A program that wants the choice in its configuration holds an [`Implementation`].
//!
//! The `*_ptr` functions read memory that another process may be changing: each source byte is loaded
//! exactly once, so that the copy and its sum always agree.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod avx2;
mod crc32c;
mod portable;

/// Which code computes sums and copies. Obtained once, kept in a configuration, passed by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Implementation(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Portable,
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    Avx2,
}

/// Below this many bytes the set-up of wide registers costs more than it saves.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
const WIDE_BYTES_MIN: usize = 64;

impl Default for Implementation {
    fn default() -> Self {
        Self::detect()
    }
}

impl Implementation {
    /// Plain Rust: what every machine can run.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest that this machine runs. Without the feature `std`, [`Implementation::PORTABLE`].
    #[inline]
    pub fn detect() -> Self {
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("sse4.2")
        {
            return Self(Kind::Avx2);
        }
        Self::PORTABLE
    }

    /// Getter: a name for logs.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Kind::Avx2 => "avx2",
        }
    }

    /// The partial sum of `bytes`.
    #[inline]
    pub fn sum(self, bytes: &[u8]) -> u16 {
        match self.0 {
            Kind::Portable => portable::sum(bytes),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Kind::Avx2 if bytes.len() < WIDE_BYTES_MIN => portable::sum(bytes),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            // SAFETY: `Kind::Avx2` is private and made by `detect` alone, after the CPU said it has AVX2 and SSE4.2.
            Kind::Avx2 => unsafe { avx2::sum(bytes) },
        }
    }

    /// The CRC-32C of bytes that have the CRC `crc` (0 for none), followed by `bytes` (RFC 3720 §12.1).
    #[inline]
    pub fn crc32c(self, crc: u32, bytes: &[u8]) -> u32 {
        match self.0 {
            Kind::Portable => crc32c::portable(crc, bytes),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            // SAFETY: as in `sum` for AVX2; `detect` asked for SSE4.2 too.
            Kind::Avx2 => unsafe { crc32c::sse42(crc, bytes) },
        }
    }

    /// Runs `work`, compiled for the vector registers of this implementation where it is inlined: for other loops over bytes. What
    /// `work` calls is inlined only if it is `#[inline(always)]`.
    #[inline]
    pub fn vectorised<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            Kind::Portable => work(),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            // SAFETY: as in `sum` for AVX2.
            Kind::Avx2 => unsafe { avx2::vectorised(work) },
        }
    }

    /// Copies as many bytes as both slices have and returns the partial sum of what was copied.
    #[inline]
    pub fn copy_sum(self, src: &[u8], dst: &mut [u8]) -> u16 {
        let len = src.len().min(dst.len());
        match self.0 {
            Kind::Portable => portable::copy_sum(&src[..len], &mut dst[..len]),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Kind::Avx2 if len < WIDE_BYTES_MIN => portable::copy_sum(&src[..len], &mut dst[..len]),
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            // SAFETY: as in `sum` for AVX2; both have at least `len` bytes, and a shared and a unique slice never
            // overlap.
            Kind::Avx2 => unsafe { avx2::copy_sum_ptr(src.as_ptr(), dst.as_mut_ptr(), len) },
        }
    }

    /// Copies `dst.len()` bytes from `src`, loading each exactly once, and returns the partial sum of
    /// the bytes now in `dst`.
    ///
    /// # Safety
    /// `src .. src + dst.len()` must be mapped readable memory that does not overlap `dst`. Another
    /// process, or atomic operations of this one, may change it meanwhile: then each byte of `dst` is
    /// some value that its source held during the call.
    #[inline]
    pub unsafe fn copy_sum_ptr(self, src: *const u8, dst: &mut [u8]) -> u16 {
        // SAFETY: the caller's promise, passed on; `dst` is writable.
        unsafe { self.copy_sum_raw(src, dst.as_mut_ptr(), dst.len()) }
    }

    /// Copies `src` into memory that another process may be reading, and returns its partial sum.
    ///
    /// # Safety
    /// `dst .. dst + src.len()` must be mapped writable memory that does not overlap `src`, and nothing in this process may hold a
    /// reference into it.
    #[inline]
    pub unsafe fn copy_sum_to_ptr(self, src: &[u8], dst: *mut u8) -> u16 {
        // SAFETY: the caller's promise, passed on; `src` is readable.
        unsafe { self.copy_sum_raw(src.as_ptr(), dst, src.len()) }
    }

    /// # Safety
    /// `src .. src + len` must be readable, `dst .. dst + len` writable, and they must not overlap.
    #[inline]
    unsafe fn copy_sum_raw(self, src: *const u8, dst: *mut u8, len: usize) -> u16 {
        match self.0 {
            // SAFETY: the caller's promise, passed on.
            Kind::Portable => unsafe { portable::copy_sum_ptr(src, dst, len) },
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            Kind::Avx2 if len < WIDE_BYTES_MIN => {
                // SAFETY: the caller's promise, passed on.
                unsafe { portable::copy_sum_ptr(src, dst, len) }
            }
            #[cfg(all(feature = "std", target_arch = "x86_64"))]
            // SAFETY: the caller's promise, passed on; AVX2 as in `sum`.
            Kind::Avx2 => unsafe { avx2::copy_sum_ptr(src, dst, len) },
        }
    }
}

/// The partial sum of `bytes`.
#[inline]
pub fn sum(bytes: &[u8]) -> u16 {
    Implementation::detect().sum(bytes)
}

/// Copies as many bytes as both slices have and returns the partial sum of what was copied.
#[inline]
pub fn copy_sum(src: &[u8], dst: &mut [u8]) -> u16 {
    Implementation::detect().copy_sum(src, dst)
}

/// Copies `dst.len()` bytes from `src` and returns their partial sum; see [`Implementation::copy_sum_ptr`].
///
/// # Safety
/// As for [`Implementation::copy_sum_ptr`].
#[inline]
pub unsafe fn copy_sum_ptr(src: *const u8, dst: &mut [u8]) -> u16 {
    // SAFETY: the caller's promise, passed on.
    unsafe { Implementation::detect().copy_sum_ptr(src, dst) }
}

/// Copies `dst.len()` bytes from memory that may be changing. What is in `dst` afterwards no longer
/// depends on the source: the compiler may not read it a second time in place of `dst`.
///
/// # Safety
/// As for [`Implementation::copy_sum_ptr`].
#[inline]
pub unsafe fn copy_ptr(src: *const u8, dst: &mut [u8]) {
    // SAFETY: the caller's promise, passed on. The sum is a by-product that costs less than a plain
    // volatile loop, which the compiler may not widen.
    unsafe { copy_sum_ptr(src, dst) };
}

/// Copies `src` into memory that another process may be reading.
///
/// # Safety
/// `dst .. dst + src.len()` must be mapped writable memory that does not overlap `src`, and nothing in
/// this process may hold a reference into it.
#[inline]
pub unsafe fn copy_to_ptr(src: &[u8], dst: *mut u8) {
    // SAFETY: valid for writes and disjoint by the caller's promise. A store cannot observe what
    // another process does, so an ordinary copy is enough; publication is the caller's release store.
    unsafe { core::ptr::copy_nonoverlapping(src.as_ptr(), dst, src.len()) }
}

/// Folds a sum of 16-bit words with its carries back to 16 bits.
#[inline]
pub const fn fold(sum: u64) -> u16 {
    // A word added to itself with its halves exchanged has their sum with its end-around carry in the upper half.
    let sum = (sum.wrapping_add(sum.rotate_right(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_right(16)) >> 16) as u16
}

/// The partial sum of the bytes of `a` followed by those of `b` (RFC 1071 §2 (A), (B)).
#[inline]
pub const fn combine(a: u16, b: u16, a_len_is_odd: bool) -> u16 {
    let b = if a_len_is_odd { b.swap_bytes() } else { b };
    fold(a as u64 + b as u64)
}

/// The checksum field for a partial sum: its one's complement.
#[inline]
pub const fn finish(sum: u16) -> u16 {
    !sum
}

/// The partial sum of the IPv4 pseudo-header (RFC 9293 §3.1): `len` is transport header plus payload.
#[inline]
pub const fn pseudo_header_v4(src: [u8; 4], dst: [u8; 4], protocol: u8, len: u16) -> u16 {
    let words = u32::from_be_bytes(src) as u64 + u32::from_be_bytes(dst) as u64;
    fold(words + protocol as u64 + len as u64)
}

/// The partial sum of the IPv6 pseudo-header (RFC 8200 §8.1): `len` is transport header plus payload.
#[inline]
pub const fn pseudo_header_v6(src: [u8; 16], dst: [u8; 16], protocol: u8, len: u32) -> u16 {
    let src = halves(u128::from_be_bytes(src));
    let dst = halves(u128::from_be_bytes(dst));
    fold(src + dst + protocol as u64 + len as u64)
}

/// The sum of the four 32-bit words of `x`.
const fn halves(x: u128) -> u64 {
    let (high, low) = ((x >> 64) as u64, x as u64);
    (high >> 32) + (high & 0xffff_ffff) + (low >> 32) + (low & 0xffff_ffff)
}
