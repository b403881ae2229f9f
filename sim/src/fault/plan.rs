//! The plan: which frame of which link direction suffers what.

use std::collections::BTreeMap;

use causeway_core::time::Duration;

/// What happens to one frame on the wire, after its serialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It vanishes.
    Drop,
    /// Byte `offset` is XORed with `mask`, beyond what the frame check sequence finds. Frames
    /// shorter than that stay as they are.
    Corrupt {
        /// From the first byte of the Ethernet header.
        offset: u32,
        /// Never zero.
        mask: u8,
    },
    /// It arrives later, behind frames sent after it.
    Delay {
        /// By how much.
        by: Duration,
    },
    /// A second copy arrives later.
    Duplicate {
        /// How much later than the first.
        after: Duration,
    },
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The direction, as `from->to` with the names of the hosts.
    pub direction: String,
    /// Which frame of that direction, counted from 1 in the order in which they were serialised.
    pub frame: u64,
    /// What happens to it.
    pub fault: Fault,
}

/// Explicit decisions, at most a few per frame, in order of direction and frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    decisions: BTreeMap<String, Vec<(u64, Fault)>>,
}

impl FaultPlan {
    /// A plan without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Command: adds one decision. Where a frame has several, they are applied in the order
    /// drop, corrupt, delay, duplicate, whatever the order in which they were added.
    pub fn push(&mut self, decision: Decision) {
        let frames = self.decisions.entry(decision.direction).or_default();
        let key = (decision.frame, decision.fault);
        let at = frames.partition_point(|&other| other <= key);
        frames.insert(at, key);
    }

    /// Getter: the decisions of one direction, in order of frames.
    pub fn direction(&self, name: &str) -> &[(u64, Fault)] {
        self.decisions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Getter: every decision.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64, Fault)> {
        self.decisions.iter().flat_map(|(name, frames)| {
            frames.iter().map(move |&(frame, fault)| (name.as_str(), frame, fault))
        })
    }

    /// Getter: how many decisions.
    pub fn len(&self) -> usize {
        self.decisions.values().map(Vec::len).sum()
    }

    /// Getter: true when nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }
}
