//! `causeway bench`: load and its figures.

mod figures;
mod kernel_tcp;
mod kernel_udp;
mod load;
mod machnet;
mod msg;
mod plot;
mod ready;

use std::process::ExitCode;

use clap::Subcommand;

/// Measure round trips and throughput.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Msg(msg::Args),
}

/// Measures what was asked for.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Msg(args) => msg::run(args),
    }
}
