//! The programs of a run: which are at work, and whether each ended as its scenario says.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::Instant;

use super::excuse::ProgramExcuses;
use crate::guest::Outcome as End;
use crate::process::Captured;
use crate::scenario::{ExpectedExit, ProgramSpec};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::workload::Violation;
use crate::world::{HostId, signal_name};

/// What a program writes at the beginning of a line to say that something is wrong that must never be; a name follows, then what it
/// wants to say about it.
pub const VIOLATION_LINE: &str = "causeway: violation ";
/// Longest name of one.
const NAME_MAX: usize = 64;

/// What a program of a run wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Which.
    pub program: String,
    /// Standard output and error together; of more than 1 MiB the beginning and the end.
    pub text: String,
}

struct Entry {
    name: String,
    exit: ExpectedExit,
    is_awaited: bool,
    restarts: bool,
    is_over: bool,
    captured: Option<Captured>,
}

struct State {
    entries: Vec<Entry>,
    excuses: ProgramExcuses,
    violation: Option<Violation>,
    /// Programs end because the run does.
    is_closed: bool,
}

/// See the module. Clones share it: one goes to the world, the other is asked.
#[derive(Clone)]
pub(super) struct Roster(Rc<RefCell<State>>);

impl Roster {
    /// The programs of a run, with what each writes into.
    pub(super) fn new(
        programs: &[ProgramSpec],
        captured: Vec<Option<Captured>>,
        excuses: ProgramExcuses,
    ) -> Self {
        let entry = |(program, captured): (&ProgramSpec, Option<Captured>)| Entry {
            name: program.name.clone(),
            exit: program.exit.clone(),
            is_awaited: !program.background,
            restarts: program.restart,
            is_over: false,
            captured,
        };
        let entries = programs.iter().zip(captured).map(entry).collect();
        let state = State { entries, excuses, violation: None, is_closed: false };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Getter: nobody waits for a program.
    pub(super) fn is_done(&self) -> bool {
        self.0.borrow().entries.iter().all(|entry| entry.is_over || !entry.is_awaited)
    }

    /// Getter: somebody waits for this one.
    pub(super) fn is_awaited(&self, program: usize) -> bool {
        let state = self.0.borrow();
        let entry = &state.entries[program];
        entry.is_awaited && !entry.is_over
    }

    /// Getter: a program may have been kept from ending.
    pub(super) fn may_be_unfinished(&self) -> bool {
        self.0.borrow().excuses.unfinished
    }

    /// Getter: a rule was broken.
    pub(super) fn is_violated(&self) -> bool {
        self.0.borrow().violation.is_some()
    }

    /// Getter: the first rule that was broken.
    pub(super) fn violation(&self) -> Option<Violation> {
        self.0.borrow().violation.clone()
    }

    /// Command: what programs have written by now is looked at, whether they have ended or not.
    pub(super) fn read(&self, at: Instant) {
        let mut state = self.0.borrow_mut();
        for index in 0..state.entries.len() {
            state.read(index, at);
        }
    }

    /// Command: from here on programs end because the run does.
    pub(super) fn close(&self) {
        self.0.borrow_mut().is_closed = true;
    }

    /// Output: what each has written.
    pub(super) fn written(&self) -> Vec<Written> {
        let state = self.0.borrow();
        let written = state.entries.iter().filter_map(|entry| {
            let text = entry.captured.as_ref()?.text();
            Some(Written { program: entry.name.clone(), text })
        });
        written.collect()
    }
}

impl State {
    fn violate(&mut self, at: Instant, signature: String, words: String) {
        self.violation.get_or_insert(Violation { signature, at, words });
    }

    /// Looks for lines that tell of something wrong.
    fn read(&mut self, index: usize, at: Instant) {
        let entry = &self.entries[index];
        let Some(captured) = entry.captured.as_ref().filter(|_| !self.excuses.content) else {
            return;
        };
        if self.violation.is_none()
            && let Some((name, line)) = violation_in(&captured.text())
        {
            let words = format!("program {} says: {line}", entry.name);
            self.violate(at, format!("O3.violation.{name}"), words);
        }
    }

    fn ended(&mut self, index: usize, at: Instant, end: &End) {
        if *end == End::Killed {
            let entry = &mut self.entries[index];
            entry.is_over |= !entry.restarts;
            return;
        }
        self.entries[index].is_over = true;
        self.read(index, at);
        let entry = &self.entries[index];
        let name = &entry.name;
        let excuses = &self.excuses;
        let kind = match end {
            End::Exit(status) if entry.exit.allows(*status) || excuses.status => return,
            End::Signal(libc::SIGABRT) | End::Panicked(_) if excuses.content => return,
            End::Killed => return,
            End::Exit(status) => format!("exit.{name}.{status}"),
            End::Signal(signal) => match signal_name(*signal) {
                Some(word) => format!("signal.{name}.{word}"),
                None => format!("signal.{name}.{signal}"),
            },
            End::Panicked(_) => format!("panic.{name}"),
            End::Denied(_) => format!("denied.{name}"),
            End::Stuck(_) => format!("stuck.{name}"),
        };
        let expected = match end {
            End::Exit(_) => format!(", and not with {}", entry.exit),
            _ => String::new(),
        };
        let words = format!("program {name} {end}{expected}");
        self.violate(at, format!("O3.{kind}"), words);
    }
}

/// The first line of `text` that tells of something wrong, with its name.
fn violation_in(text: &str) -> Option<(String, &str)> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(VIOLATION_LINE)?.trim_start();
        let good = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let name: String = rest.chars().take_while(good).take(NAME_MAX).collect();
        (!name.is_empty()).then_some((name, line))
    })
}

impl Tap for Roster {
    fn sent(&mut self, _: Instant, _: DirectionId, _: &[u8], _: Fate<'_>) {}

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, _: &[u8], _: Delivery) {}

    fn program_ended(&mut self, at: Instant, _: HostId, name: &str, end: &End) {
        let mut state = self.0.borrow_mut();
        let index = state.entries.iter().position(|entry| entry.name == name);
        if let Some(index) = index.filter(|_| !state.is_closed) {
            state.ended(index, at, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_tells_of_something_wrong_is_found_with_its_name() {
        let text = "hello\nhis causeway: violation no\ncauseway: violation double-add: 7, not 6\n\
                    causeway: violation other\n";
        let (name, line) = violation_in(text).expect("there is one");
        assert_eq!(
            (name.as_str(), line),
            ("double-add", "causeway: violation double-add: 7, not 6")
        );
        assert_eq!(violation_in("causeway: violation \ncauseway: violation : x\n"), None);
        let long = format!("causeway: violation {}", "x".repeat(1_000));
        assert_eq!(violation_in(&long).map(|(name, _)| name.len()), Some(NAME_MAX));
    }
}
