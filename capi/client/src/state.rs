//! What the library knows about a channel: requests under way, sockets, messages not yet received.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use causeway_channel::{AppChannel, ChannelFault};
use causeway_core::error::{CommandError, EndReason};
use causeway_core::port::{Op, SocketId, SocketInfo, SocketOption, Transport};
use causeway_core::time::Instant;

use crate::error::CallError;
use crate::in_place::Taken;
use crate::ping::Pong;
use crate::polled::Polled;

/// What a command that was sent waits for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) what: Asked,
    pub(crate) answer: Option<Answer>,
}

/// Which command it was, with what its answer does not repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Listen(Transport),
    Connect(Transport, SocketAddr),
    /// A UDP socket, or another peer for one.
    Bind,
    Reconnect,
    /// A connect whose caller gave up: what comes of it is closed.
    Abandoned,
    Ping,
    Info,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Failed(CommandError),
    Listening(SocketId, SocketAddr),
    Connecting(SocketId),
    Bound(SocketId),
    Pong(Pong),
    Info(Box<SocketInfo>),
}

/// A connection or flow.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) transport: Transport,
    pub(crate) slot: u32,
    pub(crate) lane: u32,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) connected: bool,
    pub(crate) peer_closed: bool,
    pub(crate) write_shut: bool,
    /// The application closed it; the daemon has not ended it yet.
    pub(crate) closed: bool,
    pub(crate) ended: Option<EndReason>,
    /// The figures at its end.
    pub(crate) last_info: Option<Box<SocketInfo>>,
    /// Where each message ends that the daemon has not released.
    pub(crate) unreleased: VecDeque<u64>,
    pub(crate) taken: Taken,
}

/// A listener on one lane.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) transport: Transport,
    pub(crate) lane: u32,
    /// Connections that nobody accepted yet (TCP; flows are accepted at once).
    pub(crate) incoming: VecDeque<SocketId>,
}

/// A datagram in the RX ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) remote: SocketAddr,
}

/// What a UDP socket has received. Bounded by the daemon: so many datagrams and no more wait unread.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) datagrams: VecDeque<Arrived>,
    pub(crate) refused: Option<EndReason>,
}

/// What [`crate::Channel::recv`] has to tell, in the order in which it happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival {
    Message { socket: SocketId, offset: u64, len: u32 },
    End { socket: SocketId, reason: EndReason },
}

/// Everything about one channel.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) channel: AppChannel,
    /// Open as long as the channel lives; see [`crate::Attachment`].
    _control: Option<OwnedFd>,
    pub(crate) sleeping: bool,
    pub(crate) followers: usize,
    pub(crate) daemon_gone: bool,
    pub(crate) probed_at: Instant,
    /// A call waits for TX chunks.
    pub(crate) want_pool: bool,
    /// The application has a descriptor to poll.
    pub(crate) polled: Option<Polled>,
    pub(crate) requests: BTreeMap<u64, Request>,
    pub(crate) sockets: BTreeMap<SocketId, Socket>,
    pub(crate) listeners: BTreeMap<SocketId, Listener>,
    pub(crate) arrivals: VecDeque<Arrival>,
    /// Messages that are read where they lie: where each begins in memory, and its flow.
    pub(crate) borrowed: BTreeMap<usize, SocketId>,
    /// Of UDP sockets.
    pub(crate) inboxes: BTreeMap<SocketId, Inbox>,
    next_tag: u64,
    next_message: u64,
    next_lane: u32,
}

impl State {
    pub(crate) fn new(channel: AppChannel, control: Option<OwnedFd>) -> Self {
        Self {
            channel,
            _control: control,
            sleeping: false,
            followers: 0,
            daemon_gone: false,
            probed_at: Instant::ZERO,
            want_pool: false,
            polled: None,
            requests: BTreeMap::new(),
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            arrivals: VecDeque::new(),
            borrowed: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            next_tag: 1,
            next_message: 1,
            next_lane: 0,
        }
    }

    /// Getter: whether this process may use the channel.
    pub(crate) fn check(&self) -> Result<(), CallError> {
        if self.channel.is_forked() { Err(CallError::Forked) } else { Ok(()) }
    }

