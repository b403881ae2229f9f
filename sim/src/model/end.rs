//! One socket, as its program and its peer's have seen it so far.

use std::collections::VecDeque;
use std::net::SocketAddr;

use causeway_core::error::{CommandError, EndReason};
use causeway_core::port::{SocketId, Transport};
use causeway_core::time::Instant;

use crate::polled::{NetError, Sock};

/// A place in the model's list of all sockets that ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndId(pub(super) usize);

/// What the program was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing, or that the handshake is under way.
    Opening,
    Open,
    Failed(CommandError),
    Ended(EndReason),
}

impl Told {
    /// What a call says that cannot go on.
    pub(super) const fn refusal(self) -> NetError {
        match self {
            Self::Opening | Self::Open => NetError::WouldBlock,
            Self::Failed(error) => NetError::Refused(error),
            Self::Ended(reason) => NetError::Ended(reason),
        }
    }
}

/// Who has the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Program,
    /// It waits to be accepted.
    Listener,
    /// Nobody: it was closed; `answered`: after the stack had answered.
    Closed {
        at: Instant,
        step: u64,
        answered: bool,
    },
    /// Nobody: it was aborted, or its listener closed.
    Aborted {
        at: Instant,
        step: u64,
        answered: bool,
    },
    /// Nobody: its host was switched off.
    Crashed {
        at: Instant,
        step: u64,
    },
}

impl Holder {
    /// Getter: when it went.
    pub(super) const fn gone(self) -> Option<(Instant, u64)> {
        match self {
            Self::Program | Self::Listener => None,
            Self::Closed { at, step, .. }
            | Self::Aborted { at, step, .. }
            | Self::Crashed { at, step } => Some((at, step)),
        }
    }
}

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Listener,
    /// It was connected.
    Caller,
    /// It came to a listener.
    Child,
    Datagrams,
}

/// A socket.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) host: usize,
    pub(super) app: u32,
    pub(super) sock: Sock,
    pub(super) id: Option<SocketId>,
    pub(super) transport: Transport,
    pub(super) role: Role,
    pub(super) holder: Holder,
    pub(super) told: Told,
    /// The stack has answered, and not said that it is over.
    pub(super) is_known: bool,
    /// When it was asked for, and as which step of the run.
    pub(super) opened: (Instant, u64),
    /// When it came to be, and as which step of the run.
    pub(super) open_at: Option<(Instant, u64)>,
    /// When something was told of it last, and when before that moment: what is over has its news of that moment first.
    pub(super) told_at: [Instant; 2],
    /// What was asked for; then what it is.
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    /// Who its peer may be.
    pub(super) peers: Vec<EndId>,
    pub(super) backlog: u32,
    /// Who waits to be accepted.
    pub(super) queue: VecDeque<EndId>,
    pub(super) has_news: bool,
    pub(super) is_write_shut: bool,
    pub(super) is_read_shut: bool,
    pub(super) is_peer_closed: bool,
    /// Its closing is abrupt, or its patience its own.
    pub(super) has_options: bool,
    /// Bytes of the stream.
    pub(super) written: u64,
    pub(super) read: u64,
    /// The end of the stream was read.
    pub(super) saw_end: bool,
    /// The length of each message that was sent, and how many were told and read.
    pub(super) messages: Vec<u32>,
    pub(super) parcels_told: usize,
    pub(super) parcels_read: usize,
}

impl End {
    pub(super) fn new(
        (host, app, sock): (usize, u32, Sock),
        (transport, role): (Transport, Role),
        opened: (Instant, u64),
    ) -> Self {
        Self {
            host,
            app,
            sock,
            id: None,
            transport,
            role,
            holder: Holder::Program,
            told: Told::Opening,
            is_known: false,
            opened,
            open_at: None,
            told_at: [opened.0; 2],
            local: None,
            remote: None,
            peers: Vec::new(),
            backlog: 0,
            queue: VecDeque::new(),
            has_news: false,
            is_write_shut: false,
            is_read_shut: false,
            is_peer_closed: false,
            has_options: false,
            written: 0,
            read: 0,
            saw_end: false,
            messages: Vec::new(),
            parcels_told: 0,
            parcels_read: 0,
        }
    }

    /// Input: something is told of it.
    pub(super) const fn tell_at(&mut self, at: Instant) {
        if at.as_nanos() != self.told_at[0].as_nanos() {
            self.told_at = [at, self.told_at[0]];
        }
    }

    /// Getter: when something was told of it last, before `at`.
    pub(super) const fn told_before(&self, at: Instant) -> Instant {
        let [last, before] = self.told_at;
        if last.as_nanos() == at.as_nanos() { before } else { last }
    }

    /// Getter: it was closed in order, or its direction was shut: FIN is behind what was written.
    pub(super) const fn has_finished(&self) -> bool {
        self.is_write_shut || matches!(self.holder, Holder::Closed { .. })
    }

    /// Getter: it is a stream of bytes.
    pub(super) fn is_stream(&self) -> bool {
        self.transport == Transport::Tcp && self.role != Role::Listener
    }

    /// Getter: it has messages or datagrams.
    pub(super) fn has_parcels(&self) -> bool {
        self.transport != Transport::Tcp && self.role != Role::Listener
    }

    /// Getter: more was sent on it than `peer` has read.
    pub(super) fn has_sent_beyond(&self, peer: &Self) -> bool {
        self.written > peer.read || self.messages.len() > peer.parcels_read
    }
}
