//! `cargo xtask bite --swarm` and the stage `swarm`: the simulator finds what is planted, and nothing where nothing is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::counts::Counts;
use crate::run::{command, read, root, run, target_dir};
use crate::shrunk::{Size, Sizes};

/// No bug may need more seeds.
const SEEDS_MAX: u64 = 10_000;
/// Of them, those that one process runs twice.
const TWICE_SEEDS: u64 = 2_000;
/// Seeds of the gate, run twice.
const GATE_SEEDS: u64 = 20_000;
/// Seeds of which builds with and without optimisation have to agree.
const DEBUG_SEEDS: u64 = 200;
/// Bugs that the gate looks for, of those that the table finds within so many seeds.
const SAMPLE: (usize, u64) = (6, 100);

/// Seeds of the campaign that has to reach everything.
const REACH_SEEDS: u64 = 200_000;
/// How a swarm names what it never reached.
const NEVER: &str = "never reached: ";

/// A row of the table: a bug that the swarm finds.
struct Row {
    id: String,
    area: String,
    cited: String,
    /// So many seeds, from 0 on, found it when the table was written.
    seeds: Option<u64>,
    oracle: String,
}

/// What a bug was found by.
struct Found {
    seeds: u64,
    signature: String,
}

/// The `causeway` of one build.
struct Binary(PathBuf);

/// The rows `| bug | area | re-enacts | seeds | oracle |`.
fn rows() -> Result<Vec<Row>> {
    let path = root().join("docs/planted.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, area, cited, seeds, oracle, _] = cells[..] else { return None };
        let id = id.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let [area, cited, oracle] = [area, cited, oracle].map(str::to_owned);
        Some(Row { id, area, cited, seeds: seeds.parse().ok(), oracle })
    };
    let rows: Vec<Row> = text.lines().filter_map(row).collect();
    ensure!(!rows.is_empty(), "{}: no row names a bug", path.display());
    Ok(rows)
}

/// `cargo xtask bite --swarm`: plants one bug after the other and prints the table; `only`: those whose ids contain it. `shrink`: makes
/// each case that was found small, and prints what is left (R3 and R4 of the simulator's goals).
///
/// # Errors
/// A bug is not found within [`SEEDS_MAX`] seeds, what was found stays too large, or nothing builds.
pub fn bite(only: Option<&str>, sample: Option<usize>, shrink: bool) -> Result<()> {
    let mut rows = rows()?;
    rows.retain(|row| only.is_none_or(|part| row.id.contains(part)));
    if let Some(count) = sample {
        rows = drawn(rows, count)?;
    }
    let binary = Binary::planted("sim")?;
    let (mut numbers, mut missed, mut shrunk) = (Vec::new(), Vec::new(), Sizes::default());
    println!("| bug | area | re-enacts | seeds | oracle |\n|---|---|---|---|---|");
    for Row { id, area, cited, .. } in &rows {
        match binary.find(id, SEEDS_MAX)? {
            Some(Found { seeds, signature }) => {
                println!("| `{id}` | {area} | {cited} | {seeds} | {signature} |");
                numbers.push(seeds);
                if shrink {
                    shrunk.push(id, binary.shrink(id, seeds - 1)?);
                }
            }
            None => {
                println!("| `{id}` | {area} | {cited} | | not found |");
                missed.push(id.as_str());
            }
        }
    }
    numbers.sort_unstable();
    let cited = rows.iter().filter(|row| row.cited != "-").count();
    let slow = numbers.iter().filter(|seeds| **seeds > 100).count();
    println!(
        "\n{} planted, {cited} of them published, {} found: median {} seeds, {slow} more than 100, at most {}",
        rows.len(),
        numbers.len(),
        numbers.get(numbers.len() / 2).copied().unwrap_or(0),
        numbers.last().copied().unwrap_or(0),
    );
    ensure!(missed.is_empty(), "not found in {SEEDS_MAX} seeds: {}", missed.join(", "));
    if shrink { shrunk.judge() } else { Ok(()) }
}