    /// Command: shows the daemon what was pushed.
    pub(crate) fn flush(&mut self) -> Result<(), CallError> {
        Ok(self.channel.flush()?)
    }

    /// Command: sends a command that will be answered. Returns its tag.
    pub(crate) fn request(
        &mut self,
        lane: u32,
        what: Asked,
        op: &Op,
        slot: Option<u32>,
    ) -> Result<u64, ChannelFault> {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.channel.push_command(lane, tag, op, slot)?;
        self.requests.insert(tag, Request { what, answer: None });
        Ok(tag)
    }

    /// Command: options of what the next listen or connect on `lane` opens. Both are pushed under one lock, so that
    /// no other thread's socket takes them.
    pub(crate) fn stage_options(
        &mut self,
        lane: u32,
        options: &[SocketOption],
    ) -> Result<(), ChannelFault> {
        options.iter().try_for_each(|option| {
            let op = Op::SetOption { socket: None, option: *option };
            self.channel.push_command(lane, 0, &op, None)
        })
    }

    /// Output: the answer to a request, once.
    pub(crate) fn answer(&mut self, tag: u64) -> Option<Answer> {
        let answer = self.requests.get_mut(&tag)?.answer.take()?;
        self.requests.remove(&tag);
        Some(answer)
    }

    /// Command: nobody waits for the answer any more. A connect must still be undone when it comes.
    pub(crate) fn forget(&mut self, tag: u64) {
        if let Some(request) = self.requests.get_mut(&tag) {
            match request.what {
                Asked::Connect(..) | Asked::Bind => request.what = Asked::Abandoned,
                Asked::Listen(_)
                | Asked::Reconnect
                | Asked::Abandoned
                | Asked::Ping
                | Asked::Info => {
                    self.requests.remove(&tag);
                }
            }
        }
    }

    /// Output: a message id, never used before on this channel.
    pub(crate) fn message_id(&mut self) -> u64 {
        let id = self.next_message;
        self.next_message += 1;
        id
    }

    /// Output: the lane for the next active open.
    pub(crate) fn pick_lane(&mut self) -> u32 {
        let lane = self.next_lane;
        self.next_lane = (lane + 1) % self.channel.geometry().lanes();
        lane
    }

    /// Command: the application is done with a socket. Its rings stay until the daemon has ended it too.
    pub(crate) fn close(&mut self, id: SocketId, abort: bool) -> Result<(), ChannelFault> {
        let Some(socket) = self.sockets.get_mut(&id) else { return Ok(()) };
        if socket.ended.is_some() {
            return self.release(id);
        }
        if !std::mem::replace(&mut socket.closed, true) {
            let (lane, slot) = (socket.lane, socket.slot);
            let op = if abort { Op::Abort { socket: id } } else { Op::Close { socket: id } };
            self.channel.push_command(lane, 0, &op, Some(slot))?;
        }
        Ok(())
    }

    /// Command: both sides are done with a socket: its memory is free.
    pub(crate) fn release(&mut self, id: SocketId) -> Result<(), ChannelFault> {
        self.inboxes.remove(&id);
        match self.sockets.remove(&id) {
            Some(socket) => {
                for first in socket.taken.borrowed() {
                    self.borrowed.remove(&first);
                }
                self.channel.stream_release(socket.slot)
            }
            None => Ok(()),
        }
    }

    /// Command: a listener is no longer wanted, nor what arrived on it.
    pub(crate) fn close_listener(&mut self, id: SocketId) -> Result<(), ChannelFault> {
        let Some(listener) = self.listeners.remove(&id) else { return Ok(()) };
        self.channel.push_command(listener.lane, 0, &Op::Close { socket: id }, None)?;
        for socket in listener.incoming {
            self.close(socket, true)?;
        }
        Ok(())
    }

    /// Command: closes everything, before the channel is dropped.
    pub(crate) fn close_all(&mut self) -> Result<(), ChannelFault> {
        while let Some((id, _)) = self.listeners.first_key_value() {
            let id = *id;
            self.close_listener(id)?;
        }
        let sockets: Vec<SocketId> = self.sockets.keys().copied().collect();
        for id in sockets {
            self.close(id, false)?;
        }
        self.channel.flush()
    }
}
