//! `CHECKLIST.md` leaves nothing out: every item has its rows, every row tests that exist and a planted bug that they notice, and
//! every script stands in it, and every planted bug there or in the table of those that the simulator finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Items of the checklist, and of Machnet's extended profile.
const ITEMS: u32 = 122;
/// In the place of a planted bug: why there is none.
const NONE: &str = "none:";

/// One thing that must happen.
struct Row {
    item: u32,
    priority: String,
    what: String,
    tests: Vec<String>,
    bugs: Vec<Bug>,
    /// What stands in the place of planted bugs.
    excuse: Option<String>,
}

/// A planted bug, and the tests that must fail under it.
struct Bug {
    id: String,
    tests: Vec<String>,
}

/// The checklist's own words: 33, 34, 47, 48, 71 to 75, 90, 91, 93, 94 and 107 to 112 should, the others must happen.
fn priority(item: u32) -> &'static str {
    match item {
        33 | 34 | 47 | 48 | 71..=75 | 90 | 91 | 93 | 94 | 107..=112 => "SHOULD",
        _ => "MUST",
    }
}

fn rows() -> Vec<Row> {
    include_str!("../CHECKLIST.md").lines().filter_map(row).collect()
}

/// `| item | priority | what | test, test | id: test test; id: test |`
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [_, item, priority, what, tests, bugs, _] = cells[..] else { return None };
    let words = |list: &str, separator| {
        let words = list.split(separator).map(str::trim);
        words.filter(|word| !matches!(*word, "-" | "")).map(str::to_owned).collect::<Vec<_>>()
    };
    let excuse = bugs.strip_prefix(NONE).map(|reason| reason.trim().to_owned());
    let bug = |text: String| {
        let (id, tests) = text.split_once(':').unwrap_or((&text, ""));
        Bug { id: id.trim().to_owned(), tests: words(tests, ' ') }
    };
    Some(Row {
        item: item.parse().ok()?,
        priority: priority.to_owned(),
        what: what.to_owned(),
        tests: words(tests, ','),
        bugs: if excuse.is_some() {
            Vec::new()
        } else {
            words(bugs, ';').into_iter().map(bug).collect()
        },
        excuse,
    })
}

/// What is wrong with each row, all together.
fn complaints(complain: impl Fn(&Row) -> Vec<String>) -> Vec<String> {
    let rows = rows();
    let of_row = |row: &Row| {
        let about = format!("{} ({})", row.item, row.what);
        complain(row).into_iter().map(move |what| format!("{about}: {what}")).collect::<Vec<_>>()
    };
    rows.iter().flat_map(of_row).collect()
}

fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_item_has_rows_of_its_priority_and_each_says_what_must_happen() {
    let items: BTreeSet<u32> = rows().iter().map(|row| row.item).collect();
    assert_eq!(items, (1..=ITEMS).collect());
    assert_none(&complaints(|row| {
        let wrong = row.priority != priority(row.item);
        let said = row.what.len() > 3 && !row.what.ends_with(['…', ';', '(']);
        let priority = wrong.then(|| format!("{} instead", priority(row.item)));
        priority.into_iter().chain((!said).then(|| "cut short".to_owned())).collect()
    }));
}

#[test]
fn every_row_has_a_test_and_a_planted_bug_that_the_test_notices() {
    assert_none(&complaints(|row| {
        let mut wrong = Vec::new();
        if row.tests.is_empty() {
            wrong.push("no test".to_owned());
        }
        match &row.excuse {
            Some(_) if row.priority == "MUST" => wrong.push("a MUST has a planted bug".to_owned()),
            Some(reason) if reason.len() < 10 => wrong.push("no reason is given".to_owned()),
            Some(_) => {}
            None if row.bugs.is_empty() => wrong.push("no planted bug".to_owned()),
            None => {}
        }
        for bug in row.bugs.iter().filter(|bug| bug.tests.is_empty()) {
            wrong.push(format!("nothing notices `{}`", bug.id));
        }
        wrong
    }));
}

