//! A direction in operation: physics, faults, and the frames under way.

use std::collections::VecDeque;
use std::rc::Rc;

use causeway_core::time::Instant;

use super::direction::{Direction, LinkConfig, Queue, Sent};
use crate::fault::{Decision, Fault, FaultPlan, FaultProfile, draw};
use crate::frame::SimFrame;
use crate::hash::RollingHash;
use crate::nic::NicPort;
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// A frame under way.
#[derive(Debug)]
pub struct Flight {
    /// When its last bit arrives.
    pub at: Instant,
    /// Its number in its direction.
    pub number: u64,
    /// Itself, faults applied.
    pub frame: SimFrame,
}

/// What a direction has done to its frames, and seen arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounters {
    /// Frames dropped by decision.
    pub dropped: u64,
    /// Frames with a changed byte.
    pub corrupted: u64,
    /// Frames held back.
    pub delayed: u64,
    /// Second copies.
    pub duplicated: u64,
    /// Frames that reached the far NIC, copies included.
    pub arrived: u64,
    /// Of those, lost to a full receive ring.
    pub ring_full: u64,
}

/// Where the decisions about the next frames come from.
#[derive(Debug)]
pub enum Decider {
    /// Probabilities, drawn frame by frame and recorded.
    Drawn {
        /// How likely.
        profile: FaultProfile,
        /// The world's.
        seed: u64,
        /// This direction's number among all that draw from the seed.
        entity: u64,
        /// What was decided so far.
        recorded: Vec<(u64, Fault)>,
    },
    /// A plan's decisions for this direction, in order of frames.
    Planned {
        /// All of them.
        decisions: Vec<(u64, Fault)>,
        /// Those before this one are done.
        next: usize,
    },
}

impl Decider {
    fn decide(&mut self, number: u64, frame: &[u8], out: &mut Vec<Fault>) {
        match self {
            Self::Drawn { profile, seed, entity, recorded } => {
                if let Some(fault) = draw(profile, *seed, *entity, number, frame) {
                    out.push(fault);
                    recorded.push((number, fault));
                }
            }
            Self::Planned { decisions, next } => {
                while let Some(&(frame, fault)) = decisions.get(*next) {
                    if frame > number {
                        break;
                    }
                    out.push(fault);
                    *next += 1;
                }
            }
        }
    }
}

/// One direction of a link between two NICs.
#[derive(Debug)]
pub struct Lane {
    id: DirectionId,
    name: String,
    physics: Direction,
    decider: Decider,
    from: Rc<NicPort>,
    to: Rc<NicPort>,
    in_order: VecDeque<Flight>,
    frames_numbered: u64,
    faults: FaultCounters,
    scratch: Vec<Fault>,
}

/// Flights that do not keep the order, for the world's event queue.
pub type Stragglers = Vec<Flight>;

impl Lane {
    /// An idle direction from one NIC to another.
    pub fn new(
        id: DirectionId,
        name: String,
        config: LinkConfig,
        decider: Decider,
        from: Rc<NicPort>,
        to: Rc<NicPort>,
    ) -> Self {
        Self {
            id,
            name,
            physics: Direction::new(config),
            decider,
            from,
            to,
            in_order: VecDeque::new(),
            frames_numbered: 0,
            faults: FaultCounters::default(),
            scratch: Vec::new(),
        }
    }

    /// Input: takes everything that the sending NIC handed over since the last call. Flights that keep
    /// the order stay here, the others go to `stragglers`. True when the first in-order flight is new.
    pub fn collect(
        &mut self,
        now: Instant,
        hash: &mut RollingHash,
        taps: &mut [Box<dyn Tap>],
        stragglers: &mut Stragglers,
    ) -> bool {
        let was_empty = self.in_order.is_empty();
        while let Some(frame) = self.from.take_tx() {
            self.send(now, frame, hash, taps, stragglers);
        }
        self.settle(now);
        was_empty && !self.in_order.is_empty()
    }

