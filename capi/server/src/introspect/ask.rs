//! A question on its way to an engine.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Answer, Question};
use crate::links::Waker;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Sees everything.
    Operator,
    /// Sees what belongs to this uid.
    User(u32),
    /// Sees nothing of single applications.
    Nobody,
}

impl Viewer {
    /// The viewer that a process of user `uid` is.
    pub fn of(uid: u32) -> Self {
        let own = rustix::process::geteuid().as_raw();
        if uid == 0 || uid == own { Self::Operator } else { Self::User(uid) }
    }

    /// Getter: it sees what `uid` has; `None`: of somebody who is gone.
    pub fn sees(self, uid: Option<u32>) -> bool {
        match self {
            Self::Operator => true,
            Self::User(own) => uid == Some(own),
            Self::Nobody => false,
        }
    }
}

/// Where answers go, and what is rung then. The asker asks one question at a time of each token: nothing piles up.
#[derive(Clone, Debug)]
pub struct Way {
    sender: Sender<(u64, Answer)>,
    wake: Waker,
}

impl Way {
    /// A way to whoever has the other end, and sleeps on `wake`.
    pub fn new(wake: Waker) -> (Self, Receiver<(u64, Answer)>) {
        let (sender, receiver) = channel();
        (Self { sender, wake }, receiver)
    }
}

/// A question with its asker.
#[derive(Debug)]
pub struct Ask {
    /// What.
    pub question: Question,
    /// Who looks.
    pub viewer: Viewer,
    /// The asker's name for it.
    pub token: u64,
    /// Where the answer goes.
    pub way: Way,
}

impl Ask {
    /// Command: answers it. The asker may be gone.
    pub fn answer(self, answer: Answer) {
        let _ = self.way.sender.send((self.token, answer));
        self.way.wake.wake();
    }
}
