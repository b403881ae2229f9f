//! `cargo xtask`: the project's commands.
//!
//! `test` is what the README names and what `.ci/run` calls: it sets up what is missing, runs every
//! stage and prints how long each took and how many tests ran. `full` adds the long stages and can be resumed.

mod bench;
mod bite;
mod campaign;
mod corpus;
mod counts;
mod coverage;
mod fuzz;
mod install;
mod not_reached;
mod run;
mod setup;
mod shrunk;
mod stages;
mod swarm;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up what is missing and run every test; exit 0 only when all are green and none was skipped
    Test {
        /// Run only the stages with these names (see `cargo xtask stages`)
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Everything that `test` runs and the long stages besides; resumable for one commit
    Full,
    /// List the stages in their order
    Stages,
    /// Install what the tests need (Debian packages, cargo-fuzz)
    Setup,
    /// Plant each bug of the checklist and see its tests fail
    Bite {
        /// Only so many bugs, chosen by the commit's hash
        #[arg(long)]
        sample: Option<usize>,
        /// Let the simulator find those of docs/planted.md instead, and print the table
        #[arg(long)]
        swarm: bool,
        /// Only bugs with this in their ids
        #[arg(long, value_name = "PART")]
        only: Option<String>,
        /// Make each case that the simulator finds small, and print what is left of it
        #[arg(long, requires = "swarm")]
        shrink: bool,
    },
    /// Run a campaign that must reach every mark and every transition but those that docs/reached.md lists
    Reach {
        /// So many seeds instead of 200,000
        #[arg(long)]
        seeds: Option<u64>,
    },
    /// Run many seeds in shards that survive being killed, and keep what came of them in tests/campaigns
    Campaign(campaign::Args),
    /// The lines of TCP that the scripts reach; fails when they are too few, or when the list of what is not reached is not true
    Coverage {
        /// Write that list, tests/conformance/NOT-REACHED.md
        #[arg(long)]
        write: bool,
    },
    /// Run the fuzz targets
    Fuzz {
        /// Seconds for each target
        #[arg(long, default_value_t = 30)]
        seconds: u32,
        /// One target instead of all
        target: Option<String>,
    },
    /// Renew the seeds in `fuzz/corpus`: what fuzzing has found so far, minimised
    Corpus,
    /// Build a release and put it where a distribution would
    Install(install::Args),
    /// Remove what `install` has put there
    Uninstall(install::Where),
    /// Measure: ns and instructions of our stack and of its peers in one run
    Bench {
        /// What to measure
        #[arg(value_enum)]
        name: bench::Name,
        /// One JSON document on standard output instead of a table
        #[arg(long)]
        json: bool,
        /// Fail when an instruction ratio that gates is exceeded
        #[arg(long)]
        gate: bool,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Test { only } => stages::test(&only),
        Command::Full => stages::full(),
        Command::Stages => {
            stages::list();
            Ok(())
        }
        Command::Setup => setup::everything(),
        Command::Bite { sample, swarm: true, only, shrink } => {
            swarm::bite(only.as_deref(), sample, shrink)
        }
        Command::Bite { sample, only, .. } => bite::run(only.as_deref(), sample).map(drop),
        Command::Reach { seeds } => swarm::reach(seeds).map(drop),
        Command::Campaign(args) => campaign::run_command(&args),
        Command::Coverage { write } => coverage::report(write),
        Command::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
        Command::Corpus => corpus::renew(),
        Command::Install(args) => install::install(&args),
        Command::Uninstall(to) => install::uninstall(&to),
        Command::Bench { name, json, gate } => bench::run(name, json, gate),
    }
}
