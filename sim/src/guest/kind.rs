//! A guest as the world sees it: a thread of this process, or processes of their own.

use std::sync::Arc;
use std::time::Duration;

use causeway_channel::Wake;
use causeway_core::rng::Stream;
use causeway_core::time::Instant;

use super::bells::Bells;
use super::program::{Outcome, Program};
use super::thread::ThreadGuest;
use crate::process::ProcessGuest;
use crate::world::{HostEngine, HostId, RunError};

/// The random streams of guests begin here; other entities have other ranges.
const ENTITY_GUESTS: u64 = 0x0200_0000;

/// A guest of a world, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestId(pub usize);

/// A guest's wish for a channel, for [`HostEngine::attach`].
pub struct AttachRequest {
    /// Who asks; [`HostEngine::detach`] names it later.
    pub guest: GuestId,
    /// The process that it is to the daemon: channels of one may share what they listen on.
    pub process: u32,
    /// What the guest will wait with: `BellWait::Virtual(token)`. Unique in the world.
    pub token: u64,
    /// How the host wakes the guest.
    pub app: Arc<dyn Wake>,
}

/// Between two turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestState {
    /// In a call that costs time, or asleep.
    Pausing {
        /// Until when.
        until: Instant,
    },
    /// For its bell.
    Waiting {
        /// At the latest until.
        deadline: Option<Instant>,
    },
    /// It ended.
    Over(Outcome),
}

/// What a turn came to.
pub struct TurnEnd {
    /// The guest's state now.
    pub state: GuestState,
    /// The guest's clock when it gave the turn back.
    pub at: Instant,
    /// How many calls it has made in its life.
    pub calls: u64,
}

/// What a guest knows of the time when it gets its turn, by the clocks of its host.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The virtual time.
    pub now: Instant,
    /// Nothing else happens before this, unless the guest makes it happen.
    pub quiet_until: Instant,
    /// How far the wall clock is ahead of where it was, in nanoseconds.
    pub wall_ahead: i64,
}

/// One guest.
#[derive(Debug)]
pub enum Guest {
    /// A thread of this process.
    Thread(ThreadGuest),
    /// A process, and those that it starts.
    Process(ProcessGuest),
}

macro_rules! either {
    ($guest:expr, $one:ident => $body:expr) => {
        match $guest {
            Self::Thread($one) => $body,
            Self::Process($one) => $body,
        }
    };
}

impl Guest {
    /// Starts the guest, which waits for its first turn.
    pub(crate) fn spawn(
        id: GuestId,
        host: (HostId, &str),
        name: &str,
        bells: Arc<Bells>,
        seed: u64,
        program: Program,
    ) -> std::io::Result<Self> {
        // Each guest draws from a seed of its own.
        let seed = Stream::new(seed, ENTITY_GUESTS).at(id.0 as u64);
        Ok(match program {
            Program::Process(config) => {
                Self::Process(ProcessGuest::spawn(id, host, name, bells, seed, &config)?)
            }
            program => Self::Thread(ThreadGuest::spawn(id, host.0, name, bells, seed, program)?),
        })
    }

    /// Command: one turn. Asks for a channel are answered by `engine` within it.
    pub(crate) fn run(
        &mut self,
        moment: Moment,
        engine: &mut dyn HostEngine,
        wall_limit: Duration,
    ) -> Result<TurnEnd, RunError> {
        either!(self, one => one.run(moment, engine, wall_limit))
    }

    /// Command: what it waits for comes at another time than was planned. The epoch to plan it under; `None` where it is planned already,
    /// because its bell was rung.
    pub(crate) fn renew(&mut self) -> Option<u64> {
        either!(self, one => one.renew())
    }

    /// Command: its bell may have been rung. The epoch to run it under, if it waited for that.
    pub(crate) fn wake(&mut self) -> Option<u64> {
        either!(self, one => one.wake())
    }

    /// Getter: the number that the queue's entry for its next turn must carry.
    pub fn epoch(&self) -> u64 {
        either!(self, one => one.epoch())
    }

    /// Getter: true once its program has ended.
    pub fn is_over(&self) -> bool {
        either!(self, one => one.is_over())
    }

    /// Command: ends it, wherever it is.
    pub(crate) fn kill(&mut self) {
        either!(self, one => one.end_now())
    }

    /// Getter: what it does between two turns, by the clock that it sees.
    pub fn state(&self) -> &GuestState {
        either!(self, one => one.state())
    }

    /// Getter: its host.
    pub fn host(&self) -> HostId {
        either!(self, one => one.host())
    }

    /// Getter: its name.
    pub fn name(&self) -> &str {
        either!(self, one => one.name())
    }

    /// Getter: the call of the library or the system that it is in, or was in last.
    pub fn last_call(&self) -> &'static str {
        either!(self, one => one.last_call())
    }

    /// Getter: for the report of a run that cannot go on.
    pub fn state_in_words(&self) -> String {
        either!(self, one => one.state_in_words())
    }
}
