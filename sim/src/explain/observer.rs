//! The tap that describes each frame once, for everything that wants words.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use causeway_core::event::Stamped;
use causeway_core::time::Instant;

use super::describe::Describer;
use super::events::Events;
use super::fate::Told;
use super::sink::Sink;
use super::timeline::Timeline;
use super::topology::Topology;
use crate::guest::Outcome as End;
use crate::report::FrameLog;
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::trial::{Case, Outcome};
use crate::world::HostId;

/// Clones share what they write to: one goes to the world, the other ends it.
#[derive(Clone)]
pub(super) struct Observer {
    state: Rc<RefCell<State>>,
}

struct State {
    topology: Rc<Topology>,
    describer: Describer,
    events: Option<Events>,
    timeline: Option<Timeline>,
    frames: Option<Rc<RefCell<FrameLog>>>,
    /// Frames that something happened to: how they arrive is worth telling.
    struck: BTreeSet<(usize, u64)>,
}

impl Observer {
    pub(super) fn new(
        topology: Rc<Topology>,
        case: &Case,
        json: Option<Sink>,
        timeline: Option<(Sink, usize)>,
        frames: Option<Rc<RefCell<FrameLog>>>,
    ) -> Self {
        let state = State {
            describer: Describer::new(Rc::clone(&topology)),
            events: json.map(|sink| Events::new(sink, Rc::clone(&topology), case)),
            timeline: timeline.map(|lines| Timeline::new(lines, Rc::clone(&topology), case)),
            frames,
            struck: BTreeSet::new(),
            topology,
        };
        Self { state: Rc::new(RefCell::new(state)) }
    }

    /// Getter: somebody wants words.
    pub(super) fn is_needed(&self) -> bool {
        let State { events, timeline, frames, .. } = &*self.state.borrow();
        events.is_some() || timeline.is_some() || frames.is_some()
    }

    /// Command: the last lines.
    pub(super) fn finish(&self, outcome: &Outcome) -> io::Result<()> {
        let State { events, timeline, .. } = &mut *self.state.borrow_mut();
        let events = events.as_mut().map_or(Ok(()), |events| events.finish(outcome));
        let timeline = timeline.as_mut().map_or(Ok(()), |timeline| timeline.finish(outcome));
        events.and(timeline)
    }
}

impl State {
    fn sent(
        &mut self,
        (at, direction): (Instant, DirectionId),
        frame: &[u8],
        fate: Fate<'_>,
        injected: bool,
    ) {
        if self.topology.is_sent_by_host(direction) && !injected {
            self.describer.see(frame);
        }
        let told = Told::new(fate);
        if let Some(number) = told.number.filter(|_| !told.faults.is_empty()) {
            self.struck.insert((direction.0, number));
        }
        if let Some(events) = &mut self.events {
            events.sent(at, direction, frame, &told, injected);
        }
        if self.timeline.is_none() && self.frames.is_none() {
            return;
        }
        let words = self.describer.describe(frame);
        if let Some(timeline) = &mut self.timeline {
            timeline.sent(at, direction, &words, &told);
        }
        if let Some(frames) = &self.frames {
            frames.borrow_mut().sent((at, direction), &told.summary(), &words);
        }
    }

    fn arrived(
        &mut self,
        (at, direction): (Instant, DirectionId),
        number: u64,
        frame: &[u8],
        ring_full: bool,
    ) {
        if let Some(events) = &mut self.events {
            events.arrived(at, direction, number, frame, ring_full);
        }
        let struck = self.struck.contains(&(direction.0, number));
        let words =
            if struck || ring_full { self.describer.describe(frame) } else { String::new() };
        if let Some(timeline) = self.timeline.as_mut().filter(|_| struck || ring_full) {
            let fate = if ring_full { "LOST: the receive ring is full" } else { "arrives" };
            timeline.arrived(at, direction, number, &words, fate);
        }
        if let Some(frames) = &self.frames {
            frames.borrow_mut().arrived((at, direction), number, ring_full, &words);
        }
    }
}

impl Tap for Observer {
    fn wants_events(&self) -> bool {
        let state = self.state.borrow();
        state.events.is_some() || state.timeline.is_some()
    }

    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        self.state.borrow_mut().sent((at, direction), frame, fate, false);
    }

    fn injected(&mut self, at: Instant, direction: DirectionId, frame: &[u8], fate: Fate<'_>) {
        self.state.borrow_mut().sent((at, direction), frame, fate, true);
    }

    fn arrived(
        &mut self,
        at: Instant,
        direction: DirectionId,
        number: u64,
        frame: &[u8],
        delivery: Delivery,
    ) {
        let ring_full = delivery == Delivery::RingFull;
        self.state.borrow_mut().arrived((at, direction), number, frame, ring_full);
    }

    fn restarted(&mut self, at: Instant, host: HostId) {
        let State { events, timeline, .. } = &mut *self.state.borrow_mut();
        if let Some(events) = events {
            events.restarted(at, host);
        }
        if let Some(timeline) = timeline {
            timeline.restarted(at, host);
        }
    }

    fn program_ended(&mut self, at: Instant, host: HostId, name: &str, end: &End) {
        let end = end.to_string();
        let State { events, timeline, .. } = &mut *self.state.borrow_mut();
        if let Some(events) = events {
            events.program_ended(at, host, name, &end);
        }
        if let Some(timeline) = timeline {
            timeline.program_ended(at, host, name, &end);
        }
    }

    fn event(&mut self, host: HostId, stamped: &Stamped) {
        let State { events, timeline, .. } = &mut *self.state.borrow_mut();
        if let Some(events) = events {
            events.event(stamped.at, host, &stamped.event);
        }
        if let Some(timeline) = timeline {
            timeline.event(stamped.at, host, &stamped.event);
        }
    }
}
