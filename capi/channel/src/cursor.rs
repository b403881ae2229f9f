//! A stream offset that one side writes and the other reads.
//!
//! The owner stores with `Release` after it wrote (or finished reading) the bytes that the offset covers; the reader loads with
//! `Acquire` before it touches them. So bytes below `tx_written` and `rx_committed` are there when the offset is seen,
//! and a chunk below `tx_released` or `rx_consumed` is no longer in use when its offset is seen.

use crate::sync::{AtomicU64, Ordering};

/// The reader saw an offset that no correct peer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer moved a stream offset where it must not be")]
pub struct CursorPoisoned;

/// Command (owner): everything below `offset` is done.
pub fn publish(cursor: &AtomicU64, offset: u64) {
    cursor.store(offset, Ordering::Release);
}

/// Input (reader): the peer's offset, which must be at least `floor` (what was seen before: offsets
/// never go back) and at most `ceiling`.
pub fn observe(cursor: &AtomicU64, floor: u64, ceiling: u64) -> Result<u64, CursorPoisoned> {
    let offset = cursor.load(Ordering::Acquire);
    if offset < floor || offset > ceiling { Err(CursorPoisoned) } else { Ok(offset) }
}
