//! What begins and ends at a time: partitions, pauses, crashes, and the end of all faults.

use causeway_core::time::Instant;

use super::build::{HostId, RelayId};
use super::state::{Happening, World};
use crate::fault::{ClockTrouble, Condition, Decision, FaultPlan};
use crate::tap::DirectionId;

/// Why a plan cannot be executed in this world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{line}` names `{target}`, which does not exist; there are {known}")]
pub struct UnknownTarget {
    /// The decision.
    pub line: String,
    /// What it names.
    pub target: String,
    /// What it could name.
    pub known: String,
}

/// Whom a condition is about.
#[derive(Clone, Copy, Debug)]
enum Place {
    Direction(DirectionId),
    Host(HostId),
    /// A host's NIC, by its position.
    Nic(HostId, usize),
    /// A router's port.
    Port(RelayId, usize),
}

/// A moment at which something changes.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    at: Instant,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Begin { place: Place, target: String, until: Instant, condition: Condition },
    End { place: Place, condition: Condition },
    Heal,
}

impl World {
    /// Command: what a plan says to be so for a while; call it after every host and link is there. Its decisions about frames are those
    /// of the links ([`crate::fault::FaultSource`]).
    ///
    /// # Errors
    /// It names something that does not exist.
    pub fn add_spans(&mut self, plan: &FaultPlan) -> Result<(), UnknownTarget> {
        for (target, from, until, condition) in plan.spans() {
            let place = self.place(target, condition).ok_or_else(|| {
                let target = target.to_owned();
                let line = Decision::Span { target: target.clone(), from, until, condition };
                UnknownTarget { line: line.to_string(), target, known: self.names() }
            })?;
            let target = target.to_owned();
            self.add_edge(from, Change::Begin { place, target, until, condition });
            self.add_edge(until, Change::End { place, condition });
        }
        Ok(())
    }

    /// Command: from `at` on nothing goes wrong any more. What is so for a while ends by its own time.
    pub fn heal_at(&mut self, at: Instant) {
        self.add_edge(at, Change::Heal);
    }

    fn add_edge(&mut self, at: Instant, change: Change) {
        self.edges.push(Edge { at, change });
        self.queue.push(at, Happening::Edge(self.edges.len() - 1));
    }

    fn place(&self, target: &str, condition: Condition) -> Option<Place> {
        use crate::fault::TargetKind;
        let host = |name: &str| self.hosts.iter().position(|host| host.name == name).map(HostId);
        match condition.target() {
            TargetKind::Direction => {
                let found = self.lanes.iter().position(|lane| lane.name() == target);
                found.map(|index| Place::Direction(DirectionId(index)))
            }
            TargetKind::Host => host(target).map(Place::Host),
            TargetKind::Nic => {
                let (name, nic) = target.split_once('.')?;
                if condition == Condition::NoRoute {
                    let relay = self.relays.iter().position(|relay| relay.name == name)?;
                    let port = self.relays[relay].relay.port_of(nic)?;
                    return Some(Place::Port(RelayId(relay), port));
                }
                let host = host(name)?;
                let index: usize = nic.strip_prefix("eth")?.parse().ok()?;
                (index < self.hosts[host.0].nics.len()).then_some(Place::Nic(host, index))
            }
        }
    }

    fn names(&self) -> String {
        let directions = self.lanes.iter().map(crate::link::Lane::name);
        directions.chain(self.host_names()).collect::<Vec<_>>().join(", ")
    }

    /// Spans that have begun.
    pub(super) fn record_edges(&self, plan: &mut FaultPlan) {
        for edge in self.edges.iter().filter(|edge| edge.at <= self.now) {
            if let Change::Begin { target, until, condition, .. } = &edge.change {
                let (target, from) = (target.clone(), edge.at);
                let (until, condition) = (*until, *condition);
                plan.push(Decision::Span { target, from, until, condition });
            }
        }
    }

    /// A moment has come.
    pub(super) fn edge(&mut self, index: usize) {
        self.hash.word(self.now.as_nanos());
        self.hash.word(index as u64);
        match self.edges[index].change.clone() {
            Change::Begin { place, until, condition, .. } => self.begin(place, until, condition),
            Change::End { place, condition } => self.end(place, condition),
            Change::Heal => {
                self.lanes.iter_mut().for_each(crate::link::Lane::heal);
                for host in &mut self.hosts {
                    host.late.heal();
                    host.engine.heal();
                }
            }
        }
    }

