//! Instruction counts: a child under callgrind, twice with different amounts of work, so that everything but the work cancels out.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Load, causeway, seeds};

/// What is counted: the goal, what a unit is, and two amounts of work. Of streams an amount is the bytes of each, of seeds their number.
const COUNTED: [(&str, &str, [u64; 2]); 4] = [
    ("S2", "frame", [8 << 20, 24 << 20]),
    ("S3", "frame", [8 << 20, 24 << 20]),
    ("S4", "frame", [256 << 10, 768 << 10]),
    ("S7", "seed", [100, 500]),
];

/// Does `amount` of a goal's work; how many units that were.
///
/// # Errors
/// The goal is about times only.
pub fn work(id: &str, amount: u64) -> Result<u64> {
    Ok(match id {
        "S2" => causeway::streams(Load { bytes: amount, ..Load::ONE }),
        "S3" => causeway::judged(amount).frames,
        "S4" => causeway::streams(Load { bytes: amount, ..Load::MANY }),
        "S7" => {
            seeds::run(amount)?;
            amount
        }
        other => bail!("no instructions are counted for {other}"),
    })
}

/// Prints instructions a unit, of the goal `only` or of all that are counted.
///
/// # Errors
/// Valgrind is missing, or its output is not understood.
pub fn print(only: Option<&str>) -> Result<()> {
    println!("{:<4} {:>12}  unit", "goal", "instructions");
    for (id, unit, amounts) in COUNTED {
        if only.is_none_or(|only| only == id) {
            println!("{id:<4} {:>12.0}  {unit}", per_unit(id, amounts)?);
        }
    }
    Ok(())
}

fn per_unit(id: &str, amounts: [u64; 2]) -> Result<f64> {
    let [few, many] = [count(id, amounts[0])?, count(id, amounts[1])?];
    ensure!(many.units > few.units, "{id}: more work made no more units");
    Ok((many.instructions - few.instructions) as f64 / (many.units - few.units) as f64)
}

struct Counted {
    units: u64,
    instructions: u64,
}

fn count(id: &str, amount: u64) -> Result<Counted> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--only", id, "--amount", &amount.to_string()])
        .output()
        .context("cannot run valgrind: install it (Debian: valgrind)")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind ended with {}:\n{log}", output.status);
    let collected = log.lines().find_map(|line| line.split_once("Collected :"));
    let (_, instructions) = collected.context("callgrind printed no count")?;
    let units = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(Counted { units, instructions: instructions.trim().parse()? })
}
