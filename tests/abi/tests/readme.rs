//! What the README prints is what compiles and loads.

use causeway_abi::toolchain::{Language, compile, root};

/// The first fenced block of the README in `language`.
fn block(language: &str) -> String {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let fence = format!("```{language}\n");
    let start = text.find(&fence).unwrap_or_else(|| panic!("no {language} block")) + fence.len();
    let end = text[start..].find("```").expect("the block ends") + start;
    text[start..end].to_owned()
}

#[test]
fn the_c_example_compiles_as_printed_as_c_and_as_cplusplus() {
    let program = block("c");
    assert!(program.contains("machnet_attach"), "it uses the library");
    compile(Language::C11, "readme", &program).expect("C11");
    compile(Language::Cxx17, "readme", &program).expect("C++17");
    let broken = program.replace("machnet_attach()", "machnet_attach(1)");
    for language in [Language::C11, Language::Cxx17] {
        compile(language, "readme-broken", &broken).expect_err("a wrong call is found");
    }
}

#[test]
fn the_demo_is_shown_with_what_it_printed() {
    let table = block("text");
    for word in ["TCP goodput", "messages of C programs", "state hash"] {
        assert!(table.contains(word), "no `{word}` in the README's table");
    }
}
