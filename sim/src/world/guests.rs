//! Turns of guests, their ends, and what a crash of their host does to them.

use causeway_core::time::{Duration, Instant};

use super::build::HostId;
use super::clock::HostClock;
use super::error::{RunError, Waiting};
use super::state::{Happening, Host, World};
use crate::guest::{Guest, GuestId, GuestState, Moment, Outcome, Program};

/// Makes a program again, for the next start of its host.
pub type Again = Box<dyn Fn() -> Program>;

/// The clock that the guests of a host see.
#[derive(Clone, Copy)]
struct GuestClock {
    clock: HostClock,
    /// So far is it ahead of that one.
    ahead: Duration,
}

impl GuestClock {
    fn shows(self, at: Instant) -> Instant {
        let nanos = self.clock.shows(at).as_nanos().saturating_add(self.ahead.as_nanos());
        Instant::from_nanos(nanos)
    }

    /// The true time at which it shows `shown`.
    fn truth(self, shown: Instant) -> Instant {
        let nanos = shown.as_nanos().saturating_sub(self.ahead.as_nanos());
        self.clock.truth(Instant::from_nanos(nanos))
    }
}

impl World {
    /// Command: a guest whose program is started again when its host comes back from a crash that ended it.
    ///
    /// # Errors
    /// As [`World::add_guest`].
    pub fn add_lasting_guest(
        &mut self,
        host: HostId,
        name: &str,
        starts_at: Instant,
        again: Again,
    ) -> std::io::Result<GuestId> {
        let id = self.add_guest(host, name, starts_at, again())?;
        self.again[id.0] = Some(again);
        Ok(id)
    }

    /// Command: every guest that is not over is ended: its process is killed; its thread is told that the daemon is gone, and
    /// given up if it goes on for long.
    pub fn end_guests(&mut self) {
        for index in 0..self.guests.len() {
            if !self.guests[index].is_over() {
                self.kill_guest(GuestId(index));
                self.release_channels(GuestId(index));
            }
        }
    }

