//! Threads and processes begin and end; programs are exchanged.

use core::cell::UnsafeCell;
use core::ffi::c_void;

use libc::{c_int, c_long};

use crate::raw::{self, ChildFrame};
use crate::threads::{self, Outcome, Wait};
use crate::trap::{Registers, deny};
use crate::wire::{BATON_FD, NEVER, ask};
use crate::world::{self, process, question};
use crate::{image, signals};

/// Most children of a process that nobody has waited for.
const CHILDREN_MAX: usize = 1_024;
const NO_SLOT: u64 = u64::MAX;

/// A child: its number with the kernel, and ours. (0, 0): no child.
type Child = (i32, i32);

struct Children(UnsafeCell<[Child; CHILDREN_MAX]>);

// SAFETY: only the thread that has the turn touches it.
unsafe impl Sync for Children {}

static CHILDREN: Children = Children(UnsafeCell::new([(0, 0); CHILDREN_MAX]));

fn children() -> &'static mut [Child; CHILDREN_MAX] {
    // SAFETY: see `Children`; no reference is kept over a switch.
    unsafe { &mut *CHILDREN.0.get() }
}

/// Calls after which there is another thread, process or program. `None`: the call is none of them.
///
/// # Safety
/// The arguments are those of the call, the registers those of the trap.
pub unsafe fn system_call(
    number: c_long,
    a: [u64; 6],
    registers: &mut Registers<'_>,
) -> Option<i64> {
    // SAFETY: the caller's, each.
    let answer = unsafe {
        match number {
            libc::SYS_clone => clone(a, registers),
            // After vfork the child would overwrite the stack that this handler returns on: it gets a copy.
            libc::SYS_fork | libc::SYS_vfork => {
                fork([libc::SIGCHLD as u64, 0, 0, 0, 0, 0], registers)
            }
            libc::SYS_execve => image::execute(a, *registers.mask()),
            libc::SYS_exit => exit_thread(a[0] as i32),
            libc::SYS_exit_group => exit_process(a[0] as i32),
            _ => return None,
        }
    };
    Some(answer)
}

/// # Safety
/// As [`system_call`].
unsafe fn clone(a: [u64; 6], registers: &mut Registers<'_>) -> i64 {
    let flags = a[0] as c_int;
    // SAFETY: the caller's.
    unsafe {
        if flags & libc::CLONE_VM == 0 {
            fork(a, registers)
        } else if flags & libc::CLONE_THREAD != 0 && flags & libc::CLONE_SETTLS != 0 && a[1] != 0 {
            spawn_thread(a, registers)
        } else if flags & libc::CLONE_VFORK != 0 && a[1] != 0 {
            fork(a, registers)
        } else {
            deny("clone", "a thread needs a stack and thread-local memory of its own")
        }
    }
}

/// Lays what a child begins with on top of its stack.
///
/// # Safety
/// `a[1]` is the top of a stack of its own.
unsafe fn lay_frame(a: &mut [u64; 6], slot: u64, registers: &mut Registers<'_>) {
    let names = [
        libc::REG_R15,
        libc::REG_R14,
        libc::REG_R13,
        libc::REG_R12,
        libc::REG_R10,
        libc::REG_R9,
        libc::REG_R8,
        libc::REG_RDI,
        libc::REG_RSI,
        libc::REG_RBP,
        libc::REG_RBX,
        libc::REG_RDX,
    ];
    let frame = ChildFrame {
        entry: enter_child,
        slot,
        mask: *registers.mask(),
        spare: [0; 2],
        registers: names.map(|name| registers.register(name)),
        instruction: registers.register(libc::REG_RIP),
    };
    a[1] -= size_of::<ChildFrame>() as u64;
    // SAFETY: the caller's: the stack below its top is the child's alone.
    unsafe { (a[1] as *mut ChildFrame).write_unaligned(frame) };
}

/// The first function of a child on a stack of its own.
unsafe extern "C" fn enter_child(frame: *mut ChildFrame) {
    // SAFETY: the frame that `lay_frame` wrote.
    let (slot, mask) = unsafe { ((*frame).slot, (*frame).mask) };
    if slot != NO_SLOT {
        threads::arrive(slot as usize);
    }
    signals::set_mask(mask);
}

