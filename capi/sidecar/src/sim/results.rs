//! The results of a swarm as one JSON object: what `--json` prints, what a file keeps, and what parts are merged from.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use causeway_sim::swarm::{Failure, Results};
use serde::{Deserialize, Serialize};

use super::case::{one_line, quoted, read_text};
use super::words::Seeds;

/// Part `index`, counted from 0, of so many, as `I/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Of how many.
    pub of: u64,
    /// Which.
    pub index: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        let shard = parts.filter(|(index, of)| index < of);
        shard.map(|(index, of)| Self { of, index }).ok_or_else(|| {
            "give two numbers like 0/4, the first from 0 to one less than the second".to_owned()
        })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// The scenario around which a campaign draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Its file, as it was named.
    pub file: String,
    /// Over what it says: equal for equal scenarios, wherever they lie.
    pub hash: String,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Failed {
    seed: u64,
    signature: String,
    words: String,
}

/// The object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Object {
    seeds: u64,
    failures: Vec<Failed>,
    frames: u64,
    cpu_seconds: f64,
    hash: String,
    commit: String,
    range: String,
    shard: String,
    complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scenario: Option<Given>,
}

/// What came of the lowest seeds of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The seeds of the whole campaign.
    pub range: Seeds,
    /// Of which part. Of what was merged, all parts of it, in order.
    pub shards: Vec<Shard>,
    /// By which build.
    pub commit: String,
    /// Around which scenario; everything is drawn where there is none.
    pub scenario: Option<Given>,
    /// Nothing of it is left to run.
    pub complete: bool,
    /// What came of it.
    pub results: Results,
}

impl Report {
    /// Output: the object on one line.
    pub fn to_json(&self) -> String {
        let results = &self.results;
        let failures = results.failures.iter().cloned();
        let failed = |Failure { seed, signature, words }| Failed { seed, signature, words };
        let shards: Vec<String> = self.shards.iter().map(Shard::to_string).collect();
        let object = Object {
            seeds: results.seeds,
            failures: failures.map(failed).collect(),
            frames: results.frames,
            // Milliseconds are read back as they were written.
            cpu_seconds: (results.cpu_seconds * 1e3).round() / 1e3,
            hash: format!("{:016x}", results.hash),
            commit: self.commit.clone(),
            range: self.range.to_string(),
            shard: shards.join("+"),
            complete: self.complete,
            scenario: self.scenario.clone(),
        };
        serde_json::to_string(&object).expect("texts, numbers and lists can be written")
    }

    /// Input: the object.
    ///
    /// # Errors
    /// It is no such object, in words that do not name the file.
    fn from_json(text: &str) -> anyhow::Result<Self> {
        let object: Object = serde_json::from_str(text)?;
        let wrong = |what: &'static str| move |why: String| anyhow::anyhow!("{what}: {why}");
        let range: Seeds = object.range.parse().map_err(wrong("range"))?;
        let shards = object.shard.split('+').map(str::parse).collect::<Result<Vec<_>, String>>();
        let hash = Some(object.hash.as_str()).filter(|hash| hash.len() == 16);
        let hash = hash.and_then(|hash| u64::from_str_radix(hash, 16).ok());
        let most = range.0.end - range.0.start;
        ensure!(object.seeds <= most, "seeds: {} are more than the range has", object.seeds);
        let failed = |Failed { seed, signature, words }| Failure { seed, signature, words };
        Ok(Self {
            shards: shards.map_err(wrong("shard"))?,
            commit: object.commit,
            complete: object.complete,
            scenario: object.scenario,
            results: Results {
                seeds: object.seeds,
                frames: object.frames,
                cpu_seconds: object.cpu_seconds,
                hash: hash.context("hash: give 16 hex digits")?,
                failures: object.failures.into_iter().map(failed).collect(),
            },
            range,
        })
    }

    /// Input: a results file.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path)?;
        let name = path.display();
        Self::from_json(&text).with_context(|| format!("{name}: no results of causeway sim swarm"))
    }

    /// Command: writes it; at every moment the file has either the old or the new results.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let write = || {
            let mut file = fs::File::create(&new)?;
            writeln!(file, "{}", self.to_json())?;
            file.sync_data()?;
            fs::rename(&new, path)
        };
        write().with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Getter: whether both are parts of one campaign, of which nothing is in both; `names` are their files, for errors.
    ///
    /// # Errors
    /// Why they are not.
    pub fn fits(&self, other: &Self, names: [&Path; 2]) -> anyhow::Result<()> {
        let [ours, theirs] = names.map(Path::display);
        if self.commit != other.commit {
            bail!("{ours} is of commit {}, {theirs} of {}", self.commit, other.commit);
        }
        if self.range != other.range {
            bail!("{ours} is of the seeds {}, {theirs} of {}", self.range, other.range);
        }
        if self.scenario_hash() != other.scenario_hash() {
            bail!("{ours} and {theirs} are of different scenarios");
        }
        let shards = || self.shards.iter().flat_map(|a| other.shards.iter().map(move |b| (a, b)));
        if let Some((a, b)) = shards().find(|(a, b)| a.of != b.of) {
            bail!("{ours} is of shard {a}, {theirs} of {b}: they may overlap");
        }
        if let Some((shard, _)) = shards().find(|(a, b)| a == b) {
            bail!("{ours} and {theirs} are both of shard {shard}");
        }
        Ok(())
    }

    /// Getter: what is equal for equal scenarios.
    pub fn scenario_hash(&self) -> Option<&str> {
        self.scenario.as_ref().map(|given| given.hash.as_str())
    }

    /// Output: a failure of it on one line, with the command that shows it again.
    pub fn failure_line(&self, failure: &Failure) -> String {
        let Failure { seed, signature, words } = failure;
        let file = self.scenario.as_ref().map(|given| quoted(Path::new(&given.file)));
        let scenario = file.map_or_else(String::new, |file| format!("--scenario {file} "));
        let words = one_line(words);
        format!(
            "{signature}: seed {seed}, {words}; again: causeway sim run {scenario}--seed {seed}"
        )
    }

    /// Command: takes in the results of other shards of the campaign.
    pub fn merge(&mut self, other: Self) {
        self.shards.extend(other.shards);
        self.complete &= other.complete;
        self.results.merge(other.results);
    }

    /// Output: for people, on one line.
    pub fn summary(&self) -> String {
        let Results { seeds, frames, cpu_seconds, hash, failures } = &self.results;
        let failed = failures.len();
        let state = if self.complete { "complete" } else { "not complete" };
        format!(
            "{seeds} seeds, {failed} failed, {frames} frames, {cpu_seconds:.1} CPU s, hash {hash:016x}, {state}"
        )
    }
}
