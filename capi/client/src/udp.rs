//! UDP sockets: datagrams, which arrive whole or not at all.

use std::net::SocketAddr;
use std::sync::Arc;

use causeway_core::error::EndReason;
use causeway_core::port::{Op, SocketId};

use crate::channel::{Channel, Inner, broken};
use crate::env::ApiCall;
use crate::error::{BindError, DatagramError};
use crate::sleep::Wait;
use crate::state::{Answer, Asked, State};

/// The longest payload of a datagram, in bytes: what IPv4 leaves behind its header and UDP's.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// A UDP socket. Dropping it closes it; datagrams that were sent still leave.
pub struct UdpSocket {
    inner: Arc<Inner>,
    id: SocketId,
}

impl std::fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UdpSocket").field(&self.id).finish()
    }
}

impl UdpSocket {
    /// Command: a socket on `local`; port 0 for any that is free, the unspecified address for each of the host's. It lives on the
    /// first engine of the daemon, which must be the one that its datagrams come to.
    ///
    /// # Errors
    /// [`BindError`]; nothing is open then.
    pub fn bind(channel: &Channel, local: SocketAddr) -> Result<Self, BindError> {
        let inner = channel.inner.clone();
        let op = Op::BindUdp { local };
        let id = inner.bound(Asked::Bind, |state| state.request(0, Asked::Bind, &op, None))?;
        Ok(Self { inner, id })
    }

    /// Command: from now on datagrams go to `remote` where none is named, and come from there alone; `None` for everybody again.
    ///
    /// # Errors
    /// [`BindError`]; the socket is as it was then.
    pub fn connect(&self, remote: Option<SocketAddr>) -> Result<(), BindError> {
        let op = Op::ConnectUdp { socket: self.id, remote };
        let asked = Asked::Reconnect;
        self.inner
            .bound(asked, |state| {
                let place = state.sockets.get(&self.id).map(|socket| (socket.lane, socket.slot));
                let (lane, slot) = place.map_or((0, None), |(lane, slot)| (lane, Some(slot)));
                state.request(lane, asked, &op, slot)
            })
            .map(drop)
    }

    /// Getter: the local end. `None` once the daemon has ended the socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.shared.lock().sockets.get(&self.id).map(|socket| socket.local)
    }

    /// Command: sends a datagram to `remote`, or to the peer that the socket is connected to. Waits for room for its bytes; what
    /// becomes of it later nobody knows.
    ///
    /// # Errors
    /// [`DatagramError`]; nothing is sent then.
    pub fn send_to(
        &self,
        bytes: &[u8],
        remote: Option<SocketAddr>,
        wait: Wait,
    ) -> Result<(), DatagramError> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(DatagramError::TooLong);
        }
        let call = ApiCall::Send(bytes.len() as u32);
        self.inner.wait_for(call, wait, |state| state.send_datagram(self.id, bytes, remote))
    }

    /// Output: the next datagram: its length and who sent it. What does not fit into `buffer` is lost, as with every UDP socket.
    ///
    /// # Errors
    /// [`DatagramError::Refused`] once for each time that the peer's host said that nobody takes what was sent.
    pub fn recv_from(
        &self,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Result<(usize, SocketAddr), DatagramError> {
        self.inner.wait_for(ApiCall::Recv, wait, |state| state.take_datagram(self.id, buffer))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        // Nobody is left to be told of an error.
        let _ = self.inner.call(ApiCall::Close, |state| {
            state.close(self.id, false).map_err(crate::error::CallError::from)
        });
    }
}

impl Inner {
    /// Asks for what [`Completion::Bound`](causeway_core::port::Completion::Bound) answers.
    fn bound(
        &self,
        what: Asked,
        ask: impl Fn(&mut State) -> Result<u64, causeway_channel::ChannelFault>,
    ) -> Result<SocketId, BindError> {
        let mut tag = None;
        let call = if what == Asked::Bind { ApiCall::Listen } else { ApiCall::Connect };
        let result = self.wait_for(call, Wait::Forever, |state| {
            let Some(tag) = tag else {
                tag = Some(ask(state)?);
                return Ok(None);
            };
            match state.answer(tag) {
                Some(Answer::Bound(id)) => Ok(Some(id)),
                Some(Answer::Failed(error)) => Err(BindError::Refused(error)),
                Some(_) => Err(broken().into()),
                None => Ok(None),
            }
        });
        if let (Err(_), Some(tag)) = (&result, tag) {
            self.shared.lock().forget(tag);
        }
        result
    }
}

impl State {
    fn refusal(&mut self, id: SocketId) -> Result<(), DatagramError> {
        let reason: Option<EndReason> =
            self.inboxes.get_mut(&id).and_then(|inbox| inbox.refused.take());
        reason.map_or(Ok(()), |reason| Err(DatagramError::Refused(reason)))
    }

    fn send_datagram(
        &mut self,
        id: SocketId,
        bytes: &[u8],
        remote: Option<SocketAddr>,
    ) -> Result<Option<()>, DatagramError> {
        self.refusal(id)?;
        let Some(socket) = self.sockets.get(&id) else { return Err(DatagramError::Closed) };
        let (slot, lane) = (socket.slot, socket.lane);
        if socket.ended.is_some() {
            return Err(DatagramError::Closed);
        }
        if self.daemon_gone || !self.room_for(slot, bytes.len() as u64, u64::MAX)? {
            return Ok(None);
        }
        let offset = self.channel.tx_offset(slot);
        self.channel.tx_stage(slot, bytes, u64::MAX)?;
        self.channel.tx_publish(slot);
        let len = bytes.len() as u32;
        let op = Op::SendDatagram { socket: id, offset, len, remote };
        self.channel.push_command(lane, 0, &op, Some(slot))?;
        Ok(Some(()))
    }

    fn take_datagram(
        &mut self,
        id: SocketId,
        buffer: &mut [u8],
    ) -> Result<Option<(usize, SocketAddr)>, DatagramError> {
        self.refusal(id)?;
        let Some(socket) = self.sockets.get(&id) else { return Err(DatagramError::Closed) };
        let (slot, ended) = (socket.slot, socket.ended.is_some());
        let arrived = self.inboxes.get_mut(&id).and_then(|inbox| inbox.datagrams.pop_front());
        let Some(arrived) = arrived else {
            return if ended { Err(DatagramError::Closed) } else { Ok(None) };
        };
        let consumed = self.channel.rx_consumed(slot);
        let skip = arrived.offset.checked_sub(consumed).ok_or_else(broken)?;
        let len = buffer.len().min(arrived.len as usize);
        if self.channel.rx_peek(slot, skip, &mut buffer[..len])? != len {
            return Err(broken().into());
        }
        // An empty one takes a byte of the ring.
        self.channel.rx_consume(slot, skip + u64::from(arrived.len.max(1)))?;
        self.channel.kick(slot)?;
        Ok(Some((len, arrived.remote)))
    }
}