/// # Safety
/// As [`system_call`].
unsafe fn spawn_thread(mut a: [u64; 6], registers: &mut Registers<'_>) -> i64 {
    threads::charge(process().system_call);
    let Some(slot) = threads::add(*registers.mask()) else { return -i64::from(libc::EAGAIN) };
    let tid = threads::thread(slot).tid;
    // SAFETY: the caller's: the stack is the new thread's.
    let result = unsafe {
        lay_frame(&mut a, slot as u64, registers);
        raw::clone_with_frame(a)
    };
    if result < 0 {
        threads::forget(slot);
        return result;
    }
    threads::thread(slot).real_tid = result as i32;
    tid.into()
}

/// # Safety
/// As [`system_call`].
unsafe fn fork(mut a: [u64; 6], registers: &mut Registers<'_>) -> i64 {
    if process().vfork_child.is_some() {
        deny("fork", "a child that shares its parent's memory starts a program or ends");
    }
    threads::charge(process().system_call);
    let Some(free) = children().iter().position(|child| child.0 == 0) else {
        return -i64::from(libc::EAGAIN);
    };
    let answered = world::ask(&question(ask::FORK), &[]);
    let (baton, pid) = (answered.fd, answered.answer.value as i32);
    if baton < 0 {
        return -i64::from(libc::EAGAIN);
    }
    let shares = a[0] & libc::CLONE_VM as u64 != 0;
    if !shares {
        // The world lets the child run once this process has given its turn away: it must not wait in the kernel.
        a[0] &= !(libc::CLONE_VFORK as u64);
    }
    // SAFETY: the caller's; a child that shares memory has a stack of its own.
    let result = unsafe {
        if shares {
            process().vfork_child = Some(baton);
            lay_frame(&mut a, NO_SLOT, registers);
            raw::clone_with_frame(a)
        } else {
            raw::call(libc::SYS_clone, a)
        }
    };
    if result == 0 {
        begin_as_child(baton, pid, answered.answer.seed);
        return 0;
    }
    process().vfork_child = None;
    // The child is to run, too.
    process().rang = true;
    // SAFETY: the child has its own.
    unsafe { raw!(libc::SYS_close, baton) };
    if result < 0 {
        let mut question = question(ask::UNFORK);
        question.a = pid as u64;
        world::tell(&question, &[]);
        return result;
    }
    children()[free] = (result as i32, pid);
    pid.into()
}

/// What a child with memory of its own does first: says hello, and waits for its turn.
fn begin_as_child(baton: i32, pid: i32, seed: u64) {
    take_baton(baton);
    let own = process();
    own.parent = own.pid;
    own.pid = pid;
    own.seed = seed;
    own.draws = 0;
    // SAFETY: no arguments.
    own.real_pid = unsafe { raw!(libc::SYS_getpid) } as i32;
    *children() = [(0, 0); CHILDREN_MAX];
    threads::become_single(process().real_pid);
    let answered = world::ask(&world::hello(), &[]);
    process().take_turn(&answered.answer);
}

/// Command: `baton` becomes this process's socket.
pub fn take_baton(baton: i32) {
    if baton != BATON_FD {
        // SAFETY: both are ours.
        unsafe {
            raw!(libc::SYS_dup3, baton, BATON_FD, 0);
            raw!(libc::SYS_close, baton);
        }
    }
}

fn exit_thread(code: i32) -> ! {
    if threads::is_last() {
        exit_process(code);
    }
    threads::leave();
    loop {
        // SAFETY: ends the thread.
        unsafe { raw!(libc::SYS_exit, code) };
    }
}

/// Command: the process ends with a code.
pub fn exit_process(code: i32) -> ! {
    // A child that shares its parent's memory never became a process of its own.
    if process().vfork_child.is_none() {
        let mut question = question(ask::EXIT);
        question.a = code as u32 as u64;
        world::tell(&question, &[]);
    }
    raw::exit_group(code)
}

/// `wait4` and `waitid`. `None`: another call.
///
/// # Safety
/// The arguments are those of the call.
pub unsafe fn wait_call(number: c_long, a: [u64; 6]) -> Option<i64> {
    // SAFETY: the caller's, each.
    unsafe {
        match number {
            libc::SYS_wait4 => Some(wait4(a)),
            libc::SYS_waitid => Some(waitid(a)),
            _ => None,
        }
    }
}

