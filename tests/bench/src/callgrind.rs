//! Instruction counts: a child under callgrind, twice with different amounts of work, so that everything
//! but the work cancels out.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use crate::{Case, Peer};

/// Instructions for each unit of work.
///
/// # Errors
/// When valgrind is missing or its output is not understood.
pub fn per_unit(case: Case, peer: Peer, amounts: [u64; 2]) -> Result<f64> {
    let few = count(case, peer, amounts[0])?;
    let many = count(case, peer, amounts[1])?;
    ensure!(many.units > few.units, "{case:?}: more work made no more units");
    Ok((many.instructions - few.instructions) as f64 / (many.units - few.units) as f64)
}

struct Counted {
    units: u64,
    instructions: u64,
}

fn count(case: Case, peer: Peer, amount: u64) -> Result<Counted> {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|v| v.get_name().to_owned()).unwrap_or_default()
    };
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([
            "run",
            &name(case.to_possible_value()),
            &name(peer.to_possible_value()),
            &amount.to_string(),
        ])
        .output()
        .context("cannot run valgrind: install it (Debian: valgrind)")?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind ended with {}:\n{log}", output.status);
    }
    let instructions = log
        .lines()
        .find_map(|l| l.split_once("Collected :").map(|(_, n)| n.trim().to_owned()))
        .context("callgrind printed no count")?
        .parse()?;
    Ok(Counted { units: String::from_utf8_lossy(&output.stdout).trim().parse()?, instructions })
}
