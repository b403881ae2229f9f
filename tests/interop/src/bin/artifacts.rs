//! Builds what the interop tests run and prints where it is, one path a line: the binary, the directory of the programs.
//! Its process id must not end before the programs are used: they are copied by `unprivileged.sh` at once.

use anyhow::Result;
use causeway_interop::artifacts::Artifacts;

fn main() -> Result<()> {
    let Artifacts { causeway, programs } = Artifacts::build()?;
    println!("{}\n{}", causeway.display(), programs.display());
    Ok(())
}
