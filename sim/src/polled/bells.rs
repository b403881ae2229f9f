//! Doorbells of polled programs and of the engine that serves them. They may ring late, or not be heard at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_channel::Wake;
use causeway_core::time::{Duration, Instant};

use crate::fault::{Event, IpcDice};

/// The bells of one host. Clones are the same bells. One thread uses them; the lock is there for the type system.
#[derive(Clone, Debug, Default)]
pub(super) struct ProgramBells(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: Instant,
    /// Programs that were rung, in order.
    rung: VecDeque<u32>,
    /// Rings that come later.
    late: Vec<(Instant, Arc<dyn Wake>)>,
    /// Programs a ring of whose channels was lost.
    lost: Vec<u32>,
    dice: IpcDice,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let late: Vec<_> = self.late.iter().map(|(at, _)| at).collect();
        f.debug_struct("Inner")
            .field("rung", &self.rung)
            .field("late", &late)
            .finish_non_exhaustive()
    }
}

impl ProgramBells {
    /// Bells that suffer what these dice say.
    pub(super) fn new(dice: IpcDice) -> Self {
        Self(Arc::new(Mutex::new(Inner { dice, ..Inner::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No change is ever half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Getter: a copy of the dice, as they are now.
    pub(super) fn dice(&self) -> IpcDice {
        self.lock().dice.clone()
    }

    /// Output: the next decision about `event`.
    pub(super) fn roll(&self, event: Event) -> Option<u64> {
        self.lock().dice.roll(event)
    }

    /// Command: nothing goes wrong any more.
    pub(super) fn heal(&self) {
        self.lock().dice.heal();
    }

    /// Input: the time; rings that were late are heard now.
    pub(super) fn tick(&self, now: Instant) {
        let mut inner = self.lock();
        inner.now = now;
        if inner.late.is_empty() {
            return;
        }
        let (due, later) = inner.late.drain(..).partition(|(at, _)| *at <= now);
        inner.late = later;
        drop(inner);
        let due: Vec<(Instant, Arc<dyn Wake>)> = due;
        due.iter().for_each(|(_, bell)| bell.wake());
    }

    /// Getter: when the next late ring is heard.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.lock().late.iter().map(|(at, _)| *at).min()
    }

    /// Command: program `app` has something to look at.
    pub(super) fn ring(&self, app: u32) {
        let mut inner = self.lock();
        if !inner.rung.contains(&app) {
            inner.rung.push_back(app);
        }
    }

    /// Getter: nobody is rung.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().rung.is_empty()
    }

    /// Output: the next program that was rung.
    pub(super) fn take(&self) -> Option<u32> {
        self.lock().rung.pop_front()
    }

    /// Output: the next program that lost a ring.
    pub(super) fn take_lost(&self) -> Option<u32> {
        self.lock().lost.pop()
    }

    /// The bell of a program.
    pub(super) fn program(&self, app: u32) -> Arc<dyn Wake> {
        let heard = Arc::new(ProgramBell { bells: self.clone(), app });
        self.faulty(app, heard)
    }

    /// A bell of the channel of program `app`, at which `heard` is what its ring does.
    pub(super) fn faulty(&self, app: u32, heard: Arc<dyn Wake>) -> Arc<dyn Wake> {
        Arc::new(FaultyBell { bells: self.clone(), app, heard })
    }
}

struct ProgramBell {
    bells: ProgramBells,
    app: u32,
}

impl Wake for ProgramBell {
    fn wake(&self) {
        self.bells.ring(self.app);
    }
}

struct FaultyBell {
    bells: ProgramBells,
    app: u32,
    heard: Arc<dyn Wake>,
}

impl Wake for FaultyBell {
    fn wake(&self) {
        let mut inner = self.bells.lock();
        if inner.dice.roll(Event::LostBell).is_some() {
            inner.lost.push(self.app);
            return;
        }
        if let Some(nanos) = inner.dice.roll(Event::LateBell) {
            let at = inner.now + Duration::from_nanos(nanos);
            inner.late.push((at, Arc::clone(&self.heard)));
            return;
        }
        drop(inner);
        self.heard.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Dice;

    #[test]
    fn rings_are_heard_late_or_never_as_the_plan_says_and_others_at_once() {
        let dice = IpcDice::new(|event| match event {
            Event::LateBell => Dice::planned(vec![(1, 500)]),
            Event::LostBell => Dice::planned(vec![(2, 0)]),
            _ => Dice::default(),
        });
        let bells = ProgramBells::new(dice);
        let bell = bells.program(7);
        bells.tick(Instant::from_nanos(100));
        bell.wake();
        assert!(bells.is_empty() && bells.next_at() == Some(Instant::from_nanos(600)));
        bell.wake();
        assert_eq!((bells.is_empty(), bells.take_lost()), (true, Some(7)));
        bells.tick(Instant::from_nanos(599));
        assert!(bells.is_empty());
        bells.tick(Instant::from_nanos(600));
        assert_eq!((bells.take(), bells.next_at()), (Some(7), None));
        bell.wake();
        assert_eq!((bells.take(), bells.take()), (Some(7), None));
    }
}
