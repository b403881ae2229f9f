//! A configuration that is read again: what of it a running daemon takes over, and what takes a restart.

use std::path::Path;

use toml::{Table, Value};

use super::error::Source;
use super::{Config, ConfigError, file};

/// What changes while the daemon runs: a key, or with a point at its end every key of a table. `docs/operation.md` lists them.
pub const LIVE: &[&str] = &[
    "daemon.log",
    "daemon.busy_poll",
    "daemon.spin_us",
    "tcp.",
    "machnet.",
    "channel.commands_per_step",
    "channel.sockets_per_channel_max",
];

/// What of these tables does not: channels are made for the longest message, and the stack knows its peers from the start.
const FIXED: &[&str] = &["machnet.msg_max", "machnet.accept_bad_udp_checksum"];

/// A configuration with its keys, so that a later one can be compared with it.
#[derive(Clone, Debug)]
pub struct Document {
    file: String,
    table: Table,
    config: Config,
}

/// A key that has another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// Like `tcp.rto_ms_min`, `interface.tap0.mtu` or `route.10.0.0.0/8.gateway`.
    pub key: String,
    /// Its value in TOML; `None` where the file did not say any.
    pub from: Option<String>,
    /// Its value in TOML; `None` where the file does not say any.
    pub to: Option<String>,
}

/// What comes of a new file.
#[derive(Clone, Debug)]
pub struct Reload {
    /// What runs from now on: the old document with the keys that can change.
    pub document: Document,
    /// What changes now.
    pub live: Vec<KeyChange>,
    /// What the new file says and this daemon does not do before it is started again.
    pub restart: Vec<KeyChange>,
}

impl Document {
    /// Reads and checks a file as [`Config::load`] does.
    ///
    /// # Errors
    /// It cannot be read, or the first fault in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        Self::parse(&name, &file::read(path, &name)?)
    }

    /// Checks a text as [`Config::parse`] does.
    ///
    /// # Errors
    /// The first fault in it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let config = Config::parse(file, text)?;
        let source = Source { file, text, simulated: false };
        let table = toml::from_str(text).map_err(|error| source.error_from_toml(&error))?;
        Ok(Self { file: file.to_owned(), table, config })
    }

    /// Getter: its values.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Output: what becomes of a daemon that runs this when `new` is its file. A key that was left out and is now given with its
    /// default is no change.
    ///
    /// # Errors
    /// The keys that change do not go with those that stay.
    pub fn reload(&self, new: &Self) -> Result<Reload, ConfigError> {
        let (mut live, mut restart) = (Vec::new(), Vec::new());
        let mut merged = self.table.clone();
        for path in differences(&self.table, &new.table) {
            let (from, to) = (get(&self.table, &path), get(&new.table, &path));
            if !self.matters(&path, to) {
                continue;
            }
            let key = path.join(".");
            let text = |value: Option<&Value>| value.map(ToString::to_string);
            let change = KeyChange { from: text(from), to: text(to), key };
            if is_live(&change.key) {
                set(&mut merged, &path, to.cloned());
                live.push(change);
            } else {
                restart.push(change);
            }
        }
        let document = self.with(merged)?;
        Ok(Reload { document, live, restart })
    }

    /// Whether another value of one key makes another configuration. One that cannot stand alone does.
    fn matters(&self, path: &[String], to: Option<&Value>) -> bool {
        // Of interfaces and routes there may be a thousand: their keys are compared as they are written.
        if path.len() != 2 {
            return true;
        }
        let mut table = self.table.clone();
        !set(&mut table, path, to.cloned())
            || !self.with(table).is_ok_and(|document| document.config == self.config)
    }

    fn with(&self, table: Table) -> Result<Self, ConfigError> {
        // What was read as TOML can be written as TOML.
        let text = toml::to_string(&table).unwrap_or_default();
        let config = Config::parse(&self.file, &text)?;
        Ok(Self { file: self.file.clone(), table, config })
    }
}

fn is_live(key: &str) -> bool {
    let is = |live: &str| if live.ends_with('.') { key.starts_with(live) } else { key == live };
    LIVE.iter().any(|live| is(live)) && !FIXED.contains(&key)
}

/// What names one of several tables: interfaces have a name, routes a destination.
fn identity(element: &Value) -> Option<&str> {
    let table = element.as_table()?;
    table.get("name").or_else(|| table.get("destination"))?.as_str()
}

/// The tables in `value` by their names, if it is a list of such.
fn named(value: &Value) -> Option<Table> {
    let elements = value.as_array().filter(|elements| !elements.is_empty())?;
    elements.iter().map(|e| Some((identity(e)?.to_owned(), e.clone()))).collect()
}

/// A table to look into: itself, or named ones by their names.
fn inside(value: &Value) -> Option<Table> {
    value.as_table().cloned().or_else(|| named(value))
}

/// The paths at which two tables differ, sorted: whole tables where one of them has none.
fn differences(old: &Table, new: &Table) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (was, is) = (old.get(key), new.get(key));
        if was == is {
            continue;
        }
        let tables = |value: Option<&Value>| match value {
            // A table that is missing says as much as an empty one.
            None => Some(Table::new()),
            Some(value) => inside(value),
        };
        match (tables(was), tables(is)) {
            (Some(was), Some(is)) => {
                let below = differences(&was, &is).into_iter();
                paths.extend(below.map(|rest| [vec![key.clone()], rest].concat()));
            }
            _ => paths.push(vec![key.clone()]),
        }
    }
    paths
}

