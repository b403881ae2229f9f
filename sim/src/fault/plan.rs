//! The plan: what goes wrong, and when, as data. Drawn from a seed or written by hand, then executed.

use std::collections::BTreeMap;

use causeway_core::time::{Duration, Instant};

use super::clock::ClockTrouble;
use super::meddling::Meddling;
use super::neighbor::NeighborTrouble;
use super::nic::NicTrouble;

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
        /// Every checksum fits the damage, as after a router with bad memory.
        repaired: bool,
    },
    /// What lies beyond `len` bytes is lost. A shorter frame stays as it is.
    Truncate {
        /// Bytes that remain, Ethernet header first.
        len: u32,
    },
    /// So many zeros follow the frame (padding of Ethernet).
    Pad {
        /// How many.
        bytes: u32,
    },
    /// A router marks it: congestion experienced (RFC 3168 §5), whatever was there before.
    Mark,
    /// A middlebox clears its ECN field.
    Bleach,
    /// A middlebox turns an option of TCP into no-operations.
    Strip(TcpOption),
    /// A TCP segment becomes two, the first of which has `at` bytes; nothing else is split.
    Split {
        /// Payload of the first one.
        at: u32,
    },
    /// A middlebox joins, thins or divides.
    Meddle(Meddling),
    /// Somebody who sees nothing of it sends something that looks as if it belonged to the flow of this frame: right behind it.
    Forge(Forgery),
    /// It arrives later, behind frames sent after it.
    Delay {
        /// By how much.
        by: Duration,
    },
    /// It arrives right behind a frame that was sent after it.
    Hold {
        /// Behind which: the n-th one that is not lost, at least the first.
        frames: u32,
        /// So much later than it would at most, however few frames there are.
        at_most: Duration,
    },
    /// A second copy arrives later.
    Duplicate {
        /// How much later than the first.
        after: Duration,
    },
}

/// An option of TCP that a middlebox may take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TcpOption {
    /// Maximum segment size (kind 2).
    Mss,
    /// Window scale (3).
    WindowScale,
    /// SACK permitted (4).
    SackPermitted,
    /// SACK (5).
    Sack,
    /// Timestamps (8).
    Timestamps,
    /// Fast Open (34).
    FastOpen,
}

/// A forged packet: its numbers are those of the frame that it follows, and `ahead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forgery {
    /// What it is.
    pub kind: ForgeryKind,
    /// How far its sequence number lies beyond the end of the frame that it follows (modulo 2^32). For ICMP, how far the quoted one lies
    /// beyond what the frame acknowledges.
    pub ahead: u32,
}

/// See [`Forgery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForgeryKind {
    /// A reset.
    Rst,
    /// A SYN of the same ports.
    Syn,
    /// A pure acknowledgement, of nothing new.
    Ack,
    /// One byte.
    Data,
    /// So many SYNs from other ports.
    SynStorm(u16),
    /// So many acknowledgements of nothing new.
    AckStorm(u16),
    /// ICMP to the receiver: what it sent is too big for a path of so many bytes.
    TooBig(u16),
    /// ICMP to the receiver: its peer cannot be reached.
    Unreachable,
    /// An answer to the receiver that it did not ask for: the frame's sender is at another station, which `ahead` names.
    Neighbor,
}

/// What is so for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// A direction carries nothing.
    Partition,
    /// A direction's rate in bit/s.
    Rate(u64),
    /// A direction's propagation delay.
    Latency(Duration),
    /// A direction swallows IP packets of more bytes; with `told`, ICMP says so.
    Mtu {
        /// Bytes.
        bytes: u16,
        /// Whether the sender hears of it.
        told: bool,
    },
    /// A middlebox takes this option out of every segment of a direction.
    Stripped(TcpOption),
    /// A middlebox lowers every MSS of a direction.
    MssClamp(u16),
    /// Every segment of a direction advertises this window, unscaled.
    Window(u16),
    /// Every acknowledgement of a direction acknowledges so many bytes more than arrived.
    AckAhead(u32),
    /// Every block of selective acknowledgements of a direction reaches so many bytes further than what arrived.
    SackAhead(u32),
    /// A direction carries frames for a while, then nothing for another, and so on.
    Flap {
        /// It begins with this; not zero.
        up: Duration,
        /// Not zero either.
        down: Duration,
    },
    /// Every packet of a direction comes without ECN.
    Bleached,
    /// Something is wrong with the address resolution of a direction.
    Neighbor(NeighborTrouble),
    /// A router uses no route through this interface: the next best one carries what it passes on.
    NoRoute,
    /// A NIC has no carrier.
    NoCarrier,
    /// Something else is wrong with a NIC.
    Nic(NicTrouble),
    /// A host does nothing.
    Pause,
    /// The clock that a host's programs see jumps ahead when it begins. It does not go back when it ends: clocks are monotonic.
    ClockAhead(Duration),
    /// Something is wrong with the clocks of a host.
    Clock(ClockTrouble),
    /// A host is off: its connections are gone, and it knows nothing of them afterwards.
    Crash,
    /// The programs of a host do nothing, and its engine goes on: nobody reads.
    Stall,
    /// The daemon of a host is gone with its engine, and its programs, which live, are told when another one is there.
    DaemonRestart,
}

impl Condition {
    /// Getter: what its target is.
    pub const fn target(self) -> TargetKind {
        match self {
            Self::NoCarrier | Self::NoRoute | Self::Nic(_) => TargetKind::Nic,
            Self::Pause
            | Self::ClockAhead(_)
            | Self::Clock(_)
            | Self::Crash
            | Self::Stall
            | Self::DaemonRestart => TargetKind::Host,
            _ => TargetKind::Direction,
        }
    }
}

