//! A C program loads the shared object and drives it as packetdrill does.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where cargo put the library that belongs to this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let deps = test.parent().expect("a test lies in a directory");
    let name = "libcauseway_packetdrill.so";
    let places = [deps.join(name), deps.with_file_name(name)];
    places.into_iter().find(|path| path.is_file()).expect("cargo builds the cdylib with its test")
}

#[test]
fn a_program_that_speaks_packetdrill_s_interface_is_served() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness.c");
    let program = std::env::temp_dir().join(format!("causeway-harness-{}", std::process::id()));
    let built = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-o"])
        .arg(&program)
        .arg(&source)
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("a C compiler is there: `cargo xtask setup` installs it");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let output = Command::new("timeout").arg("60").arg(&program).arg(library()).output();
    let output = output.expect("the program can be run");
    std::fs::remove_file(&program).expect("the program was there");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    assert!(text.ends_with("0 failed\n"), "{text}");
}
