//! Wire formats: parse to plain values, emit into caller-owned memory. No state.
//!
//! Every parser takes untrusted bytes, never panics, and reads only what the lengths in the header and
//! the slice both allow. Every emitter writes each byte that it claims.

pub mod machnet;
pub mod tcp;

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireError {
    /// Shorter than the header or than the length that it states.
    Truncated,
    /// A field has a value that the standard forbids.
    Malformed,
    /// The checksum does not match.
    Checksum,
    /// Another version or kind than this parser's.
    Unsupported,
}
