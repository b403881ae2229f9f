//! The tree keeps the rules, and each rule can fail.

use causeway_tidy::{WRITTEN, check_source, check_words, layers, tree};

fn files(extension: &str) -> Vec<String> {
    let root = tree::root();
    let files = tree::tracked_files(&root).expect("git lists the tree");
    let files: Vec<String> = files.into_iter().filter(|f| f.ends_with(extension)).collect();
    assert!(!files.is_empty(), "no {extension} file found: the measure would be empty");
    files
}

#[test]
fn every_rust_file_keeps_the_rules() {
    let root = tree::root();
    let mut findings = Vec::new();
    for path in files(".rs") {
        let text = std::fs::read_to_string(root.join(&path)).expect("a tracked file can be read");
        findings.extend(check_source(&path, &text));
    }
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} findings:\n{}", list.len(), list.join("\n"));
}

#[test]
fn no_file_says_that_something_is_not_done() {
    let root = tree::root();
    let mut findings = Vec::new();
    for extension in WRITTEN {
        for path in files(extension) {
            let text = std::fs::read_to_string(root.join(&path)).expect("a tracked file is text");
            findings.extend(check_words(&path, &text).iter().map(ToString::to_string));
        }
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn only_the_named_entries_stand_at_the_top_level() {
    let files = tree::tracked_files(&tree::root()).expect("git lists the tree");
    assert_eq!(tree::strangers(files.iter().map(String::as_str)), Vec::<String>::new());
    assert_eq!(tree::strangers(["notes.txt", "core/x.rs"].into_iter()), ["notes.txt"]);
}

#[test]
fn arrows_between_crates_only_go_down() {
    let root = tree::root();
    for manifest in files("Cargo.toml") {
        let Some(path) = manifest.strip_suffix("/Cargo.toml") else { continue };
        let text =
            std::fs::read_to_string(root.join(&manifest)).expect("a tracked file can be read");
        assert_eq!(layers::forbidden_dependencies(path, &text), Vec::<String>::new(), "{manifest}");
    }
    let upward = "[dependencies]\ncauseway-sim.workspace = true\n";
    assert_eq!(layers::forbidden_dependencies("core", upward), ["causeway-sim"]);
}

#[test]
fn there_is_one_lock_file() {
    let locks = files("Cargo.lock");
    assert_eq!(locks, ["Cargo.lock"]);
}

fn findings(path: &str, text: &str) -> usize {
    check_source(path, text).len()
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(findings("x/src/a.rs", &"// a\n".repeat(800)), 0);
    assert_eq!(findings("x/src/a.rs", &"// a\n".repeat(801)), 1);
}

#[test]
fn a_long_function_is_found_free_in_an_impl_or_in_a_trait() {
    let body = "    let _ = 1;\n".repeat(69);
    assert_eq!(findings("x/src/a.rs", &format!("fn f() {{\n{body}}}\n")), 1);
    assert_eq!(findings("x/src/a.rs", &format!("impl T {{ fn f() {{\n{body}}} }}\n")), 1);
    assert_eq!(findings("x/src/a.rs", &format!("trait T {{ fn f() {{\n{body}}} }}\n")), 1);
    let shorter = "    let _ = 1;\n".repeat(68);
    assert_eq!(findings("x/src/a.rs", &format!("fn f() {{\n{shorter}}}\n")), 0);
}

#[test]
fn unsafe_is_found_outside_its_islands_and_without_a_reason() {
    let reasoned = "fn f() {\n    // SAFETY: a reason.\n    unsafe { g() }\n}\n";
    let bare = "fn f() {\n    unsafe { g() }\n}\n";
    assert_eq!(findings("backends/src/a.rs", reasoned), 0);
    assert_eq!(findings("backends/src/a.rs", bare), 1);
    assert_eq!(findings("capi/server/src/a.rs", reasoned), 1);
    assert_eq!(findings("capi/server/src/a.rs", bare), 2);
    for declared in
        ["unsafe fn f() {}\n", "trait T { unsafe fn f() {} }\n", "impl T { unsafe fn f() {} }\n"]
    {
        assert_eq!(findings("capi/server/src/a.rs", declared), 1, "{declared}");
        assert_eq!(findings("backends/src/a.rs", declared), 0, "{declared}");
    }
}

#[test]
fn unwrap_is_found_outside_tests_only() {
    assert_eq!(findings("x/src/a.rs", "fn f() { g().unwrap(); }\n"), 1);
    assert_eq!(findings("x/src/a.rs", "#[cfg(test)]\nmod tests { fn f() { g().unwrap(); } }\n"), 0);
    assert_eq!(findings("x/tests/a.rs", "fn f() { g().unwrap(); }\n"), 0);
}

#[test]
fn unfinished_work_and_ignored_tests_are_found() {
    for path in ["x/src/a.rs", "x/Cargo.toml", "docs/a.md", "x.sh", "x.c", "x.h", "x.pkt"] {
        assert_eq!(check_words(path, "fine\n# TODO: later\n")[0].line, 2, "{path}");
    }
    assert_eq!(check_words("x.sh", "mktemp -d /tmp/XXXXXX\n"), []);
    assert_eq!(findings("x/src/a.rs", "#[test]\n#[ignore]\nfn f() {}\n"), 1);
}

#[test]
fn a_crate_root_without_its_attributes_is_found() {
    assert_eq!(findings("core/src/lib.rs", "//! Core.\n"), 3);
}

#[test]
fn an_arm_that_takes_whatever_else_there_is_of_a_protocols_enum_is_found() {
    let with = |arms: &str| format!("fn f() {{ match x {{ {arms} }} }}\n");
    assert_eq!(findings("x/src/a.rs", &with("State::Closed => 1, _ => 2")), 1);
    assert_eq!(findings("x/src/a.rs", &with("(State::Closed, true) => 1, (_, _) => 2")), 1);
    assert_eq!(findings("x/src/a.rs", &with("Some(tcp::TimerReason::Probe) => 1, _ => 2")), 1);
    assert_eq!(findings("x/src/a.rs", &with("State::Closed => 1, State::Listen => 2")), 0);
    assert_eq!(findings("x/src/a.rs", &with("1 => 1, _ => 2")), 0, "a number");
    assert_eq!(findings("x/tests/a.rs", &with("State::Closed => 1, _ => 2")), 0, "a test");
}

#[test]
fn a_getter_with_a_prefix_is_found_unless_c_has_named_it() {
    assert_eq!(findings("x/src/a.rs", "fn get_len() {}\n"), 1);
    assert_eq!(findings("x/src/a.rs", "impl T { fn get_len(&self) {} }\n"), 1);
    assert_eq!(findings("x/src/a.rs", "trait T { fn get_len(&self); }\n"), 1);
    assert_eq!(findings("x/src/a.rs", "fn length() {}\nextern \"C\" fn get_c() {}\n"), 0);
}
