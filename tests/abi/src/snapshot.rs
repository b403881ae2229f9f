//! What a shared library promised once: one line a symbol, kept in the tree as `<soname>.symbols`.
//!
//! A line is what `nm -D --defined-only` says of the symbol without its address, then the prototype that the header declares
//! for it. Lines are added, never removed or changed: `docs/abi-policy.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::header::Header;

/// The lines of a snapshot.
pub type Lines = BTreeSet<String>;

/// What became of a promise.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Promised, and there no more, or not as it was promised.
    pub broken: Vec<String>,
    /// There, and not promised yet.
    pub added: Vec<String>,
}

impl Difference {
    /// Of what is `promised` and what there is `now`.
    pub fn between(promised: &Lines, now: &Lines) -> Self {
        let less = |these: &Lines, those: &Lines| these.difference(those).cloned().collect();
        Self { broken: less(promised, now), added: less(now, promised) }
    }
}

/// The lines of a snapshot's text; those that begin with `#` are for its readers.
pub fn parse(text: &str) -> Lines {
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// The text of a snapshot of the library called `soname`.
pub fn write(soname: &str, lines: &Lines) -> String {
    let mut text = format!(
        "# What programs that are linked to {soname} rely on. Lines are added, never removed or changed: docs/abi-policy.md.\n"
    );
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Symbols and the prototypes that a header declares for them; `symbol_of` gives the symbol of a declared function.
pub fn prototypes(header: &str, symbol_of: impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let header = Header::parse(header);
    header.prototypes().iter().map(|(name, p)| (symbol_of(name), p.text.clone())).collect()
}

/// The lines of a library: `listed` is what nm says of it.
pub fn lines(listed: &str, prototypes: &BTreeMap<String, String>) -> Lines {
    let line = |line: &str| {
        let mut words = line.split_whitespace().rev();
        let (symbol, kind) = (words.next()?, words.next()?);
        let name = symbol.split('@').next().unwrap_or(symbol);
        Some(match prototypes.get(name) {
            Some(prototype) => format!("{kind} {symbol}: {prototype}"),
            None => format!("{kind} {symbol}"),
        })
    };
    listed.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "0000000000000000 A X_0\n00000000000012a0 T x_open@@X_0\n";

    fn of(listed: &str, header: &str) -> Lines {
        lines(listed, &prototypes(header, str::to_owned))
    }

    #[test]
    fn a_line_has_kind_symbol_version_and_prototype_and_is_read_as_it_was_written() {
        let lines = of(LISTED, "int x_open(const char *name);\n");
        let expected = ["A X_0", "T x_open@@X_0: int x_open(const char *name)"];
        assert_eq!(lines.iter().collect::<Vec<_>>(), expected);
        assert_eq!(parse(&write("libx.so.0", &lines)), lines);
    }

    #[test]
    fn a_symbol_that_went_that_has_another_version_or_another_type_breaks_the_promise() {
        let promised = of(LISTED, "int x_open(const char *name);\n");
        let broken = |listed: &str, header: &str| {
            Difference::between(&promised, &of(listed, header)).broken.len()
        };
        assert_eq!(broken(LISTED, "int x_open(const char *name);\n"), 0);
        assert_eq!(broken("0000000000000000 A X_0\n", ""), 1);
        let other = LISTED.replace("@@X_0", "@@X_1");
        assert_eq!(broken(&other, "int x_open(const char *name);\n"), 1);
        assert_eq!(broken(LISTED, "int x_open(const char *name, int flags);\n"), 1);
    }

    #[test]
    fn a_symbol_more_breaks_nothing_and_is_told() {
        let promised = of(LISTED, "int x_open(void);\n");
        let more = format!("{LISTED}00000000000012c0 T x_shut@@X_0\n");
        let now = of(&more, "int x_open(void);\nint x_shut(void);\n");
        let difference = Difference::between(&promised, &now);
        let added = vec!["T x_shut@@X_0: int x_shut(void)".to_owned()];
        assert_eq!(difference, Difference { broken: Vec::new(), added });
    }
}
