//! What `causeway sim` is told to run: a case file, a scenario, or a seed; and how to say so again.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use causeway_sim::explain::{Explain, Outputs};
use causeway_sim::fault::{Decision, FaultPlan, PlanError};
use causeway_sim::plant;
use causeway_sim::scenario::Scenario;
use causeway_sim::swarm::{self, Around, AroundError};
use causeway_sim::tap::Tap;
use causeway_sim::trial::{Case, Outcome, Trial, TrialError};

use crate::version;

/// How a pcapng file begins: the type of its section header block.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is to be run.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// A case file, a capture that was written of one, or a scenario (.toml) on which nothing is planned
    #[arg(value_name = "CASE", required_unless_present = "seed")]
    file: Option<PathBuf>,
    /// In place of the case file's own seed; for a scenario [default: 1]; without CASE: of the swarm
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The case is the one that the swarm draws around this scenario
    #[arg(long, value_name = "FILE", conflicts_with = "file", requires = "seed")]
    scenario: Option<PathBuf>,
    #[command(flatten)]
    plant: Plant,
}

/// A bug that the run suffers from.
#[derive(Debug, clap::Args)]
pub struct Plant {
    /// Suffer from this bug of core/src/planted; only in a build with RUSTFLAGS="--cfg planted"
    #[arg(long = "plant", value_name = "ID")]
    id: Option<String>,
}

impl Plant {
    /// Plants it, for the whole process.
    ///
    /// # Errors
    /// The build has no such bug, or none at all.
    pub fn plant(&self) -> anyhow::Result<()> {
        Ok(self.id.as_deref().map_or(Ok(()), plant::plant)?)
    }

    /// What stands on the command line to plant it again, behind a space; nothing without a bug.
    pub fn words(&self) -> String {
        self.id.as_ref().map(|id| format!(" --plant {id}")).unwrap_or_default()
    }
}

/// A case that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// The case.
    pub case: Case,
    /// The case, checked.
    trial: Trial,
    /// What errors call it.
    name: String,
    /// What stands behind the subcommand to name it again.
    pub words: String,
}

impl Which {
    /// Reads it.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is wrong: with file and line.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        self.plant.plant()?;
        let mut words = Vec::new();
        let seed = self.seed.unwrap_or(1);
        let (name, case) = match (&self.file, &self.scenario) {
            (Some(path), _) => {
                words.push(quoted(path));
                (path.display().to_string(), self.read(path)?)
            }
            (None, Some(path)) => {
                words.push(format!("--scenario {}", quoted(path)));
                (path.display().to_string(), read_around(path)?.case(seed))
            }
            (None, None) => (format!("seed {seed}"), swarm::draw(seed)),
        };
        words.extend(self.seed.map(|seed| format!("--seed {seed}")));
        let trial = Trial::new(&name, &case)?;
        let words = words.join(" ") + &self.plant.words();
        Ok(Loaded { case, trial, name, words })
    }

    fn read(&self, path: &Path) -> anyhow::Result<Case> {
        let name = path.display().to_string();
        let bytes = read_bytes(path)?;
        if bytes.starts_with(&PCAPNG) {
            let case = Case::from_pcapng(&bytes);
            let mut case = case.map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
            case.seed = self.seed.unwrap_or(case.seed);
            case.scenario = Scenario::anchored(&case.scenario, place_of(path));
            return Ok(case);
        }
        let text = as_text(path, bytes)?;
        if path.extension().is_some_and(|extension| extension == "toml") {
            let seed = self.seed.unwrap_or(1);
            let scenario = checked(path, &text)?;
            return Ok(Case { seed, failed: None, scenario, plan: FaultPlan::new() });
        }
        let mut case: Case = match text.parse() {
            Ok(case) => case,
            Err(PlanError { line, reason }) => bail!("{name}:{line}: {reason}"),
        };
        Scenario::parse_in(&name, &Case::scenario_in_place(&text), place_of(path))?;
        case.scenario = Scenario::anchored(&case.scenario, place_of(path));
        case.seed = self.seed.unwrap_or(case.seed);
        Ok(case)
    }
}

