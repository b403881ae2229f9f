//! `docs/configuration.md` and the structs say the same, or these tests fail.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::Config;

const DOCUMENT: &str = include_str!("../../../../docs/configuration.md");
const INTERFACE: &str =
    "[[interface]]\nname = \"a\"\nbackend = \"tap\"\naddresses = [\"10.0.1.5/24\"]\n";

/// The keys of an interface that only the backend "packet" takes.
const PACKET_ONLY: [&str; 4] = ["promiscuous", "offload", "qdisc_bypass", "ring_bytes"];

/// A deserializer that only listens to which fields a struct asks for.
struct Fields<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields);
        Err(Error::custom("the fields were all that was wanted"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<T: for<'de> Deserialize<'de>>() -> BTreeSet<String> {
    let mut fields = Vec::new();
    assert!(T::deserialize(Fields(&mut fields)).is_err());
    assert!(!fields.is_empty());
    fields.into_iter().map(str::to_owned).collect()
}

/// Every table of the structs with its keys; `interface.fault` is a key of `interface` as well.
fn keys_in_code() -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = [
        ("daemon", fields_of::<super::daemon::RawDaemon>()),
        ("interface", fields_of::<super::interface::RawInterface>()),
        ("interface.fault", fields_of::<super::fault::RawFault>()),
        ("route", fields_of::<super::route::RawRoute>()),
        ("tcp", fields_of::<super::tcp::RawTcp>()),
        ("machnet", fields_of::<super::machnet::RawMachnet>()),
        ("channel", fields_of::<super::channel::RawChannel>()),
        ("tenant", fields_of::<super::tenant::RawTenant>()),
        ("metrics", fields_of::<super::metrics::RawMetrics>()),
    ]
    .into_iter()
    .map(|(table, keys)| (table.to_owned(), keys))
    .collect();
    let top: BTreeSet<String> =
        tables.keys().filter(|table| !table.contains('.')).cloned().collect();
    assert_eq!(fields_of::<super::RawConfig>(), top, "a table has no struct in this list");
    assert!(tables.get_mut("interface").is_some_and(|keys| keys.remove("fault")));
    tables
}

/// One row of the document: table, key, the value shown.
struct Row {
    table: String,
    key: String,
    example: String,
}

/// The rows of the tables below headings like ``## `[[interface]]` ``: key, example, default, meaning.
fn rows() -> Vec<Row> {
    let mut table = String::new();
    let mut rows = Vec::new();
    for line in DOCUMENT.lines() {
        if line.starts_with("## ") {
            let name = line.split('`').nth(1).unwrap_or("");
            table = name.trim_matches(['[', ']']).to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if table.is_empty() || cells.len() < 5 || !cells[1].starts_with('`') {
            continue;
        }
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        rows.push(Row { table: table.clone(), key: code(cells[1]), example: code(cells[2]) });
    }
    rows
}

/// A configuration in which `key` of `table` has the documented value.
fn with(row: &Row) -> String {
    let line = format!("{} = {}\n", row.key, row.example);
    match row.table.as_str() {
        "interface" => {
            let without: String = INTERFACE
                .lines()
                .filter(|l| !l.starts_with(&format!("{} ", row.key)))
                .map(|l| format!("{l}\n"))
                .collect();
            let document = without + &line;
            // What one backend alone has stands behind what all have.
            if PACKET_ONLY.contains(&row.key.as_str()) {
                document.replace("\"tap\"", "\"packet\"")
            } else {
                document
            }
        }
        "route" => {
            let mut route: BTreeMap<&str, &str> =
                [("destination", "\"10.0.2.0/24\""), ("interface", "\"a\"")].into();
            route.insert(&row.key, &row.example);
            let lines: String = route.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
            // The document's routes go through its own interface.
            let interface = INTERFACE.replace("\"a\"", "\"tap0\"");
            format!("{interface}[[route]]\n{}", lines.replace("\"a\"", "\"tap0\""))
        }
        "tenant" => {
            let mut tenant: BTreeMap<&str, &str> =
                [("name", "\"web\""), ("users", "[\"root\"]")].into();
            tenant.insert(&row.key, &row.example);
            let lines: String = tenant.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
            format!("{INTERFACE}[[tenant]]\n{lines}")
        }
        table => format!("{INTERFACE}[{table}]\n{line}"),
    }
}

#[test]
fn the_document_and_the_structs_have_the_same_keys() {
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows() {
        let fresh = documented.entry(row.table.clone()).or_default().insert(row.key.clone());
        assert!(fresh, "{}.{} is documented twice", row.table, row.key);
    }
    assert_eq!(documented, keys_in_code());
}

#[test]
fn every_documented_value_is_accepted() {
    for row in rows() {
        let text = with(&row);
        if let Err(error) = Config::parse("docs/configuration.md", &text) {
            panic!("{}.{}: {error}\n{text}", row.table, row.key);
        }
    }
}

#[test]
fn the_documented_examples_load() {
    let examples: Vec<&str> =
        DOCUMENT.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for text in examples {
        if let Err(error) = Config::parse("example", text) {
            panic!("{error}\n{text}");
        }
    }
}
