//! Messages without copies: written where they are sent from, read where they arrived.

use std::collections::VecDeque;

use causeway_channel::{ChannelFault, Piece};
use causeway_core::port::SocketId;

use crate::channel::{Channel, broken};
use crate::env::ApiCall;
use crate::error::{CallError, RecvError, ReleaseError, SendError};
use crate::message::{Flow, MsgId};
use crate::sleep::Wait;
use crate::state::{Socket, State};

/// Messages of a flow that were taken and whose bytes are not given back to the daemon yet: an earlier one is still borrowed.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Where each ends, in order, and the address of one that is borrowed.
    messages: VecDeque<(u64, Option<usize>)>,
    /// The flow ended and its application was told: its rings go with the last one that is borrowed.
    pub(crate) is_last: bool,
}

impl Taken {
    /// Getter: nothing is borrowed.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Getter: where those begin that are borrowed.
    pub(crate) fn borrowed(&self) -> impl Iterator<Item = usize> {
        self.messages.iter().filter_map(|(_, first)| *first)
    }
}

/// A message that lies where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borrowed {
    /// Its length in bytes.
    pub len: usize,
    /// Pieces that it lies in.
    pub pieces: usize,
    /// Its flow.
    pub flow: Flow,
}

impl Channel {
    /// Command: room for a message of up to `len` bytes in the channel's memory, written to `out` in the order in which they are to be filled.
    /// Returns how many pieces there are. Waits for room. Until [`Channel::commit`] the pieces are the caller's, and nothing else
    /// can be sent on the flow.
    pub fn reserve(
        &self,
        flow: Flow,
        len: usize,
        out: &mut [Piece],
        wait: Wait,
    ) -> Result<usize, SendError> {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        self.inner.wait_for(ApiCall::Send(0), wait, |state| {
            let Some((slot, _)) = state.may_send(flow, len)? else { return Ok(None) };
            let needed = state.channel.tx_reserve(slot, len.into(), out)?;
            if needed > out.len() {
                return Err(SendError::TooManyPieces { needed });
            }
            Ok(Some(needed))
        })
    }

    /// Command: sends the first `len` bytes of what was reserved as one message; with 0 nothing is sent, and the room is given up.
    /// Does not wait.
    pub fn commit(&self, flow: Flow, len: usize) -> Result<Option<MsgId>, SendError> {
        self.inner.call(ApiCall::Send(0), |state| {
            let (slot, _) = state.flow(flow)?;
            let reserved = state.channel.tx_reserved(slot);
            let sent = u32::try_from(len).ok().filter(|len| u64::from(*len) <= reserved);
            let (Some(len), true) = (sent, reserved > 0) else {
                return Err(SendError::NotReserved);
            };
            let ended = state.sockets.get(&flow.0).and_then(|socket| socket.ended);
            let offset = state.channel.tx_offset(slot);
            state.channel.tx_fill(slot, if ended.is_some() { 0 } else { len.into() });
            match ended {
                _ if len == 0 => Ok(None),
                Some(reason) => Err(SendError::Ended(reason)),
                None => state.hand_over(flow, offset, len).map(Some),
            }
        })
    }

    /// Output: the next message of any flow, where it lies: its pieces are written to `out`. They are the caller's to read until
    /// [`Channel::release`] is told the address of the first one, or the flow or the channel is closed. The flow's
    /// room is the less meanwhile.
    pub fn borrow(&self, out: &mut [Piece], wait: Wait) -> Result<Borrowed, RecvError> {
        self.inner.wait_for(ApiCall::Recv, wait, |state| {
            let Some((flow, offset, len)) = state.next_message()? else { return Ok(None) };
            let Some(socket) = state.sockets.get(&flow.0) else { return Err(broken().into()) };
            let slot = socket.slot;
            let skip = offset.checked_sub(state.channel.rx_consumed(slot)).ok_or_else(broken)?;
            let len = len as usize;
            let pieces = state.channel.rx_pieces(slot, skip, len, out)?;
            if pieces > out.len() {
                return Err(RecvError::TooManyPieces { needed: pieces, flow });
            }
            let first = out.first().ok_or_else(broken)?.address.addr();
            state.arrivals.pop_front();
            state.borrowed.insert(first, flow.0);
            state.taken(flow.0, offset + len as u64, Some(first))?;
            Ok(Some(Borrowed { len, pieces, flow }))
        })
    }

    /// Command: a borrowed message is done with; `first` is where its first piece begins. In any order; the daemon has the room again
    /// when all messages before it are done with too.
    pub fn release(&self, first: *const u8) -> Result<(), ReleaseError> {
        self.inner.call(ApiCall::Close, |state| {
            let first = first.addr();
            let Some(id) = state.borrowed.remove(&first) else {
                return Err(ReleaseError::NotBorrowed);
            };
            Ok(state.give_back(id, first).map_err(CallError::from)?)
        })
    }
}

impl State {
    /// Command: a message was taken that ends at `end` of its flow; `borrowed`: it is read where it lies.
    pub(crate) fn taken(
        &mut self,
        id: SocketId,
        end: u64,
        borrowed: Option<usize>,
    ) -> Result<(), ChannelFault> {
        let Some(socket) = self.sockets.get_mut(&id) else { return Ok(()) };
        if borrowed.is_none() && socket.taken.is_empty() {
            return self.consume(id, end);
        }
        socket.taken.messages.push_back((end, borrowed));
        Ok(())
    }

    /// Command: a borrowed message is done with.
    fn give_back(&mut self, id: SocketId, first: usize) -> Result<(), ChannelFault> {
        let Some(Socket { taken, .. }) = self.sockets.get_mut(&id) else { return Ok(()) };
        let mut messages = taken.messages.iter_mut();
        if let Some((_, borrowed)) = messages.find(|(_, at)| *at == Some(first)) {
            *borrowed = None;
        }
        let mut done = None;
        while let Some((end, _)) = taken.messages.pop_front_if(|(_, at)| at.is_none()) {
            done = Some(end);
        }
        let over = taken.is_last && taken.is_empty();
        if let Some(end) = done {
            self.consume(id, end)?;
        }
        if over { self.release(id) } else { Ok(()) }
    }

    /// Command: everything of a flow below `end` is done with.
    fn consume(&mut self, id: SocketId, end: u64) -> Result<(), ChannelFault> {
        let Some(slot) = self.sockets.get(&id).map(|socket| socket.slot) else { return Ok(()) };
        let bytes = end.checked_sub(self.channel.rx_consumed(slot)).ok_or(ChannelFault::Stream)?;
        self.channel.rx_consume(slot, bytes)?;
        self.channel.kick(slot)
    }
}
