//! A direction in operation: physics, faults, and the frames under way.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use causeway_core::rng::Stream;
use causeway_core::time::Instant;

use super::conditions::{Conditions, Passage};
use super::decider::Decider;
use super::direction::{Direction, LinkConfig, Queue, Sent};
use super::forge::forged;
use super::held::Held;
use super::meddle::{divided, join, supersedes};
use super::rewrite::{is_damaged, is_markable, is_sound, repair, set_ecn, set_len, strip};
use crate::fault::{Condition, Fault, FaultPlan, Meddling, Place};
use crate::frame::SimFrame;
use crate::hash::RollingHash;
use crate::nic::NicPort;
use crate::relay::{Told, error};
use crate::tap::{Delivery, DirectionId, Fate, Tap};

/// Who tells that a packet is too long for a link whose MTU has shrunk (addresses for documentation, RFC 5737, RFC 3849).
const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

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
    /// Frames dropped by decision or condition.
    pub dropped: u64,
    /// Frames with a changed byte.
    pub corrupted: u64,
    /// Frames held back.
    pub delayed: u64,
    /// Second copies.
    pub duplicated: u64,
    /// Frames changed by a middlebox: cut, padded, marked, split, without an option.
    pub changed: u64,
    /// Frames that nobody sent.
    pub forged: u64,
    /// Frames that reached the far end, copies included.
    pub arrived: u64,
    /// Of those, lost to a full receive ring.
    pub ring_full: u64,
}

/// What stands at the end of a direction.
#[derive(Clone, Debug)]
pub enum Sink {
    /// A host's NIC.
    Nic(Rc<NicPort>),
    /// A switch or router: the world hands the frame on.
    Relay,
}

/// One direction of a link.
#[derive(Debug)]
pub struct Lane {
    id: DirectionId,
    name: String,
    physics: Direction,
    decider: Decider,
    conditions: Conditions,
    /// The NIC that sends; none where a switch or router does.
    from: Option<Rc<NicPort>>,
    to: Sink,
    in_order: VecDeque<Flight>,
    /// The world knows when the first of them arrives.
    head_is_known: bool,
    held: Held,
    frames_numbered: u64,
    faults: FaultCounters,
    scratch: Vec<Fault>,
    /// The frame at hand as it was sent, where conditions may change it.
    original: Vec<u8>,
    /// What routers tell the sender: goes on the direction back.
    replies: Vec<SimFrame>,
}

/// Flights that do not keep the order, for the world's event queue.
pub type Stragglers = Vec<Flight>;

/// What sees everything that happens on a direction.
pub struct Observers<'a> {
    /// The run's hash.
    pub hash: &'a mut RollingHash,
    /// Whoever watches.
    pub taps: &'a mut [Box<dyn Tap>],
}

impl Lane {
    /// An idle direction.
    pub fn new(
        id: DirectionId,
        name: String,
        config: LinkConfig,
        decider: Decider,
        from: Option<Rc<NicPort>>,
        to: Sink,
    ) -> Self {
        Self {
            id,
            name,
            physics: Direction::new(config),
            decider,
            conditions: Conditions::default(),
            from,
            to,
            in_order: VecDeque::new(),
            head_is_known: false,
            held: Held::default(),
            frames_numbered: 0,
            faults: FaultCounters::default(),
            scratch: Vec::new(),
            original: Vec::new(),
            replies: Vec::new(),
        }
    }

    /// Command: what is random in the queue's management is drawn from `random`.
    pub fn draw_from(&mut self, random: Stream) {
        self.physics.draw_from(random);
    }

    /// Input: takes everything that the sending NIC handed over since the last call. Flights that keep
    /// the order stay here, the others go to `stragglers`. True when the first in-order flight is new.
    pub fn collect(
        &mut self,
        now: Instant,
        observers: &mut Observers<'_>,
        stragglers: &mut Stragglers,
    ) -> bool {
        while let Some(frame) = self.from.as_ref().and_then(|nic| nic.take_tx()) {
            self.send(now, frame, false, observers, stragglers);
        }
        self.settle(now);
        self.head_is_news()
    }

    /// Getter: there is a first in-order flight, and the world does not wait for one.
    fn head_is_news(&mut self) -> bool {
        let is_news = !self.head_is_known && !self.in_order.is_empty();
        self.head_is_known |= is_news;
        is_news
    }

    /// Input: as [`Lane::collect`], a frame that a switch or router sends.
    pub fn relay(
        &mut self,
        now: Instant,
        frame: SimFrame,
        observers: &mut Observers<'_>,
        stragglers: &mut Stragglers,
    ) -> bool {
        // What a NIC did not hand over comes from the path.
        self.send(now, frame, self.from.is_some(), observers, stragglers);
        self.head_is_news()
    }

