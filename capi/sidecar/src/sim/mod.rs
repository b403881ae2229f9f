//! `causeway sim`.

mod bar;
mod case;
mod import;
mod merge;
mod outputs;
mod replay;
mod results;
mod run;
mod shrink;
mod swarm;
mod words;

use std::process::ExitCode;

use tracing::Level;

use crate::logging;

/// Run the stack in the simulator: one case, many seeds, a failing case made small, a capture made a case.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway sim run --seed 7")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Args),
    Swarm(swarm::Args),
    Shrink(shrink::Args),
    Merge(merge::Args),
    Import(import::Args),
    Replay(replay::Args),
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    logging::init(Level::WARN, false)?;
    causeway_sim::guest::set_release(machnet::release_env);
    match &args.command {
        Command::Run(args) => run::run(args),
        Command::Swarm(args) => swarm::run(args),
        Command::Shrink(args) => shrink::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Import(args) => import::run(args),
        Command::Replay(args) => replay::run(args),
    }
}
