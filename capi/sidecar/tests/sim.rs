//! `causeway sim` as its users have it: files, exit statuses, signals.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod place;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use place::{Place, Told};

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two hosts and eight seconds of data.
const SCENARIO: &str = r#"
host = [
  { name = "a", interface = [{ name = "eth0", addresses = ["10.0.0.1/24"] }], tcp = { sack = false } },
  { name = "b", interface = [{ name = "eth0", addresses = ["10.0.0.2/24"] }] },
]
link = [{ between = ["a", "b"], rate_kbit_s = 1000 }]
flow = [
  { kind = "request", from = "b", to = "a", bytes = 10, reply_bytes = 100 },
  { kind = "stream", from = "a", to = "b", bytes = 1000000 },
]
"#;

/// A case that fails, because it has a second for what takes eight: `plan` is what goes wrong besides.
fn write_failing(place: &Place, file: &str, plan: &str) {
    let scenario = format!("{SCENARIO}run = {{ heal_ms = 10, limit_s = 1 }}\n");
    let scenario: String = scenario.lines().map(|line| format!("| {line}\n")).collect();
    place.write(file, &format!("causeway fault plan 2\nseed 17\n{scenario}{plan}"));
}

/// The object on the last line.
fn json(told: &Told) -> Value {
    let last = told.1.lines().last().unwrap();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

/// Without what differs from run to run.
fn settled(mut object: Value) -> Value {
    assert!(object["cpu_seconds"].is_f64(), "{object}");
    object["cpu_seconds"] = Value::Null;
    object
}

#[test]
fn a_case_a_scenario_and_a_seed_run_and_say_so_in_one_line() {
    let place = Place::new("run");
    place.write("s.toml", SCENARIO);
    let one = place.sim("run s.toml").good();
    assert!(one.starts_with("seed 1, ") && one.contains(", state hash "), "{one}");
    assert_eq!((one.lines().count(), one.split(", ").count()), (1, 4), "{one}");
    let seven = place.sim("run s.toml --seed 7").good();
    assert!(seven.starts_with("seed 7, "), "{seven}");
    let hash = |line: &str| line.trim().rsplit(' ').next().unwrap().to_owned();
    assert_ne!(hash(&one), hash(&seven));
    // A printed case is the same run.
    let case = place.sim("run s.toml --seed 7 --print").good();
    place.write("7.case", &case);
    assert_eq!(place.sim("run 7.case").good(), seven);
    assert_eq!(place.sim("run 7.case --seed 1").good(), one);
    let drawn = place.sim("run --seed 5").good();
    place.write("5.case", &place.sim("run --seed 5 --print").good());
    assert_eq!(place.sim("run 5.case").good(), drawn);
}

#[test]
fn a_run_is_explained_and_its_capture_is_a_case() {
    let place = Place::new("explained");
    write_failing(&place, "found.case", "drop a->b 3\n");
    let plain = place.sim("run found.case");
    let args = "run found.case --pcapng found.pcapng --events found.json --html found.html";
    assert_eq!(place.sim(args).1, plain.1, "the run is the same");
    assert!(place.read("found.html").contains("O7.unfinished"));
    let events = place.read("found.json");
    for line in events.lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
    let hash = plain.1.split("state hash ").nth(1).unwrap().lines().next().unwrap();
    assert!(events.lines().last().unwrap().contains(hash));
    let timeline = place.sim("run found.case --timeline").1;
    assert!(timeline.lines().count() > 100 && timeline.contains("LOST: drop"), "{timeline}");
    // The capture is a case of its own.
    let again = place.sim("run found.pcapng");
    assert_eq!(again.1, plain.1.replace("found.case", "found.pcapng"));
    let mut files: Vec<_> =
        std::fs::read_dir(&place.0).unwrap().map(|f| f.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["found.case", "found.html", "found.json", "found.pcapng"]);
    // Nothing half-done is left behind.
    let told = place.sim("run found.case --html a.html --events nowhere/b.json");
    assert_eq!((told.0, told.2.lines().count()), (1, 1));
    assert!(told.2.contains("nowhere/b.json: cannot be written"), "{}", told.2);
    assert_eq!(std::fs::read_dir(&place.0).unwrap().count(), 4);
}

#[test]
fn a_failure_is_named_and_comes_with_the_command_that_shows_it_again() {
    let place = Place::new("fails");
    write_failing(&place, "it fails.case", "drop a->b 9\n");
    let mut command = place.command("run --seed 3");
    let told = Told::new(&command.arg("it fails.case").output().unwrap());
    assert_eq!((told.0, told.2.as_str()), (1, ""));
    let lines: Vec<&str> = told.1.lines().collect();
    let [what, summary, build, again] = lines.as_slice() else { panic!("{}", told.1) };
    assert!(what.starts_with("O7.unfinished at 1.0"), "{what}");
    assert!(what.contains(" s: 1 s after the last fault flow 1 is not done"), "{what}");
    assert!(summary.starts_with("seed 3, "), "{summary}");
    assert!(build.starts_with("causeway ") && build.contains(" (commit "), "{build}");
    assert_eq!(*again, "again: causeway sim run 'it fails.case' --seed 3");
    let words = again.strip_prefix("again: causeway ").unwrap();
    let script = format!("{} {words}", env!("CARGO_BIN_EXE_causeway"));
    let shell = Command::new("sh").args(["-c", &script]).current_dir(&place.0).output().unwrap();
    assert_eq!(Told::new(&shell).1, told.1);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let place = Place::new("wrong");
    place.write("s.toml", &SCENARIO.replace("\"stream\"", "\"song\""));
    let header = "causeway fault plan 2\n";
    place.write("a.case", &format!("{header}seed x\n"));
    let scenario: String = SCENARIO.lines().map(|line| format!("| {line}\n")).collect();
    let song = scenario.replace("\"stream\"", "\"song\"");
    place.write("b.case", &format!("{header}# one\n\n{song}"));
    place.write("c.case", &format!("{header}{scenario}pause  q 1000ms..2s\n"));
    place
        .write("d.case", &format!("{header}{scenario}| fault = {{ loss_ppm = 1 }}\ndrop a->b 1\n"));
    place.write("e.case", "host = 1\n");
    std::fs::write(place.0.join("f.case"), b"causeway fault plan 2\n\xff").unwrap();
    for (args, expected) in [
        ("run s.toml", "causeway: s.toml:9: flow.kind: \"song\" is none of"),
        ("run a.case", "causeway: a.case:2: expected a seed, found `x`"),
        ("run b.case", "causeway: b.case:12: flow.kind: \"song\" is none of"),
        ("shrink b.case", "causeway: b.case:12: flow.kind: \"song\" is none of"),
        ("run c.case", "causeway: c.case:12: `pause q 1s..2s` names `q`, which does not exist"),
        ("run d.case", "causeway: d.case: the plan decides about frames or counts"),
        ("run e.case", "causeway: e.case:1: expected `causeway fault plan 2`, found `host = 1`"),
        ("run f.case", "causeway: f.case:2: this is no text"),
        ("run none.case", "causeway: none.case: cannot be read: No such file"),
        ("run .", "causeway: .: cannot be read: Is a directory"),
        ("merge a.case", "causeway: a.case: no results of causeway sim swarm: "),
        ("swarm --seeds 0..1 --results a.case", "causeway: a.case: no results of"),
        (
            "run --seed 1 --plant x",
            "causeway: this build has no planted bugs, so that `x` cannot be one",
        ),
        (
            "swarm --seeds 0..1 --plant x",
            "causeway: this build has no planted bugs, so that `x` cannot be",
        ),
        ("swarm --seeds 0..1 --results no/r.json", "causeway: no/r.json: cannot be written"),
        ("swarm --seeds 0..1 --out a.case", "causeway: a.case: cannot be made"),
    ] {
        let error = place.sim(args).failed();
        assert!(error.starts_with(expected), "{args}: {error}");
    }
}

#[test]
fn wrong_usage_is_told_as_such() {
    let place = Place::new("usage");
    for (args, word) in [
        ("", "Usage: causeway sim <COMMAND>"),
        ("run", "<CASE>"),
        ("run --seed x", "--seed <N>"),
        ("shrink", "<CASE>"),
        ("merge", "<FILE>..."),
        ("swarm", "--seeds <A..B>"),
        ("swarm --seeds 5..5", "give two numbers like 0..1000"),
        ("swarm --seeds 5", "give two numbers like 0..1000"),
        ("swarm --seeds 0..9 --shard 4/4", "give two numbers like 0/4"),
        ("swarm --seeds 0..9 --time 10", "give a number with a unit"),
        ("swarm --seeds 0..9 --time ü", "give a number with a unit"),
        ("swarm --seeds 0..9 --jobs 0", "--jobs <N>"),
        ("swarm --seeds 0..9 --failures-max 0", "--failures-max <N>"),
        ("swarm --seeds 0..9 --shrink", "--out <DIR>"),
        ("swarm --seeds 0..9 --plant x --results r.json", "--plant <ID>"),
    ] {
        let told = place.sim(args);
        assert_eq!((told.0, told.1.as_str()), (2, ""), "{args}: {}", told.2);
        assert!(told.2.contains(word), "{args}: {}", told.2);
    }
    for command in ["run", "swarm", "shrink", "merge"] {
        assert!(place.sim(&format!("{command} --help")).good().contains("Example"), "{command}");
    }
}

#[test]
fn a_failing_case_becomes_small_and_fails_as_before() {
    let place = Place::new("shrink");
    write_failing(&place, "x.case", "# seen today\ndrop a->b 9\nmark b->a 3\npause b 3ms..4ms\n");
    let told = place.sim("shrink x.case --out small.case").good();
    assert!(told.starts_with("O7.unfinished: ") && told.ends_with(" runs\n"), "{told}");
    assert!(told.contains(" frames, 0 decisions, "), "{told}");
    let small = place.read("small.case");
    assert!(small.contains("\nfailed O7.unfinished\n") && small.contains("# causeway "), "{small}");
    assert!(!small.contains("request") && !small.contains("sack"), "{small}");
    assert!(place.sim("run small.case").1.starts_with("O7.unfinished at "));
    // Without --out it is what is printed.
    assert_eq!(place.sim("shrink x.case").good(), small);
    let error = place.sim("shrink --seed 5").failed();
    assert_eq!(error, "causeway: --seed 5 does not fail; only what fails can be made small\n");
}

#[test]
fn shards_merge_to_what_one_run_gives() {
    let place = Place::new("merge");
    let whole = place.sim("swarm --seeds 100..130 --jobs 1 --json");
    let (whole, words) = (settled(json(&whole)), whole.1);
    assert_eq!((&whole["seeds"], &whole["complete"]), (&30.into(), &true.into()), "{words}");
    assert_eq!((&whole["range"], &whole["shard"]), (&"100..130".into(), &"0/1".into()));
    let hash = whole["hash"].as_str().unwrap();
    assert!(hash.len() == 16 && u64::from_str_radix(hash, 16).is_ok(), "{hash}");
    assert_eq!(whole["failures"], Value::Array(Vec::new()));
    for shard in 0..3 {
        let args =
            format!("swarm --seeds 100..130 --jobs 2 --shard {shard}/3 --results {shard}.json");
        let summary = place.sim(&args).good();
        assert!(summary.starts_with("10 seeds, 0 failed, "), "{summary}");
        assert!(!place.0.join(format!("{shard}.json.new")).exists());
    }
    let merged = place.sim("merge 2.json 0.json 1.json --json");
    assert_eq!((merged.0, settled(json(&merged))), (0, whole));
    let summary = place.sim("merge 2.json 0.json 1.json").good();
    assert!(summary.starts_with("30 seeds, 0 failed, ") && summary.ends_with(", complete\n"));
    // Two of three are not all.
    let some = json(&place.sim("merge 2.json 0.json --json"));
    assert_eq!((&some["complete"], &some["shard"]), (&false.into(), &"0/3+2/3".into()));
}

#[test]
fn what_is_not_of_one_campaign_is_not_merged() {
    let place = Place::new("refused");
    place.sim("swarm --seeds 0..4 --shard 0/2 --results 0.json").good();
    let object = place.read("0.json");
    let other = |from: &str, to: &str| {
        let text = object.replace(from, to);
        assert_ne!(text, object, "{from}");
        text
    };
    place.write("same.json", &object);
    place.write("commit.json", &other("\"commit\":\"", "\"commit\":\"b").replace("0/2", "1/2"));
    place.write("range.json", &other("0..4", "0..5").replace("0/2", "1/2"));
    place.write("of.json", &other("0/2", "1/4"));
    place.write("hash.json", &other("\"hash\":\"", "\"hash\":\"0"));
    place.write("many.json", &other("\"seeds\":2", "\"seeds\":5"));
    for (args, expected) in [
        ("0.json same.json", "0.json and same.json are both of shard 0/2"),
        ("0.json commit.json", "0.json is of commit "),
        ("0.json range.json", "0.json is of the seeds 0..4, range.json of 0..5"),
        ("of.json 0.json", "of.json is of shard 1/4, 0.json of 0/2: they may overlap"),
        ("hash.json", "hash.json: no results of causeway sim swarm: hash: give 16 hex digits"),
        ("many.json", "many.json: no results of causeway sim swarm: seeds: 5 are more than"),
    ] {
        let error = place.sim(&format!("merge {args}")).failed();
        assert!(error.starts_with(&format!("causeway: {expected}")), "{args}: {error}");
    }
}

#[test]
fn a_run_that_goes_on_gives_what_one_go_gives() {
    let place = Place::new("resume");
    let whole = settled(json(&place.sim("swarm --seeds 0..24 --jobs 2 --json")));
    // What a run of the first 9 seeds would have left behind, had it been one of 24.
    place.sim("swarm --seeds 0..9 --results r.json").good();
    let part = place.read("r.json").replace("0..9", "0..24");
    place.write("r.json", &part.replace("\"complete\":true", "\"complete\":false"));
    let none = json(&place.sim("swarm --seeds 0..24 --time 0s --results r.json --json"));
    assert_eq!((&none["seeds"], &none["complete"]), (&9.into(), &false.into()), "nothing is lost");
    let rest = place.sim("swarm --seeds 0..24 --jobs 2 --results r.json --json");
    assert_eq!((rest.0, settled(json(&rest))), (0, whole.clone()));
    // Nothing is left to run, and nothing is run again.
    let again = place.sim("swarm --seeds 0..24 --results r.json --json");
    assert_eq!(json(&again), json(&rest));
    assert_eq!(place.read("r.json").trim(), rest.1.lines().last().unwrap());
    for args in ["--seeds 0..25", "--seeds 0..24 --shard 0/2"] {
        let error = place.sim(&format!("swarm {args} --results r.json")).failed();
        assert!(error.contains("r.json: has results of seeds 0..24, shard 0/1, "), "{error}");
    }
    place.write("r.json", &place.read("r.json").replace("\"commit\":\"", "\"commit\":\"b"));
    assert!(place.sim("swarm --seeds 0..24 --results r.json").failed().contains("commit b"));
}

#[test]
fn failures_that_were_found_before_are_told_again_and_count() {
    let place = Place::new("failures");
    place.sim("swarm --seeds 0..4 --results r.json").good();
    let failure = r#""failures":[{"seed":3,"signature":"O1.content","words":"at 2 s:\nwrong"}]"#;
    let object = place.read("r.json").replace("\"failures\":[]", failure);
    place.write("r.json", &object);
    let told = place.sim("swarm --seeds 0..4 --results r.json --out found --json");
    assert_eq!((told.0, &json(&told)["failures"][0]["seed"]), (1, &3.into()));
    let line = "O1.content: seed 3, at 2 s: wrong; again: causeway sim run --seed 3";
    assert_eq!(told.1.lines().next(), Some(line));
    let case = place.read("found/3.case");
    assert!(case.contains("\n# O1.content, seed 3: at 2 s: wrong\n# causeway "), "{case}");
    assert_eq!(place.sim("run found/3.case").good(), place.sim("run --seed 3").good());
    let merged = place.sim("merge r.json");
    assert_eq!((merged.0, merged.1.lines().next()), (1, Some(line)));
}

#[test]
fn a_signal_ends_a_swarm_with_its_results_written() {
    let place = Place::new("signal");
    let mut command = place.command("swarm --seeds 0..1000000000 --results r.json --json");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let object = || serde_json::from_str::<Value>(&place.read("r.json")).unwrap();
    while !place.0.join("r.json").exists() || object()["seeds"] == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let told = Told::new(&child.wait_with_output().unwrap());
    assert_eq!((told.0, told.2.as_str()), (0, ""), "{}", told.1);
    let last = json(&told);
    assert_eq!((&last, &last["complete"]), (&object(), &false.into()));
    // And it goes on from there.
    let more = place.sim("swarm --seeds 0..1000000000 --time 0s --results r.json --json");
    assert_eq!(settled(json(&more)), settled(last));
}
