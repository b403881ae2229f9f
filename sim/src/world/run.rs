//! The event loop.

use causeway_core::time::{Duration, Instant};

use super::build::HostId;
use super::error::{RunError, Waiting};
use super::state::{Happening, Target, World};
use crate::frame::SimFrame;
use crate::guest::{Guest, GuestId, GuestState, Outcome};
use crate::link::Flight;
use crate::tap::DirectionId;

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
            if self.guests.iter().all(Guest::is_over) {
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
    /// without guests.
    pub fn run_while(&mut self, until: Instant, going: impl Fn() -> bool) -> Stop {
        while going() {
            match self.queue.next_at() {
                None => return Stop::Idle,
                Some(at) if at > until => return Stop::TimeUp,
                Some(_) => {}
            }
            // Only guests fail.
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

    /// Getter: what is left of connections and frames on each host, in words; empty where nothing is.
    pub fn leftovers(&self) -> String {
        let hosts = self.hosts.iter().filter_map(|host| {
            let left = host.engine.leftovers();
            (!left.is_empty()).then(|| format!("host {} has {left}", host.name))
        });
        hosts.collect::<Vec<_>>().join(", ")
    }

    /// Handles one event.
    fn advance(&mut self, end_at: Instant) -> Result<(), RunError> {
        let Some((at, sequence, happening)) = self.queue.pop() else {
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
        match happening {
            Happening::HostStep(id) => self.step_host(id, sequence),
            Happening::LaneHead(id) => self.lane_head(id),
            Happening::Straggler(id, slot) => self.straggler(id, slot),
            Happening::Edge(index) => self.edge(index),
            Happening::GuestRuns(id, epoch) => return self.run_guest(id, epoch),
        }
        Ok(())
    }

    fn step_host(&mut self, id: HostId, sequence: u64) {
        let now = self.now;
        let host = &mut self.hosts[id.0];
        if host.scheduled.is_none_or(|(_, scheduled)| scheduled != sequence) {
            return;
        }
        host.scheduled = None;
        if let Some(nanos) = host.late.roll() {
            self.postpone(id, Duration::from_nanos(nanos));
            return;
        }
        self.stats.host_steps += 1;
        self.hash.word(now.as_nanos());
        self.hash.word(id.0 as u64);
        for index in 0..self.hosts[id.0].sends_on.len() {
            let lane = self.hosts[id.0].sends_on[index];
            self.lanes[lane.0].settle(now);
        }
        let host = &mut self.hosts[id.0];
        let next = host.engine.step(now);
        host.free_at = now + self.config.poll_interval.max(Duration::from_nanos(1));
        while let Some(event) = host.engine.poll_event() {
            for tap in &mut self.taps {
                tap.event(id, &event);
            }
        }
        for index in 0..self.hosts[id.0].sends_on.len() {
            self.collect(self.hosts[id.0].sends_on[index]);
        }
        if let Some(at) = next {
            self.wake_host(id, at);
        }
        self.wake_guests_of(id);
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
        let mut reply = lane.poll_reply();
        while let Some(flight) = self.stragglers.pop() {
            let at = flight.at;
            let slot = self.park(flight);
            self.queue.push(at, Happening::Straggler(id, slot));
        }
        while let Some(frame) = reply {
            self.relay(DirectionId(id.0 ^ 1), frame);
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

    fn lane_head(&mut self, id: DirectionId) {
        while let Some(flight) = self.lanes[id.0].poll_arrival(self.now) {
            self.deliver(id, flight);
        }
        if let Some(at) = self.lanes[id.0].next_arrival() {
            self.queue.push(at, Happening::LaneHead(id));
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
            (Target::Host(host), _) => self.wake_host(host, now),
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

    fn wake_guests_of(&mut self, id: HostId) {
        while let Some(guest) = self.hosts[id.0].bells.take_rung() {
            self.wake_guest(guest);
        }
    }

    fn wake_guest(&mut self, id: GuestId) {
        let at = self.now + self.config.wake_latency;
        if let Some(guest) = self.guests.get_mut(id.0)
            && let Some(epoch) = guest.wake()
        {
            self.queue.push(at, Happening::GuestRuns(id, epoch));
        }
    }

    /// Gives a guest its turn, then does what it asks.
    fn run_guest(&mut self, id: GuestId, epoch: u64) -> Result<(), RunError> {
        let guest = &mut self.guests[id.0];
        if guest.is_over() || guest.epoch() != epoch {
            return Ok(());
        }
        self.stats.guest_turns += 1;
        self.hash.word(self.now.as_nanos());
        self.hash.word(!(id.0 as u64));
        let host = guest.host();
        // Nothing else happens before the next event: until then the guest's calls need no turn.
        let quiet_until = self.queue.next_at().unwrap_or(self.config.end_at);
        let engine = &mut self.hosts[host.0].engine;
        let turn =
            guest.run(self.now, quiet_until, engine.as_mut(), self.config.guest_wall_limit)?;
        let epoch = guest.epoch();
        self.now = self.now.max(turn.at);
        self.hash.word(turn.at.as_nanos());
        self.hash.word(turn.calls);
        if self.hosts[host.0].bells.take_host_rung() {
            self.wake_host(host, turn.at);
        }
        match turn.state {
            GuestState::Pausing { until } => {
                self.queue.push(until, Happening::GuestRuns(id, epoch));
            }
            GuestState::Waiting { deadline: Some(at) } => {
                self.queue.push(at.max(self.now), Happening::GuestRuns(id, epoch));
            }
            GuestState::Waiting { deadline: None } => {}
            GuestState::Over(outcome) => return self.guest_over(id, outcome),
        }
        self.wake_guests_of(host);
        Ok(())
    }

    fn guest_over(&mut self, id: GuestId, outcome: Outcome) -> Result<(), RunError> {
        let guest = &self.guests[id.0];
        let (host, name) = (guest.host(), guest.name().to_owned());
        match outcome {
            Outcome::Exit(0) => {}
            Outcome::Exit(code) => return Err(RunError::GuestFailed { guest: name, code }),
            Outcome::Panicked(message) => {
                return Err(RunError::GuestPanicked { guest: name, message });
            }
            Outcome::Signal(signal) => {
                let call = guest.last_call();
                return Err(RunError::GuestKilled { guest: name, signal, call });
            }
            Outcome::Denied(what) => return Err(RunError::GuestDenied { guest: name, what }),
        }
        self.hosts[host.0].engine.detach(id);
        self.wake_host(host, self.now);
        Ok(())
    }

    fn waiting(&self) -> Vec<Waiting> {
        let unfinished = self.guests.iter().filter(|guest| !guest.is_over());
        unfinished
            .map(|guest| Waiting {
                guest: guest.name().to_owned(),
                host: self.hosts[guest.host().0].name.clone(),
                call: guest.last_call(),
                state: guest.state_in_words(),
            })
            .collect()
    }
}
