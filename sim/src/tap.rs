//! Observers of a link: every frame before and after the faults.

use causeway_core::event::Stamped;
use causeway_core::time::Instant;

use crate::fault::{Condition, Fault};
use crate::guest::Outcome;
use crate::world::HostId;

/// One direction of one link of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectionId(pub usize);

impl DirectionId {
    /// Getter: the other direction of the same link.
    pub const fn back(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// What the link decided about a frame that a host sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// The queue in front of the transmitter was full.
    QueueFull,
    /// The management of that queue dropped it (RED, CoDel).
    DroppedEarly,
    /// It went onto the wire as frame `number` of its direction and suffers `faults` (none in the common case).
    OnWire {
        /// Counted from 1; what a fault plan names it by.
        number: u64,
        /// In the order of application.
        faults: &'a [Fault],
    },
    /// What is so for a while swallowed it.
    Swallowed {
        /// Counted as [`Fate::OnWire`]'s.
        number: u64,
        /// What.
        by: Condition,
    },
}

impl Fate<'_> {
    /// Getter: true when no copy of the frame will arrive.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::QueueFull | Self::DroppedEarly | Self::Swallowed { .. } => true,
            Self::OnWire { faults, .. } => faults.contains(&Fault::Drop),
        }
    }

    /// Getter: true when what arrives is not what was sent.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::QueueFull | Self::DroppedEarly | Self::Swallowed { .. } => false,
            Self::OnWire { faults, .. } => {
                faults.iter().any(|fault| matches!(fault, Fault::Corrupt { .. }))
            }
        }
    }
}

/// What became of a frame at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It lies in the receive ring.
    Received,
    /// The receive ring was full.
    RingFull,
    /// It lies in the receive ring, with the NIC's word that a checksum is wrong which is right: the stack drops it.
    Refused,
    /// It lies in the receive ring, with the NIC's word that a checksum is right which is wrong: the stack believes it.
    Believed,
}

/// Something that watches a world's links. Called in the order of events; must not block.
pub trait Tap {
    /// Getter: it wants [`Tap::event`]: hosts of a trial keep their event logs only where somebody does. Asked once, before the run.
    fn wants_events(&self) -> bool {
        false
    }
    /// Input: a host handed `frame` to the link, before any fault.
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>);
    /// Input: as [`Tap::sent`], a frame that the host at the beginning of the direction did not send: a router on the way answers.
    fn injected(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        self.sent(at, direction, frame, fate);
    }
    /// Input: a copy of frame `number` reached the far NIC, after every fault.
    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        frame: &[u8],
        delivery: Delivery,
    );
    /// Input: as [`Tap::arrived`], and `frame` is byte for byte what was told to be sent as `number`.
    fn arrived_as_sent(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        self.arrived(at, direction, number, frame, delivery);
    }
    /// Input: the host at the end of the direction took the next `frames` of those that lie in its receive ring. What it sends
    /// because of them comes behind this.
    fn taken(&mut self, at: Instant, direction: DirectionId, frames: usize) {
        let _ = (at, direction, frames);
    }
    /// Input: a host has lost its state, what lay in its receive rings included.
    fn restarted(&mut self, at: Instant, host: HostId) {
        let _ = (at, host);
    }
    /// Input: a program of a host has ended, where the world tells of it ([`crate::world::WorldConfig::tells_ends`]).
    fn program_ended(&mut self, at: Instant, host: HostId, name: &str, outcome: &Outcome) {
        let _ = (at, host, name, outcome);
    }
    /// Input: an entry of a host's event log.
    fn event(&mut self, host: HostId, event: &Stamped) {
        let _ = (host, event);
    }
}
