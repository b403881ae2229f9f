//! The sockets of a polled host's programs.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use causeway_channel::ChannelFault;
use causeway_core::error::{CommandError, EndReason};
use causeway_core::port::{Completion, SocketId, SocketInfo, StreamId, Transport};

/// A program's handle. Not used again after it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sock {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// How far a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The stack has not answered, or the handshake is under way.
    Opening,
    /// A listener listens, a connection is established, a UDP socket is bound.
    Open,
    /// The stack refused to open it.
    Failed(CommandError),
    /// It is over. What was received can still be read.
    Ended(EndReason),
    /// The program's channel is broken, and gone with all that was in it.
    Broken(ChannelFault),
    /// The daemon let go of the program's channel.
    HungUp,
}

/// A message or datagram that lies in the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) from: Option<SocketAddr>,
}

/// What a program and the port know of a socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) app: u32,
    pub(super) transport: Transport,
    pub(super) listener: bool,
    pub(super) id: Option<SocketId>,
    pub(super) stream: Option<u32>,
    pub(super) state: State,
    pub(super) peer_closed: bool,
    pub(super) write_shut: bool,
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    /// A listener's connections that were not accepted.
    pub(super) waiting: VecDeque<Sock>,
    pub(super) parcels: VecDeque<Parcel>,
    pub(super) info: Option<Box<SocketInfo>>,
    /// It is in the queue of those with news.
    ready: bool,
}

impl Socket {
    pub(super) const fn new(app: u32, transport: Transport, listener: bool) -> Self {
        Self {
            app,
            transport,
            listener,
            id: None,
            stream: None,
            state: State::Opening,
            peer_closed: false,
            write_shut: false,
            local: None,
            remote: None,
            waiting: VecDeque::new(),
            parcels: VecDeque::new(),
            info: None,
            ready: false,
        }
    }

    /// Getter: it is a stream of bytes.
    pub(super) fn is_stream(&self) -> bool {
        self.transport == Transport::Tcp && !self.listener
    }

    /// Getter: it has messages or datagrams.
    pub(super) fn has_parcels(&self) -> bool {
        self.transport != Transport::Tcp && !self.listener
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    socket: Option<Socket>,
}

/// Every socket of a host, found by handle, by the stack's id and by its rings.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By the stack's id. It may have given an index again before one program hears of the old id's end, and another of the new one.
    by_id: BTreeMap<SocketId, Sock>,
    /// By the slot of the rings.
    by_stream: Vec<Option<Sock>>,
    /// Of each program: sockets with news.
    ready: Vec<VecDeque<Sock>>,
    /// Programs with news.
    pub(super) programs_ready: Vec<u32>,
    /// Connections that the stack opened for listeners that were closed meanwhile, to be closed too.
    pub(super) unwanted: Vec<(u32, SocketId, StreamId)>,
}

fn place<T>(list: &mut Vec<Option<T>>, index: u32, value: T) {
    let index = index as usize;
    if list.len() <= index {
        list.resize_with(index + 1, || None);
    }
    list[index] = Some(value);
}

impl Table {
    pub(super) fn add_program(&mut self) {
        self.ready.push(VecDeque::new());
    }

    pub(super) fn get(&self, sock: Sock) -> Option<&Socket> {
        let slot = self.slots.get(sock.index as usize)?;
        slot.socket.as_ref().filter(|_| slot.generation == sock.generation)
    }

    pub(super) fn get_mut(&mut self, sock: Sock) -> Option<&mut Socket> {
        let slot = self.slots.get_mut(sock.index as usize)?;
        slot.socket.as_mut().filter(|_| slot.generation == sock.generation)
    }

    pub(super) fn insert(&mut self, socket: Socket) -> Sock {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.socket = Some(socket);
        Sock { index, generation: slot.generation }
    }

    /// Command: the handle means nothing any more; the socket that it meant.
    pub(super) fn remove(&mut self, sock: Sock) -> Option<Socket> {
        self.get(sock)?;
        let slot = &mut self.slots[sock.index as usize];
        slot.generation += 1;
        let socket = slot.socket.take();
        self.free.push(sock.index);
        if let Some(Socket { id, stream, .. }) = &socket {
            if let Some(id) = id {
                self.by_id.remove(id);
            }
            if let Some(stream) = stream {
                self.by_stream[*stream as usize].take_if(|owner| *owner == sock);
            }
        }
        socket
    }

