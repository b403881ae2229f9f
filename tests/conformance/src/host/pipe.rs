//! Pipes, and splice between a pipe and a socket.

use std::cell::RefCell;
use std::rc::Rc;

use super::call::{CallResult, Received, Reply};
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
        Ok(Reply::Number(count as i64))
    }

    /// splice(2): one end is a pipe, the other a socket. It does not block.
    pub(super) fn splice(
        &mut self,
        from: i32,
        to: i32,
        len: usize,
        _flags: i32,
    ) -> Option<CallResult> {
        Some(self.try_splice(from, to, len))
    }

    fn try_splice(&mut self, from: i32, to: i32, len: usize) -> CallResult {
        let into_pipe = match self.file(to)? {
            File::PipeWrite(buffer, _) => Some(PIPE_BYTES - buffer.borrow().bytes.len()),
            File::Tcp(_) | File::Udp(_) | File::Epoll(_) | File::PipeRead(..) => None,
        };
        if let Some(room) = into_pipe {
            let taken = self.call_now(super::Call::Receive {
                fd: from,
                len: len.min(room),
                flags: libc::MSG_DONTWAIT,
            })?;
            let Reply::Received(count, Received { bytes, .. }) = taken else {
                return Err(Errno::EINVAL);
            };
            self.write_pipe(to, &bytes)?;
            return Ok(Reply::Number(count));
        }
        let waiting: Vec<u8> = match self.file(from)? {
            File::PipeRead(buffer, _) => buffer.borrow().bytes.iter().take(len).copied().collect(),
            File::Tcp(_) | File::Udp(_) | File::Epoll(_) | File::PipeWrite(..) => {
                return Err(Errno::EINVAL);
            }
        };
        if waiting.is_empty() {
            return self.read_pipe(from, 0).map(|_| Reply::Number(0));
        }
        let sent = self.call_now(super::Call::Send {
            fd: to,
            bytes: waiting,
            flags: libc::MSG_DONTWAIT,
            to: None,
            control: Vec::new(),
        })?;
        self.read_pipe(from, usize::try_from(sent.number()).unwrap_or(0))?;
        Ok(sent)
    }
}
