//! What a C header declares: enough of C to read our own headers, whose prototypes begin at the start of a
//! line and end with `);`.

use std::collections::BTreeMap;

/// A header, by lines.
#[derive(Debug)]
pub struct Header {
    lines: Vec<String>,
    prototypes: BTreeMap<String, Prototype>,
}

/// One declared function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// Line of its first word, counted from 1.
    pub line: usize,
    /// Line of the comment in front of it begins, counted from 1.
    pub comment: usize,
    /// The declaration on one line with single spaces, without the semicolon.
    pub text: String,
}

impl Header {
    /// Reads a header's text.
    pub fn parse(text: &str) -> Self {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut prototypes = BTreeMap::new();
        let (mut comment, mut in_comment, mut index) = (0, false, 0);
        while index < lines.len() {
            let line = &lines[index];
            if line.starts_with("/*") {
                comment = index;
                in_comment = true;
            }
            if in_comment {
                in_comment = !line.contains("*/");
            } else if let Some(name) = declared_name(line) {
                let last = (index..lines.len()).find(|&i| lines[i].contains(");")).unwrap_or(index);
                let text = lines[index..=last].join(" ");
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let text = text.trim_end_matches(';').to_owned();
                prototypes.insert(name, Prototype { line: index + 1, comment: comment + 1, text });
                index = last;
            }
            index += 1;
        }
        Self { lines, prototypes }
    }

    /// Getter: every declared function, by name.
    pub const fn prototypes(&self) -> &BTreeMap<String, Prototype> {
        &self.prototypes
    }

    /// Getter: the first line, counted from 1, that contains `needle`, at or after `from` (counted from 1).
    pub fn find(&self, needle: &str, from: usize) -> Option<usize> {
        let from = from.max(1) - 1;
        let place = self.lines.iter().skip(from).position(|line| line.contains(needle))?;
        Some(from + place + 1)
    }

    /// Getter: the line, counted from 1, where the comment of `function` describes `parameter`.
    pub fn parameter(&self, function: &str, parameter: &str) -> Option<usize> {
        let prototype = self.prototypes.get(function)?;
        let described = (prototype.comment..prototype.line).find(|&line| {
            let text = self.lines[line - 1].trim_start_matches([' ', '*']);
            text.strip_prefix(parameter).is_some_and(|rest| rest.starts_with("  "))
        })?;
        Some(described)
    }
}

/// The function that a line begins to declare.
fn declared_name(line: &str) -> Option<String> {
    let first = line.chars().next()?;
    if !first.is_ascii_alphabetic() || line.starts_with("typedef") || line.starts_with("extern") {
        return None;
    }
    let (before, _) = line.split_once('(')?;
    let name = before.rsplit([' ', '*']).next()?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
/*
 * Opens.
 *
 *   ctx   the context
 *   name  what
 */
int
";

    #[test]
    fn a_prototype_over_two_lines_is_read_with_its_comment_and_parameters() {
        let text =
            SAMPLE.replace("int\n", "int open_it(Ctx_t *ctx,\n            const char *name);\n");
        let header = Header::parse(&text);
        let expected = Prototype {
            line: 7,
            comment: 1,
            text: "int open_it(Ctx_t *ctx, const char *name)".to_owned(),
        };
        assert_eq!(header.prototypes().get("open_it"), Some(&expected));
        assert_eq!(header.parameter("open_it", "name"), Some(5));
        assert_eq!(header.parameter("open_it", "nam"), None);
        assert_eq!(header.find("the context", 1), Some(4));
    }

    #[test]
    fn typedefs_and_comments_declare_nothing() {
        let header = Header::parse("typedef int (*f)(int);\n/* int g(void); */\nextern \"C\" {\n");
        assert!(header.prototypes().is_empty());
    }
}
