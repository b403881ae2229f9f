//! The constructor: runs before anything else of the program, and makes a guest of it.

use core::ffi::{CStr, c_char, c_int, c_void};

use crate::image::{self, variables};
use crate::threads;
use crate::trap::{self, fail};
use crate::wire::{
    ANSWER_WORDS, BATON_FD, START_WORDS, STATE_AGAIN, STATE_FIRST, STATE_INSIDE, STATE_VARIABLE,
    Start,
};
use crate::world::{self, process};
use crate::{filter, raw, signals, tsc, vdso};

/// Most variables of the first image.
const VARIABLES_MAX: usize = 4_096;

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char) =
    construct;

/// # Safety
/// Called by the dynamic linker with the program's arguments and environment.
unsafe extern "C" fn construct(
    _: c_int,
    arguments: *const *const c_char,
    environment: *const *const c_char,
) {
    // SAFETY: the linker's arguments.
    unsafe {
        let state = variables(environment).find_map(|text| {
            let rest = text.to_bytes().strip_prefix(STATE_VARIABLE.as_bytes())?;
            rest.strip_prefix(b"=")
        });
        let Some(state) = state else { return };
        remember_name(arguments);
        if !image::remember(environment) {
            stop(b"a variable of its environment is too long");
        }
        if state == STATE_FIRST.as_bytes() {
            first(arguments, environment);
        }
        begin(state == STATE_INSIDE.as_bytes());
    }
}

/// Ends a process that has not said hello. The page is not mapped yet.
fn stop(why: &[u8]) -> ! {
    // SAFETY: plain writes and the end.
    unsafe {
        for part in [&b"causeway vtime: "[..], why, b"\n"] {
            libc::write(2, part.as_ptr().cast::<c_void>(), part.len());
        }
        libc::_exit(trap::EXIT_DENIED)
    }
}

/// # Safety
/// The linker's arguments.
unsafe fn remember_name(arguments: *const *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        if arguments.is_null() || (*arguments).is_null() {
            return;
        }
        let name = CStr::from_ptr(*arguments).to_bytes();
        let room = &mut process().name[..63];
        let len = name.len().min(room.len());
        room[..len].copy_from_slice(&name[..len]);
    }
}

/// The first image: takes its socket, and starts again at addresses that are the same in each run.
///
/// # Safety
/// The linker's arguments.
unsafe fn first(arguments: *const *const c_char, environment: *const *const c_char) {
    let mut list = [core::ptr::null(); VARIABLES_MAX];
    // SAFETY: the caller's; before the program's first instruction nothing else uses these descriptors and limits.
    unsafe {
        let mut files: libc::rlimit = core::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut files);
        if files.rlim_cur <= BATON_FD as u64 {
            files.rlim_cur = files.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const files);
        }
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        if libc::dup3(0, BATON_FD, 0) != BATON_FD {
            stop(b"it may not have 1020 open files");
        }
        libc::close(0);
        libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) < 0 {
            stop(b"addresses cannot be fixed: personality(ADDR_NO_RANDOMIZE) is forbidden here");
        }
        if image::compose(environment, STATE_AGAIN, &mut list).is_err() {
            stop(b"its environment is too large");
        }
        image::again(arguments, &list);
    }
    stop(b"the program cannot be started again");
}

/// Everything is in place, or the process ends.
///
/// # Safety
/// Before the program's first instruction.
unsafe fn begin(inside: bool) {
    if raw::map_page().is_err() {
        stop(b"its page of system calls has no place");
    }
    // SAFETY: no arguments.
    process().real_pid = unsafe { raw!(libc::SYS_getpid) } as i32;
    let answered = world::ask(&world::hello(), &[]);
    let mut words = [0; START_WORDS - ANSWER_WORDS];
    words.copy_from_slice(&answered.words[ANSWER_WORDS..START_WORDS]);
    process().begin(&Start::from_words(&words));
    process().take_turn(&answered.answer);
    threads::become_single(process().real_pid);
    // SAFETY: the kernel put sixteen bytes there; whoever reads them from now on reads the seed's.
    unsafe {
        let random = libc::getauxval(libc::AT_RANDOM) as *mut u8;
        if !random.is_null() {
            process().fill(random, 16);
        }
    }
    if !vdso::replace() {
        fail("the kernel's library page cannot be changed: clocks cannot be virtual");
    }
    signals::handle(libc::SIGSYS, trap::on_trap);
    signals::handle(libc::SIGSEGV, tsc::on_fault);
    tsc::set_trap(true);
    if !inside && filter::install(vdso::linker_code()).is_err() {
        fail("system calls cannot be trapped: seccomp filters are forbidden here");
    }
}
