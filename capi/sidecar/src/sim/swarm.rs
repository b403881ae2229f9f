//! `causeway sim swarm`.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use causeway_sim::plant;
use causeway_sim::swarm::{self, Campaign, Cases, Failure, Progress, Results, Shrunk};

use super::bar::Bar;
use super::case::{Plant, build, read_around, with_comments};
use super::results::{Given, Report, Shard};
use super::words::{Seeds, time};
use crate::{signals, version};

/// Run many seeds, each a case of its own: hosts, links, flows and faults; or, around a scenario, what goes wrong in it.
///
/// Each failure is one line with the command that shows it again. Ctrl-C ends it after the seeds that were begun. Exit
/// status: 1 if a seed failed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway sim swarm --seeds 0..100000 --out failures --shrink\n  \
    causeway sim swarm --seeds 0..1000000 --time 1h --shard 0/4 --results 0.json"
)]
pub struct Args {
    /// From seed A to before seed B
    #[arg(long, value_name = "A..B")]
    seeds: Seeds,
    /// Threads [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Begin no seed after so long: a number with s, m or h
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Only part I (from 0 to N-1) of N
    #[arg(long, value_name = "I/N", default_value_t = Shard { of: 1, index: 0 })]
    shard: Shard,
    /// Run each seed twice, and fail where the second run is another
    #[arg(long)]
    twice: bool,
    /// Begin no seed after so many failures
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    failures_max: u32,
    /// Make the cases in DIR small, after the last seed: up to a minute for each
    #[arg(long, requires = "out")]
    shrink: bool,
    /// Write the case of each failure to DIR/SEED.case
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep the results in FILE, and go on behind what it has of the same seeds, shard and commit
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    results: Option<PathBuf>,
    /// Print the results as one JSON object, on the last line
    #[arg(long)]
    json: bool,
    /// Keep this scenario, and draw only what goes wrong in it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    plant: Plant,
}

/// How often the results are written meanwhile.
const WRITE_INTERVAL: Duration = Duration::from_secs(2);

impl Args {
    fn campaign(&self) -> anyhow::Result<Campaign> {
        let all = || thread::available_parallelism().map_or(1, usize::from);
        let cases = match &self.scenario {
            Some(path) => Cases::Around(Arc::new(read_around(path)?)),
            None => Cases::Drawn(swarm::draw),
        };
        Ok(Campaign {
            cases,
            seeds: self.seeds.0.clone(),
            shard: (self.shard.index, self.shard.of),
            done: 0,
            jobs: self.jobs.map_or_else(all, usize::from),
            time: self.time,
            failures_max: self.failures_max as usize,
            twice: self.twice,
        })
    }

    /// Nothing is run yet.
    fn report(&self, cases: &Cases) -> Report {
        let hash = match cases {
            Cases::Around(around) => Some(around.fingerprint()),
            Cases::Drawn(_) => None,
        };
        let given = self.scenario.as_ref().zip(hash);
        Report {
            range: self.seeds.clone(),
            shards: vec![self.shard],
            commit: version::COMMIT.to_owned(),
            scenario: given.map(|(path, hash)| Given {
                file: path.display().to_string(),
                hash: format!("{hash:016x}"),
            }),
            complete: false,
            results: Results::default(),
        }
    }
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.plant.plant()?;
    let stop = signals::stop_stream().context("cannot watch for signals")?;
    let campaign = args.campaign()?;
    Swarm { args, campaign, stop }.run(&mut std::io::stdout().lock())
}

struct Swarm<'a> {
    args: &'a Args,
    campaign: Campaign,
    stop: UnixStream,
}

