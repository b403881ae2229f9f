//! What is wrong with a NIC for a while, and what follows from it: slots that come back late, frames that the host does not see yet.

use std::collections::VecDeque;

use causeway_core::time::{Duration, Instant};

use crate::fault::NicTrouble;

/// Frames or slots, and when their time comes.
type Later = VecDeque<(Instant, usize)>;

/// See the module. Of two troubles of a kind the one that began last counts.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    active: Vec<NicTrouble>,
    /// Transmit slots of what has left that are not given back yet.
    slots: Later,
    slots_held: usize,
    /// Received frames that the host is not told of yet: the last ones of the ring.
    frames: Later,
    frames_hidden: usize,
}

impl Troubles {
    /// Command: this begins.
    pub(super) fn begin(&mut self, trouble: NicTrouble) {
        self.active.push(trouble);
    }

    /// Command: this ends. What waits has its time.
    pub(super) fn end(&mut self, trouble: NicTrouble) {
        if let Some(at) = self.active.iter().position(|one| *one == trouble) {
            self.active.remove(at);
        }
    }

    /// Command: the rings are empty.
    pub(super) fn clear(&mut self) {
        let active = std::mem::take(&mut self.active);
        *self = Self { active, ..Self::default() };
    }

    /// Input: the time. Gives back slots and shows frames whose time has come.
    pub(super) fn set_now(&mut self, now: Instant) {
        for (later, held) in
            [(&mut self.slots, &mut self.slots_held), (&mut self.frames, &mut self.frames_hidden)]
        {
            while let Some((_, count)) = later.pop_front_if(|(at, _)| *at <= now) {
                *held -= count;
            }
        }
    }

    fn last<T>(&self, wanted: impl Fn(NicTrouble) -> Option<T>) -> Option<T> {
        self.active.iter().rev().find_map(|trouble| wanted(*trouble))
    }

    /// Getter: no frame is taken.
    pub(super) fn is_stalled(&self) -> bool {
        self.active.contains(&NicTrouble::TxStalled)
    }

    /// Getter: there is no buffer.
    pub(super) fn is_exhausted(&self) -> bool {
        self.active.contains(&NicTrouble::NoBuffers)
    }

    /// Getter: slots of the receive ring, if they are others.
    pub(super) fn rx_ring(&self) -> Option<usize> {
        self.last(|trouble| match trouble {
            NicTrouble::RxRing(slots) => Some(slots as usize),
            _ => None,
        })
    }

    /// Getter: transmit slots that are not given back yet.
    pub(super) const fn slots_held(&self) -> usize {
        self.slots_held
    }

    /// Getter: frames at the end of the ring that the host is not told of yet.
    pub(super) const fn frames_hidden(&self) -> usize {
        self.frames_hidden
    }

    /// Getter: when the host is told of the next ones.
    pub(super) fn shows_at(&self) -> Option<Instant> {
        self.frames.front().map(|(at, _)| *at)
    }

    /// Input: a frame has left.
    pub(super) fn left(&mut self, now: Instant) {
        let late = self.last(|trouble| match trouble {
            NicTrouble::LateCompletion(by) => Some(by),
            _ => None,
        });
        if let Some(by) = late.filter(|by| *by > Duration::ZERO) {
            self.slots_held += 1;
            later(&mut self.slots, now + by);
        }
    }

    /// Input: a frame has come to lie in the ring.
    pub(super) fn arrived(&mut self, now: Instant) {
        let interval = self.last(|trouble| match trouble {
            NicTrouble::Coalesced(interval) => Some(interval),
            _ => None,
        });
        // Nobody overtakes those that wait.
        let shown = interval.map_or(now, |interval| {
            let nanos = now.as_nanos().checked_next_multiple_of(interval.as_nanos().max(1));
            Instant::from_nanos(nanos.unwrap_or(u64::MAX))
        });
        if shown > now || !self.frames.is_empty() {
            self.frames_hidden += 1;
            later(&mut self.frames, shown);
        }
    }
}

/// One more at `at`, or with the last one where that is later.
fn later(queue: &mut Later, at: Instant) {
    match queue.back_mut() {
        Some((last, count)) if *last >= at => *count += 1,
        _ => queue.push_back((at, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(micros)
    }

    #[test]
    fn frames_are_shown_together_and_in_order() {
        let mut troubles = Troubles::default();
        let held_back = NicTrouble::Coalesced(Duration::from_micros(100));
        troubles.begin(held_back);
        troubles.arrived(at(10));
        troubles.arrived(at(90));
        assert_eq!((troubles.frames_hidden(), troubles.shows_at()), (2, Some(at(100))));
        troubles.end(held_back);
        troubles.arrived(at(95));
        assert_eq!((troubles.frames_hidden(), troubles.shows_at()), (3, Some(at(100))));
        troubles.set_now(at(99));
        assert_eq!(troubles.frames_hidden(), 3);
        troubles.set_now(at(100));
        assert_eq!((troubles.frames_hidden(), troubles.shows_at()), (0, None));
        troubles.arrived(at(101));
        assert_eq!(troubles.frames_hidden(), 0);
    }

    #[test]
    fn slots_come_back_when_their_time_has_come() {
        let mut troubles = Troubles::default();
        let late = NicTrouble::LateCompletion(Duration::from_micros(50));
        troubles.left(at(1));
        troubles.begin(late);
        troubles.left(at(10));
        troubles.left(at(20));
        troubles.end(late);
        troubles.left(at(30));
        assert_eq!(troubles.slots_held(), 2);
        troubles.set_now(at(60));
        assert_eq!(troubles.slots_held(), 1);
        troubles.begin(NicTrouble::RxRing(3));
        troubles.clear();
        assert_eq!((troubles.slots_held(), troubles.rx_ring()), (0, Some(3)));
    }
}
