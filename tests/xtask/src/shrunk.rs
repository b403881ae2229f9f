//! What is left of the cases that the swarm finds: goals R3 and R4 of the simulator.

use std::time::Duration;

use anyhow::{Result, ensure};

/// R3: of half of the cases no more is left, and no case takes longer.
const DECISIONS_MEDIAN_MAX: u64 = 5;
const FRAMES_MEDIAN_MAX: u64 = 200;
const TIME_MAX: Duration = Duration::from_secs(60);
/// R4: a case is a file of so many lines.
const LINES_MAX: u64 = 30;
/// Of so many cases one may be longer: where many decisions are needed, each has its line.
const LONGER_ONE_IN: usize = 20;

/// A case that was made small.
pub struct Size {
    frames: u64,
    decisions: u64,
    lines: u64,
    took: Duration,
}

impl Size {
    /// What `causeway sim shrink` says: `SIGNATURE: N frames, N decisions, N runs`.
    pub fn read(said: &str, lines: usize, took: Duration) -> Option<Self> {
        let (_, numbers) = said.trim().rsplit_once(": ")?;
        let mut numbers = numbers.split(", ").map(|part| part.split(' ').next()?.parse().ok());
        let (frames, decisions) = (numbers.next()??, numbers.next()??);
        Some(Self { frames, decisions, lines: lines as u64, took })
    }
}

/// Those of a run.
#[derive(Default)]
pub struct Sizes(Vec<Size>);

impl Sizes {
    /// Input: the case of `id` became so small.
    pub fn push(&mut self, id: &str, size: Size) {
        let Size { frames, decisions, lines, took } = &size;
        let seconds = took.as_secs_f64();
        println!("{id}: {decisions} decisions, {frames} frames, {lines} lines, {seconds:.1} s");
        self.0.push(size);
    }

    /// Prints the goals with what was measured. Times are told and not judged.
    ///
    /// # Errors
    /// A goal is missed that does not depend on the machine.
    pub fn judge(&self) -> Result<()> {
        let median = |of: fn(&Size) -> u64| {
            let mut all: Vec<u64> = self.0.iter().map(of).collect();
            all.sort_unstable();
            (all.get(all.len() / 2).copied().unwrap_or(0), all.last().copied().unwrap_or(0))
        };
        let (decisions, decisions_most) = median(|size| size.decisions);
        let (frames, frames_most) = median(|size| size.frames);
        let (lines, lines_most) = median(|size| size.lines);
        let longer = self.0.iter().filter(|size| size.lines > LINES_MAX).count();
        let slowest = self.0.iter().map(|size| size.took).max().unwrap_or_default();
        println!(
            "R3  decisions of a shrunk case    median {decisions:>5}  <= {DECISIONS_MEDIAN_MAX}  (at most {decisions_most})"
        );
        println!(
            "R3  frames of a shrunk case       median {frames:>5}  <= {FRAMES_MEDIAN_MAX}  (at most {frames_most})"
        );
        println!(
            "R3  seconds to shrink             most {:>7.1}  <= {}",
            slowest.as_secs_f64(),
            TIME_MAX.as_secs()
        );
        println!(
            "R4  lines of a shrunk case        most {lines_most:>7}  <= {LINES_MAX}  (median {lines}; {longer} of {} are longer)",
            self.0.len()
        );
        ensure!(
            decisions <= DECISIONS_MEDIAN_MAX
                && frames <= FRAMES_MEDIAN_MAX
                && longer * LONGER_ONE_IN <= self.0.len(),
            "cases do not become small enough"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shrink_says_is_read() {
        let size = Size::read("O7.unfinished: 12 frames, 3 decisions, 90 runs\n", 20, TIME_MAX);
        let size = size.expect("it is as it says");
        assert_eq!((size.frames, size.decisions, size.lines), (12, 3, 20));
        assert!(Size::read("nothing", 1, TIME_MAX).is_none());
        let mut sizes = Sizes(vec![size]);
        sizes.judge().expect("it is small");
        sizes.0[0].lines = LINES_MAX + 1;
        assert!(sizes.judge().is_err());
        sizes.0[0].lines = LINES_MAX;
        sizes.0[0].decisions = DECISIONS_MEDIAN_MAX + 1;
        assert!(sizes.judge().is_err());
    }
}
