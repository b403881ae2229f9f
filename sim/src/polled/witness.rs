//! Who is told what a host's programs call and hear.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::port::Completion;
use causeway_core::time::Instant;

use super::socket::Sock;
use crate::model::{Call, SocketModel};

/// The model of a run, as one host of it sees it.
#[derive(Clone, Debug)]
pub struct Witness {
    model: Rc<RefCell<SocketModel>>,
    host: usize,
    now: Instant,
}

impl Witness {
    /// The witness of what happens on `host`.
    pub const fn new(model: Rc<RefCell<SocketModel>>, host: usize) -> Self {
        Self { model, host, now: Instant::ZERO }
    }

    /// Command: so late it is, whatever programs believe.
    pub(super) const fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// Input: a program has called.
    pub(super) fn called(&self, app: u32, call: &Call) {
        self.model.borrow_mut().called(self.now, self.host, app, call);
    }

    /// Input: a program was told something.
    pub(super) fn told(&self, app: u32, completion: &Completion, child: Option<Sock>) {
        self.model.borrow_mut().told(self.now, self.host, app, completion, child);
    }

    /// Input: the host was switched on again.
    pub(super) fn restarted(&self, now: Instant) {
        self.model.borrow_mut().restarted(now, self.host);
    }
}
