//! From what happened to frames of the capture to frames of a run of ours.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::super::{Connections, Role, Segment, frame};
use super::differences::{Change, Part};
use super::events::Observed;
use super::names::{Counts, Name, Side, What, what};
use super::scenario::Described;
use crate::fault::{Decide, Decision, Fault, FaultPlan, Live};
use crate::trial::{Case, Outcome, Trial, TrialError};

/// The names of the directions of a case, from the first host and from the second.
pub(super) const DIRECTIONS: [&str; 2] = ["a->b", "b->a"];
/// The port of the first flow of a scenario.
const PORT_FIRST: u16 = 10_000;

/// What came of the run that made the plan.
#[derive(Debug)]
pub(super) struct Resolved {
    /// What was decided about frames: direction, frame, fault, and of which event it is.
    pub(super) decided: Vec<(usize, u64, Fault, usize)>,
    /// By event: what its frame was.
    pub(super) names: Vec<Option<Name>>,
    /// Of the run of the case that is given out.
    pub(super) outcome: Outcome,
    pub(super) plan: FaultPlan,
}

/// Events that wait for their frames.
#[derive(Debug, Default)]
struct Waiting {
    by_name: HashMap<Name, Vec<usize>>,
    /// Acknowledgements, which need not come for the same numbers: by number.
    acks: BTreeMap<Side, BTreeMap<i64, Vec<usize>>>,
}

/// Decides about the frames of a run.
struct Resolver {
    changes: Vec<Change>,
    waiting: Waiting,
    counts: Counts,
    connections: Connections,
    flows: usize,
    decided: Vec<(usize, u64, Fault, usize)>,
    scratch: Vec<u8>,
}

/// Runs the scenario, and makes the plan.
pub(super) fn resolve(described: &Described, observed: &Observed) -> Result<Resolved, TrialError> {
    let names = names_of(described, observed);
    let mut waiting = Waiting::default();
    let mut counts = Counts::default();
    for (event, name) in names.iter().enumerate() {
        let Some(name) = name.filter(|_| !described.is_spanned(&observed.events[event])) else {
            continue;
        };
        match (name.what, name.nth) {
            (What::Ack(number), 1) => {
                let acks = waiting.acks.entry(name.side).or_default();
                acks.entry(number).or_default().push(event);
            }
            (What::Data(offset), _) => {
                counts.want(name.side, offset);
                waiting.by_name.entry(name).or_default().push(event);
            }
            _ => waiting.by_name.entry(name).or_default().push(event),
        }
    }
    let changes: Vec<Change> = observed.events.iter().map(|event| event.change).collect();
    let resolver = Resolver {
        changes,
        waiting,
        counts,
        connections: Connections::new(),
        flows: described.flows.len(),
        decided: Vec::new(),
        scratch: Vec::new(),
    };
    let resolver = Rc::new(RefCell::new(resolver));
    let spans = &described.spans;
    let case =
        |plan: FaultPlan| Case { seed: 1, failed: None, scenario: described.toml.clone(), plan };
    // What flows are excused by has to be known before it happens.
    let mut excuses = spans.clone();
    for change in &resolver.borrow().changes {
        if let Change::Corrupt { mask, repaired, .. } = *change {
            let fault = Fault::Corrupt { offset: 0, mask, repaired };
            let direction = DIRECTIONS[0].to_owned();
            excuses.push(Decision::Frame { direction, frame: u64::MAX, fault });
        }
    }
    let live = Live::new(Rc::clone(&resolver) as Rc<RefCell<dyn Decide>>);
    Trial::new("the imported case", &case(excuses))?.run_live(&live)?;
    let decided = std::mem::take(&mut resolver.borrow_mut().decided);
    let mut plan = spans.clone();
    for (direction, frame, fault, _) in &decided {
        let direction = DIRECTIONS[*direction].to_owned();
        plan.push(Decision::Frame { direction, frame: *frame, fault: *fault });
    }
    let outcome = Trial::new("the imported case", &case(plan.clone()))?.run(Vec::new())?;
    Ok(Resolved { decided, names, outcome, plan })
}

