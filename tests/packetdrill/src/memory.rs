//! The caller's memory.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use causeway_conformance::host::{ControlMessage, Errno};

/// Bytes of `struct cmsghdr`, and what its entries are aligned to.
const CMSG_HEADER: usize = 16;
const CMSG_ALIGN: usize = 8;

thread_local! {
    /// A file in memory that the kernel copies through: it checks addresses, so that one that leads nowhere is EFAULT and no
    /// crash. Scripts give such ones on purpose.
    static FERRY: Option<OwnedFd> = {
        // SAFETY: a constant name that ends in zero.
        let fd = unsafe { libc::memfd_create(c"causeway-ferry".as_ptr(), libc::MFD_CLOEXEC) };
        // SAFETY: the descriptor is new and nobody else's.
        (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    };
}

/// Does `copy` with this thread's file.
fn ferried<R>(copy: impl FnOnce(RawFd) -> Option<R>) -> Option<R> {
    FERRY.with(|ferry| copy(ferry.as_ref()?.as_raw_fd()))
}

/// A copy of `len` bytes; `None` where not all of them are memory of the process.
///
/// # Safety
/// `from` points to `len` readable bytes, or to where nothing is.
pub(crate) unsafe fn copy_in(from: *const u8, len: usize) -> Option<Vec<u8>> {
    if len == 0 {
        return Some(Vec::new());
    }
    ferried(|fd| {
        // SAFETY: the kernel reads, and checks what it reads.
        let written = unsafe { libc::pwrite(fd, from.cast(), len, 0) };
        if usize::try_from(written) != Ok(len) {
            return None;
        }
        let mut bytes = vec![0; len];
        // SAFETY: `bytes` has `len` bytes.
        let read = unsafe { libc::pread(fd, bytes.as_mut_ptr().cast(), len, 0) };
        (usize::try_from(read) == Ok(len)).then_some(bytes)
    })
}

/// Copies as much of `bytes` as `room` allows. False where that is no memory of the process.
///
/// # Safety
/// `to` points to `room` writable bytes, or to where nothing is.
#[must_use = "the address may lead nowhere"]
pub(crate) unsafe fn copy_out(bytes: &[u8], to: *mut u8, room: usize) -> bool {
    let len = bytes.len().min(room);
    if len == 0 {
        return true;
    }
    let copied = ferried(|fd| {
        // SAFETY: `bytes` has at least `len` bytes.
        let written = unsafe { libc::pwrite(fd, bytes.as_ptr().cast(), len, 0) };
        // SAFETY: the kernel writes, and checks where; `len` bytes at most, which the caller promises are there to be written.
        let read = unsafe { libc::pread(fd, to.cast(), len, 0) };
        (usize::try_from(written) == Ok(len) && usize::try_from(read) == Ok(len)).then_some(())
    });
    copied.is_some()
}

/// Whether `len` bytes can be written at `to`. They stay as they are.
///
/// # Safety
/// As [`copy_out`].
pub(crate) unsafe fn is_writable(to: *mut u8, len: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { copy_in(to, len).is_some_and(|bytes| copy_out(&bytes, to, len)) }
}

/// The number at `from`.
///
/// # Safety
/// `from` points to a number, or to where nothing is.
pub(crate) unsafe fn read_u32(from: *const u32) -> Result<u32, Errno> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { copy_in(from.cast(), 4) };
    let bytes = bytes.as_deref().and_then(|bytes| bytes.first_chunk::<4>());
    bytes.map(|bytes| u32::from_ne_bytes(*bytes)).ok_or(Errno::EFAULT)
}

/// Most entries of a vector (UIO_MAXIOV).
const PARTS_MAX: usize = 1_024;

/// A buffer of a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) base: *mut u8,
    pub(crate) len: usize,
}

/// The entries of a vector of buffers. `too_many` is what the call says of more than the kernel takes.
///
/// # Safety
/// `vector` points to `count` readable entries, or to where nothing is.
pub(crate) unsafe fn vector(
    vector: *const libc::iovec,
    count: usize,
    too_many: Errno,
) -> Result<Vec<Part>, Errno> {
    if count > PARTS_MAX {
        return Err(too_many);
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { copy_in(vector.cast(), count * size_of::<libc::iovec>()) };
    let bytes = bytes.ok_or(Errno::EFAULT)?;
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| usize::from_ne_bytes(*word));
    let part = |entry: &[u8]| Part {
        base: std::ptr::with_exposed_provenance_mut(word(entry)),
        len: word(entry.get(8..).unwrap_or(&[])),
    };
    let parts: Vec<Part> = bytes.chunks_exact(size_of::<libc::iovec>()).map(part).collect();
    let all = parts.iter().try_fold(0_usize, |all, part| all.checked_add(part.len));
    if all.is_some_and(|all| isize::try_from(all).is_ok()) { Ok(parts) } else { Err(Errno::EINVAL) }
}

