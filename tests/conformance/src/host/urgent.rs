//! Urgent data as sockets have it: the byte at the mark is read out of line, unless SO_OOBINLINE says otherwise, and nothing is
//! read across the mark in one call. As Linux does it, oddities included.

use causeway_core::port::{Op, SocketId};

use super::call::{CallResult, Received, Reply};
use super::errno::Errno;
use super::file::Role;
use super::host::Host;

/// The latest mark of a connection. It is of no interest any more once the application has read past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Offset of the urgent byte in the stream.
    offset: u64,
    /// The byte, where the stack told it.
    byte: Option<u8>,
    /// MSG_OOB has fetched it.
    taken: bool,
}

/// Where the mark lies, as seen from what is to be read next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    mark: Mark,
    /// Bytes in front of the urgent one.
    pub(super) distance: u64,
    /// It has arrived, with everything in front of it.
    in_order: bool,
    /// SO_OOBINLINE.
    inline: bool,
}

impl Ahead {
    /// Getter: the next byte is the urgent one.
    pub(super) const fn is_here(&self) -> bool {
        self.distance == 0
    }

    /// Getter: the next byte is the urgent one and is not read with the rest.
    pub(super) const fn is_hole(&self) -> bool {
        self.is_here() && !self.inline
    }

    /// Getter: the urgent byte is there and was not fetched.
    const fn waits(&self) -> bool {
        !self.mark.taken && (self.in_order || self.mark.byte.is_some())
    }

    /// Getter: what SIOCINQ counts of `readable` bytes.
    pub(super) const fn counted(&self, readable: u64) -> u64 {
        if self.inline || !self.in_order { readable } else { self.distance }
    }
}

impl Host {
    /// Input: the stack told of a mark.
    pub(super) fn absorb_mark(&mut self, socket: SocketId, offset: u64, byte: Option<u8>) {
        let Some(endpoint) = self.endpoints.get(&socket) else { return };
        let (stream, before) = (endpoint.stream, endpoint.mark);
        let fd = self.fd_of(socket);
        let rings = self.machine.engine.port_mut().rings(stream);
        let again = before.filter(|mark| mark.offset == offset);
        let taken = again.is_some_and(|mark| mark.taken);
        let superseded = before.is_some_and(|mark| mark.offset == rings.rx_consumed());
        if again.is_none() && superseded && rings.readable() > 0 && !self.reads_inline(fd) {
            // An urgent byte that was to be read out of line does not become ordinary by another one.
            self.machine.engine.port_mut().rings(stream).read(1, false);
        }
        if let Some(endpoint) = self.endpoints.get_mut(&socket) {
            endpoint.mark = Some(Mark { offset, byte, taken });
            endpoint.news.input += 1;
        }
    }

    /// Getter: the mark of a connection that is not behind what was read.
    pub(super) fn mark_ahead(&mut self, fd: i32) -> Option<Ahead> {
        let Role::Stream { socket } = self.tcp(fd).ok()?.role else { return None };
        let inline = self.reads_inline(Some(fd));
        let endpoint = self.endpoints.get(&socket)?;
        let (mark, stream) = (endpoint.mark?, endpoint.stream);
        let rings = self.machine.engine.port_mut().rings(stream);
        let distance = mark.offset.checked_sub(rings.rx_consumed())?;
        Some(Ahead { mark, distance, in_order: distance < rings.readable(), inline })
    }

    fn reads_inline(&mut self, fd: Option<i32>) -> bool {
        let tcp = fd.and_then(|fd| self.tcp(fd).ok());
        tcp.is_some_and(|tcp| tcp.values.flag((libc::SOL_SOCKET, libc::SO_OOBINLINE)))
    }

    /// recv(MSG_OOB): never blocks (tcp_recv_urg).
    pub(super) fn receive_urgent(&mut self, fd: i32, len: usize, flags: i32) -> CallResult {
        let Role::Stream { socket } = self.tcp(fd)?.role else { return Err(Errno::ENOTCONN) };
        let shut = self.tcp(fd)?.shut_read;
        let ahead = self.mark_ahead(fd).filter(|ahead| !ahead.inline && !ahead.mark.taken);
        let Some(ahead) = ahead else { return Err(Errno::EINVAL) };
        let endpoint = self.endpoints.get_mut(&socket).ok_or(Errno::EIO)?;
        if !ahead.waits() {
            let over = endpoint.ended || endpoint.peer_closed || shut;
            return if over {
                Ok(Reply::Received(0, Received::default()))
            } else {
                Err(Errno::EAGAIN)
            };
        }
        if flags & libc::MSG_PEEK == 0 {
            endpoint.mark = Some(Mark { taken: true, ..ahead.mark });
        }
        let stream = endpoint.stream;
        let rings = self.machine.engine.port_mut().rings(stream);
        let byte =
            ahead.mark.byte.or_else(|| rings.peek_at(ahead.mark.offset)).ok_or(Errno::EIO)?;
        let mut received = Received { flags: libc::MSG_OOB, ..Received::default() };
        if len == 0 {
            received.flags |= libc::MSG_TRUNC;
            return Ok(Reply::Received(0, received));
        }
        received.bytes.push(byte);
        Ok(Reply::Received(1, received))
    }

    /// A read that begins at the urgent byte passes it over.
    pub(super) fn skip_urgent(&mut self, socket: SocketId) {
        if let Some(stream) = self.endpoints.get(&socket).map(|endpoint| endpoint.stream) {
            self.machine.engine.port_mut().rings(stream).read(1, false);
            // A refusal means that the connection is over.
            let _ = self.tell(Op::Kick { socket });
        }
    }

    /// SIOCATMARK.
    pub(super) fn at_mark(&mut self, fd: i32) -> bool {
        self.mark_ahead(fd).is_some_and(|ahead| ahead.is_here())
    }

    /// Urgent data waits (POLLPRI).
    pub(super) fn urgent_waits(&mut self, fd: i32) -> bool {
        self.mark_ahead(fd).is_some_and(|ahead| ahead.waits())
    }
}
