//! One process of a guest.

use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use causeway_core::time::Instant;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::baton::{self, Heard};
use super::names::call_name;
use super::wire::{Answer, Ask, CALL_NONE, NEVER, Start, flag};

/// Where a process is, between two turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It was started, and has not said so yet.
    Unborn,
    /// It waits for its first turn, since this time.
    Born(Instant),
    /// It goes on at a time, if at one: a thread is ready then, or gives up waiting.
    Stopped {
        until: Option<Instant>,
        ready: bool,
        /// It goes on early when something changes.
        wants_changes: bool,
    },
    /// It ended.
    Over,
}

/// One process.
#[derive(Debug)]
pub(super) struct Member {
    /// The world's end of its baton; gone when it is over.
    socket: Option<OwnedFd>,
    /// Its virtual number, and its parent's.
    pub(super) pid: u64,
    pub(super) parent: u64,
    /// What its random numbers come from.
    pub(super) seed: u64,
    /// Images that have begun: each draws from a seed of its own.
    pub(super) images: u64,
    pub(super) stage: Stage,
    /// The process itself, readable once it has ended.
    handle: Option<OwnedFd>,
    /// Its number with the kernel, and where in its memory it keeps the number of its call.
    real: (u64, u64),
    /// Something that it waits for may have happened, since this time.
    pub(super) changed_at: Option<Instant>,
    /// A signal was sent to it.
    pub(super) signalled: bool,
    pub(super) call: u32,
    pub(super) stopped_at: Instant,
    /// Its threads, by their numbers in it, and the call that each is in.
    threads: Vec<(u32, u32)>,
}

impl Member {
    pub(super) fn new(socket: OwnedFd, pid: u64, parent: u64, seed: u64) -> Self {
        Self {
            socket: Some(socket),
            pid,
            parent,
            seed,
            images: 0,
            stage: Stage::Unborn,
            handle: None,
            real: (0, 0),
            changed_at: None,
            signalled: false,
            call: CALL_NONE,
            stopped_at: Instant::ZERO,
            threads: Vec::new(),
        }
    }

    /// Input: it is there, and has said hello.
    pub(super) fn born(&mut self, hello: &Ask, now: Instant) {
        self.real = (hello.b, hello.a);
        let real = i32::try_from(hello.b).ok().and_then(Pid::from_raw);
        self.handle =
            real.and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        self.stage = Stage::Born(now);
    }

    /// Input: what it says next.
    pub(super) fn hear(&self, wall_limit: Duration) -> Heard {
        self.socket.as_ref().map_or(Heard::Gone, |socket| baton::hear(socket, wall_limit))
    }

    /// Command: answers it. A process that is gone hears nothing.
    pub(super) fn answer(
        &self,
        answer: &Answer,
        start: Option<&Start>,
        fd: Option<BorrowedFd<'_>>,
    ) {
        if let Some(socket) = &self.socket {
            baton::answer(socket, answer, start, fd);
        }
    }

    /// Input: it has ended.
    pub(super) fn over(&mut self) {
        self.stage = Stage::Over;
        self.socket = None;
        self.handle = None;
    }

    /// Input: it gives its turn back.
    pub(super) fn stop(&mut self, ask: &Ask, behind: &[u64]) {
        self.note(ask);
        self.stage = Stage::Stopped {
            until: (ask.a != NEVER).then(|| Instant::from_nanos(ask.a)),
            ready: ask.flags & flag::READY != 0,
            wants_changes: ask.flags & flag::CHANGES != 0,
        };
        self.threads.clear();
        let told = behind.iter().take(usize::try_from(ask.behind).unwrap_or(0));
        self.threads.extend(told.map(|word| ((word >> 32) as u32, *word as u32)));
    }

    /// Input: where it is.
    pub(super) fn note(&mut self, ask: &Ask) {
        self.call = u32::try_from(ask.call).unwrap_or(CALL_NONE);
        self.stopped_at = Instant::from_nanos(ask.at);
    }

    /// Input: something happened at `at` that it may wait for.
    pub(super) fn change(&mut self, at: Instant) {
        if matches!(self.stage, Stage::Stopped { wants_changes: true, .. }) {
            self.changed_at.get_or_insert(at);
        }
    }

    /// Input: a signal was sent to it at `at`.
    pub(super) fn signal(&mut self, at: Instant) {
        self.signalled = true;
        self.changed_at.get_or_insert(at);
    }

    /// Getter: when it is to run.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.stage {
            Stage::Unborn | Stage::Over => None,
            Stage::Born(at) => Some(at),
            Stage::Stopped { until, .. } => until.into_iter().chain(self.changed_at).min(),
        }
    }

    /// Getter: true once it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Command: waits, by the wall clock, until the kernel has ended the process. False: it lives on.
    pub(super) fn await_end(&self, wall_limit: Duration) -> bool {
        self.handle.as_ref().is_none_or(|handle| baton::readable(handle.as_fd(), wall_limit))
    }

    /// Command: sends it a signal. An errno, or 0.
    pub(super) fn send_signal(&self, signal: u64) -> u64 {
        let Some(handle) = self.handle.as_ref().filter(|_| !self.is_over()) else {
            return libc::ESRCH as u64;
        };
        let signal = i32::try_from(signal).ok();
        if signal == Some(0) {
            return 0;
        }
        match signal.and_then(Signal::from_named_raw) {
            Some(signal) => match rustix::process::pidfd_send_signal(handle, signal) {
                Ok(()) => 0,
                Err(errno) => u64::from(errno.raw_os_error().unsigned_abs()),
            },
            None => libc::EINVAL as u64,
        }
    }

    /// Command: ends it, whatever it does.
    pub(super) fn kill(&self) {
        if let Some(handle) = &self.handle {
            // It fails for a process that has ended, which is what is wanted.
            let _ = rustix::process::pidfd_send_signal(handle, Signal::KILL);
        }
    }

    /// Getter: the call that it is in, by its own memory if that can be read: within the time that the world grants it a
    /// process makes calls of which the world does not hear.
    pub(super) fn present_call(&self) -> &'static str {
        let (pid, at) = self.real;
        let mut word = [0; 4];
        let read = File::open(format!("/proc/{pid}/mem"));
        match read.and_then(|memory| memory.read_exact_at(&mut word, at)) {
            Ok(()) => call_name(u32::from_ne_bytes(word)),
            Err(_) => call_name(self.call),
        }
    }

    /// Getter: what it does, for a report.
    pub(super) fn in_words(&self) -> String {
        let mut text = match self.stage {
            Stage::Unborn => "not yet started".to_owned(),
            Stage::Born(at) => format!("ready since {at} s"),
            Stage::Over => "over".to_owned(),
            Stage::Stopped { until: Some(at), ready: true, .. } => format!("pausing until {at} s"),
            Stage::Stopped { until: Some(at), ready: false, .. } => {
                format!("waiting since {} s, at the latest until {at} s", self.stopped_at)
            }
            Stage::Stopped { until: None, .. } => {
                format!("waiting since {} s, without a deadline", self.stopped_at)
            }
        };
        if self.threads.len() > 1 {
            for (number, call) in &self.threads {
                // Writing to a string does not fail.
                let _ = write!(text, "; thread {number} in {}", call_name(*call));
            }
        }
        text
    }
}
