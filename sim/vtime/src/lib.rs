//! `libcauseway_vtime.so`: runs a shipped program as a process of a simulated world.
//!
//! The simulator loads it into each guest process with `LD_PRELOAD`. From then on the program sees the world's clocks,
//! its own seed's random numbers and process numbers that are the same in each run, and exactly one thread of all
//! guest processes of the world runs at a time: the one that the world chose.
//!
//! | module | what it does |
//! |---|---|
//! | `start` | the constructor: fixed addresses, hello to the world, everything below in place |
//! | `filter`, `trap` | system calls that wait, tell the time or start something come here (seccomp, SIGSYS) |
//! | `threads`, `futex` | who runs; every lock, condition and join |
//! | `waits`, `files` | sleeps, polls, reads and writes that would wait for another guest; random devices |
//! | `children`, `image` | threads, processes, program images |
//! | `clock`, `vdso`, `tsc` | clocks, however a program reads them |
//! | `signals` | signals, in a thread's own turn |
//! | `abi` | the functions of `machnet.h` as scheduling points |
//! | `world`, `wire` | questions and answers |
//! | `raw` | this object's own system calls |
//!
//! The object works inside signal handlers: it allocates nothing, locks nothing, and calls nothing of the C library once
//! the filter is in place, except `dlsym` from the program's own context.
//!
//! Where it does nothing: a program without the variable `CAUSEWAY_VTIME` in its environment runs as ever.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the process lane traps Linux's system calls of x86-64");

#[macro_use]
mod raw;
mod abi;
mod children;
mod clock;
mod files;
mod filter;
mod futex;
mod image;
mod names;
mod signals;
mod start;
mod threads;
mod trap;
mod tsc;
mod vdso;
mod waits;
mod wire;
mod world;
