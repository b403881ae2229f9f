//! `causeway config`.

use std::path::PathBuf;
use std::process::ExitCode;

use causeway_server::config::Config;

/// Look at configurations, without a daemon.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway config check /etc/causeway/causeway.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what is wrong with a file in one line with its place, or print nothing if it is good
    ///
    /// Nothing is opened and no daemon is asked: whether a device exists is seen at the start.
    #[command(after_help = "Exit status: 0 it is good, 1 it is not.")]
    Check {
        /// The configuration, a TOML file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Does what the command says.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Check { file } => Config::load(file)?,
    };
    Ok(ExitCode::SUCCESS)
}
