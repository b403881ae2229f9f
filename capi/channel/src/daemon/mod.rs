//! The daemon's side of a channel: what an `AppPort` needs, for one channel and one engine.
//!
//! ```text
//! DaemonChannel::create(geometry, channel, owner, doorbells) -> (DaemonChannel, Grant)
//! DaemonChannel::into_lanes() -> one DaemonLane per engine
//!
//! each Engine::step, for each channel that is due:
//!     lane.snapshot(budget)?          AppPort::snapshot
//!     lane.poll_command()             AppPort::poll_command
//!     lane.stream_open / stream / stream_close
//!     lane.push_completion(&c)        AppPort::complete
//!     lane.flush()                    AppPort::flush: publishes, wakes at most once
//! before the engine sleeps:
//!     lane.arm()                      true: nothing to do, may sleep; then lane.disarm() after the wake
//! lane.poison() is Some               the application broke a rule: detach the channel
//! ```

pub(crate) mod budget;
mod lane;
mod stream;

pub(crate) use stream::pieces;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use causeway_core::port::ChannelId;

use crate::cursor::CursorPoisoned;
use crate::doorbell::Doorbells;
use crate::geometry::Geometry;
use crate::mapping::{Grant, Mapping};
use crate::proto::ProtoError;
use crate::ring::RingPoisoned;

pub use lane::{DaemonLane, LaneHolds};
pub use stream::LaneStream;

/// What an application did that no correct one does. The channel is killed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// A ring index.
    #[error("impossible ring index")]
    Ring,
    /// A stream offset.
    #[error("impossible stream offset")]
    Offset,
    /// A chunk index in a TX table.
    #[error("impossible chunk index")]
    Chunk,
    /// An entry that is none.
    #[error("impossible command: {0}")]
    Command(ProtoError),
    /// A message outside of what was written.
    #[error("a message outside of the written bytes")]
    Message,
    /// It leaves its completions lying beyond every bound.
    #[error("completions are not taken")]
    Backlog,
    /// Another lane of the channel was poisoned.
    #[error("another lane of the channel was poisoned")]
    OtherLane,
}

impl From<RingPoisoned> for Poison {
    fn from(_: RingPoisoned) -> Self {
        Self::Ring
    }
}

impl From<CursorPoisoned> for Poison {
    fn from(_: CursorPoisoned) -> Self {
        Self::Offset
    }
}

/// Which process a stream's rings are lent to. Private to the daemon; moving a lease bumps the generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Process id of the peer, from its credentials.
    pub pid: u32,
    /// Generation of the lease.
    pub lease: u32,
}

/// A channel just made, before its lanes go to their engines.
#[derive(Debug)]
pub struct DaemonChannel {
    lanes: Vec<DaemonLane>,
}

impl DaemonChannel {
    /// Command: makes the memory and both sides' views of it. `bells` must have one lane bell per lane.
    /// The grant goes to the application: over a socket ([`crate::handshake`]) or, in the simulator, by hand.
    pub fn create(
        geometry: &Geometry,
        channel: ChannelId,
        owner: Owner,
        bells: Doorbells,
    ) -> std::io::Result<(Self, Grant)> {
        if bells.lanes.len() != geometry.lanes() as usize {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let (mapping, memory) = Mapping::create(*geometry)?;
        let mapping = Arc::new(mapping);
        let dead = Arc::new(AtomicBool::new(false));
        let lanes = (0..geometry.lanes())
            .zip(&bells.lanes)
            .map(|(lane, bell)| {
                let shared = lane::Shared { dead: dead.clone(), app_bell: bells.app.clone() };
                DaemonLane::new(&mapping, lane, channel, owner, shared, bell.clone())
            })
            .collect();
        let grant = Grant {
            memory,
            geometry: *geometry,
            channel,
            app_wait: bells.app_wait,
            lane_bells: bells.lanes,
        };
        Ok((Self { lanes }, grant))
    }

    /// Getter: the lanes in the order of the engines; each is `Send` and belongs to one engine from now on.
    pub fn into_lanes(self) -> Vec<DaemonLane> {
        self.lanes
    }
}
