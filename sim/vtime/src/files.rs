//! Descriptors: reads and writes that would wait for another guest, random devices, the daemon's socket.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};

use libc::{c_int, c_long, c_short};

use crate::raw;
use crate::waits;
use crate::wire::{BATON_FD, DAEMON_PATH, ask};
use crate::world::{self, process, question};

/// Descriptors from this number on cannot be random devices.
const ENTROPY_FDS: usize = 4_096;
/// What a pipe takes without waiting when it says that it has room (pipe(7)).
const PIPE_BUF: u64 = 4_096;
const EINTR: i64 = -(libc::EINTR as i64);
const EAGAIN: i64 = -(libc::EAGAIN as i64);

struct Bits(UnsafeCell<[u64; ENTROPY_FDS / 64]>);

// SAFETY: only the thread that has the turn touches it.
unsafe impl Sync for Bits {}

/// Descriptors that stand for a random device.
static ENTROPY: Bits = Bits(UnsafeCell::new([0; ENTROPY_FDS / 64]));

fn entropy_word(fd: i32) -> Option<(&'static mut u64, u64)> {
    let fd = usize::try_from(fd).ok().filter(|fd| *fd < ENTROPY_FDS)?;
    // SAFETY: see `Bits`; the reference does not outlive the statement that asks for it.
    let words = unsafe { &mut *ENTROPY.0.get() };
    Some((&mut words[fd / 64], 1 << (fd % 64)))
}

fn set_entropy(fd: i32, is: bool) {
    if let Some((word, bit)) = entropy_word(fd) {
        *word = if is { *word | bit } else { *word & !bit };
    }
}

fn is_entropy(fd: i32) -> bool {
    entropy_word(fd).is_some_and(|(word, bit)| *word & bit != 0)
}

/// Answers calls on descriptors. `None`: the call is none of them.
///
/// # Safety
/// The arguments are those of the call.
pub unsafe fn system_call(number: c_long, a: [u64; 6]) -> Option<i64> {
    let fd = a[0] as i32;
    // SAFETY: the caller's, each.
    let answer = unsafe {
        match number {
            libc::SYS_read if is_entropy(fd) => {
                process().fill(a[1] as *mut u8, a[2] as usize);
                a[2] as i64
            }
            libc::SYS_read | libc::SYS_readv | libc::SYS_accept | libc::SYS_accept4 => {
                input(number, a, 0)
            }
            libc::SYS_recvfrom => input(number, a, a[3]),
            libc::SYS_recvmsg => input(number, a, a[2]),
            libc::SYS_recvmmsg => input(number, [a[0], a[1], a[2], a[3], 0, 0], a[3]),
            libc::SYS_write => write(a),
            libc::SYS_writev => output(number, a, 0),
            libc::SYS_sendto => output(number, a, a[3]),
            libc::SYS_sendmsg => output(number, a, a[2]),
            libc::SYS_sendmmsg => output(number, a, a[3]),
            libc::SYS_sendfile => output(number, a, 0),
            libc::SYS_open => open(number, a, a[0]),
            libc::SYS_openat => open(number, a, a[1]),
            libc::SYS_close => close(fd),
            libc::SYS_close_range => close_range(a),
            libc::SYS_connect => connect(a),
            libc::SYS_flock => flock(a),
            libc::SYS_shutdown | libc::SYS_dup2 | libc::SYS_dup3 => {
                // Its other end may belong to a guest that waits for this.
                process().rang = true;
                raw::call(number, a)
            }
            libc::SYS_getrandom => {
                process().fill(a[0] as *mut u8, a[1] as usize);
                a[1] as i64
            }
            _ => return None,
        }
    };
    Some(answer)
}

/// Whether the kernel would make a call on `fd` wait.
fn may_wait(fd: i32, flags: u64) -> bool {
    if flags & libc::MSG_DONTWAIT as u64 != 0 {
        return false;
    }
    // SAFETY: asks for flags.
    let status = unsafe { raw!(libc::SYS_fcntl, fd, libc::F_GETFL) };
    status >= 0 && status & i64::from(libc::O_NONBLOCK) == 0
}

