//! Futexes: every lock, condition, barrier and join of the C library, and of Rust's and C++'s, ends here.

use core::sync::atomic::{AtomicU32, Ordering};

use libc::{c_int, timespec};

use crate::clock;
use crate::threads::{self, Outcome, Wait};
use crate::trap::deny;
use crate::wire::NEVER;
use crate::world::process;

/// Any bit.
const MATCH_ANY: u32 = u32::MAX;
const OPERATION: c_int = !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);

/// The `futex` system call.
///
/// # Safety
/// The addresses are what the operation says.
pub unsafe fn system_call(a: [u64; 6]) -> i64 {
    let operation = a[1] as c_int;
    let shared = operation & libc::FUTEX_PRIVATE_FLAG == 0;
    let wakes = !matches!(operation & OPERATION, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET);
    // Another process may wait there.
    process().rang |= shared && wakes;
    let deadline = || match a[3] {
        0 => NEVER,
        at => {
            // SAFETY: the caller's.
            let time = unsafe { &*(at as *const timespec) };
            let realtime = operation & libc::FUTEX_CLOCK_REALTIME != 0;
            let clock = if realtime { libc::CLOCK_REALTIME } else { libc::CLOCK_MONOTONIC };
            clock::when(clock, time)
        }
    };
    // SAFETY: the caller's, each.
    unsafe {
        match operation & OPERATION {
            libc::FUTEX_WAIT => {
                let span = (a[3] as *const timespec).as_ref().map(clock::nanos);
                wait(a[0], a[2] as u32, MATCH_ANY, span.map_or(NEVER, clock::after), shared)
            }
            libc::FUTEX_WAIT_BITSET => wait(a[0], a[2] as u32, a[5] as u32, deadline(), shared),
            libc::FUTEX_WAKE => wake(a[0], a[2] as u32, MATCH_ANY),
            libc::FUTEX_WAKE_BITSET => wake(a[0], a[2] as u32, a[5] as u32),
            libc::FUTEX_REQUEUE => requeue(a, None),
            libc::FUTEX_CMP_REQUEUE => requeue(a, Some(a[5] as u32)),
            libc::FUTEX_WAKE_OP => wake_op(a),
            libc::FUTEX_LOCK_PI | libc::FUTEX_UNLOCK_PI | libc::FUTEX_TRYLOCK_PI => {
                deny("futex", "locks with priority inheritance are the kernel's")
            }
            _ => -i64::from(libc::ENOSYS),
        }
    }
}

/// # Safety
/// `address` is that of a word.
unsafe fn load(address: u64) -> u32 {
    // SAFETY: the caller's; other processes may change it.
    unsafe { (*(address as *const AtomicU32)).load(Ordering::SeqCst) }
}

/// # Safety
/// `address` is that of a word.
unsafe fn wait(address: u64, value: u32, bits: u32, deadline: u64, shared: bool) -> i64 {
    // SAFETY: the caller's.
    if unsafe { load(address) } != value {
        return -i64::from(libc::EAGAIN);
    }
    match threads::block(Wait::Futex { address, value, bits, shared }, deadline) {
        Outcome::Woken => 0,
        Outcome::TimedOut => -i64::from(libc::ETIMEDOUT),
        Outcome::Interrupted => -i64::from(libc::EINTR),
    }
}

fn waits_on(one: &threads::Thread, wanted: u64, bit: u32) -> bool {
    matches!(one.wait, Wait::Futex { address, bits, .. } if address == wanted && bits & bit != 0)
}

/// Wakes up to `count` waiters, those that have waited longest first.
fn wake(address: u64, count: u32, bits: u32) -> i64 {
    let mut woken = 0;
    while woken < i64::from(count as i32) {
        let Some(slot) = threads::first_waiting(|one| waits_on(one, address, bits)) else { break };
        threads::wake(slot, Outcome::Woken);
        woken += 1;
    }
    woken
}

/// # Safety
/// The addresses are those of words.
unsafe fn requeue(a: [u64; 6], expected: Option<u32>) -> i64 {
    // SAFETY: the caller's.
    if expected.is_some_and(|value| value != unsafe { load(a[0]) }) {
        return -i64::from(libc::EAGAIN);
    }
    let mut moved = wake(a[0], a[2] as u32, MATCH_ANY);
    // The fourth argument is a number here, and the fifth the address.
    for _ in 0..(a[3] as i32).max(0) {
        let Some(slot) = threads::first_waiting(|one| waits_on(one, a[0], MATCH_ANY)) else {
            break;
        };
        if let Wait::Futex { address, .. } = &mut threads::thread(slot).wait {
            *address = a[4];
        }
        moved += 1;
    }
    moved
}

/// futex(2), FUTEX_WAKE_OP.
///
/// # Safety
/// The addresses are those of words.
unsafe fn wake_op(a: [u64; 6]) -> i64 {
    let code = a[5] as u32;
    let (operation, comparison) = (code >> 28 & 7, code >> 24 & 15);
    let signed = |bits: u32| ((bits << 20) as i32) >> 20;
    let (mut argument, compared) = (signed(code >> 12 & 0xfff), signed(code & 0xfff));
    if code >> 31 != 0 {
        argument = 1_i32.wrapping_shl(argument as u32);
    }
    // SAFETY: the caller's.
    let word = unsafe { &*(a[4] as *const AtomicU32) };
    let old = word.load(Ordering::SeqCst) as i32;
    let new = match operation {
        0 => argument,
        1 => old.wrapping_add(argument),
        2 => old | argument,
        3 => old & !argument,
        4 => old ^ argument,
        _ => return -i64::from(libc::ENOSYS),
    };
    word.store(new as u32, Ordering::SeqCst);
    let holds = match comparison {
        0 => old == compared,
        1 => old != compared,
        2 => old < compared,
        3 => old <= compared,
        4 => old > compared,
        5 => old >= compared,
        _ => return -i64::from(libc::ENOSYS),
    };
    let first = wake(a[0], a[2] as u32, MATCH_ANY);
    first + if holds { wake(a[4], a[3] as u32, MATCH_ANY) } else { 0 }
}
