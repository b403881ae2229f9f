//! Pipes, and splice between a pipe and a socket.

use std::cell::RefCell;
use std::rc::Rc;

use super::call::{CallResult, Destination, Progress, Received, Reply};
use super::errno::Errno;
use super::file::{File, PipeBuffer};
use super::host::Host;

/// Bytes that a pipe holds, as on Linux.
const PIPE_BYTES: usize = 65_536;

impl Host {
    pub(super) fn pipe(&mut self, flags: i32) -> CallResult {
        let nonblocking = flags & libc::O_NONBLOCK != 0;
        let buffer = PipeBuffer { readers: 1, writers: 1, ..PipeBuffer::default() };
        let buffer = Rc::new(RefCell::new(buffer));
        let read = self.install(File::PipeRead(Rc::clone(&buffer), nonblocking))?;
        let write = self.install(File::PipeWrite(buffer, nonblocking))?;
        for fd in [read, write] {
            self.note_close_on_exec(fd, flags & libc::O_CLOEXEC != 0);
        }
        Ok(Reply::Pipe(read, write))
    }

    pub(super) fn read_pipe(&mut self, fd: i32, len: usize) -> CallResult {
        let File::PipeRead(buffer, _) = self.file(fd)? else { return Err(Errno::EBADF) };
        let mut buffer = buffer.borrow_mut();
        if buffer.bytes.is_empty() && buffer.writers > 0 && len > 0 {
            return Err(Errno::EAGAIN);
        }
        let count = len.min(buffer.bytes.len());
        let bytes: Vec<u8> = buffer.bytes.drain(..count).collect();
        buffer.read += count as u64;
        Ok(Reply::Received(count as i64, Received { bytes, ..Received::default() }))
    }

    pub(super) fn write_pipe(&mut self, fd: i32, bytes: &[u8]) -> CallResult {
        let File::PipeWrite(buffer, _) = self.file(fd)? else { return Err(Errno::EBADF) };
        let mut buffer = buffer.borrow_mut();
        if buffer.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let count = bytes.len().min(PIPE_BYTES - buffer.bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Err(Errno::EAGAIN);
        }
        buffer.bytes.extend(&bytes[..count]);
        buffer.written += count as u64;
        Ok(Reply::Number(count as i64))
    }

    /// splice(2): one end is a pipe, the other a TCP socket.
    pub(super) fn splice(
        &mut self,
        from: i32,
        to: i32,
        len: usize,
        flags: i32,
    ) -> Option<CallResult> {
        match self.try_splice(from, to, len, flags) {
            Err(Errno::EAGAIN) if flags & libc::SPLICE_F_NONBLOCK as i32 == 0 => {
                self.block(from, 0).or_else(|| self.block(to, 0))
            }
            result => Some(result),
        }
    }

    fn try_splice(&mut self, from: i32, to: i32, len: usize, flags: i32) -> CallResult {
        let room = match self.file(to)? {
            File::PipeWrite(buffer, _) => Some(PIPE_BYTES - buffer.borrow().bytes.len()),
            File::Tcp(_) => None,
            File::PipeRead(..) => return Err(Errno::EBADF),
            File::Udp(_) | File::Epoll(_) => return Err(Errno::EINVAL),
        };
        let waiting: Option<Vec<u8>> = match self.file(from)? {
            File::PipeRead(buffer, _) => {
                Some(buffer.borrow().bytes.iter().take(len).copied().collect())
            }
            File::Tcp(_) => None,
            File::PipeWrite(..) => return Err(Errno::EBADF),
            File::Udp(_) | File::Epoll(_) => return Err(Errno::EINVAL),
        };
        match (waiting, room) {
            (None, None) | (Some(_), Some(_)) => Err(Errno::EINVAL),
            (_, _) if len == 0 => Ok(Reply::Number(0)),
            (None, Some(0)) => Err(Errno::EAGAIN),
            (None, Some(room)) => {
                let hole = self.mark_ahead(from).is_some_and(|ahead| ahead.is_hole());
                let taken = match self.try_receive(from, len.min(room), libc::MSG_DONTWAIT) {
                    // Only the urgent byte is there: nothing to wait for (tcp_splice_read).
                    Err(Errno::EAGAIN) if hole => return Ok(Reply::Number(0)),
                    taken => taken?,
                };
                let Reply::Received(count, Received { bytes, .. }) = taken else {
                    return Err(Errno::EINVAL);
                };
                self.write_pipe(to, &bytes)?;
                Ok(Reply::Number(count))
            }
            (Some(waiting), None) if waiting.is_empty() => {
                // Nothing, and nobody who could write: the end.
                self.read_pipe(from, 1).map(|_| Reply::Number(0))
            }
            (Some(waiting), None) => {
                let more = if flags & libc::SPLICE_F_MORE as i32 != 0 { libc::MSG_MORE } else { 0 };
                let sent =
                    self.try_send(to, &waiting, more, Destination::Peer, &mut Progress::default())?;
                self.read_pipe(from, sent)?;
                Ok(Reply::Number(sent as i64))
            }
        }
    }
}
