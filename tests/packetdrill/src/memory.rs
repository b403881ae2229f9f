//! The caller's memory.

use causeway_conformance::host::{ControlMessage, Errno};

/// Bytes of `struct cmsghdr`, and what its entries are aligned to.
const CMSG_HEADER: usize = 16;
const CMSG_ALIGN: usize = 8;

/// A copy of `len` bytes; `None` when there are some to copy from nowhere.
///
/// # Safety
/// `from` is null or points to `len` readable bytes.
pub(crate) unsafe fn copy_in(from: *const u8, len: usize) -> Option<Vec<u8>> {
    if len == 0 {
        return Some(Vec::new());
    }
    if from.is_null() {
        return None;
    }
    // SAFETY: not null, so `len` bytes are readable.
    Some(unsafe { std::slice::from_raw_parts(from, len) }.to_vec())
}

/// Copies as much of `bytes` as `room` allows.
///
/// # Safety
/// `to` is null or points to `room` writable bytes.
pub(crate) unsafe fn copy_out(bytes: &[u8], to: *mut u8, room: usize) {
    if !to.is_null() {
        // SAFETY: at most `room` bytes are written; `bytes` is ours and does not overlap the caller's memory.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len().min(room)) };
    }
}

/// The entries of a vector of buffers.
///
/// # Safety
/// `vector` is null or points to `count` readable entries.
pub(crate) unsafe fn vector<'a>(
    vector: *const libc::iovec,
    count: usize,
) -> Result<&'a [libc::iovec], Errno> {
    if count == 0 {
        return Ok(&[]);
    }
    if vector.is_null() {
        return Err(Errno::EFAULT);
    }
    // SAFETY: not null, so `count` entries are readable.
    Ok(unsafe { std::slice::from_raw_parts(vector, count) })
}

/// All bytes of the buffers, one after the other.
///
/// # Safety
/// Each entry's base is null or points to as many readable bytes as it says.
pub(crate) unsafe fn gather(parts: &[libc::iovec]) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    for part in parts {
        // SAFETY: the caller's promise.
        let bytes = unsafe { copy_in(part.iov_base.cast::<u8>(), part.iov_len) };
        all.extend(bytes.ok_or(Errno::EFAULT)?);
    }
    Ok(all)
}

/// Spreads `bytes` over the buffers.
///
/// # Safety
/// Each entry's base is null or points to as many writable bytes as it says.
pub(crate) unsafe fn scatter(mut bytes: &[u8], parts: &[libc::iovec]) {
    for part in parts {
        let (now, later) = bytes.split_at(bytes.len().min(part.iov_len));
        // SAFETY: the caller's promise.
        unsafe { copy_out(now, part.iov_base.cast::<u8>(), part.iov_len) };
        bytes = later;
    }
}

/// Ancillary data from its bytes; what is cut short ends it.
pub(crate) fn control_messages(mut bytes: &[u8]) -> Vec<ControlMessage> {
    let mut out = Vec::new();
    while let Some(header) = bytes.first_chunk::<CMSG_HEADER>() {
        let word = |at: usize| {
            i32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let len = u64::from_ne_bytes([
            header[0], header[1], header[2], header[3], header[4], header[5], header[6], header[7],
        ]);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some(data) = bytes.get(CMSG_HEADER..len) else { break };
        out.push(ControlMessage { level: word(8), kind: word(12), data: data.to_vec() });
        bytes = bytes.get(len.next_multiple_of(CMSG_ALIGN)..).unwrap_or(&[]);
    }
    out
}

/// The bytes of ancillary data.
pub(crate) fn control_bytes(messages: &[ControlMessage]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        out.extend((CMSG_HEADER + message.data.len()).to_ne_bytes());
        out.extend(message.level.to_ne_bytes());
        out.extend(message.kind.to_ne_bytes());
        out.extend_from_slice(&message.data);
        out.resize(out.len().next_multiple_of(CMSG_ALIGN), 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancillary_data_comes_back_from_its_bytes_and_nonsense_ends_it() {
        let message = ControlMessage { level: 6, kind: 36, data: vec![1, 2, 3, 4] };
        let bytes = control_bytes(&[message.clone(), message.clone()]);
        assert_eq!(control_messages(&bytes), [message.clone(), message.clone()]);
        assert_eq!(control_messages(&bytes[..30]), [message]);
        assert_eq!(control_messages(&[0; 40]), []);
    }
}