    /// Command: tells the sending NIC how many of its ring's slots still wait for the wire.
    pub fn settle(&mut self, now: Instant) {
        if let Some(nic) = self.from.as_ref().filter(|_| self.physics.config().queue == Queue::Ring)
        {
            nic.occupy_tx(self.physics.waiting_at(now));
        }
    }

    fn send(
        &mut self,
        now: Instant,
        frame: SimFrame,
        injected: bool,
        observers: &mut Observers<'_>,
        stragglers: &mut Stragglers,
    ) {
        let Observers { hash, taps } = observers;
        hash.word(now.as_nanos());
        hash.word(self.id.0 as u64);
        hash.bytes(frame.bytes());
        let capable = is_markable(frame.bytes());
        let sent = self.physics.offer_packet(now, frame.bytes().len(), capable);
        self.scratch.clear();
        let (at, marked) = match sent {
            Sent::Arrives(at) => (at, false),
            Sent::ArrivesMarked(at) => (at, true),
            Sent::QueueFull | Sent::DroppedEarly => {
                hash.word(u64::MAX);
                let early = sent == Sent::DroppedEarly;
                let fate = if early { Fate::DroppedEarly } else { Fate::QueueFull };
                tell(taps, (now, self.id), injected, frame.bytes(), fate);
                return;
            }
        };
        self.frames_numbered += 1;
        let number = self.frames_numbered;
        let mut flight = Flight { at, number, frame };
        flight.frame.seal(number);
        // What taps see is what was sent, before any condition changes it.
        let changes = !self.conditions.is_empty();
        if changes {
            self.original.clear();
            self.original.extend_from_slice(flight.frame.bytes());
            if let Passage::Swallowed(by) = self.conditions.apply(now, flight.frame.bytes_mut()) {
                self.swallow(now, &flight, injected, by, taps);
                return;
            }
        }
        self.decider.decide(number, flight.frame.bytes(), &mut self.scratch);
        if marked && !self.scratch.contains(&Fault::Mark) {
            // Not a decision: the queue does the same whenever the run is repeated.
            let before = self.scratch.partition_point(|fault| *fault < Fault::Mark);
            self.scratch.insert(before, Fault::Mark);
        }
        if let Some(by) = self.conditions.late(flight.frame.bytes()) {
            self.scratch.push(Fault::Delay { by });
            self.scratch.sort_unstable();
        }
        let seen = if changes { self.original.as_slice() } else { flight.frame.bytes() };
        let fate = Fate::OnWire { number, faults: &self.scratch };
        tell(taps, (now, self.id), injected, seen, fate);
        let passes = if self.scratch.is_empty() {
            self.in_order.push_back(flight);
            true
        } else {
            self.launch(flight, stragglers)
        };
        if passes && !self.held.is_empty() {
            self.held.passed(at, stragglers);
        }
    }

    /// A condition keeps the frame.
    fn swallow(
        &mut self,
        now: Instant,
        flight: &Flight,
        injected: bool,
        by: Condition,
        taps: &mut [Box<dyn Tap>],
    ) {
        self.faults.dropped += 1;
        let fate = Fate::Swallowed { number: flight.number, by };
        tell(taps, (now, self.id), injected, &self.original, fate);
        if let Condition::Mtu { bytes, told: true } = by {
            let told = [IpAddr::V4(ROUTER_V4), IpAddr::V6(ROUTER_V6)].into_iter();
            let mut told =
                told.filter_map(|router| error(flight.frame.bytes(), router, Told::TooBig(bytes)));
            self.replies.extend(told.next().and_then(|bytes| flight.frame.sibling(&bytes)));
        }
    }