fn get<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (key, rest) = path.split_first()?;
    let mut value = table.get(key)?;
    for key in rest {
        value = match value {
            Value::Array(elements) => {
                elements.iter().find(|e| identity(e) == Some(key.as_str()))?
            }
            other => other.as_table()?.get(key)?,
        };
    }
    Some(value)
}

/// Sets or removes what is at `path`; false where nothing can be there, because the table around it is none of several.
fn set(table: &mut Table, path: &[String], to: Option<Value>) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        match to {
            Some(to) => table.insert(key.clone(), to),
            None => table.remove(key),
        };
        return true;
    }
    match table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => set(inner, rest, to),
        Value::Array(elements) => {
            let found = elements.iter_mut().find(|e| identity(e) == Some(rest[0].as_str()));
            match (found, &rest[1..]) {
                (Some(Value::Table(inner)), path @ [_, ..]) => set(inner, path, to),
                _ => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "[daemon]\nspin_us = 10\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
                       addresses = [\"10.0.1.5/24\"]\n[[route]]\ndestination = \"10.9.0.0/16\"\n\
                       gateway = \"10.0.1.1\"\n[tcp]\nrto_ms_min = 100\n";

    fn reload(new: &str) -> Reload {
        let old = Document::parse("c.toml", OLD).unwrap();
        old.reload(&Document::parse("c.toml", new).unwrap()).unwrap()
    }

    fn keys(changes: &[KeyChange]) -> Vec<&str> {
        changes.iter().map(|change| change.key.as_str()).collect()
    }

    #[test]
    fn the_same_settings_in_other_words_are_no_change() {
        let other = OLD.replace("[daemon]", "# as before\n[daemon]\nlog = \"info\"");
        let reload = reload(&format!("{other}sack = true\n[machnet]\nretries_max = 10\n"));
        assert_eq!((keys(&reload.live), keys(&reload.restart)), (vec![], vec![]));
    }

    #[test]
    fn what_can_change_does_and_what_cannot_is_told_key_by_key() {
        let new = OLD
            .replace("spin_us = 10", "spin_us = 20\nlog = \"debug\"\nsocket_mode = \"660\"")
            .replace("10.0.1.5/24", "10.0.1.6/24")
            .replace(
                "10.0.1.1\"",
                "10.0.1.2\"\n[[route]]\ndestination = \"10.8.0.0/16\"\ngateway = \"10.0.1.3\"",
            )
            .replace(
                "rto_ms_min = 100",
                "sack = false\n[machnet]\nmsg_max = 9\nretries_max = 3\n[channel]\nchannels_max = 3\ncommands_per_step = 7\n\
                 [[tenant]]\nname = \"web\"\nusers = [\"0\"]\nchannels_max = 2",
            );
        let reload = reload(&new);
        let live = [
            "channel.commands_per_step",
            "daemon.log",
            "daemon.spin_us",
            "machnet.retries_max",
            "tcp.rto_ms_min",
            "tcp.sack",
        ];
        assert_eq!(keys(&reload.live), live);
        let restart = [
            "channel.channels_max",
            "daemon.socket_mode",
            "interface.lo0.addresses",
            "machnet.msg_max",
            "route.10.8.0.0/16.destination",
            "route.10.8.0.0/16.gateway",
            "route.10.9.0.0/16.gateway",
            "tenant.web.channels_max",
            "tenant.web.name",
            "tenant.web.users",
        ];
        assert_eq!(keys(&reload.restart), restart);
        let spin = &reload.live[2];
        assert_eq!((spin.from.as_deref(), spin.to.as_deref()), (Some("10"), Some("20")));
        let config = reload.document.config();
        assert_eq!((config.daemon().spin_us(), config.daemon().socket_mode()), (20, 0o600));
        assert_eq!(
            (config.channel().commands_per_step(), config.channel().channels_max()),
            (7, 256)
        );
        assert_eq!(config.interfaces()[0].addresses()[0].addr().to_string(), "10.0.1.5");
    }

    #[test]
    fn what_was_applied_is_what_the_next_file_is_compared_with() {
        let new = OLD.replace("spin_us = 10", "spin_us = 20\nsocket_mode = \"660\"");
        let first = reload(&new);
        let again = first.document.reload(&Document::parse("c.toml", &new).unwrap()).unwrap();
        assert_eq!((keys(&again.live), keys(&again.restart)), (vec![], vec!["daemon.socket_mode"]));
        let back = first.document.reload(&Document::parse("c.toml", OLD).unwrap()).unwrap();
        assert_eq!((keys(&back.live), keys(&back.restart)), (vec!["daemon.spin_us"], vec![]));
    }

    #[test]
    fn the_document_lists_what_changes_while_the_daemon_runs() {
        let text = include_str!("../../../../docs/operation.md");
        let section = text.split("## Changing a running daemon").nth(1).expect("the section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let row = |line: &str| {
            line.strip_prefix("| `").and_then(|rest| rest.split('`').next()).map(str::to_owned)
        };
        let listed: Vec<String> = section.lines().filter_map(row).collect();
        let known: Vec<String> = LIVE
            .iter()
            .map(|key| {
                key.strip_suffix('.').map_or((*key).to_owned(), |table| format!("[{table}]"))
            })
            .collect();
        assert_eq!(listed, known);
    }
}
