//! A case: everything that a run depends on, as one text. A seed makes one, a failure is reduced to one, and a regression test is one.

use std::fmt;
use std::str::FromStr;

use crate::fault::{Decision, FaultPlan, HEADER, Line, PlanError};

/// See the module. The text is a plan of faults with lines in front: `seed N`, the scenario behind bars, and, of a regression test, the
/// failure that it once had.
///
/// ```text
/// causeway fault plan 2
/// seed 17
/// failed O1.content
/// | host = [ ... ]
/// drop a->b 17
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// What everything else that is random is drawn from.
    pub seed: u64,
    /// The signature of the failure that it shows, or once showed.
    pub failed: Option<String>,
    /// The scenario, in TOML.
    pub scenario: String,
    /// What goes wrong, besides what the scenario's `[fault]` draws.
    pub plan: FaultPlan,
}

/// Why a text is no case.
pub type CaseError = PlanError;

impl Case {
    /// Getter: the scenario in the text of a case, each of its lines where it stands in that text: what is wrong with it is told with
    /// the line that people see.
    pub fn scenario_in_place(text: &str) -> String {
        let toml = |line: &str| line.trim().strip_prefix('|').unwrap_or_default().to_owned() + "\n";
        text.lines().map(toml).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        writeln!(f, "seed {}", self.seed)?;
        if let Some(failed) = &self.failed {
            writeln!(f, "failed {failed}")?;
        }
        for line in self.scenario.lines() {
            writeln!(f, "| {line}")?;
        }
        for line in self.plan.lines() {
            match line {
                Line::Comment(text) => writeln!(f, "#{text}")?,
                Line::Decision(decision) => writeln!(f, "{decision}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        let mut case = Self::default();
        let mut seen_header = false;
        for (index, line) in text.lines().enumerate() {
            let fail = |reason| PlanError { line: index + 1, reason };
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                case.plan.push_line(Line::Comment(comment.to_owned()));
            } else if line == HEADER && !seen_header {
                seen_header = true;
            } else if !seen_header && !line.is_empty() {
                return Err(fail(format!("expected `{HEADER}`, found `{line}`")));
            } else if let Some(toml) = line.strip_prefix('|') {
                case.scenario.push_str(toml.strip_prefix(' ').unwrap_or(toml));
                case.scenario.push('\n');
            } else if let Some(seed) = line.strip_prefix("seed ") {
                let wrong = || fail(format!("expected a seed, found `{seed}`"));
                case.seed = seed.trim().parse().map_err(|_| wrong())?;
            } else if let Some(failed) = line.strip_prefix("failed ") {
                case.failed = Some(failed.trim().to_owned());
            } else if !line.is_empty() {
                case.plan.push(line.parse::<Decision>().map_err(fail)?);
            }
        }
        if seen_header {
            Ok(case)
        } else {
            Err(PlanError { line: 1, reason: format!("expected `{HEADER}`, found nothing") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_back_as_it_was_printed() {
        let text = "causeway fault plan 2\nseed 17\nfailed O1.content\n| host = [\n|   {},\n| ]\n\
                    # why\ndrop a->b 17\npause b 1s..2s\n";
        let case: Case = text.parse().expect("it is right");
        assert_eq!((case.seed, case.scenario.as_str()), (17, "host = [\n  {},\n]\n"));
        assert_eq!(case.to_string(), text);
        let error = "causeway fault plan 2\nseed x".parse::<Case>().expect_err("no number");
        assert_eq!(error.to_string(), "line 2: expected a seed, found `x`");
        assert!("drop a->b 1".parse::<Case>().is_err());
        assert_eq!(Case::scenario_in_place("seed 1\n | x = 2\n\n|"), "\n x = 2\n\n\n");
    }
}
