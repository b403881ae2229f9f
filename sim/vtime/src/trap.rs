//! The handler of trapped system calls (SIGSYS): answers each, or names it and ends the process.

use core::ffi::c_void;

use libc::{c_int, c_long, siginfo_t, ucontext_t};

use crate::names::call_name;
use crate::wire::{WORDS_MAX, ask};
use crate::world::{self, process, question};
use crate::{children, clock, files, futex, raw, signals, threads, tsc, waits};

/// The exit code of a process that was ended because of what it called.
pub const EXIT_DENIED: i32 = 121;

/// The registers of a trapped call.
pub struct Registers<'a>(pub &'a mut ucontext_t);

impl Registers<'_> {
    /// Getter: a general register, by its number in `gregs`.
    pub fn register(&self, name: c_int) -> u64 {
        self.0.uc_mcontext.gregs[name as usize] as u64
    }

    /// Getter: the arguments of the call.
    pub fn arguments(&self) -> [u64; 6] {
        [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9]
            .map(|name| self.register(name))
    }

    /// Getter: the signal mask with which the program goes on.
    pub fn mask(&mut self) -> &mut u64 {
        let set: *mut libc::sigset_t = &raw mut self.0.uc_sigmask;
        // SAFETY: the kernel's mask is the first word of the C library's.
        unsafe { &mut *set.cast::<u64>() }
    }
}

/// The handler.
///
/// # Safety
/// Called by the kernel for SIGSYS of a seccomp filter.
pub unsafe extern "C" fn on_trap(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's arguments.
    let mut registers = unsafe { Registers(&mut *context.cast::<ucontext_t>()) };
    // SAFETY: the kernel's arguments; si_arch follows si_syscall and si_call_addr (sigaction(2)).
    let arch = unsafe { *info.cast::<u32>().add(7) };
    let number = registers.register(libc::REG_RAX) as c_long;
    if arch != 0xc000_003e {
        deny("of another architecture", "only those of x86-64 are known");
    }
    process().call = number as u32;
    let mask = *registers.mask();
    threads::thread(threads::me()).mask = mask;
    // SAFETY: a trapped call's registers.
    let result = unsafe { answer(number, &mut registers) };
    registers.0.uc_mcontext.gregs[libc::REG_RAX as usize] = result;
}

/// What the trapped call returns.
///
/// # Safety
/// The registers are those of the trapped call.
unsafe fn answer(number: c_long, registers: &mut Registers<'_>) -> i64 {
    let a = registers.arguments();
    // SAFETY: the caller's, each: the arguments are what the program gave.
    unsafe {
        match number {
            libc::SYS_rt_sigprocmask => return signals::change_mask(registers.mask(), a),
            libc::SYS_rt_sigaction => return signals::change_action(a),
            _ => {}
        }
        if let Some(answer) = identity(number, a) {
            return answer;
        }
        if let Some(answer) = children::system_call(number, a, registers) {
            return answer;
        }
        threads::charge(cost());
        if number == libc::SYS_futex {
            return futex::system_call(a);
        }
        clock::system_call(number, a)
            .or_else(|| files::system_call(number, a))
            .or_else(|| waits::system_call(number, a))
            .or_else(|| children::wait_call(number, a))
            .or_else(|| signals::send(number, a))
            .or_else(|| limited(number, a))
            .unwrap_or_else(|| {
                deny(
                    call_name(number as u32),
                    "the simulator does not know what it waits for or tells",
                )
            })
    }
}

/// What a system call costs: a little more or less, as the seed wants, so that seeds order threads differently.
fn cost() -> u64 {
    let base = process().system_call;
    base + process().draw() % base.max(1)
}

