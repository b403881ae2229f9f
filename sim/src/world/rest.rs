//! Quiescent points: nothing is under way, and nobody waits for anything but news.

use causeway_core::time::{Duration, Instant};

use super::build::HostId;
use super::run::Stop;
use super::state::World;

/// A leap of the clock beyond this is a reason to ask whether anything is still to come.
const LEAP: Duration = Duration::from_secs(1);

/// A socket of a host, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its own port and its peer's.
    pub ports: [u16; 2],
    /// Everything that its program wrote is acknowledged: only what the peer says brings it on.
    pub is_waiting: bool,
    /// What it is, its state, and what it waits for.
    pub words: String,
}

impl World {
    /// Getter: no frame, fault or guest is under way, and every host has either no deadline at all or one that brings no flow on.
    pub fn is_at_rest(&self) -> bool {
        let rests = |(index, host): (usize, &super::state::Host)| {
            self.queue.alarm(index).is_none() || host.engine.is_at_rest(host.clock.shows(self.now))
        };
        !self.queue.has_events() && self.hosts.iter().enumerate().all(rests)
    }

    /// Command: as [`World::run_while`], but ends at the first quiescent point as well, as [`Stop::Idle`]. Looked for where the clock is
    /// about to leap.
    pub fn run_to_rest(&mut self, until: Instant, going: impl Fn() -> bool) -> Stop {
        while going() {
            let Some(at) = self.queue.next_at() else { return Stop::Idle };
            if at > self.now + LEAP && self.is_at_rest() {
                return Stop::Idle;
            }
            // Only guests fail, where their ends are not told.
            if at > until || self.advance(until).is_err() {
                return Stop::TimeUp;
            }
        }
        Stop::Told
    }

    /// What a host holds, against what it may.
    pub(super) fn look_at_bounds(&mut self, id: HostId) {
        if self.overrun.is_none()
            && let Some(words) = self.hosts[id.0].engine.beyond_bounds()
        {
            self.overrun = Some((self.now, id, words));
        }
    }

    /// Getter: the first host that held more than it may, when, and what (oracle O8).
    pub const fn overrun(&self) -> Option<&(Instant, HostId, String)> {
        self.overrun.as_ref()
    }

    /// Output: the sockets of every host, each with the host.
    pub fn describe(&self) -> Vec<(HostId, Described)> {
        let hosts = self.hosts.iter().enumerate();
        let each = hosts.flat_map(|(index, host)| {
            let sockets = host.engine.describe();
            sockets.into_iter().map(move |described| (HostId(index), described))
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{HostEngine, WorldConfig};
    use super::*;
    use crate::fault::FaultPlan;

    /// Wakes once an hour; says whether that is for anything.
    struct Sleeper {
        rests: bool,
        holds: u64,
    }

    impl HostEngine for Sleeper {
        fn step(&mut self, now: Instant) -> Option<Instant> {
            self.holds += 1;
            Some(now + Duration::from_secs(3_600))
        }

        fn beyond_bounds(&self) -> Option<String> {
            (self.holds > 100).then(|| format!("{} steps, and 100 are the most", self.holds))
        }

        fn is_at_rest(&self, _: Instant) -> bool {
            self.rests
        }
    }

    fn world(rests: [bool; 2]) -> World {
        let mut world = World::new(WorldConfig::new(1));
        for (name, rests) in ["a", "b"].into_iter().zip(rests) {
            world.add_host(name, Box::new(Sleeper { rests, holds: 0 }), Arc::default());
        }
        world
    }

    #[test]
    fn a_quiescent_point_is_found_long_before_the_time_is_up() {
        let day = Instant::ZERO + Duration::from_secs(86_400);
        let mut still = world([true, true]);
        assert_eq!(still.run_to_rest(day, || true), Stop::Idle);
        assert_eq!(still.now(), Instant::ZERO);
        assert_eq!(world([true, false]).run_to_rest(day, || true), Stop::TimeUp);
        assert_eq!(world([true, true]).run_to_rest(day, || false), Stop::Told);
    }

    #[test]
    fn a_host_that_holds_too_much_is_found_while_it_runs() {
        let mut world = world([false, false]);
        let after = |hours: u64| Instant::ZERO + Duration::from_secs(3_600 * hours);
        world.run_while(after(90), || true);
        assert_eq!(world.overrun(), None);
        world.run_while(after(200), || true);
        let (at, _, words) = world.overrun().expect("it is looked at");
        assert!(*at >= after(100) && *at < after(150), "{at}");
        assert!(words.ends_with("steps, and 100 are the most"), "{words}");
    }

    #[test]
    fn what_is_still_to_be_executed_is_waited_for() {
        let mut world = world([true, true]);
        let plan: FaultPlan = "causeway fault plan 2\npause a 1s..100s\n".parse().expect("a plan");
        world.add_spans(&plan).expect("a is there");
        let day = Instant::ZERO + Duration::from_secs(86_400);
        assert_eq!(world.run_to_rest(day, || true), Stop::Idle);
        assert_eq!(
            world.now(),
            Instant::ZERO + Duration::from_secs(100),
            "the end of the pause is news"
        );
    }
}
