//! What the daemon reports, sorted into the state.

use std::collections::VecDeque;
use std::net::SocketAddr;

use causeway_channel::ChannelFault;
use causeway_core::error::EndReason;
use causeway_core::port::{Completion, Op, SocketId, StreamId, Transport};

use crate::error::CallError;
use crate::in_place::Taken;
use crate::ping::Pong;
use crate::state::{Answer, Arrival, Arrived, Asked, Inbox, Listener, Socket, State};

impl State {
    /// Input: takes every completion that is there. Returns whether there was any.
    pub(crate) fn pump(&mut self) -> Result<bool, CallError> {
        let mut any = false;
        while let Some((lane, decoded)) = self.channel.pop_completion()? {
            any = true;
            self.handle(lane, decoded.completion)?;
        }
        Ok(any)
    }

    fn handle(&mut self, lane: u32, completion: Completion) -> Result<(), ChannelFault> {
        match completion {
            Completion::Failed { tag, error } => self.answered(tag, Answer::Failed(error)),
            Completion::Listening { tag, socket, local } => {
                return self.listening(lane, tag, socket, local);
            }
            Completion::Connecting { tag, socket, stream, local } => {
                return self.connecting(lane, tag, (socket, stream, local));
            }
            Completion::Incoming { listener, socket, stream, local, remote } => {
                return self.incoming(lane, listener, (socket, stream, local), remote);
            }
            Completion::Connected { socket } => {
                if let Some(socket) = self.sockets.get_mut(&socket) {
                    socket.connected = true;
                }
            }
            // Only wakes: who waits looks at the rings. Urgent data is read in line.
            Completion::Ready { .. } | Completion::Urgent { .. } => {}
            Completion::Message { socket, offset, len } => {
                if self.sockets.get(&socket).is_some_and(|s| !s.closed) {
                    self.arrivals.push_back(Arrival::Message { socket, offset, len });
                }
            }
            Completion::Bound { tag, socket, stream, local } => {
                return self.bound(lane, tag, (socket, stream, local));
            }
            Completion::Datagram { socket, offset, len, remote } => {
                if let Some(inbox) = self.inboxes.get_mut(&socket) {
                    inbox.datagrams.push_back(Arrived { offset, len, remote });
                }
            }
            Completion::DatagramRefused { socket, reason } => {
                if let Some(inbox) = self.inboxes.get_mut(&socket) {
                    inbox.refused = Some(reason);
                }
            }
            Completion::PeerClosed { socket } => {
                if let Some(socket) = self.sockets.get_mut(&socket) {
                    socket.peer_closed = true;
                }
            }
            Completion::LastInfo { socket, info } => {
                if let Some(socket) = self.sockets.get_mut(&socket) {
                    socket.last_info = Some(info);
                }
            }
            Completion::Ended { socket, reason } => return self.ended(socket, reason),
            Completion::EchoReply { tag, sequence, len, rtt, ttl } => {
                self.answered(tag, Answer::Pong(Pong { sequence, len, rtt, ttl }));
            }
            Completion::Info { tag, info } => self.answered(tag, Answer::Info(info)),
        }
        Ok(())
    }

    fn answered(&mut self, tag: u64, answer: Answer) {
        match self.requests.get_mut(&tag) {
            Some(request) if request.what == Asked::Abandoned => {
                self.requests.remove(&tag);
            }
            Some(request) => request.answer = Some(answer),
            // Nobody waits: the command had no tag of interest.
            None => {}
        }
    }

    fn listening(
        &mut self,
        lane: u32,
        tag: u64,
        id: SocketId,
        local: SocketAddr,
    ) -> Result<(), ChannelFault> {
        let Some(Asked::Listen(transport)) = self.requests.get(&tag).map(|r| r.what) else {
            // The caller gave up.
            return self.channel.push_command(lane, 0, &Op::Close { socket: id }, None);
        };
        self.listeners.insert(id, Listener { transport, lane, incoming: VecDeque::new() });
        self.answered(tag, Answer::Listening(id, local));
        Ok(())
    }

    fn connecting(
        &mut self,
        lane: u32,
        tag: u64,
        (id, stream, local): (SocketId, StreamId, SocketAddr),
    ) -> Result<(), ChannelFault> {
        let asked = self.requests.get(&tag).map(|r| r.what);
        let (transport, remote) = match asked {
            Some(Asked::Connect(transport, remote)) => (transport, remote),
            // Given up: it needs its rings only until it is closed.
            _ => (Transport::Tcp, local),
        };
        self.insert(lane, id, stream, transport, (local, remote))?;
        if matches!(asked, Some(Asked::Connect(..))) {
            self.answered(tag, Answer::Connecting(id));
            Ok(())
        } else {
            self.requests.remove(&tag);
            self.close(id, true)
        }
    }

    fn incoming(
        &mut self,
        lane: u32,
        listener: SocketId,
        (id, stream, local): (SocketId, StreamId, SocketAddr),
        remote: SocketAddr,
    ) -> Result<(), ChannelFault> {
        let transport = self.listeners.get(&listener).map(|l| l.transport);
        self.insert(lane, id, stream, transport.unwrap_or(Transport::Tcp), (local, remote))?;
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.connected = true;
        }
        match (transport, self.listeners.get_mut(&listener)) {
            (Some(Transport::Tcp), Some(listener)) => listener.incoming.push_back(id),
            // A flow is the application's at once: its messages come out of `recv`.
            (Some(Transport::Machnet), _) => {
                let op = Op::Accepted { listener, count: 1 };
                self.channel.push_command(lane, 0, &op, None)?;
            }
            // The listener was closed meanwhile.
            (None | Some(Transport::Udp), _) | (Some(Transport::Tcp), None) => {
                self.close(id, true)?;
            }
        }
        Ok(())
    }

    /// A UDP socket was made, or its local end changed.
    fn bound(
        &mut self,
        lane: u32,
        tag: u64,
        (id, stream, local): (SocketId, StreamId, SocketAddr),
    ) -> Result<(), ChannelFault> {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.local = local;
        } else {
            self.insert(lane, id, stream, Transport::Udp, (local, local))?;
            self.inboxes.insert(id, Inbox::default());
        }
        let abandoned = self.requests.get(&tag).is_none_or(|r| r.what == Asked::Abandoned);
        self.answered(tag, Answer::Bound(id));
        if abandoned { self.close(id, true) } else { Ok(()) }
    }

    fn insert(
        &mut self,
        lane: u32,
        id: SocketId,
        stream: StreamId,
        transport: Transport,
        (local, remote): (SocketAddr, SocketAddr),
    ) -> Result<(), ChannelFault> {
        self.channel.stream_attach(stream.slot, id)?;
        let socket = Socket {
            transport,
            slot: stream.slot,
            lane,
            local,
            remote,
            connected: false,
            peer_closed: false,
            write_shut: false,
            closed: false,
            ended: None,
            last_info: None,
            unreleased: VecDeque::new(),
            taken: Taken::default(),
        };
        self.sockets.insert(id, socket);
        Ok(())
    }

    fn ended(&mut self, id: SocketId, reason: EndReason) -> Result<(), ChannelFault> {
        let Some(socket) = self.sockets.get_mut(&id) else { return Ok(()) };
        socket.ended = Some(reason);
        if socket.closed {
            return self.release(id);
        }
        if socket.transport == Transport::Machnet && socket.connected {
            self.arrivals.push_back(Arrival::End { socket: id, reason });
        }
        Ok(())
    }
}
