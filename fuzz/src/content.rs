//! What the two streams of a fuzzed connection hold: a function of the offset, so that nobody has to keep them.

/// Which way a stream goes. Their contents differ, so that one is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the stack to the peer.
    Out,
    /// From the peer to the stack.
    In,
}

/// Getter: the byte at `offset` of a stream. Never zero: memory that nobody wrote does not pass for it.
pub const fn byte(way: Way, offset: u64) -> u8 {
    let salt = match way {
        Way::Out => 0x51,
        Way::In => 0xa7,
    };
    let mixed = (offset as u32).wrapping_add(salt).wrapping_mul(0x9e37_79b1);
    (mixed >> 24) as u8 | 1
}

/// Output: the bytes of a stream from `offset` on.
pub fn fill(way: Way, offset: u64, out: &mut [u8]) {
    for (at, slot) in (offset..).zip(out) {
        *slot = byte(way, at);
    }
}

/// Getter: `bytes` are what the stream holds from `offset` on.
pub fn is_there(way: Way, offset: u64, bytes: &[u8]) -> bool {
    (offset..).zip(bytes).all(|(at, found)| *found == byte(way, at))
}
