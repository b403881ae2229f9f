//! Plays scripts from anywhere: `cargo run -p causeway-conformance --example play -- FILE...`. Each on a host of its own; ends with 1 if one fails.

use std::fs;
use std::process::ExitCode;

use causeway_conformance::run::run_script;

fn main() -> ExitCode {
    let mut failed = 0_usize;
    let paths: Vec<String> = std::env::args().skip(1).collect();
    for path in &paths {
        let played = fs::read_to_string(path)
            .map_err(|error| format!("{path}: {error}\n"))
            .and_then(|text| run_script(path, &text).map_err(|failure| failure.to_string()));
        match played {
            Ok(_) => println!("ok   {path}"),
            Err(failure) => {
                failed += 1;
                println!("FAIL {failure}");
            }
        }
    }
    println!("{} scripts played, {failed} failed", paths.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
