//! Messages: reliable, in order within a flow, with their boundaries.

use std::net::{IpAddr, SocketAddr};

use causeway_channel::Room;
use causeway_core::port::{Op, SocketId, SocketInfo, Transport};

use crate::channel::{Channel, broken};
use crate::env::ApiCall;
use crate::error::{ConnectError, InfoError, ListenError, RecvError, SendError};
use crate::sleep::Wait;
use crate::state::{Arrival, State};

/// A flow of messages to one peer, as a handle of its channel. Never used again for another flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(pub(crate) SocketId);

impl Flow {
    /// Getter: the flow as a number, for C.
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// Getter: the flow of a number. Any number may be tried; one that names no flow of the channel is refused where it is used.
    pub const fn from_bits(bits: u64) -> Self {
        Self(SocketId::from_bits(bits))
    }
}

/// The number of a message, unique on its channel. The first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsgId(pub u64);

/// Flows that a listener may have waiting for the library: it takes them at once.
const BACKLOG: u32 = 256;

impl Channel {
    /// Command: accepts flows on an address, from now on and without further calls; their messages come out of
    /// [`Channel::recv`]. Returns the address, its port filled in where it was 0.
    pub fn listen_messages(&self, local: SocketAddr) -> Result<SocketAddr, ListenError> {
        self.inner.listen(Transport::Machnet, local, BACKLOG, &[]).map(|(_, local)| local)
    }

    /// Command: opens a flow and waits for the peer's answer. `local`: the address to send from, chosen by the route when `None`.
    pub fn connect_messages(
        &self,
        local: Option<IpAddr>,
        remote: SocketAddr,
        wait: Wait,
    ) -> Result<Flow, ConnectError> {
        self.inner.connect(Transport::Machnet, local, remote, &[], wait).map(Flow)
    }

