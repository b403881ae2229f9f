//! Waiting for kernel sockets.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Command: waits until one of `fds` has something, or until `until`; for ever when it is `None`.
///
/// # Errors
/// What the system says; a signal is no error.
pub fn wait(fds: &[(BorrowedFd<'_>, PollFlags)], until: Option<Instant>) -> std::io::Result<()> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(|left| timespec(left.min(Duration::from_secs(3_600))));
    match poll(&mut polled, left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn timespec(span: Duration) -> Timespec {
    // Both parts are in range by what they come from.
    Timespec { tv_sec: span.as_secs() as i64, tv_nsec: i64::from(span.subsec_nanos()) }
}
