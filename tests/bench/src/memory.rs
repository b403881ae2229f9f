//! What an idle connection costs: resident memory of a process before and after it opens many.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::causeway_pair::CausewayPair;
use crate::pair::{Pair, Setup};

/// Connections that are open before the first look, so that whatever is taken once was taken.
const BEFORE: usize = 1_000;
/// Connections that are counted.
const COUNTED: usize = 99_000;

/// Bytes of one end of an idle connection, measured in a child: what this process did before must not count.
///
/// # Errors
/// When the child fails.
pub fn idle_connection_bytes() -> Result<f64> {
    let output = Command::new(std::env::current_exe()?).arg("memory").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// Bytes of one end of an idle connection with our defaults: control block, demultiplexing, timer and ready-list entries.
/// The rings and what the harness remembers are not the stack's.
///
/// # Errors
/// Where there is no `/proc`.
pub fn measure() -> Result<f64> {
    let setup = Setup {
        mtu: 1_500,
        buffer: 64 << 10,
        timestamps: true,
        rx_burst: 2,
        connections_max: BEFORE + COUNTED + 100,
    };
    let mut pair = CausewayPair::new(setup);
    pair.open(BEFORE);
    let before = resident_bytes()? - pair.harness_bytes();
    pair.open(COUNTED);
    let after = resident_bytes()? - pair.harness_bytes();
    Ok((after as f64 - before as f64) / (2.0 * COUNTED as f64))
}

/// Resident memory of this process.
fn resident_bytes() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status").context("no /proc")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024)
}
