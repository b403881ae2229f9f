//! Granting a channel, without a socket: what the control socket and the simulator have in common.

use std::io;
use std::sync::Arc;

use causeway_channel::handshake::{self, Hello, Refusal, Reply, Welcome};
use causeway_channel::{DaemonChannel, Doorbells, Geometry, Grant, Owner};
use causeway_core::port::ChannelId;

use crate::port::{Attached, Peer, Slots};

/// Grants channels of one geometry, up to a number at a time.
///
/// [`Attach::grant`] is the whole of it: an application's first bytes in, and out come what the
/// application gets and what each engine gets. How the former travels (over a socket, or by hand in a
/// simulated host) and how the latter reach their engines is the caller's.
#[derive(Clone, Debug)]
pub struct Attach {
    geometry: Geometry,
    slots: Slots,
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The first bytes are not a hello. The peer gets no answer: it would not understand it.
    #[error("it does not speak the handshake")]
    Malformed,
    /// The peer is told why.
    #[error("{0}")]
    Refused(Refusal),
    /// The system has no memory or descriptors for it. The peer is told that there is no room.
    #[error("the system refuses: {0}")]
    System(io::Error),
}

// By hand: it prints its cause itself, for the log, and so must not be the next of a chain.
impl From<io::Error> for AttachError {
    fn from(cause: io::Error) -> Self {
        Self::System(cause)
    }
}

impl AttachError {
    /// Output: the bytes to answer with, if any.
    pub fn reply(&self) -> Option<Vec<u8>> {
        let refusal = match self {
            Self::Malformed => return None,
            Self::Refused(refusal) => *refusal,
            Self::System(_) => Refusal::LimitReached,
        };
        Some(Reply::Refused(refusal).encode())
    }
}

/// A channel, in the parts that go different ways.
#[derive(Debug)]
pub struct Granted {
    /// One part for each engine, in their order.
    pub parts: Vec<Attached>,
    /// For the application: memory and bells.
    pub grant: Grant,
    /// For the application: the bytes that describe the grant.
    pub welcome: Vec<u8>,
}

impl Granted {
    /// Getter: the channel's number.
    pub fn id(&self) -> ChannelId {
        self.grant.channel
    }
}

impl Attach {
    /// Grants of `geometry` (one lane per engine) while a number is free in `slots`.
    pub fn new(geometry: Geometry, slots: Slots) -> Self {
        Self { geometry, slots }
    }

    /// Getter: the channels that are granted and not yet forgotten.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Command: a channel for `peer`, whose first bytes are `hello`. `bells` makes the channel's
    /// doorbells: [`Doorbells::os`], or [`Doorbells::simulated`] with [`crate::port::BellQueue::bell`].
    ///
    /// # Errors
    /// [`AttachError::reply`] is what the peer should be told.
    pub fn grant(
        &self,
        peer: Peer,
        hello: &[u8],
        bells: impl FnOnce(ChannelId, u32) -> io::Result<Doorbells>,
    ) -> Result<Granted, AttachError> {
        let hello = Hello::decode(hello).map_err(|_| AttachError::Malformed)?;
        handshake::negotiate(&hello).map_err(AttachError::Refused)?;
        let lease =
            self.slots.claim(peer.tenant).ok_or(AttachError::Refused(Refusal::LimitReached))?;
        let bells = bells(lease.id(), self.geometry.lanes())?;
        let owner = Owner { pid: peer.pid, lease: 0 };
        let (channel, grant) = DaemonChannel::create(&self.geometry, lease.id(), owner, bells)?;
        let lease = Arc::new(lease);
        let parts = channel.into_lanes().into_iter();
        let parts = parts.map(|lane| Attached { peer, lane, lease: Arc::clone(&lease) }).collect();
        let welcome = Reply::Welcome(Welcome::of(&grant)).encode();
        Ok(Granted { parts, grant, welcome })
    }
}
