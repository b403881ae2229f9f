//! `causeway sim shrink`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use causeway_sim::swarm;

use super::case::{Which, build, with_comments};

/// Make a failing case small: what fails alike without a host, a flow, a setting or a fault loses it.
///
/// Prints the small case, or writes it to a file and prints what is left of it. Takes up to a minute.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway sim shrink found.case --out small.case")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Write the case here instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = args.which.load()?;
    let Some(violation) = loaded.run()?.violation else {
        bail!("{} does not fail; only what fails can be made small", loaded.words);
    };
    let signature = violation.signature;
    let Some(small) = swarm::shrink(&loaded.case, &signature) else {
        bail!("{} fails with {signature} once and not again; please report this", loaded.words);
    };
    let frames = small.frames;
    let (decisions, runs) = (small.case.plan.len(), small.runs);
    let summary = format!("{signature}: {frames} frames, {decisions} decisions, {runs} runs");
    let text = with_comments(&small.case, &[summary.clone(), build()]);
    let mut stdout = std::io::stdout().lock();
    match &args.out {
        Some(path) => {
            let written = std::fs::write(path, text);
            written.with_context(|| format!("{}: cannot be written", path.display()))?;
            writeln!(stdout, "{summary}")?;
        }
        None => write!(stdout, "{text}")?,
    }
    Ok(ExitCode::SUCCESS)
}
