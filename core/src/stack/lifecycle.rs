//! After something happened to a socket: tell its application, set its timer, queue it for transmission, or
//! forget it.

use super::composition::Stack;
use super::no_stream::rings;
use super::sock::{Kind, Socket};
use crate::error::EndReason;
use crate::event::{Event, RetransmitCause};
use crate::machnet::FlowEvent;
use crate::planted::{self, Bug};
use crate::port::{AppPort, Completion, SocketId, Transport};
use crate::tcp::{Connection, ConnectionEvent, State};
use crate::time::Instant;
use crate::wheel::TimerWheel;

/// What a connection or flow has to tell, in the socket layer's words.
#[derive(Clone, Copy, Debug)]
enum News {
    Established,
    Ready,
    PeerClosed,
    Urgent { offset: u64, byte: Option<u8> },
    Message { offset: u64, len: u32 },
    Congestion,
    Retransmit { seq: u32, len: u32, cause: RetransmitCause },
    Ended(EndReason),
}

impl Kind {
    fn poll_news(&mut self) -> Option<News> {
        match self {
            Self::Udp(_) => None,
            Self::Listener(_) => None,
            Self::Tcp { connection, .. } => Some(match connection.poll_event()? {
                ConnectionEvent::Established => News::Established,
                ConnectionEvent::Readable | ConnectionEvent::Writable => News::Ready,
                ConnectionEvent::PeerClosed => News::PeerClosed,
                ConnectionEvent::Urgent { offset, byte } => News::Urgent { offset, byte },
                ConnectionEvent::CongestionChanged => News::Congestion,
                ConnectionEvent::Retransmit { seq, len, cause } => {
                    News::Retransmit { seq: seq.0, len, cause }
                }
                ConnectionEvent::Ended(reason) => News::Ended(reason),
            }),
            Self::Machnet { flow, .. } => Some(match flow.poll_event()? {
                FlowEvent::Established => News::Established,
                FlowEvent::Message { offset, len } => News::Message { offset, len },
                FlowEvent::Writable => News::Ready,
                FlowEvent::Retransmit { seqno, len, cause } => {
                    News::Retransmit { seq: seqno, len: u32::from(len), cause }
                }
                FlowEvent::Ended(reason) => News::Ended(reason),
            }),
        }
    }

    /// The earliest deadline of the machine.
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Udp(_) => None,
            Self::Listener(_) => None,
            Self::Tcp { connection, .. } => connection.poll_timeout().map(|(at, _)| at),
            Self::Machnet { flow, .. } => flow.poll_timeout().map(|(at, _)| at),
        }
    }

    /// True when the machine is over and owes the peer nothing: the slot may be forgotten.
    fn is_finished(&self) -> bool {
        match self {
            Self::Udp(udp) => udp.is_finished(),
            Self::Listener(_) => false,
            Self::Tcp { connection, .. } => connection.is_finished(),
            Self::Machnet { flow, .. } => flow.is_finished(),
        }
    }

    /// True when there may be something to send. Of TCP only its `poll_transmit` can tell.
    fn may_send(&self) -> bool {
        match self {
            Self::Udp(udp) => udp.next_to_send().is_some(),
            Self::Listener(_) => false,
            Self::Tcp { connection, .. } => !connection.is_finished(),
            Self::Machnet { flow, .. } => flow.has_output(),
        }
    }
}

impl Socket {
    /// The connection's state, for events; `None` for anything but TCP.
    pub(super) fn tcp_state(&self) -> Option<State> {
        match &self.kind {
            Kind::Tcp { connection, .. } => Some(connection.state()),
            Kind::Listener(_) | Kind::Udp(_) | Kind::Machnet { .. } => None,
        }
    }

    /// Getter: where what the peer has acknowledged ends, and what was sent; `None` for what is not acknowledged.
    pub(super) fn progress(&self) -> Option<(u32, u32)> {
        match &self.kind {
            Kind::Tcp { connection, .. } => Some(connection.progress()),
            Kind::Machnet { flow, .. } => Some(flow.progress()),
            Kind::Listener(_) | Kind::Udp(_) => None,
        }
    }

    pub(super) const fn transport(&self) -> Transport {
        match &self.kind {
            Kind::Tcp { .. } => Transport::Tcp,
            Kind::Machnet { .. } => Transport::Machnet,
            Kind::Udp(_) => Transport::Udp,
            Kind::Listener(listener) => listener.transport,
        }
    }
}