    /// Command: every socket of a program goes.
    pub(super) fn forget_program(&mut self, app: u32) {
        for index in 0..self.slots.len() as u32 {
            let Slot { generation, socket } = &self.slots[index as usize];
            if socket.as_ref().is_some_and(|socket| socket.app == app) {
                self.remove(Sock { index, generation: *generation });
            }
        }
        self.ready[app as usize].clear();
    }

    /// Command: a program's channel is gone, and with it what its sockets were: `state` says how. The program is told.
    pub(super) fn cut_program(&mut self, app: u32, state: State) {
        for index in 0..self.slots.len() as u32 {
            let Slot { generation, socket } = &mut self.slots[index as usize];
            let sock = Sock { index, generation: *generation };
            let Some(socket) = socket.as_mut().filter(|socket| socket.app == app) else { continue };
            let id = socket.id.take();
            (socket.stream, socket.state) = (None, state);
            socket.parcels.clear();
            if let Some(id) = id {
                self.by_id.remove(&id);
            }
            self.tell(sock);
        }
        self.tell_program(app);
    }

    /// Command: a program has something to do that is news of no socket.
    pub(super) fn tell_program(&mut self, app: u32) {
        if self.ready[app as usize].is_empty() && !self.programs_ready.contains(&app) {
            self.programs_ready.push(app);
        }
    }

    /// Getter: the handles of a program.
    pub(super) fn of_program(&self, app: u32) -> impl Iterator<Item = Sock> {
        let slots = self.slots.iter().zip(0..);
        let is_its = move |slot: &Slot| slot.socket.as_ref().is_some_and(|s| s.app == app);
        let sock = |(slot, index): (&Slot, u32)| Sock { index, generation: slot.generation };
        slots.filter(move |(slot, _)| is_its(slot)).map(sock)
    }

    pub(super) fn owner_of_stream(&self, slot: u32) -> Option<u32> {
        let sock = (*self.by_stream.get(slot as usize)?)?;
        self.get(sock).map(|socket| socket.app)
    }

    /// Getter: every socket, in the order of their places.
    pub(super) fn all(&self) -> impl Iterator<Item = &Socket> {
        self.slots.iter().filter_map(|slot| slot.socket.as_ref())
    }

    /// Getter: how many sockets there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Output: the next socket of a program with news.
    pub(super) fn take_ready(&mut self, app: u32) -> Option<Sock> {
        while let Some(sock) = self.ready[app as usize].pop_front() {
            if let Some(socket) = self.get_mut(sock) {
                socket.ready = false;
                return Some(sock);
            }
        }
        None
    }

    fn tell(&mut self, sock: Sock) {
        let Some(socket) = self.get_mut(sock) else { return };
        let app = socket.app;
        if !std::mem::replace(&mut socket.ready, true) {
            let queue = &mut self.ready[app as usize];
            queue.push_back(sock);
            if queue.len() == 1 {
                self.programs_ready.push(app);
            }
        }
    }

    fn by_id(&self, id: SocketId) -> Option<Sock> {
        self.by_id.get(&id).copied()
    }

    /// Connects a handle to the stack's socket. False where the program has closed it meanwhile.
    fn bind(&mut self, tag: u64, id: SocketId, stream: Option<StreamId>) -> Option<&mut Socket> {
        let sock = Sock { index: tag as u32, generation: (tag >> 32) as u32 };
        self.get(sock)?;
        self.by_id.insert(id, sock);
        if let Some(stream) = stream {
            place(&mut self.by_stream, stream.slot, sock);
        }
        let socket = self.get_mut(sock)?;
        socket.id = Some(id);
        socket.stream = stream.map(|stream| stream.slot);
        Some(socket)
    }

