//! TCP: listeners and streams.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use causeway_channel::ChannelFault;
use causeway_core::error::EndReason;
use causeway_core::port::{Op, SocketId, SocketInfo, SocketOption, Transport};

use crate::channel::{Channel, Inner};
use crate::env::ApiCall;
use crate::error::{
    CallError, ConnectError, InfoError, ListenError, OptionError, ReadError, WriteError,
};
use crate::sleep::Wait;
use crate::state::State;

/// Of the TX pool, what one stream may hold: a quarter, so that others can send while one is stuck.
const POOL_SHARE: u64 = 4;

/// [`SocketInfo::state`] of a connection that has ended: Linux's TCP_CLOSE.
pub const TCP_CLOSED: u8 = causeway_core::tcp::State::Closed.linux_number();

/// Accepts TCP connections. Dropping it stops listening; connections not yet accepted are reset.
#[derive(Debug)]
pub struct TcpListener {
    inner: Arc<Inner>,
    /// One per lane.
    listeners: Vec<SocketId>,
    local: SocketAddr,
    backlog: u32,
}

/// A TCP connection. Dropping it closes it: what was written is still delivered.
#[derive(Debug)]
pub struct TcpStream {
    inner: Arc<Inner>,
    id: SocketId,
    slot: u32,
    local: SocketAddr,
    remote: SocketAddr,
}

impl TcpListener {
    /// Command: listens on an address of the daemon; port 0 lets the stack choose one. `backlog`: most
    /// connections that wait to be accepted.
    pub fn bind(channel: &Channel, local: SocketAddr, backlog: u32) -> Result<Self, ListenError> {
        Self::bind_with(channel, local, backlog, &[])
    }

    /// Command: as [`TcpListener::bind`], with socket options, which the connections inherit.
    pub fn bind_with(
        channel: &Channel,
        local: SocketAddr,
        backlog: u32,
        options: &[SocketOption],
    ) -> Result<Self, ListenError> {
        let (listeners, local) = channel.inner.listen(Transport::Tcp, local, backlog, options)?;
        Ok(Self { inner: channel.inner.clone(), listeners, local, backlog })
    }

    /// Getter: the address, its port filled in.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Getter: the backlog.
    pub const fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Output: the next connection.
    pub fn accept(&self, wait: Wait) -> Result<TcpStream, CallError> {
        self.inner.wait_for(ApiCall::Accept, wait, |state| {
            for id in &self.listeners {
                let Some(listener) = state.listeners.get_mut(id) else { continue };
                let Some(socket) = listener.incoming.pop_front() else { continue };
                let lane = listener.lane;
                let op = Op::Accepted { listener: *id, count: 1 };
                state.channel.push_command(lane, 0, &op, None)?;
                return Ok(TcpStream::new(&self.inner, state, socket));
            }
            Ok(None)
        })
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.inner.close_listeners(&self.listeners);
    }
}

impl TcpStream {
    fn new(inner: &Arc<Inner>, state: &State, id: SocketId) -> Option<Self> {
        let socket = state.sockets.get(&id)?;
        let (slot, local, remote) = (socket.slot, socket.local, socket.remote);
        Some(Self { inner: inner.clone(), id, slot, local, remote })
    }

    /// Command: connects and waits until the connection is established. `local`: the address to send
    /// from, chosen by the route when `None`. When the wait fails the attempt is given up.
    pub fn connect(
        channel: &Channel,
        local: Option<IpAddr>,
        remote: SocketAddr,
        wait: Wait,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(channel, local, remote, &[], wait)
    }

    /// Command: as [`TcpStream::connect`], with socket options that hold from the SYN on.
    pub fn connect_with(
        channel: &Channel,
        local: Option<IpAddr>,
        remote: SocketAddr,
        options: &[SocketOption],
        wait: Wait,
    ) -> Result<Self, ConnectError> {
        let inner = &channel.inner;
        let id = inner.connect(Transport::Tcp, local, remote, options, wait)?;
        Self::new(inner, &inner.shared.lock(), id)
            .ok_or(ConnectError::Call(crate::channel::broken()))
    }

