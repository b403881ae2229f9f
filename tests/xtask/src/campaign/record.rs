//! A file of `tests/campaigns`: the object that `causeway sim merge --json` prints for all shards of a campaign.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::words::Seeds;

/// So many digits of a commit are in a file's name.
const COMMIT_DIGITS: usize = 12;

/// A seed that failed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    pub seed: u64,
    pub signature: String,
    pub words: String,
}

impl Failed {
    /// Output: for people, with the command that shows it again where its commit is checked out.
    pub fn line(&self) -> String {
        let Self { seed, signature, words } = self;
        let words = words.replace('\n', "; ");
        let again = format!("cargo run --profile sim --bin causeway -- sim run --seed {seed}");
        format!("{signature}: seed {seed}, {words}; again: {again}")
    }
}

/// What came of a campaign.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub seeds: u64,
    pub failures: Vec<Failed>,
    pub frames: u64,
    pub cpu_seconds: f64,
    pub hash: String,
    pub commit: String,
    pub range: String,
    pub shard: String,
    pub complete: bool,
}

/// The name of its file.
pub fn name_of(commit: &str, seeds: &Seeds) -> String {
    let Range { start, end } = seeds.0;
    format!("{}-{start}-{end}.json", commit.get(..COMMIT_DIGITS).unwrap_or(commit))
}

impl Record {
    /// Input: the object.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("no results of a campaign")
    }

    /// Getter: its seeds.
    ///
    /// # Errors
    /// Its range is none.
    pub fn range(&self) -> Result<Seeds> {
        self.range.parse().map_err(|why| anyhow::anyhow!("range {:?}: {why}", self.range))
    }

    /// Whether every seed of its range was run.
    ///
    /// # Errors
    /// What is missing.
    pub fn is_whole(&self) -> Result<()> {
        let Seeds(range) = self.range()?;
        let most = range.end - range.start;
        ensure!(
            self.complete && self.shard == "0/1" && self.seeds == most,
            "not complete: {} of {most} seeds, shard {}",
            self.seeds,
            self.shard
        );
        let hash = self.hash.len() == 16 && self.hash.chars().all(|c| c.is_ascii_hexdigit());
        ensure!(hash, "hash {:?}: 16 hex digits are expected", self.hash);
        let foreign = self.failures.iter().find(|failed| !range.contains(&failed.seed));
        ensure!(foreign.is_none(), "a failure is not of its range: {foreign:?}");
        Ok(())
    }

    /// Output: for people; a line for each failure, and one for all.
    pub fn summary(&self) -> String {
        let failures: String = self.failures.iter().map(|failed| failed.line() + "\n").collect();
        let Self { seeds, frames, cpu_seconds, hash, .. } = self;
        let failed = self.failures.len();
        format!(
            "{failures}{seeds} seeds, {failed} failed, {frames} frames, {cpu_seconds:.0} CPU s, hash {hash}"
        )
    }
}
