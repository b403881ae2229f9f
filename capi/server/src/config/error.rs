//! What is wrong with a configuration file: one sentence that names the place and the way out.

use std::fmt;
use std::ops::Range;

/// A configuration that cannot be used. Prints as one line:
/// `FILE:LINE: KEY: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: String,
    line: Option<usize>,
    key: String,
    problem: String,
    advice: String,
}

impl ConfigError {
    /// The file itself cannot be read.
    pub(super) fn unreadable(file: &str, cause: &std::io::Error) -> Self {
        Self::unsuitable(file, format!("cannot be read: {cause}"))
    }

    /// The file is none that a configuration is read from.
    pub(super) fn unsuitable(file: &str, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            key: String::new(),
            problem: problem.into(),
            advice: "give the path of a TOML file as in docs/configuration.md".to_owned(),
        }
    }

    /// What is behind `good` is no text.
    pub(super) fn not_text(file: &str, good: &[u8]) -> Self {
        Self {
            file: file.to_owned(),
            line: Some(1 + good.iter().filter(|b| **b == b'\n').count()),
            key: String::new(),
            problem: "not valid UTF-8".to_owned(),
            advice: "save the file as UTF-8".to_owned(),
        }
    }

    /// Getter: the file, as it was named to [`super::Config::load`].
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Getter: the line, counted from 1, where the fault has a place.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// Getter: the key, written like `interface.mtu`; empty where there is none.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.advice)
    }
}

impl std::error::Error for ConfigError {}

/// The text under examination, so that every complaint can say where.
pub struct Source<'a> {
    /// Its name in errors.
    pub file: &'a str,
    /// Itself.
    pub text: &'a str,
    /// Its interfaces are simulated: they need no backend.
    pub simulated: bool,
}

impl Source<'_> {
    /// A fault found by our own checks, at a span of the text.
    pub fn error(
        &self,
        key: &str,
        span: Range<usize>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            line: Some(self.line_of(span.start)),
            key: key.to_owned(),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    /// A fault of the file as a whole, without a place.
    pub fn error_overall(
        &self,
        key: &str,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            line: None,
            key: key.to_owned(),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    /// A fault that the TOML parser or serde found, in our words.
    pub fn error_from_toml(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim();
        let (key, problem, advice) = if let Some((field, known)) = unknown_field(message) {
            let key = self.qualified(span.start, &field);
            (key, "unknown key".to_owned(), format!("the keys here are {known}"))
        } else if let Some(field) = quoted_after(message, "missing field ") {
            let key = self.qualified(span.start, &field);
            (key, "is missing".to_owned(), "add it; docs/configuration.md says how".to_owned())
        } else if message.starts_with("invalid type") || message.starts_with("invalid value") {
            let key = self.qualified(span.start, &self.key_at(span.start));
            (key, plain(message), "docs/configuration.md has an example".to_owned())
        } else if message.ends_with("number overflowed") {
            let key = self.qualified(span.start, &self.key_at(span.start));
            let problem = "the number is out of every range".to_owned();
            (key, problem, "docs/configuration.md has the range".to_owned())
        } else {
            let problem = format!("not valid TOML: {}", message.replace('\n', " "));
            (String::new(), problem, "correct the syntax of this line".to_owned())
        };
        ConfigError {
            file: self.file.to_owned(),
            line: Some(self.line_of(span.start)),
            key,
            problem,
            advice,
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        1 + self.text.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count()
    }

    /// The lines up to and including the one with `offset`, last first.
    fn lines_back(&self, offset: usize) -> impl Iterator<Item = &str> {
        let line = self.line_of(offset);
        self.text.lines().take(line).collect::<Vec<_>>().into_iter().rev()
    }

    /// The key of the assignment that `offset` lies in; empty in a table header.
    fn key_at(&self, offset: usize) -> String {
        let line = self.lines_back(offset).find(|line| line.contains('='));
        line.and_then(|line| line.split('=').next()).unwrap_or("").trim().to_owned()
    }

    /// `field` with the name of the table around `offset` in front.
    fn qualified(&self, offset: usize, field: &str) -> String {
        let header = self.lines_back(offset).map(str::trim_start).find(|l| l.starts_with('['));
        let table = header
            .and_then(|line| line.split(']').next())
            .map(|line| line.trim_start_matches('[').trim())
            .unwrap_or("");
        match (table.is_empty(), field.is_empty()) {
            (true, _) => field.to_owned(),
            (false, true) => table.to_owned(),
            // An unknown table is complained about at its own header.
            (false, false) if table == field => field.to_owned(),
            (false, false) => format!("{table}.{field}"),
        }
    }
}

/// serde's words without the names of Rust's types.
fn plain(message: &str) -> String {
    let words = message.replace('\n', " ");
    words.replace("expected i128", "expected an integer").replace("a sequence", "a list")
}

/// Takes serde's "unknown field `x`, expected one of `a`, `b`" apart.
fn unknown_field(message: &str) -> Option<(String, String)> {
    let field = quoted_after(message, "unknown field ")?;
    let known = message.split_once("expected ").map_or("", |(_, rest)| rest);
    let known = known.trim_start_matches("one of ").replace('`', "");
    Some((field, known))
}

fn quoted_after(message: &str, prefix: &str) -> Option<String> {
    let rest = message.strip_prefix(prefix)?.strip_prefix('`')?;
    rest.split('`').next().map(str::to_owned)
}
