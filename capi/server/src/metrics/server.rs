//! The endpoint's thread.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use causeway_core::time::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::exposition::{CONTENT_TYPE, exposition};
use super::http::{self, REQUEST_BYTES_MAX, Status, Wanted};
use super::listener::MetricsListener;
use crate::introspect::{Answer, Ask, Question, Viewer, Way};
use crate::links::{EngineHandle, Order, Waker, clock};

/// How long a connection may take from its beginning to its end.
const WITHIN: Duration = Duration::from_secs(5);
/// When accepting failed for want of descriptors or memory, it is tried again after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves figures until it is stopped.
#[derive(Debug)]
pub struct MetricsServer {
    listener: MetricsListener,
    connections_max: usize,
    engine: EngineHandle,
    answers: Receiver<(u64, Answer)>,
    way: Way,
    wake: Waker,
    stop: Arc<AtomicBool>,
    connections: Vec<Connection>,
    /// The last connection's number.
    last: u64,
    accept_from: Instant,
}

#[derive(Debug)]
struct Connection {
    fd: OwnedFd,
    number: u64,
    /// It is closed then, wherever it is.
    until: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// So much of its request has come.
    Hears(Vec<u8>),
    /// The engine was asked.
    Waits {
        /// The headers alone are wanted.
        head: bool,
    },
    /// What it is still to be told.
    Tells(Vec<u8>),
    /// To be closed.
    Over,
}

impl Connection {
    fn interest(&self) -> PollFlags {
        match self.state {
            State::Hears(_) => PollFlags::IN,
            State::Tells(_) => PollFlags::OUT,
            // A hang-up is told anyway.
            State::Waits { .. } | State::Over => PollFlags::empty(),
        }
    }
}

impl MetricsServer {
    /// A server on `listener` with at most `connections_max` connections, which asks `engine`. It runs until `stop` is set and `wake` rung.
    pub fn new(
        listener: MetricsListener,
        connections_max: u32,
        engine: EngineHandle,
        wake: Waker,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let (way, answers) = Way::new(wake.clone());
        Self {
            listener,
            connections_max: connections_max as usize,
            engine,
            answers,
            way,
            wake,
            stop,
            connections: Vec::new(),
            last: 0,
            accept_from: Instant::ZERO,
        }
    }

    /// Command: serves until it is stopped.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            if let Err(cause) = self.turn() {
                tracing::error!(%cause, "the metrics endpoint cannot be watched");
                return;
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let ready = self.wait(clock::now())?;
        self.wake.drain();
        let now = clock::now();
        for (place, events) in ready.into_iter().enumerate() {
            self.serve(place, events);
        }
        while let Ok((number, answer)) = self.answers.try_recv() {
            self.pass_on(number, answer);
        }
        self.connections.retain(|c| c.until > now && !matches!(c.state, State::Over));
        self.accept(now)
    }

    /// Further connections wait in the kernel's queue meanwhile.
    fn has_room(&self, now: Instant) -> bool {
        self.connections.len() < self.connections_max && now >= self.accept_from
    }

    fn wait(&self, now: Instant) -> io::Result<Vec<PollFlags>> {
        let mut fds: Vec<PollFd<'_>> =
            self.connections.iter().map(|c| PollFd::new(&c.fd, c.interest())).collect();
        fds.push(PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN));
        if self.has_room(now) {
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        let retry = (self.accept_from > now).then_some(self.accept_from);
        let until = self.connections.iter().map(|c| c.until).chain(retry).min();
        let timeout = until.map(|until| clock::span_until(now, until));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(fds.iter().take(self.connections.len()).map(PollFd::revents).collect())
    }

    fn accept(&mut self, now: Instant) -> io::Result<()> {
        while self.has_room(now) {
            match self.listener.accept() {
                Ok(Some(fd)) => {
                    self.last += 1;
                    let state = State::Hears(Vec::new());
                    let until = now + WITHIN;
                    self.connections.push(Connection { fd, number: self.last, until, state });
                }
                Ok(None) => break,
                Err(cause) => {
                    tracing::warn!(%cause, "cannot accept a connection to the metrics endpoint");
                    self.accept_from = now + ACCEPT_RETRY;
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self, place: usize, events: PollFlags) {
        if events.is_empty() {
            return;
        }
        let connection = &mut self.connections[place];
        match &mut connection.state {
            State::Hears(request) => {
                let mut bytes = [0; 1024];
                let room = (REQUEST_BYTES_MAX - request.len()).min(bytes.len());
                match rustix::net::recv(&connection.fd, &mut bytes[..room], RecvFlags::DONTWAIT) {
                    Ok((0, _)) => connection.state = State::Over,
                    Ok((len, _)) => {
                        request.extend(&bytes[..len]);
                        let wanted = http::parse(request);
                        self.answer(place, wanted);
                    }
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(_) => connection.state = State::Over,
                }
            }
            State::Tells(_) => self.tell(place),
            State::Waits { .. } | State::Over => connection.state = State::Over,
        }
    }

    fn answer(&mut self, place: usize, wanted: Wanted) {
        let state = match wanted {
            Wanted::More => return,
            Wanted::Refused(status) => State::Tells(http::refused(status)),
            Wanted::Metrics { head } => {
                let ask = Ask {
                    question: Question::Metrics { from: 0 },
                    viewer: Viewer::Nobody,
                    token: self.connections[place].number,
                    way: self.way.clone(),
                };
                match self.engine.orders.try_send(Order::Ask(Box::new(ask))) {
                    Ok(()) => {
                        self.engine.wake.wake();
                        State::Waits { head }
                    }
                    Err(_) => State::Tells(http::refused(Status::Unavailable)),
                }
            }
        };
        self.connections[place].state = state;
        self.tell(place);
    }

    fn pass_on(&mut self, number: u64, answer: Answer) {
        let Some(place) = self.connections.iter().position(|c| c.number == number) else { return };
        let State::Waits { head } = self.connections[place].state else { return };
        let told = match answer {
            Answer::Metrics { metrics, .. } => {
                http::found(CONTENT_TYPE, &exposition(metrics), head)
            }
            _ => http::refused(Status::Unavailable),
        };
        self.connections[place].state = State::Tells(told);
        self.tell(place);
    }

    /// As much as goes at once.
    fn tell(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        let State::Tells(bytes) = &mut connection.state else { return };
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match rustix::net::send(&connection.fd, bytes, flags) {
            Ok(len) => {
                bytes.drain(..len);
            }
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => bytes.clear(),
        }
        if bytes.is_empty() {
            connection.state = State::Over;
        }
    }
}
