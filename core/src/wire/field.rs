//! Big-endian fields at fixed offsets. Every caller has checked the length of the header first.

/// The first `N` bytes, if there are so many: the one bounds check of a parser.
pub(super) fn fixed<const N: usize>(bytes: &[u8]) -> Option<&[u8; N]> {
    bytes.first_chunk::<N>()
}

/// `N` bytes at `at`, which a constant offset into a fixed header always has.
#[inline]
pub(crate) const fn array<const N: usize, const M: usize>(header: &[u8; M], at: usize) -> [u8; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = header[at + i];
        i += 1;
    }
    out
}

/// The 16-bit number at `at`.
#[inline]
pub(crate) const fn be16<const M: usize>(header: &[u8; M], at: usize) -> u16 {
    u16::from_be_bytes(array(header, at))
}

/// The 32-bit number at `at`.
#[inline]
pub(crate) const fn be32<const M: usize>(header: &[u8; M], at: usize) -> u32 {
    u32::from_be_bytes(array(header, at))
}
