//! The event loop.

use causeway_core::time::{Duration, Instant};

use super::build::HostId;
use super::error::RunError;
use super::state::{Happening, Target, World};
use crate::frame::SimFrame;
use crate::link::Flight;
use crate::queue::Due;
use crate::tap::DirectionId;

/// One iteration of all hosts' in so many is followed by a look at what its host holds.
const STEPS_PER_LOOK: u64 = 32;

/// Why [`World::run_while`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was told to.
    Told,
    /// No event is left.
    Idle,
    /// The time is over.
    TimeUp,
}

impl World {
    /// Command: runs until every guest is over.
    ///
    /// # Errors
    /// [`RunError`]: a guest failed, or cannot finish.
    pub fn run(&mut self) -> Result<(), RunError> {
        while !self.run_some(u64::MAX)? {}
        Ok(())
    }

    /// Command: as [`World::run`], but returns after `events` of them. True when every guest is over: for
    /// showing progress.
    ///
    /// # Errors
    /// As [`World::run`].
    pub fn run_some(&mut self, events: u64) -> Result<bool, RunError> {
        for _ in 0..events {
            if self.guests_are_over() {
                return Ok(true);
            }
            self.advance(self.config.end_at)?;
        }
        Ok(false)
    }

    /// Command: runs until the virtual clock shows `until`, whether guests are over or not. What is in
    /// flight goes on its way: for the time after the last guest.
    ///
    /// # Errors
    /// [`RunError`]: a guest failed.
    pub fn run_until(&mut self, until: Instant) -> Result<(), RunError> {
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.advance(until)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Command: runs until `going` says no, until nothing is left to happen, or until the virtual clock would pass `until`. For worlds
    /// without guests, or with guests whose ends are told ([`crate::world::WorldConfig::tells_ends`]).
    pub fn run_while(&mut self, until: Instant, going: impl Fn() -> bool) -> Stop {
        while going() {
            match self.queue.next_at() {
                None => return Stop::Idle,
                Some(at) if at > until => return Stop::TimeUp,
                Some(_) => {}
            }
            // Only guests fail, where their ends are not told.
            if self.advance(until).is_err() {
                return Stop::TimeUp;
            }
        }
        Stop::Told
    }

    /// Command: the programs of every host that are no guests are over.
    pub fn end_programs(&mut self) {
        for index in 0..self.hosts.len() {
            self.hosts[index].engine.end_programs();
            self.wake_host(HostId(index), self.now);
        }
    }

    /// Getter: the hosts on which something is left of connections and frames, each with what that is, in words.
    pub fn leftovers(&self) -> Vec<(HostId, String)> {
        let hosts = self.hosts.iter().enumerate().filter_map(|(index, host)| {
            let left = host.engine.leftovers();
            (!left.is_empty()).then(|| (HostId(index), format!("host {} has {left}", host.name)))
        });
        hosts.collect()
    }

    /// Handles one event.
    pub(super) fn advance(&mut self, end_at: Instant) -> Result<(), RunError> {
        let Some((at, due)) = self.queue.pop() else {
            return Err(RunError::Deadlock { at: self.now, waiting: self.waiting() });
        };
        if at > end_at {
            return Err(RunError::TooLong { at: end_at, waiting: self.waiting() });
        }
        if self.stats.events >= self.config.events_max {
            let (at, events) = (self.now, self.stats.events);
            return Err(RunError::TooManyEvents { at, events, waiting: self.waiting() });
        }
        self.stats.events += 1;
        self.now = at;
        match due {
            Due::Alarm(host) => self.step_host(HostId(host)),
            Due::Event(Happening::LaneHead(id)) => self.lane_head(id, end_at),
            Due::Event(Happening::Straggler(id, slot)) => self.straggler(id, slot),
            Due::Event(Happening::HeldIsDue(id)) => {
                while let Some(flight) = self.lanes[id.0].poll_due(at) {
                    self.deliver(id, flight);
                }
            }
            Due::Event(Happening::Edge(index)) => self.edge(index),
            Due::Event(Happening::GuestRuns(id, epoch)) => return self.run_guest(id, epoch),
        }
        Ok(())
    }

    fn step_host(&mut self, id: HostId) {
        let now = self.now;
        let host = &mut self.hosts[id.0];
        if let Some(nanos) = host.late.roll() {
            self.postpone(id, Duration::from_nanos(nanos));
            return;
        }
        self.stats.host_steps += 1;
        self.hash.word(now.as_nanos());
        self.hash.word(id.0 as u64);
        self.waiting.clear();
        for index in 0..self.hosts[id.0].sends_on.len() {
            let lane = self.hosts[id.0].sends_on[index];
            self.lanes[lane.0].settle(now);
            self.waiting.push(self.lanes[lane.back().0].waiting());
        }
        self.hosts[id.0].nics.iter().for_each(|nic| nic.set_now(now));
        let clock = self.hosts[id.0].clock;
        let next = self.hosts[id.0].engine.step(clock.shows(now)).map(|at| clock.truth(at));
        if self.stats.host_steps.is_multiple_of(STEPS_PER_LOOK) {
            self.look_at_bounds(id);
        }
        self.tell_taken(id);
        let host = &mut self.hosts[id.0];
        host.free_at = now + self.config.poll_interval.max(Duration::from_nanos(1));
        while let Some(mut event) = host.engine.poll_event() {
            event.at = clock.truth(event.at);
            for tap in &mut self.taps {
                tap.event(id, &event);
            }
        }
        for index in 0..self.hosts[id.0].sends_on.len() {
            self.collect(self.hosts[id.0].sends_on[index]);
        }
        let shown = self.hosts[id.0].nics.iter().filter_map(|nic| nic.shows_at()).min();
        if let Some(at) = next.into_iter().chain(shown).min() {
            self.wake_host(id, at);
        }
        self.wake_guests_of(id);
    }

    /// Tells the taps what the host took from its receive rings: it has as much less than before its iteration.
    fn tell_taken(&mut self, id: HostId) {
        let Self { hosts, lanes, taps, waiting, now, .. } = self;
        for (lane, before) in hosts[id.0].sends_on.iter().zip(waiting) {
            let direction = lane.back();
            let frames = *before - lanes[direction.0].waiting();
            if frames > 0 {
                taps.iter_mut().for_each(|tap| tap.taken(*now, direction, frames));
            }
        }
    }

    /// The host's iteration comes later than it should.
    #[cold]
    fn postpone(&mut self, id: HostId, by: Duration) {
        let at = self.now + by.max(Duration::from_nanos(1));
        self.hosts[id.0].free_at = at;
        self.wake_host(id, at);
    }

    /// Takes what a host just sent on one direction.
    fn collect(&mut self, id: DirectionId) {
        let now = self.now;
        let (lanes, mut observers, stragglers) = self.observed();
        let fresh = lanes[id.0].collect(now, &mut observers, stragglers);
        self.sent(id, fresh);
    }

    /// A frame that a switch or router sends.
    fn relay(&mut self, id: DirectionId, frame: SimFrame) {
        let now = self.now;
        let (lanes, mut observers, stragglers) = self.observed();
        let fresh = lanes[id.0].relay(now, frame, &mut observers, stragglers);
        self.sent(id, fresh);
    }

    /// Something was sent on a direction. `fresh`: its first in-order frame is new.
    fn sent(&mut self, id: DirectionId, fresh: bool) {
        let lane = &mut self.lanes[id.0];
        if fresh && let Some(at) = lane.next_arrival() {
            self.queue.push(at, Happening::LaneHead(id));
        }
        while let Some(at) = lane.poll_deadline() {
            self.queue.push(at, Happening::HeldIsDue(id));
        }
        let mut reply = lane.poll_reply();
        while let Some(flight) = self.stragglers.pop() {
            let at = flight.at;
            let slot = self.park(flight);
            self.queue.push(at, Happening::Straggler(id, slot));
        }
        while let Some(frame) = reply {
            self.relay(id.back(), frame);
            reply = self.lanes[id.0].poll_reply();
        }
    }

    fn park(&mut self, flight: Flight) -> usize {
        match self.late_free.pop() {
            Some(slot) => {
                self.late[slot] = Some(flight);
                slot
            }
            None => {
                self.late.push(Some(flight));
                self.late.len() - 1
            }
        }
    }

    /// The first in-order frame of a direction arrives, and all behind it that arrive before anything else happens: each is an event,
    /// without a way through the queue.
    fn lane_head(&mut self, id: DirectionId, end_at: Instant) {
        loop {
            while let Some(flight) = self.lanes[id.0].poll_arrival(self.now) {
                self.deliver(id, flight);
            }
            let Some(at) = self.lanes[id.0].next_arrival() else { return };
            let is_next = self.queue.next_at().is_none_or(|other| at < other);
            if !is_next || at > end_at || self.stats.events >= self.config.events_max {
                self.queue.push(at, Happening::LaneHead(id));
                return;
            }
            self.stats.events += 1;
            self.now = at;
        }
    }

    fn straggler(&mut self, id: DirectionId, slot: usize) {
        if let Some(flight) = self.late[slot].take() {
            self.late_free.push(slot);
            self.deliver(id, flight);
        }
    }

    fn deliver(&mut self, id: DirectionId, flight: Flight) {
        let now = self.now;
        let (lanes, mut observers, _) = self.observed();
        let passed_on = lanes[id.0].deliver(now, flight, &mut observers);
        match (self.lane_targets[id.0], passed_on) {
            (Target::Host(host), _) => {
                let at = self.lanes[id.0].shows_at().unwrap_or(now);
                self.wake_host(host, at);
            }
            (Target::Relay(relay, port), Some(frame)) => {
                let mut out = std::mem::take(&mut self.relayed);
                self.relays[relay.0].relay.handle(now, port, frame, &mut out);
                for (port, frame) in out.drain(..) {
                    self.relay(self.relays[relay.0].ports[port], frame);
                }
                self.relayed = out;
            }
            (Target::Relay(..), None) => {}
        }
    }
}