impl Loaded {
    /// Command: runs it.
    ///
    /// # Errors
    /// The plan does not fit the scenario.
    pub fn run(&self) -> anyhow::Result<Outcome> {
        self.run_with(Vec::new())
    }

    /// Command: runs it and writes what happened.
    ///
    /// # Errors
    /// As [`Loaded::run`]; something cannot be written.
    pub fn explain(&self, outputs: Outputs) -> anyhow::Result<Outcome> {
        let written = "what is to explain the run cannot be written";
        let explain = Explain::new(&self.case, &self.trial, outputs).context(written)?;
        let outcome = self.run_with(explain.taps())?;
        explain.finish(&outcome).context(written)?;
        Ok(outcome)
    }

    fn run_with(&self, taps: Vec<Box<dyn Tap>>) -> anyhow::Result<Outcome> {
        let name = &self.name;
        self.trial.run(taps).map_err(|error| match &error {
            TrialError::Target(unknown) => match self.line_of(&unknown.line) {
                Some(line) => anyhow::anyhow!("{name}:{line}: {error}"),
                None => anyhow::anyhow!("{name}: {error}"),
            },
            _ => anyhow::anyhow!("{name}: {error}"),
        })
    }

    /// Where a decision stands in the file.
    fn line_of(&self, decision: &str) -> Option<usize> {
        let text = read_text(Path::new(&self.name)).ok()?;
        let same =
            |line: &str| line.parse::<Decision>().is_ok_and(|found| found.to_string() == decision);
        text.lines().position(same).map(|index| index + 1)
    }
}

/// The directory of a file.
fn place_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// A scenario, checked, and with whole paths.
fn checked(path: &Path, text: &str) -> anyhow::Result<String> {
    Scenario::parse_in(&path.display().to_string(), text, place_of(path))?;
    Ok(Scenario::anchored(text, place_of(path)))
}

/// What is drawn around the scenario of a file.
///
/// # Errors
/// It cannot be read, or something in it is wrong: with file and line.
pub fn read_around(path: &Path) -> anyhow::Result<Around> {
    let name = path.display().to_string();
    let text = checked(path, &read_text(path)?)?;
    Around::new(&name, &text).map_err(|error| match error {
        AroundError::Scenario(error) => anyhow::Error::from(error),
        AroundError::Faults | AroundError::Healthy => anyhow::anyhow!("{name}: {error}"),
    })
}

/// The text of a file.
///
/// # Errors
/// It cannot be read, is no text, or is too long.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    as_text(path, read_bytes(path)?)
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path);
    let read = file.and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("{name}: cannot be read"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{name}: more than {} MiB; give a smaller file", FILE_BYTES_MAX >> 20);
    }
    Ok(bytes)
}

fn as_text(path: &Path, bytes: Vec<u8>) -> anyhow::Result<String> {
    let name = path.display();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
            bail!("{name}:{line}: this is no text (UTF-8); give a case file or a scenario")
        }
    }
}

/// A case's text with comments behind its first line.
pub fn with_comments(case: &Case, comments: &[String]) -> String {
    let text = case.to_string();
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let comments: String =
        comments.iter().map(|comment| format!("# {}\n", one_line(comment))).collect();
    format!("{first}\n{comments}{rest}")
}

/// Which build says so.
pub fn build() -> String {
    format!("causeway {} (commit {})", version::VERSION, version::COMMIT)
}

/// A text on one line.
pub fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_paths_back_as_they_were() {
        assert_eq!(quoted(Path::new("a/b.case")), "a/b.case");
        assert_eq!(quoted(Path::new("it's a.case")), "'it'\\''s a.case'");
        assert_eq!(quoted(Path::new("")), "''");
    }

    #[test]
    fn comments_stand_behind_the_first_line_and_read_back() {
        let text = with_comments(&swarm::draw(3), &["one\ntwo".to_owned()]);
        assert!(text.starts_with("causeway fault plan 2\n# one two\nseed 3\n"), "{text}");
        assert!(text.parse::<Case>().is_ok());
    }
}
