//! Oracle O12: a seed that is run twice in one process is the same run, frame by frame.
//!
//! Both runs draw their case anew. What differs by the order in which memory is handed out, by what a run left behind in its thread, or by a
//! hash map's own seed, shows here; two processes could agree on it.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::Instant;

use crate::hash::RollingHash;
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::trial::{Case, Outcome, Trial, TrialError};
use crate::workload::Violation;

/// Frames of a run that are remembered; beyond them only the hash tells.
const MARKS_MAX: usize = 1 << 20;

/// A frame was sent, or arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    at: Instant,
    direction: DirectionId,
    arrived: bool,
    bytes: u64,
}

/// Remembers frames. Clones share them: one goes to the run, the other is asked.
#[derive(Clone, Debug, Default)]
struct Marks(Rc<RefCell<Vec<Mark>>>);

impl Marks {
    fn add(&self, at: Instant, direction: DirectionId, arrived: bool, frame: &[u8]) {
        let mut marks = self.0.borrow_mut();
        if marks.len() < MARKS_MAX {
            let mut hash = RollingHash::new(0);
            hash.bytes(frame);
            marks.push(Mark { at, direction, arrived, bytes: hash.value() });
        }
    }
}

impl Tap for Marks {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        self.add(at, direction, false, frame);
    }

    fn arrived(&mut self, at: Instant, direction: DirectionId, _: u64, frame: &[u8], _: Delivery) {
        self.add(at, direction, true, frame);
    }
}

/// One of the two runs.
struct Seen {
    outcome: Outcome,
    marks: Marks,
    /// The names of directions.
    names: Vec<String>,
}

impl Seen {
    fn new(case: &Case) -> Result<Self, TrialError> {
        let trial = Trial::new("case", case)?;
        let marks = Marks::default();
        let outcome = trial.run(vec![Box::new(marks.clone())])?;
        let names = trial.scenario().links.iter().flat_map(|link| link.names.clone()).collect();
        Ok(Self { outcome, marks, names })
    }
}

/// Runs what `case` draws, twice. The outcome is that of the first run, unless the second is another.
pub(super) fn run_twice(case: impl Fn() -> Case) -> Result<Outcome, TrialError> {
    let (first, second) = (Seen::new(&case())?, Seen::new(&case())?);
    let violation = difference(&first, &second);
    let mut outcome = first.outcome;
    outcome.violation = violation.or(outcome.violation);
    Ok(outcome)
}

fn difference(first: &Seen, second: &Seen) -> Option<Violation> {
    let [a, b] = [first, second].map(|seen| &seen.outcome);
    if a.hash == b.hash && a.violation == b.violation {
        return None;
    }
    let (at, what) = first_frame(first, second).unwrap_or_else(|| {
        (a.ended_at.min(b.ended_at), "no frame differs, so that it is inside of a host".to_owned())
    });
    let words = format!("run again, its hash is {:016x} and not {:016x}: {what}", b.hash, a.hash);
    Some(Violation { signature: "O12.hash".to_owned(), at, words })
}

/// When the first frame differs, and how.
fn first_frame(first: &Seen, second: &Seen) -> Option<(Instant, String)> {
    let [a, b] = [first, second].map(|seen| seen.marks.0.borrow());
    let place = (0..a.len().max(b.len())).find(|place| a.get(*place) != b.get(*place))?;
    let at = |marks: &[Mark]| marks.get(place).map(|mark| mark.at);
    let tell = |mark: Option<&Mark>| {
        mark.map_or_else(
            || "nothing".to_owned(),
            |Mark { at, direction, arrived, bytes }| {
                let how = if *arrived { "arrives" } else { "is sent" };
                let name = first.names.get(direction.0).map_or("?", String::as_str);
                format!("a frame with hash {bytes:016x} {how} on {name} at {at} s")
            },
        )
    };
    let words = format!(
        "the first difference is frame event {}: {}, and then {}",
        place + 1,
        tell(a.get(place)),
        tell(b.get(place))
    );
    let at = [at(&a), at(&b)].into_iter().flatten().min()?;
    Some((at, words))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::draw;
    use super::*;

    #[test]
    fn a_seed_that_is_another_run_the_second_time_is_found_with_its_first_frame() {
        let same = run_twice(|| draw(3)).expect("it can be run");
        assert_eq!(same.violation, None);
        let turn = Cell::new(3);
        let flicker = || draw(turn.replace(turn.get() + 1));
        let violation =
            run_twice(flicker).expect("both can be run").violation.expect("they differ");
        assert_eq!(violation.signature, "O12.hash");
        assert!(violation.words.contains("is sent on a->"), "{}", violation.words);
        // A difference late in the run is found there.
        let turn = Cell::new(0);
        let late = || {
            let mut case = Case { scenario: LATE.to_owned(), seed: 1, ..Case::default() };
            if turn.replace(turn.get() + 1) == 1 {
                let plan = "causeway fault plan 2\ncorrupt a->b 9 byte 60 xor 0x40\n";
                case.plan = plan.parse().expect("a plan");
            }
            case
        };
        let violation = run_twice(late).expect("both can be run").violation.expect("they differ");
        assert!(violation.words.contains("arrives on a->b"), "{}", violation.words);
        assert!(violation.at > Instant::from_nanos(1_000_000), "flows begin then");
    }

    const LATE: &str = "host = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
        { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n]\n\
        link = [{ between = [\"a\", \"b\"] }]\n\
        flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 20000 }]\n";
}
