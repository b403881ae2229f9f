//! `causeway sim merge`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::results::{Report, Shard};

/// Merge the results of the shards of one campaign.
///
/// They must be of the same seeds and the same commit, each shard once. Exit status: 1 if a seed failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway sim merge 0.json 1.json 2.json")]
pub struct Args {
    /// Files that `causeway sim swarm --results` wrote
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print the merged results as one JSON object, on the last line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = merge(&args.files)?;
    let mut out = std::io::stdout().lock();
    for failure in &report.results.failures {
        writeln!(out, "{}", report.failure_line(failure))?;
    }
    writeln!(out, "{}", if args.json { report.to_json() } else { report.summary() })?;
    Ok(if report.results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The parts as one.
fn merge(files: &[PathBuf]) -> anyhow::Result<Report> {
    let read = |path| Report::read(path).map(|part| (path, part));
    let parts = files.iter().map(PathBuf::as_path).map(read);
    let parts: Vec<(&Path, Report)> = parts.collect::<anyhow::Result<_>>()?;
    for (index, (path, part)) in parts.iter().enumerate() {
        for (earlier, other) in &parts[..index] {
            other.fits(part, [earlier, path])?;
        }
    }
    let mut parts = parts.into_iter().map(|(_, part)| part);
    let mut report = parts.next().expect("at least one file is given");
    parts.for_each(|part| report.merge(part));
    report.shards.sort();
    let of = report.shards[0].of;
    if report.shards.len() as u64 != of {
        report.complete = false;
    } else if report.complete {
        report.shards = vec![Shard { of: 1, index: 0 }];
    }
    Ok(report)
}
