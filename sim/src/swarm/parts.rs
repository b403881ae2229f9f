//! A scenario as a document: parts of it can be left out, and numbers lowered.

use std::fmt::{self, Write as _};

use toml::{Table, Value};

/// One step from a value of the document to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Getter: it leads to the table or list `key` of the document, or into it.
    pub(super) fn is_in(&self, key: &str) -> bool {
        matches!(self.0.first(), Some(Step::Key(first)) if first == key)
    }
}

/// The document. Its text has one host, switch, link or flow a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts(Table);

/// What is left out first: the more a run does because of it, the earlier. Everything else follows.
const ORDER: [&str; 6] = ["flow", "fault", "link", "switch", "host", "run"];
/// What people look for first in a text. What is no table has to stand in front of them.
const TABLES: [&str; 8] =
    ["directory", "host", "switch", "link", "flow", "program", "fault", "run"];
/// What people look for first in a line.
const FIRST: [&str; 6] = ["name", "host", "kind", "between", "from", "to"];

impl Parts {
    /// The document of a text; `None` when it is no TOML.
    pub(super) fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Command: leaves out a table of its own.
    pub(super) fn remove_table(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Command: puts in a table of its own, in place of what was there.
    pub(super) fn set_table(&mut self, key: &str, table: Table) {
        self.0.insert(key.to_owned(), Value::Table(table));
    }

    /// Getter: the keys of a table of its own.
    #[cfg(test)]
    pub(super) fn keys_of(&self, table: &str) -> Vec<String> {
        let table = self.0.get(table).and_then(Value::as_table);
        table.into_iter().flat_map(|table| table.keys().cloned()).collect()
    }

    /// Getter: it has somebody's own programs.
    pub(super) fn has_programs(&self) -> bool {
        self.0.contains_key("program")
    }

    /// Getter: what can be left out, the largest parts first. What stands in front of a part stays where it is when that part goes.
    pub(super) fn all(&self) -> Vec<Path> {
        let mut found = Vec::new();
        let mut level: Vec<(Path, &Value)> = self.top();
        while !level.is_empty() {
            let below = level.iter().flat_map(|(path, value)| children(path, value)).collect();
            found.extend(level.into_iter().map(|(path, _)| path));
            level = below;
        }
        found
    }

    /// Getter: the numbers of flows, each with its place.
    pub(super) fn numbers(&self) -> Vec<(Path, i64)> {
        let mut found = Vec::new();
        for path in self.all() {
            if let (true, Some(Value::Integer(number))) = (path.is_in("flow"), self.at(&path)) {
                found.push((path, *number));
            }
        }
        found
    }

    /// Getter: the document without a part.
    pub(super) fn without(&self, path: &Path) -> Self {
        let mut rest = self.clone();
        let Some((last, front)) = path.0.split_last() else { return rest };
        match (rest.at_mut(front), last) {
            (Some(Inner::Table(table)), Step::Key(key)) => {
                table.remove(key);
            }
            (Some(Inner::Array(array)), Step::Index(index)) if *index < array.len() => {
                array.remove(*index);
            }
            _ => {}
        }
        rest
    }

    /// Getter: the document with another number.
    pub(super) fn with(&self, path: &Path, number: i64) -> Self {
        let mut other = self.clone();
        if let Some((Step::Key(key), front)) = path.0.split_last()
            && let Some(Inner::Table(table)) = other.at_mut(front)
        {
            table.insert(key.clone(), Value::Integer(number));
        }
        other
    }

    fn top(&self) -> Vec<(Path, &Value)> {
        let place = |key: &str| ORDER.iter().position(|known| *known == key);
        let mut top: Vec<_> = self.0.iter().collect();
        top.sort_by_key(|(key, _)| place(key).unwrap_or(ORDER.len()));
        top.into_iter().map(|(key, value)| (Path(vec![Step::Key(key.clone())]), value)).collect()
    }

    fn at(&self, path: &Path) -> Option<&Value> {
        let (Step::Key(first), rest) = path.0.split_first()? else { return None };
        rest.iter().try_fold(self.0.get(first)?, |value, step| match step {
            Step::Key(key) => value.get(key.as_str()),
            Step::Index(index) => value.get(*index),
        })
    }

    fn at_mut(&mut self, path: &[Step]) -> Option<Inner<'_>> {
        path.iter().try_fold(Inner::Table(&mut self.0), |inner, step| {
            let value = match (inner, step) {
                (Inner::Table(table), Step::Key(key)) => table.get_mut(key)?,
                (Inner::Array(array), Step::Index(index)) => array.get_mut(*index)?,
                _ => return None,
            };
            match value {
                Value::Table(table) => Some(Inner::Table(table)),
                Value::Array(array) => Some(Inner::Array(array)),
                _ => None,
            }
        })
    }
}

