//! The shards of one campaign, one after the other, each with a results file of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::record::Record;
use super::words::Seeds;

/// A shard that has found so many failures is no campaign any more: something is broken that each seed shows.
const FAILURES_MAX: u64 = 1_000;

/// How it came to an end.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every seed was run: the merged results, as JSON.
    Complete(String),
    /// Some are left; why, and how many shards are done.
    Early(String),
}

/// What has to be run.
pub struct Shards<'a> {
    /// `causeway`, or what a test has in its place.
    pub binary: &'a Path,
    /// Where the results lie.
    pub work: &'a Path,
    /// All of them.
    pub seeds: &'a Seeds,
    /// Into so many parts they are divided.
    pub count: u64,
}

impl Shards<'_> {
    /// Runs what is left of each shard, and merges all.
    ///
    /// # Errors
    /// A shard left no results, has too many failures, or is being run.
    pub fn run(&self, jobs: Option<u16>, time: Option<Duration>) -> Result<Ended> {
        self.same_division()?;
        let lock = self.lock()?;
        let end = time.map(|time| Instant::now() + time);
        for index in 0..self.count {
            if self.state(index)?.is_some_and(|record| record.complete) {
                continue;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Ended::Early(format!("time is over, {index} shards are done")));
            }
            println!("shard {index} of {}", self.count);
            // It ends with 1 if a seed failed, too: what counts is the file.
            let mut swarm = self.command(index, jobs, left);
            swarm.stdin(lock.try_clone()?);
            let status = swarm.status().context("cannot run a shard")?;
            let Some(record) = self.state(index)? else {
                bail!("shard {index} left no results: {status}");
            };
            let failed = record.failures.len() as u64;
            ensure!(failed < FAILURES_MAX, "shard {index} failed {failed} times: no more is run");
            if !record.complete {
                let Record { seeds, .. } = record;
                let words =
                    format!("shard {index} was ended after {seeds} of its seeds ({status})");
                return Ok(Ended::Early(words));
            }
        }
        let mut merge = Command::new(self.binary);
        merge.args(["sim", "merge", "--json"]).args((0..self.count).map(|index| self.file(index)));
        // It prints the sum and ends with 1 where a seed failed.
        let output = merge.output().context("cannot merge the shards")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().with_context(|| {
            format!("no sum of the shards: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok(Ended::Complete(last.to_owned()))
    }

    /// Whoever holds it writes the results. The swarm gets it as its standard input: where this process alone is killed, the shard goes
    /// on, and holds it.
    fn lock(&self) -> Result<File> {
        let path = self.work.join("lock");
        let lock = File::create(&path).with_context(|| path.display().to_string())?;
        lock.try_lock().with_context(|| {
            let path = path.display();
            format!("{path}: a shard of this campaign is running: wait for it, or end it")
        })?;
        Ok(lock)
    }

    fn command(&self, index: u64, jobs: Option<u16>, left: Option<Duration>) -> Command {
        let mut swarm = Command::new(self.binary);
        swarm.args(["sim", "swarm", "--seeds", &self.seeds.to_string()]);
        swarm.args(["--shard", &format!("{index}/{}", self.count)]);
        swarm.args(["--failures-max", &FAILURES_MAX.to_string()]);
        swarm.arg("--out").arg(self.work.join("cases"));
        swarm.arg("--results").arg(self.file(index));
        if let Some(jobs) = jobs {
            swarm.args(["--jobs", &jobs.to_string()]);
        }
        if let Some(left) = left {
            swarm.args(["--time", &format!("{}s", left.as_secs().max(1))]);
        }
        swarm
    }

    fn file(&self, index: u64) -> PathBuf {
        self.work.join(format!("shard-{index}-of-{}.json", self.count))
    }

    /// What is kept of a shard.
    fn state(&self, index: u64) -> Result<Option<Record>> {
        let path = self.file(index);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path)?;
        Record::parse(&text).map(Some).with_context(|| format!("{}", path.display()))
    }

    /// Parts of another division are no parts of this one.
    fn same_division(&self) -> Result<()> {
        fs::create_dir_all(self.work)?;
        let ours = format!("-of-{}.json", self.count);
        for entry in fs::read_dir(self.work)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let other = name.split_once("-of-").and_then(|(_, of)| of.strip_suffix(".json"));
            ensure!(
                other.is_none() || name.ends_with(&ours),
                "{} has shards of {}: go on with --shards {}, or remove it",
                self.work.display(),
                other.unwrap_or_default(),
                other.unwrap_or_default()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Mutex, MutexGuard};

    /// Does what `causeway sim` does with results files, and writes its words down. A file `kill` makes shard 1 write half of its
    /// results and die; a file `fail` makes it fail.
    const FAKE: &str = r#"#!/bin/bash
cd "$(dirname "$0")"
echo "$*" >>calls
if [ "$2" = merge ]; then shift 3; echo "0/1 merged $#"; exit 1; fi
while [ $# -gt 0 ]; do
    case "$1" in --shard) shard=$2;; --results) results=$2;; esac
    shift
done
tell() {
    echo "{\"seeds\":$1,\"failures\":[],\"frames\":1,\"cpu_seconds\":0.1,\"hash\":\"0000000000000000\",\"commit\":\"c\",\"range\":\"0..30\",\"shard\":\"$shard\",\"complete\":$2}" >"$results"
}
if [ "$shard" = 1/3 ] && [ -e kill ]; then rm kill; tell 5 false; kill -9 $$; fi
if [ "$shard" = 1/3 ] && [ -e mute ]; then rm mute; exit 2; fi
tell 10 true
"#;

    /// A program that is being written cannot be run, and what another test's child inherits for a moment counts as being written.
    static ONE: Mutex<()> = Mutex::new(());

    struct Fake(PathBuf, #[allow(dead_code, reason = "held")] MutexGuard<'static, ()>);

    impl Fake {
        fn new(name: &str) -> Self {
            let held = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let name = format!("causeway-shards-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("it can be made");
            let binary = path.join("causeway");
            fs::write(&binary, FAKE).expect("it can be written");
            fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("it is ours");
            Self(path, held)
        }

        fn run(&self, count: u64, time: Option<Duration>) -> Result<Ended> {
            let (binary, seeds) = (self.0.join("causeway"), Seeds(0..30));
            Shards { binary: &binary, work: &self.0, seeds: &seeds, count }.run(Some(2), time)
        }

        /// The shards that were run since this was asked last, and `merge`.
        fn calls(&self) -> Vec<String> {
            let path = self.0.join("calls");
            let text = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, "").expect("it can be written");
            let shard = |line: &str| match line.split_once("--shard ") {
                Some((_, rest)) => rest.split(' ').next().unwrap_or_default().to_owned(),
                None => "merge".to_owned(),
            };
            text.lines().map(shard).collect()
        }

        fn touch(&self, name: &str) {
            fs::write(self.0.join(name), "").expect("it can be written");
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("it is ours");
        }
    }

    #[test]
    fn a_shard_that_is_killed_is_gone_on_with_and_what_is_done_is_not_run_again() {
        let fake = Fake::new("killed");
        fake.touch("kill");
        let Ok(Ended::Early(words)) = fake.run(3, None) else { panic!("it was killed") };
        assert!(words.contains("shard 1 was ended after 5 of its seeds"), "{words}");
        assert_eq!(fake.calls(), ["0/3", "1/3"]);
        let ended = fake.run(3, None).expect("nothing is wrong");
        assert_eq!(ended, Ended::Complete("0/1 merged 3".to_owned()), "a failure is no trouble");
        assert_eq!(fake.calls(), ["1/3", "2/3", "merge"]);
        fake.run(3, None).expect("nothing is wrong");
        assert_eq!(fake.calls(), ["merge"]);
    }

    #[test]
    fn what_another_process_runs_is_let_alone() {
        let fake = Fake::new("lock");
        let held = File::create(fake.0.join("lock")).expect("it can be made");
        held.lock().expect("nobody has it");
        let error = format!("{:#}", fake.run(3, None).expect_err("somebody has it"));
        assert!(error.contains("a shard of this campaign is running"), "{error}");
        drop(held);
        fake.run(3, None).expect("nobody has it");
    }

    #[test]
    fn no_time_no_shard() {
        let fake = Fake::new("time");
        let ended = fake.run(3, Some(Duration::ZERO)).expect("nothing is wrong");
        assert_eq!(ended, Ended::Early("time is over, 0 shards are done".to_owned()));
        assert_eq!(fake.calls(), [""; 0]);
        fake.run(3, Some(Duration::from_secs(60))).expect("nothing is wrong");
        assert_eq!(fake.calls(), ["0/3", "1/3", "2/3", "merge"]);
    }

    #[test]
    fn a_shard_without_results_and_another_division_are_errors() {
        let fake = Fake::new("errors");
        fake.touch("mute");
        let error = format!("{:#}", fake.run(3, None).expect_err("there are no results"));
        assert!(error.starts_with("shard 1 left no results"), "{error}");
        let error = format!("{:#}", fake.run(4, None).expect_err("there are shards of 3"));
        assert!(error.contains("has shards of 3: go on with --shards 3"), "{error}");
    }
}
