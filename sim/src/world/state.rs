//! The world's parts, and how they are put together.

use std::rc::Rc;
use std::sync::Arc;

use causeway_core::time::Instant;

use super::build::{HostEngine, HostId, WorldConfig};
use crate::fault::{FaultPlan, FaultSource};
use crate::guest::{Bells, Guest, GuestId, Program};
use crate::hash::RollingHash;
use crate::link::{Decider, Flight, Lane, LinkConfig, Stragglers};
use crate::nic::NicPort;
use crate::queue::EventQueue;
use crate::tap::{DirectionId, Tap};

/// The random streams of link directions begin here; other entities have other ranges.
const ENTITY_DIRECTION: u64 = 0x0100_0000;

/// What can happen next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// A host's loop runs once.
    HostStep(HostId),
    /// The first in-order frame of a direction arrives.
    LaneHead(DirectionId),
    /// A held-back frame or a second copy arrives: its slot.
    Straggler(DirectionId, usize),
    /// A guest's pause or wait ends. The second number makes entries of earlier waits void.
    GuestRuns(GuestId, u64),
}

/// A host of the world.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) engine: Box<dyn HostEngine>,
    /// When it is to step, with the entry's sequence number: entries with another are void.
    pub(super) scheduled: Option<(Instant, u64)>,
    /// Not before this: an iteration takes time.
    pub(super) free_at: Instant,
    /// The directions in which it sends.
    pub(super) sends_on: Vec<DirectionId>,
    pub(super) bells: Arc<Bells>,
}

/// Counters of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events handled.
    pub events: u64,
    /// Iterations of host loops.
    pub host_steps: u64,
    /// Turns given to guests.
    pub guest_turns: u64,
}

/// Hosts, links and guests under one virtual clock.
///
/// Call order: add hosts, connect them, add taps and guests, then [`World::run`].
pub struct World {
    pub(super) config: WorldConfig,
    pub(super) now: Instant,
    pub(super) queue: EventQueue<Happening>,
    pub(super) hosts: Vec<Host>,
    pub(super) lanes: Vec<Lane>,
    pub(super) lane_targets: Vec<HostId>,
    pub(super) guests: Vec<Guest>,
    pub(super) taps: Vec<Box<dyn Tap>>,
    pub(super) hash: RollingHash,
    pub(super) stats: Stats,
    pub(super) late: Vec<Option<Flight>>,
    pub(super) late_free: Vec<usize>,
    pub(super) stragglers: Stragglers,
}

impl World {
    /// An empty world at time zero.
    pub fn new(config: WorldConfig) -> Self {
        Self {
            hash: RollingHash::new(config.seed),
            config,
            now: Instant::ZERO,
            queue: EventQueue::default(),
            hosts: Vec::new(),
            lanes: Vec::new(),
            lane_targets: Vec::new(),
            guests: Vec::new(),
            taps: Vec::new(),
            stats: Stats::default(),
            late: Vec::new(),
            late_free: Vec::new(),
            stragglers: Vec::new(),
        }
    }

    /// Command: adds a host. It steps for the first time at time zero. `bells` are those that its
    /// guests ring ([`crate::guest::HostBell`]).
    pub fn add_host(
        &mut self,
        name: &str,
        engine: Box<dyn HostEngine>,
        bells: Arc<Bells>,
    ) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Host {
            name: name.to_owned(),
            engine,
            scheduled: None,
            free_at: Instant::ZERO,
            sends_on: Vec::new(),
            bells,
        });
        self.wake_host(id, Instant::ZERO);
        id
    }

    /// Command: a link between one NIC of `a` and one of `b`, with the same physics and source of
    /// faults in both directions. Returns the direction from `a` to `b` and the one back.
    pub fn connect(
        &mut self,
        (a, a_port): (HostId, Rc<NicPort>),
        (b, b_port): (HostId, Rc<NicPort>),
        config: LinkConfig,
        faults: &FaultSource,
    ) -> (DirectionId, DirectionId) {
        let there = self.add_lane(a, b, config, faults, Rc::clone(&a_port), Rc::clone(&b_port));
        let back = self.add_lane(b, a, config, faults, b_port, a_port);
        (there, back)
    }

    fn add_lane(
        &mut self,
        from: HostId,
        to: HostId,
        config: LinkConfig,
        faults: &FaultSource,
        from_port: Rc<NicPort>,
        to_port: Rc<NicPort>,
    ) -> DirectionId {
        let id = DirectionId(self.lanes.len());
        let name = format!("{}->{}", self.hosts[from.0].name, self.hosts[to.0].name);
        let decider = match faults {
            FaultSource::Drawn(profile) => Decider::Drawn {
                profile: *profile,
                seed: self.config.seed,
                entity: ENTITY_DIRECTION + id.0 as u64,
                recorded: Vec::new(),
            },
            FaultSource::Planned(plan) => {
                Decider::Planned { decisions: plan.direction(&name).to_vec(), next: 0 }
            }
        };
        self.lanes.push(Lane::new(id, name, config, decider, from_port, to_port));
        self.lane_targets.push(to);
        self.hosts[from.0].sends_on.push(id);
        id
    }

    /// Command: adds an observer of every link and event log.
    pub fn add_tap(&mut self, tap: Box<dyn Tap>) {
        self.taps.push(tap);
    }

    /// Command: adds a program that runs on `host` from `starts_at` on.
    ///
    /// # Errors
    /// When the operating system gives no thread, or cannot start the process.
    pub fn add_guest(
        &mut self,
        host: HostId,
        name: &str,
        starts_at: Instant,
        program: Program,
    ) -> std::io::Result<GuestId> {
        let id = GuestId(self.guests.len());
        let bells = Arc::clone(&self.hosts[host.0].bells);
        let place = (host, self.hosts[host.0].name.as_str());
        let guest = Guest::spawn(id, place, name, bells, self.config.seed, program)?;
        self.queue.push(starts_at, Happening::GuestRuns(id, guest.epoch()));
        self.guests.push(guest);
        Ok(id)
    }

    /// Getter: the bells of a host, for bells of one's own.
    pub fn bells(&self, host: HostId) -> &Arc<Bells> {
        &self.hosts[host.0].bells
    }

    /// Getter: the virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Getter: the rolling hash over every event and every frame byte so far.
    pub fn state_hash(&self) -> u64 {
        self.hash.value()
    }

    /// Getter: counters.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Getter: one direction of a link.
    pub fn lane(&self, id: DirectionId) -> &Lane {
        &self.lanes[id.0]
    }

    /// Getter: every direction, in the order of ids.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Output: every fault decision executed so far. Running it as a plan gives the same run.
    pub fn executed_plan(&self) -> FaultPlan {
        let mut plan = FaultPlan::new();
        for lane in &self.lanes {
            lane.record_into(&mut plan);
        }
        plan
    }

    /// Command: the host steps at `at`, or as soon after it as its loop is free.
    pub(super) fn wake_host(&mut self, id: HostId, at: Instant) {
        let host = &mut self.hosts[id.0];
        let at = at.max(host.free_at).max(self.now);
        if host.scheduled.is_none_or(|(earlier, _)| at < earlier) {
            let sequence = self.queue.push(at, Happening::HostStep(id));
            host.scheduled = Some((at, sequence));
        }
    }
}
