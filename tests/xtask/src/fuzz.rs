//! The fuzz targets, found in `fuzz/fuzz_targets`, each run for a while from what earlier runs found, and from seeds
//! in `fuzz/corpus` where a target has some.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result, bail};

use crate::run::{self, command, root};

/// Runs each target (or only `target`) for `seconds` by the clock, `at_once` side by side: they share the processors.
///
/// # Errors
/// When a target does not build, has run nothing, or finds something; libFuzzer's own report names the input.
pub fn run_targets(seconds: u32, target: Option<&str>, at_once: usize) -> Result<u64> {
    let names: Vec<String> = match target {
        Some(name) => vec![name.to_owned()],
        None => targets()?,
    };
    run::run(command(&["cargo", "+nightly", "fuzz", "build"]))?;
    let mut failed = Vec::new();
    for names in names.chunks(at_once.max(1)) {
        let mut running = Vec::new();
        for name in names {
            let log = run::target_dir().join(format!("fuzz-{name}.log"));
            let child = start(name, seconds, &log)?;
            running.push((name, log, child));
        }
        for (name, log, mut child) in running {
            let status = child.wait()?;
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let done = text.lines().rev().find(|l| l.starts_with("Done "));
            let runs = done.unwrap_or("no closing line");
            println!("{name}: {runs}");
            if !status.success() || !has_run(runs) {
                println!("{text}");
                failed.push(name.as_str());
            }
        }
    }
    if !failed.is_empty() {
        bail!("fuzzing found something in: {}", failed.join(", "));
    }
    Ok(names.len() as u64)
}

/// `Done N runs in S second(s)`: N is not 0.
fn has_run(line: &str) -> bool {
    let count = line.strip_prefix("Done ").and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count > 0)
}

/// Where fuzzing writes what it finds.
pub fn scratch(name: &str) -> PathBuf {
    run::target_dir().join("fuzz-corpus").join(name)
}

/// The seeds in the tree.
pub fn seeds(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

fn start(name: &str, seconds: u32, log: &Path) -> Result<Child> {
    // libFuzzer writes new inputs into its first corpus: that one lies in the target directory, the
    // tree's seeds are read only.
    let scratch = scratch(name);
    std::fs::create_dir_all(&scratch)?;
    let seeds = seeds(name);
    let mut fuzz = command(&["cargo", "+nightly", "fuzz", "run", name]);
    fuzz.arg(&scratch);
    if seeds.is_dir() {
        fuzz.arg(&seeds);
    }
    fuzz.args(["--", &format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=2048"]);
    let file = File::create(log).with_context(|| log.display().to_string())?;
    fuzz.stdout(file.try_clone()?).stderr(file);
    fuzz.spawn().with_context(|| format!("fuzz target {name}"))
}

/// The command.
///
/// # Errors
/// See [`run_targets`].
pub fn run(seconds: u32, target: Option<&str>) -> Result<()> {
    run_targets(seconds, target, usize::MAX)
        .map(|count| println!("{count} fuzz targets, {seconds} s each: nothing found"))
}

/// The names of the targets.
///
/// # Errors
/// When there is none.
pub fn targets() -> Result<Vec<String>> {
    let directory = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).context("fuzz/fuzz_targets")? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "rs") {
            names.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    if names.is_empty() {
        bail!("no fuzz target in {}", directory.display());
    }
    Ok(names)
}
