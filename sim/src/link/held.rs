//! Frames that wait until others of their direction have passed.

use causeway_core::time::{Duration, Instant};

use super::lane::Flight;

/// Most frames that wait at once on a direction; beyond that nothing is held.
const HELD_MAX: usize = 64;

#[derive(Debug)]
struct Waiting {
    flight: Flight,
    /// So many have to pass yet.
    frames: u32,
    until: Instant,
}

/// What waits on a direction.
#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: Vec<Waiting>,
    /// Ends of waits that nobody was told of yet.
    deadlines: Vec<Instant>,
}

impl Held {
    /// Getter: nothing waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Input: a frame that arrives behind the `frames`-th one after it, or `at_most` later than it would. Given back where too many wait.
    pub(super) fn hold(
        &mut self,
        flight: Flight,
        frames: u32,
        at_most: Duration,
    ) -> Result<(), Flight> {
        if self.waiting.len() >= HELD_MAX {
            return Err(flight);
        }
        let until = flight.at + at_most;
        self.deadlines.push(until);
        self.waiting.push(Waiting { flight, frames, until });
        Ok(())
    }

    /// Input: a frame passes that arrives at `at`. Those that waited for it go to `out`, right behind it.
    pub(super) fn passed(&mut self, at: Instant, out: &mut Vec<Flight>) {
        for waiting in &mut self.waiting {
            waiting.frames = waiting.frames.saturating_sub(1);
        }
        let behind = at + Duration::from_nanos(1);
        let is_over = |waiting: &mut Waiting| waiting.frames == 0 && behind < waiting.until;
        out.extend(self.waiting.extract_if(.., is_over).map(|waiting| {
            let at = waiting.flight.at.max(behind);
            Flight { at, ..waiting.flight }
        }));
    }

    /// Output: the end of a wait that began since the last call: then [`Held::poll_due`] has news.
    pub(super) fn poll_deadline(&mut self) -> Option<Instant> {
        self.deadlines.pop()
    }

    /// Output: the next frame that has waited for as long as it may.
    pub(super) fn poll_due(&mut self, now: Instant) -> Option<Flight> {
        let at = self.waiting.iter().position(|waiting| waiting.until <= now)?;
        Some(self.waiting.remove(at).flight)
    }
}
