//! The threads of a process: one runs, the others sleep in a futex of their own until it is their turn.
//!
//! Whoever gives its turn up looks for the next one itself ([`switch`]) and asks the world when none is due. The order is
//! that of virtual wake times, then of becoming ready: nothing that the operating system decides enters it.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::wire::{NEVER, THREADS_TOLD_MAX, ask, flag};
use crate::world::{self, process, question};

/// Most threads of a process at a time.
pub const THREADS_MAX: usize = 1_024;
/// The turn is given back after so many scheduling points, so that a process that polls without end is seen to.
const CALLS_PER_TURN: u64 = 1_024;

/// Between two turns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No thread.
    Free,
    /// It goes on at `at`.
    Ready,
    /// It goes on when what it waits for happens, at the latest at `at`.
    Waiting,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// What it waited for happened.
    Woken,
    /// The deadline passed.
    TimedOut,
    /// A signal handler is to run.
    Interrupted,
}

/// What a thread waits for.
#[derive(Clone, Copy)]
pub enum Wait {
    /// A wake on this address; the value that must be there, the bits that wake, and whether other processes may wake it.
    Futex {
        /// The word.
        address: u64,
        /// Its value.
        value: u32,
        /// Any of these bits wakes.
        bits: u32,
        /// The word is shared between processes.
        shared: bool,
    },
    /// A condition of the kernel's that only a guest can make true: `check(data)` tells.
    Check {
        /// Whether the wait is over.
        check: unsafe fn(*mut c_void) -> bool,
        /// Its argument, alive as long as the wait.
        data: *mut c_void,
    },
    /// Nothing but the deadline.
    Time,
}

impl Wait {
    /// Getter: whether only a look tells that it is over.
    const fn is_looked_at(&self) -> bool {
        matches!(self, Self::Check { .. } | Self::Futex { shared: true, .. })
    }
}

/// One thread.
pub struct Thread {
    /// Where it is.
    pub state: State,
    /// See [`State`].
    pub at: u64,
    /// When it became ready or began to wait, as a number that only grows.
    pub sequence: u64,
    /// What it waits for.
    pub wait: Wait,
    /// How its last wait ended.
    pub outcome: Outcome,
    /// The call that it is in.
    pub call: u32,
    /// Its virtual number.
    pub tid: i32,
    /// Its number with the kernel; 0 until it has run.
    pub real_tid: i32,
    /// Its signal mask.
    pub mask: u64,
    /// Its turn: see [`RUN`], [`CHOOSE`].
    turn: AtomicU32,
}

/// Not this thread's turn.
const SLEEP: u32 = 0;
/// Its wait is over: it runs.
const RUN: u32 = 1;
/// Its wait is not over, but it is to choose who runs.
const CHOOSE: u32 = 2;

struct Table {
    threads: UnsafeCell<[Thread; THREADS_MAX]>,
    used: UnsafeCell<Used>,
}

struct Used {
    /// Places beyond this were never used.
    high: usize,
    live: usize,
    sequence: u64,
    tids: i32,
    /// Waits are to be looked at: something happened since the last look.
    dirty: bool,
    /// A thread that ends, and must be gone before the next one runs.
    reap: i32,
}

// SAFETY: only the thread that has the turn touches the table, but for its own `turn` word, which is atomic.
unsafe impl Sync for Table {}

const fn free() -> Thread {
    Thread {
        state: State::Free,
        at: 0,
        sequence: 0,
        wait: Wait::Time,
        outcome: Outcome::Woken,
        call: crate::wire::CALL_NONE,
        tid: 0,
        real_tid: 0,
        mask: 0,
        turn: AtomicU32::new(SLEEP),
    }
}

static TABLE: Table = Table {
    threads: UnsafeCell::new([const { free() }; THREADS_MAX]),
    used: UnsafeCell::new(Used { high: 1, live: 1, sequence: 0, tids: 0, dirty: false, reap: 0 }),
};

thread_local! {
    static ME: Cell<usize> = const { Cell::new(0) };
}

/// Getter: the place of the calling thread.
pub fn me() -> usize {
    ME.get()
}

/// Getter: a thread, for whoever has the turn.
#[allow(clippy::mut_from_ref, reason = "see the SAFETY comment of `Table`")]
pub fn thread(slot: usize) -> &'static mut Thread {
    let threads: *mut Thread = TABLE.threads.get().cast();
    assert!(slot < THREADS_MAX);
    // SAFETY: inside the table; only the thread that has the turn calls this, and keeps no reference over a switch.
    unsafe { &mut *threads.add(slot) }
}

fn used() -> &'static mut Used {
    // SAFETY: as for `thread`.
    unsafe { &mut *TABLE.used.get() }
}

fn slots() -> core::ops::Range<usize> {
    0..used().high
}

