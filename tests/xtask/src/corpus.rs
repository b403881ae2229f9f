//! The seeds of the fuzz targets in the tree: few and small, each reaching code that no other one reaches.
//!
//! To renew them after a target or what it drives has changed: `cargo xtask fuzz --seconds 600`, then
//! `cargo xtask corpus`, and commit `fuzz/corpus`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::fuzz;
use crate::run::{self, command};

/// What one target's seeds may take in the tree. The smallest are kept.
const TARGET_BYTES_MAX: u64 = 48 << 10;

/// `cargo xtask corpus`.
///
/// # Errors
/// When a target does not build, or crashes on what was found before.
pub fn renew() -> Result<()> {
    for name in fuzz::targets()? {
        let chosen = run::target_dir().join("fuzz-renew").join(&name);
        fresh(&chosen)?;
        let mut minimise = command(&["cargo", "+nightly", "fuzz", "run", &name]);
        minimise.arg(&chosen);
        minimise.args([fuzz::seeds(&name), fuzz::scratch(&name)].iter().filter(|d| d.is_dir()));
        // `cargo fuzz cmin` keeps three times as many: it goes through them once, in their order.
        minimise.args(["--", "-set_cover_merge=1"]);
        run::run(minimise)?;
        let mut found = files(&chosen)?;
        found.sort();
        let kept = within(TARGET_BYTES_MAX, &found);
        let seeds = fuzz::seeds(&name);
        fresh(&seeds)?;
        copy(kept, &seeds)?;
        let bytes: u64 = kept.iter().map(|(size, _)| size).sum();
        println!("{name}: {} of {} seeds, {bytes} bytes", kept.len(), found.len());
    }
    Ok(())
}

/// As many of the files, taken from the front, as `bytes_max` bytes hold.
fn within(bytes_max: u64, files: &[(u64, PathBuf)]) -> &[(u64, PathBuf)] {
    let mut bytes = 0;
    let fit = files.iter().take_while(|(size, _)| {
        bytes += size;
        bytes <= bytes_max
    });
    &files[..fit.count()]
}

/// The files of a directory with their sizes; none when it does not exist.
fn files(directory: &Path) -> Result<Vec<(u64, PathBuf)>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        files.push((entry.metadata()?.len(), entry.path()));
    }
    Ok(files)
}

fn fresh(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}

fn copy(files: &[(u64, PathBuf)], to: &Path) -> Result<()> {
    for (_, file) in files {
        let name = file.file_name().context("a file of a directory has a name")?;
        fs::copy(file, to.join(name)).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_seeds_are_kept_within_the_bound() {
        let files: Vec<(u64, PathBuf)> =
            [1, 2, 4, 8].map(|size| (size, PathBuf::from(size.to_string()))).into();
        assert_eq!(within(7, &files).len(), 3);
        assert_eq!(within(6, &files).len(), 2);
        assert_eq!(within(0, &files).len(), 0);
    }
}
