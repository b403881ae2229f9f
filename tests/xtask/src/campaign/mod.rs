//! `cargo xtask campaign`: many seeds in shards that survive being killed, and what all campaigns of the tree add up to.

mod record;
mod shards;
mod sum;
#[path = "../../../../capi/sidecar/src/sim/words.rs"]
mod words;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::run::{command, read, root, run, target_dir};

use record::{Record, name_of};
use shards::{Ended, Shards};
pub use words::Seeds;

/// Where the results of campaigns are kept, from the root of the repository.
const DIRECTORY: &str = "tests/campaigns";

/// What is asked for on the command line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// From seed A to before seed B
    #[arg(long, value_name = "A..B", required_unless_present = "sum")]
    seeds: Option<Seeds>,
    /// So many parts, one after the other; what is being run when everything is killed goes on in its part
    #[arg(long, value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    shards: u64,
    /// Threads [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    jobs: Option<u16>,
    /// Begin no seed after so long: a number with s, m or h; the next call goes on
    #[arg(long, value_name = "TIME", value_parser = words::time)]
    time: Option<std::time::Duration>,
    /// Print what the campaigns of the tree add up to instead
    #[arg(long, conflicts_with_all = ["seeds", "shards", "jobs", "time"])]
    sum: bool,
}

/// Runs it.
///
/// # Errors
/// The tree has changes, nothing builds, the time was too short, a seed failed, or a file of the tree is wrong.
pub fn run_command(args: &Args) -> Result<()> {
    if args.sum {
        print!("{}", sum::read(&root().join(DIRECTORY))?);
        return Ok(());
    }
    let seeds = args.seeds.clone().context("clap demands seeds")?;
    let commit = clean_commit()?;
    let name = Path::new(DIRECTORY).join(name_of(&commit, &seeds));
    let kept = root().join(&name);
    ensure!(!kept.exists(), "{} exists: the campaign was run to its end", name.display());
    // Part of it may have been run: before hours are spent on what `--sum` would refuse.
    sum::would_fit(&root().join(DIRECTORY), &commit, &seeds)?;
    let work = target_dir().join("campaigns").join(format!("{commit}-{seeds}"));
    let binary = built(&work)?;
    let shards = Shards { binary: &binary, work: &work, seeds: &seeds, count: args.shards };
    let merged = match shards.run(args.jobs, args.time)? {
        Ended::Complete(merged) => merged,
        Ended::Early(words) => bail!("{words}: the same command goes on"),
    };
    let record = Record::parse(&merged).context("what `causeway sim merge --json` printed")?;
    record.is_whole()?;
    ensure!(record.commit == commit, "built from {}, and HEAD is {commit}", record.commit);
    fs::create_dir_all(root().join(DIRECTORY))?;
    write(&kept, &merged)?;
    println!("{}\n{}", record.summary(), name.display());
    let cases = work.join("cases");
    ensure!(record.failures.is_empty(), "seeds failed: their cases are in {}", cases.display());
    Ok(())
}

/// The commit that is checked out. What earlier campaigns left may lie beside it.
fn clean_commit() -> Result<String> {
    let others = format!(":(exclude){DIRECTORY}");
    let changes = read(command(&["git", "status", "--porcelain", "--", ".", &others]))?;
    ensure!(
        changes.is_empty(),
        "the tree has uncommitted changes: a campaign belongs to a commit\n{changes}"
    );
    Ok(read(command(&["git", "rev-parse", "HEAD"]))?.trim().to_owned())
}

/// The simulator with assertions and overflow checks, as it was when the campaign began: a copy, which no later build replaces.
fn built(work: &Path) -> Result<std::path::PathBuf> {
    let kept = work.join("causeway");
    if kept.exists() {
        return Ok(kept);
    }
    run(command(&["cargo", "build", "--profile", "sim", "--bin", "causeway"]))?;
    fs::create_dir_all(work).with_context(|| format!("cannot make {}", work.display()))?;
    let new = work.join("causeway.new");
    fs::copy(target_dir().join("sim/causeway"), &new)?;
    fs::rename(&new, &kept)?;
    Ok(kept)
}

/// At every moment the file is whole, or not there.
fn write(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, format!("{}\n", text.trim_end()))?;
    fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}
