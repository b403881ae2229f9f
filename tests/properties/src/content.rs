//! What streams hold: a function of the side that writes and of the offset, so that nobody has to keep them.

/// Getter: the byte at `offset` of what `side` writes. Never zero: memory that nobody wrote does not pass for it.
pub fn byte(side: usize, offset: u64) -> u8 {
    let mixed = (offset as u32).wrapping_add(side as u32 * 0x51 + 7).wrapping_mul(0x9e37_79b1);
    (mixed >> 24) as u8 | 1
}

/// Output: the bytes of a stream from `offset` on.
pub fn fill(side: usize, offset: u64, out: &mut [u8]) {
    for (at, slot) in (offset..).zip(out) {
        *slot = byte(side, at);
    }
}

/// Getter: `bytes` are what the stream holds from `offset` on.
pub fn is_there(side: usize, offset: u64, bytes: &[u8]) -> bool {
    (offset..).zip(bytes).all(|(at, found)| *found == byte(side, at))
}