impl Swarm<'_> {
    fn run(mut self, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        let mut report = self.begin()?;
        self.campaign.done = report.results.seeds;
        for failure in &report.results.failures {
            self.keep(failure, false, out)?;
        }
        self.keep_results(&report)?;
        let found = self.campaign(&report, out)?;
        let new = found.failures.clone();
        report.results.merge(found);
        report.complete = report.results.seeds == self.campaign.len();
        self.keep_results(&report)?;
        if self.args.shrink {
            self.shrink(&new)?;
        }
        for name in never_reached() {
            writeln!(out, "never reached: {name}")?;
        }
        writeln!(out, "{}", if self.args.json { report.to_json() } else { report.summary() })?;
        let failed = !report.results.failures.is_empty();
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// What was run before.
    fn begin(&self) -> anyhow::Result<Report> {
        if let Some(out) = &self.args.out {
            let made = fs::create_dir_all(out);
            made.with_context(|| format!("{}: cannot be made", out.display()))?;
        }
        let new = self.args.report(&self.campaign.cases);
        let Some(path) = self.args.results.as_ref().filter(|path| path.exists()) else {
            return Ok(new);
        };
        let old = Report::read(path)?;
        let is_same =
            old.range == new.range && old.shards == new.shards && old.commit == new.commit;
        let name = path.display();
        if is_same && old.scenario_hash() != new.scenario_hash() {
            bail!("{name}: has results of another scenario; remove it or name another file");
        }
        if !is_same {
            let [has, wants] = [&old, &new].map(|report| {
                let shards: Vec<_> = report.shards.iter().map(Shard::to_string).collect();
                format!(
                    "seeds {}, shard {}, commit {}",
                    report.range,
                    shards.join("+"),
                    report.commit
                )
            });
            bail!(
                "{name}: has results of {has}, and these are of {wants}; remove it or name another file"
            );
        }
        if old.results.seeds > self.campaign.len() {
            bail!("{name}: has more seeds than the shard; remove it or name another file");
        }
        Ok(old)
    }

    /// Runs the seeds that are left; what was found is printed and kept as it comes.
    fn campaign(&self, before: &Report, out: &mut impl Write) -> anyhow::Result<Results> {
        let mut bar = Bar::new();
        let (mut told, mut written, mut trouble) = (0, Instant::now(), None);
        let results = self.campaign.run(|progress| {
            bar.show(&progress.standing());
            let mut step = || {
                for failure in progress.failures_beyond(told) {
                    told += 1;
                    bar.suspend(|| self.keep(&failure, true, out))?;
                }
                if written.elapsed() >= WRITE_INTERVAL {
                    written = Instant::now();
                    self.keep_meanwhile(before, progress, told)?;
                }
                signals::is_stopped(&self.stop, Duration::ZERO)
            };
            match step() {
                Ok(false) => ControlFlow::Continue(()),
                Ok(true) => ControlFlow::Break(()),
                Err(error) => {
                    trouble.get_or_insert(error);
                    ControlFlow::Break(())
                }
            }
        });
        bar.clear();
        if let Some(error) = trouble {
            return Err(error);
        }
        for failure in &results.failures[told..] {
            self.keep(failure, true, out)?;
        }
        Ok(results)
    }

    /// The results so far, unless a failure is among them whose case is not kept yet.
    fn keep_meanwhile(
        &self,
        before: &Report,
        progress: &Progress<'_>,
        told: usize,
    ) -> anyhow::Result<()> {
        let results = progress.results();
        if results.failures.len() > told {
            return Ok(());
        }
        let mut report = before.clone();
        report.results.merge(results);
        self.keep_results(&report)
    }

    fn keep_results(&self, report: &Report) -> anyhow::Result<()> {
        self.args.results.as_ref().map_or(Ok(()), |path| report.write(path))
    }

    /// Prints a failure and keeps its case; one that was found before (not `new`) may have its case already.
    fn keep(&self, failure: &Failure, new: bool, out: &mut impl Write) -> anyhow::Result<()> {
        let line = self.args.report(&self.campaign.cases).failure_line(failure);
        writeln!(out, "{line}{}", self.args.plant.words())?;
        out.flush()?;
        let Some(directory) = &self.args.out else { return Ok(()) };
        let path = directory.join(format!("{}.case", failure.seed));
        if !new && path.exists() {
            return Ok(());
        }
        let mut case = self.campaign.cases.case(failure.seed);
        case.failed = Some(failure.signature.clone());
        write_case(&path, &with_comments(&case, &[comment(failure), build()]))
    }

    /// Makes the cases of `failures` small, on all threads, until a signal comes.
    fn shrink(&self, failures: &[Failure]) -> anyhow::Result<()> {
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let trouble = Mutex::new(Ok(()));
        let work = || {
            while let Some(failure) = failures.get(next.fetch_add(1, Ordering::Relaxed)) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = self.shrink_one(failure, &is_over) {
                    *trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Err(error);
                    return;
                }
            }
        };
        thread::scope(|scope| {
            let count = self.campaign.jobs.min(failures.len());
            let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
                let stopped = signals::is_stopped(&self.stop, Duration::from_millis(20));
                is_over.fetch_or(stopped.unwrap_or(true), Ordering::Relaxed);
            }
        });
        trouble.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn shrink_one(&self, failure: &Failure, is_over: &AtomicBool) -> anyhow::Result<()> {
        let Some(directory) = &self.args.out else { return Ok(()) };
        let case = self.campaign.cases.case(failure.seed);
        let stop = || is_over.load(Ordering::Relaxed);
        // What cannot be run at all stays as it was drawn.
        let Some(Shrunk { case, frames, runs }) =
            swarm::shrink_until(&case, &failure.signature, &stop)
        else {
            return Ok(());
        };
        let size = format!("{frames} frames, {} decisions, {runs} runs", case.plan.len());
        let comments = [comment(failure), size, build()];
        let path = directory.join(format!("{}.case", failure.seed));
        write_case(&path, &with_comments(&case, &comments))
    }
}

