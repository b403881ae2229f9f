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

    /// Output: the next message of any flow, in the order in which they were completed: its length and its flow.
    pub fn recv(&self, buffer: &mut [u8], wait: Wait) -> Result<(usize, Flow), RecvError> {
        self.inner.wait_for(ApiCall::Recv, wait, |state| {
            let Some((flow, offset, len)) = state.next_message()? else { return Ok(None) };
            if len as usize > buffer.len() {
                return Err(RecvError::TooSmall { len, flow });
            }
            state.take_message(flow, offset, &mut buffer[..len as usize])?;
            Ok(Some((len as usize, flow)))
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
    fn flow(&self, flow: Flow) -> Result<(u32, u32), SendError> {
        match self.sockets.get(&flow.0) {
            Some(s) if s.transport == Transport::Machnet && !s.closed => Ok((s.slot, s.lane)),
            _ => Err(SendError::UnknownFlow),
        }
    }

    fn send(&mut self, flow: Flow, parts: &[&[u8]], len: u32) -> Result<Option<MsgId>, SendError> {
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
        // A dead daemon takes nothing, whatever room there is.
        if self.daemon_gone {
            return Ok(None);
        }
        if !self.room_for(slot, u64::from(len), u64::MAX)? || !self.may_queue(flow, slot)? {
            return Ok(None);
        }
        let offset = self.channel.tx_offset(slot);
        for part in parts {
            self.channel.tx_stage(slot, part, u64::MAX)?;
        }
        self.channel.tx_publish(slot);
        let message = self.message_id();
        let op = Op::SendMessage { socket: flow.0, offset, len, message };
        self.channel.push_command(lane, 0, &op, Some(slot))?;
        if let Some(socket) = self.sockets.get_mut(&flow.0) {
            socket.unreleased.push_back(offset + u64::from(len));
        }
        Ok(Some(MsgId(message)))
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

    /// The next message, or the end of a flow.
    fn next_message(&mut self) -> Result<Option<(Flow, u64, u32)>, RecvError> {
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
                    self.release(socket)?;
                    return Err(RecvError::Ended { flow: Flow(socket), reason });
                }
            }
        }
        Ok(None)
    }

    /// Copies the first message out and makes its room free.
    fn take_message(&mut self, flow: Flow, offset: u64, dst: &mut [u8]) -> Result<(), RecvError> {
        let Some(socket) = self.sockets.get(&flow.0) else { return Err(broken().into()) };
        let slot = socket.slot;
        let skip = offset.checked_sub(self.channel.rx_consumed(slot)).ok_or_else(broken)?;
        if self.channel.rx_peek(slot, skip, dst)? != dst.len() {
            return Err(broken().into());
        }
        self.channel.rx_consume(slot, skip + dst.len() as u64)?;
        self.channel.kick(slot)?;
        self.arrivals.pop_front();
        Ok(())
    }
}
