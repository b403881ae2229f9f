//! `cargo xtask bench`: builds the benchmark with the release profile and runs it.

use anyhow::Result;
use clap::ValueEnum;

use crate::run::{self, command};

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Name {
    /// Our TCP and smoltcp's, both ends on one core, no devices: G1 to G6
    Core,
}

/// Runs the benchmark `name`.
///
/// # Errors
/// When it does not build or run, or with `gate` when a ratio that gates is exceeded.
pub fn run(name: Name, json: bool, gate: bool) -> Result<()> {
    let mut bench =
        command(&["cargo", "run", "--quiet", "--release", "-p", "causeway-bench", "--"]);
    bench.arg(match name {
        Name::Core => "core",
    });
    if json {
        bench.arg("--json");
    }
    if gate {
        bench.arg("--gate");
    }
    if json {
        // Standard output is the document: nothing of ours may come before it.
        let status = bench.status()?;
        anyhow::ensure!(status.success(), "the benchmark ended with {status}");
        return Ok(());
    }
    run::run(bench)
}
