//! What two hosts do and are told, in few words. A socket's handle, its tag and the stack's number for it are one number.

use std::net::SocketAddr;

use causeway_core::error::{CommandError, EndReason};
use causeway_core::port::{ChannelId, Completion, SocketId, StreamId, Transport};
use causeway_core::time::{Duration, Instant};

use crate::model::{Call, Facts, HostFacts, SocketModel, Weather};
use crate::polled::{NetError, Sock};

/// The hosts: a calls, b listens.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;
/// The listener's handle, and that of what comes to it.
pub(super) const LISTENER: u32 = 0;
pub(super) const CHILD: u32 = 1;
/// The caller's.
pub(super) const CALLER: u32 = 0;
/// Bytes of a ring.
pub(super) const RING: usize = 1_000;

pub(super) const LATER: NetError = NetError::WouldBlock;

pub(super) struct Story {
    pub(super) model: SocketModel,
    pub(super) now: Instant,
    pub(super) transport: Transport,
}

const fn sock(number: u32) -> Sock {
    Sock { index: number, generation: 0 }
}

const fn id(number: u32) -> SocketId {
    SocketId { index: number, generation: 0 }
}

const STREAM: StreamId = StreamId { channel: ChannelId { index: 0, generation: 0 }, slot: 0 };

/// Port `port` of a host.
pub(super) fn at(host: usize, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host as u8 + 1], port))
}

impl Story {
    pub(super) fn new() -> Self {
        Self::under(Weather::default())
    }

    pub(super) fn under(weather: Weather) -> Self {
        let host = |host| HostFacts {
            is_seen: true,
            addresses: vec![at(host, 0).ip()],
            ring_bytes: RING as u64,
            streams_max: 3,
            ports: 40_000..=40_001,
            connect_patience: Duration::from_secs(3),
            patience: Duration::from_secs(1),
            linger: Duration::from_secs(20),
        };
        let facts = Facts { hosts: vec![host(A), host(B)], weather };
        let transport = Transport::Tcp;
        Self { model: SocketModel::new(facts), now: Instant::ZERO, transport }
    }

    pub(super) fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    pub(super) fn call(&mut self, host: usize, call: &Call) {
        self.wait(1);
        self.model.called(self.now, host, 0, call);
    }

    pub(super) fn told(&mut self, host: usize, completion: &Completion) {
        self.wait(1);
        self.model.told(self.now, host, 0, completion, None);
        // The program looks, so that it has no news.
        while self.model.violation().is_none() && *self.model.news_of(host, 0) > 0 {
            let all = self.model.ends.iter().filter(|end| end.host == host && end.has_news);
            let Some(result) = all.map(|end| end.sock).next() else { return };
            self.call(host, &Call::TakeReady { result: Some(result) });
        }
    }

    pub(super) fn failed(&mut self, host: usize, number: u32, error: CommandError) {
        self.told(host, &Completion::Failed { tag: number.into(), error });
    }

    pub(super) fn ask_listen(&mut self, number: u32, port: u16, backlog: u32) {
        let (sock, transport, local) = (sock(number), self.transport, at(B, port));
        self.call(B, &Call::Listen { sock, transport, local, backlog });
    }

    pub(super) fn listening(&mut self, number: u32, port: u16) {
        let (tag, socket, local) = (number.into(), id(number), at(B, port));
        self.told(B, &Completion::Listening { tag, socket, local });
    }

    /// Host b listens on port 7.
    pub(super) fn listen(&mut self, backlog: u32) {
        self.ask_listen(LISTENER, 7, backlog);
        self.listening(LISTENER, 7);
    }

    pub(super) fn ask_connect(&mut self, number: u32, port: u16) {
        let (sock, transport, remote) = (sock(number), self.transport, at(B, port));
        self.call(A, &Call::Connect { sock, transport, local: None, remote });
    }

    pub(super) fn connecting(&mut self, number: u32, port: u16) {
        let (tag, socket, local) = (number.into(), id(number), at(A, port));
        self.told(A, &Completion::Connecting { tag, socket, stream: STREAM, local });
    }

    pub(super) fn connected(&mut self, number: u32) {
        self.told(A, &Completion::Connected { socket: id(number) });
    }

    /// Host a connects to port 7 of b from port 40,000 and so many.
    pub(super) fn connect(&mut self, number: u32) {
        self.ask_connect(number, 7);
        self.connecting(number, 40_000 + number as u16);
        self.connected(number);
    }

