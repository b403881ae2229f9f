//! Who is connected, and what becomes of them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TrySendError};

use causeway_channel::Doorbells;
use causeway_channel::handshake::{self, PACKET_BYTES_MAX, PeerCredentials, Refusal};
use causeway_core::port::ChannelId;
use causeway_core::time::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::inquirers::Inquirer;
use super::socket::ListeningSocket;
use crate::attach::{Attach, AttachError, Granted};
use crate::introspect::{Answer, QUESTION_BYTES_MAX, Way, is_question};
use crate::links::{EngineHandle, Order, Waker, clock};
use crate::port::{Eviction, Peer};
use crate::tenants::Tenants;

/// Connections that have not said hello yet.
pub(super) const HALF_OPEN_MAX: usize = 64;
/// How long they may take to say it.
const HELLO_WITHIN: Duration = Duration::from_secs(2);
/// When accepting failed for want of descriptors or memory, it is tried again after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The thread that serves the control socket.
#[derive(Debug)]
pub struct ControlServer {
    socket: ListeningSocket,
    attach: Attach,
    tenants: Tenants,
    pub(super) engines: Vec<EngineHandle>,
    evictions: Receiver<Eviction>,
    pub(super) answers: Receiver<(u64, Answer)>,
    pub(super) answers_way: Way,
    /// Connections that have asked something, since the start.
    pub(super) inquirers: u64,
    wake: Waker,
    stop: Arc<AtomicBool>,
    pub(super) connections: Vec<Connection>,
    accept_from: Instant,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) fd: OwnedFd,
    pub(super) peer: Peer,
    /// Its user belongs to a tenant.
    pub(super) served: bool,
    /// Readable once the process that connected has ended. A child that it forked keeps `fd` open, but cannot use the
    /// channel: its memory is the parent's alone.
    process: Option<OwnedFd>,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is to say hello before this.
    HalfOpen(Instant),
    /// Its hang-up, or the end of its process, is the end of this channel.
    Attached(ChannelId),
    /// It asks questions.
    Asking(Inquirer),
    /// To be closed.
    Over,
}

impl State {
    /// When it is over unless something is said.
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::HalfOpen(deadline) => Some(deadline),
            Self::Asking(Inquirer { asked: false, until, .. }) => Some(until),
            Self::Asking(_) | Self::Attached(_) | Self::Over => None,
        }
    }
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// Nothing.
    None,
    /// It says something, or hung up.
    Said,
    /// Its process has ended.
    Died,
}

impl ControlServer {
    /// A server on `socket` that hands what `attach` grants to `tenants` to `engines`, one lane each. It runs until `stop` is
    /// set and `wake` rung.
    pub fn new(
        socket: ListeningSocket,
        attach: Attach,
        tenants: Tenants,
        engines: Vec<EngineHandle>,
        evictions: Receiver<Eviction>,
        wake: Waker,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let accept_from = Instant::ZERO;
        let (answers_way, answers) = Way::new(wake.clone());
        let connections = Vec::new();
        Self {
            socket,
            attach,
            tenants,
            engines,
            evictions,
            answers,
            answers_way,
            inquirers: 0,
            wake,
            stop,
            connections,
            accept_from,
        }
    }

