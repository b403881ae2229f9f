//! `cargo xtask bench`: builds the benchmark with the release profile and runs it.

use std::process::Command;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::run::{self, command};

/// What can be measured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Name {
    /// Our TCP and smoltcp's, both ends on one core, no devices: G1 to G6
    Core,
    /// The simulator, with smoltcp over the same link model beside it: S2 to S10, R4; its goals gate nothing
    Sim,
    /// What a frame costs at the edge to the kernel, over a TAP and over a packet socket on a virtual cable; gates nothing
    Nic,
    /// Messages between two daemons on this machine, beside the kernel's TCP and UDP: messages a second and round trips; gates nothing
    Msg,
    /// Our TCP and the kernel's, each with a kernel at the far end of 50 Mbit/s, 20 ms and 1 % loss; medians of five, whose ratio
    /// may gate
    Link,
}

/// Runs the benchmark `name`.
///
/// # Errors
/// When it does not build or run, or with `gate` when a ratio that gates is exceeded.
pub fn run(name: Name, json: bool, gate: bool) -> Result<()> {
    let mut bench = match name {
        Name::Core => {
            let mut bench = command(&["cargo", "run", "--quiet", "--release", "-p"]);
            bench.args(["causeway-bench", "--", "core"]);
            bench
        }
        Name::Sim => {
            ensure!(!gate, "the simulator's times gate nothing: leave out --gate");
            let mut bench = command(&["cargo", "run", "--quiet", "--release", "-p"]);
            bench.args(["causeway-bench-sim", "--"]);
            bench
        }
        Name::Nic => {
            ensure!(!gate, "times at the edge to the kernel gate nothing: leave out --gate");
            let mut bench = command(&["cargo", "run", "--quiet", "--release", "-p"]);
            bench.args(["causeway-bench-nic", "--"]);
            bench
        }
        Name::Msg => {
            ensure!(!gate, "what messages cost gates nothing: leave out --gate");
            build_matrix()?;
            command(&[&run::target_dir().join("release/messages").to_string_lossy()])
        }
        Name::Link => {
            build_matrix()?;
            let mut bench = matrix_command();
            bench.arg("goodput");
            bench
        }
    };
    if json {
        bench.arg("--json");
    }
    if gate {
        bench.arg("--gate");
    }
    if json {
        // Standard output is the document: nothing of ours may come before it.
        let status = bench.status()?;
        ensure!(status.success(), "the benchmark ended with {status}");
        return Ok(());
    }
    run::run(bench)
}

/// Builds the interop matrix and what it runs.
///
/// # Errors
/// When it does not build.
pub fn build_matrix() -> Result<()> {
    let mut build = command(&["cargo", "build", "--quiet", "--release"]);
    build.args(["-p", "causeway", "-p", "causeway-interop", "-p", "causeway-interop-link"]);
    let status = build.status()?;
    ensure!(status.success(), "the matrix does not build: {status}");
    Ok(())
}

/// The program that [`build_matrix`] has built.
pub fn matrix_command() -> Command {
    let program = run::target_dir().join("release/matrix");
    command(&[&program.to_string_lossy()])
}
