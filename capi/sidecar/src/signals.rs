//! Signals as something to poll.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Command: from now on SIGINT and SIGTERM make the returned stream readable instead of ending the process.
pub fn stop_stream() -> io::Result<UnixStream> {
    stream(&[SIGINT, SIGTERM])
}

/// Command: from now on SIGHUP makes the returned stream readable instead of ending the process.
pub fn reload_stream() -> io::Result<UnixStream> {
    stream(&[SIGHUP])
}

fn stream(signals: &[i32]) -> io::Result<UnixStream> {
    let (stream, ours) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, ours.try_clone()?)?;
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Command: forgets the signals that came.
pub fn drain(mut stream: &UnixStream) {
    // Full reads go on: a signal may have come often.
    while matches!(stream.read(&mut [0; 64]), Ok(64)) {}
}

/// Command: waits for so long; true when a signal came before or meanwhile.
pub fn is_stopped(stop: &UnixStream, wait: Duration) -> anyhow::Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: wait.subsec_nanos().into(),
    };
    let mut fds = [PollFd::new(stop, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(n) => Ok(n > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(cause) => Err(cause).context("cannot wait"),
    }
}
