//! `causeway sim run`.

use std::io::Write;
use std::process::ExitCode;

use causeway_sim::trial::Written;

use super::case::{Which, build, one_line};
use super::outputs::Wanted;

/// Run one case and say what came of it.
///
/// One line if every rule is kept; else the rule that was broken, when, and the command that shows it again, and exit
/// status 1. The same case gives the same state hash.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  causeway sim run found.case\n  \
    causeway sim run scenario.toml --seed 7\n  \
    causeway sim run --scenario scenario.toml --seed 7\n  causeway sim run --seed 7 --print > 7.case\n  \
    causeway sim run found.case --html found.html --pcapng found.pcapng")]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Print the case instead of running it
    #[arg(long, conflicts_with_all = ["pcapng", "events", "html", "timeline"])]
    print: bool,
    #[command(flatten)]
    outputs: Wanted,
    /// Print what programs wrote, each line behind the program's name; of a failure the last lines are printed anyway
    #[arg(long, conflicts_with = "print")]
    output: bool,
}

/// Lines of each program that are printed with a failure.
const LAST_LINES: usize = 10;

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let loaded = args.which.load()?;
    let mut out = std::io::stdout();
    if args.print {
        write!(out, "{}", loaded.case)?;
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = if args.outputs.any() {
        let (outputs, files) = args.outputs.create()?;
        let outcome = loaded.explain(outputs)?;
        files.finish()?;
        outcome
    } else {
        loaded.run()?
    };
    let lines_max = if args.output { usize::MAX } else { LAST_LINES };
    if args.output || outcome.violation.is_some() {
        write_written(&mut out, &outcome.written, lines_max)?;
    }
    let seed = loaded.case.seed;
    let (frames, hash) = (outcome.frames, outcome.hash);
    let ended = outcome.ended_at;
    let summary =
        format!("seed {seed}, {frames} frames, {ended} s of virtual time, state hash {hash:016x}");
    let Some(violation) = outcome.violation else {
        writeln!(out, "{summary}")?;
        return Ok(ExitCode::SUCCESS);
    };
    let at = violation.at;
    writeln!(out, "{} at {at} s: {}", violation.signature, one_line(&violation.words))?;
    writeln!(out, "{summary}")?;
    writeln!(out, "{}", build())?;
    writeln!(out, "again: causeway sim run {}", loaded.words)?;
    Ok(ExitCode::FAILURE)
}

/// The last lines of what programs wrote.
fn write_written(
    out: &mut impl Write,
    written: &[Written],
    lines_max: usize,
) -> std::io::Result<()> {
    for Written { program, text } in written {
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(lines_max)..] {
            writeln!(out, "{program}| {}", line.replace(char::is_control, " "))?;
        }
    }
    Ok(())
}
