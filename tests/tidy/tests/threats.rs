//! Every control of the threat model names tests that are there.

use causeway_tidy::{threats, tree};

#[test]
fn the_threat_model_names_tests_that_are_there() {
    let root = tree::root();
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).expect("the document");
    let named = threats::named_tests(&text);
    assert!(named.len() > 20, "only {} tests are named", named.len());
    for (path, test) in named {
        let file = root.join("docs").join(&path);
        let code = std::fs::read_to_string(&file)
            .unwrap_or_else(|cause| panic!("{}: {cause}", file.display()));
        assert!(threats::has_test(&code, &test), "{path} has no test {test}");
    }
}

#[test]
fn every_row_of_the_threat_model_names_a_test_or_a_fuzz_target() {
    let root = tree::root();
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).expect("the document");
    let rows = threats::rows(&text);
    assert!(rows.len() > 20, "only {} rows", rows.len());
    for row in rows {
        assert!(!threats::named_tests(row).is_empty(), "no test is named: {row}");
    }
}

#[test]
fn what_is_not_there_is_found() {
    let row = "| a | b | [`x_y`](../core/src/a.rs), [`z`](../b.rs) |";
    let named = [("../core/src/a.rs", "x_y"), ("../b.rs", "z")];
    assert_eq!(threats::named_tests(row), named.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(threats::has_test("#[test]\nfn x_y() {}\n", "x_y"));
    assert!(!threats::has_test("fn x_y() {}\n", "x_y"));
    assert!(!threats::has_test("#[test]\nfn x_y_z() {}\n", "x_y"));
    assert_eq!(
        threats::rows(&format!("| threat | control | test |\n|---|---|---|\n{row}\n")),
        [row]
    );
}
