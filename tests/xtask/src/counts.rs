//! How many tests ran: read from the closing lines of the test runner.

use anyhow::{Result, bail};

/// Sums over the closing lines of one or more runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that ran and passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that did not run though they exist.
    pub skipped: u64,
}

impl Counts {
    /// Reads every `test result:` line of `text`.
    pub fn read(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter(|l| l.starts_with("test result:")) {
            for part in line.split([';', '.']) {
                let mut words = part.split_whitespace();
                let (Some(number), Some(kind)) = (words.next(), words.next()) else { continue };
                let Ok(number) = number.parse::<u64>() else { continue };
                match kind {
                    "passed" => counts.passed += number,
                    "failed" => counts.failed += number,
                    "ignored" => counts.skipped += number,
                    _ => {}
                }
            }
        }
        counts
    }

    /// Adds another run's.
    pub const fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Refuses a run in which nothing ran, something failed or something was skipped.
    ///
    /// # Errors
    /// Says which of the three.
    pub fn demand(self, stage: &str) -> Result<Self> {
        match self {
            Self { passed: 0, .. } => bail!("{stage}: no test ran"),
            Self { failed: 1.., .. } => bail!("{stage}: {} tests failed", self.failed),
            Self { skipped: 1.., .. } => bail!("{stage}: {} tests were skipped", self.skipped),
            counts => Ok(counts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "running 2 tests\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.15s\n\
                       test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.15s\n";

    #[test]
    fn closing_lines_are_summed() {
        assert_eq!(Counts::read(RUN), Counts { passed: 15, failed: 2, skipped: 1 });
    }

    #[test]
    fn a_run_without_tests_with_failures_or_with_skipped_tests_is_refused() {
        assert!(Counts::default().demand("x").is_err());
        assert!(Counts { passed: 1, failed: 1, skipped: 0 }.demand("x").is_err());
        assert!(Counts { passed: 1, failed: 0, skipped: 1 }.demand("x").is_err());
        assert!(Counts { passed: 1, failed: 0, skipped: 0 }.demand("x").is_ok());
    }
}