    pub(super) fn incoming(&mut self, number: u32, port: u16) {
        self.incoming_at(LISTENER, number, port);
    }

    pub(super) fn incoming_at(&mut self, listener: u32, number: u32, port: u16) {
        self.wait(1);
        let (handle, listener, socket) = (listener, id(listener), id(number));
        let (local, remote) = (at(B, 7), at(A, port));
        let told = Completion::Incoming { listener, socket, stream: STREAM, local, remote };
        self.model.told(self.now, B, 0, &told, Some(sock(number)));
        let result = Some(sock(handle));
        self.call(B, &Call::TakeReady { result });
    }

    pub(super) fn accept(&mut self, result: Result<u32, NetError>) {
        let result = result.map(sock);
        self.call(B, &Call::Accept { sock: sock(LISTENER), result });
    }

    /// A connection from a to b.
    pub(super) fn pair(&mut self) {
        self.listen(4);
        self.connect(CALLER);
        self.incoming(CHILD, 40_000);
        self.accept(Ok(CHILD));
    }

    /// The same by messages.
    pub(super) fn flow(&mut self) {
        self.transport = Transport::Machnet;
        self.pair();
    }

    /// A datagram socket on port 9 of a host.
    pub(super) fn bind(&mut self, host: usize, number: u32) {
        let local = at(host, 9);
        self.call(host, &Call::Bind { sock: sock(number), local });
        let (tag, socket) = (number.into(), id(number));
        self.told(host, &Completion::Bound { tag, socket, stream: STREAM, local });
    }

    pub(super) fn send(&mut self, host: usize, number: u32, len: usize, result: usize) {
        self.call(host, &Call::Send { sock: sock(number), len, result: Ok(result) });
    }

    pub(super) fn send_fails(&mut self, host: usize, number: u32, error: NetError) {
        self.call(host, &Call::Send { sock: sock(number), len: 10, result: Err(error) });
    }

    pub(super) fn recv(&mut self, host: usize, number: u32, result: Result<usize, NetError>) {
        self.call(host, &Call::Recv { sock: sock(number), len: RING, result });
    }

    pub(super) fn send_parcel(&mut self, host: usize, number: u32, len: usize, to: u16) {
        let to = (to > 0).then(|| at(1 - host, to));
        self.call(host, &Call::SendParcel { sock: sock(number), len, to, result: Ok(()) });
    }

    pub(super) fn parcel_told(&mut self, host: usize, number: u32) {
        self.told(host, &Completion::Message { socket: id(number), offset: 0, len: 1 });
    }

    pub(super) fn recv_parcel(&mut self, host: usize, number: u32, len: usize, from: u16) {
        let from = (from > 0).then(|| at(1 - host, from));
        self.call(host, &Call::RecvParcel { sock: sock(number), result: Ok((len, from)) });
    }

    pub(super) fn shut(&mut self, host: usize, number: u32) {
        self.call(host, &Call::ShutdownWrite { sock: sock(number), result: Ok(()) });
    }

    pub(super) fn shut_read(&mut self, host: usize, number: u32) {
        self.call(host, &Call::ShutdownRead { sock: sock(number), result: Ok(()) });
    }

    /// `there`: there is such a socket.
    pub(super) fn close(&mut self, host: usize, number: u32, abort: bool, there: bool) {
        let result = if there { Ok(()) } else { Err(NetError::BadSocket) };
        self.call(host, &Call::Close { sock: sock(number), abort, result });
    }

    pub(super) fn take_ready(&mut self, host: usize, number: Option<u32>) {
        self.call(host, &Call::TakeReady { result: number.map(sock) });
    }

    /// News that the program has not looked at.
    pub(super) fn ready(&mut self, host: usize, number: u32) {
        self.wait(1);
        self.model.told(self.now, host, 0, &Completion::Ready { socket: id(number) }, None);
    }

    /// It is over, and the news that come of it come at that moment.
    pub(super) fn ended_with_news(&mut self, host: usize, number: u32, reason: EndReason) {
        self.ready(host, number);
        let ended = Completion::Ended { socket: id(number), reason };
        self.model.told(self.now, host, 0, &ended, None);
    }

    pub(super) fn peer_closed(&mut self, host: usize, number: u32) {
        self.told(host, &Completion::PeerClosed { socket: id(number) });
    }

    pub(super) fn ended(&mut self, host: usize, number: u32, reason: EndReason) {
        self.told(host, &Completion::Ended { socket: id(number), reason });
    }
}