/// A value that holds others.
enum Inner<'a> {
    Table(&'a mut Table),
    Array(&'a mut Vec<Value>),
}

fn children<'a>(path: &Path, value: &'a Value) -> Vec<(Path, &'a Value)> {
    let below = |step| {
        let mut path = path.clone();
        path.0.push(step);
        path
    };
    match value {
        Value::Table(table) => {
            table.iter().map(|(key, value)| (below(Step::Key(key.clone())), value)).collect()
        }
        Value::Array(array) => array
            .iter()
            .enumerate()
            .map(|(index, value)| (below(Step::Index(index)), value))
            .collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in sorted(&self.0, &TABLES) {
            match value {
                Value::Array(array) if array.iter().all(Value::is_table) => {
                    writeln!(f, "{} = [", bare(key))?;
                    for value in array {
                        writeln!(f, "  {},", inline(value))?;
                    }
                    writeln!(f, "]")?;
                }
                _ => writeln!(f, "{} = {}", bare(key), inline(value))?,
            }
        }
        Ok(())
    }
}

/// The entries of a table, those of `first` in front.
fn sorted<'a>(table: &'a Table, first: &[&str]) -> Vec<(&'a String, &'a Value)> {
    let mut entries: Vec<_> = table.iter().collect();
    let place = |key: &str| first.iter().position(|known| *known == key).unwrap_or(first.len());
    entries.sort_by_key(|(key, _)| place(key));
    entries
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let mut text = String::from("{");
            for (index, (key, value)) in sorted(table, &FIRST).into_iter().enumerate() {
                let separator = if index == 0 { " " } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(text, "{separator}{} = {}", bare(key), inline(value));
            }
            text.push_str(" }");
            text
        }
        Value::Array(array) => {
            let values: Vec<String> = array.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

/// A key as it may stand in a text.
fn bare(key: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(good) {
        key.to_owned()
    } else {
        Value::String(key.to_owned()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::draw;

    #[test]
    fn what_is_drawn_reads_back_as_it_was() {
        for seed in 0..200 {
            let text = draw(seed).scenario;
            let parts = Parts::read(&text).expect("it is TOML");
            assert_eq!(Parts::read(&parts.to_string()), Some(parts), "{text}");
        }
    }

    #[test]
    fn tables_of_their_own_become_lines() {
        let text = "[run]\nheal_ms = 5\n[[flow]]\nbytes = 3\nkind = \"stream\"\n[[flow]]\n[[host]]\n\
                    name = \"a\"\n[[host.interface]]\naddresses = [\"10.0.0.1/24\"]\n";
        let parts = Parts::read(text).expect("it is TOML");
        let lines = "host = [\n  { name = \"a\", interface = [{ addresses = [\"10.0.0.1/24\"] }] },\n]\n\
                     flow = [\n  { kind = \"stream\", bytes = 3 },\n  { },\n]\nrun = { heal_ms = 5 }\n";
        assert_eq!(parts.to_string(), lines);
    }

    #[test]
    fn parts_go_and_what_is_in_front_of_them_stays() {
        let mut parts =
            Parts::read("run = { heal_ms = 5 }\nflow = [{ bytes = 3 }, { bytes = 4 }]\n")
                .expect("it is TOML");
        let (mut at, mut texts) = (1, Vec::new());
        while let Some(path) = parts.all().get(at) {
            let before = parts.all();
            let rest = parts.without(path);
            assert_eq!(rest.all()[..at], before[..at]);
            texts.push(rest.to_string());
            if texts.len() % 2 == 0 {
                at += 1;
            } else {
                parts = rest;
            }
        }
        assert_eq!(texts[0], "flow = [\n  { bytes = 3 },\n  { bytes = 4 },\n]\n", "tables first");
        assert_eq!(texts[1], "flow = [\n  { bytes = 4 },\n]\n", "then what is in them");
        assert_eq!(parts.to_string().lines().count(), 3);
    }

    #[test]
    fn numbers_of_flows_can_be_lowered() {
        let parts = Parts::read("run = { heal_ms = 5 }\nflow = [{ bytes = 3 }, { count = 4 }]\n");
        let parts = parts.expect("it is TOML");
        let numbers = parts.numbers();
        assert_eq!(numbers.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [3, 4]);
        let lower = parts.with(&numbers[1].0, 1).to_string();
        assert_eq!(
            lower,
            "flow = [\n  { bytes = 3 },\n  { count = 1 },\n]\nrun = { heal_ms = 5 }\n"
        );
    }
}
