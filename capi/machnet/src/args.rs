//! What C passes, checked.

use std::ffi::{CStr, c_char};
use std::net::{IpAddr, SocketAddr};

use crate::errno::Errno;

/// An address as text.
///
/// # Safety
/// `text` is null or points to a zero-terminated string that does not change during the call.
pub(crate) unsafe fn ip(text: *const c_char) -> Result<IpAddr, Errno> {
    if text.is_null() {
        return Err(Errno::INVALID);
    }
    // SAFETY: not null, and the rest is this function's own contract.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Errno::INVALID)
}

/// An address and a port that is not 0.
///
/// # Safety
/// As for [`ip`].
pub(crate) unsafe fn endpoint(text: *const c_char, port: u16) -> Result<SocketAddr, Errno> {
    if port == 0 {
        return Err(Errno::INVALID);
    }
    // SAFETY: this function's own contract.
    Ok(SocketAddr::new(unsafe { ip(text)? }, port))
}

/// Memory that the library reads.
///
/// # Safety
/// `data` is null or points to `len` bytes that do not change during the call.
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Errno> {
    match () {
        () if len == 0 => Ok(&[]),
        () if data.is_null() || isize::try_from(len).is_err() => Err(Errno::INVALID),
        // SAFETY: not null, not longer than memory can be, and the rest is this function's own contract.
        () => Ok(unsafe { std::slice::from_raw_parts(data, len) }),
    }
}

/// Memory that the library writes.
///
/// # Safety
/// `data` is null or points to `len` bytes that nobody else uses during the call.
pub(crate) unsafe fn bytes_mut<'a>(data: *mut u8, len: usize) -> Result<&'a mut [u8], Errno> {
    match () {
        () if len == 0 => Ok(&mut []),
        () if data.is_null() || isize::try_from(len).is_err() => Err(Errno::INVALID),
        // SAFETY: not null, not longer than memory can be, and the rest is this function's own contract. C may
        // pass uninitialised bytes: the client writes them and never reads them, and every bit pattern is a u8.
        () => Ok(unsafe { std::slice::from_raw_parts_mut(data, len) }),
    }
}

/// Writes through an output pointer, if there is one.
///
/// # Safety
/// `out` is null or points to a place for a `T`.
pub(crate) unsafe fn store<T>(out: *mut T, value: T) {
    if !out.is_null() {
        // SAFETY: not null, and the rest is this function's own contract. No alignment is asked of C's caller
        // beyond its own type's.
        unsafe { out.write(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_text_and_nothing_else_passes() {
        let read = |text: &CStr| {
            // SAFETY: a zero-terminated constant.
            unsafe { ip(text.as_ptr()) }
        };
        assert_eq!(read(c"10.0.1.5"), Ok(IpAddr::from([10, 0, 1, 5])));
        assert!(read(c"fd00::1").is_ok_and(|ip| ip.is_ipv6()));
        for wrong in [c"", c"10.0.1", c"10.0.1.5 ", c"host", c"\xff", c"010.0.1.5"] {
            assert_eq!(read(wrong), Err(Errno::INVALID), "{wrong:?}");
        }
        // SAFETY: null is allowed.
        assert_eq!(unsafe { ip(std::ptr::null()) }, Err(Errno::INVALID));
        // SAFETY: a zero-terminated constant.
        assert_eq!(unsafe { endpoint(c"10.0.1.5".as_ptr(), 0) }, Err(Errno::INVALID));
    }

    #[test]
    fn buffers_are_refused_when_they_cannot_be() {
        // SAFETY: null and impossible lengths are allowed, and refused.
        unsafe {
            assert_eq!(bytes(std::ptr::null(), 1), Err(Errno::INVALID));
            assert_eq!(bytes(std::ptr::null(), 0), Ok(&[][..]));
            assert_eq!(bytes(std::ptr::dangling(), usize::MAX), Err(Errno::INVALID));
            assert_eq!(bytes_mut(std::ptr::null_mut(), 1), Err(Errno::INVALID));
            store(std::ptr::null_mut::<u64>(), 1);
        }
    }
}
