//! `tests/conformance/NOT-REACHED.md`: the functions of TCP that no script enters, each with the reason, and those that scripts do
//! not see the whole of.
//!
//! The list names functions and no lines, so that it stays true while lines move. What it says of functions that are not entered
//! is held by `cargo xtask coverage`: each is there, each has a reason, and none is there that is entered or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::coverage::{FileCoverage, Measured};
use crate::run::root;

/// Where the reason of a function stands that has none yet.
const NO_REASON: &str = "?";

const HEAD: &str = "# What no script reaches

`cargo xtask coverage` plays all scripts and compares what they reach of `core/src/tcp` with this list; `cargo xtask coverage --write` makes the list
anew and keeps the reasons. It names functions, not lines, so that it stays true while lines move. The lines themselves, with their text, are in
`target/coverage/not-reached.txt` after either command.

## Functions that no script enters

The command fails when a function that no script enters is not here, has no reason (`?`), or is entered by now.

| file | function | why no script enters it |
|---|---|---|
";

const IN_PART: &str = "
## Functions that scripts do not see the whole of

Some line of each of these is reached by no script. The command says what has changed here and does not fail for it.

| file | functions |
|---|---|
";

/// A file, and a function in it as `Type::function`.
type Function = (String, String);

/// What no script reaches of the functions of all files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Nothing of them.
    not_entered: BTreeSet<Function>,
    /// Some line of them.
    in_part: BTreeSet<Function>,
}

/// What the list says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    reasons: BTreeMap<Function, String>,
    in_part: BTreeSet<Function>,
}

fn path() -> PathBuf {
    root().join("tests/conformance/NOT-REACHED.md")
}

/// Compares the list with what was measured, or writes it.
///
/// # Errors
/// When the list says something else of a function that no script enters.
pub fn check(measured: &Measured, write: bool) -> Result<()> {
    let mut found = Found::default();
    for (file, coverage) in measured {
        let source = fs::read_to_string(root().join(file))?;
        find(file, coverage, &source, &mut found);
    }
    let listed = fs::read_to_string(path()).map(|text| parse(&text)).unwrap_or_default();
    if write {
        return fs::write(path(), text(&found, &listed)).context("cannot write the list");
    }
    for (file, name) in found.in_part.symmetric_difference(&listed.in_part) {
        println!("The list is behind: {file} {name} is seen in part, or is not any more.");
    }
    let wrong = complaints(&found, &listed);
    if !wrong.is_empty() {
        bail!(
            "{}\n`cargo xtask coverage --write` corrects {}; a reason (`{NO_REASON}`) is yours to give",
            wrong.join("\n"),
            path().display()
        );
    }
    Ok(())
}

fn complaints(found: &Found, listed: &Listed) -> Vec<String> {
    let mut out = Vec::new();
    for function in &found.not_entered {
        let (file, name) = function;
        match listed.reasons.get(function).map(String::as_str) {
            None => out
                .push(format!("{file}: no script enters `{name}`, and the list does not say why")),
            Some("" | NO_REASON) => {
                out.push(format!("{file}: `{name}` is listed without a reason"))
            }
            Some(_) => {}
        }
    }
    for (file, name) in
        listed.reasons.keys().filter(|function| !found.not_entered.contains(function))
    {
        out.push(format!("{file}: `{name}` is listed, and is entered or gone by now"));
    }
    out
}

/// Sorts the functions of one file. Closures belong to the function that they stand in.
fn find(file: &str, coverage: &FileCoverage, source: &str, found: &mut Found) {
    let source: Vec<&str> = source.lines().collect();
    for (begin, entered) in &coverage.functions {
        let end =
            coverage.functions.range(begin + 1..).next().map_or(usize::MAX, |(next, _)| *next);
        let function = (file.to_owned(), name_at(&source, *begin));
        if *entered == 0 {
            found.not_entered.insert(function);
        } else if coverage.lines.range(*begin..end).any(|(_, count)| *count == 0) {
            found.in_part.insert(function);
        }
    }
}

/// The name of the function that begins in line `number` (from 1), behind that of the type whose it is.
fn name_at(source: &[&str], number: usize) -> String {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let at = number.saturating_sub(1).min(source.len());
    let own =
        source[at..].iter().find_map(|line| line.split_once("fn ")).map(|(_, rest)| word(rest));
    let own = own.unwrap_or_else(|| format!("line {number}"));
    let outer =
        source[..at].iter().rev().find(|line| line.starts_with(|c: char| !c.is_whitespace()));
    let is_inner = source.get(at).is_some_and(|line| line.starts_with(' '));
    let outer = source[..at]
        .iter()
        .rev()
        .find(|line| {
            line.starts_with("impl")
                || line.starts_with("pub trait")
                || line.starts_with("pub(crate) trait")
        })
        .filter(|_| is_inner && outer.is_some());
    match outer.map(|line| owner(line)) {
        Some(owner) if !owner.is_empty() => format!("{owner}::{own}"),
        _ => own,
    }
}

