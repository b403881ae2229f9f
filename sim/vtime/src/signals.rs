//! Signals: those of this object are kept out of the program's reach, the others are delivered in a thread's own turn.

use core::cell::UnsafeCell;
use core::ffi::c_void;

use libc::{c_int, c_long};

use crate::raw;
use crate::threads::{self, Outcome, State};
use crate::wire::ask;
use crate::world::{self, process, question};

/// The kernel's `struct sigaction` of x86-64.
#[repr(C)]
#[derive(Clone, Copy)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

const fn bit(signal: c_int) -> u64 {
    1 << (signal - 1)
}

/// Never blocked: without them this object cannot work.
const OURS: u64 = bit(libc::SIGSYS) | bit(libc::SIGSEGV);
const SIGSET_BYTES: u64 = 8;

struct Stored(UnsafeCell<[Action; 2]>);

// SAFETY: only the thread that has the turn touches it.
unsafe impl Sync for Stored {}

/// What the program believes to be its actions for SIGSYS and SIGSEGV.
static STORED: Stored =
    Stored(UnsafeCell::new([Action { handler: 0, flags: 0, restorer: 0, mask: 0 }; 2]));

fn stored(signal: c_int) -> *mut Action {
    let actions: *mut Action = STORED.0.get().cast();
    // SAFETY: two places.
    unsafe { actions.add(usize::from(signal == libc::SIGSEGV)) }
}

/// A handler that the kernel calls.
type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Command: `handler` handles `signal`, with all signals waiting. By our own system call: in a later image the C
/// library's would be trapped already.
pub fn handle(signal: c_int, handler: Handler) {
    /// `SA_RESTORER` of x86-64's asm/signal.h.
    const SA_RESTORER: u64 = 0x0400_0000;
    let action = Action {
        handler: handler as *const () as usize,
        flags: libc::SA_SIGINFO as u64 | SA_RESTORER,
        restorer: raw::RESTORER,
        mask: u64::MAX,
    };
    // SAFETY: the action is ours; its handler expects to be called by the kernel.
    unsafe { raw!(libc::SYS_rt_sigaction, signal, &raw const action, 0, SIGSET_BYTES) };
}

/// Command: `body` with all signals waiting.
pub fn masked<T>(body: impl FnOnce() -> T) -> T {
    let (all, mut before) = (u64::MAX, 0_u64);
    // SAFETY: both masks are ours.
    unsafe {
        raw!(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            &raw mut before,
            SIGSET_BYTES
        )
    };
    threads::thread(threads::me()).mask = before;
    let result = body();
    set_mask(before);
    result
}

/// Command: the kernel's mask of this thread.
pub fn set_mask(mask: u64) {
    // SAFETY: the mask is ours.
    unsafe { raw!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0, SIGSET_BYTES) };
}

/// Getter: the set of signals that wait for this thread or its process.
fn pending() -> u64 {
    let mut set = 0_u64;
    // SAFETY: the set is ours.
    unsafe { raw!(libc::SYS_rt_sigpending, &raw mut set, SIGSET_BYTES) };
    set
}

/// Command: a wait with another mask (`ppoll`, `sigsuspend` and the like), given by the address of a mask or 0.
/// Signals that it lets through are handled before the call returns.
///
/// # Safety
/// `mask` is 0 or the address of a mask.
pub unsafe fn with_mask(mask: u64, wait: impl FnOnce() -> i64) -> i64 {
    // SAFETY: the caller's.
    let Some(mask) = (unsafe { (mask as *const u64).as_ref() }) else { return wait() };
    let mask = *mask & !OURS;
    let own = core::mem::replace(&mut threads::thread(threads::me()).mask, mask);
    let result = if due(mask) != 0 { -i64::from(libc::EINTR) } else { wait() };
    if result == -i64::from(libc::EINTR) {
        // They are delivered here, and their handlers return here.
        set_mask(mask);
        set_mask(u64::MAX);
    }
    threads::thread(threads::me()).mask = own;
    result
}

/// Getter: the signals that wait, matter and get through `mask`.
fn due(mask: u64) -> u64 {
    let pending = pending() & !mask;
    let due = (1..64).filter(|signal| pending & bit(*signal) != 0 && matters(*signal));
    due.fold(0, |set, signal| set | bit(signal))
}

