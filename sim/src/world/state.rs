//! The world's parts, and how they are put together.

use std::rc::Rc;
use std::sync::Arc;

use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};

use super::build::{End, HostEngine, HostId, Relay, RelayId, WorldConfig};
use super::clock::HostClock;
use super::edges::Edge;
use super::guests::Again;
use crate::fault::{Decision, Dice, Event, FaultPlan, FaultSource};
use crate::frame::SimFrame;
use crate::guest::{Bells, Guest, GuestId, Program};
use crate::hash::RollingHash;
use crate::link::{Decider, Flight, Lane, LinkConfig, Observers, Sink, Stragglers};
use crate::nic::NicPort;
use crate::queue::EventQueue;
use crate::tap::{DirectionId, Tap};

/// The random streams of link directions begin here; other entities have other ranges.
const ENTITY_DIRECTION: u64 = 0x0100_0000;
/// What separates the draws of a direction's queue from those of its faults.
const ENTITY_QUEUE: u64 = 20 << 32;

/// What can happen next, beside iterations of hosts: each host has the alarm of its number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The first in-order frame of a direction arrives.
    LaneHead(DirectionId),
    /// A held-back frame or a second copy arrives: its slot.
    Straggler(DirectionId, usize),
    /// A frame of a direction is held no longer.
    HeldIsDue(DirectionId),
    /// Something begins or ends: its place among [`World::edges`].
    Edge(usize),
    /// A guest's pause or wait ends. The second number makes entries of earlier waits void.
    GuestRuns(GuestId, u64),
}

/// A host of the world.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) engine: Box<dyn HostEngine>,
    /// Not before this: an iteration takes time.
    pub(super) free_at: Instant,
    /// The directions in which it sends.
    pub(super) sends_on: Vec<DirectionId>,
    pub(super) bells: Arc<Bells>,
    pub(super) nics: Vec<Rc<NicPort>>,
    /// It does nothing before this.
    pub(super) paused_until: Instant,
    /// Iterations that come late.
    pub(super) late: Dice,
    /// By which it lives.
    pub(super) clock: HostClock,
    /// So far is the clock that its guests see ahead of that one.
    pub(super) clock_ahead: Duration,
    /// Guests that a crash ended, until it is over.
    pub(super) crashed: Vec<GuestId>,
}

/// A switch or router of the world, with the direction that leaves from each port.
pub(super) struct RelayNode {
    pub(super) name: String,
    pub(super) relay: Box<dyn Relay>,
    pub(super) ports: Vec<DirectionId>,
}