    /// Getter: our end.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Getter: the peer.
    pub const fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// Output: at least one byte, or 0 at the end of the stream (the peer closed) or for an empty buffer.
    pub fn read(&self, buffer: &mut [u8], wait: Wait) -> Result<usize, ReadError> {
        self.inner.wait_for(ApiCall::Read, wait, |state| {
            let n = state.channel.rx_peek(self.slot, 0, buffer)?;
            if n > 0 {
                state.channel.rx_consume(self.slot, n as u64)?;
                state.channel.kick(self.slot)?;
                return Ok(Some(n));
            }
            if buffer.is_empty() {
                return Ok(Some(0));
            }
            let Some(socket) = state.sockets.get(&self.id) else { return Ok(Some(0)) };
            match socket.ended {
                // The reports of the end come after the last bytes were committed, so there are none.
                Some(EndReason::Closed) => Ok(Some(0)),
                Some(reason) => Err(ReadError::Ended(reason)),
                None if socket.peer_closed => Ok(Some(0)),
                None => Ok(None),
            }
        })
    }

    /// Command: writes at least one byte, as many as there is room for. Returns how many.
    pub fn write(&self, bytes: &[u8], wait: Wait) -> Result<usize, WriteError> {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.inner.wait_for(ApiCall::Write(len), wait, |state| self.write_some(state, bytes))
    }

    /// Command: writes everything. After an error some of it may have been written.
    pub fn write_all(&self, mut bytes: &[u8], wait: Wait) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            bytes = &bytes[self.write(bytes, wait)?..];
        }
        Ok(())
    }

    fn write_some(&self, state: &mut State, bytes: &[u8]) -> Result<Option<usize>, WriteError> {
        let Some(socket) = state.sockets.get(&self.id) else {
            return Err(WriteError::Ended(EndReason::Closed));
        };
        if let Some(reason) = socket.ended {
            return Err(WriteError::Ended(reason));
        }
        if socket.write_shut {
            return Err(WriteError::Shut);
        }
        if bytes.is_empty() {
            return Ok(Some(0));
        }
        if state.daemon_gone {
            return Ok(None);
        }
        let g = state.channel.geometry();
        let pool = u64::from(g.tx_chunks()) * u64::from(g.chunk_bytes());
        let window = (pool / POOL_SHARE).clamp(1, g.window_bytes_max());
        let n = state.channel.tx_stage(self.slot, bytes, window)?;
        if n > 0 {
            state.channel.tx_publish(self.slot);
            state.channel.kick(self.slot)?;
            return Ok(Some(n));
        }
        // Woken for a third of the window, not for each acknowledgement.
        if state.room_for(self.slot, window / 3 + 1, window)? {
            return self.write_some(state, bytes);
        }
        Ok(None)
    }

    /// Command: no more bytes will be written; the peer reads the end after the last. Reading goes on.
    pub fn shutdown_write(&self) -> Result<(), WriteError> {
        self.inner.call(ApiCall::Close, |state| {
            let Some(socket) = state.sockets.get_mut(&self.id) else { return Ok(()) };
            if std::mem::replace(&mut socket.write_shut, true) || socket.ended.is_some() {
                return Ok(());
            }
            let lane = socket.lane;
            let op = Op::ShutdownWrite { socket: self.id };
            Ok(state.channel.push_command(lane, 0, &op, Some(self.slot))?)
        })
    }

    /// Command: closes; what was written is delivered first. The same as dropping, with the error.
    pub fn close(self) -> Result<(), CallError> {
        self.end(false)
    }

    /// Command: ends the connection at once, telling the peer with RST.
    pub fn abort(self) -> Result<(), CallError> {
        self.end(true)
    }

    fn end(&self, abort: bool) -> Result<(), CallError> {
        self.inner.call(ApiCall::Close, |state| {
            state.close(self.id, abort).map_err(|fault: ChannelFault| fault.into())
        })
    }

    /// Command: sets a socket option.
    pub fn set_option(&self, option: SocketOption) -> Result<(), OptionError> {
        option.check().map_err(OptionError::Refused)?;
        self.inner.call(ApiCall::SetOption, |state| {
            let Some(lane) = state.sockets.get(&self.id).map(|socket| socket.lane) else {
                return Ok(());
            };
            let op = Op::SetOption { socket: Some(self.id), option };
            Ok(state.channel.push_command(lane, 0, &op, Some(self.slot))?)
        })
    }

    /// Getter: the connection's figures; once it has ended those that it had then, with [`TCP_CLOSED`] as its state.
    ///
    /// # Errors
    /// [`InfoError`]: there are none, since it never came to be, or ended while the application did not keep up.
    pub fn info(&self, wait: Wait) -> Result<SocketInfo, InfoError> {
        self.inner.info(self.id, wait)
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        // After close or abort nothing is left to do; otherwise there is nobody to tell.
        let _ = self.end(false);
    }
}
