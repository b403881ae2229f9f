//! One entry of a stream's chunk table: which chunk holds a part of the stream.
//!
//! Entries are `Relaxed`: the cursor orders them. Whoever attaches a chunk names it before it publishes the cursor
//! (`tx_written`, `rx_committed`) that covers its first byte; the reader looks an entry up only for bytes below a cursor that
//! it has observed. An entry is named anew only once the cursor of the other direction (`tx_released`, `rx_consumed`) says that its reader is done.

use crate::sync::{AtomicU32, Ordering};

/// Command (owner of the chunks): `chunk` holds this part from now on.
pub(crate) fn name(entry: &AtomicU32, chunk: u32) {
    entry.store(chunk, Ordering::Relaxed);
}

/// Input (reader): the chunk that holds this part. Read once, validated, then used: `None` is a chunk that does not exist.
pub(crate) fn look_up(entry: &AtomicU32, chunks: u32) -> Option<u32> {
    let chunk = entry.load(Ordering::Relaxed);
    (chunk < chunks).then_some(chunk)
}
