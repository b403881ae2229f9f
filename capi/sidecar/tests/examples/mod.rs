//! The examples of `capi/examples` as programs of a simulation: what they are built with, and where.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Where the tests build.
fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sim-programs")
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{printed}", output.status);
}

/// The preload object, as the build makes it.
pub fn preload() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(path) = std::env::var_os("CAUSEWAY_VTIME_LIBRARY") {
            return PathBuf::from(path);
        }
        let target = scratch().join("target");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "causeway-vtime", "--target-dir"]);
        succeed(cargo.arg(&target).current_dir(root()));
        target.join("debug/libcauseway_vtime.so")
    })
}

/// The directory of the examples, copied, with what their Makefile builds.
pub fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let (from, place) = (root().join("capi/examples"), scratch().join("examples"));
        std::fs::create_dir_all(place.join("build")).unwrap();
        for file in ["kv.toml", "kv_fixed.toml"] {
            std::fs::copy(from.join(file), place.join(file)).unwrap();
        }
        let mut make = Command::new("make");
        make.arg("-C").arg(from).arg("kv").arg(format!("OUT={}", place.join("build").display()));
        make.arg("CFLAGS=-O2 -std=c11 -Wall -Wextra -Werror").env("PROFILE", "dev");
        succeed(&mut make);
        place
    })
}
