//! Many seeds, spread over threads and machines.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::draw::draw;
use crate::hash::RollingHash;
use crate::trial::Trial;

/// Which seeds, on how many threads, for how long.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// This machine's part of them: those whose number modulo the second is the first (counted from 0).
    pub shard: (u64, u64),
    /// Threads.
    pub jobs: usize,
    /// No seed is begun after this.
    pub time: Option<Duration>,
    /// No seed is begun after so many failures.
    pub failures_max: usize,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// How: equal for equal failures.
    pub signature: String,
    /// In words.
    pub words: String,
}

/// What came of a campaign, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Seeds that were run.
    pub seeds: u64,
    /// Frames that reached the end of a link.
    pub frames: u64,
    /// Processor time of the runs, in seconds.
    pub cpu_seconds: f64,
    /// Over the hashes of all runs, whatever their order.
    pub hash: u64,
    /// In order of seeds.
    pub failures: Vec<Failure>,
}

impl Results {
    /// Input: one run.
    fn add(&mut self, seed: u64, hash: u64, frames: u64, failure: Option<Failure>) {
        let mut mixed = RollingHash::new(seed);
        mixed.word(hash);
        self.hash = self.hash.wrapping_add(mixed.value());
        self.seeds += 1;
        self.frames += frames;
        self.failures.extend(failure);
    }

    /// Command: takes in the results of other seeds.
    pub fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.frames += other.frames;
        self.cpu_seconds += other.cpu_seconds;
        self.hash = self.hash.wrapping_add(other.hash);
        self.failures.extend(other.failures);
        self.failures.sort();
    }
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Seeds that were run.
    pub seeds: u64,
    /// Of so many.
    pub all: u64,
    /// Failures so far.
    pub failures: usize,
    /// Since the beginning.
    pub elapsed: Duration,
}

impl Campaign {
    /// Command: runs it. `progress` is called now and then, on the calling thread.
    pub fn run(&self, mut progress: impl FnMut(Standing)) -> Results {
        let (first, of) = (self.shard.0, self.shard.1.max(1));
        let begin = self.seeds.start;
        let skip = (first + of - begin % of) % of;
        let all = self.seeds.end.saturating_sub(begin + skip).div_ceil(of);
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let results = Mutex::new(Results::default());
        let began = Instant::now();
        let lock = || results.lock().unwrap_or_else(PoisonError::into_inner);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs.max(1))
                .map(|_| {
                    scope.spawn(|| {
                        let cpu = cpu_time();
                        loop {
                            let index = next.fetch_add(1, Ordering::Relaxed);
                            let late = self.time.is_some_and(|time| began.elapsed() >= time);
                            if index >= all || late || stop.load(Ordering::Relaxed) {
                                break;
                            }
                            let seed = begin + skip + index * of;
                            let (hash, frames, failure) = run_seed(seed);
                            let mut results = lock();
                            results.add(seed, hash, frames, failure);
                            if results.failures.len() >= self.failures_max {
                                stop.store(true, Ordering::Relaxed);
                            }
                        }
                        lock().cpu_seconds += (cpu_time() - cpu).as_secs_f64();
                    })
                })
                .collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(20));
                let (seeds, failures) = {
                    let results = lock();
                    (results.seeds, results.failures.len())
                };
                progress(Standing { seeds, all, failures, elapsed: began.elapsed() });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.failures.sort();
        results
    }
}

/// Runs one seed.
fn run_seed(seed: u64) -> (u64, u64, Option<Failure>) {
    let case = draw(seed);
    let outcome = Trial::new("case", &case).and_then(|trial| trial.run(Vec::new()));
    match outcome {
        Ok(outcome) => {
            let failure = outcome.violation.map(|violation| {
                let words = format!("at {} s: {}", violation.at, violation.words);
                Failure { seed, signature: violation.signature, words }
            });
            (outcome.hash, outcome.frames, failure)
        }
        // What is drawn can always be run; if not, the drawing is what failed.
        Err(error) => {
            let signature = "draw".to_owned();
            (0, 0, Some(Failure { seed, signature, words: error.to_string() }))
        }
    }
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(seeds: Range<u64>, shard: (u64, u64), jobs: usize) -> Results {
        let campaign = Campaign { seeds, shard, jobs, time: None, failures_max: usize::MAX };
        let mut results = campaign.run(|_| ());
        results.cpu_seconds = 0.0;
        results
    }

    #[test]
    fn threads_and_shards_change_nothing() {
        let alone = campaign(100..130, (0, 1), 1);
        assert_eq!((alone.seeds, alone.failures.as_slice()), (30, &[][..]));
        assert_eq!(campaign(100..130, (0, 1), 3), alone);
        let mut parts = campaign(100..130, (2, 3), 1);
        parts.merge(campaign(100..130, (0, 3), 2));
        parts.merge(campaign(100..130, (1, 3), 1));
        assert_eq!(parts, alone);
        assert_ne!(campaign(101..131, (0, 1), 1).hash, alone.hash);
    }
}
