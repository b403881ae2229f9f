//! The boundary: what Rust returns becomes what C expects, and no panic crosses it.
//!
//! A panic is a defect of this library. It is caught here rather than left to abort the process: the
//! application has other work than its messages, and loses a channel instead of its life. The caller sees
//! `ENOTRECOVERABLE`; the context whose state can no longer be trusted is poisoned, and from then on can only be detached.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::errno::Errno;

/// Runs the body of a function that returns `int`: its value, or -1 with errno set.
pub(crate) fn status(body: impl FnOnce() -> Result<c_int, Errno>) -> c_int {
    or_errno(-1, body)
}

/// Runs the body of a function: its value, or `failure` with errno set.
pub(crate) fn or_errno<T>(failure: T, body: impl FnOnce() -> Result<T, Errno>) -> T {
    // Unwind safety: what a panic leaves behind is poisoned by `registry::Entry::with`.
    let outcome = catch_unwind(AssertUnwindSafe(body));
    match outcome.unwrap_or(Err(Errno::NOT_RECOVERABLE)) {
        Ok(value) => value,
        Err(errno) => {
            errno.set();
            failure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> Option<i32> {
        std::io::Error::last_os_error().raw_os_error()
    }

    // Contract: machnet_init.failure
    #[test]
    fn an_error_becomes_the_failure_value_and_errno() {
        assert_eq!(status(|| Err(Errno::INVALID)), -1);
        assert_eq!(last(), Some(libc::EINVAL));
        assert_eq!(status(|| Ok(7)), 7);
    }

    #[test]
    fn a_panic_stops_at_the_boundary() {
        assert_eq!(status(|| panic!("a defect")), -1);
        assert_eq!(last(), Some(libc::ENOTRECOVERABLE));
    }
}