fn next_sequence() -> u64 {
    used().sequence += 1;
    used().sequence
}

/// Command: this process has one thread, the calling one (at its start, and in a child after fork).
pub fn become_single(real_tid: i32) {
    let keep = me();
    for slot in slots() {
        if slot != keep {
            thread(slot).state = State::Free;
        }
    }
    let own = thread(keep);
    own.state = State::Ready;
    own.tid = process().pid;
    own.real_tid = real_tid;
    *used() = Used { live: 1, tids: 0, dirty: true, reap: 0, ..*used() };
}

/// Command: a place for a new thread, which becomes ready now. `None` when there is no room.
pub fn add(mask: u64) -> Option<usize> {
    let slot = slots().find(|slot| thread(*slot).state == State::Free).or_else(|| {
        let fresh = used().high;
        (fresh < THREADS_MAX).then(|| {
            used().high += 1;
            fresh
        })
    })?;
    used().live += 1;
    used().tids += 1;
    let tid = process().pid + used().tids;
    *thread(slot) = Thread {
        state: State::Ready,
        at: process().now,
        sequence: next_sequence(),
        tid,
        mask,
        ..free()
    };
    Some(slot)
}

/// Command: the thread that [`add`] made a place for is not to be.
pub fn forget(slot: usize) {
    thread(slot).state = State::Free;
    used().live -= 1;
}

/// Command (first of a new thread): waits for the first turn.
pub fn arrive(slot: usize) {
    ME.set(slot);
    await_turn(slot);
    // SAFETY: no arguments.
    thread(slot).real_tid = unsafe { raw!(libc::SYS_gettid) } as i32;
}

/// Command: makes a waiting thread ready.
pub fn wake(slot: usize, outcome: Outcome) {
    let now = process().now;
    let one = thread(slot);
    one.state = State::Ready;
    one.outcome = outcome;
    one.at = now;
    one.sequence = next_sequence();
}

/// Getter: of the waiting threads that `wanted` takes the one that has waited longest.
pub fn first_waiting(wanted: impl Fn(&Thread) -> bool) -> Option<usize> {
    slots()
        .filter(|slot| thread(*slot).state == State::Waiting && wanted(thread(*slot)))
        .min_by_key(|slot| thread(*slot).sequence)
}

/// Getter: the threads of the process.
pub fn live() -> impl Iterator<Item = usize> {
    slots().filter(|slot| thread(*slot).state != State::Free)
}

/// Command: the calling thread's call costs `cost`. True: nothing else can happen in that time, and the thread goes on.
/// False: nothing was charged, and it takes [`charge`].
pub fn charge_alone(cost: u64) -> bool {
    let until = process().now + cost;
    let alone = until < process().quiet_until
        && !process().rang
        && process().calls < CALLS_PER_TURN
        && slots().all(|slot| slot == me() || sleeps_beyond(thread(slot), until));
    if alone {
        process().now = until;
        process().calls += 1;
        process().active = true;
    }
    alone
}

/// Command: as [`charge_alone`], and whoever is due in that time runs first.
pub fn charge(cost: u64) {
    if process().vfork_child.is_some() || charge_alone(cost) {
        return;
    }
    process().calls += 1;
    let own = thread(me());
    own.state = State::Ready;
    own.at = process().now + cost;
    own.call = process().call;
    own.outcome = Outcome::Woken;
    own.sequence = next_sequence();
    switch();
}

/// Nothing that the running thread does before `until` lets this one run, unless it wakes it.
fn sleeps_beyond(one: &Thread, until: u64) -> bool {
    match one.state {
        State::Free => true,
        State::Ready => one.at > until,
        State::Waiting => one.at > until && !one.wait.is_looked_at(),
    }
}

/// Command: the calling thread waits. `deadline` is of the virtual clock, [`NEVER`] for none.
pub fn block(wait: Wait, deadline: u64) -> Outcome {
    if process().vfork_child.is_some() {
        let call = crate::names::call_name(process().call);
        crate::trap::deny(call, "it waits in a child that shares its parent's memory");
    }
    let own = thread(me());
    own.state = State::Waiting;
    own.wait = wait;
    own.at = deadline;
    own.call = process().call;
    own.sequence = next_sequence();
    switch();
    thread(me()).outcome
}

/// Gives the turn away until it comes back, and chooses meanwhile if asked to.
fn switch() {
    let own = me();
    // What the thread did may have ended waits of the others.
    used().dirty = true;
    loop {
        let chosen = choose();
        if chosen == own {
            break;
        }
        give(chosen, RUN);
        if await_turn(own) == RUN {
            break;
        }
    }
    process().call = thread(own).call;
    process().active = true;
}