    pub(super) fn wake_guests_of(&mut self, id: HostId) {
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
    pub(super) fn run_guest(&mut self, id: GuestId, epoch: u64) -> Result<(), RunError> {
        let guest = &mut self.guests[id.0];
        if guest.is_over() || guest.epoch() != epoch {
            return Ok(());
        }
        let host = guest.host();
        let paused_until = self.hosts[host.0].paused_until;
        if paused_until > self.now {
            self.queue.push(paused_until, Happening::GuestRuns(id, epoch));
            return Ok(());
        }
        self.stats.guest_turns += 1;
        self.hash.word(self.now.as_nanos());
        self.hash.word(!(id.0 as u64));
        // Nothing else happens before the next event: until then the guest's calls need no turn.
        let quiet_until = self.queue.next_at().unwrap_or(self.config.end_at);
        let Host { clock, clock_ahead: ahead, engine, .. } = &mut self.hosts[host.0];
        let clock = GuestClock { clock: *clock, ahead: *ahead };
        let moment = Moment {
            now: clock.shows(self.now),
            quiet_until: clock.shows(quiet_until),
            wall_ahead: clock.clock.wall_ahead(),
        };
        let turn = match guest.run(moment, engine.as_mut(), self.config.guest_wall_limit) {
            Ok(turn) => turn,
            Err(RunError::GuestStuck { call, .. }) if self.config.tells_ends => {
                self.guests[id.0].kill();
                return self.guest_over(id, Outcome::Stuck(call));
            }
            Err(error) => return Err(error),
        };
        let epoch = guest.epoch();
        let at = clock.truth(turn.at);
        self.now = self.now.max(at);
        self.hash.word(at.as_nanos());
        self.hash.word(turn.calls);
        if self.hosts[host.0].bells.take_host_rung() {
            self.wake_host(host, at);
        }
        if let GuestState::Over(outcome) = turn.state {
            return self.guest_over(id, outcome);
        }
        self.plan_turn(id, epoch, &turn.state);
        self.wake_guests_of(host);
        Ok(())
    }

    /// The guest runs when its clock shows what it waits for.
    fn plan_turn(&mut self, id: GuestId, epoch: u64, state: &GuestState) {
        let shown = match state {
            GuestState::Pausing { until } => Some(*until),
            GuestState::Waiting { deadline } => *deadline,
            GuestState::Over(_) => None,
        };
        if let Some(shown) = shown {
            let host = &self.hosts[self.guests[id.0].host().0];
            let clock = GuestClock { clock: host.clock, ahead: host.clock_ahead };
            let at = clock.truth(shown).max(self.now);
            self.queue.push(at, Happening::GuestRuns(id, epoch));
        }
    }

    fn guest_over(&mut self, id: GuestId, outcome: Outcome) -> Result<(), RunError> {
        if self.config.tells_ends {
            self.tell_end(id, &outcome);
        } else {
            self.fail_for(id, outcome)?;
        }
        self.release_channels(id);
        Ok(())
    }

    fn tell_end(&mut self, id: GuestId, outcome: &Outcome) {
        let guest = &self.guests[id.0];
        for tap in &mut self.taps {
            tap.program_ended(self.now, guest.host(), guest.name(), outcome);
        }
    }

    fn release_channels(&mut self, id: GuestId) {
        let host = self.guests[id.0].host();
        self.hosts[host.0].engine.detach(id);
        self.wake_host(host, self.now);
    }

    fn fail_for(&self, id: GuestId, outcome: Outcome) -> Result<(), RunError> {
        let guest = &self.guests[id.0];
        let (call, guest) = (guest.last_call(), guest.name().to_owned());
        Err(match outcome {
            Outcome::Exit(0) | Outcome::Killed => return Ok(()),
            Outcome::Exit(code) => RunError::GuestFailed { guest, code },
            Outcome::Panicked(message) => RunError::GuestPanicked { guest, message },
            Outcome::Signal(signal) => RunError::GuestKilled { guest, signal, call },
            Outcome::Denied(what) => RunError::GuestDenied { guest, what },
            Outcome::Stuck(call) => RunError::GuestStuck { guest, call },
        })
    }

    fn kill_guest(&mut self, id: GuestId) {
        self.guests[id.0].kill();
        self.tell_end(id, &Outcome::Killed);
    }

    /// A host loses its power: its programs that have begun are gone.
    pub(super) fn crash_guests(&mut self, host: HostId) {
        for index in 0..self.guests.len() {
            let guest = &self.guests[index];
            if guest.host() == host && guest.epoch() > 0 && !guest.is_over() {
                self.kill_guest(GuestId(index));
                self.hosts[host.0].crashed.push(GuestId(index));
            }
        }
    }

    /// The host is back: what is to run again does.
    pub(super) fn restart_guests(&mut self, host: HostId) {
        for id in std::mem::take(&mut self.hosts[host.0].crashed) {
            let Some(again) = self.again[id.0].take() else { continue };
            let name = self.guests[id.0].name().to_owned();
            match self.add_lasting_guest(host, &name, self.now, again) {
                Ok(_) => {}
                Err(error) => {
                    let outcome = Outcome::Denied(format!("it cannot be started again: {error}"));
                    self.tell_end(id, &outcome);
                }
            }
        }
    }

    /// A host's clock has jumped: what its guests wait for may have come.
    pub(super) fn advance_guests(&mut self, host: HostId, by: Duration) {
        let ahead = &mut self.hosts[host.0].clock_ahead;
        *ahead = Duration::from_nanos(ahead.as_nanos().saturating_add(by.as_nanos()));
        self.plan_turns(host);
    }

    /// A host's clock runs otherwise, or has jumped: what its guests wait for comes at another time.
    pub(super) fn plan_turns(&mut self, host: HostId) {
        for index in 0..self.guests.len() {
            let guest = &mut self.guests[index];
            if guest.host() == host
                && guest.epoch() > 0
                && !guest.is_over()
                && let Some(epoch) = guest.renew()
            {
                let state = guest.state().clone();
                self.plan_turn(GuestId(index), epoch, &state);
            }
        }
    }

    pub(super) fn waiting(&self) -> Vec<Waiting> {
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

    /// Getter: the guests that are not over, and what each is doing.
    pub fn unfinished_guests(&self) -> Vec<Waiting> {
        self.waiting()
    }

    /// Getter: true when every guest is over.
    pub(super) fn guests_are_over(&self) -> bool {
        self.guests.iter().all(Guest::is_over)
    }
}
