//! The one host of this process, its clock and who waits for it.

use std::collections::BTreeMap;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Duration as RealDuration;

use causeway_conformance::host::{
    Addresses, Call, CallResult, Errno, Host, HostConfig, Reply, START, TaskId,
};
use causeway_core::time::{Duration, Instant};

use crate::sysctl_file::SysctlFile;

/// Real time that the clock waits for a thread whose call has ended to ask for the time.
const PATIENCE: RealDuration = RealDuration::from_secs(5);
/// Virtual time that a call may take which blocks the only thread.
const ALONE: Duration = Duration::from_secs(20);

/// The host, wherever it is used from.
struct Owned(Host);

// SAFETY: a host counts references inside itself (`Rc`) and hands none out; it lives in a `Mutex`, so that one thread at a
// time touches it and its counts.
unsafe impl Send for Owned {}

/// A call that a thread waits for.
struct Waiting {
    task: TaskId,
    thread: ThreadId,
    result: Option<(Instant, CallResult)>,
}

pub(crate) struct State {
    host: Owned,
    /// Descriptors of the process and of the host.
    pub(crate) fds: BTreeMap<i32, i32>,
    waiting: Vec<Waiting>,
    /// A thread whose call ended then, and who has not asked for the time since.
    unread_end: Option<(ThreadId, Instant)>,
    /// The thread that drives the script.
    driver: ThreadId,
    sysctl: SysctlFile,
    pub(crate) addresses: Addresses,
    mtu: u16,
}

static STATE: LazyLock<Mutex<Option<State>>> = LazyLock::new(|| Mutex::new(None));
static NEWS: Condvar = Condvar::new();

/// The state, locked; nobody but the holder sees the host.
pub(crate) struct Locked(MutexGuard<'static, Option<State>>);

/// Locks the state. `None` before the interface was asked for.
pub(crate) fn lock() -> Option<Locked> {
    let guard = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    guard.is_some().then_some(Locked(guard))
}

/// A new host; `flags` are packetdrill's `--so_flags`: `mtu=1500`.
pub(crate) fn begin(flags: &str) {
    let mtu = flags
        .split(',')
        .find_map(|flag| flag.trim().strip_prefix("mtu=")?.parse().ok())
        .unwrap_or(1_500);
    let addresses = Addresses::default();
    let state = State {
        host: Owned(Host::new(&HostConfig { addresses, mtu })),
        fds: BTreeMap::new(),
        waiting: Vec::new(),
        unread_end: None,
        driver: std::thread::current().id(),
        sysctl: SysctlFile::from_environment(),
        addresses,
        mtu,
    };
    let mut guard = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *guard = Some(state);
}

/// The host is gone.
pub(crate) fn end() {
    let mut guard = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *guard = None;
}

impl std::ops::Deref for Locked {
    type Target = State;
    fn deref(&self) -> &State {
        self.0.as_ref().expect("`lock` gives this out only while there is a state")
    }
}

impl std::ops::DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut State {
        self.0.as_mut().expect("`lock` gives this out only while there is a state")
    }
}

impl State {
    pub(crate) fn host(&mut self) -> &mut Host {
        &mut self.host.0
    }

    /// Takes what was appended to the file of settings since the last look.
    pub(crate) fn refresh(&mut self) {
        for (name, value) in self.sysctl.poll() {
            if let Err(error) = self.host.0.sysctl(&name, &value) {
                eprintln!("causeway: {error}");
            }
        }
    }

    /// The host takes another local address, as long as nothing is open.
    pub(crate) fn readdress(&mut self, addresses: Addresses) {
        if addresses != self.addresses && self.host.0.readdress(addresses, self.mtu) {
            self.addresses = addresses;
        }
    }

    /// Looks whether calls ended that threads wait for. True if one did.
    fn collect(&mut self) -> bool {
        let mut found = false;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.result.is_none()) {
            if let Some((at, result)) = self.host.0.poll_done(waiting.task) {
                waiting.result = Some((at, result));
                self.unread_end = Some((waiting.thread, at));
                found = true;
            }
        }
        found
    }
}

impl Locked {
    /// The state again after `change`, once every thread whose call ended by it has taken note.
    pub(crate) fn settle(mut self) -> Self {
        while self.collect() {
            NEWS.notify_all();
            let me = std::thread::current().id();
            while self.unread_end.is_some_and(|(thread, _)| thread != me) {
                let (guard, timeout) = NEWS
                    .wait_timeout(self.0, PATIENCE)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                self = Self(guard);
                if timeout.timed_out() {
                    self.unread_end = None;
                }
            }
        }
        self
    }

    /// Lets time pass until `end`, or until the stack sends something, if `stop`.
    pub(crate) fn advance(mut self, end: Instant, stop: bool) -> Self {
        loop {
            self.host().advance(end, true);
            let sent = self.host().sent().next().is_some();
            self = self.settle();
            if self.host().now() >= end || (stop && sent) {
                return self;
            }
            if sent {
                // Datagrams wait for `netdev_receive`; the host stops at them, the clock must not.
                let next = self.host().next_due().unwrap_or(end).min(end);
                self.host().advance(next, false);
                self = self.settle();
                if self.host().now() >= end {
                    return self;
                }
            }
        }
    }

    /// The time that `gettimeofday` tells: the end of the caller's own call, else a microsecond after the last.
    pub(crate) fn time_of_day(mut self) -> Instant {
        let me = std::thread::current().id();
        if let Some((thread, at)) = self.unread_end
            && thread == me
        {
            self.unread_end = None;
            NEWS.notify_all();
            return at;
        }
        let next = self.host().now() + Duration::from_micros(1);
        self = self.advance(next, false);
        self.host().now()
    }

    /// Makes a call; the thread sleeps while it blocks. The state is free meanwhile, and is given back with the reply.
    pub(crate) fn call(mut self, call: Call) -> Result<(Self, Reply), Errno> {
        self.refresh();
        let task = self.host().start(call);
        if let Some((_, result)) = self.host().poll_done(task) {
            let state = self.settle();
            return result.map(|reply| (state, reply));
        }
        let thread = std::thread::current().id();
        if thread == self.driver {
            return self.wait_alone(task);
        }
        self.waiting.push(Waiting { task, thread, result: None });
        loop {
            let done = |waiting: &Waiting| waiting.task == task && waiting.result.is_some();
            if let Some(index) = self.waiting.iter().position(done) {
                let waiting = self.waiting.remove(index);
                let result = waiting.result.map_or(Err(Errno::EIO), |(_, result)| result);
                return result.map(|reply| (self, reply));
            }
            let guard = NEWS.wait(self.0).unwrap_or_else(std::sync::PoisonError::into_inner);
            if guard.is_none() {
                // The host went away under the call.
                return Err(Errno::EINTR);
            }
            self = Self(guard);
        }
    }

    /// Nobody else moves the clock: this call does, for a while.
    fn wait_alone(mut self, task: TaskId) -> Result<(Self, Reply), Errno> {
        let end = self.host().now() + ALONE;
        loop {
            if let Some((_, result)) = self.host().poll_done(task) {
                return result.map(|reply| (self, reply));
            }
            let next = self.host().next_due().unwrap_or(end).min(end);
            if self.host().now() >= end {
                // Nobody asks for its end any more, for which the clock would wait.
                self.host().abandon(task);
                return Err(Errno::EAGAIN);
            }
            self.host().advance(next, false);
        }
    }
}

/// A moment in microseconds, as `gettimeofday` and `netdev_receive` tell it.
pub(crate) fn micros(at: Instant) -> i64 {
    debug_assert!(at >= START);
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}
