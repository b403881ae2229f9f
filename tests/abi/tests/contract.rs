//! `CONTRACT.md` is complete and says what is true now.

use causeway_abi::contract::machnet;
use causeway_abi::toolchain::root;

#[test]
fn every_fact_of_the_reference_is_declared_implemented_and_tested() {
    let contract = machnet().unwrap_or_else(|e| panic!("{e:#}"));
    assert!(contract.gaps.is_empty(), "{}", contract.gaps.join("\n"));
}

#[test]
fn the_written_contract_is_that_of_the_tree() {
    let contract = machnet().unwrap_or_else(|e| panic!("{e:#}"));
    let path = root().join("tests/abi/CONTRACT.md");
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        std::fs::write(&path, &contract.markdown).expect("the tree is writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == contract.markdown,
        "tests/abi/CONTRACT.md is stale: UPDATE_CONTRACT=1 cargo test -p causeway-abi --test contract"
    );
}