/// Who and where the process is.
///
/// # Safety
/// The arguments are those of the call.
unsafe fn identity(number: c_long, a: [u64; 6]) -> Option<i64> {
    let answer = match number {
        libc::SYS_getpid | libc::SYS_getpgrp => process().pid.into(),
        libc::SYS_getpgid | libc::SYS_getsid if a[0] == 0 => process().pid.into(),
        libc::SYS_setpgid => 0,
        libc::SYS_getppid => process().parent.into(),
        libc::SYS_gettid => threads::thread(threads::me()).tid.into(),
        libc::SYS_uname => {
            // SAFETY: the caller's.
            unsafe {
                let result = raw!(libc::SYS_uname, a[0]);
                if result == 0 {
                    let name = process().host_name;
                    let all = &mut *(a[0] as *mut libc::utsname);
                    all.nodename[..name.len()]
                        .copy_from_slice(&name.map(|byte| byte as libc::c_char));
                }
                result
            }
        }
        libc::SYS_sched_getaffinity => {
            // One processor: one thread runs at a time.
            if a[1] < 8 {
                return Some(-i64::from(libc::EINVAL));
            }
            // SAFETY: the caller's.
            unsafe { (a[2] as *mut u64).write(1) };
            8
        }
        libc::SYS_sched_setaffinity => 0,
        libc::SYS_sysinfo => {
            // SAFETY: the caller's; zeroes are a valid sysinfo.
            unsafe {
                let mut info: libc::sysinfo = core::mem::zeroed();
                info.uptime = ((crate::wire::UPTIME_NANOS + process().now) / 1_000_000_000) as i64;
                info.totalram = 8 << 30;
                info.freeram = 4 << 30;
                info.procs = 1;
                info.mem_unit = 1;
                (a[0] as *mut libc::sysinfo).write(info);
            }
            0
        }
        _ => return None,
    };
    Some(answer)
}

/// Calls of which only some uses are let through.
///
/// # Safety
/// The arguments are those of the call.
unsafe fn limited(number: c_long, a: [u64; 6]) -> Option<i64> {
    let answer = match number {
        libc::SYS_sched_yield => 0,
        libc::SYS_prctl if a[0] == libc::PR_SET_TSC as u64 => tsc::control(a[1]),
        libc::SYS_prctl if a[0] == libc::PR_SET_PDEATHSIG as u64 => 0,
        libc::SYS_prctl => deny("prctl", "a filter of the program's own would hide calls"),
        libc::SYS_socket => deny("socket", "the kernel's network is outside the simulated world"),
        libc::SYS_fcntl => {
            deny("fcntl", "it waits for a lock, or asks for signals of a descriptor")
        }
        _ => return None,
    };
    Some(answer)
}

/// Bytes that grow to a text.
struct Text {
    bytes: [u8; 8 * (WORDS_MAX - crate::wire::ASK_WORDS)],
    len: usize,
}

impl Text {
    fn add(&mut self, text: &[u8]) -> &mut Self {
        let room = self.bytes.len() - self.len;
        let taken = &text[..text.len().min(room)];
        self.bytes[self.len..self.len + taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        self
    }
}

/// Command: says what cannot be ordered, to the world and on standard error, and ends the process.
pub fn deny(call: &str, why: &str) -> ! {
    let mut text = Text { bytes: [0; _], len: 0 };
    text.add(b"system call ").add(call.as_bytes()).add(b" cannot be ordered: ").add(why.as_bytes());
    end(&text)
}

/// Command: says what is missing, to the world and on standard error, and ends the process.
pub fn fail(why: &str) -> ! {
    end(Text { bytes: [0; _], len: 0 }.add(why.as_bytes()))
}

fn end(text: &Text) -> ! {
    let name = process().name;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    raw::complain(b"causeway vtime: ");
    raw::complain(name);
    raw::complain(b": ");
    raw::complain(&text.bytes[..text.len]);
    raw::complain(b"\n");
    let mut words = [0_u64; WORDS_MAX - crate::wire::ASK_WORDS];
    for (word, bytes) in words.iter_mut().zip(text.bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    }
    let mut question = question(ask::DENIED);
    question.behind = text.len as u64;
    world::tell(&question, &words[..text.len.div_ceil(8)]);
    raw::exit_group(EXIT_DENIED);
}