/// The kernel's number of our child `pid`; 0 for none.
fn real(pid: i32) -> i32 {
    children().iter().find(|child| child.1 == pid && child.0 != 0).map_or(0, |child| child.0)
}

/// Our number of the child that the kernel calls `real`; it is forgotten if `reaped`.
fn ours(real: i32, reaped: bool) -> i32 {
    let Some(child) = children().iter_mut().find(|child| child.0 == real) else { return real };
    let pid = child.1;
    if reaped {
        *child = (0, 0);
    }
    pid
}

struct Selection {
    kind: u64,
    id: u64,
    options: u64,
}

/// # Safety
/// `data` is a [`Selection`].
unsafe fn any_ended(data: *mut c_void) -> bool {
    // SAFETY: the caller's; zeroes are a valid siginfo.
    unsafe {
        let Selection { kind, id, options } = *data.cast::<Selection>();
        let mut info: libc::siginfo_t = core::mem::zeroed();
        let options = options | (libc::WNOHANG | libc::WNOWAIT) as u64;
        let result = raw!(libc::SYS_waitid, kind, id, &raw mut info, options, 0);
        result < 0 || info.si_pid() != 0
    }
}

fn wait_for(selection: &mut Selection) -> bool {
    let data = core::ptr::from_mut(selection).cast();
    threads::block(Wait::Check { check: any_ended, data }, NEVER) != Outcome::Interrupted
}

/// # Safety
/// The arguments are those of the call.
unsafe fn wait4(a: [u64; 6]) -> i64 {
    let pid = a[0] as i32;
    let wanted = if pid > 0 { real(pid) } else { -1 };
    if wanted == 0 {
        return -i64::from(libc::ECHILD);
    }
    let options = a[2] | libc::WNOHANG as u64;
    loop {
        // SAFETY: the caller's.
        let result = unsafe { raw!(libc::SYS_wait4, wanted, a[1], options, 0) };
        if result < 0 {
            return result;
        }
        if result > 0 {
            if a[3] != 0 {
                // SAFETY: the caller's; zeroes are a valid rusage: no processor time passes here.
                unsafe { (a[3] as *mut libc::rusage).write(core::mem::zeroed()) };
            }
            return ours(result as i32, true).into();
        }
        if a[2] & libc::WNOHANG as u64 != 0 {
            return 0;
        }
        let (kind, id) = if wanted > 0 { (libc::P_PID, wanted) } else { (libc::P_ALL, 0) };
        let options = (libc::WEXITED as u64) | a[2] & (libc::WSTOPPED | libc::WCONTINUED) as u64;
        if !wait_for(&mut Selection { kind: kind.into(), id: id as u64, options }) {
            return -i64::from(libc::EINTR);
        }
    }
}

/// # Safety
/// The arguments are those of the call.
unsafe fn waitid(a: [u64; 6]) -> i64 {
    let [kind, id, info, options, ..] = a;
    let mut selection = Selection { kind, id, options };
    if kind == u64::from(libc::P_PID) {
        selection.id = real(id as i32) as u64;
        if selection.id == 0 {
            return -i64::from(libc::ECHILD);
        }
    }
    loop {
        // SAFETY: the caller's; zeroes are a valid siginfo.
        let (result, mut found) = unsafe {
            let mut found: libc::siginfo_t = core::mem::zeroed();
            let options = options | libc::WNOHANG as u64;
            let result = raw!(libc::SYS_waitid, kind, selection.id, &raw mut found, options, 0);
            (result, found)
        };
        // SAFETY: filled in by waitid, or zero.
        let real = unsafe { found.si_pid() };
        if result < 0 || real != 0 || options & libc::WNOHANG as u64 != 0 {
            if real != 0 {
                let pid = ours(real, options & libc::WNOWAIT as u64 == 0);
                // SAFETY: si_pid is the fourth int of a siginfo of a child (sigaction(2)).
                unsafe { (&raw mut found).cast::<i32>().add(4).write(pid) };
            }
            if result == 0 && info != 0 {
                // SAFETY: the caller's.
                unsafe { (info as *mut libc::siginfo_t).write(found) };
            }
            return result;
        }
        if !wait_for(&mut selection) {
            return -i64::from(libc::EINTR);
        }
    }
}