    /// Applies the decisions in `scratch` and puts what remains of the frame on its way. True where it passes those that are held.
    #[cold]
    fn launch(&mut self, mut flight: Flight, stragglers: &mut Stragglers) -> bool {
        let mut in_order = true;
        let (mut copy_after, mut hold) = (None, None);
        let faults = std::mem::take(&mut self.scratch);
        for &fault in &faults {
            match fault {
                Fault::Drop => {
                    self.faults.dropped += 1;
                    self.scratch = faults;
                    return false;
                }
                Fault::Hold { frames, at_most } => hold = Some((frames, at_most)),
                Fault::Meddle(meddling) => self.meddle(&mut flight, meddling),
                Fault::Delay { by } => {
                    self.faults.delayed += 1;
                    flight.at += by;
                    in_order = false;
                }
                Fault::Duplicate { after } => copy_after = Some(after),
                Fault::Corrupt { .. } => {
                    self.faults.corrupted += 1;
                    change(&mut flight.frame, fault);
                }
                Fault::Split { at } => {
                    let second = split(&mut flight.frame, at);
                    self.faults.changed += u64::from(second.is_some());
                    let follow = |frame| Flight { at: flight.at, number: flight.number, frame };
                    stragglers.extend(second.map(follow));
                }
                Fault::Forge(forgery) => {
                    let frames =
                        (0..).map_while(|index| forged(flight.frame.bytes(), forgery, index));
                    let frames = frames.filter_map(|bytes| flight.frame.sibling(&bytes));
                    let follow = |frame| Flight { at: flight.at, number: flight.number, frame };
                    let before = stragglers.len();
                    stragglers.extend(frames.map(follow));
                    self.faults.forged += (stragglers.len() - before) as u64;
                }
                _ => {
                    self.faults.changed += 1;
                    change(&mut flight.frame, fault);
                }
            }
        }
        self.scratch = faults;
        if let Some(after) = copy_after
            && let Some(frame) = flight.frame.duplicate()
        {
            self.faults.duplicated += 1;
            stragglers.push(Flight { at: flight.at + after, number: flight.number, frame });
        }
        if let Some((frames, at_most)) = hold {
            self.faults.delayed += 1;
            match self.held.hold(flight, frames, at_most) {
                Ok(()) => return false,
                Err(back) => flight = back,
            }
        }
        if in_order {
            self.in_order.push_back(flight);
        } else {
            stragglers.push(flight);
        }
        true
    }

    /// What a middlebox does with the frame and those in front of it.
    fn meddle(&mut self, flight: &mut Flight, meddling: Meddling) {
        match meddling {
            Meddling::Join { within } => {
                let bytes = flight.frame.bytes();
                let joins = |before: &mut Flight| join(&mut before.frame, bytes, within);
                if let Some(before) = self.in_order.pop_back_if(joins) {
                    self.faults.changed += 1;
                    flight.frame = before.frame;
                }
            }
            Meddling::Thin => {
                let bytes = flight.frame.bytes();
                let is_old = |before: &mut Flight| supersedes(bytes, before.frame.bytes());
                if self.in_order.pop_back_if(is_old).is_some() {
                    self.faults.dropped += 1;
                }
            }
            Meddling::Divide { parts, bytes } => {
                let (at, number) = (flight.at, flight.number);
                let parts = divided(&flight.frame, parts, bytes);
                self.faults.changed += u64::from(!parts.is_empty());
                self.in_order.extend(parts.into_iter().map(|frame| Flight { at, number, frame }));
            }
        }
    }

    /// Output: the next in-order flight that has arrived by `now`.
    pub fn poll_arrival(&mut self, now: Instant) -> Option<Flight> {
        let flight = self.in_order.pop_front_if(|flight| flight.at <= now);
        // Whoever got one asks again: what is sent in between is found then.
        self.head_is_known &= !self.in_order.is_empty() || flight.is_some();
        flight
    }

    /// Output: when a frame is no longer held that was not held at the last call: [`Lane::poll_due`] has it then, if it waits still.
    pub fn poll_deadline(&mut self) -> Option<Instant> {
        self.held.poll_deadline()
    }

    /// Output: the next frame that was held for as long as it may be.
    pub fn poll_due(&mut self, now: Instant) -> Option<Flight> {
        self.held.poll_due(now)
    }

