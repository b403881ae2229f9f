//! docs/simulator.md lists what there is, and nothing else.

use causeway_tidy::docs::{self, Words};
use causeway_tidy::tree;

const DOCUMENT: &str = "docs/simulator.md";

fn document() -> String {
    std::fs::read_to_string(tree::root().join(DOCUMENT)).expect("it can be read")
}

/// The Rust files below a directory.
fn sources(directory: &str) -> Vec<String> {
    let root = tree::root();
    let files = tree::tracked_files(&root).expect("git lists the tree");
    let below = files.iter().filter(|f| f.starts_with(directory) && f.ends_with(".rs"));
    let texts: Vec<String> =
        below.map(|f| std::fs::read_to_string(root.join(f)).expect("it can be read")).collect();
    assert!(!texts.is_empty(), "{directory}: no file");
    texts
}

/// What `these` have and `those` have not.
fn missing(these: &Words, those: &Words) -> Vec<String> {
    these.difference(those).cloned().collect()
}

#[test]
fn every_key_of_a_scenario_has_its_row() {
    let code = docs::keys_in_code(&sources("sim/src/scenario/"), "RawScenario");
    let listed = docs::keys_in_docs(&document());
    for known in ["directory", "host.nic.burst", "fault.loss_ppm", "program.name", "run.limit_s"] {
        assert!(code.contains(known), "{known} is not found in the code: {code:?}");
    }
    let lacks = missing(&code, &listed);
    assert!(lacks.is_empty(), "{DOCUMENT}: the table of keys (Scenario, Programs) lacks {lacks:?}");
    // Tables of the daemon's file are described elsewhere, and a table may have a row that says where its own are.
    let is_table = |name: &String| code.iter().any(|key| key.starts_with(&format!("{name}.")));
    let gone: Vec<String> = missing(&listed, &code)
        .into_iter()
        .filter(|key| {
            !["router.interface", "router.route"].contains(&key.as_str()) && !is_table(key)
        })
        .collect();
    assert!(gone.is_empty(), "{DOCUMENT}: the table of keys has {gone:?}, which no scenario has");
}

#[test]
fn every_line_of_a_plan_has_its_row() {
    let sources = sources("sim/src/fault/");
    let code = docs::verbs_in_code(&sources);
    for known in ["drop", "partition", "storm", "late"] {
        assert!(code.contains(known), "{known} is not found in the code: {code:?}");
    }
    let listed = docs::verbs_in_docs(&document());
    let lacks = missing(&code, &listed);
    assert!(lacks.is_empty(), "{DOCUMENT}: the table of lines (Plan) lacks {lacks:?}");
}

#[test]
fn every_option_of_the_simulator_is_named() {
    let code = docs::options_in_code(&sources("capi/sidecar/src/sim/"));
    for known in ["--seeds", "--failures-max", "--plant", "--html"] {
        assert!(code.contains(known), "{known} is not found in the code: {code:?}");
    }
    let listed = docs::options_in_docs(&document());
    let lacks = missing(&code, &listed);
    assert!(lacks.is_empty(), "{DOCUMENT}: the tables of commands and options lack {lacks:?}");
    let gone = missing(&listed, &code);
    assert!(gone.is_empty(), "{DOCUMENT}: the tables have {gone:?}, which no command takes");
}

#[test]
fn every_oracle_has_its_row() {
    let code = docs::oracles_in_code(&sources("sim/src/"));
    for known in ["O1", "O4", "O13"] {
        assert!(code.contains(known), "{known} is not found in the code: {code:?}");
    }
    let listed = docs::oracles_in_docs(&document());
    let lacks = missing(&code, &listed);
    assert!(lacks.is_empty(), "{DOCUMENT}: the table of oracles lacks {lacks:?}");
}

#[test]
fn what_is_not_listed_is_found() {
    let code = "#[derive(Deserialize)] struct Raw { host: Vec<RawHost>, #[serde(flatten)] rest: Rest, tcp: Tcp }
        #[derive(Deserialize)] struct RawHost { name: Spanned<String>, size: Option<Spanned<i128>> }
        #[derive(Deserialize)] struct Rest { directory: Option<String> }
        struct Other { no: bool }";
    let keys = docs::keys_in_code(&[code.to_owned()], "Raw");
    assert_eq!(keys.iter().collect::<Vec<_>>(), ["directory", "host.name", "host.size"]);
    let table = "| key | meaning | default |\n|---|---|---|\n| `host.name`, `ports` | a | |\n| `fault.*_ppm` | `x`, `y` | 0 |\n\n| other | |\n| `no` | |\n";
    let listed = docs::keys_in_docs(table);
    assert_eq!(missing(&listed, &keys), ["fault.x_ppm", "fault.y_ppm", "host.ports"]);
    assert_eq!(missing(&keys, &listed), ["directory", "host.size"]);

    let code = "fn fault() { match x { (\"drop\" | \"keep\", []) => 1, (\"a\", 2) => 2 } }
        fn event_words() { match x { A => (\"late\", \"by\") } }";
    let verbs = docs::verbs_in_code(&[code.to_owned()]);
    assert_eq!(verbs.iter().collect::<Vec<_>>(), ["drop", "keep", "late"]);
    let listed =
        docs::verbs_in_docs("| line | meaning |\n|---|---|\n| `drop a->b N`, `late` | x |\n");
    assert_eq!(missing(&verbs, &listed), ["keep"]);

    let code = "#[derive(Debug, clap::Args)] struct Args { #[arg(long, value_name = \"N\")] jobs_max: u8, #[arg(long = \"seed\")] s: u8, #[arg(value_name = \"F\")] file: u8 }";
    let options = docs::options_in_code(&[code.to_owned()]);
    assert_eq!(options.iter().collect::<Vec<_>>(), ["--jobs-max", "--seed"]);
    let listed =
        docs::options_in_docs("| option | meaning |\n|---|---|\n| `--seed N` | `--no` |\n");
    assert_eq!(missing(&options, &listed), ["--jobs-max"]);

    let code =
        "const A: &str = \"O14.new\"; rules! { X \"O4.tcp\" } fn f() { g(\"Other\", \"O2x\") }";
    let oracles = docs::oracles_in_code(&[code.to_owned()]);
    assert_eq!(oracles.iter().collect::<Vec<_>>(), ["O14", "O4"]);
    assert_eq!(docs::oracles_in_docs("| id | x |\n|---|---|\n| O4, O10 | y |\n").len(), 2);
}
