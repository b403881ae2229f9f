//! What a polled program calls: sockets that never block.

use std::net::{IpAddr, SocketAddr};

use causeway_channel::ChannelFault;
use causeway_core::error::{CommandError, EndReason};
use causeway_core::port::{Op, SocketId, SocketInfo, SocketOption, Transport};
use causeway_core::time::Instant;

use super::port::PolledPort;
use super::socket::{Sock, Socket, State};
use crate::model::Call;

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Later: the program is polled again when there is news.
    #[error("it would block")]
    WouldBlock,
    /// The handle is not (or no more) the program's, or of another kind.
    #[error("no such socket")]
    BadSocket,
    /// Nothing can be sent any more: the program shut the direction down.
    #[error("the direction was shut down")]
    Shut,
    /// Longer than the rings hold.
    #[error("the message is too long")]
    TooLong,
    /// The stack refused to open it.
    #[error("refused: {0:?}")]
    Refused(CommandError),
    /// It is over.
    #[error("over: {0:?}")]
    Ended(EndReason),
    /// The daemon wrote something impossible into the program's channel.
    #[error("the channel is broken: {0}")]
    Broken(#[from] ChannelFault),
    /// The daemon let go of the program's channel.
    #[error("the daemon hung up")]
    HungUp,
}

/// One program's sockets, for the time of one poll.
pub struct Net<'a> {
    pub(super) port: &'a mut PolledPort,
    pub(super) app: u32,
    pub(super) now: Instant,
}

const fn tag(sock: Sock) -> u64 {
    (sock.generation as u64) << 32 | sock.index as u64
}

