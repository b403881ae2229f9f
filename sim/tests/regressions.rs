//! What campaigns have found, each as the small case that showed it. `tests/regressions` has one file for each.
//!
//! In a build with `--cfg planted` a file's `# planted: ID` brings the bug back, and the case has to find it again.

use std::path::{Path, PathBuf};

use causeway_sim::fault::Line;
use causeway_sim::trial::{Case, Outcome, Trial};

/// Lines of a file that somebody can still read at a glance, comments aside.
const LINES_MAX: usize = 30;

/// Every case with its file, in order of names.
fn cases() -> Vec<(PathBuf, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/regressions");
    let entries = std::fs::read_dir(&directory).expect("the directory is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "plan")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{}: there is no case", directory.display());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let case = text.parse::<Case>().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, case)
    };
    paths.into_iter().map(read).collect()
}

fn run(path: &Path, case: &Case) -> Outcome {
    let trial = Trial::new(&path.display().to_string(), case);
    let outcome = trial.and_then(|trial| trial.run(Vec::new()));
    outcome.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the comment `# planted: ID` says.
fn planted(case: &Case) -> Option<&str> {
    let ids = case.plan.lines().iter().filter_map(|line| match line {
        Line::Comment(text) => text.trim().strip_prefix("planted: "),
        Line::Decision(_) => None,
    });
    ids.map(str::trim).next()
}

#[test]
fn what_was_found_once_is_not_found_again() {
    let cases = cases();
    for (path, case) in &cases {
        let outcome = run(path, case);
        assert_eq!(outcome.violation, None, "{}", path.display());
        assert!(outcome.frames > 0, "{}: nothing happens", path.display());
    }
    // A bug is planted for the whole process and for good, so this comes last, and in the same test.
    #[cfg(planted)]
    plant_and_find_again(&cases);
}

#[cfg(planted)]
fn plant_and_find_again(cases: &[(PathBuf, Case)]) {
    let mut found = 0;
    for (path, case) in cases {
        let Some(id) = planted(case) else { continue };
        assert!(causeway_core::planted::plant(id), "{}: there is no bug `{id}`", path.display());
        let violation = run(path, case).violation;
        let signature = violation.map(|violation| violation.signature);
        assert_eq!(signature, case.failed, "{}: `{id}`", path.display());
        found += 1;
    }
    assert!(found > 0, "no case names a planted bug");
}

#[test]
fn every_file_is_small_and_says_what_it_is_about() {
    for (path, case) in cases() {
        let name = path.display();
        let comments = case.plan.lines().iter().filter(|line| matches!(line, Line::Comment(_)));
        let about = comments.count() - usize::from(planted(&case).is_some());
        assert!(about > 0, "{name}: no comment says what was found");
        assert!(case.failed.is_some(), "{name}: no `failed` line says what it had broken");
        let lines = case.to_string().lines().filter(|line| !line.starts_with('#')).count();
        assert!(lines <= LINES_MAX, "{name}: {lines} lines; reduce it with `causeway sim shrink`");
    }
}
