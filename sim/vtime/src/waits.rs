//! Sleeps, and waits for descriptors: looked at without waiting, and again when something has happened.

use core::ffi::c_void;

use libc::{c_int, c_long, c_short, pollfd, timespec, timeval};

use crate::clock;
use crate::signals;
use crate::threads::{self, Outcome, Wait};
use crate::wire::NEVER;
use crate::world::process;

const EINTR: i64 = -(libc::EINTR as i64);
const SELECT_WORDS: usize = 16;

/// Answers the calls that wait. `None`: the call is none of them.
///
/// # Safety
/// The arguments are those of the call.
pub unsafe fn system_call(number: c_long, a: [u64; 6]) -> Option<i64> {
    // SAFETY: the caller's, each.
    let answer = unsafe {
        match number {
            libc::SYS_nanosleep => sleep(clock::after(span(a[0]).unwrap_or(0)), a[1]),
            libc::SYS_clock_nanosleep => clock_nanosleep(a),
            libc::SYS_poll => poll(a[0], a[1], milliseconds(a[2] as i32)),
            libc::SYS_ppoll => signals::with_mask(a[3], || poll(a[0], a[1], span(a[2]))),
            libc::SYS_select => {
                let given = (a[4] as *const timeval).as_ref();
                let micros = |t: &timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
                select(a, given.map(|time| micros(time).saturating_mul(1_000)))
            }
            libc::SYS_pselect6 => {
                // The sixth argument is the address of the mask's address.
                let mask = (a[5] as *const u64).as_ref().copied().unwrap_or(0);
                signals::with_mask(mask, || select(a, span(a[4])))
            }
            libc::SYS_epoll_wait => epoll(a, milliseconds(a[3] as i32)),
            libc::SYS_epoll_pwait => {
                signals::with_mask(a[4], || epoll(a, milliseconds(a[3] as i32)))
            }
            libc::SYS_epoll_pwait2 => signals::with_mask(a[4], || epoll(a, span(a[3]))),
            libc::SYS_pause => sleep(NEVER, 0),
            libc::SYS_rt_sigsuspend => signals::with_mask(a[0], || sleep(NEVER, 0)),
            _ => return None,
        }
    };
    Some(answer)
}

/// # Safety
/// `at` is 0 or the address of a timespec.
unsafe fn span(at: u64) -> Option<u64> {
    // SAFETY: the caller's.
    unsafe { (at as *const timespec).as_ref() }.map(clock::nanos)
}

fn milliseconds(timeout: i32) -> Option<u64> {
    u64::try_from(timeout).ok().map(|ms| ms * 1_000_000)
}

/// # Safety
/// `left` is 0 or the address of a timespec.
unsafe fn sleep(until: u64, left: u64) -> i64 {
    match threads::block(Wait::Time, until) {
        Outcome::Interrupted => {
            if left != 0 {
                let rest = clock::timespec_of(until.saturating_sub(process().now));
                // SAFETY: the caller's.
                unsafe { (left as *mut timespec).write(rest) };
            }
            EINTR
        }
        Outcome::Woken | Outcome::TimedOut => 0,
    }
}

/// # Safety
/// The arguments are those of the call.
unsafe fn clock_nanosleep(a: [u64; 6]) -> i64 {
    let clock_id = a[0] as c_int;
    if clock::nanos_of(clock_id).is_none() {
        return -i64::from(libc::EINVAL);
    }
    // SAFETY: the caller's.
    unsafe {
        let time = &*(a[2] as *const timespec);
        if a[1] as c_int & libc::TIMER_ABSTIME != 0 {
            return sleep(clock::when(clock_id, time), 0);
        }
        sleep(clock::after(clock::nanos(time)), a[3])
    }
}

/// Looks with `look` until it gives something other than 0, or the time is up.
fn look_until(span: Option<u64>, wait: Wait, mut look: impl FnMut() -> i64) -> i64 {
    let deadline = span.map_or(NEVER, clock::after);
    loop {
        let found = look();
        if found != 0 || deadline <= process().now {
            return found;
        }
        if threads::block(wait, deadline) == Outcome::Interrupted {
            return EINTR;
        }
    }
}

struct Set {
    fds: u64,
    count: u64,
}

fn look_at(set: &Set) -> i64 {
    // SAFETY: the program's array, as it gave it.
    unsafe { raw!(libc::SYS_poll, set.fds, set.count, 0) }
}