/// `cargo xtask reach`: a campaign that reaches every mark and every transition, but for those of which `docs/reached.md` says why
/// not.
///
/// # Errors
/// One was never reached that is not in the list.
pub fn reach(seeds: Option<u64>) -> Result<u64> {
    let path = root().join("docs/reached.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let listed =
        |line: &str| line.strip_prefix("| `")?.split_once('`').map(|(id, _)| id.to_owned());
    let listed: Vec<String> = text.lines().filter_map(listed).collect();
    let results =
        Binary::planted("sim")?.results(&format!("0..{}", seeds.unwrap_or(REACH_SEEDS)))?;
    println!("{}", results.last);
    let missed: Vec<_> = results.never.iter().filter(|name| !listed.contains(name)).collect();
    let listed_in_vain: Vec<_> =
        listed.iter().filter(|name| !results.never.contains(name)).collect();
    for name in &missed {
        println!("never reached: {name}");
    }
    for name in &listed_in_vain {
        println!("reached, and in the list: take it out: {name}");
    }
    println!("{} never reached, {} of them for a reason", results.never.len(), listed.len());
    ensure!(missed.is_empty(), "the campaign did not reach what docs/reached.md does not list");
    Ok(1)
}

/// So many of `rows`, by the commit's hash.
fn drawn(mut rows: Vec<Row>, count: usize) -> Result<Vec<Row>> {
    let commit = read(command(&["git", "rev-parse", "HEAD"]))?;
    rows.sort_by_key(|row| crate::bite::hash(&format!("{}{}", commit.trim(), row.id)));
    rows.truncate(count);
    Ok(rows)
}

/// The stage of the gate.
///
/// # Errors
/// A seed fails, two runs differ, a canary passes, a bug is not found.
pub fn stage() -> Result<Counts> {
    let release = Binary::release()?;
    let seeds = format!("0..{GATE_SEEDS}");
    let first = release.results(&seeds)?;
    ensure!(first.failures.is_empty(), "seeds fail:\n{}", first.failures.join("\n"));
    let second = release.results(&seeds)?;
    ensure!(
        first.summary() == second.summary(),
        "one campaign, two results: {first:?}, {second:?}"
    );
    println!("{seeds} twice: {}", first.summary());
    // What one process remembers from run to run shows only there.
    let seeds = format!("0..{TWICE_SEEDS}");
    let twice = release.swarm(&["--seeds", &seeds, "--twice"])?;
    ensure!(twice.failures.is_empty(), "seeds are not one run:\n{}", twice.failures.join("\n"));
    println!("{seeds} twice in one process: {}", twice.summary());
    let seeds = format!("0..{DEBUG_SEEDS}");
    let debug = Binary::debug()?.results(&seeds)?;
    let optimised = release.results(&seeds)?;
    ensure!(debug.summary() == optimised.summary(), "builds differ: {debug:?}, {optimised:?}");
    println!("{seeds} without optimisation: {}", debug.summary());
    let mut passed = 4;
    for plan in plans("tests/regressions")? {
        let violation = release.violation(&plan, None)?;
        ensure!(violation.is_none(), "{}: {violation:?} again", plan.display());
        passed += 1;
    }
    release.sing("unfinished")?;
    let planted = Binary::planted("dev")?;
    planted.sing("planted")?;
    passed += 2 + sample(&planted)?;
    Ok(Counts { passed, ..Counts::default() })
}

/// Bugs drawn by the commit's hash are found about as soon as the table says.
fn sample(binary: &Binary) -> Result<u64> {
    let (count, most) = SAMPLE;
    let quick = rows()?.into_iter().filter(|row| row.seeds.is_some_and(|seeds| seeds <= most));
    let rows = drawn(quick.collect(), count)?;
    for row in &rows {
        let seeds = row.seeds.unwrap_or(most);
        let found = binary.find(&row.id, (8 * seeds).max(200))?;
        let Found { seeds: now, signature } =
            found.with_context(|| format!("`{}` is not found any more", row.id))?;
        println!("{}: {now} seeds, {signature} (once {seeds}, {})", row.id, row.oracle);
    }
    Ok(rows.len() as u64)
}

/// The cases in a directory, in order of names.
fn plans(directory: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join(directory)).context("cannot list the cases")?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "plan"));
    paths.sort();
    ensure!(!paths.is_empty(), "{directory}: no case");
    Ok(paths)
}

/// What a swarm has printed.
#[derive(Debug)]
struct Results {
    /// Its lines, a failure each.
    failures: Vec<String>,
    /// Marks and transitions that were never reached.
    never: Vec<String>,
    /// `N seeds, N failed, N frames, N CPU s, hash H, complete`.
    last: String,
}