/// All bytes of the buffers, one after the other.
///
/// # Safety
/// Each entry's base points to as many readable bytes as it says, or to where nothing is.
pub(crate) unsafe fn gather(parts: &[Part]) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    for part in parts {
        // SAFETY: the caller's promise.
        all.extend(unsafe { copy_in(part.base, part.len) }.ok_or(Errno::EFAULT)?);
    }
    Ok(all)
}

/// Spreads `bytes` over the buffers. False where one of them is no memory of the process.
///
/// # Safety
/// Each entry's base points to as many writable bytes as it says, or to where nothing is.
#[must_use = "an address may lead nowhere"]
pub(crate) unsafe fn scatter(mut bytes: &[u8], parts: &[Part]) -> bool {
    let mut all = true;
    for part in parts {
        let (now, later) = bytes.split_at(bytes.len().min(part.len));
        // SAFETY: the caller's promise.
        all &= unsafe { copy_out(now, part.base, part.len) };
        bytes = later;
    }
    all
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

/// The bytes of ancillary data for `room` of them, and whether that was too little (MSG_CTRUNC). As the kernel's put_cmsg does it:
/// what fits is there; of the first message that does not the beginning is, and its length says so.
pub(crate) fn control_bytes(messages: &[ControlMessage], room: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut cut = false;
    for message in messages {
        let (begin, left) = (out.len(), room - out.len());
        let whole = CMSG_HEADER + message.data.len();
        cut |= left < whole;
        if left < CMSG_HEADER {
            break;
        }
        let len = whole.min(left);
        out.extend(len.to_ne_bytes());
        out.extend(message.level.to_ne_bytes());
        out.extend(message.kind.to_ne_bytes());
        out.extend_from_slice(&message.data[..len - CMSG_HEADER]);
        out.resize(begin + whole.next_multiple_of(CMSG_ALIGN).min(left), 0);
    }
    (out, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_leads_nowhere_is_an_error_and_no_crash() {
        let nowhere = std::ptr::without_provenance_mut::<u8>(16);
        let mut here = [1, 2, 3, 4];
        // SAFETY: one is readable and writable memory, the other no memory at all.
        unsafe {
            assert_eq!(copy_in(here.as_ptr(), 4), Some(vec![1, 2, 3, 4]));
            assert_eq!((copy_in(nowhere, 4), copy_in(nowhere, 0)), (None, Some(vec![])));
            assert!(is_writable(here.as_mut_ptr(), 4) && !is_writable(nowhere, 1));
            assert!(copy_out(&[9, 9, 9], here.as_mut_ptr(), 2) && !copy_out(&[9], nowhere, 1));
            assert_eq!(vector(nowhere.cast(), 1, Errno::EINVAL).err(), Some(Errno::EFAULT));
            assert_eq!(vector(nowhere.cast(), 1_025, Errno::EMSGSIZE).err(), Some(Errno::EMSGSIZE));
        }
        assert_eq!(here, [9, 9, 3, 4]);
    }

    #[test]
    fn ancillary_data_comes_back_from_its_bytes_and_nonsense_ends_it() {
        let message = ControlMessage { level: 6, kind: 36, data: vec![1, 2, 3, 4] };
        let both = [message.clone(), message.clone()];
        let (bytes, cut) = control_bytes(&both, 100);
        assert_eq!((bytes.len(), cut), (48, false));
        assert_eq!(control_messages(&bytes), both);
        assert_eq!(control_messages(&bytes[..30]), [message]);
        assert_eq!(control_messages(&[0; 40]), []);
    }

    #[test]
    fn what_fits_of_ancillary_data_is_there_and_what_does_not_is_cut() {
        let message = |len| ControlMessage { level: 1, kind: 29, data: vec![7; len] };
        let both = [message(16), message(4)];
        for (room, len, cut, told) in [
            (56, 56, false, vec![message(16), message(4)]),
            // Nothing follows the last message, not even what would bring it into line.
            (52, 52, false, vec![message(16), message(4)]),
            (51, 51, true, vec![message(16), message(3)]),
            (48, 48, true, vec![message(16), message(0)]),
            (47, 32, true, vec![message(16)]),
            (32, 32, true, vec![message(16)]),
            (20, 20, true, vec![message(4)]),
            (15, 0, true, vec![]),
        ] {
            let (bytes, was_cut) = control_bytes(&both, room);
            assert_eq!((bytes.len(), was_cut), (len, cut), "{room}");
            assert_eq!(control_messages(&bytes), told, "{room}");
        }
    }
}
