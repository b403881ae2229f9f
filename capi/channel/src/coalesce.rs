//! A flag that lets many notices about one stream travel as one ring entry.
//!
//! The notifier changes a stream offset, then [`raise`]s the flag and pushes an entry only when it was down. The
//! notified takes the entry, [`lower`]s the flag, and only then reads the offset. Both are
//! read-modify-writes with acquire and release: whichever comes second in the flag's modification order sees what the
//! other did before. If `raise` found the flag up, the `lower` that will find it up reads from it
//! (or from a later one) and so sees the offset; if `lower` came first, `raise` finds the flag down and an entry is pushed.
//! A plain store in `lower` would not acquire, and could lose the last notice.

use crate::sync::{AtomicU32, Ordering};

/// Command (notifier), after the offset was stored: whether an entry must be pushed.
pub fn raise(flag: &AtomicU32) -> bool {
    flag.swap(1, Ordering::AcqRel) == 0
}

/// Command (notified), before the offset is read.
pub fn lower(flag: &AtomicU32) {
    flag.swap(0, Ordering::AcqRel);
}
