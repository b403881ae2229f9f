//! Virtual doorbells: marks that the world looks at between turns.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use causeway_channel::Wake;

use super::kind::GuestId;

/// The bells of one host: which guests were rung, and whether its engine was.
///
/// Only the thread that holds the baton touches them, so the order of rings is the order of events; the
/// lock and the atomic are there for the type system and cost next to nothing.
#[derive(Debug, Default)]
pub struct Bells {
    rung: Mutex<VecDeque<GuestId>>,
    host_rung: AtomicBool,
}

impl Bells {
    /// Output: the next guest whose bell was rung.
    pub fn take_rung(&self) -> Option<GuestId> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Command: a bell of a guest was rung.
    pub fn ring_guest(&self, guest: GuestId) {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).push_back(guest);
    }

    /// Command: the engine has something to look at.
    pub fn ring_host(&self) {
        self.host_rung.store(true, Ordering::Relaxed);
    }

    /// Getter: true when a guest rang for the engine since the last [`Bells::take_host_rung`].
    pub fn is_host_rung(&self) -> bool {
        self.host_rung.load(Ordering::Relaxed)
    }

    /// Output: as [`Bells::is_host_rung`], and forgets it.
    pub fn take_host_rung(&self) -> bool {
        self.host_rung.swap(false, Ordering::Relaxed)
    }
}

/// The bell of one channel's application side.
#[derive(Debug)]
pub struct AppBell {
    bells: Arc<Bells>,
    guest: GuestId,
    rung: AtomicBool,
}

impl AppBell {
    /// A bell that is not rung.
    pub fn new(bells: Arc<Bells>, guest: GuestId) -> Self {
        Self { bells, guest, rung: AtomicBool::new(false) }
    }

    /// Output: true when it was rung since the last call.
    pub fn take(&self) -> bool {
        self.rung.swap(false, Ordering::Relaxed)
    }

    /// Getter: true when it was rung and nobody has taken note.
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }
}

impl Wake for AppBell {
    fn wake(&self) {
        if !self.rung.swap(true, Ordering::Relaxed) {
            self.bells.ring_guest(self.guest);
        }
    }
}

/// The bell of a host's engine.
#[derive(Debug)]
pub struct HostBell(Arc<Bells>);

impl HostBell {
    /// The bell of the host whose bells these are.
    pub fn new(bells: Arc<Bells>) -> Self {
        Self(bells)
    }
}

impl Wake for HostBell {
    fn wake(&self) {
        self.0.ring_host();
    }
}