    /// Getter: when the next in-order flight arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.in_order.front().map(|flight| flight.at)
    }

    /// Output: the next frame that a router tells the sender: it goes on the direction back.
    pub fn poll_reply(&mut self) -> Option<SimFrame> {
        self.replies.pop()
    }

    /// Input: a flight of this direction is at the far end. Gives the frame back where a switch or router stands there.
    pub fn deliver(
        &mut self,
        now: Instant,
        mut flight: Flight,
        observers: &mut Observers<'_>,
    ) -> Option<SimFrame> {
        let Observers { hash, taps } = observers;
        hash.word(now.as_nanos());
        hash.word((self.id.0 as u64) << 48 ^ flight.number);
        self.faults.arrived += 1;
        let delivery = match &self.to {
            Sink::Nic(nic) => nic.inspect(now, &mut flight.frame),
            Sink::Relay => Delivery::Received,
        };
        let (number, bytes) = (flight.number, flight.frame.bytes());
        for tap in taps.iter_mut() {
            if flight.frame.is_sealed(number) {
                tap.arrived_as_sent(now, self.id, number, bytes, delivery);
            } else {
                tap.arrived(now, self.id, number, bytes, delivery);
            }
        }
        match &self.to {
            Sink::Relay => return Some(flight.frame),
            Sink::Nic(nic) => {
                if nic.deliver(flight.frame).is_err() {
                    self.faults.ring_full += 1;
                }
            }
        }
        None
    }

    /// Command: a condition begins.
    pub fn begin(&mut self, now: Instant, condition: Condition) {
        self.conditions.begin(now, condition);
        self.physics.override_with(self.conditions.rate_bps(), self.conditions.delay());
    }

    /// Command: a condition ends.
    pub fn end(&mut self, condition: Condition) {
        self.conditions.end(condition);
        self.physics.override_with(self.conditions.rate_bps(), self.conditions.delay());
    }

    /// Command: no frame suffers from here on.
    pub fn heal(&mut self) {
        self.decider.heal();
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

    /// Getter: frames at the far end that the host has not taken yet; 0 where a switch or router stands there.
    pub fn waiting(&self) -> usize {
        match &self.to {
            Sink::Nic(nic) => nic.rx_waiting(),
            Sink::Relay => 0,
        }
    }

    /// Getter: when the host at the far end is told of the frames that lie in its ring, where that is later.
    pub fn shows_at(&self) -> Option<Instant> {
        match &self.to {
            Sink::Nic(nic) => nic.shows_at(),
            Sink::Relay => None,
        }
    }

    /// Getter: frames that keep the order and are under way.
    pub fn under_way(&self) -> usize {
        self.in_order.len()
    }

    /// Output: adds the decisions executed so far to `plan`.
    pub fn record_into(&self, plan: &mut FaultPlan) {
        self.decider.record_into(&self.name, plan);
    }
}

/// Tells everybody who watches that a frame goes onto the link; `injected`: not from the host at its beginning.
fn tell(
    taps: &mut [Box<dyn Tap>],
    (at, direction): (Instant, DirectionId),
    injected: bool,
    frame: &[u8],
    fate: Fate<'_>,
) {
    for tap in taps {
        if injected {
            tap.injected(at, direction, frame, fate);
        } else {
            tap.sent(at, direction, frame, fate);
        }
    }
}

/// Changes the bytes of a frame.
fn change(frame: &mut SimFrame, fault: Fault) {
    match fault {
        // A second error could cancel the first, as far as a checksum of 16 bits can tell; switches drop what is damaged (IEEE 802.3 3.2.9).
        Fault::Corrupt { .. } if is_damaged(frame.bytes()) => {}
        Fault::Corrupt { offset, mask, repaired } => {
            if let Some(byte) = frame.bytes_mut().get_mut(offset as usize) {
                *byte ^= mask;
            }
            if repaired {
                repair(frame.bytes_mut());
            }
        }
        Fault::Truncate { len } => {
            let len = (len as usize).min(frame.bytes().len());
            frame.set_len(len);
        }
        Fault::Pad { bytes } => {
            let len = frame.bytes().len() + bytes as usize;
            frame.set_len(len);
        }
        Fault::Mark => {
            set_ecn(frame.bytes_mut(), 3);
        }
        Fault::Bleach => {
            set_ecn(frame.bytes_mut(), 0);
        }
        Fault::Strip(option) => strip(frame.bytes_mut(), option),
        Fault::Drop
        | Fault::Delay { .. }
        | Fault::Duplicate { .. }
        | Fault::Hold { .. }
        | Fault::Split { .. }
        | Fault::Meddle(_)
        | Fault::Forge(_) => {}
    }
}

/// Cuts a segment behind `at` bytes of payload; the second part, which has the FIN and the PSH.
fn split(frame: &mut SimFrame, at: u32) -> Option<SimFrame> {
    let place = Place::of(frame.bytes()).filter(|_| is_sound(frame.bytes()))?;
    let at = at as usize;
    if at == 0 || at >= place.payload_len() || place.flags & (Place::SYN | Place::RST) != 0 {
        return None;
    }
    let mut second = frame.duplicate()?;
    let bytes = second.bytes_mut();
    bytes.copy_within(place.payload + at..place.end, place.payload);
    let seq = place.seq.wrapping_add(at as u32);
    bytes[place.tcp + 4..place.tcp + 8].copy_from_slice(&seq.to_be_bytes());
    set_len(bytes, place.end - at);
    second.set_len(place.end - at);
    repair(second.bytes_mut());
    let first = frame.bytes_mut();
    first[place.tcp + 13] &= !(Place::FIN | Place::PSH);
    set_len(first, place.payload + at);
    frame.set_len(place.payload + at);
    repair(frame.bytes_mut());
    Some(second)
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
