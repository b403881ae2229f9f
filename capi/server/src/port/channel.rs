//! One channel as the port keeps it.

use std::sync::Arc;

use causeway_channel::DaemonLane;
use causeway_core::port::ChannelId;

use super::slots::{Lease, TenantId};

/// The process at the other end of a channel, from the socket's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process id at the time it connected; 0 for a process of another PID namespace, of which no more is known.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Whose it is.
    pub tenant: TenantId,
}

/// A channel on its way from whoever granted it to the engine that serves it.
#[derive(Debug)]
pub struct Attached {
    /// Who asked for it.
    pub peer: Peer,
    /// This engine's part.
    pub lane: DaemonLane,
    /// The channel's number, shared by its lanes. Declared after `lane`: the memory goes first.
    pub lease: Arc<Lease>,
}

impl Attached {
    /// Getter: the channel's number.
    pub fn id(&self) -> ChannelId {
        self.lease.id()
    }
}

/// Where a channel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Served.
    Alive,
    /// Its application is gone. The stack is given the commands that it left, so many at most, then told of the end.
    Leaving {
        /// Commands that may still be taken.
        commands: u32,
    },
    /// The stack will be told of the end by the next command.
    Drained,
    /// The stack was told. Its streams deliver what they were given and are being closed; then the memory goes.
    Gone,
}

/// A channel and what the port remembers of it. Each flag says that the channel is in the list of that name.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) attached: Attached,
    pub(super) life: Life,
    pub(super) hot: bool,
    pub(super) ready: bool,
    pub(super) touched: bool,
    /// Steps in a row in which a look at it brought nothing.
    pub(super) empty_looks: u32,
    /// Commands that it may still give before it is another channel's turn.
    pub(super) turn: u32,
    pub(super) streams_open: u32,
    /// Its memory obeys the rules, so that what lies in it may be delivered when its application is gone.
    pub(super) trusted: bool,
}

impl Channel {
    pub(super) fn new(attached: Attached) -> Self {
        Self {
            attached,
            life: Life::Alive,
            hot: false,
            ready: false,
            touched: false,
            empty_looks: 0,
            turn: 0,
            streams_open: 0,
            trusted: true,
        }
    }

    /// The process behind it. Two that are not known are two.
    pub(super) fn process(&self) -> u64 {
        match self.attached.peer.pid {
            // Above every process id; and of the channels that are served, each has an index of its own.
            0 => 1 << 32 | u64::from(self.id().index),
            pid => u64::from(pid),
        }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.attached.id()
    }
}
