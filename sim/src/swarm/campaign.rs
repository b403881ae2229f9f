//! Many seeds, spread over threads and machines.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::around::Around;
use super::twice::run_twice;
use crate::hash::RollingHash;
use crate::trial::{Case, Trial};

/// Where the case of a seed comes from.
#[derive(Clone, Debug)]
pub enum Cases {
    /// Everything is drawn: [`draw`](super::draw()), as a rule.
    Drawn(fn(u64) -> Case),
    /// A scenario is given, and what goes wrong is drawn.
    Around(Arc<Around>),
}

impl Cases {
    /// Output: the case of a seed.
    pub fn case(&self, seed: u64) -> Case {
        match self {
            Self::Drawn(draw) => draw(seed),
            Self::Around(around) => around.case(seed),
        }
    }
}

/// Which seeds, on how many threads, for how long.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The case of a seed.
    pub cases: Cases,
    /// The seeds.
    pub seeds: Range<u64>,
    /// This machine's part of them: those whose number modulo the second is the first (counted from 0).
    pub shard: (u64, u64),
    /// So many of that part were run before, the lowest ones: what is run lies behind them.
    pub done: u64,
    /// Threads.
    pub jobs: usize,
    /// No seed is begun after this.
    pub time: Option<Duration>,
    /// No seed is begun after so many failures.
    pub failures_max: usize,
    /// Each seed is run twice, and has to be the same run (oracle O12).
    pub twice: bool,
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

/// One run of a campaign.
struct Run {
    seed: u64,
    hash: u64,
    frames: u64,
    cpu: Duration,
    failure: Option<Failure>,
}

impl Results {
    /// Input: one run.
    fn add(&mut self, run: Run) {
        let mut mixed = RollingHash::new(run.seed);
        mixed.word(run.hash);
        self.hash = self.hash.wrapping_add(mixed.value());
        self.seeds += 1;
        self.frames += run.frames;
        self.cpu_seconds += run.cpu.as_secs_f64();
        self.failures.extend(run.failure);
    }

    /// Command: takes in the results of other seeds.
    pub fn merge(&mut self, other: Self) {
        self.seeds = self.seeds.saturating_add(other.seeds);
        self.frames = self.frames.saturating_add(other.frames);
        self.cpu_seconds += other.cpu_seconds;
        self.hash = self.hash.wrapping_add(other.hash);
        self.failures.extend(other.failures);
        self.failures.sort();
    }
}

/// How far a campaign is.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// So many seeds of its part are done, the lowest ones; those that were run before are among them.
    pub seeds: u64,
    /// Of so many.
    pub all: u64,
    /// Failures so far, of this campaign alone.
    pub failures: usize,
    /// Since the beginning.
    pub elapsed: Duration,
}

/// What the threads of a campaign share.
#[derive(Default)]
struct Shared {
    /// Seeds that somebody has begun, counted from the first of this campaign.
    begun: u64,
    /// No more are begun.
    is_over: bool,
    /// Failures, in whatever order they came.
    failed: usize,
    /// Of the lowest seeds, without a gap.
    results: Results,
    /// What is done beyond a seed that is not.
    beyond: BTreeMap<u64, Run>,
}

impl Shared {
    /// Input: the `index`-th seed was run.
    fn add(&mut self, index: u64, run: Run) {
        self.failed += usize::from(run.failure.is_some());
        self.beyond.insert(index, run);
        while let Some(run) = self.beyond.remove(&self.results.seeds) {
            self.results.add(run);
        }
    }
}

/// A campaign while it runs: what is told to whoever watches it.
pub struct Progress<'a> {
    campaign: &'a Campaign,
    began: Instant,
    shared: Mutex<Shared>,
}