    /// Command: serves until it is stopped.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if let Err(cause) = self.turn() {
                // poll(2) itself failed: without it nothing can be served.
                tracing::error!(%cause, "the control socket cannot be watched");
                return;
            }
        }
        for connection in &self.connections {
            if matches!(connection.state, State::HalfOpen(_)) {
                let _ = handshake::send_refusal(connection.fd.as_fd(), Refusal::ShuttingDown);
            }
        }
    }

    /// Waits for something and deals with it.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        let now = clock::now();
        let accepting = self.may_accept(now);
        let ready = self.wait(now, accepting)?;
        self.wake.drain();
        let now = clock::now();
        for (place, news) in ready.into_iter().enumerate() {
            match news {
                News::None => {}
                News::Said => self.hear(place),
                News::Died => self.part(place),
            }
        }
        self.pass_answers_on(now);
        while let Ok(eviction) = self.evictions.try_recv() {
            self.hang_up(eviction);
        }
        for connection in &mut self.connections {
            if connection.state.deadline().is_some_and(|deadline| deadline <= now) {
                tracing::debug!(pid = connection.peer.pid, "said nothing in time");
                connection.state = State::Over;
            }
        }
        if accepting {
            self.accept(now);
        }
        self.connections.retain(|connection| connection.state != State::Over);
        Ok(())
    }

    fn may_accept(&self, now: Instant) -> bool {
        now >= self.accept_from
    }

    /// The one that has said nothing for longest makes room: who means it says hello at once.
    fn make_room(&mut self) {
        let half_open = |c: &&mut Connection| matches!(c.state, State::HalfOpen(_));
        let waiting = self.connections.iter_mut().filter(half_open);
        let mut waiting: Vec<&mut Connection> = waiting.collect();
        if waiting.len() >= HALF_OPEN_MAX
            // They are in the order of their arrival.
            && let Some(oldest) = waiting.first_mut()
        {
            oldest.state = State::Over;
        }
    }

    /// Returns what is new of each connection.
    fn wait(&self, now: Instant, accepting: bool) -> io::Result<Vec<News>> {
        let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(2 * self.connections.len() + 2);
        for Connection { fd, process, .. } in &self.connections {
            // Two of each; the socket twice where there is no process to be watched.
            fds.push(watched(fd.as_fd()));
            fds.push(watched(process.as_ref().unwrap_or(fd).as_fd()));
        }
        fds.push(watched(self.wake.as_fd()));
        if accepting {
            fds.push(watched(self.socket.as_fd()));
        }
        let deadlines = self.connections.iter().filter_map(|c| c.state.deadline());
        let retry = (self.accept_from > now).then_some(self.accept_from);
        let until = deadlines.chain(retry).min();
        let timeout = until.map(|until| clock::span_until(now, until));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let news = self.connections.iter().zip(fds.chunks(2)).map(|(connection, fds)| {
            let [said, died] =
                [0, 1].map(|at| fds.get(at).is_some_and(|fd| !fd.revents().is_empty()));
            match connection.process {
                Some(_) if died => News::Died,
                Some(_) | None if said => News::Said,
                Some(_) | None => News::None,
            }
        });
        Ok(news.collect())
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..HALF_OPEN_MAX {
            if !self.may_accept(now) {
                return;
            }
            match self.socket.accept() {
                Ok(Some(fd)) => match peer_of(&fd, &self.tenants) {
                    Ok((peer, process, served)) => {
                        self.make_room();
                        let state = State::HalfOpen(now + HELLO_WITHIN);
                        self.connections.push(Connection { fd, peer, served, process, state });
                    }
                    Err(cause) => tracing::warn!(%cause, "a peer without credentials"),
                },
                Ok(None) => return,
                Err(cause) => {
                    tracing::warn!(%cause, "cannot accept an application");
                    self.accept_from = now + ACCEPT_RETRY;
                }
            }
        }
    }

    /// Something arrived on a connection: its hello, or its end.
    fn hear(&mut self, place: usize) {
        let Some(connection) = self.connections.get(place) else { return };
        // Longer than the longest: what is cut says nothing.
        let mut bytes = [0; if PACKET_BYTES_MAX > QUESTION_BYTES_MAX {
            PACKET_BYTES_MAX
        } else {
            QUESTION_BYTES_MAX
        }];
        let received = rustix::net::recv(&connection.fd, &mut bytes[..], RecvFlags::DONTWAIT);
        let len = match received {
            Ok((len, _)) => len,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => 0,
        };
        let state = match connection.state {
            State::HalfOpen(_) if is_question(&bytes[..len]) => {
                self.admit(clock::now(), place, &bytes[..len])
            }
            State::Asking(inquirer) if len > 0 => self.inquire(place, inquirer, &bytes[..len]),
            State::HalfOpen(_) if len > 0 => self.greet(place, &bytes[..len]),
            // After the handshake nothing is said here; who says something is not understood.
            State::HalfOpen(_) | State::Asking(_) | State::Attached(_) | State::Over => {
                return self.part(place);
            }
        };
        self.connections[place].state = state;
    }

    /// A connection is at its end, and with it its channel.
    fn part(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        let (state, peer) = (connection.state, connection.peer);
        connection.state = State::Over;
        if let State::Attached(channel) = state {
            tracing::info!(channel = channel.index, pid = peer.pid, uid = peer.uid, "detached");
            self.tell_engines(channel);
        }
    }

    /// Answers a hello.
    fn greet(&self, place: usize, hello: &[u8]) -> State {
        let Connection { fd, peer, served, .. } = &self.connections[place];
        let made = match served {
            true => self.attach.grant(*peer, hello, |_, lanes| Doorbells::os(lanes)),
            false => Err(AttachError::Refused(Refusal::Denied)),
        };
        let Peer { pid, uid, gid, tenant } = *peer;
        match made.and_then(|granted| self.hand_over(fd, granted)) {
            Ok(channel) => {
                let tenant = self.tenants.name(tenant);
                tracing::info!(channel = channel.index, pid, uid, gid, tenant, "attached");
                State::Attached(channel)
            }
            Err(cause) => {
                let tenant = self.tenants.name(tenant).filter(|_| *served);
                tracing::warn!(pid, uid, gid, tenant, %cause, "an application was refused");
                if let Some(reply) = cause.reply() {
                    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                    // Who does not wait for the answer does not get it.
                    let _ = rustix::net::send(fd, &reply, flags);
                }
                State::Over
            }
        }
    }

    /// The lanes to the engines first: when the application knows of the channel, it is served.
    fn hand_over(&self, fd: &OwnedFd, granted: Granted) -> Result<ChannelId, AttachError> {
        let channel = granted.id();
        let Granted { parts, grant, .. } = granted;
        for (engine, part) in self.engines.iter().zip(parts) {
            match engine.orders.try_send(Order::Attach(Box::new(part))) {
                Ok(()) => engine.wake.wake(),
                Err(TrySendError::Full(_)) => {
                    self.tell_engines(channel);
                    return Err(AttachError::Refused(Refusal::LimitReached));
                }
                Err(TrySendError::Disconnected(_)) => {
                    return Err(AttachError::Refused(Refusal::ShuttingDown));
                }
            }
        }
        if let Err(cause) = handshake::send_grant(fd.as_fd(), &grant) {
            self.tell_engines(channel);
            return Err(AttachError::System(io::Error::other(cause)));
        }
        Ok(channel)
    }

    /// A detachment must not be lost, so this waits for room in the queue, which the engine empties in each step.
    fn tell_engines(&self, channel: ChannelId) {
        for engine in &self.engines {
            // It fails when the engine is gone only, and its channels with it.
            let _ = engine.orders.send(Order::Detach(channel));
            engine.wake.wake();
        }
    }

    /// An engine put a channel out. Its other lanes follow, and its owner loses the connection.
    fn hang_up(&mut self, eviction: Eviction) {
        let Eviction { channel, poison } = eviction;
        let attached = State::Attached(channel);
        for connection in self.connections.iter_mut().filter(|c| c.state == attached) {
            connection.state = State::Over;
            let Peer { pid, uid, .. } = connection.peer;
            tracing::warn!(channel = channel.index, pid, uid, cause = %poison, "put out");
        }
        self.tell_engines(channel);
    }
}

/// The process at the other end, as the kernel knew it at connect, what tells its end, and whether it is served.
fn peer_of(fd: &OwnedFd, tenants: &Tenants) -> io::Result<(Peer, Option<OwnedFd>, bool)> {
    let credentials = handshake::peer_credentials(fd.as_fd())?;
    let process = handshake::peer_process(fd.as_fd(), &credentials)?;
    let PeerCredentials { pid, uid, gid } = credentials;
    let tenant = tenants.find(uid, gid, || handshake::peer_groups(fd.as_fd()))?;
    Ok((Peer { pid, uid, gid, tenant: tenant.unwrap_or_default() }, process, tenant.is_some()))
}
