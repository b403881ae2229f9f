//! Somebody's own program under `causeway sim`: the key-value store of the examples, its bug found, made small and explained.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod examples;

use std::process::Command;

use serde_json::Value;

use examples::{examples, preload};

/// Seeds among which the bug has to show.
const SEEDS: &str = "0..60";

/// Exit status, stdout and stderr of `causeway sim`, called in the directory of the examples.
fn sim(args: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.arg("sim").args(args.split_whitespace()).current_dir(examples());
    command.env_remove("CAUSEWAY_LOG").env("CAUSEWAY_VTIME_LIBRARY", preload());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn good(args: &str) -> String {
    let (status, out, errors) = sim(args);
    assert_eq!((status, errors.as_str()), (0, ""), "{args}: {out}");
    out
}

/// A directory of its own below the examples', and its name there.
fn own(name: &str) -> String {
    let name = format!("{name}-{}", std::process::id());
    std::fs::create_dir_all(examples().join(&name)).unwrap();
    name
}

fn read(path: &str) -> String {
    std::fs::read_to_string(examples().join(path)).unwrap()
}

#[test]
fn on_a_good_network_the_store_does_what_it_should_and_its_output_can_be_seen() {
    for scenario in ["kv.toml", "kv_fixed.toml"] {
        let plain = good(&format!("run {scenario}"));
        assert!(plain.starts_with("seed 1, ") && plain.lines().count() == 1, "{plain}");
        let seen = good(&format!("run {scenario} --output"));
        assert_eq!(seen, format!("client| 40 added, the value is 40\n{plain}"));
    }
    let hash = |line: String| line.trim().rsplit(' ').next().unwrap().to_owned();
    assert_ne!(hash(good("run kv.toml --seed 2")), hash(good("run kv.toml")));
    // A printed case may lie anywhere.
    let own = own("printed");
    let case = good("run kv.toml --print");
    std::fs::write(examples().join(&own).join("1.case"), case).unwrap();
    assert_eq!(good(&format!("run {own}/1.case")), good("run kv.toml"));
    std::fs::remove_dir_all(examples().join(own)).unwrap();
}

#[test]
fn the_swarm_finds_the_bug_makes_it_small_and_explains_it_and_the_fixed_twin_passes() {
    let own = own("found");
    let args = format!(
        "swarm --scenario kv.toml --seeds {SEEDS} --failures-max 1 --out {own} --shrink --json"
    );
    let (status, out, errors) = sim(&args);
    assert_eq!((status, errors.as_str()), (1, ""), "{out}");
    let line = out.lines().next().unwrap();
    assert!(line.starts_with("O3.violation.wrong-sum: seed "), "{line}");
    let object: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let seed = object["failures"][0]["seed"].as_u64().unwrap();
    assert_eq!(object["scenario"]["file"], "kv.toml");
    // The command of the line shows it again.
    let again = line.split("; again: causeway sim ").nth(1).unwrap();
    assert_eq!(again, format!("run --scenario kv.toml --seed {seed}"));
    let (status, told, _) = sim(again);
    assert!(status == 1 && told.contains(&format!("again: causeway sim {again}\n")), "{told}");
    // It is small: a text of at most 30 lines, whose plan has the decisions that matter.
    let small = read(&format!("{own}/{seed}.case"));
    assert!(small.lines().count() <= 30, "{small}");
    assert!(small.contains("\nfailed O3.violation.wrong-sum\n"), "{small}");
    let (status, told, _) = sim(&format!("run {own}/{seed}.case"));
    assert_eq!(status, 1, "{told}");
    assert!(
        told.contains("program client says: causeway: violation wrong-sum: key 1 is "),
        "{told}"
    );
    assert!(
        told.contains("\nclient| causeway: violation wrong-sum") || told.starts_with("client| "),
        "{told}"
    );
    // It is explained, and is the same run then.
    let outputs = format!("--html {own}/x.html --pcapng {own}/x.pcapng --events {own}/x.json");
    assert_eq!(sim(&format!("run {own}/{seed}.case {outputs}")).1, told);
    assert!(read(&format!("{own}/x.html")).contains("wrong-sum"));
    let events = read(&format!("{own}/x.json"));
    assert!(
        events.contains("\"name\":\"program_ended\",\"host\":\"a\",\"program\":\"client\""),
        "{events}"
    );
    let timeline = sim(&format!("run {own}/{seed}.case --timeline")).1;
    assert!(timeline.contains("program client ended with status 3"), "{timeline}");
    let capture = sim(&format!("run {own}/x.pcapng"));
    assert_eq!(capture.1.replace("x.pcapng", &format!("{seed}.case")), told);
    // The twin that remembers passes the same seeds, this one and all before it.
    let last = seed + 1;
    let summary = good(&format!("swarm --scenario kv_fixed.toml --seeds 0..{last}"));
    assert!(summary.starts_with(&format!("{last} seeds, 0 failed, ")), "{summary}");
    let fixed = small_with(&small, "build/kv_server\"", "build/kv_server_fixed\"");
    std::fs::write(examples().join(&own).join("fixed.case"), fixed).unwrap();
    good(&format!("run {own}/fixed.case"));
    std::fs::remove_dir_all(examples().join(own)).unwrap();
}

fn small_with(case: &str, from: &str, to: &str) -> String {
    let other = case.replace(from, to);
    assert_ne!(other, case);
    other
}

#[test]
fn a_campaign_around_a_scenario_has_parts_that_fit_and_others_do_not() {
    let own = own("parts");
    let whole = good("swarm --scenario kv_fixed.toml --seeds 0..6 --jobs 2");
    for shard in 0..2 {
        let args = format!("--seeds 0..6 --shard {shard}/2 --results {own}/{shard}.json");
        good(&format!("swarm --scenario kv_fixed.toml {args}"));
    }
    let hash = |text: &str| text.rsplit("hash ").next().unwrap().to_owned();
    let merged = good(&format!("merge {own}/0.json {own}/1.json"));
    assert_eq!(hash(&merged), hash(&whole));
    good(&format!("swarm --seeds 0..6 --shard 1/2 --results {own}/other.json"));
    let (status, _, errors) = sim(&format!("merge {own}/0.json {own}/other.json"));
    assert_eq!(status, 1);
    assert!(errors.contains("other.json are of different scenarios"), "{errors}");
    let args = format!("swarm --scenario kv.toml --seeds 0..6 --shard 0/2 --results {own}/0.json");
    let (_, _, errors) = sim(&args);
    assert!(errors.contains("0.json: has results of another scenario"), "{errors}");
    std::fs::remove_dir_all(examples().join(own)).unwrap();
}

#[test]
fn what_is_wrong_with_a_program_is_told_with_its_line() {
    let own = own("wrong");
    let text = read("kv.toml").replace("build/", "../build/");
    let write =
        |name: &str, text: &str| std::fs::write(examples().join(&own).join(name), text).unwrap();
    write("gone.toml", &text.replace("kv_client", "kv_nobody"));
    write("later.toml", &text.replace("host = \"b\"\n", "host = \"b\"\nkind = \"unmodified\"\n"));
    write("fault.toml", &format!("{text}\n[fault]\nloss_ppm = 5\n"));
    let line =
        |text: &str, needle: &str| 1 + text.lines().position(|line| line.contains(needle)).unwrap();
    let (client, server) = (line(&text, "kv_client\""), line(&text, "host = \"b\"") + 1);
    for (args, expected) in [
        (
            format!("run {own}/gone.toml"),
            format!("{own}/gone.toml:{client}: program.command: there is no file "),
        ),
        (
            format!("swarm --scenario {own}/gone.toml --seeds 0..1"),
            format!("{own}/gone.toml:{client}: program.command: "),
        ),
        (
            format!("run {own}/later.toml"),
            format!("{own}/later.toml:{server}: program.kind: programs that call sockets"),
        ),
        (
            format!("swarm --scenario {own}/fault.toml --seeds 0..1"),
            format!("{own}/fault.toml: the scenario has a [fault]"),
        ),
        ("run --scenario no.toml --seed 1".to_owned(), "no.toml: cannot be read".to_owned()),
    ] {
        let (status, _, errors) = sim(&args);
        assert_eq!((status, errors.lines().count()), (1, 1), "{args}: {errors}");
        assert!(errors.starts_with(&format!("causeway: {expected}")), "{args}: {errors}");
    }
    let (status, _, errors) = sim("run kv.toml --scenario kv.toml --seed 1");
    assert!(status == 2 && errors.contains("cannot be used with"), "{errors}");
    assert_eq!(sim("run --scenario kv.toml").0, 2, "it needs a seed");
    std::fs::remove_dir_all(examples().join(own)).unwrap();
}

/// Seeds of each example, run twice.
const ALIKE: u64 = 100;

#[test]
fn each_example_runs_alike_in_each_of_a_hundred_seeds() {
    for scenario in ["kv.toml", "kv_fixed.toml"] {
        let of = |jobs: u32| {
            let options = format!("--seeds 0..{ALIKE} --failures-max {ALIKE} --jobs {jobs} --json");
            let (_, out, errors) = sim(&format!("swarm --scenario {scenario} {options}"));
            assert_eq!(errors, "", "{out}");
            let mut object: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
            object["cpu_seconds"] = Value::Null;
            object
        };
        let first = of(2);
        assert_eq!((&first["seeds"], &first["complete"]), (&ALIKE.into(), &true.into()), "{first}");
        assert_eq!(of(1), first, "{scenario}");
    }
}
