//! The loop around [`Engine::step`]: when to step, when to spin, when to sleep, when to stop.
//!
//! One thread, one engine. Everything that is not the engine's (attaching, configuration, logging's output) happens on
//! other threads, and reaches it through a bounded queue of [`Order`]s and a [`crate::links::Waker`].

mod answers;
mod capturing;
mod observer;
mod settings;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::TryRecvError;

use causeway_backends::AnyNic;
use causeway_core::engine::{Engine, Progress};
use causeway_core::nic::{INTERFACES_MAX, Nic, WaitSource};
use causeway_core::stack::ORPHAN_LINGER;
use causeway_core::time::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, poll};

use crate::capture::Captures;
use crate::config::BusyPoll;
use crate::links::{EngineLinks, ORDERS_MAX, Order, clock};
use crate::port::{Attached, ChannelPort};
use crate::supervisor::Watchdog;
use crate::tenants::Tenants;
pub use answers::ROWS_MAX;
use observer::Observer;
pub use settings::Settings;

/// How an engine waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When it polls and when it sleeps.
    pub busy_poll: BusyPoll,
    /// How long it polls after the last work in [`BusyPoll::Adaptive`].
    pub spin: Duration,
}

/// What one sleep waits for at most: each NIC, the bells of the channels, the orders.
const WATCHED_MAX: usize = INTERFACES_MAX + 2;
/// A NIC that must be polled is polled this often when there is nothing else to do.
const POLL_PERIOD: Duration = Duration::from_micros(20);
/// How long a stopping engine goes on at most, so that what its applications handed over is delivered, and then its
/// RST segments leave.
const FAREWELL: Duration = Duration::from_nanos(ORPHAN_LINGER.as_nanos() + 100_000_000);

/// An engine and what its thread needs.
#[derive(Debug)]
pub struct EngineLoop {
    engine: Engine<AnyNic, ChannelPort>,
    links: EngineLinks,
    waiting: Waiting,
    observer: Observer,
    watchdog: Option<Watchdog>,
    tenants: Tenants,
    started: Instant,
    captures: Captures,
    /// The captures have a tap in the engine.
    tapped: bool,
    /// Orders were left for the next step.
    orders_left: bool,
    /// When there was work last.
    worked: Instant,
}

impl EngineLoop {
    /// A loop around `engine`, whose interfaces are called `names`, interface 1 first.
    pub fn new(
        engine: Engine<AnyNic, ChannelPort>,
        links: EngineLinks,
        waiting: Waiting,
        names: Vec<String>,
    ) -> Self {
        let observer = Observer::new(names);
        let (started, tenants) = (clock::now(), Tenants::new(&[]));
        let (watchdog, orders_left, worked) = (None, false, started);
        let (captures, tapped) = (Captures::default(), false);
        Self {
            engine,
            links,
            waiting,
            observer,
            watchdog,
            tenants,
            started,
            orders_left,
            worked,
            captures,
            tapped,
        }
    }

    /// The same, which names these tenants when it is asked.
    pub(crate) fn of_tenants(self, tenants: Tenants) -> Self {
        Self { tenants, ..self }
    }

    /// The same, which feeds `watchdog` as long as it turns.
    pub(crate) fn watched(self, watchdog: Option<Watchdog>) -> Self {
        Self { watchdog, ..self }
    }

    /// Command: runs until it is told to stop, or nobody is left who could tell it anything.
    pub fn run(mut self) {
        while self.take_orders() {
            let (now, progress) = self.step();
            if progress.work > 0 {
                self.worked = now;
            } else if !self.orders_left && progress.next.is_none_or(|(at, _)| at > now) {
                self.pause(now, progress);
            }
        }
        let sockets_left = self.engine.stack().stats().sockets_live();
        self.say_farewell();
        self.observer.finish(&self.engine, sockets_left);
    }

    /// False when it is over.
    fn take_orders(&mut self) -> bool {
        // Bounded, as everything in a step: others may give orders as fast as they are taken.
        self.orders_left = false;
        for _ in 0..ORDERS_MAX {
            match self.links.orders.try_recv() {
                Ok(Order::Attach(attached)) => self.attach(*attached),
                Ok(Order::Detach(channel)) => self.engine.port_mut().detach(channel),
                Ok(Order::Set(settings)) => self.apply(&settings),
                Ok(Order::Ask(ask)) => {
                    self.answer(*ask);
                    self.orders_left = true;
                    break;
                }
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => break,
            }
        }
        true
    }

    fn attach(&mut self, attached: Attached) {
        let channel = attached.id();
        if let Err(cause) = self.engine.port_mut().attach(attached) {
            // Its memory and bells are gone with the error: the application sees the end of the channel.
            tracing::warn!(channel = channel.index, %cause, "cannot serve a channel");
        }
        self.worked = clock::now();
    }

    fn step(&mut self) -> (Instant, Progress) {
        let now = clock::now();
        let progress = self.engine.step(now);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.feed(now);
        }
        self.observer.observe(now, &mut self.engine);
        if self.tapped {
            self.untap();
        }
        while let Some(eviction) = self.engine.port_mut().poll_eviction() {
            // Nobody listens only when the daemon is going down.
            let _ = self.links.evictions.send(eviction);
            self.links.control.wake();
        }
        (now, progress)
    }

    /// Nothing to do: spin, or sleep until there is.
    fn pause(&mut self, now: Instant, progress: Progress) {
        let spins = match self.waiting.busy_poll {
            BusyPoll::Always => true,
            BusyPoll::Adaptive => now.saturating_since(self.worked) < self.waiting.spin,
            BusyPoll::Never => false,
        };
        if spins {
            // On a busy machine this lets the application run that is about to have work for us.
            std::thread::yield_now();
        } else if self.engine.port_mut().prepare_sleep() {
            self.sleep(now, progress.next.map(|(at, _)| at));
        }
    }

    fn sleep(&self, now: Instant, next: Option<Instant>) {
        let must_poll = self.engine.nics().any(|nic| nic.wait_source() == WaitSource::Poll);
        let poll_at = must_poll.then(|| now + POLL_PERIOD);
        let feed_at = self.watchdog.as_ref().map(Watchdog::next);
        let until = [next, poll_at, feed_at].into_iter().flatten().min();
        let timeout = until.map(|until| clock::span_until(clock::now(), until));
        let nics = self.engine.nics().filter_map(AnyNic::wait_fd);
        let bells = self.engine.port().bells().fd();
        let watched = nics.chain(bells).chain([self.links.wake.as_fd()]);
        // On the stack: a sleep allocates nothing. What is not filled in is not polled.
        let mut fds = [(); WATCHED_MAX].map(|()| readable(self.links.wake.as_fd()));
        let mut count = 0;
        for (slot, fd) in fds.iter_mut().zip(watched) {
            *slot = readable(fd);
            count += 1;
        }
        // Interrupted, timed out or woken: the next step finds out what there is.
        let _ = poll(&mut fds[..count], timeout.as_ref());
        self.links.wake.drain();
    }

    /// Ends every socket, and lets the segments leave that are owed to the peers or tell them.
    fn say_farewell(&mut self) {
        self.engine.port_mut().detach_all();
        let until = clock::now() + FAREWELL;
        loop {
            let (now, progress) = self.step();
            let due = progress.next.is_some_and(|(at, _)| at <= now);
            if now >= until || progress.work == 0 && !due && self.engine.port().channels() == 0 {
                return;
            }
            if progress.work == 0 && !due && self.engine.port_mut().prepare_sleep() {
                self.sleep(now, Some(progress.next.map_or(until, |(at, _)| at.min(until))));
            }
        }
    }
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}
