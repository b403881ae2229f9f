//! `causeway demo`.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use causeway_sim::demo::{self, DemoOptions, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use tracing::Level;

use crate::logging;

/// Run two hosts in the simulator: C programs that exchange messages and a TCP stream of 64 MiB, over a bad link and a
/// good one, every byte verified.
///
/// Prints a table and the hash of the whole run; writes demo.pcapng (for Wireshark) and demo.html (for a
/// browser). Needs no daemon, no device and no privileges. The same seed gives the same hash.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  causeway demo --seed 7 --out /tmp")]
pub struct Args {
    /// What everything random is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Directory for demo.pcapng and demo.html; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Only what lasts longer than this gets a progress bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    logging::init(Level::WARN, false)?;
    prepare(&args.out)?;
    let options = DemoOptions::new(args.seed, &args.out, machnet::release_env);
    let mut bar = Bar::new();
    let report = demo::run(&options, |progress| bar.show(&progress))?;
    bar.clear();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{report}")?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the files can be written is found out before the run and not after it.
fn prepare(out: &Path) -> anyhow::Result<()> {
    let writable = std::fs::create_dir_all(out).and_then(|()| {
        let mut options = OpenOptions::new();
        options.create(true).append(true).open(out.join("demo.pcapng"))
    });
    if let Err(cause) = writable {
        let out = out.display();
        bail!("{out}: cannot write here: {cause}; give a directory of your own with --out");
    }
    Ok(())
}

/// A progress bar on a terminal, after a while.
struct Bar {
    began: Instant,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    fn new() -> Self {
        Self { began: Instant::now(), wanted: std::io::stderr().is_terminal(), bar: None }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        if !self.wanted || self.began.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent}% {eta} left");
            let bar = ProgressBar::new(progress.all_bytes);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(progress.all_bytes);
        bar.set_position(progress.done_bytes);
        bar.set_message(progress.leg.to_owned());
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
