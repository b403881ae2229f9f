//! Words that no file may say, whatever its language.

use crate::Finding;

/// Words that say that something is not done.
const UNFINISHED: &[&str] =
    &["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "for now", "simplified"];

/// The kinds of files that people write, by the ends of their names.
pub const WRITTEN: &[&str] = &[".rs", ".toml", ".md", ".sh", ".c", ".h", ".pkt"];

/// What the file `path` (from the root of the repository) with the content `text` says of work that is not done.
pub fn check_words(path: &str, text: &str) -> Vec<Finding> {
    // The words themselves are written down here and in the tests of this crate.
    if path.starts_with("tests/tidy/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| says(line, word)) {
            let what = format!("`{word}`: finish it or do not land it");
            findings.push(Finding { path: path.to_owned(), line: number + 1, what });
        }
    }
    findings
}

/// `line` has `word`, and not as a part of a longer one: `mktemp` and its XXXXXX are innocent.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let whole = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        whole(before) && whole(after)
    })
}
