//! The repository as a tree of files.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What may stand at the top level: the seven entries, and what every repository has.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "core",
    "backends",
    "sim",
    "capi",
    "fuzz",
    "tests",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "Cargo.lock",
    ".ci",
    ".cargo",
    "docs",
    ".gitignore",
    "clippy.toml",
    "rustfmt.toml",
];

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the crate lies two levels below the root")
}

/// Every file that git tracks, from the root.
///
/// # Errors
/// When git cannot be asked.
pub fn tracked_files(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cannot run git: {e}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).filter(|f| root.join(f).is_file()).collect())
}

/// Top-level names that have no business there.
pub fn strangers<'a>(files: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = files
        .filter_map(|f| f.split('/').next())
        .filter(|name| !TOP_LEVEL.contains(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}
