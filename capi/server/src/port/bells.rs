//! Which idle channels rang. Found without looking at the channels.
//!
//! One doorbell for each channel, gathered in one epoll set, and not one doorbell shared by all channels of an
//! engine, for three reasons. The set *names* who rang, so that no step looks at an idle channel. An application can
//! only ring (or silence, by reading from it) its own bell. And arming is done once, when a channel falls
//! idle, and not for each channel before each sleep.
//!
//! The set is edge triggered and the bells are never read: each ring of an eventfd reports it again, and a read could
//! block the engine, because the application shares the open file and can clear its `O_NONBLOCK`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use causeway_channel::{Doorbell, Wake};
use rustix::event::epoll;
use rustix::time::Timespec;

/// Most rings taken from the kernel at a time; the others stay there until the next look.
const RINGS_PER_LOOK: usize = 64;

/// The doorbells of the channels of one engine.
#[derive(Debug)]
pub enum Bells {
    /// Eventfds in an epoll set.
    Epoll(EpollBells),
    /// Numbers in a queue, for doorbells in this process.
    Queue(Arc<BellQueue>),
}

/// An epoll set of eventfds.
pub struct EpollBells {
    set: OwnedFd,
    events: Vec<epoll::Event>,
}

impl fmt::Debug for EpollBells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpollBells").field("set", &self.set).finish_non_exhaustive()
    }
}

impl Bells {
    /// Bells that the kernel gathers.
    pub fn epoll() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self::Epoll(EpollBells { set, events: Vec::with_capacity(RINGS_PER_LOOK) }))
    }

    /// Bells in this process: each channel's [`Doorbell`] is made by [`BellQueue::bell`].
    pub fn queue(queue: Arc<BellQueue>) -> Self {
        Self::Queue(queue)
    }

    /// Command: from now on `bell` speaks for the channel in slot `index`.
    pub(super) fn add(&self, index: u32, bell: &Doorbell) -> io::Result<()> {
        match (self, bell.fd()) {
            (Self::Epoll(bells), Some(fd)) => {
                let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&bells.set, fd, epoll::EventData::new_u64(index.into()), flags)?;
                Ok(())
            }
            (Self::Queue(_), None) => Ok(()),
            (Self::Epoll(_), None) | (Self::Queue(_), Some(_)) => {
                Err(io::Error::from(io::ErrorKind::InvalidInput))
            }
        }
    }

    /// Command: `bell` is heard no more. Needed before the channel goes: the application has the same open file, which
    /// would stay in the set while the application keeps it.
    pub(super) fn remove(&self, bell: &Doorbell) {
        if let (Self::Epoll(bells), Some(fd)) = (self, bell.fd()) {
            // It fails for a bell that was never added only, which is what was wanted.
            let _ = epoll::delete(&bells.set, fd);
        }
    }

    /// Output: appends slots that rang since they were last reported. A slot may be reported twice, or
    /// have a new occupant by now: that costs a look and nothing else.
    pub(super) fn rang(&mut self, slots: &mut Vec<u32>) {
        match self {
            Self::Epoll(bells) => bells.rang(slots),
            Self::Queue(queue) => slots.extend(queue.lock().drain(..)),
        }
    }

    /// Getter: what becomes readable when a bell rings, if anything does.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Epoll(bells) => Some(bells.set.as_fd()),
            Self::Queue(_) => None,
        }
    }
}

impl EpollBells {
    fn rang(&mut self, slots: &mut Vec<u32>) {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        // Interrupted or not: what was not reported now is reported next time.
        if epoll::wait(&self.set, spare, Some(&now)).is_ok() {
            // The data is what `add` put there.
            slots.extend(self.events.iter().map(|event| event.data.u64() as u32));
        }
    }
}

/// The rings of doorbells in this process.
pub struct BellQueue {
    rung: Mutex<VecDeque<u32>>,
    wake: Arc<dyn Wake>,
}

impl fmt::Debug for BellQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BellQueue").field("rung", &self.rung).finish_non_exhaustive()
    }
}

impl BellQueue {
    /// An empty queue; `wake` is called for each ring, to bring the engine's driver back.
    pub fn new(wake: Arc<dyn Wake>) -> Arc<Self> {
        Arc::new(Self { rung: Mutex::default(), wake })
    }

    /// The bell of the channel in slot `index`.
    pub fn bell(self: &Arc<Self>, index: u32) -> Arc<dyn Wake> {
        Arc::new(SlotBell { queue: Arc::clone(self), index })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u32>> {
        // A push or a drain cannot be half done.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct SlotBell {
    queue: Arc<BellQueue>,
    index: u32,
}

impl Wake for SlotBell {
    fn wake(&self) {
        self.queue.lock().push_back(self.index);
        self.queue.wake.wake();
    }
}
