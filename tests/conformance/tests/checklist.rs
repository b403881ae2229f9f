//! `CHECKLIST.md` names tests and planted bugs that exist, and leaves no item out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Items of the checklist.
const ITEMS: u32 = 112;

struct Row {
    item: u32,
    must: bool,
    tests: Vec<String>,
    bugs: Vec<String>,
}

fn rows() -> Vec<Row> {
    let text = include_str!("../CHECKLIST.md");
    let mut rows = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, item, priority, _, tests, bugs, _] = cells[..] else { continue };
        let Ok(item) = item.parse() else { continue };
        let list = |text: &str, separator| {
            let words = text.split(separator).map(str::trim);
            words
                .filter(|w| !matches!(*w, "open" | "-" | ""))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let bugs = list(bugs, ';');
        rows.push(Row { item, must: priority == "MUST", tests: list(tests, ','), bugs });
    }
    rows
}

#[test]
fn every_item_has_a_row() {
    let items: BTreeSet<u32> = rows().iter().map(|row| row.item).collect();
    let missing: Vec<u32> = (1..=ITEMS).filter(|item| !items.contains(item)).collect();
    assert_eq!(missing, Vec::<u32>::new());
}

#[test]
fn every_test_that_is_named_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for row in rows() {
        let scripts = row
            .bugs
            .iter()
            .filter_map(|bug| bug.split_once(':'))
            .flat_map(|(_, s)| s.split_whitespace());
        // Of a planted bug a function is `path::name`, in the list of tests `path name`.
        let of_bugs = scripts.map(|script| script.replacen("::", " ", 1));
        for script in of_bugs.chain(row.tests.iter().cloned()) {
            let exists = match script.split_once(' ') {
                None => here.join("scripts").join(&script).is_file(),
                Some((path, name)) => fs::read_to_string(here.join("../..").join(path))
                    .is_ok_and(|text| text.contains(&format!("fn {name}("))),
            };
            if !exists {
                wrong.push(format!("{}: {script}", row.item));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_planted_bug_that_is_named_exists_and_each_one_is_named() {
    let source = include_str!("../../../core/src/planted.rs");
    let named: BTreeSet<String> = rows()
        .iter()
        .flat_map(|row| &row.bugs)
        .map(|bug| bug.split(':').next().unwrap_or_default().trim().to_owned())
        .collect();
    let known: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\",")?.split_once(" \""))
        .map(|(_, id)| id.to_owned())
        .collect();
    assert_eq!(named, known);
}

#[test]
fn open_rows_are_counted() {
    let rows = rows();
    let open = |must| rows.iter().filter(|row| row.must == must && row.tests.is_empty()).count();
    let bitten = rows.iter().filter(|row| !row.bugs.is_empty()).count();
    println!(
        "{} MUST rows open, {} SHOULD rows open, {bitten} rows with a planted bug",
        open(true),
        open(false)
    );
    assert!(open(true) < rows.len(), "no MUST row has a test");
}