    /// Command: tells the sending NIC how many of its ring's slots still wait for the wire.
    pub fn settle(&mut self, now: Instant) {
        if self.physics.config().queue == Queue::Ring {
            self.from.occupy_tx(self.physics.waiting_at(now));
        }
    }

    fn send(
        &mut self,
        now: Instant,
        frame: SimFrame,
        hash: &mut RollingHash,
        taps: &mut [Box<dyn Tap>],
        stragglers: &mut Stragglers,
    ) {
        hash.word(now.as_nanos());
        hash.word(self.id.0 as u64);
        hash.bytes(frame.bytes());
        let sent = self.physics.offer(now, frame.bytes().len());
        self.scratch.clear();
        let Sent::Arrives(at) = sent else {
            hash.word(u64::MAX);
            for tap in taps {
                tap.sent(now, self.id, frame.bytes(), Fate::QueueFull);
            }
            return;
        };
        self.frames_numbered += 1;
        let number = self.frames_numbered;
        self.decider.decide(number, frame.bytes(), &mut self.scratch);
        for tap in taps {
            let fate = Fate::OnWire { number, faults: &self.scratch };
            tap.sent(now, self.id, frame.bytes(), fate);
        }
        self.launch(Flight { at, number, frame }, stragglers);
    }

    /// Applies the decisions in `scratch` and puts what remains of the frame on its way.
    fn launch(&mut self, mut flight: Flight, stragglers: &mut Stragglers) {
        let mut in_order = true;
        let mut copy_after = None;
        for &fault in &self.scratch {
            match fault {
                Fault::Drop => {
                    self.faults.dropped += 1;
                    return;
                }
                Fault::Corrupt { offset, mask } => {
                    self.faults.corrupted += 1;
                    if let Some(byte) = flight.frame.bytes_mut().get_mut(offset as usize) {
                        *byte ^= mask;
                    }
                }
                Fault::Delay { by } => {
                    self.faults.delayed += 1;
                    flight.at += by;
                    in_order = false;
                }
                Fault::Duplicate { after } => copy_after = Some(after),
            }
        }
        if let Some(after) = copy_after
            && let Some(frame) = flight.frame.duplicate()
        {
            self.faults.duplicated += 1;
            stragglers.push(Flight { at: flight.at + after, number: flight.number, frame });
        }
        if in_order {
            self.in_order.push_back(flight);
        } else {
            stragglers.push(flight);
        }
    }

    /// Output: the next in-order flight that has arrived by `now`.
    pub fn poll_arrival(&mut self, now: Instant) -> Option<Flight> {
        self.in_order.pop_front_if(|flight| flight.at <= now)
    }

    /// Getter: when the next in-order flight arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_order.front().map(|flight| flight.at)
    }

    /// Input: a flight of this direction is at the far end.
    pub fn deliver(
        &mut self,
        now: Instant,
        flight: Flight,
        hash: &mut RollingHash,
        taps: &mut [Box<dyn Tap>],
    ) {
        hash.word(now.as_nanos());
        hash.word((self.id.0 as u64) << 48 ^ flight.number);
        self.faults.arrived += 1;
        let room = self.to.has_rx_room();
        let delivery = if room { Delivery::Received } else { Delivery::RingFull };
        for tap in taps {
            tap.arrived(now, self.id, flight.number, flight.frame.bytes(), delivery);
        }
        if self.to.deliver(flight.frame).is_err() {
            self.faults.ring_full += 1;
        }
    }

    /// Getter: `from->to`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Getter: what the transmitter has done.
    pub fn physics(&self) -> &Direction {
        &self.physics
    }

    /// Getter: what the faults have done.
    pub fn fault_counters(&self) -> FaultCounters {
        self.faults
    }

    /// Output: adds the decisions executed so far to `plan`.
    pub fn record_into(&self, plan: &mut FaultPlan) {
        let decisions = match &self.decider {
            Decider::Drawn { recorded, .. } => recorded.as_slice(),
            Decider::Planned { decisions, next } => &decisions[..*next],
        };
        for &(frame, fault) in decisions {
            plan.push(Decision { direction: self.name.clone(), frame, fault });
        }
    }
}