impl Stack {
    /// To be called after every input to socket `id`. `before` is its TCP state before that.
    pub(super) fn settle<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        before: Option<State>,
        port: &mut P,
    ) {
        if self.settle_calm(id, before, None, port) {
            return;
        }
        self.report(now, id, before, port);
        let Some(socket) = self.sockets.get(id) else { return };
        if socket.kind.may_send() {
            self.ready[socket.interface.index()].push(id.index);
        }
        self.rearm_or_forget(now, id, port);
    }

    /// To be called after socket `id` had its turn to send. `more`: it could have gone on.
    pub(super) fn settle_transmitted<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        before: Option<State>,
        more: bool,
        port: &mut P,
    ) {
        if self.settle_calm(id, before, Some(more), port) {
            return;
        }
        self.report(now, id, before, port);
        if more && let Some(socket) = self.sockets.get(id) {
            self.ready[socket.interface.index()].push(id.index);
        }
        self.rearm_or_forget(now, id, port);
    }

    /// Settles a connection whose state is as before and that has nothing to tell but readiness: nearly all. `more` says
    /// whether it has more to send; `None`: ask it. False: nothing was done.
    fn settle_calm<P: AppPort>(
        &mut self,
        id: SocketId,
        before: Option<State>,
        more: Option<bool>,
        port: &mut P,
    ) -> bool {
        let log_congestion = self.events.is_on();
        let Some(socket) = self.sockets.get_mut(id) else { return false };
        let Kind::Tcp { connection, .. } = &mut socket.kind else { return false };
        if connection.state() != State::Established || before != Some(State::Established) {
            return false;
        }
        if connection.takes_memory_news() && !socket.ended {
            let io = rings(port, socket.stream.of(socket.channel));
            connection.settle_memory(&mut self.receive_memory, &io);
        }
        let Some(ready) = connection.take_readiness(log_congestion) else { return false };
        if ready && socket.announced {
            port.complete(socket.channel, Completion::Ready { socket: id });
        }
        if more
            .unwrap_or_else(|| !connection.is_quiet(&rings(port, socket.stream.of(socket.channel))))
        {
            self.ready[socket.interface.index()].push(id.index);
        }
        arm(&mut self.wheel, id, connection);
        true
    }

    fn report<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        before: Option<State>,
        port: &mut P,
    ) {
        self.settle_receive_memory(id, port);
        while let Some(news) = self.sockets.get_mut(id).and_then(|socket| socket.kind.poll_news()) {
            self.tell(now, id, news, port);
        }
        let Some(socket) = self.sockets.get(id) else { return };
        let after = socket.tcp_state();
        if let (Some(from), Some(to)) = (before, after)
            && from != to
        {
            self.events.push(now, Event::TcpState { socket: id, from, to });
            if to == State::TimeWait {
                self.enter_time_wait(now, id, port);
            }
        }
    }

    /// Passes one piece of news to the application and the event log.
    fn tell<P: AppPort>(&mut self, now: Instant, id: SocketId, news: News, port: &mut P) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let channel = socket.channel;
        let announced = socket.announced;
        match news {
            News::Established => {
                if !self.settle_fast_open(now, id, None) {
                    self.announce(now, id, port);
                }
            }
            News::Ready if announced => port.complete(channel, Completion::Ready { socket: id }),
            News::PeerClosed if announced => {
                port.complete(channel, Completion::PeerClosed { socket: id });
            }
            News::Message { offset, len } if announced => {
                port.complete(channel, Completion::Message { socket: id, offset, len });
            }
            News::Urgent { offset, byte } if announced => {
                port.complete(channel, Completion::Urgent { socket: id, offset, byte });
            }
            // Nobody knows of a half-open connection yet.
            News::Ready | News::PeerClosed | News::Message { .. } | News::Urgent { .. } => {}
            News::Congestion => self.log_congestion(now, id),
            News::Retransmit { seq, len, cause } => {
                self.stats.retransmits += 1;
                self.events.push(now, Event::Retransmit { socket: id, seq, len, cause });
            }
            News::Ended(reason) => self.end(now, id, reason, port),
        }
    }

    fn log_congestion(&mut self, now: Instant, id: SocketId) {
        if !self.events.is_on() {
            return;
        }
        let Some(Kind::Tcp { connection, .. }) = self.sockets.get(id).map(|socket| &socket.kind)
        else {
            return;
        };
        let info = connection.info();
        let event = Event::Congestion {
            socket: id,
            cwnd_bytes: info.cwnd_bytes,
            ssthresh_bytes: info.ssthresh_bytes,
            flight_bytes: connection.flight_bytes(),
            srtt: info.srtt,
        };
        self.events.push(now, event);
    }

    /// The handshake is over: the application learns of the connection, or that its own has succeeded.
    pub(super) fn announce<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        // Of one whose listener is gone nobody is told anything.
        socket.announced |= socket.listener.get().is_none();
        let channel = socket.channel;
        let (local, remote) = (socket.tuple.local.into(), socket.tuple.remote.into());
        let (listener, stream) = (socket.listener.get(), socket.stream.of(socket.channel));
        let Some(listener_id) = listener else {
            port.complete(channel, Completion::Connected { socket: id });
            return;
        };
        let listener = self.listener_mut(listener_id);
        match (listener, stream) {
            (Some(listener), Some(stream)) => {
                listener.hand_over();
                let incoming = Completion::Incoming {
                    listener: listener_id,
                    socket: id,
                    stream,
                    local,
                    remote,
                };
                if let Some(socket) = self.sockets.get_mut(id) {
                    socket.announced = true;
                }
                port.complete(channel, incoming);
            }
            // The listener was closed while the handshake was under way: nobody will ever accept it.
            (_, _) => self.abort(now, id, port),
        }
    }

    /// The connection or flow is over: tells the application once and gives its rings back.
    pub(super) fn end<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        reason: EndReason,
        port: &mut P,
    ) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        if core::mem::replace(&mut socket.ended, true) {
            return;
        }
        self.settle_fast_open(now, id, Some(reason));
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let known = socket.announced || socket.listener.get().is_none();
        let told = known && !planted::is(Bug::FiguresForgotten);
        if told && let Some(info) = socket.tcp_info(now, true, port) {
            port.complete(socket.channel, Completion::LastInfo { socket: id, info });
        }
        if let Kind::Tcp { connection, .. } = &socket.kind {
            connection.release_memory(&mut self.receive_memory);
        }
        let (channel, stream) =
            (socket.channel, core::mem::take(&mut socket.stream).of(socket.channel));
        self.events.push(now, Event::Ended { socket: id, reason });
        if known {
            port.complete(channel, Completion::Ended { socket: id, reason });
        }
        if let Some(stream) = stream {
            port.stream_close(stream);
        }
    }

    /// Old connections in TIME-WAIT make room for new ones (configured limit).
    fn enter_time_wait<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        self.time_wait.push_back(id);
        // All wait equally long, so those that have left stand in front, nearly always.
        while let Some(&oldest) = self.time_wait.front() {
            let waits =
                self.sockets.get(oldest).and_then(Socket::tcp_state) == Some(State::TimeWait);
            if waits && self.time_wait.len() <= self.config.time_wait_max() as usize {
                return;
            }
            self.time_wait.pop_front();
            if waits {
                self.forget(now, oldest, port);
            }
        }
    }

    /// Sees to it that the wheel has the socket's earliest deadline or an earlier one, or ends its slot. Deadlines move on
    /// with nearly every segment; the entry does so when it expires.
    fn rearm_or_forget<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        let Some(socket) = self.sockets.get(id) else { return };
        if socket.kind.is_finished() {
            self.forget(now, id, port);
            return;
        }
        if let Some(at) = socket.kind.deadline() {
            self.wheel.schedule_no_later(id.index, at);
        }
    }

    /// Takes the socket out of every table. Its application has been told.
    pub(super) fn forget<P: AppPort>(&mut self, now: Instant, id: SocketId, port: &mut P) {
        self.end(now, id, EndReason::Closed, port);
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let parent = if socket.announced { None } else { socket.listener.get() };
        if let Some(listener) = parent.and_then(|parent| self.listener_mut(parent)) {
            listener.give_up();
        }
        self.channels.unlink(&mut self.sockets, id);
        let Some(socket) = self.sockets.remove(id) else { return };
        self.stats.sockets_closed += 1;
        self.wheel.cancel(id.index);
        self.unbind(id, &socket);
    }
}

/// Sees to it that the wheel has the earliest deadline of `connection`, or an earlier one.
#[inline]
pub(super) fn arm(wheel: &mut TimerWheel, id: SocketId, connection: &Connection) {
    let at = connection.deadline();
    if at != Instant::MAX {
        wheel.schedule_no_later(id.index, at);
    }
}
