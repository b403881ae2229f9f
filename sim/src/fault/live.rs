//! Decisions that are made while frames are sent, by what each frame is.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::plan::Fault;

/// Somebody who decides what happens to frames, of every direction.
pub trait Decide {
    /// Output: what happens to frame `number` of the direction called `direction`, appended to `out`. Called in the order of sending.
    fn decide(&mut self, direction: &str, number: u64, frame: &[u8], out: &mut Vec<Fault>);
}

/// One who decides, shared by the directions of a world.
#[derive(Clone)]
pub struct Live(Rc<RefCell<dyn Decide>>);

impl Live {
    /// Lets `one` decide; whoever keeps a clone of it can ask it afterwards.
    pub fn new(one: Rc<RefCell<dyn Decide>>) -> Self {
        Self(one)
    }

    /// Output: see [`Decide::decide`].
    pub fn decide(&self, direction: &str, number: u64, frame: &[u8], out: &mut Vec<Fault>) {
        self.0.borrow_mut().decide(direction, number, frame, out);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}
