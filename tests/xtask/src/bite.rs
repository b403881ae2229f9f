//! `cargo xtask bite`: each planted bug must make the tests fail that the checklist names for it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{command, read, root, target_dir};

/// A row of the checklist that has a planted bug.
struct Plant {
    item: String,
    id: String,
    /// Paths of scripts below `scripts/`.
    scripts: Vec<String>,
}

/// Plants one bug after the other and prints the table. `sample`: only so many, chosen by the commit's hash.
///
/// # Errors
/// When a bug makes none of its tests fail, or the tests fail without a bug.
pub fn run(sample: Option<usize>) -> Result<u32> {
    let mut plants = plants()?;
    ensure!(!plants.is_empty(), "the checklist names no planted bug");
    if let Some(count) = sample {
        let commit = read(command(&["git", "rev-parse", "HEAD"]))?;
        plants.sort_by_key(|plant| hash(&format!("{}{}", commit.trim(), plant.id)));
        plants.truncate(count);
    }
    ensure!(play(None, "")?.0, "the scripts fail without a planted bug");
    let mut blunt = Vec::new();
    println!("{:>4}  {:<28} {:<8} tests", "item", "planted bug", "");
    for plant in &plants {
        for script in &plant.scripts {
            let (passed, output) = play(Some(&plant.id), script)?;
            ensure!(
                passed || output.contains("scripts failed"),
                "`{script}` did not run:\n{output}"
            );
            let word = if passed { "PASSES" } else { "bites" };
            println!("{:>4}  {:<28} {word:<8} {script}", plant.item, plant.id);
            if passed {
                blunt.push(format!("{} in {script}", plant.id));
            }
        }
    }
    println!("{} bugs planted, {} tests did not notice", plants.len(), blunt.len());
    if !blunt.is_empty() {
        bail!("these tests pass although their bug is planted: {}", blunt.join(", "));
    }
    Ok(u32::try_from(plants.len()).unwrap_or(u32::MAX))
}

/// The rows `| item | priority | what | tests | planted bug |` that have a bug.
fn plants() -> Result<Vec<Plant>> {
    let path = root().join("tests/conformance/CHECKLIST.md");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut plants = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, item, _, _, tests, bugs, _] = cells[..] else { continue };
        if item.parse::<u32>().is_err() {
            continue;
        }
        // Several bugs of one row: `id: script; id: script`. A bare `id` is for the row's first script.
        for bug in bugs.split(';').map(str::trim).filter(|bug| !bug.is_empty() && *bug != "-") {
            let first = tests.split(',').map(str::trim).find(|test| test.ends_with(".pkt"));
            let (id, scripts) = match bug.split_once(':') {
                Some((id, scripts)) => {
                    (id, scripts.split_whitespace().map(str::to_owned).collect())
                }
                None => (bug, first.iter().map(|script| (*script).to_owned()).collect::<Vec<_>>()),
            };
            ensure!(!scripts.is_empty(), "row {item}: `{id}` has no script");
            plants.push(Plant { item: item.to_owned(), id: id.trim().to_owned(), scripts });
        }
    }
    Ok(plants)
}

/// Plays the scripts with `word` in their path in a build with bugs. Returns whether they passed, and the output.
fn play(bug: Option<&str>, word: &str) -> Result<(bool, String)> {
    let mut test: Command = command(&[
        "cargo",
        "test",
        "--quiet",
        "-p",
        "causeway-conformance",
        "--test",
        "scripts",
        "--target-dir",
    ]);
    test.arg(target_dir().join("planted"))
        .env("RUSTFLAGS", "--cfg planted")
        .env("CAUSEWAY_SCRIPTS", word)
        .env_remove("CAUSEWAY_PLANT");
    if let Some(bug) = bug {
        test.env("CAUSEWAY_PLANT", bug);
    }
    let output = test.output().context("cannot run cargo")?;
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    let text = text.concat();
    ensure!(!text.contains("could not compile"), "the build with planted bugs fails:\n{text}");
    Ok((output.status.success(), text))
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Nothing of the planted bugs is in the shipped binary.
///
/// # Errors
/// When there is, or the binary cannot be read.
pub fn absent() -> Result<()> {
    run_build()?;
    let binary = target_dir().join("release/causeway");
    let symbols = read({
        let mut nm = command(&["nm", "-C"]);
        nm.arg(&binary);
        nm
    })?;
    ensure!(!symbols.contains("causeway_core::planted"), "the release binary has planted bugs");
    let bytes = fs::read(&binary)?;
    let id = b"time-wait-assassinated";
    ensure!(
        !bytes.windows(id.len()).any(|window| window == id),
        "the release binary names planted bugs"
    );
    Ok(())
}

fn run_build() -> Result<()> {
    crate::run::run(command(&["cargo", "build", "--release"]))
}