impl Progress<'_> {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Getter: how far it is.
    pub fn standing(&self) -> Standing {
        let shared = self.lock();
        Standing {
            seeds: self.campaign.done + shared.results.seeds,
            all: self.campaign.len(),
            failures: shared.results.failures.len(),
            elapsed: self.began.elapsed(),
        }
    }

    /// Getter: the results of the lowest seeds of this campaign, without a gap, as far as they are done.
    pub fn results(&self) -> Results {
        self.lock().results.clone()
    }

    /// Getter: their failures but for the first `known`, in order of seeds.
    pub fn failures_beyond(&self, known: usize) -> Vec<Failure> {
        self.lock().results.failures.get(known..).unwrap_or_default().to_vec()
    }

    /// Command: the next seed that is to be run, with its index.
    fn begin(&self) -> Option<(u64, u64)> {
        let late = self.campaign.time.is_some_and(|time| self.began.elapsed() >= time);
        let mut shared = self.lock();
        let enough = shared.failed >= self.campaign.failures_max;
        if late || enough || shared.is_over {
            return None;
        }
        let index = shared.begun;
        let seed = self.campaign.seed(self.campaign.done.checked_add(index)?)?;
        shared.begun += 1;
        Some((index, seed))
    }
}

impl Campaign {
    /// Getter: the seeds of its part, those that were run before among them.
    pub fn len(&self) -> u64 {
        let (first, of) = self.first();
        first.map_or(0, |first| self.seeds.end.saturating_sub(first).div_ceil(of))
    }

    /// Getter: true when no seed of the range is in its part.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lowest seed of the part, unless numbers end before it, and the step to the next.
    const fn first(&self) -> (Option<u64>, u64) {
        let of = if self.shard.1 == 0 { 1 } else { self.shard.1 };
        let skip = (self.shard.0 % of + of - self.seeds.start % of) % of;
        (self.seeds.start.checked_add(skip), of)
    }

    /// The `index`-th seed of the part.
    fn seed(&self, index: u64) -> Option<u64> {
        let (first, of) = self.first();
        first.filter(|_| index < self.len()).map(|first| first + index * of)
    }

    /// Command: runs it, and returns the results of what it has run: of the lowest seeds that were not done before, without a gap.
    /// `watch` is called now and then, on the calling thread; when it breaks, no seed is begun any more.
    pub fn run(&self, mut watch: impl FnMut(&Progress<'_>) -> ControlFlow<()>) -> Results {
        let shared = Mutex::new(Shared::default());
        let progress = Progress { campaign: self, began: Instant::now(), shared };
        thread::scope(|scope| {
            let work = || {
                while let Some((index, seed)) = progress.begin() {
                    let run = run_seed(&self.cases, seed, self.twice);
                    progress.lock().add(index, run);
                }
            };
            let workers: Vec<_> = (0..self.jobs.max(1)).map(|_| scope.spawn(work)).collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(20));
                if watch(&progress).is_break() {
                    progress.lock().is_over = true;
                }
            }
        });
        progress.shared.into_inner().unwrap_or_else(PoisonError::into_inner).results
    }
}

