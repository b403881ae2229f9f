//! The entries of the rings: commands of the application and completions of the daemon as fixed 64-byte values.
//!
//! Decoding never trusts: an unknown kind, code or flag, a non-zero reserved field or an impossible
//! argument is a [`ProtoError`]. What an entry names (sockets, addresses) is the stack's to check.
//!
//! Word 0 of every entry: kind (8 bits), flags (8), a 16-bit field (a port, a sequence number),
//! stream slot (32; [`NO_SLOT`] when the entry concerns none). Scope ids and flow labels of
//! IPv6 addresses are zero, except the scope id of a connect.

mod codes;
mod command;
mod completion;
mod datagram;
mod fields;

pub use command::{AppCommand, DecodedCommand, decode_command, encode_command, encode_release};
pub use completion::{CompletionDecoder, DecodedCompletion, EncodedCompletion, encode_completion};
pub use fields::NO_SLOT;

/// Why an entry is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtoError {
    /// No such kind of entry.
    #[error("unknown kind of entry")]
    Kind,
    /// No such flag, transport or reason.
    #[error("unknown code in an entry")]
    Code,
    /// An argument outside its range.
    #[error("argument of an entry out of range")]
    Argument,
    /// The second half of a completion without its first, or the other way round.
    #[error("half of a completion is missing")]
    Half,
}
