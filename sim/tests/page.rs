//! The page of a run is a program too: its script is run and used, outside of a browser. `tests/page/check.js` says what a reader may
//! expect of it: that nothing throws, that a click on a segment chooses its frame and back, the keys.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use causeway_sim::explain::{Explain, Outputs};
use causeway_sim::trial::{Case, Trial};

const SCENARIO: &str = r#"
host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }] },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }] },
  { name = "c", interface = [{ name = "eth0", addresses = ["10.0.0.3/24"] }] },
]
switch = [{ name = "s" }]
link = [
  { between = ["a", "s"], rate_kbit_s = 10000, delay_us = 2000, queue = "drop-tail", queue_frames = 8 },
  { between = ["b", "s"] },
  { between = ["c", "s"] },
]
flow = [
  { kind = "stream", from = "a", to = "b", bytes = 60000 },
  { kind = "request", from = "c", to = "b", bytes = 100, reply_bytes = 5000, count = 3 },
  { kind = "message", from = "c", to = "b", bytes = 4000, count = 4 },
]
"#;

const PLAN: &str = "drop a->s 12\ncorrupt a->s 15 byte 60 xor 4\nduplicate a->s 18 after 1ms\n\
                    delay s->a 9 by 3ms\npartition a->s 30ms..50ms\npause b 60ms..80ms\nno-carrier c.eth0 5ms..6ms\n";

/// Writes the page of a run.
fn page(case: &Case, path: &Path) {
    let trial = Trial::new("case", case).unwrap();
    let html = Some(Box::new(File::create(path).unwrap()) as Box<dyn std::io::Write>);
    let explain = Explain::new(case, &trial, Outputs { html, ..Outputs::default() }).unwrap();
    let outcome = trial.run(explain.taps()).unwrap();
    explain.finish(&outcome).unwrap();
}

fn check(page: &Path) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/check.js");
    let output = Command::new("node").arg(script).arg(page).output();
    let output = output.map_err(|error| format!("node: {error}; `cargo xtask setup` brings it"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("causeway-page-{name}-{}.html", std::process::id()))
}

#[test]
fn a_click_on_a_segment_chooses_its_frame_and_a_click_on_a_row_its_segment() {
    let plan = format!("causeway fault plan 2\n{PLAN}").parse().unwrap();
    let case = Case { seed: 7, failed: None, scenario: SCENARIO.to_owned(), plan };
    let path = file("used");
    page(&case, &path);
    let said = check(&path).unwrap_or_else(|error| panic!("{error}"));
    println!("{said}");
    assert!(said.contains("3 spans"), "{said}");

    // What holds it can fail: of a page whose frames are each one further on, and of one that does not parse.
    let html = fs::read_to_string(&path).unwrap();
    let shifted = html.replace("best = s[i + 3];", "best = s[i + 3] + 1;");
    let broken = html.replace("function choose(i) {", "function choose(i {");
    for (wrong, expected) in [(shifted, "AssertionError"), (broken, "SyntaxError")] {
        assert_ne!(wrong, html);
        fs::write(&path, wrong).unwrap();
        let error = check(&path).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    fs::remove_file(&path).unwrap();
}
