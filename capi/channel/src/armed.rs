//! The armed word of a doorbell: a waker signals only a sleeper that declared itself.
//!
//! The sleeper *arms*, then looks at everything it waits for **once more**, and only then sleeps. The waker
//! *publishes* (a ring index, a stream offset), then *claims* the armed word, and signals if it was set.
//! Both put a sequentially consistent fence between their store and their load. Without the fences each could miss
//! the other's store (store buffering: x86 does it, weaker machines do it more), without the second look the sleeper could
//! miss what was published between its first look and its arming: loom's models show both.

use crate::sync::{AtomicU32, Ordering, fence};

/// The sleeper wants news: ring entries, or flags of streams.
pub const EVENTS: u32 = 1;
/// The sleeper wants room in the ring that it produces into.
pub const SPACE: u32 = 2;
/// The application wants any TX bytes released: its pool of chunks is empty.
pub const POOL: u32 = 4;

/// Command (sleeper): declares what is waited for. The caller looks again before it sleeps.
pub fn arm(word: &AtomicU32, bits: u32) {
    // Release: a waker that sees the word armed sees what was said before, such as an amount. It spares a useless wake
    // only: what the waker misses, the second look sees.
    word.store(bits, Ordering::Release);
    // Orders the store above before the loads of the second look.
    fence(Ordering::SeqCst);
}

/// Command (sleeper), before it sleeps: arms, then asks `idle` (the second look). True: sleep. False: there is
/// something to do, and the word is not armed.
pub fn arm_and_look<E>(
    word: &AtomicU32,
    bits: u32,
    idle: impl FnOnce() -> Result<bool, E>,
) -> Result<bool, E> {
    arm(word, bits);
    let idle = idle();
    if !matches!(idle, Ok(true)) {
        disarm(word);
    }
    idle
}

/// Command (sleeper): awake. A signal already on its way makes one spurious wake, nothing worse.
pub fn disarm(word: &AtomicU32) {
    word.store(0, Ordering::Relaxed);
}

/// Command (waker), after publishing: whether the sleeper must be signalled. At most one waker
/// gets `true` for one arming.
pub fn claim(word: &AtomicU32, interest: u32) -> bool {
    claim_if(word, interest, || true)
}

/// Command (waker), after publishing: as [`claim`], where the sleeper also said how much it waits for:
/// `enough` is asked after the word was seen armed, and a sleeper for whom it is not stays armed.
pub fn claim_if(word: &AtomicU32, interest: u32, enough: impl Fn() -> bool) -> bool {
    // Orders the publishing stores before the loads of the word and of the amount.
    fence(Ordering::SeqCst);
    word.load(Ordering::Relaxed) & interest != 0 && enough() && word.swap(0, Ordering::AcqRel) != 0
}