/// What the frame of each event was; `None` where it belongs to no flow.
fn names_of(described: &Described, observed: &Observed) -> Vec<Option<Name>> {
    let affected: BTreeSet<(usize, usize)> =
        observed.events.iter().map(|event| (event.lane, event.unit)).collect();
    let side_of = |lane: usize, unit: usize| -> Option<Side> {
        let spot = observed.spots[lane].get(unit)?;
        Some(((*described.flow_of.get(spot.connection)?)?, spot.from))
    };
    let mut counts = Counts::default();
    for (lane, unit) in &affected {
        let (spot, segment) = (&observed.spots[*lane][*unit], &described.segments[*lane][*unit]);
        if let (Some(side), What::Data(offset)) = (side_of(*lane, *unit), what(spot, segment)) {
            counts.want(side, offset);
        }
    }
    let mut names: HashMap<(usize, usize), Name> = HashMap::new();
    for (lane, segments) in described.segments.iter().enumerate() {
        for (unit, segment) in segments.iter().enumerate() {
            let (Some(side), spot) = (side_of(lane, unit), &observed.spots[lane][unit]) else {
                continue;
            };
            let wanted = what(spot, segment);
            let all = counts.take(side, spot, segment);
            if affected.contains(&(lane, unit)) {
                let own = all.into_iter().find(|name| name.what == wanted);
                names.extend(own.map(|name| ((lane, unit), name)));
            }
        }
    }
    let own = |event: &super::events::Event| names.get(&(event.lane, event.unit)).copied();
    observed.events.iter().map(own).collect()
}

impl Resolver {
    /// Events whose frame this is.
    fn due(&mut self, side: Side, names: &[Name]) -> Vec<usize> {
        let mut due = Vec::new();
        for name in names {
            due.extend(self.waiting.by_name.remove(name).into_iter().flatten());
            let What::Ack(number) = name.what else { continue };
            // The first acknowledgement of at least as much.
            if name.nth == 1
                && let Some(acks) = self.waiting.acks.get_mut(&side)
                && let Some((&first, _)) = acks.range(..=number).next()
            {
                due.extend(acks.remove(&first).into_iter().flatten());
            }
        }
        due
    }
}

impl Decide for Resolver {
    fn decide(&mut self, direction: &str, number: u64, frame: &[u8], out: &mut Vec<Fault>) {
        let Some(direction) = DIRECTIONS.iter().position(|name| *name == direction) else { return };
        let Some(packet) = frame.get(frame::ETHERNET_LEN..) else { return };
        let read = frame::read(packet, packet.len(), &mut self.scratch);
        let frame::Read::Segment(segment) = read else { return };
        let spot = self.connections.take(&segment);
        let server = match spot.from {
            Role::Client => segment.destination.port(),
            Role::Server => segment.source.port(),
        };
        let flow = usize::from(server.wrapping_sub(PORT_FIRST));
        if flow >= self.flows {
            return;
        }
        let side = (flow, spot.from);
        let names = self.counts.take(side, &spot, &segment);
        for event in self.due(side, &names) {
            let fault = fault(&self.changes[event], &segment, frame.len());
            if let Some(fault) = fault.filter(|fault| !out.contains(fault)) {
                out.push(fault);
                self.decided.push((direction, number, fault, event));
            }
        }
    }
}

/// What is done to a frame of ours for what was done to another.
fn fault(change: &Change, segment: &Segment, frame_len: usize) -> Option<Fault> {
    use causeway_core::time::Duration;
    let nanos = Duration::from_nanos;
    Some(match *change {
        Change::Drop => Fault::Drop,
        Change::Duplicate(after) => Fault::Duplicate { after: nanos(after) },
        Change::Delay(by) => Fault::Delay { by: nanos(by) },
        Change::Mark => Fault::Mark,
        Change::Bleach => Fault::Bleach,
        Change::Strip(option) => Fault::Strip(option),
        Change::Pad(bytes) => Fault::Pad { bytes },
        Change::Truncate(lost) => {
            let len = frame_len.saturating_sub(lost as usize).max(frame::ETHERNET_LEN);
            Fault::Truncate { len: len as u32 }
        }
        Change::Split(at) => {
            let last = segment.payload_len.checked_sub(1).filter(|last| *last > 0)?;
            Fault::Split { at: at.min(last) }
        }
        Change::Corrupt { part, mask, repaired } => {
            let at = match part {
                Part::Ip(at) => at.min(segment.tcp_at - 1),
                Part::Tcp(at) => (segment.tcp_at + at).min(segment.payload_at - 1),
                Part::Payload(at) => {
                    let last = (segment.payload_len as usize).checked_sub(1)?;
                    segment.payload_at + at.min(last)
                }
            };
            let offset = (frame::ETHERNET_LEN + at) as u32;
            Fault::Corrupt { offset, mask, repaired }
        }
        // A condition does that.
        Change::Clamp(_) => return None,
    })
}