fn give(slot: usize, turn: u32) {
    let word = &thread(slot).turn;
    word.store(turn, Ordering::Release);
    // SAFETY: the word is static.
    unsafe { raw!(libc::SYS_futex, word.as_ptr(), FUTEX_WAKE_PRIVATE, 1) };
}

const FUTEX_WAIT_PRIVATE: i32 = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const FUTEX_WAKE_PRIVATE: i32 = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;

/// Sleeps until the turn comes. What to do with it.
fn await_turn(slot: usize) -> u32 {
    let threads: *const Thread = TABLE.threads.get().cast_const().cast();
    // SAFETY: the word alone is read without the turn, and it is atomic.
    let word = unsafe { &(*threads.add(slot)).turn };
    loop {
        let turn = word.swap(SLEEP, Ordering::Acquire);
        if turn != SLEEP {
            return turn;
        }
        // SAFETY: the word is static.
        unsafe { raw!(libc::SYS_futex, word.as_ptr(), FUTEX_WAIT_PRIVATE, SLEEP, 0) };
    }
}

/// Who runs next. The virtual time may go on meanwhile.
fn choose() -> usize {
    reap();
    loop {
        examine();
        let due = live().min_by_key(|slot| (thread(*slot).at, thread(*slot).sequence));
        let at = due.map_or(NEVER, |slot| thread(slot).at);
        let local = at <= process().now
            || (at < process().quiet_until && !process().rang && process().calls < CALLS_PER_TURN);
        if let (Some(slot), true) = (due, at != NEVER && local) {
            process().now = process().now.max(at);
            process().calls += 1;
            let one = thread(slot);
            if one.state == State::Waiting {
                one.outcome = Outcome::TimedOut;
            }
            one.state = State::Ready;
            return slot;
        }
        stop(due, at);
    }
}

/// Gives the process's turn back to the world until it is due again.
fn stop(due: Option<usize>, at: u64) {
    let mut told = [0_u64; THREADS_TOLD_MAX];
    let mut count = 0;
    let mut flags = 0;
    for slot in live() {
        let one = thread(slot);
        if one.state == State::Waiting && one.wait.is_looked_at() {
            flags |= flag::CHANGES;
        }
        if count < THREADS_TOLD_MAX {
            let number = (one.tid - process().pid) as u64;
            told[count] = number << 32 | u64::from(one.call);
            count += 1;
        }
    }
    let mut question = question(ask::STOP);
    question.flags |= flags;
    question.a = at;
    question.behind = count as u64;
    if let Some(slot) = due {
        question.call = u64::from(thread(slot).call);
        if thread(slot).state == State::Ready {
            question.flags |= flag::READY;
        }
    }
    let answered = world::ask(&question, &told[..count]);
    process().take_turn(&answered.answer);
    if answered.answer.flags & (flag::CHANGED | flag::SIGNAL) != 0 {
        used().dirty = true;
    }
    if answered.answer.flags & flag::SIGNAL != 0 {
        crate::signals::interrupt();
    }
}

/// Ends the waits that are over by what happened since the last look.
fn examine() {
    if !core::mem::replace(&mut used().dirty, false) {
        return;
    }
    for slot in slots() {
        if thread(slot).state == State::Waiting && is_over(&thread(slot).wait) {
            wake(slot, Outcome::Woken);
        }
    }
}

fn is_over(wait: &Wait) -> bool {
    match *wait {
        // SAFETY: a thread of this process waits there: the word is mapped.
        Wait::Futex { address, value, shared: true, .. } => unsafe {
            (*(address as *const AtomicU32)).load(Ordering::SeqCst) != value
        },
        // SAFETY: the data lives as long as the wait.
        Wait::Check { check, data } => unsafe { check(data) },
        Wait::Futex { .. } | Wait::Time => false,
    }
}

/// Getter: whether the calling thread is the only one.
pub fn is_last() -> bool {
    used().live == 1
}

/// Command: the calling thread ends; another one chooses who runs. It must not be the last.
pub fn leave() {
    let own = me();
    used().reap = thread(own).real_tid;
    used().live -= 1;
    thread(own).state = State::Free;
    if let Some(other) = live().next() {
        give(other, CHOOSE);
    }
}

/// Waits until the thread that ended last is gone: the kernel has then cleared the word that its joiner waits for.
fn reap() {
    let tid = core::mem::replace(&mut used().reap, 0);
    let pid = process().real_pid;
    // The first thread stays as long as its process.
    if tid == 0 || tid == pid {
        return;
    }
    // SAFETY: signal 0 only asks.
    while unsafe { raw!(libc::SYS_tgkill, pid, tid, 0) } == 0 {
        // SAFETY: no arguments.
        unsafe { raw!(libc::SYS_sched_yield) };
    }
    used().dirty = true;
}
