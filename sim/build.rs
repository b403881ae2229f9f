//! Compiles the demo's C programs to shared objects, which the library embeds.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 2] = ["server", "client"];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let header = root.join("../capi/include");
    println!("cargo::rerun-if-changed=programs");
    println!("cargo::rerun-if-changed={}", header.join("machnet.h").display());
    println!("cargo::rerun-if-env-changed=CC");
    // The tests export the C library's functions, as the `causeway` executable does: the programs find them there.
    println!("cargo::rustc-link-arg-tests=-rdynamic");
    for program in PROGRAMS {
        if let Err(why) = compile(&root.join("programs"), &header, &out, program) {
            println!("cargo::error=the demo's C program {program}.c: {why}");
        }
    }
}

fn compile(programs: &Path, header: &Path, out: &Path, program: &str) -> Result<(), String> {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(&cc)
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"])
        .arg("-I")
        .arg(header)
        .arg("-o")
        .arg(out.join(format!("{program}.so")))
        .arg(programs.join(format!("{program}.c")))
        .output()
        .map_err(|error| {
            format!(
                "cannot run the C compiler `{cc}` ({error}); install one (gcc or clang), or set CC"
            )
        })?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).replace('\n', " | "))
    }
}
