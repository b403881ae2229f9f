//! The clocks of a guest, and the functions of the kernel's library page (vDSO) that read them without a system call.

use core::ffi::c_void;

use libc::{c_int, c_long, clockid_t, timespec, timeval};

use crate::threads;
use crate::wire::{CALL_CLOCK, EPOCH_SECONDS, NEVER, UPTIME_NANOS};
use crate::world::process;

/// What a look at a clock costs.
const LOOK_NANOS: u64 = 25;

/// Getter: what a clock shows, in nanoseconds; `None` for a clock that there is not.
pub fn nanos_of(clock: clockid_t) -> Option<u64> {
    let now = process().now;
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => Some(wall_nanos()),
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME => Some(UPTIME_NANOS + now),
        libc::CLOCK_PROCESS_CPUTIME_ID | libc::CLOCK_THREAD_CPUTIME_ID => Some(now),
        // Clocks of processes and threads have negative numbers.
        ..0 => Some(now),
        _ => None,
    }
}

/// Getter: the wall clock, in nanoseconds since 1970. A step of it is less than what it shows.
fn wall_nanos() -> u64 {
    let right = EPOCH_SECONDS * 1_000_000_000 + process().now;
    right.saturating_add_signed(process().wall_ahead)
}

/// Getter: the virtual time at which `clock` shows `at`; [`NEVER`] if it is beyond all times.
pub fn when(clock: clockid_t, at: &timespec) -> u64 {
    let at = nanos(at);
    let Some(shows) = nanos_of(clock) else { return NEVER };
    at.saturating_sub(shows - process().now)
}

/// Getter: a timespec in nanoseconds; negative ones are 0.
pub fn nanos(time: &timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Getter: the time so many nanoseconds from now.
pub fn after(span: u64) -> u64 {
    process().now.saturating_add(span)
}

/// Getter: nanoseconds as a timespec.
pub fn timespec_of(nanos: u64) -> timespec {
    timespec { tv_sec: (nanos / 1_000_000_000) as i64, tv_nsec: (nanos % 1_000_000_000) as c_long }
}

/// Command: a look at a clock, which costs time.
pub fn look(call: u32) {
    process().call = call;
    threads::charge(LOOK_NANOS);
}

/// As [`look`], from the program's own context: signals wait meanwhile.
fn look_outside() {
    process().call = CALL_CLOCK;
    if process().vfork_child.is_none() && !threads::charge_alone(LOOK_NANOS) {
        crate::signals::masked(|| threads::charge(LOOK_NANOS));
    }
}

/// `clock_gettime` of the program.
///
/// # Safety
/// `out` is null or writable.
unsafe extern "C" fn clock_gettime(clock: clockid_t, out: *mut timespec) -> c_int {
    look_outside();
    let Some(nanos) = nanos_of(clock) else { return -libc::EINVAL };
    if !out.is_null() {
        // SAFETY: the caller's.
        unsafe { out.write(timespec_of(nanos)) };
    }
    0
}

/// `clock_getres` of the program: a nanosecond.
///
/// # Safety
/// `out` is null or writable.
unsafe extern "C" fn clock_getres(clock: clockid_t, out: *mut timespec) -> c_int {
    if nanos_of(clock).is_none() {
        return -libc::EINVAL;
    }
    if !out.is_null() {
        // SAFETY: the caller's.
        unsafe { out.write(timespec { tv_sec: 0, tv_nsec: 1 }) };
    }
    0
}

/// `gettimeofday` of the program.
///
/// # Safety
/// `out` is null or writable, `zone` is null or has room for two ints.
unsafe extern "C" fn gettimeofday(out: *mut timeval, zone: *mut [c_int; 2]) -> c_int {
    look_outside();
    let time = timespec_of(wall_nanos());
    // SAFETY: the caller's.
    unsafe {
        if !out.is_null() {
            out.write(timeval { tv_sec: time.tv_sec, tv_usec: time.tv_nsec / 1_000 });
        }
        if !zone.is_null() {
            zone.write([0, 0]);
        }
    }
    0
}

/// `time` of the program.
///
/// # Safety
/// `out` is null or writable.
unsafe extern "C" fn time(out: *mut i64) -> i64 {
    look_outside();
    let seconds = (wall_nanos() / 1_000_000_000) as i64;
    if !out.is_null() {
        // SAFETY: the caller's.
        unsafe { out.write(seconds) };
    }
    seconds
}

/// `getcpu` of the program: the one that there is.
///
/// # Safety
/// Both are null or writable.
unsafe extern "C" fn getcpu(cpu: *mut u32, node: *mut u32, _: *mut c_void) -> c_int {
    for out in [cpu, node] {
        if !out.is_null() {
            // SAFETY: the caller's.
            unsafe { out.write(0) };
        }
    }
    0
}

/// The library page's `getrandom`: there is none, the C library asks the kernel.
extern "C" fn getrandom() -> isize {
    -(libc::ENOSYS as isize)
}

/// What stands in for the functions of the page.
pub fn replacements() -> [(&'static [u8], usize); 6] {
    [
        (b"__vdso_clock_gettime", clock_gettime as *const () as usize),
        (b"__vdso_clock_getres", clock_getres as *const () as usize),
        (b"__vdso_gettimeofday", gettimeofday as *const () as usize),
        (b"__vdso_time", time as *const () as usize),
        (b"__vdso_getcpu", getcpu as *const () as usize),
        (b"__vdso_getrandom", getrandom as *const () as usize),
    ]
}

/// Answers the system calls that tell the time. Arguments as the kernel gets them.
///
/// # Safety
/// The pointers are null or as the call says.
pub unsafe fn system_call(number: c_long, a: [u64; 6]) -> Option<i64> {
    // SAFETY: the caller's, each.
    let answer = unsafe {
        match number {
            libc::SYS_clock_gettime => clock_gettime(a[0] as i32, a[1] as *mut timespec).into(),
            libc::SYS_clock_getres => clock_getres(a[0] as i32, a[1] as *mut timespec).into(),
            libc::SYS_gettimeofday => {
                gettimeofday(a[0] as *mut timeval, a[1] as *mut [c_int; 2]).into()
            }
            libc::SYS_time => time(a[0] as *mut i64),
            libc::SYS_getcpu => {
                getcpu(a[0] as *mut u32, a[1] as *mut u32, core::ptr::null_mut()).into()
            }
            libc::SYS_times => {
                let ticks = (process().now / 10_000_000) as i64;
                if a[0] != 0 {
                    (a[0] as *mut [i64; 4]).write([ticks, 0, 0, 0]);
                }
                ticks + (UPTIME_NANOS / 10_000_000) as i64
            }
            libc::SYS_getrusage => {
                let mut usage: libc::rusage = core::mem::zeroed();
                usage.ru_utime.tv_sec = (process().now / 1_000_000_000) as i64;
                usage.ru_utime.tv_usec = (process().now % 1_000_000_000 / 1_000) as i64;
                (a[1] as *mut libc::rusage).write(usage);
                0
            }
            libc::SYS_clock_settime
            | libc::SYS_settimeofday
            | libc::SYS_adjtimex
            | libc::SYS_clock_adjtime => -i64::from(libc::EPERM),
            _ => return None,
        }
    };
    Some(answer)
}