    /// Command: sends one message, the concatenation of `parts`: 1 to [`Channel::message_bytes_max`] bytes. The bytes are
    /// copied. Waits for room; sends all or nothing.
    pub fn send(&self, flow: Flow, parts: &[&[u8]], wait: Wait) -> Result<MsgId, SendError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.inner.wait_for(ApiCall::Send(len), wait, |state| state.send(flow, parts, len))
    }

    /// Command: sends messages in their order, each as [`Channel::send`] does, and tells `sent` the number of each. Returns how many were sent:
    /// fewer than there are when it would have to wait and must not, or when the next one fails; that failure is told when it is tried
    /// again.
    ///
    /// # Errors
    /// The first one was not sent.
    pub fn send_batch<'a>(
        &self,
        messages: impl IntoIterator<Item = (Flow, &'a [u8])>,
        mut sent: impl FnMut(MsgId),
        wait: Wait,
    ) -> Result<usize, SendError> {
        let mut messages = messages.into_iter().peekable();
        let bytes = messages.peek().map_or(0, |(_, bytes)| bytes.len());
        let mut count = 0;
        let call = ApiCall::Send(u32::try_from(bytes).unwrap_or(u32::MAX));
        let outcome = self.inner.wait_for(call, wait, |state| {
            while let Some((flow, bytes)) = messages.peek() {
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let Some(id) = state.send(*flow, &[bytes], len)? else { return Ok(None) };
                sent(id);
                count += 1;
                messages.next();
            }
            Ok(Some(()))
        });
        match outcome {
            Err(error) if count == 0 => Err(error),
            Ok(()) | Err(_) => Ok(count),
        }
    }

    /// Output: the next message of any flow, in the order in which they were completed: its length and its flow.
    pub fn recv(&self, buffer: &mut [u8], wait: Wait) -> Result<(usize, Flow), RecvError> {
        self.recv_parts(&mut [buffer], wait)
    }

    /// Output: as [`Channel::recv`], with the message cut over `parts`, each filled before the next one.
    pub fn recv_parts(
        &self,
        parts: &mut [&mut [u8]],
        wait: Wait,
    ) -> Result<(usize, Flow), RecvError> {
        let room = parts.iter().map(|part| part.len()).sum();
        self.inner.wait_for(ApiCall::Recv, wait, |state| {
            let Some((flow, offset, len)) = state.next_message()? else { return Ok(None) };
            if len as usize > room {
                return Err(RecvError::TooSmall { len, flow });
            }
            state.take_message(flow, offset, len as usize, parts)?;
            Ok(Some((len as usize, flow)))
        })
    }

    /// Command: drops the message that the next [`Channel::recv`] would return. Its length and flow; does not wait.
    pub fn discard(&self) -> Result<(usize, Flow), RecvError> {
        self.inner.wait_for(ApiCall::Recv, Wait::Never, |state| {
            let Some((flow, offset, len)) = state.next_message()? else { return Ok(None) };
            state.arrivals.pop_front();
            state.taken(flow.0, offset + u64::from(len), None)?;
            Ok(Some((len as usize, flow)))
        })
    }

    /// Output: messages, one for each of `buffers`, of which `received` is told the length and the flow. Waits for the first and takes what
    /// is there beside it. Returns how many; a flow's end, or a message longer than its buffer, is told when it is the first.
    pub fn recv_batch<'a>(
        &self,
        buffers: impl IntoIterator<Item = &'a mut [u8]>,
        mut received: impl FnMut(usize, Flow),
        wait: Wait,
    ) -> Result<usize, RecvError> {
        let mut buffers = buffers.into_iter().peekable();
        let mut count = 0;
        self.inner.wait_for(ApiCall::Recv, wait, |state| {
            while let Some(buffer) = buffers.peek_mut() {
                if count > 0 && !state.is_message_next(buffer.len()) {
                    break;
                }
                let Some((flow, offset, len)) = state.next_message()? else { return Ok(None) };
                if len as usize > buffer.len() {
                    return Err(RecvError::TooSmall { len, flow });
                }
                state.take_message(flow, offset, len as usize, &mut [buffer])?;
                received(len as usize, flow);
                count += 1;
                buffers.next();
            }
            Ok(Some(count))
        })
    }

    /// Getter: the length and flow of the message that the next [`Channel::recv`] returns.
    pub fn peek(&self, wait: Wait) -> Result<(usize, Flow), RecvError> {
        self.inner.wait_for(ApiCall::Recv, wait, |state| {
            Ok(state.next_message()?.map(|(flow, _, len)| (len as usize, flow)))
        })
    }

    /// Command: closes a flow: what was sent is delivered, what was not received is dropped.
    pub fn close_flow(&self, flow: Flow) -> Result<(), SendError> {
        self.inner.call(ApiCall::Close, |state| {
            state.flow(flow)?;
            Ok(state.close(flow.0, false)?)
        })
    }

    /// Getter: both ends of a flow, ours first.
    pub fn flow_addresses(&self, flow: Flow) -> Option<(SocketAddr, SocketAddr)> {
        let state = self.inner.shared.lock();
        state.sockets.get(&flow.0).map(|socket| (socket.local, socket.remote))
    }

    /// Getter: a flow's figures; among them the highest acknowledged message.
    pub fn flow_info(&self, flow: Flow, wait: Wait) -> Result<SocketInfo, InfoError> {
        self.inner.info(flow.0, wait)
    }
}

impl State {
    /// The slot and lane of a flow that can be used.
    pub(crate) fn flow(&self, flow: Flow) -> Result<(u32, u32), SendError> {
        match self.sockets.get(&flow.0) {
            Some(s) if s.transport == Transport::Machnet && !s.closed => Ok((s.slot, s.lane)),
            _ => Err(SendError::UnknownFlow),
        }
    }

    fn send(&mut self, flow: Flow, parts: &[&[u8]], len: u32) -> Result<Option<MsgId>, SendError> {
        let Some((slot, _)) = self.may_send(flow, len)? else { return Ok(None) };
        let offset = self.channel.tx_offset(slot);
        for part in parts {
            self.channel.tx_stage(slot, part, u64::MAX)?;
        }
        self.hand_over(flow, offset, len).map(Some)
    }

