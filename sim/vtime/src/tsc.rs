//! The time-stamp counter: reading it traps (SIGSEGV), and shows virtual nanoseconds.

use core::ffi::c_void;

use libc::{c_int, siginfo_t, ucontext_t};

use crate::clock;
use crate::signals;
use crate::threads;
use crate::trap::Registers;
use crate::wire::{CALL_TSC, UPTIME_NANOS};
use crate::world::process;

/// Sent by the kernel itself: a general protection fault.
const SI_KERNEL: c_int = 0x80;

/// Command: reading the counter traps (true), or reads the processor's (false). Of the calling thread and those it makes.
pub fn set_trap(traps: bool) {
    let how = if traps { libc::PR_TSC_SIGSEGV } else { libc::PR_TSC_ENABLE };
    // SAFETY: no memory is involved.
    unsafe { raw!(libc::SYS_prctl, libc::PR_SET_TSC, how) };
}

/// `prctl(PR_SET_TSC)` of the program: there is the virtual one only.
pub fn control(how: u64) -> i64 {
    if how == libc::PR_TSC_ENABLE as u64 { 0 } else { -i64::from(libc::EPERM) }
}

/// The handler of SIGSEGV.
///
/// # Safety
/// Called by the kernel.
pub unsafe extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's arguments.
    let (mut registers, code) =
        unsafe { (Registers(&mut *context.cast::<ucontext_t>()), (*info).si_code) };
    let mask = *registers.mask();
    if code == SI_KERNEL {
        let at = registers.register(libc::REG_RIP) as *const u8;
        // SAFETY: the processor has just read an instruction there.
        let (first, second, third) = unsafe { (*at, *at.add(1), *at.add(2)) };
        let length = match (first, second, third) {
            (0x0f, 0x31, _) => 2,
            (0x0f, 0x01, 0xf9) => 3,
            _ => 0,
        };
        if length != 0 {
            threads::thread(threads::me()).mask = mask;
            clock::look(CALL_TSC);
            let ticks = UPTIME_NANOS + process().now;
            let registers = &mut registers.0.uc_mcontext.gregs;
            registers[libc::REG_RAX as usize] = i64::from(ticks as u32);
            registers[libc::REG_RDX as usize] = (ticks >> 32) as i64;
            if length == 3 {
                registers[libc::REG_RCX as usize] = 0;
            }
            registers[libc::REG_RIP as usize] += length;
            return;
        }
    }
    // SAFETY: the kernel's arguments.
    unsafe { signals::segfault(signal, info, context, mask) };
}