/// Runs one seed.
fn run_seed(cases: &Cases, seed: u64, twice: bool) -> Run {
    let began = cpu_time();
    let case = || cases.case(seed);
    let outcome = if twice {
        run_twice(case)
    } else {
        Trial::new("case", &case()).and_then(|trial| trial.run(Vec::new()))
    };
    let (hash, frames, failure) = match outcome {
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
    };
    Run { seed, hash, frames, cpu: cpu_time().saturating_sub(began), failure }
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::super::draw;
    use super::*;

    fn campaign(seeds: Range<u64>, shard: (u64, u64), jobs: usize) -> Campaign {
        let cases = Cases::Drawn(draw);
        let (done, time, failures_max, twice) = (0, None, usize::MAX, false);
        Campaign { cases, seeds, shard, done, jobs, time, failures_max, twice }
    }

    fn run(campaign: &Campaign) -> Results {
        let mut results = campaign.run(|_| ControlFlow::Continue(()));
        results.cpu_seconds = 0.0;
        results
    }

    /// Fails in one of ten seeds: what is drawn is wrong.
    fn draw_badly(seed: u64) -> Case {
        if seed % 10 == 7 { Case::default() } else { draw(seed) }
    }

    #[test]
    fn threads_and_shards_change_nothing() {
        let alone = run(&campaign(100..130, (0, 1), 1));
        assert_eq!((alone.seeds, alone.failures.as_slice()), (30, &[][..]));
        assert_eq!(run(&campaign(100..130, (0, 1), 3)), alone);
        let mut parts = run(&campaign(100..130, (2, 3), 1));
        parts.merge(run(&campaign(100..130, (0, 3), 2)));
        parts.merge(run(&campaign(100..130, (1, 3), 1)));
        assert_eq!(parts, alone);
        assert_ne!(run(&campaign(101..131, (0, 1), 1)).hash, alone.hash);
        let twice = run(&Campaign { twice: true, ..campaign(100..130, (0, 1), 2) });
        assert_eq!(twice, alone, "each seed is one run");
    }

    #[test]
    fn a_campaign_goes_on_where_one_ended_and_ends_without_a_gap() {
        let whole = Campaign { cases: Cases::Drawn(draw_badly), ..campaign(200..240, (1, 2), 1) };
        let all = run(&whole);
        assert_eq!((all.seeds, whole.len()), (20, 20));
        let failed: Vec<u64> = all.failures.iter().map(|failure| failure.seed).collect();
        assert_eq!(failed, [207, 217, 227, 237]);
        // Two failures end it, however many threads are at work on what lies beyond the second one.
        let mut sum = run(&Campaign { failures_max: 2, jobs: 3, ..whole.clone() });
        assert!((9..20).contains(&sum.seeds), "{}", sum.seeds);
        sum.merge(run(&Campaign { done: sum.seeds, ..whole.clone() }));
        assert_eq!(sum, all);
        assert_eq!(run(&Campaign { done: 20, ..whole.clone() }), Results::default());
        assert_eq!(run(&Campaign { time: Some(Duration::ZERO), ..whole }), Results::default());
    }

    #[test]
    fn who_watches_sees_what_is_done_and_can_end_it() {
        let endless =
            Campaign { cases: Cases::Drawn(draw_badly), ..campaign(0..u64::MAX, (0, 1), 2) };
        let mut told = Vec::new();
        let results = endless.run(|progress| {
            told.extend(progress.failures_beyond(told.len()));
            let standing = progress.standing();
            assert_eq!(standing.all, u64::MAX);
            assert!(progress.results().seeds >= standing.seeds, "it only grows");
            if told.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!(told, results.failures[..told.len()]);
        assert_eq!(told[2].seed, 27);
    }

    #[test]
    fn results_wait_for_what_lies_before_them() {
        let run = |seed| Run { seed, hash: 1, frames: 10, cpu: Duration::ZERO, failure: None };
        let mut shared = Shared::default();
        let mut seeds_after = |index| {
            shared.add(index, run(index));
            (shared.results.seeds, shared.results.frames)
        };
        let steps = [1, 3, 0, 2].map(&mut seeds_after);
        assert_eq!(steps, [(0, 0), (0, 0), (2, 20), (4, 40)]);
    }

    #[test]
    fn what_is_drawn_keeps_every_rule() {
        // `CAUSEWAY_SWARM_SEEDS` asks for more.
        let more = std::env::var("CAUSEWAY_SWARM_SEEDS").ok().and_then(|text| text.parse().ok());
        let results = run(&campaign(0..more.unwrap_or(60), (0, 1), 2));
        let failures = results.failures.iter().map(|failure| {
            format!("{}: seed {}, {}\n", failure.signature, failure.seed, failure.words)
        });
        assert!(results.failures.is_empty(), "{}", failures.collect::<String>());
    }

    #[test]
    fn seeds_at_the_end_of_numbers_are_no_special_case() {
        let last = campaign(u64::MAX - 2..u64::MAX, (0, 1), 1);
        assert_eq!((last.len(), last.seed(1), last.seed(2)), (2, Some(u64::MAX - 1), None));
        // The last seed is the one of shard 0: the next of shard 1 is no seed of the range, and that of shard 3 no number.
        for shard in [1, 3] {
            let none = campaign(u64::MAX - 1..u64::MAX, (shard, 7), 1);
            assert!(none.is_empty() && run(&none).seeds == 0, "{shard}");
        }
    }
}