    /// The slot and lane of a flow on which a message of `len` bytes can be staged now; `None`: not now, and who waits is woken when it can.
    pub(crate) fn may_send(
        &mut self,
        flow: Flow,
        len: u32,
    ) -> Result<Option<(u32, u32)>, SendError> {
        let (slot, lane) = self.flow(flow)?;
        let max = self.channel.geometry().message_bytes_max();
        if len == 0 {
            return Err(SendError::Empty);
        }
        if len > max {
            return Err(SendError::TooLong { max });
        }
        if let Some(reason) = self.sockets.get(&flow.0).and_then(|s| s.ended) {
            return Err(SendError::Ended(reason));
        }
        if self.channel.tx_reserved(slot) > 0 {
            return Err(SendError::Reserved);
        }
        // A dead daemon takes nothing, whatever room there is.
        if self.daemon_gone {
            return Ok(None);
        }
        let room = self.room_for(slot, u64::from(len), u64::MAX)? && self.may_queue(flow, slot)?;
        Ok(room.then_some((slot, lane)))
    }

    /// Command: the `len` staged bytes from `offset` are a message.
    pub(crate) fn hand_over(
        &mut self,
        flow: Flow,
        offset: u64,
        len: u32,
    ) -> Result<MsgId, SendError> {
        let (slot, lane) = self.flow(flow)?;
        self.channel.tx_publish(slot);
        let message = self.message_id();
        let op = Op::SendMessage { socket: flow.0, offset, len, message };
        self.channel.push_command(lane, 0, &op, Some(slot))?;
        if let Some(socket) = self.sockets.get_mut(&flow.0) {
            socket.unreleased.push_back(offset + u64::from(len));
        }
        Ok(MsgId(message))
    }

    /// Whether the daemon takes one more message of the flow now, however short; if not, arranges to be woken when it may.
    fn may_queue(&mut self, flow: Flow, slot: u32) -> Result<bool, causeway_channel::ChannelFault> {
        let Self { channel, sockets, .. } = self;
        let Some(socket) = sockets.get_mut(&flow.0) else { return Ok(true) };
        channel.may_queue(slot, &mut socket.unreleased)
    }

    /// Whether `bytes` fit into a stream now; if not, arranges to be woken when they may.
    pub(crate) fn room_for(
        &mut self,
        slot: u32,
        bytes: u64,
        window: u64,
    ) -> Result<bool, causeway_channel::ChannelFault> {
        let room = self.channel.await_room(slot, bytes, window)?;
        self.want_pool |= room == Room::Pooled;
        Ok(room == Room::Here)
    }

    /// Whether a message of at most `room` bytes is the next piece of news.
    fn is_message_next(&self, room: usize) -> bool {
        let Some(Arrival::Message { socket, len, .. }) = self.arrivals.front() else {
            return false;
        };
        *len as usize <= room && self.sockets.get(socket).is_some_and(|s| !s.closed)
    }

    /// The next message, or the end of a flow.
    pub(crate) fn next_message(&mut self) -> Result<Option<(Flow, u64, u32)>, RecvError> {
        while let Some(arrival) = self.arrivals.front().copied() {
            let (Arrival::Message { socket, .. } | Arrival::End { socket, .. }) = arrival;
            if self.sockets.get(&socket).is_none_or(|s| s.closed) {
                // The application closed the flow without receiving it.
                self.arrivals.pop_front();
                continue;
            }
            match arrival {
                Arrival::Message { offset, len, .. } => {
                    return Ok(Some((Flow(socket), offset, len)));
                }
                Arrival::End { reason, .. } => {
                    self.arrivals.pop_front();
                    match self.sockets.get_mut(&socket) {
                        // Its last messages are being read where they lie.
                        Some(one) if !one.taken.is_empty() => one.taken.is_last = true,
                        _ => self.release(socket)?,
                    }
                    return Err(RecvError::Ended { flow: Flow(socket), reason });
                }
            }
        }
        Ok(None)
    }

    /// Copies the first message out and makes its room free.
    fn take_message(
        &mut self,
        flow: Flow,
        offset: u64,
        len: usize,
        parts: &mut [&mut [u8]],
    ) -> Result<(), RecvError> {
        let Some(socket) = self.sockets.get(&flow.0) else { return Err(broken().into()) };
        let slot = socket.slot;
        let mut skip = offset.checked_sub(self.channel.rx_consumed(slot)).ok_or_else(broken)?;
        let mut left = len;
        for part in parts {
            let piece = left.min(part.len());
            if self.channel.rx_peek(slot, skip, &mut part[..piece])? != piece {
                return Err(broken().into());
            }
            skip += piece as u64;
            left -= piece;
        }
        self.arrivals.pop_front();
        Ok(self.taken(flow.0, offset + len as u64, None)?)
    }
}