/// Getter: whether the program handles `signal`, or dies of it.
fn matters(signal: c_int) -> bool {
    let mut action = Action { handler: 0, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the action is ours.
    unsafe { raw!(libc::SYS_rt_sigaction, signal, 0, &raw mut action, SIGSET_BYTES) };
    let ignored = [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT];
    match action.handler {
        libc::SIG_DFL => !ignored.contains(&signal),
        libc::SIG_IGN => false,
        _ => true,
    }
}

/// Command: signals were sent to the process. The first waiting thread that may take one goes on.
pub fn interrupt() {
    let due = due(0);
    let slot = threads::first_waiting(|one| due & !one.mask != 0);
    if let Some(slot) = slot {
        threads::wake(slot, Outcome::Interrupted);
    }
}

/// `rt_sigprocmask`: acts on the mask with which the trapped call returns.
///
/// # Safety
/// The pointers are null or point to masks.
pub unsafe fn change_mask(mask: &mut u64, a: [u64; 6]) -> i64 {
    let before = *mask;
    if a[3] != SIGSET_BYTES {
        return -i64::from(libc::EINVAL);
    }
    if a[1] != 0 {
        // SAFETY: the caller's.
        let set = unsafe { *(a[1] as *const u64) } & !OURS;
        *mask = match a[0] as c_int {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return -i64::from(libc::EINVAL),
        };
    }
    if a[2] != 0 {
        // SAFETY: the caller's.
        unsafe { *(a[2] as *mut u64) = before };
    }
    0
}

/// `rt_sigaction`: actions for this object's signals are remembered and not installed; no handler blocks them.
///
/// # Safety
/// The pointers are null or point to actions.
pub unsafe fn change_action(a: [u64; 6]) -> i64 {
    let signal = a[0] as c_int;
    let (new, old) = (a[1] as *const Action, a[2] as *mut Action);
    if a[3] == SIGSET_BYTES && (signal == libc::SIGSYS || signal == libc::SIGSEGV) {
        // SAFETY: the caller's.
        unsafe {
            let before = *stored(signal);
            // A child that shares memory changes its own actions only, of which it has no need.
            if !new.is_null() && process().vfork_child.is_none() {
                *stored(signal) = *new;
            }
            if !old.is_null() {
                *old = before;
            }
        }
        return 0;
    }
    // SAFETY: the caller's; the kernel reads a copy of ours.
    unsafe {
        let copy = new.as_ref().map(|new| Action { mask: new.mask & !OURS, ..*new });
        let at = copy.as_ref().map_or(0, |copy| core::ptr::from_ref(copy) as u64);
        raw!(libc::SYS_rt_sigaction, signal, at, a[2], a[3])
    }
}

/// Command: what the program wants to happen at a SIGSEGV that is its own. Runs in the handler of ours.
///
/// # Safety
/// The arguments are those of the handler.
pub unsafe fn segfault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, mask: u64) {
    // SAFETY: see `STORED`.
    let action = unsafe { *stored(libc::SIGSEGV) };
    if action.handler == libc::SIG_DFL || action.handler == libc::SIG_IGN {
        let default = Action { handler: libc::SIG_DFL, ..action };
        // The instruction runs again, and the process dies of it.
        // SAFETY: the action is ours.
        unsafe { raw!(libc::SYS_rt_sigaction, signal, &raw const default, 0, SIGSET_BYTES) };
        return;
    }
    set_mask((mask | action.mask) & !OURS);
    // SAFETY: the program gave the kernel this address as such a handler; one without SA_SIGINFO ignores the rest.
    unsafe {
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
            core::mem::transmute(action.handler);
        handler(signal, info, context);
    }
    set_mask(u64::MAX);
}

/// `kill`, `tgkill`, `tkill`: within the process at once, to others through the world.
pub fn send(number: c_long, a: [u64; 6]) -> Option<i64> {
    let answer = match number {
        libc::SYS_kill => kill(a[0] as i32, a[1] as c_int),
        libc::SYS_tgkill => to_thread(a[1] as i32, a[2] as c_int),
        libc::SYS_tkill => to_thread(a[0] as i32, a[1] as c_int),
        _ => return None,
    };
    Some(answer)
}

fn kill(pid: i32, signal: c_int) -> i64 {
    let own = process().pid;
    if pid == own || pid == process().real_pid || pid == 0 {
        // SAFETY: a signal to ourselves.
        return unsafe { raw!(libc::SYS_kill, process().real_pid, signal) };
    }
    if pid < 0 {
        return -i64::from(libc::EPERM);
    }
    let mut question = question(ask::KILL);
    question.a = pid as u64;
    question.b = signal as u64;
    process().rang = true;
    -(world::ask(&question, &[]).answer.value as i64)
}

/// The C library names threads by the kernel's numbers, programs by ours.
fn to_thread(tid: i32, signal: c_int) -> i64 {
    let named = threads::live().find(|slot| {
        let one = threads::thread(*slot);
        one.tid == tid || one.real_tid == tid
    });
    let Some(slot) = named else { return -i64::from(libc::ESRCH) };
    let target = threads::thread(slot);
    let (real, mask) = (target.real_tid, target.mask);
    // SAFETY: a signal to a thread of ours.
    let sent = unsafe { raw!(libc::SYS_tgkill, process().real_pid, real, signal) };
    let interrupts = sent == 0 && signal != 0 && slot != threads::me() && mask & bit(signal) == 0;
    if interrupts && matters(signal) && threads::thread(slot).state == State::Waiting {
        threads::wake(slot, Outcome::Interrupted);
    }
    sent
}
