//! `cargo xtask coverage`: the lines of TCP that the scripts alone reach.
//!
//! The scripts are played in a build with counters (`-C instrument-coverage`), in which the core is compiled as a user's
//! build compiles it: its unit tests are not there, so neither do they count as lines nor do they reach any.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::not_reached;
use crate::run::{command, executable, read, root, run, target_dir};
use crate::setup;

/// Below this many tenths of a percent of the lines the command fails. Raise it with what is reached.
const LEAST_PERMILLE: usize = 915;

/// What is measured, below the root of the repository.
const MEASURED: &str = "core/src/tcp/";

/// What ran of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileCoverage {
    /// How often each function was entered, by the line that it begins in. Closures are none.
    pub functions: BTreeMap<usize, u64>,
    /// How often each line ran.
    pub lines: BTreeMap<usize, u64>,
}

/// By file.
pub type Measured = BTreeMap<String, FileCoverage>;

/// Plays the scripts, prints the percentage for each file and writes the lines that none reaches. `write`: the list of functions
/// that none reaches as well.
///
/// # Errors
/// When a script fails, the tools are missing, fewer lines are reached than [`LEAST_PERMILLE`] says, or the list of functions is
/// not true.
pub fn report(write: bool) -> Result<()> {
    setup::components()?;
    let directory = target_dir().join("coverage");
    fs::create_dir_all(&directory)?;
    let binary = build(&directory)?;
    let measured = parse(&play(&directory, &binary)?);
    ensure!(!measured.is_empty(), "nothing was measured");
    let (mut reached, mut all) = (0, 0);
    let mut missed = String::new();
    for (file, FileCoverage { lines, .. }) in &measured {
        let here = lines.values().filter(|count| **count > 0).count();
        println!("{:>6}  {here:>5} of {:>5}  {file}", percent(here, lines.len()), lines.len());
        (reached, all) = (reached + here, all + lines.len());
        missed.push_str(&lines_missed(file, lines)?);
    }
    let list = directory.join("not-reached.txt");
    fs::write(&list, missed).with_context(|| format!("cannot write {}", list.display()))?;
    println!("{:>6}  {reached:>5} of {all:>5}  {MEASURED}", percent(reached, all));
    println!("The lines that no script reaches: {}", list.display());
    ensure!(
        reached * 1_000 >= all * LEAST_PERMILLE,
        "the scripts reach {} of the lines, {} are demanded",
        percent(reached, all),
        percent(LEAST_PERMILLE, 1_000)
    );
    not_reached::check(&measured, write)
}

fn percent(part: usize, whole: usize) -> String {
    let permille = part * 1_000 / whole.max(1);
    format!("{}.{}%", permille / 10, permille % 10)
}

/// The test's executable.
fn build(directory: &Path) -> Result<PathBuf> {
    let mut build = command(&["cargo", "test", "-p", "causeway-conformance", "--test", "scripts"]);
    build
        .args(["--no-run", "--message-format=json", "--target-dir"])
        .arg(directory)
        .env("RUSTFLAGS", "-C instrument-coverage")
        // Build scripts have counters too, and would leave theirs wherever they run.
        .env("LLVM_PROFILE_FILE", directory.join("build-%p.profraw"));
    Ok(PathBuf::from(executable(&read(build)?)?))
}

fn text_of(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}

/// Plays the scripts and returns the counters as text, in the format of lcov.
fn play(directory: &Path, binary: &Path) -> Result<String> {
    let raw = directory.join("scripts.profraw");
    let profile = directory.join("scripts.profdata");
    let mut scripts = command(&[text_of(binary)?, "--quiet"]);
    scripts.env("LLVM_PROFILE_FILE", &raw).env_remove("CAUSEWAY_SCRIPTS");
    run(scripts)?;
    let mut merge = command(&[text_of(&tool("llvm-profdata")?)?, "merge", "-sparse", "-o"]);
    merge.arg(&profile).arg(&raw);
    run(merge)?;
    let mut export = command(&[text_of(&tool("llvm-cov")?)?, "export", "--format=lcov"]);
    export.arg("--instr-profile").arg(&profile).arg(binary).arg(root().join(MEASURED));
    read(export)
}

/// Getter: where rustup puts a program of its component `llvm-tools`.
///
/// # Errors
/// When there is no rustc to ask.
pub fn tool(name: &str) -> Result<PathBuf> {
    let sysroot = read(command(&["rustc", "--print", "sysroot"]))?;
    let version = read(command(&["rustc", "-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not name its host")?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin").join(name))
}

fn parse(lcov: &str) -> Measured {
    let mut measured = Measured::new();
    let mut file = None;
    // Where the functions of the file begin, by their mangled names.
    let mut begins = BTreeMap::new();
    for line in lcov.lines() {
        let Some((kind, rest)) = line.split_once(':') else { continue };
        if kind == "SF" {
            file = rest.find(MEASURED).map(|at| rest[at..].to_owned());
            begins.clear();
        }
        let (Some(file), Some((first, second))) = (&file, rest.split_once(',')) else { continue };
        let Ok(number) = first.parse::<u64>() else { continue };
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        match kind {
            "FN" => {
                begins.insert(second, at);
            }
            // A name that begins like that is a closure's.
            "FNDA" if !second.starts_with("_RNC") => {
                let of = measured.entry(file.clone()).or_default();
                if let Some(begin) = begins.get(second) {
                    *of.functions.entry(*begin).or_default() += number;
                }
            }
            "DA" => {
                let of = measured.entry(file.clone()).or_default();
                if let Ok(count) = second.parse::<u64>() {
                    *of.lines.entry(at).or_default() += count;
                }
            }
            _ => {}
        }
    }
    measured
}

/// `file:line: text` of each line that did not run.
fn lines_missed(file: &str, lines: &BTreeMap<usize, u64>) -> Result<String> {
    let source = fs::read_to_string(root().join(file))?;
    let source: Vec<&str> = source.lines().collect();
    let missed = lines.iter().filter(|(_, count)| **count == 0).map(|(number, _)| *number);
    let text = |number: usize| source.get(number.wrapping_sub(1)).copied().unwrap_or_default();
    Ok(missed.map(|number| format!("{file}:{number}: {}\n", text(number))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_line_are_added_up_and_other_files_left_out() {
        let lcov = "SF:/x/core/src/tcp/a.rs\nFN:3,_RNvA\nFN:4,_RNCNvA0\nFNDA:0,_RNvA\nFNDA:7,_RNCNvA0\n\
                    DA:3,0\nDA:4,1\nend_of_record\n\
                    SF:/x/core/src/ip/b.rs\nFN:1,_RNvB\nFNDA:1,_RNvB\nDA:1,0\n\
                    SF:/x/core/src/tcp/a.rs\nFN:3,_RINvA\nFNDA:5,_RINvA\nDA:3,2\n";
        let measured = parse(lcov);
        assert_eq!(measured.len(), 1);
        let of = FileCoverage {
            functions: BTreeMap::from([(3, 5)]),
            lines: BTreeMap::from([(3, 2), (4, 1)]),
        };
        assert_eq!(measured["core/src/tcp/a.rs"], of);
        assert_eq!(percent(2, 3), "66.6%");
    }
}