/// Marks and transitions where this process never was; nothing in a build that counts none.
fn never_reached() -> impl Iterator<Item = String> {
    plant::reached().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name)
}

fn comment(failure: &Failure) -> String {
    format!("{}, seed {}: {}", failure.signature, failure.seed, failure.words)
}

fn write_case(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_sim::trial::Case;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// Each tenth seed has a second for what takes eight.
    fn draw(seed: u64) -> Case {
        if seed % 10 != 7 {
            return swarm::draw(seed);
        }
        let text = "causeway fault plan 2\n| host = [\n\
            |   { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
            |   { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n| ]\n\
            | link = [{ between = [\"a\", \"b\"], rate_kbit_s = 1000 }]\n\
            | flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 1000000 }]\n\
            | run = { heal_ms = 10, limit_s = 1 }\nmark a->b 3\n";
        Case { seed, ..text.parse().expect("it is right") }
    }

    /// Runs `causeway sim swarm` with these words in a directory: exit status and what it printed.
    fn run_in(directory: &Path, words: &str) -> (ExitCode, String) {
        let words = words.replace("DIR", &directory.display().to_string());
        let words = std::iter::once("swarm").chain(words.split_whitespace());
        let args = Line::parse_from(words).args;
        let (stop, _held) = UnixStream::pair().expect("there are descriptors");
        let campaign = args.campaign().expect("it draws everything");
        let mut swarm = Swarm { args: &args, campaign, stop };
        swarm.campaign.cases = Cases::Drawn(draw);
        let mut out = Vec::new();
        let code = swarm.run(&mut out).expect("files can be written");
        (code, String::from_utf8(out).expect("it is text"))
    }

    fn hash_of(printed: &str) -> &str {
        printed.rsplit_once("hash ").expect("it ends with a summary").1
    }

    #[test]
    fn failures_are_told_in_order_kept_made_small_and_never_run_again() {
        let directory = format!("causeway-swarm-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let (code, whole) = run_in(&directory, "--seeds 0..40 --jobs 2");
        assert_eq!(code, ExitCode::FAILURE);
        let lines: Vec<&str> = whole.lines().collect();
        assert_eq!(lines.len(), 5, "{whole}");
        assert!(lines[0].starts_with("O7.unfinished: seed 7, at 1.0"), "{whole}");
        assert!(lines[3].ends_with("; again: causeway sim run --seed 37"), "{whole}");
        assert!(lines[4].starts_with("40 seeds, 4 failed, "), "{whole}");
        let kept = "--seeds 0..40 --jobs 1 --results DIR/r.json --out DIR";
        let (_, first) = run_in(&directory, &format!("{kept} --failures-max 2 --shrink"));
        assert!(
            first.contains("\n18 seeds, 2 failed, ") && first.contains("not complete"),
            "{first}"
        );
        let case = |seed: u64| std::fs::read_to_string(directory.join(format!("{seed}.case")));
        let small = case(17).expect("it was kept");
        assert!(
            small.contains("# O7.unfinished, seed 17: at 1.0") && !small.contains("mark"),
            "{small}"
        );
        let (code, rest) = run_in(&directory, kept);
        assert_eq!((code, rest.lines().count()), (ExitCode::FAILURE, 5), "{rest}");
        assert_eq!(hash_of(&rest), hash_of(&whole));
        assert_eq!(case(17).expect("it is kept"), small, "what was made small stays");
        let large = case(27).expect("it was kept");
        assert!(
            large.contains("\nfailed O7.unfinished\n") && large.contains("\nmark a->b 3\n"),
            "{large}"
        );
        assert!(large.parse::<Case>().is_ok_and(|case| case.seed == 27), "{large}");
        std::fs::remove_dir_all(&directory).expect("it is ours");
    }
}