/// How long a socket's reads or writes wait, if it has a limit (`SO_RCVTIMEO`, `SO_SNDTIMEO`), in nanoseconds.
fn patience(fd: i32, events: c_short) -> Option<u64> {
    let name = if events == libc::POLLIN { libc::SO_RCVTIMEO } else { libc::SO_SNDTIMEO };
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut len = size_of_val(&time) as u32;
    let (level, at, len) = (libc::SOL_SOCKET, &raw mut time, &raw mut len);
    // SAFETY: the kernel writes a timeval at most.
    let result = unsafe { raw!(libc::SYS_getsockopt, fd, level, name, at, len) };
    let nanos = time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
    (result == 0 && nanos > 0).then_some(nanos)
}

/// # Safety
/// As the call.
unsafe fn input(number: c_long, a: [u64; 6], flags: u64) -> i64 {
    // SAFETY: the caller's.
    unsafe { when_ready(number, a, libc::POLLIN, flags) }
}

/// # Safety
/// As the call.
unsafe fn output(number: c_long, a: [u64; 6], flags: u64) -> i64 {
    // SAFETY: the caller's.
    unsafe { when_ready(number, a, libc::POLLOUT, flags) }
}

/// The kernel's call, once it does not wait.
///
/// # Safety
/// As the call.
unsafe fn when_ready(number: c_long, a: [u64; 6], events: c_short, flags: u64) -> i64 {
    let fd = a[0] as i32;
    if !waits::is_ready(fd, events) && may_wait(fd, flags) {
        let patience = patience(fd, events);
        if let Err(failed) = waits::wait_for(fd, events, patience) {
            return failed;
        }
    }
    // Room or bytes: somebody may have waited for either.
    process().rang |= !is_regular(fd);
    // SAFETY: the caller's.
    unsafe { raw::call(number, a) }
}

