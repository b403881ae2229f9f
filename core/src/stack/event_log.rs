//! The bounded log of [`crate::event::Event`]s, off unless the config gives it room.

use alloc::collections::VecDeque;

use crate::event::{Event, Stamped};
use crate::time::Instant;

/// Events since the driver last looked.
#[derive(Debug)]
pub(super) struct EventLog {
    events: VecDeque<Stamped>,
    events_max: usize,
    lost: u64,
}

impl EventLog {
    pub(super) fn new(events_max: u32) -> Self {
        let events_max = events_max as usize;
        Self { events: VecDeque::with_capacity(events_max), events_max, lost: 0 }
    }

    /// True when events are wanted at all: making one may cost something.
    pub(super) const fn is_on(&self) -> bool {
        self.events_max > 0
    }

    /// Keeps the oldest events when there is no room: the beginning of a trouble tells more than its end.
    pub(super) fn push(&mut self, at: Instant, event: Event) {
        if self.events.len() < self.events_max {
            self.events.push_back(Stamped { at, event });
        } else if self.is_on() {
            self.lost += 1;
        }
    }

    pub(super) fn pop(&mut self) -> Option<Stamped> {
        self.events.pop_front()
    }

    /// Events that found no room.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }
}