#[test]
fn every_test_that_is_named_exists_and_what_notices_a_bug_is_a_test_of_the_row() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let exists = |test: &str| match test.split_once(' ') {
        None => here.join("scripts").join(test).is_file(),
        Some((path, name)) => fs::read_to_string(here.join("../..").join(path))
            .is_ok_and(|text| text.contains(&format!("fn {name}("))),
    };
    assert_none(&complaints(|row| {
        let missing = row.tests.iter().filter(|test| !exists(test));
        let missing = missing.map(|test| format!("there is no `{test}`"));
        // Of a planted bug a function is `path::name`, in the list of tests `path name`.
        let notices = row.bugs.iter().flat_map(|bug| &bug.tests);
        let notices = notices.map(|test| test.replacen("::", " ", 1));
        let strange = notices.filter(|test| !row.tests.contains(test));
        let strange = strange.map(|test| format!("`{test}` is no test of the row"));
        missing.chain(strange).collect()
    }));
}

/// The bugs that the simulator's swarm finds: the first cells of the table of `docs/planted.md`.
fn found_by_the_swarm() -> BTreeSet<String> {
    let table = include_str!("../../../docs/planted.md");
    let ids = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    ids.map(|(id, _)| id.to_owned()).collect()
}

#[test]
fn every_planted_bug_that_is_named_exists_and_each_one_is_named() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/src/planted");
    let mut known = BTreeSet::new();
    for file in fs::read_dir(sources).expect("the bugs are there") {
        let text = fs::read_to_string(file.expect("it can be listed").path()).expect("a text");
        let id =
            |line: &str| Some(line.trim().strip_suffix("\",")?.split_once(" \"")?.1.to_owned());
        known.extend(text.lines().filter_map(id));
    }
    let rows = rows();
    let mut named: BTreeSet<String> =
        rows.iter().flat_map(|row| &row.bugs).map(|bug| bug.id.clone()).collect();
    named.extend(found_by_the_swarm());
    let lost: Vec<_> = named.symmetric_difference(&known).collect();
    assert!(lost.is_empty(), "named and not planted, or planted and not named: {lost:?}");
}

/// The scripts: a name below `scripts/`, and a path each.
fn scripts() -> Vec<(String, PathBuf)> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let entries = |directory: &Path| {
        let entries = fs::read_dir(directory).expect("a directory of scripts can be read");
        entries.map(|entry| entry.expect("an entry can be read").path()).collect::<Vec<_>>()
    };
    let chapters = entries(&scripts).into_iter().filter(|path| path.is_dir());
    let all = chapters.flat_map(|chapter| entries(&chapter));
    let name =
        |path: &Path| path.strip_prefix(&scripts).expect("it is below").display().to_string();
    all.map(|path| (name(&path), path)).collect()
}

#[test]
fn every_script_is_named() {
    let text = include_str!("../CHECKLIST.md");
    let named: BTreeSet<&str> =
        text.split([' ', ',', '|', ';', '\n']).filter(|word| word.ends_with(".pkt")).collect();
    let scripts = scripts();
    assert!(scripts.len() > 400, "{} scripts", scripts.len());
    let unnamed = scripts.iter().filter(|(name, _)| !named.contains(name.as_str()));
    assert_none(&unnamed.map(|(name, _)| format!("{name} is in no row")).collect::<Vec<_>>());
}

#[test]
fn no_two_scripts_say_the_same() {
    let mut said = BTreeMap::new();
    let mut twice = Vec::new();
    for (name, path) in scripts() {
        let text = fs::read_to_string(&path).expect("a script can be read");
        // Without comments and blanks.
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let words: String = lines.flat_map(str::split_whitespace).collect();
        if let Some(other) = said.insert(words, name.clone()) {
            twice.push(format!("{name} is {other}"));
        }
    }
    assert_none(&twice);
}