    fn begin(&mut self, place: Place, until: Instant, condition: Condition) {
        match (place, condition) {
            (Place::Direction(id), _) => self.lanes[id.0].begin(self.now, condition),
            (Place::Nic(host, nic), Condition::Nic(trouble)) => {
                self.hosts[host.0].nics[nic].begin(trouble);
            }
            (Place::Nic(host, nic), _) => self.carrier(host, nic, false),
            (Place::Port(relay, port), _) => self.relays[relay.0].relay.set_usable(port, false),
            (Place::Host(id), Condition::ClockAhead(ahead)) => {
                self.hosts[id.0].engine.advance_clock(ahead);
                self.advance_guests(id, ahead);
                self.wake_host(id, self.now);
            }
            (Place::Host(id), Condition::Clock(trouble)) => self.disturb_clock(id, trouble, 1),
            (Place::Host(id), Condition::Stall) => {
                let until = self.hosts[id.0].clock.shows(until);
                self.hosts[id.0].engine.stall_programs(until);
            }
            (Place::Host(id), condition) => {
                self.hosts[id.0].paused_until = until;
                // It steps next when the pause is over, whatever was planned.
                self.queue.clear_alarm(id.0);
                if condition == Condition::Crash {
                    self.crash_guests(id);
                    (0..self.hosts[id.0].nics.len()).for_each(|nic| self.carrier(id, nic, false));
                }
            }
        }
    }

    fn end(&mut self, place: Place, condition: Condition) {
        match (place, condition) {
            (Place::Direction(id), _) => self.lanes[id.0].end(condition),
            (Place::Nic(host, nic), Condition::Nic(trouble)) => {
                self.hosts[host.0].nics[nic].end(trouble);
                self.wake_host(host, self.now);
            }
            (Place::Nic(host, nic), _) => self.carrier(host, nic, true),
            (Place::Port(relay, port), _) => self.relays[relay.0].relay.set_usable(port, true),
            // A monotonic clock does not go back.
            (Place::Host(_), Condition::ClockAhead(_)) => {}
            (Place::Host(id), Condition::Clock(trouble)) => self.disturb_clock(id, trouble, -1),
            (Place::Host(id), Condition::Stall) => self.wake_host(id, self.now),
            (Place::Host(id), Condition::DaemonRestart) => {
                let shown = self.hosts[id.0].clock.shows(self.now);
                self.hosts[id.0].engine.restart_daemon(shown);
                for tap in &mut self.taps {
                    tap.restarted(self.now, id);
                }
                self.wake_host(id, self.now);
            }
            (Place::Host(id), condition) => {
                if condition == Condition::Crash {
                    (0..self.hosts[id.0].nics.len()).for_each(|nic| self.carrier(id, nic, true));
                    // Those of another crash that ended in the midst of this one.
                    self.crash_guests(id);
                    let shown = self.hosts[id.0].clock.shows(self.now);
                    self.hosts[id.0].engine.restart(shown);
                    self.restart_guests(id);
                    for tap in &mut self.taps {
                        tap.restarted(self.now, id);
                    }
                }
                self.wake_host(id, self.now);
            }
        }
    }

    /// A host's clocks are wrong from here on (`sign` 1), or are so no more (-1). What they are waited for with comes at another time now.
    fn disturb_clock(&mut self, id: HostId, trouble: ClockTrouble, sign: i8) {
        let clock = &mut self.hosts[id.0].clock;
        match trouble {
            ClockTrouble::Rate(ppm) => clock.quicken(self.now, ppm * i32::from(sign)),
            ClockTrouble::WallStep(by) => clock.step_wall(by * i64::from(sign)),
        }
        self.plan_turns(id);
        self.wake_host(id, self.now);
    }

    fn carrier(&mut self, host: HostId, nic: usize, up: bool) {
        self.hosts[host.0].nics[nic].set_link_up(up);
        self.wake_host(host, self.now);
    }
}
