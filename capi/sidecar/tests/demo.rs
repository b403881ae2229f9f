//! The demo as a user runs it: C programs and all, twice.

use std::process::Command;

/// The last line and the whole output of a run that must succeed.
fn demo(seed: &str) -> (String, String) {
    let dir = std::env::temp_dir().join(format!("causeway-cli-{}-{seed}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["demo", "--seed", seed, "--out"])
        .arg(&dir)
        .output()
        .expect("the executable was built");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    for file in ["demo.pcapng", "demo.html"] {
        let size = std::fs::metadata(dir.join(file)).expect("it was written").len();
        assert!(size > 10_000, "{file}: {size} bytes");
    }
    std::fs::remove_dir_all(&dir).expect("it is ours");
    let last = text.lines().last().expect("it printed something").to_owned();
    (last, text)
}

#[test]
fn the_demo_runs_its_c_programs_and_one_seed_gives_one_hash() {
    let (hash, text) = demo("7");
    assert!(hash.starts_with("seed 7, state hash "), "{hash}");
    assert!(text.contains("576 of 1 B to 1 MiB"), "{text}");
    assert_eq!(demo("7").0, hash);
}