    /// Input: an answer or news from the stack. Returns the handle of what came to a listener.
    pub(super) fn complete(&mut self, app: u32, completion: Completion) -> Option<Sock> {
        let mut child = None;
        let sock = match completion {
            Completion::Failed { tag, error } => self.failed(tag, error),
            Completion::Listening { tag, socket, local } => {
                self.opened(app, tag, (socket, None), local, State::Open)
            }
            Completion::Connecting { tag, socket, stream, local } => {
                self.opened(app, tag, (socket, Some(stream)), local, State::Opening)
            }
            Completion::Bound { tag, socket, stream, local } => {
                self.opened(app, tag, (socket, Some(stream)), local, State::Open)
            }
            Completion::Incoming { listener, socket, stream, local, remote } => {
                let (at, taken) =
                    self.incoming(app, listener, (socket, stream), (local, remote)).unzip();
                child = taken;
                at
            }
            Completion::Connected { socket } => self.note(socket, |s| s.state = State::Open),
            Completion::Ready { socket } => self.note(socket, |_| ()),
            Completion::Message { socket, offset, len } => self.note(socket, |s| {
                s.parcels.push_back(Parcel { offset, len, from: None });
            }),
            Completion::Datagram { socket, offset, len, remote } => self.note(socket, |s| {
                s.parcels.push_back(Parcel { offset, len, from: Some(remote) });
            }),
            Completion::PeerClosed { socket } => self.note(socket, |s| s.peer_closed = true),
            Completion::LastInfo { socket, info } => self.note(socket, |s| s.info = Some(info)),
            Completion::Ended { socket, reason } => self.ended(socket, reason),
            Completion::Info { tag, info } => {
                let sock = Sock { index: tag as u32, generation: (tag >> 32) as u32 };
                if let Some(socket) = self.get_mut(sock) {
                    socket.info = Some(info);
                }
                Some(sock)
            }
            Completion::DatagramRefused { socket, .. } | Completion::Urgent { socket, .. } => {
                self.note(socket, |_| ())
            }
            Completion::EchoReply { .. } => None,
        };
        if let Some(sock) = sock {
            self.tell(sock);
        }
        child
    }

    fn note(&mut self, id: SocketId, change: impl FnOnce(&mut Socket)) -> Option<Sock> {
        let sock = self.by_id(id)?;
        change(self.get_mut(sock)?);
        Some(sock)
    }

    fn failed(&mut self, tag: u64, error: CommandError) -> Option<Sock> {
        let sock = Sock { index: tag as u32, generation: (tag >> 32) as u32 };
        let socket = self.get_mut(sock)?;
        // A command to a socket that has just ended is refused: its end is what counts.
        if socket.id.is_none() && socket.state == State::Opening {
            socket.state = State::Failed(error);
        }
        Some(sock)
    }

    fn opened(
        &mut self,
        app: u32,
        tag: u64,
        (id, stream): (SocketId, Option<StreamId>),
        local: SocketAddr,
        state: State,
    ) -> Option<Sock> {
        match self.bind(tag, id, stream) {
            Some(socket) => {
                socket.local = Some(local);
                socket.state = state;
                self.by_id(id)
            }
            None => {
                let none = StreamId { channel: super::NO_CHANNEL, slot: u32::MAX };
                self.unwanted.push((app, id, stream.unwrap_or(none)));
                None
            }
        }
    }

    fn incoming(
        &mut self,
        app: u32,
        listener: SocketId,
        (id, stream): (SocketId, StreamId),
        (local, remote): (SocketAddr, SocketAddr),
    ) -> Option<(Sock, Sock)> {
        let Some(at) = self.by_id(listener) else {
            self.unwanted.push((app, id, stream));
            return None;
        };
        let transport = self.get(at)?.transport;
        let mut socket = Socket::new(app, transport, false);
        socket.state = State::Open;
        socket.local = Some(local);
        socket.remote = Some(remote);
        let sock = self.insert(socket);
        let tag = u64::from(sock.generation) << 32 | u64::from(sock.index);
        self.bind(tag, id, Some(stream));
        self.get_mut(at)?.waiting.push_back(sock);
        Some((at, sock))
    }

    fn ended(&mut self, id: SocketId, reason: EndReason) -> Option<Sock> {
        let sock = self.note(id, |socket| {
            socket.state = State::Ended(reason);
            socket.id = None;
        })?;
        self.by_id.remove(&id);
        Some(sock)
    }
}