/// Who gets what arrives on a direction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Host(HostId),
    Relay(RelayId, usize),
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
    pub(super) lane_targets: Vec<Target>,
    pub(super) relays: Vec<RelayNode>,
    pub(super) relayed: Vec<(usize, SimFrame)>,
    /// What lay in each receive ring of the host at hand before its iteration.
    pub(super) waiting: Vec<usize>,
    pub(super) edges: Vec<Edge>,
    pub(super) guests: Vec<Guest>,
    /// By guest: how it is made again.
    pub(super) again: Vec<Option<Again>>,
    pub(super) taps: Vec<Box<dyn Tap>>,
    pub(super) hash: RollingHash,
    pub(super) stats: Stats,
    pub(super) late: Vec<Option<Flight>>,
    pub(super) late_free: Vec<usize>,
    pub(super) stragglers: Stragglers,
    /// The first host that held more than it may, when, and what.
    pub(super) overrun: Option<(Instant, HostId, String)>,
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
            relays: Vec::new(),
            relayed: Vec::new(),
            waiting: Vec::new(),
            edges: Vec::new(),
            guests: Vec::new(),
            again: Vec::new(),
            taps: Vec::new(),
            stats: Stats::default(),
            late: Vec::new(),
            late_free: Vec::new(),
            stragglers: Vec::new(),
            overrun: None,
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
        let id = HostId(self.queue.add_alarm());
        self.hosts.push(Host {
            name: name.to_owned(),
            engine,
            free_at: Instant::ZERO,
            sends_on: Vec::new(),
            bells,
            nics: Vec::new(),
            paused_until: Instant::ZERO,
            late: Dice::default(),
            clock: HostClock::default(),
            clock_ahead: Duration::ZERO,
            crashed: Vec::new(),
        });
        self.wake_host(id, Instant::ZERO);
        id
    }

    /// Command: iterations of a host's loop that come late: the dice's value is by how many nanoseconds.
    pub fn set_late(&mut self, id: HostId, late: Dice) {
        self.hosts[id.0].late = late;
    }

    /// Command: adds a switch or router.
    pub fn add_relay(&mut self, name: &str, relay: Box<dyn Relay>) -> RelayId {
        let name = name.to_owned();
        self.relays.push(RelayNode { name, relay, ports: Vec::new() });
        RelayId(self.relays.len() - 1)
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
        let ends = [End::Nic { host: a, nic: a_port }, End::Nic { host: b, nic: b_port }];
        let names = [&self.hosts[a.0].name, &self.hosts[b.0].name];
        let names = [format!("{}->{}", names[0], names[1]), format!("{}->{}", names[1], names[0])];
        self.connect_ends(ends, names, [config; 2], [faults; 2])
    }

    /// Command: a link between two ends. Names, physics and faults are those of the direction from the first to the second, and of the
    /// one back.
    pub fn connect_ends(
        &mut self,
        ends: [End; 2],
        names: [String; 2],
        physics: [LinkConfig; 2],
        faults: [&FaultSource; 2],
    ) -> (DirectionId, DirectionId) {
        // The direction back is always the other one of the pair.
        let first = self.lanes.len();
        let (there, back) = (DirectionId(first), DirectionId(first + 1));
        let [there_name, back_name] = names;
        for (id, name, from, to) in [(there, there_name, 0, 1), (back, back_name, 1, 0)] {
            let entity = ENTITY_DIRECTION + id.0 as u64;
            let decider = Decider::new(faults[from], &name, self.config.seed, entity);
            let sender = match &ends[from] {
                End::Nic { host, nic } => {
                    self.hosts[host.0].sends_on.push(id);
                    self.hosts[host.0].nics.push(Rc::clone(nic));
                    Some(Rc::clone(nic))
                }
                End::Relay(relay) => {
                    self.relays[relay.0].ports.push(id);
                    None
                }
            };
            let (sink, target) = match &ends[to] {
                End::Nic { host, nic } => (Sink::Nic(Rc::clone(nic)), Target::Host(*host)),
                // Its port on this link is the one that the direction back leaves from: added now, or a moment ago.
                End::Relay(relay) => {
                    let ports = self.relays[relay.0].ports.len();
                    let port = if to == 1 { ports } else { ports - 1 };
                    (Sink::Relay, Target::Relay(*relay, port))
                }
            };
            let mut lane = Lane::new(id, name, physics[from], decider, sender, sink);
            lane.draw_from(Stream::new(self.config.seed, entity | ENTITY_QUEUE));
            self.lanes.push(lane);
            self.lane_targets.push(target);
        }
        (there, back)
    }

    /// What sees every frame.
    pub(super) fn observed(&mut self) -> (&mut [Lane], Observers<'_>, &mut Stragglers) {
        let Self { lanes, hash, taps, stragglers, .. } = self;
        (lanes, Observers { hash, taps }, stragglers)
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
        self.again.push(None);
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
        self.record_edges(&mut plan);
        for lane in &self.lanes {
            lane.record_into(&mut plan);
        }
        for host in &self.hosts {
            for &(number, value) in host.late.decided() {
                let (target, event) = (host.name.clone(), Event::Late);
                plan.push(Decision::Counted { target, event, number, value });
            }
            host.engine.record_into(&host.name, &mut plan);
        }
        plan
    }

    /// Getter: who stands at the end of a direction: a host, or a switch or router.
    pub fn receiver_of(&self, id: DirectionId) -> Option<HostId> {
        match self.lane_targets[id.0] {
            Target::Host(host) => Some(host),
            Target::Relay(..) => None,
        }
    }

    /// Getter: the host that sends on a direction, if one does.
    pub fn sender_of(&self, id: DirectionId) -> Option<HostId> {
        // The direction back ends where this one begins.
        self.receiver_of(id.back())
    }

    /// Getter: the hosts' names, in the order of ids.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    /// Getter: the names of switches and routers, in the order of ids.
    pub fn relay_names(&self) -> impl Iterator<Item = &str> {
        self.relays.iter().map(|relay| relay.name.as_str())
    }

    /// Command: the host steps at `at`, or as soon after it as its loop is free.
    pub(super) fn wake_host(&mut self, id: HostId, at: Instant) {
        let host = &self.hosts[id.0];
        let at = at.max(host.free_at).max(host.paused_until).max(self.now);
        if self.queue.alarm(id.0).is_none_or(|earlier| at < earlier) {
            self.queue.set_alarm(id.0, at);
        }
    }
}
