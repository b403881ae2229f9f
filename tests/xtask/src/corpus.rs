//! The seeds of the fuzz targets in the tree: few and small, those that together reach the most.
//!
//! To renew them after a target or what it drives has changed: `cargo xtask fuzz --seconds 600`, then
//! `cargo xtask corpus`, and commit `fuzz/corpus`.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::fuzz;
use crate::run::{self, command};

/// What one target's seeds may take in the tree.
const TARGET_BYTES_MAX: u64 = 48 << 10;
/// As many files. A hundred and fifty reach 96 % of what six hundred reach.
const TARGET_SEEDS_MAX: usize = 150;

/// An input, and what it reaches: libFuzzer's numbers of edges and how often they were taken.
struct Input {
    path: PathBuf,
    bytes: u64,
    features: HashSet<u32>,
}

/// `cargo xtask corpus`.
///
/// # Errors
/// When a target does not build, or crashes on what was found before.
pub fn renew() -> Result<()> {
    for name in fuzz::targets()? {
        let work = run::target_dir().join("fuzz-renew").join(&name);
        let (cover, chosen) = (work.join("cover"), work.join("chosen"));
        fresh(&cover)?;
        fresh(&chosen)?;
        let report = work.join("report");
        if report.exists() {
            fs::remove_file(&report)?;
        }
        let mut measure = command(&["cargo", "+nightly", "fuzz", "run", &name]);
        measure.arg(&cover);
        measure.args([fuzz::seeds(&name), fuzz::scratch(&name)].iter().filter(|d| d.is_dir()));
        // Unlike `-merge=1` it tells of each input all that it reaches.
        measure.args(["--", "-set_cover_merge=1"]);
        measure.arg(format!("-merge_control_file={}", report.display()));
        run::run(measure)?;
        let text = fs::read_to_string(&report).with_context(|| report.display().to_string())?;
        let inputs = parse_report(&text).context("libFuzzer's report of a merge")?;
        let found = inputs.len();
        let kept = choose(TARGET_SEEDS_MAX, TARGET_BYTES_MAX, inputs);
        for input in &kept {
            let name = input.path.file_name().context("a file of a directory has a name")?;
            fs::copy(&input.path, chosen.join(name))
                .with_context(|| input.path.display().to_string())?;
        }
        let seeds = fuzz::seeds(&name);
        fs::remove_dir_all(&seeds).ok();
        copy_all(&chosen, &seeds)?;
        let bytes: u64 = kept.iter().map(|input| input.bytes).sum();
        println!("{name}: {} of {found} inputs, {bytes} bytes", kept.len());
    }
    Ok(())
}

/// libFuzzer's control file: how many files, how many of them are in the first directory, their paths, and for each that was run
/// `STARTED index bytes`, `FT index features…` and `COV index edges…`.
fn parse_report(text: &str) -> Option<Vec<Input>> {
    let mut lines = text.lines();
    let count: usize = lines.next()?.parse().ok()?;
    let _in_first: usize = lines.next()?.parse().ok()?;
    let mut inputs = Vec::new();
    for path in lines.by_ref().take(count) {
        inputs.push(Input { path: path.into(), bytes: 0, features: HashSet::new() });
    }
    for line in lines {
        let (kind, rest) = line.split_once(' ')?;
        let mut numbers = rest.split(' ').filter(|word| !word.is_empty());
        let input = inputs.get_mut(numbers.next()?.parse::<usize>().ok()?)?;
        match kind {
            "STARTED" => input.bytes = numbers.next()?.parse().ok()?,
            "FT" => input.features = numbers.map(str::parse).collect::<Result<_, _>>().ok()?,
            _ => {}
        }
    }
    Some(inputs)
}

/// Again and again the input that reaches the most of what none before it reached, the smallest of several, within the bounds.
fn choose(seeds_max: usize, bytes_max: u64, mut inputs: Vec<Input>) -> Vec<Input> {
    let mut kept: Vec<Input> = Vec::new();
    let mut bytes_left = bytes_max;
    while kept.len() < seeds_max {
        inputs.retain(|input| !input.features.is_empty() && input.bytes <= bytes_left);
        let rank = |input: &Input| (input.features.len(), std::cmp::Reverse(input.bytes));
        let Some(best) = (0..inputs.len()).max_by_key(|i| rank(&inputs[*i])) else { break };
        let best = inputs.swap_remove(best);
        for input in &mut inputs {
            input.features.retain(|feature| !best.features.contains(feature));
        }
        bytes_left -= best.bytes;
        kept.push(best);
    }
    kept
}

fn fresh(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "4\n1\n/a\n/b\n/c\n/d\n\
        STARTED 0 10\nFT 0 1 2 3\nCOV 0 1\nSTARTED 1 5\nFT 1 1 2 3\nCOV 1 1\n\
        STARTED 2 9\nFT 2 3 4\nCOV 2 2\nSTARTED 3 1\nFT 3 1\nCOV 3\n";

    fn kept(seeds_max: usize, bytes_max: u64) -> Vec<String> {
        let kept = choose(seeds_max, bytes_max, parse_report(REPORT).unwrap());
        kept.iter().map(|input| input.path.display().to_string()).collect()
    }

    #[test]
    fn the_inputs_that_reach_the_most_are_kept_and_of_equals_the_smallest() {
        assert_eq!(kept(9, 99), ["/b", "/c"], "the others reach nothing more");
    }

    #[test]
    fn seeds_stay_within_their_number_and_their_bytes() {
        assert_eq!(kept(1, 99), ["/b"]);
        assert_eq!(kept(9, 13), ["/b"], "no room for /c, and nothing new in /d");
        assert_eq!(kept(9, 4), ["/d"]);
    }

    #[test]
    fn a_report_of_another_form_is_none() {
        assert!(parse_report("").is_none());
        assert!(parse_report("1\n0\n/a\nFT 1 2\n").is_none(), "no such file");
        assert!(parse_report("1\n0\n/a\nFT 0 x\n").is_none());
    }
}
