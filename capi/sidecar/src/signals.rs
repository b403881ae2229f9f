//! SIGINT and SIGTERM as something to poll.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};

/// Command: from now on SIGINT and SIGTERM make the returned stream readable instead of ending the process.
pub fn stop_stream() -> io::Result<UnixStream> {
    let (stream, ours) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, ours.try_clone()?)?;
    }
    Ok(stream)
}
