//! What went wrong, shown beside what went right.

use std::fmt;

use crate::script::Micros;

/// Lines of the timeline that a failure shows.
const SHOWN: usize = 24;
/// The width of the column of what a script expects.
const COLUMN: usize = 72;

/// One line of the timeline.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) at: Micros,
    pub(super) expected: String,
    /// Empty where it is just what was expected.
    pub(super) actual: String,
}

/// Why a script failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The script's name.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, in one sentence.
    pub what: String,
    pub(super) timeline: Vec<Entry>,
    /// What the stack sent besides, not yet compared.
    pub(super) unread: Vec<(Micros, String)>,
}

impl Failure {
    pub(super) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            timeline: Vec::new(),
            unread: Vec::new(),
        }
    }
}

fn seconds(at: Micros) -> String {
    format!("{:.6}", at as f64 / 1e6)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}: {}", self.path, self.line, self.what)?;
        if self.timeline.is_empty() {
            return Ok(());
        }
        writeln!(f, "{:>6} {:>12}  {:<COLUMN$} actual", "line", "time", "expected")?;
        let skip = self.timeline.len().saturating_sub(SHOWN);
        for entry in &self.timeline[skip..] {
            let mark = if entry.line == self.line { '!' } else { ' ' };
            let actual = if entry.actual.is_empty() { "=" } else { &entry.actual };
            let row = format!(
                "{mark}{:>5} {:>12}  {:<COLUMN$} {actual}",
                entry.line,
                seconds(entry.at),
                entry.expected,
            );
            writeln!(f, "{}", row.trim_end())?;
        }
        for (at, text) in &self.unread {
            writeln!(f, "{:>6} {:>12}  {:<COLUMN$} {text}", "", seconds(*at), "")?;
        }
        Ok(())
    }
}