impl Results {
    /// Getter: the last line without what differs from run to run.
    fn summary(&self) -> String {
        let parts = self.last.split(", ").filter(|part| !part.ends_with("CPU s"));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Getter: the lowest seed that failed, and how.
    fn first(&self) -> Option<(u64, &str)> {
        let line = self.failures.first()?;
        let (signature, rest) = line.split_once(": seed ")?;
        Some((rest.split_once(',')?.0.parse().ok()?, signature))
    }
}

impl Binary {
    fn release() -> Result<Self> {
        run(command(&["cargo", "build", "--release", "--bin", "causeway"]))?;
        Ok(Self(target_dir().join("release/causeway")))
    }

    fn debug() -> Result<Self> {
        run(command(&["cargo", "build", "--bin", "causeway"]))?;
        Ok(Self(target_dir().join("debug/causeway")))
    }

    /// The one with bugs in it; in the directory that has the tests with bugs in them.
    fn planted(profile: &str) -> Result<Self> {
        let target = target_dir().join("planted");
        let mut build = command(&["cargo", "build", "--bin", "causeway", "--profile", profile]);
        build.arg("--target-dir").arg(&target).env("RUSTFLAGS", "--cfg planted");
        run(build)?;
        let directory = if profile == "dev" { "debug" } else { profile };
        Ok(Self(target.join(directory).join("causeway")))
    }

    fn sim(&self, words: &[&str]) -> Command {
        let mut sim = command(&[&self.0.display().to_string(), "sim"]);
        sim.args(words);
        sim
    }

    /// Runs a swarm over all processors.
    fn swarm(&self, words: &[&str]) -> Result<Results> {
        let output = self.sim(&["swarm"]).args(words).output().context("cannot run the swarm")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let Some(last) = lines.pop().filter(|last| last.contains("hash ")) else {
            bail!("swarm {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let (never, failures): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|line| line.starts_with(NEVER));
        let never = never.iter().map(|line| line[NEVER.len()..].to_owned()).collect();
        Ok(Results { failures, never, last })
    }

    fn results(&self, seeds: &str) -> Result<Results> {
        self.swarm(&["--seeds", seeds])
    }

    /// The first seed below `most` that fails with the bug and does not without it.
    fn find(&self, id: &str, most: u64) -> Result<Option<Found>> {
        let mut from = 0;
        while from < most {
            let seeds = format!("{from}..{most}");
            let results = self.swarm(&["--seeds", &seeds, "--failures-max", "1", "--plant", id])?;
            let Some((seed, signature)) = results.first() else { return Ok(None) };
            let one = format!("{seed}..{}", seed + 1);
            if self.results(&one)?.failures.is_empty() {
                return Ok(Some(Found { seeds: seed + 1, signature: signature.to_owned() }));
            }
            from = seed + 1;
        }
        Ok(None)
    }

    /// Makes the case of a seed small.
    fn shrink(&self, id: &str, seed: u64) -> Result<Size> {
        let path = target_dir().join(format!("shrunk/{id}.plan"));
        fs::create_dir_all(path.parent().context("it has a directory")?)?;
        let mut shrink = self.sim(&["shrink", "--seed", &seed.to_string(), "--plant", id, "--out"]);
        let began = Instant::now();
        let said = read({
            shrink.arg(&path);
            shrink
        })?;
        let took = began.elapsed();
        let lines = fs::read_to_string(&path)?.lines().count();
        Size::read(&said, lines, took).with_context(|| format!("`shrink` said {said:?}"))
    }

    /// The signature of what a case breaks.
    fn violation(&self, plan: &Path, bug: Option<&str>) -> Result<Option<String>> {
        let mut case = self.sim(&["run"]);
        case.arg(plan);
        if let Some(bug) = bug {
            case.args(["--plant", bug]);
        }
        let output = case.output().context("cannot run a case")?;
        if output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let signature = text.split_once(" at ").map(|(signature, _)| signature.to_owned());
        let error = || String::from_utf8_lossy(&output.stderr).into_owned();
        signature.map(Some).with_context(error)
    }

    /// A canary: it has to fail, and as its file says.
    fn sing(&self, name: &str) -> Result<()> {
        let plan = root().join(format!("tests/canary/{name}.plan"));
        let text = fs::read_to_string(&plan)?;
        let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
        let expected = line("failed ").context("the canary says how it fails")?;
        let found = self.violation(&plan, line("# planted: "))?;
        ensure!(
            found.as_deref() == Some(expected),
            "the canary {name} should fail with {expected}, and did with {found:?}"
        );
        println!("canary {name}: {expected}");
        Ok(())
    }
}