/// Whether `fd` is a file in which nobody waits for anybody.
fn is_regular(fd: i32) -> bool {
    // SAFETY: zeroes are a valid stat, which the kernel fills in.
    let (result, status) = unsafe {
        let mut status: libc::stat = core::mem::zeroed();
        (raw!(libc::SYS_fstat, fd, &raw mut status), status)
    };
    result != 0 || status.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// `write`: what a pipe takes at once, then the rest.
///
/// # Safety
/// The bytes are readable.
unsafe fn write(a: [u64; 6]) -> i64 {
    let [fd, bytes, len, ..] = a;
    if len <= PIPE_BUF || is_regular(fd as i32) || !may_wait(fd as i32, 0) {
        // SAFETY: the caller's.
        return unsafe { when_ready(libc::SYS_write, a, libc::POLLOUT, 0) };
    }
    process().rang = true;
    let mut done = 0;
    while done < len {
        // SAFETY: the caller's; nobody else runs while the file does not wait.
        let wrote = unsafe {
            let status = raw!(libc::SYS_fcntl, fd, libc::F_GETFL);
            raw!(libc::SYS_fcntl, fd, libc::F_SETFL, status | i64::from(libc::O_NONBLOCK));
            let wrote = raw!(libc::SYS_write, fd, bytes + done, len - done);
            raw!(libc::SYS_fcntl, fd, libc::F_SETFL, status);
            wrote
        };
        match wrote {
            0 => break,
            1.. => done += wrote as u64,
            EAGAIN => match waits::wait_for(fd as i32, libc::POLLOUT, None) {
                Ok(()) => {}
                Err(failed) if done == 0 => return failed,
                Err(_) => break,
            },
            failed if done == 0 => return failed,
            _ => break,
        }
    }
    done as i64
}

/// # Safety
/// The arguments are those of the call; `path` is that of a string.
unsafe fn open(number: c_long, a: [u64; 6], path: u64) -> i64 {
    // SAFETY: the caller's.
    let name = unsafe { CStr::from_ptr(path as *const c_char) }.to_bytes();
    let entropy = name == b"/dev/urandom" || name == b"/dev/random";
    // SAFETY: the caller's.
    let fd = unsafe { raw::call(number, a) };
    if fd >= 0 {
        set_entropy(fd as i32, entropy);
    }
    fd
}

fn close(fd: i32) -> i64 {
    if fd == BATON_FD && process().vfork_child.is_none() {
        return -i64::from(libc::EBADF);
    }
    set_entropy(fd, false);
    // Its other end may belong to a guest that waits for this.
    process().rang = true;
    // SAFETY: the program's descriptor.
    unsafe { raw!(libc::SYS_close, fd) }
}

/// All but our socket.
fn close_range(a: [u64; 6]) -> i64 {
    let [first, last, flags, ..] = a;
    let baton = BATON_FD as u64;
    for fd in first..=last.min(ENTROPY_FDS as u64) {
        set_entropy(fd as i32, false);
    }
    process().rang = true;
    let close = |first: u64, last: u64| {
        if first > last {
            return 0;
        }
        // SAFETY: the program's descriptors.
        unsafe { raw!(libc::SYS_close_range, first, last, flags) }
    };
    if !(first..=last).contains(&baton) {
        return close(first, last);
    }
    let below = if first < baton { close(first, baton - 1) } else { 0 };
    if below != 0 { below } else { close(baton + 1, last) }
}

/// `connect`: the daemon's socket is the world's.
///
/// # Safety
/// The address is readable for its length.
unsafe fn connect(a: [u64; 6]) -> i64 {
    let (address, len) = (a[1] as *const u8, a[2] as usize);
    const PATH_AT: usize = core::mem::offset_of!(libc::sockaddr_un, sun_path);
    // SAFETY: the caller's.
    let bytes = unsafe { core::slice::from_raw_parts(address, len) };
    let family = bytes.first_chunk::<2>().map(|two| c_int::from(u16::from_ne_bytes(*two)));
    let path = bytes.get(PATH_AT..).unwrap_or_default();
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    if family != Some(libc::AF_UNIX) || path != DAEMON_PATH.as_bytes() {
        // SAFETY: the caller's.
        return unsafe { when_ready(libc::SYS_connect, a, libc::POLLOUT, 0) };
    }
    let answered = world::ask(&question(ask::CONNECT), &[]);
    if answered.fd < 0 {
        return -i64::from(libc::ECONNREFUSED);
    }
    // SAFETY: both descriptors are this process's; the program's one keeps its flags.
    unsafe {
        let flags = raw!(libc::SYS_fcntl, a[0], libc::F_GETFD);
        let exec = if flags & i64::from(libc::FD_CLOEXEC) != 0 { libc::O_CLOEXEC } else { 0 };
        let status = raw!(libc::SYS_fcntl, a[0], libc::F_GETFL);
        let moved = raw!(libc::SYS_dup3, answered.fd, a[0], exec);
        raw!(libc::SYS_fcntl, a[0], libc::F_SETFL, status);
        raw!(libc::SYS_close, answered.fd);
        if moved < 0 { moved } else { 0 }
    }
}

/// `flock`: tried again when something has happened.
///
/// # Safety
/// As the call.
unsafe fn flock(a: [u64; 6]) -> i64 {
    struct Lock([u64; 2]);
    fn attempt(lock: &Lock) -> i64 {
        // SAFETY: the program's descriptor.
        unsafe { raw!(libc::SYS_flock, lock.0[0], lock.0[1] | libc::LOCK_NB as u64) }
    }
    unsafe fn free(data: *mut core::ffi::c_void) -> bool {
        // SAFETY: `data` is a `Lock`. A lock that is taken here is taken again below, which changes nothing.
        attempt(unsafe { &*data.cast::<Lock>() }) != EAGAIN
    }
    let mut lock = Lock([a[0], a[1]]);
    loop {
        let result = attempt(&lock);
        process().rang = true;
        if result != EAGAIN || a[1] & libc::LOCK_NB as u64 != 0 {
            return result;
        }
        let wait = crate::threads::Wait::Check { check: free, data: (&raw mut lock).cast() };
        if crate::threads::block(wait, crate::wire::NEVER) == crate::threads::Outcome::Interrupted {
            return EINTR;
        }
    }
}
