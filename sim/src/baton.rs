//! The baton between the world and one guest thread: exactly one of the two runs.
//!
//! The guest asks (`Q`) and stops; the world answers (`A`) and stops until the next question. Who runs
//! when is decided by the world alone, whatever the operating system's scheduler does.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
enum Slot<Q, A> {
    /// Somebody runs and has taken what lay here.
    Empty,
    /// The guest stopped and asks.
    Question(Q),
    /// The world stopped and lets the guest run.
    Answer(A),
    /// The guest's thread is over.
    Over,
}

#[derive(Debug)]
struct Shared<Q, A> {
    slot: Mutex<Slot<Q, A>>,
    to_world: Condvar,
    to_guest: Condvar,
}

impl<Q, A> Shared<Q, A> {
    /// The slot. Nobody panics while holding it, so a poisoned lock holds a whole value.
    fn lock(&self) -> MutexGuard<'_, Slot<Q, A>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The world's end.
#[derive(Debug)]
pub struct WorldEnd<Q, A>(Arc<Shared<Q, A>>);

/// The guest's end. Dropping it tells the world that the guest is over.
#[derive(Debug)]
pub struct GuestEnd<Q, A>(Arc<Shared<Q, A>>);

/// What a guest did with its turn.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<Q> {
    /// It stopped and asks.
    Asked(Q),
    /// Its thread is over.
    Over,
    /// It has neither asked nor ended within the wall-clock limit.
    Stuck,
}

/// A pair of ends; the world runs first.
pub fn baton<Q, A>() -> (WorldEnd<Q, A>, GuestEnd<Q, A>) {
    let shared = Arc::new(Shared {
        slot: Mutex::new(Slot::Empty),
        to_world: Condvar::new(),
        to_guest: Condvar::new(),
    });
    (WorldEnd(Arc::clone(&shared)), GuestEnd(shared))
}

impl<Q, A> WorldEnd<Q, A> {
    /// Command: lets the guest run with `answer` until it asks again. `wall_limit` bounds the wait in
    /// wall-clock time: it only ever matters to a guest that computes for ever without a call, and
    /// then the run fails.
    pub fn resume(&self, answer: A, wall_limit: Duration) -> Turn<Q> {
        let mut slot = self.0.lock();
        if matches!(*slot, Slot::Over) {
            return Turn::Over;
        }
        *slot = Slot::Answer(answer);
        self.0.to_guest.notify_one();
        let waits = |slot: &mut Slot<Q, A>| matches!(slot, Slot::Answer(_) | Slot::Empty);
        let (mut slot, timeout) = self
            .0
            .to_world
            .wait_timeout_while(slot, wall_limit, waits)
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Turn::Stuck;
        }
        match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::Question(question) => Turn::Asked(question),
            Slot::Over => {
                *slot = Slot::Over;
                Turn::Over
            }
            Slot::Empty | Slot::Answer(_) => Turn::Stuck,
        }
    }
}

impl<Q, A> GuestEnd<Q, A> {
    /// Command: waits for the first turn, asking nothing.
    pub fn first_turn(&self) -> A {
        self.await_answer(self.0.lock())
    }

    /// Command: asks, and stops until the world answers.
    pub fn ask(&self, question: Q) -> A {
        let mut slot = self.0.lock();
        *slot = Slot::Question(question);
        self.0.to_world.notify_one();
        self.await_answer(slot)
    }

    /// Command: the world hears that the guest is over, though its thread is not.
    pub fn give_up(&self) {
        *self.0.lock() = Slot::Over;
        self.0.to_world.notify_one();
    }

    fn await_answer(&self, mut slot: MutexGuard<'_, Slot<Q, A>>) -> A {
        loop {
            if matches!(*slot, Slot::Answer(_))
                && let Slot::Answer(answer) = std::mem::replace(&mut *slot, Slot::Empty)
            {
                return answer;
            }
            slot = self.0.to_guest.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<Q, A> Drop for GuestEnd<Q, A> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn turns_alternate_and_the_end_is_told() {
        let (world, guest) = baton::<u32, u32>();
        let thread = std::thread::spawn(move || {
            let mut value = guest.first_turn();
            for _ in 0..3 {
                value = guest.ask(value * 2);
            }
        });
        assert_eq!(world.resume(1, LIMIT), Turn::Asked(2));
        assert_eq!(world.resume(5, LIMIT), Turn::Asked(10));
        assert_eq!(world.resume(7, LIMIT), Turn::Asked(14));
        assert_eq!(world.resume(0, LIMIT), Turn::Over);
        assert_eq!(world.resume(0, LIMIT), Turn::Over);
        thread.join().expect("the guest does not panic");
    }

    #[test]
    fn a_guest_that_never_comes_back_is_stuck_and_not_a_hang() {
        let (world, guest) = baton::<(), ()>();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            guest.first_turn();
            let _ = wait.recv();
        });
        assert_eq!(world.resume((), Duration::from_millis(20)), Turn::Stuck);
        drop(release);
        thread.join().expect("the guest ends once it is let go");
    }

    #[test]
    fn racing_guests_run_in_the_order_that_the_world_gives_them() {
        // Each guest appends its number to one shared value without any lock of its own: a read
        // and a write with a gap between them, which loses updates as soon as two guests overlap.
        let log = Arc::new(AtomicU64::new(0));
        let ends: Vec<_> = (1..=4_u64)
            .map(|name| {
                let (world, guest) = baton::<(), ()>();
                let log = Arc::clone(&log);
                std::thread::spawn(move || {
                    guest.first_turn();
                    loop {
                        let seen = log.load(Ordering::Relaxed);
                        std::thread::yield_now();
                        log.store(seen.wrapping_mul(31).wrapping_add(name), Ordering::Relaxed);
                        guest.ask(());
                    }
                });
                world
            })
            .collect();
        let mut expected = 0_u64;
        for round in 0..500_usize {
            let pick = (round * 7 + round / 3) % ends.len();
            assert_eq!(ends[pick].resume((), LIMIT), Turn::Asked(()));
            expected = expected.wrapping_mul(31).wrapping_add(pick as u64 + 1);
        }
        assert_eq!(log.load(Ordering::Relaxed), expected);
    }
}
