//! `cargo xtask bite`: each planted bug must make the tests fail that the checklist names for it.

use std::fs;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{command, executable, read, root, target_dir};

/// The test that plays what `CAUSEWAY_SCRIPTS` names.
const SCRIPTS: &str = "every_script_says_what_the_stack_does";

/// A row of the checklist that has a planted bug.
struct Plant {
    item: String,
    id: String,
    /// Paths of scripts below `scripts/`, or `path::name` of functions of the core's unit tests.
    tests: Vec<String>,
}

/// The two executables with bugs in them.
struct Built {
    scripts: String,
    core: String,
}

/// Plants one bug after the other and prints the table. `only`: those whose ids contain it. `sample`: only so many, chosen by the
/// commit's hash.
///
/// # Errors
/// When a bug makes none of its tests fail, or the tests fail without a bug, or no bug is meant.
pub fn run(only: Option<&str>, sample: Option<usize>) -> Result<u32> {
    let mut plants = plants()?;
    plants.retain(|plant| only.is_none_or(|part| plant.id.contains(part)));
    ensure!(!plants.is_empty(), "the checklist names no planted bug `{}`", only.unwrap_or("*"));
    if let Some(count) = sample {
        let commit = read(command(&["git", "rev-parse", "HEAD"]))?;
        plants.sort_by_key(|plant| hash(&format!("{}{}", commit.trim(), plant.id)));
        plants.truncate(count);
    }
    let built = Built {
        scripts: build(&["-p", "causeway-conformance", "--test", "scripts"])?,
        core: build(&["-p", "causeway-core", "--lib"])?,
    };
    ensure!(built.play(None, "")?, "the scripts fail without a planted bug");
    let mut blunt = Vec::new();
    println!("{:>4}  {:<28} {:<8} tests", "item", "planted bug", "");
    for plant in &plants {
        for test in &plant.tests {
            let unit = test.contains("::");
            ensure!(!unit || built.play(None, test)?, "`{test}` fails without a planted bug");
            let passed = built.play(Some(&plant.id), test)?;
            let word = if passed { "PASSES" } else { "bites" };
            println!("{:>4}  {:<28} {word:<8} {test}", plant.item, plant.id);
            if passed {
                blunt.push(format!("{} in {test}", plant.id));
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
        let [_, item, _, _, _, bugs, _] = cells[..] else { continue };
        // A SHOULD may give a reason instead, which the checklist's own test reads.
        if item.parse::<u32>().is_err() || bugs.starts_with("none:") {
            continue;
        }
        // Several bugs of one row: `id: test test; id: test`.
        for bug in bugs.split(';').map(str::trim).filter(|bug| !bug.is_empty() && *bug != "-") {
            let (id, tests) = bug.split_once(": ").unwrap_or((bug, ""));
            let tests: Vec<String> = tests.split_whitespace().map(str::to_owned).collect();
            ensure!(!tests.is_empty(), "row {item}: `{id}` has no test");
            plants.push(Plant { item: item.to_owned(), id: id.trim().to_owned(), tests });
        }
    }
    Ok(plants)
}

/// An executable with bugs.
fn build(what: &[&str]) -> Result<String> {
    let mut build = command(&["cargo", "test", "--no-run", "--message-format=json"]);
    build
        .args(what)
        .arg("--target-dir")
        .arg(target_dir().join("planted"))
        .env("RUSTFLAGS", "--cfg planted");
    executable(&read(build).context("the build with planted bugs fails")?)
}

impl Built {
    /// Runs one test: the scripts with `test` in their path, or the function `path::name`. Returns whether it passed.
    fn play(&self, bug: Option<&str>, test: &str) -> Result<bool> {
        let function = test.split_once("::").map(|(_, name)| name);
        let mut run = match function {
            Some(name) => command(&[&self.core, &format!("::{name}")]),
            None => command(&[&self.scripts, "--nocapture", "--exact", SCRIPTS]),
        };
        run.env("CAUSEWAY_SCRIPTS", test).env("RUST_BACKTRACE", "0").env_remove("CAUSEWAY_PLANT");
        if let Some(bug) = bug {
            run.env("CAUSEWAY_PLANT", bug);
        }
        let output = run.output().with_context(|| format!("cannot run `{test}`"))?;
        let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
        let text = text.concat();
        ensure!(!text.contains("there is no bug"), "{text}");
        ensure!(text.contains("running 1 test\n"), "`{test}` is not the name of one test:\n{text}");
        ensure!(
            output.status.success() || function.is_some() || text.contains("scripts failed"),
            "`{test}` did not run:\n{text}"
        );
        Ok(output.status.success())
    }
}

/// FNV-1a.
pub fn hash(text: &str) -> u64 {
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
