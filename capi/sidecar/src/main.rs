//! The Causeway daemon and its tools.
#![forbid(unsafe_code)]

mod attach;
mod bench;
mod config;
mod demo;
mod doctor;
mod exports;
mod generate;
mod json_log;
mod logging;
mod nc;
mod pcap;
mod ping;
mod serve;
mod signals;
mod sim;
mod ss;
mod stats;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// One userspace network stack: the daemon that owns the network interfaces, and tools that use it.
#[derive(Debug, Parser)]
#[command(name = "causeway", version = version::VERSION, max_term_width = 100)]
#[command(after_help = "Environment:\n  \
    CAUSEWAY_SOCKET  control socket of the daemon, for serve and for programs that attach\n  \
    CAUSEWAY_LOG     what is logged to stderr: error, warn, info, debug, trace, or a filter\n                   \
    like causeway_server=debug\n\n\
    Exit status: 0 success, 1 failure, 2 wrong usage.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Config(config::Args),
    Demo(demo::Args),
    Sim(sim::Args),
    Ping(ping::Args),
    Nc(nc::Args),
    Bench(bench::Args),
    Ss(ss::Args),
    Stats(stats::Args),
    Pcap(pcap::Args),
    Doctor(doctor::Args),
    #[command(hide = true)]
    Generate(generate::Args),
    /// Print the versions of the binary and of the channel, for bug reports
    #[command(after_help = "Example:\n  causeway version")]
    Version,
}

fn main() -> ExitCode {
    exports::keep();
    let outcome = match Cli::parse().command {
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Config(args)) => config::run(&args),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Sim(args)) => sim::run(&args),
        Some(Command::Ping(args)) => ping::run(&args),
        Some(Command::Nc(args)) => nc::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Ss(args)) => ss::run(&args),
        Some(Command::Stats(args)) => stats::run(&args),
        Some(Command::Pcap(args)) => pcap::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Generate(args)) => generate::run(&args),
        Some(Command::Version) => version::run(),
        None => return help(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // One line, causes included, whatever the chain.
            eprintln!("causeway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ends the process as clap does for what its own rules cannot say, with the usage of the command called `name`: its words, as `a` or
/// `a b`.
fn usage(name: &str, problem: &str) -> ! {
    let mut cli = Cli::command();
    // Only a built command knows what stands in front of it.
    cli.build();
    let mut command = &mut cli;
    for word in name.split(' ') {
        command = command.find_subcommand_mut(word).expect("commands name themselves");
    }
    command.error(clap::error::ErrorKind::ValueValidation, problem).exit()
}

fn help() -> ExitCode {
    match Cli::command().print_help() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
