//! What became of a frame, in words.

use crate::fault::{Fault, condition_words, fault_words};
use crate::report::FrameFate;
use crate::tap::Fate;

/// Why nothing arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The queue in front of the link is full.
    QueueFull,
    /// The management of that queue dropped it.
    DroppedEarly,
    /// A decision.
    Fault,
    /// What is so for a while.
    Condition(String),
}

impl Loss {
    /// Getter: its name among events.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::DroppedEarly => "queue_early",
            Self::Fault => "fault",
            Self::Condition(_) => "condition",
        }
    }

    /// Getter: in words.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::QueueFull => "the queue is full",
            Self::DroppedEarly => "dropped early by the queue",
            Self::Fault => "drop",
            Self::Condition(words) => words,
        }
    }
}

/// A fate, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The frame's number in its direction; none where the queue was full.
    pub(super) number: Option<u64>,
    /// Why it is lost, if it is.
    pub(super) loss: Option<Loss>,
    /// What else happened to it, as the plan says it.
    pub(super) faults: Vec<String>,
}

impl Told {
    pub(super) fn new(fate: Fate<'_>) -> Self {
        match fate {
            Fate::QueueFull => {
                Self { number: None, loss: Some(Loss::QueueFull), faults: Vec::new() }
            }
            Fate::DroppedEarly => {
                Self { number: None, loss: Some(Loss::DroppedEarly), faults: Vec::new() }
            }
            Fate::Swallowed { number, by } => {
                let loss = Some(Loss::Condition(condition_words(by)));
                Self { number: Some(number), loss, faults: Vec::new() }
            }
            Fate::OnWire { number, faults } => {
                let dropped = faults.contains(&Fault::Drop);
                let others = faults.iter().filter(|fault| **fault != Fault::Drop);
                Self {
                    number: Some(number),
                    loss: dropped.then_some(Loss::Fault),
                    faults: others.map(|fault| fault_words(*fault)).collect(),
                }
            }
        }
    }

    /// Getter: what a drawing needs of it.
    pub(super) fn summary(&self) -> FrameFate {
        FrameFate { number: self.number, lost: self.loss.is_some(), words: self.words() }
    }

    /// Getter: all of it in a line; empty where nothing happened.
    pub(super) fn words(&self) -> String {
        let faults = self.faults.join("; ");
        match &self.loss {
            Some(loss) if faults.is_empty() => format!("LOST: {}", loss.words()),
            Some(loss) => format!("LOST: {}; {faults}", loss.words()),
            None => faults,
        }
    }
}
