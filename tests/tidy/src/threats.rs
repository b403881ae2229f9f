//! What the threat model names: tests, by file and function.

/// The rows of the document's tables, without their heads.
pub fn rows(text: &str) -> Vec<&str> {
    let is_row = |line: &&str| {
        line.starts_with("| ") && !line.starts_with("| threat |") && !line.starts_with("|-")
    };
    text.lines().filter(is_row).collect()
}

/// Every ``[`test`](path)`` of a text: the path and the test.
pub fn named_tests(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in text.split("[`").skip(1) {
        let named = part.split_once("`](").and_then(|(test, rest)| {
            let (path, _) = rest.split_once(')')?;
            path.ends_with(".rs").then(|| (path.to_owned(), test.to_owned()))
        });
        found.extend(named);
    }
    found
}

/// Whether `code` has a test of that name. Properties are tests inside a macro, so lines are looked at and not items.
pub fn has_test(code: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let mut marked = false;
    for line in code.lines().map(str::trim_start) {
        if line.starts_with("#[test]") {
            marked = true;
        } else if line.starts_with("fn ") {
            if marked && line.starts_with(&function) {
                return true;
            }
            marked = false;
        }
    }
    false
}
