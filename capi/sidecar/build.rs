//! Puts the functions of `machnet.h` into the binary's dynamic symbol table: the C programs that the simulator loads
//! into this process look for them there. And tells the binary from which commit it is built.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CAUSEWAY_COMMIT");
    // Who builds outside of a repository can say it.
    let told = std::env::var("CAUSEWAY_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = told.or_else(|| git(&["rev-parse", "HEAD"]));
    println!("cargo:rustc-env=CAUSEWAY_COMMIT={}", commit.unwrap_or_else(|| "unknown".to_owned()));
    // This file grows with every commit and every checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo:rerun-if-changed={log}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=machnet_*");
}

/// What git says, on one line.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && !line.is_empty() && !line.contains('\n')).then(|| line.to_owned())
}
