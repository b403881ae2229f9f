//! From what happened to frames of the capture to frames of a run of ours.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::super::exchange::Exchanges;
use super::super::{Connections, Datagram, Role, Segment, Spot, frame};
use super::differences::{Change, Part};
use super::events::{Event, Observed, Of};
use super::names::{Counts, Name, Side, What, what};
use super::scenario::Described;
use crate::fault::{Decide, Decision, Fault, FaultPlan, Forgery, ForgeryKind, Live};
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
    exchanges: Exchanges,
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
        exchanges: Exchanges::default(),
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
    let affected: BTreeSet<(usize, Of)> =
        observed.events.iter().map(|event| (event.lane, event.of)).collect();
    let side_of = |lane: usize, unit: usize| -> Option<Side> {
        let spot = observed.spots[lane].get(unit)?;
        Some(((*described.flow_of.get(spot.connection)?)?, spot.from))
    };
    let mut counts = Counts::default();
    for (lane, of) in &affected {
        let Of::Unit(unit) = of else { continue };
        let (spot, segment) = (&observed.spots[*lane][*unit], &described.segments[*lane][*unit]);
        if let (Some(side), What::Data(offset)) = (side_of(*lane, *unit), what(spot, segment)) {
            counts.want(side, offset);
        }
    }
    let mut names: HashMap<(usize, Of), Name> = HashMap::new();
    for (lane, segments) in described.segments.iter().enumerate() {
        for (unit, segment) in segments.iter().enumerate() {
            let (Some(side), spot) = (side_of(lane, unit), &observed.spots[lane][unit]) else {
                continue;
            };
            let wanted = what(spot, segment);
            let all = counts.take(side, spot, segment);
            if affected.contains(&(lane, Of::Unit(unit))) {
                let own = all.into_iter().find(|name| name.what == wanted);
                names.extend(own.map(|name| ((lane, Of::Unit(unit)), name)));
            }
        }
    }
    for (lane, utterances) in observed.utterances.iter().enumerate() {
        for (parcel, said) in utterances.iter().enumerate() {
            let sides = described.sides.get(said.exchange);
            if let Some(side) = sides.and_then(|sides| sides[said.from as usize]) {
                let name = counts.other(side, said.said.into());
                names.insert((lane, Of::Parcel(parcel)), name);
            }
        }
    }
    let own = |event: &Event| names.get(&(event.lane, event.of)).copied();
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

impl Resolver {
    /// The flow that is called at this port.
    fn flow(&self, port: u16) -> Option<usize> {
        Some(usize::from(port.wrapping_sub(PORT_FIRST))).filter(|flow| *flow < self.flows)
    }

    /// What a segment suffers: each fault with its event.
    fn segment(&mut self, segment: &Segment, frame_len: usize) -> Vec<(Fault, usize)> {
        let spot = self.connections.take(segment);
        let server = match spot.from {
            Role::Client => segment.destination.port(),
            Role::Server => segment.source.port(),
        };
        let Some(flow) = self.flow(server) else { return Vec::new() };
        let side = (flow, spot.from);
        let names = self.counts.take(side, &spot, segment);
        let due = self.due(side, &names).into_iter();
        let fault =
            |event: usize| Some((fault(&self.changes[event], (&spot, segment), frame_len)?, event));
        due.filter_map(fault).collect()
    }

    /// What a datagram suffers.
    fn datagram(&mut self, datagram: &Datagram) -> Vec<(Fault, usize)> {
        let said = self.exchanges.take(datagram);
        let server = match said.from {
            Role::Client => datagram.destination.port(),
            Role::Server => datagram.source.port(),
        };
        let Some(flow) = self.flow(server) else { return Vec::new() };
        let side = (flow, said.from);
        let name = self.counts.other(side, said.said.into());
        let due = self.due(side, &[name]).into_iter();
        due.filter_map(|event| Some((of_any(&self.changes[event])?, event))).collect()
    }
}

impl Decide for Resolver {
    fn decide(&mut self, direction: &str, number: u64, frame: &[u8], out: &mut Vec<Fault>) {
        let Some(direction) = DIRECTIONS.iter().position(|name| *name == direction) else { return };
        let Some(packet) = frame.get(frame::ETHERNET_LEN..) else { return };
        let suffers = match frame::read(packet, packet.len(), &mut self.scratch) {
            frame::Read::Segment(segment) => self.segment(&segment, frame.len()),
            frame::Read::Datagram(datagram) => self.datagram(&datagram),
            _ => return,
        };
        for (fault, event) in suffers {
            if !out.contains(&fault) {
                out.push(fault);
                self.decided.push((direction, number, fault, event));
            }
        }
    }
}

/// What is done to any frame for what was done to another; `None` where that depends on the frame.
fn of_any(change: &Change) -> Option<Fault> {
    use causeway_core::time::Duration;
    let nanos = Duration::from_nanos;
    Some(match *change {
        Change::Drop => Fault::Drop,
        Change::Duplicate(after) => Fault::Duplicate { after: nanos(after) },
        Change::Delay(by) => Fault::Delay { by: nanos(by) },
        Change::Mark => Fault::Mark,
        Change::Bleach => Fault::Bleach,
        _ => return None,
    })
}

/// What is done to a frame of ours for what was done to another.
fn fault(change: &Change, (spot, segment): (&Spot, &Segment), frame_len: usize) -> Option<Fault> {
    Some(match *change {
        Change::Drop | Change::Duplicate(_) | Change::Delay(_) | Change::Mark | Change::Bleach => {
            of_any(change)?
        }
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
        // About what lies so far beyond what this segment acknowledges.
        Change::Unreachable(place) => {
            let ahead = place.wrapping_sub(spot.ack.unwrap_or(0)) as u32;
            Fault::Forge(Forgery { kind: ForgeryKind::Unreachable, ahead })
        }
        // A condition does that.
        Change::Clamp(_) => return None,
    })
}