impl Net<'_> {
    /// Getter: the host's clock, as the program sees it.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Output: the next socket with news since it was last returned here. Edge-triggered.
    pub fn take_ready(&mut self) -> Option<Sock> {
        let result = self.port.sockets.take_ready(self.app);
        self.saw(Call::TakeReady { result });
        result
    }

    /// Whoever watches is told of a call and its result.
    fn saw(&self, call: Call) {
        if let Some(witness) = &self.port.witness {
            witness.called(self.app, &call);
        }
    }

    /// Command: listens on an address; [`Net::state`] tells whether it came to be.
    pub fn listen(&mut self, transport: Transport, local: SocketAddr, backlog: u32) -> Sock {
        let sock = self.port.sockets.insert(Socket::new(self.app, transport, true));
        self.port.command(self.app, tag(sock), Op::Listen { transport, local, backlog }, None);
        self.saw(Call::Listen { sock, transport, local, backlog });
        sock
    }

    /// Command: opens a connection or flow.
    pub fn connect(
        &mut self,
        transport: Transport,
        local: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Sock {
        let mut socket = Socket::new(self.app, transport, false);
        socket.remote = Some(remote);
        let sock = self.port.sockets.insert(socket);
        self.port.command(self.app, tag(sock), Op::Connect { transport, local, remote }, None);
        self.saw(Call::Connect { sock, transport, local, remote });
        sock
    }

    /// Command: a UDP socket on an address.
    pub fn bind_udp(&mut self, local: SocketAddr) -> Sock {
        let sock = self.port.sockets.insert(Socket::new(self.app, Transport::Udp, false));
        self.port.command(self.app, tag(sock), Op::BindUdp { local }, None);
        self.saw(Call::Bind { sock, local });
        sock
    }

    /// Command: sets an option of a socket that the stack knows.
    ///
    /// # Errors
    /// [`NetError::BadSocket`]; [`NetError::WouldBlock`] before the stack has answered.
    pub fn set_option(&mut self, sock: Sock, option: SocketOption) -> Result<(), NetError> {
        let result = self.change_option(sock, option);
        self.saw(Call::SetOption { sock, option, result });
        result
    }

    fn change_option(&mut self, sock: Sock, option: SocketOption) -> Result<(), NetError> {
        let socket = Some(self.stack_id(sock)?);
        let slot = self.socket(sock)?.stream;
        self.port.command(self.app, tag(sock), Op::SetOption { socket, option }, slot);
        Ok(())
    }

    /// Command: asks for the figures; [`Net::info`] has them after the next news.
    ///
    /// # Errors
    /// As [`Net::set_option`].
    pub fn ask_info(&mut self, sock: Sock) -> Result<(), NetError> {
        let socket = self.stack_id(sock)?;
        self.port.command(self.app, tag(sock), Op::Info { socket }, None);
        Ok(())
    }

    /// Getter: the figures that came last; those of its end once it has ended.
    pub fn info(&self, sock: Sock) -> Option<&SocketInfo> {
        self.socket(sock).ok()?.info.as_deref()
    }

    /// Output: a connection of a listener.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn accept(&mut self, listener: Sock) -> Result<Sock, NetError> {
        let result = self.take_waiting(listener);
        self.saw(Call::Accept { sock: listener, result });
        result
    }

    fn take_waiting(&mut self, listener: Sock) -> Result<Sock, NetError> {
        self.socket(listener)?;
        let Some(socket) = self.port.sockets.get_mut(listener) else {
            return Err(NetError::BadSocket);
        };
        if !socket.listener {
            return Err(NetError::BadSocket);
        }
        let Some(taken) = socket.waiting.pop_front() else { return Err(stopped(socket.state)) };
        if let Some(listener) = socket.id {
            self.port.command(self.app, 0, Op::Accepted { listener, count: 1 }, None);
        }
        Ok(taken)
    }

    /// Getter: how far a socket is; `None` for a handle that means nothing.
    pub fn state(&self, sock: Sock) -> Option<State> {
        self.socket(sock).ok().map(|socket| socket.state)
    }

    /// Getter: its local end, once the stack has answered.
    pub fn local(&self, sock: Sock) -> Option<SocketAddr> {
        self.socket(sock).ok()?.local
    }

    /// Getter: its peer.
    pub fn remote(&self, sock: Sock) -> Option<SocketAddr> {
        self.socket(sock).ok()?.remote
    }

    /// Getter: bytes of a stream that can be read now.
    pub fn readable(&self, sock: Sock) -> usize {
        let Ok(socket) = self.socket(sock) else { return 0 };
        socket.stream.map_or(0, |slot| self.port.readable(self.app, slot))
    }

    /// Getter: true when the peer has sent its FIN.
    pub fn peer_closed(&self, sock: Sock) -> bool {
        self.socket(sock).is_ok_and(|socket| socket.peer_closed)
    }

    /// Command: writes up to `len` bytes of a stream in place: `fill` is called with each piece and its offset in the stream.
    /// Returns how many there was room for, at least 1.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn send_with(
        &mut self,
        sock: Sock,
        len: usize,
        fill: impl FnMut(u64, &mut [u8]),
    ) -> Result<usize, NetError> {
        let result = self.write(sock, len, fill);
        self.saw(Call::Send { sock, len, result });
        result
    }

    fn write(
        &mut self,
        sock: Sock,
        len: usize,
        fill: impl FnMut(u64, &mut [u8]),
    ) -> Result<usize, NetError> {
        self.of_kind(sock, Socket::is_stream)?;
        let slot = self.writable(sock)?;
        self.port.write_with((self.app, slot), len, fill)
    }

    /// Command: as [`Net::send_with`], from a slice.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn send(&mut self, sock: Sock, bytes: &[u8]) -> Result<usize, NetError> {
        let mut rest = bytes;
        self.send_with(sock, bytes.len(), |_, piece| {
            let (now, later) = rest.split_at(piece.len());
            piece.copy_from_slice(now);
            rest = later;
        })
    }

    /// Output: reads up to `len` bytes of a stream in place: `take` is called with each piece and its offset. 0 is the end of the
    /// stream.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn recv_with(
        &mut self,
        sock: Sock,
        len: usize,
        take: impl FnMut(u64, &[u8]),
    ) -> Result<usize, NetError> {
        let result = self.read(sock, len, take);
        self.saw(Call::Recv { sock, len, result });
        result
    }

    fn read(
        &mut self,
        sock: Sock,
        len: usize,
        take: impl FnMut(u64, &[u8]),
    ) -> Result<usize, NetError> {
        let socket = self.of_kind(sock, Socket::is_stream)?;
        let end = if socket.peer_closed { Ok(0) } else { Err(stopped(socket.state)) };
        let Some(slot) = socket.stream else { return end };
        match self.port.read_with((self.app, slot), len, take)? {
            0 if len > 0 => end,
            count => Ok(count),
        }
    }

    /// Output: as [`Net::recv_with`], into a slice.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn recv(&mut self, sock: Sock, bytes: &mut [u8]) -> Result<usize, NetError> {
        let mut at = 0;
        self.recv_with(sock, bytes.len(), |_, piece| {
            bytes[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        })
    }

    /// Command: sends one message (Machnet) or datagram (UDP; to `to`, or to the connected peer).
    ///
    /// # Errors
    /// [`NetError`]; nothing was sent.
    pub fn send_parcel(
        &mut self,
        sock: Sock,
        bytes: &[u8],
        to: Option<SocketAddr>,
    ) -> Result<(), NetError> {
        let result = self.write_parcel(sock, bytes, to);
        self.saw(Call::SendParcel { sock, len: bytes.len(), to, result });
        result
    }

    fn write_parcel(
        &mut self,
        sock: Sock,
        bytes: &[u8],
        to: Option<SocketAddr>,
    ) -> Result<(), NetError> {
        let transport = self.of_kind(sock, Socket::has_parcels)?.transport;
        let slot = self.writable(sock)?;
        let id = self.stack_id(sock)?;
        let messages = transport == Transport::Machnet;
        let offset = self.port.put_parcel((self.app, slot), bytes, messages)?;
        let len = bytes.len() as u32;
        let op = if messages {
            Op::SendMessage { socket: id, offset, len, message: offset }
        } else {
            Op::SendDatagram { socket: id, offset, len, remote: to }
        };
        self.port.command(self.app, tag(sock), op, Some(slot));
        Ok(())
    }

    /// Output: the next message or datagram: its sender (of a datagram), appended to nothing: `bytes` is what it was.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn recv_parcel(
        &mut self,
        sock: Sock,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<SocketAddr>, NetError> {
        let result = self.read_parcel(sock, bytes);
        self.saw(Call::RecvParcel { sock, result: result.map(|from| (bytes.len(), from)) });
        result
    }

    fn read_parcel(
        &mut self,
        sock: Sock,
        bytes: &mut Vec<u8>,
    ) -> Result<Option<SocketAddr>, NetError> {
        let state = self.of_kind(sock, Socket::has_parcels)?.state;
        let socket = self.port.sockets.get_mut(sock).ok_or(NetError::BadSocket)?;
        let (Some(parcel), Some(slot)) = (socket.parcels.pop_front(), socket.stream) else {
            return Err(stopped(state));
        };
        bytes.resize(parcel.len as usize, 0);
        self.port.take_parcel((self.app, slot), parcel, bytes)?;
        Ok(parcel.from)
    }

    /// Command: nothing more will be sent (FIN after the last byte).
    ///
    /// # Errors
    /// [`NetError`].
    pub fn shutdown_write(&mut self, sock: Sock) -> Result<(), NetError> {
        let result = self.finish_writing(sock);
        self.saw(Call::ShutdownWrite { sock, result });
        result
    }

    fn finish_writing(&mut self, sock: Sock) -> Result<(), NetError> {
        self.of_kind(sock, Socket::is_stream)?;
        let slot = self.writable(sock)?;
        let socket = self.stack_id(sock)?;
        self.port.command(self.app, tag(sock), Op::ShutdownWrite { socket }, Some(slot));
        if let Some(socket) = self.port.sockets.get_mut(sock) {
            socket.write_shut = true;
        }
        Ok(())
    }

    /// Command: nothing more will be read.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn shutdown_read(&mut self, sock: Sock) -> Result<(), NetError> {
        let result = self.finish_reading(sock);
        self.saw(Call::ShutdownRead { sock, result });
        result
    }

    fn finish_reading(&mut self, sock: Sock) -> Result<(), NetError> {
        self.of_kind(sock, Socket::is_stream)?;
        let socket = self.stack_id(sock)?;
        let slot = self.socket(sock)?.stream;
        self.port.command(self.app, tag(sock), Op::ShutdownRead { socket }, slot);
        Ok(())
    }

    /// Command: the program is done with the socket; what was sent is delivered. The handle means nothing any more.
    ///
    /// # Errors
    /// [`NetError::BadSocket`].
    pub fn close(&mut self, sock: Sock) -> Result<(), NetError> {
        let result = self.end(sock, false);
        self.saw(Call::Close { sock, abort: false, result });
        result
    }

    /// Command: as [`Net::close`], at once and with RST.
    ///
    /// # Errors
    /// [`NetError::BadSocket`].
    pub fn abort(&mut self, sock: Sock) -> Result<(), NetError> {
        let result = self.end(sock, true);
        self.saw(Call::Close { sock, abort: true, result });
        result
    }

    fn end(&mut self, sock: Sock, abort: bool) -> Result<(), NetError> {
        self.socket(sock)?;
        let socket = self.port.sockets.remove(sock).ok_or(NetError::BadSocket)?;
        // The stack has to know what was read: what is closed over unread bytes is reset (RFC 9293 §3.6.1).
        if let Some(slot) = socket.stream {
            self.port.kick(self.app, slot);
        }
        if let Some(id) = socket.id {
            let op = if abort { Op::Abort { socket: id } } else { Op::Close { socket: id } };
            self.port.command(self.app, 0, op, socket.stream);
        }
        if let Some(slot) = socket.stream {
            self.port.let_go(self.app, socket.id, slot);
        }
        for waiting in socket.waiting {
            // Nobody will ever accept it.
            let _ = self.end(waiting, true);
        }
        Ok(())
    }

    fn socket(&self, sock: Sock) -> Result<&Socket, NetError> {
        let found = self.port.sockets.get(sock).filter(|socket| socket.app == self.app);
        found.ok_or(NetError::BadSocket)
    }

    fn of_kind(&self, sock: Sock, kind: fn(&Socket) -> bool) -> Result<&Socket, NetError> {
        let socket = self.socket(sock)?;
        if kind(socket) { Ok(socket) } else { Err(NetError::BadSocket) }
    }

    fn stack_id(&self, sock: Sock) -> Result<SocketId, NetError> {
        let socket = self.socket(sock)?;
        socket.id.ok_or(stopped(socket.state))
    }

    /// The rings of a socket that may send.
    fn writable(&self, sock: Sock) -> Result<u32, NetError> {
        let socket = self.socket(sock)?;
        match socket.state {
            State::Open if socket.write_shut => Err(NetError::Shut),
            State::Open => socket.stream.ok_or(NetError::BadSocket),
            other => Err(stopped(other)),
        }
    }
}

/// What a call on a socket in this state says that cannot go on.
const fn stopped(state: State) -> NetError {
    match state {
        State::Opening | State::Open => NetError::WouldBlock,
        State::Failed(error) => NetError::Refused(error),
        State::Ended(reason) => NetError::Ended(reason),
        State::Broken(fault) => NetError::Broken(fault),
        State::HungUp => NetError::HungUp,
    }
}