/// What a statement of a plan is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// `a->b`.
    Direction,
    /// `a.eth0`.
    Nic,
    /// `a`.
    Host,
}

/// Something that is counted, and can go wrong the n-th time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// An iteration of a host's loop comes late by so many nanoseconds.
    Late,
    /// A NIC takes only so many frames of a burst.
    ShortBurst,
    /// A NIC has no buffer.
    NoBuffer,
    /// A host has no rings for a new connection.
    NoRings,
    /// A host has no memory for received bytes.
    NoMemory,
    /// The ring of a doorbell is heard so many nanoseconds later.
    LateBell,
    /// The ring of a doorbell is never heard.
    LostBell,
    /// A program gets no channel; the value says why ([`super::AttachFault`]).
    NoChannel,
    /// A program dies at the end of a turn, in the midst of something that the value chooses.
    Dies,
    /// A program does nothing any more.
    Hangs,
    /// A program writes arbitrary bytes into its channel's memory, drawn from the value.
    Scribbles,
    /// A NIC that judges checksums says nothing of one that it knows.
    SumUnknown,
    /// It says that one is wrong that is right: the stack drops the packet.
    SumBad,
    /// It says that one is right that is wrong: the stack believes the packet.
    SumGood,
    /// A NIC cuts a super-segment into pieces that are so many bytes shorter than it was told, down to half.
    OddCut,
    /// A NIC joins a segment across a PSH, or where acknowledgement, window and timestamps differ: those of the last stay.
    GreedyJoin,
}

impl Event {
    /// Each.
    pub const ALL: [Self; 16] = [
        Self::Late,
        Self::ShortBurst,
        Self::NoBuffer,
        Self::NoRings,
        Self::NoMemory,
        Self::LateBell,
        Self::LostBell,
        Self::NoChannel,
        Self::Dies,
        Self::Hangs,
        Self::Scribbles,
        Self::SumUnknown,
        Self::SumBad,
        Self::SumGood,
        Self::OddCut,
        Self::GreedyJoin,
    ];
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A frame suffers.
    Frame {
        /// The direction, as `from->to`.
        direction: String,
        /// Which frame of that direction, counted from 1 in the order in which they were serialised.
        frame: u64,
        /// What happens to it.
        fault: Fault,
    },
    /// The n-th time of something that is counted.
    Counted {
        /// A host or `host.nic`.
        target: String,
        /// Of what.
        event: Event,
        /// Counted from 1.
        number: u64,
        /// How late, how many; 0 where there is nothing to say.
        value: u64,
    },
    /// Something is so for a while.
    Span {
        /// What [`Condition::target`] says.
        target: String,
        /// From when on.
        from: Instant,
        /// Until when.
        until: Instant,
        /// What.
        condition: Condition,
    },
}

/// A line of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// What people wrote: kept. Without the `#`.
    Comment(String),
    /// What is done.
    Decision(Decision),
}

/// Explicit decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    lines: Vec<Line>,
}

/// Decisions about things that are counted: (number, value), in order.
pub type Counted = Vec<(u64, u64)>;

impl FaultPlan {
    /// A plan without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Command: adds one decision. Where a frame has several, they are applied in the order of [`Fault`], whatever the order in
    /// which they were added.
    pub fn push(&mut self, decision: Decision) {
        self.lines.push(Line::Decision(decision));
    }

    /// Command: adds a line.
    pub fn push_line(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Getter: every line.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Getter: every decision, in order of lines.
    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.lines.iter().filter_map(|line| match line {
            Line::Decision(decision) => Some(decision),
            Line::Comment(_) => None,
        })
    }

    /// Getter: the decisions about frames, by direction, each in order of frames.
    pub fn frames(&self) -> BTreeMap<&str, Vec<(u64, Fault)>> {
        let mut all: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for decision in self.decisions() {
            if let Decision::Frame { direction, frame, fault } = decision {
                all.entry(direction).or_default().push((*frame, *fault));
            }
        }
        all.values_mut().for_each(|list| list.sort_unstable());
        all
    }

    /// Getter: the decisions about one direction's frames, in order of frames.
    pub fn direction(&self, name: &str) -> Vec<(u64, Fault)> {
        self.frames().remove(name).unwrap_or_default()
    }

    /// Getter: the decisions about what is counted, by target and event.
    pub fn counted(&self) -> BTreeMap<(&str, Event), Counted> {
        let mut all: BTreeMap<_, Counted> = BTreeMap::new();
        for decision in self.decisions() {
            if let Decision::Counted { target, event, number, value } = decision {
                all.entry((target.as_str(), *event)).or_default().push((*number, *value));
            }
        }
        all.values_mut().for_each(|list| list.sort_unstable());
        all
    }

    /// Getter: what is so for a while.
    pub fn spans(&self) -> impl Iterator<Item = (&str, Instant, Instant, Condition)> {
        self.decisions().filter_map(|decision| match decision {
            Decision::Span { target, from, until, condition } => {
                Some((target.as_str(), *from, *until, *condition))
            }
            _ => None,
        })
    }

    /// Getter: how many decisions.
    pub fn len(&self) -> usize {
        self.decisions().count()
    }

    /// Getter: true when nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<Decision> for FaultPlan {
    fn from_iter<T: IntoIterator<Item = Decision>>(decisions: T) -> Self {
        Self { lines: decisions.into_iter().map(Line::Decision).collect() }
    }
}