/// The type of `impl<T> Trait for Type<T> {`, or the trait that is defined.
fn owner(line: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_i32;
    for c in line.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = plain.split_whitespace().filter(|word| *word != "{").collect();
    let last =
        |word: &str| word.rsplit("::").next().unwrap_or(word).trim_end_matches(':').to_owned();
    match words.iter().position(|word| *word == "for") {
        Some(at) if at > 0 => {
            let of = words.get(at + 1).map_or_else(String::new, |word| last(word));
            format!("<{of} as {}>", last(words[at - 1]))
        }
        _ => {
            let after =
                |word: &&&str| **word != "impl" && !word.starts_with("pub") && **word != "trait";
            words.iter().find(after).map_or_else(String::new, |word| last(word))
        }
    }
}

fn parse(text: &str) -> Listed {
    let mut listed = Listed::default();
    for line in text.lines().filter(|line| line.starts_with("| core/")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match cells.as_slice() {
            [file, name, reason] => {
                let function = ((*file).to_owned(), name.trim_matches('`').to_owned());
                listed.reasons.insert(function, (*reason).to_owned());
            }
            [file, names] => {
                let names = names.split(", ").map(|name| name.trim_matches('`').to_owned());
                listed.in_part.extend(names.map(|name| ((*file).to_owned(), name)));
            }
            _ => {}
        }
    }
    listed
}

fn text(found: &Found, listed: &Listed) -> String {
    let mut out = HEAD.to_owned();
    for function in &found.not_entered {
        let (file, name) = function;
        let reason = listed.reasons.get(function).map_or(NO_REASON, String::as_str);
        // Writing into a string does not fail.
        let _ = writeln!(out, "| {file} | `{name}` | {reason} |");
    }
    out.push_str(IN_PART);
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (file, name) in &found.in_part {
        files.entry(file).or_default().push(format!("`{name}`"));
    }
    for (file, names) in files {
        let _ = writeln!(out, "| {file} | {} |", names.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "impl<S: Io> core::fmt::Debug for Key<S> {\n    fn fmt(&self) {\n    }\n}\n\n\
                          impl Key {\n    pub const fn new(\n        a: u8,\n    ) {\n    }\n\n    fn old() {\n    }\n}\n\n\
                          fn free() {\n}\n";

    fn measured() -> FileCoverage {
        FileCoverage {
            functions: BTreeMap::from([(2, 0), (7, 1), (12, 3), (16, 0)]),
            lines: BTreeMap::from([(2, 0), (7, 1), (9, 0), (12, 1), (16, 0)]),
        }
    }

    fn function(name: &str) -> Function {
        ("core/src/tcp/a.rs".to_owned(), name.to_owned())
    }

    #[test]
    fn functions_are_named_by_their_types() {
        let mut found = Found::default();
        find("core/src/tcp/a.rs", &measured(), SOURCE, &mut found);
        let not_entered = [function("<Key as Debug>::fmt"), function("free")];
        assert_eq!(found.not_entered, BTreeSet::from(not_entered));
        assert_eq!(found.in_part, BTreeSet::from([function("Key::new")]));
    }

    #[test]
    fn the_list_is_read_as_it_was_written_and_reasons_stay() {
        let mut found = Found::default();
        find("core/src/tcp/a.rs", &measured(), SOURCE, &mut found);
        let reasons = BTreeMap::from([(function("free"), "a | reason".replace(" | ", "/"))]);
        let listed = parse(&text(&found, &Listed { reasons, ..Listed::default() }));
        assert_eq!(listed.reasons[&function("free")], "a/reason");
        assert_eq!(listed.reasons[&function("<Key as Debug>::fmt")], NO_REASON);
        assert_eq!(listed.in_part, found.in_part);
    }

    #[test]
    fn what_is_not_listed_or_not_so_any_more_is_complained_of() {
        let mut found = Found::default();
        find("core/src/tcp/a.rs", &measured(), SOURCE, &mut found);
        let mut listed = Listed::default();
        assert_eq!(complaints(&found, &listed).len(), 2);
        for function in &found.not_entered {
            listed.reasons.insert(function.clone(), NO_REASON.to_owned());
        }
        assert_eq!(complaints(&found, &listed).len(), 2);
        listed.reasons.values_mut().for_each(|reason| "for a log".clone_into(reason));
        assert_eq!(complaints(&found, &listed), Vec::<String>::new());
        listed.reasons.insert(function("gone"), "for a log".to_owned());
        let said = complaints(&found, &listed);
        assert!(said.len() == 1 && said[0].contains("`gone` is listed"), "{said:?}");
    }
}