/// # Safety
/// `data` is a [`Set`].
unsafe fn any_ready(data: *mut c_void) -> bool {
    // SAFETY: the caller's.
    look_at(unsafe { &*data.cast::<Set>() }) != 0
}

fn poll(fds: u64, count: u64, span: Option<u64>) -> i64 {
    let mut set = Set { fds, count };
    let wait = if count == 0 {
        Wait::Time
    } else {
        Wait::Check { check: any_ready, data: (&raw mut set).cast() }
    };
    look_until(span, wait, || look_at(&Set { fds, count }))
}

/// Command: waits until `fd` has one of `events`, for so many nanoseconds. What a call on it then fails with, if it
/// does: EINTR after a signal, EAGAIN when the time is up.
pub fn wait_for(fd: i32, events: c_short, span: Option<u64>) -> Result<(), i64> {
    let mut one = pollfd { fd, events, revents: 0 };
    match poll(&raw mut one as u64, 1, span) {
        EINTR => Err(EINTR),
        0 => Err(-i64::from(libc::EAGAIN)),
        _ => Ok(()),
    }
}

/// Getter: whether `fd` has one of `events`, an error or its end.
pub fn is_ready(fd: i32, events: c_short) -> bool {
    let mut one = pollfd { fd, events, revents: 0 };
    look_at(&Set { fds: &raw mut one as u64, count: 1 }) != 0
}

/// # Safety
/// The arguments are those of the call.
unsafe fn epoll(a: [u64; 6], span: Option<u64>) -> i64 {
    let mut one = pollfd { fd: a[0] as i32, events: libc::POLLIN, revents: 0 };
    let mut set = Set { fds: &raw mut one as u64, count: 1 };
    let wait = Wait::Check { check: any_ready, data: (&raw mut set).cast() };
    // SAFETY: the caller's.
    look_until(span, wait, || unsafe { raw!(libc::SYS_epoll_wait, a[0], a[1], a[2], 0) })
}

/// The sets of a select, as the program gave them.
struct Selected {
    nfds: u64,
    given: [[u64; SELECT_WORDS]; 3],
    at: [u64; 3],
}

impl Selected {
    /// What is ready now; the sets are left in `found`.
    fn look(&self, found: &mut [[u64; SELECT_WORDS]; 3]) -> i64 {
        *found = self.given;
        let mut sets = [0; 3];
        for (index, set) in sets.iter_mut().enumerate() {
            if self.at[index] != 0 {
                *set = found[index].as_mut_ptr() as u64;
            }
        }
        let now = timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: the sets are ours, and have room for `nfds` bits.
        unsafe { raw!(libc::SYS_select, self.nfds, sets[0], sets[1], sets[2], &raw const now) }
    }
}

/// # Safety
/// `data` is a [`Selected`].
unsafe fn any_selected(data: *mut c_void) -> bool {
    let mut found = [[0; SELECT_WORDS]; 3];
    // SAFETY: the caller's.
    unsafe { &*data.cast::<Selected>() }.look(&mut found) != 0
}

/// # Safety
/// The arguments are those of the call.
unsafe fn select(a: [u64; 6], span: Option<u64>) -> i64 {
    let nfds = a[0];
    let words = nfds.div_ceil(64) as usize;
    if words > SELECT_WORDS {
        return -i64::from(libc::EINVAL);
    }
    let mut selected = Selected { nfds, given: [[0; SELECT_WORDS]; 3], at: [a[1], a[2], a[3]] };
    for (given, at) in selected.given.iter_mut().zip(selected.at) {
        if at != 0 {
            // SAFETY: the program's sets have `nfds` bits, in whole words.
            unsafe { given.as_mut_ptr().copy_from_nonoverlapping(at as *const u64, words) };
        }
    }
    let mut found = [[0; SELECT_WORDS]; 3];
    let wait = if nfds == 0 {
        Wait::Time
    } else {
        Wait::Check { check: any_selected, data: (&raw mut selected).cast() }
    };
    let result = look_until(span, wait, || selected.look(&mut found));
    if result >= 0 {
        for (found, at) in found.iter().zip([a[1], a[2], a[3]]) {
            if at != 0 {
                // SAFETY: as above.
                unsafe { (at as *mut u64).copy_from_nonoverlapping(found.as_ptr(), words) };
            }
        }
    }
    result
}
