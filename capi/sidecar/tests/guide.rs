//! The guide of docs/simulator.md, command for command: what it prints there is what is printed. With `CAUSEWAY_WRITE_GUIDE=1` what is
//! printed is written there.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

mod examples;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use examples::{examples, preload, root};

const TITLE: &str =
    "## From nothing to a failing seed of your own program, shrunk and explained, in ten minutes";

/// What a reader does first. Here the build is the test's, and the examples are built by [`examples()`], with the same Makefile.
const BUILD: &str = "cargo build -p causeway -p causeway-vtime\nexport PATH=$PWD/target/debug:$PATH\n\
                     cd capi/examples\nPROFILE=dev make kv";

/// What stands for lines that are left out.
const LEFT_OUT: &str = "...";

/// A fenced block: of commands (`sh`) or of what they print (`text`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    kind: String,
    /// Its lines in the section, without the fences.
    lines: std::ops::Range<usize>,
    /// In front of each line.
    indent: usize,
    text: String,
}

fn blocks(section: &str) -> Vec<Block> {
    let lines: Vec<&str> = section.lines().collect();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    for (index, line) in lines.iter().enumerate() {
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        open = match open.take() {
            None => Some((index + 1, line.len() - line.trim_start().len(), kind.to_owned())),
            Some((from, indent, kind)) => {
                let inner = lines[from..index].iter();
                let inner = inner.map(|line| line.get(indent..).unwrap_or("").to_owned());
                let text = inner.collect::<Vec<_>>().join("\n");
                blocks.push(Block { kind, lines: from..index, indent, text });
                None
            }
        };
    }
    blocks
}

/// What differs from run to run, or from commit to commit, is cut out of a line.
fn plain(line: &str) -> String {
    if line.starts_with("causeway ") && line.contains(" (commit ") {
        return format!("{}(commit ...)", line.split("(commit ").next().unwrap());
    }
    let part = |part: &str| {
        if part.ends_with(" CPU s") { "* CPU s".to_owned() } else { part.to_owned() }
    };
    line.trim_end().split(", ").map(part).collect::<Vec<_>>().join(", ")
}

/// A line without its numbers.
fn shape(line: &str) -> String {
    let word = |word: &str| {
        if word.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// The first line of the guide that is not in the output where it should be.
fn difference(guide: &str, output: &str) -> Option<String> {
    let mut real = output.lines().map(plain);
    let mut any = false;
    for line in guide.lines() {
        if line.trim() == LEFT_OUT {
            any = true;
            continue;
        }
        let is_there = if any || guide.contains(LEFT_OUT) {
            real.any(|other| other == plain(line))
        } else {
            real.next() == Some(plain(line))
        };
        if !is_there {
            return Some(line.to_owned());
        }
    }
    let rest = real.next().filter(|_| !guide.contains(LEFT_OUT));
    rest.map(|line| format!("(nothing), where it prints {line}"))
}

/// The output as the guide would show it: of a block with lines left out those that look like the ones that are there.
fn anew(guide: &str, output: &str) -> String {
    let told = |line: &str| {
        if line.starts_with("causeway ") { plain(line) } else { line.trim_end().to_owned() }
    };
    if !guide.contains(LEFT_OUT) {
        return output.lines().map(told).collect::<Vec<_>>().join("\n");
    }
    let mut real = output.lines();
    let like =
        |line: &str| {
            if line.trim() == LEFT_OUT {
                return line.to_owned();
            }
            let (exact, similar) = (plain(line), shape(line));
            let mut rest = real.clone();
            if rest.any(|other| plain(other) == exact) {
                real = rest;
                return line.to_owned();
            }
            let found = real.find(|other| shape(other) == similar);
            told(found.unwrap_or_else(|| {
                panic!("nothing that is printed looks like `{line}`:\n{output}")
            }))
        };
    guide.lines().map(like).collect::<Vec<_>>().join("\n")
}

/// A directory as `capi/examples` is after the first block, with nothing found yet.
fn directory() -> PathBuf {
    let place =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("guide-{}", std::process::id()));
    fs::create_dir_all(place.join("bin")).unwrap();
    for file in ["kv.toml", "kv_fixed.toml"] {
        fs::copy(examples().join(file), place.join(file)).unwrap();
    }
    symlink(examples().join("build"), place.join("build")).unwrap();
    symlink(env!("CARGO_BIN_EXE_causeway"), place.join("bin/causeway")).unwrap();
    place
}

/// What the commands of a block print on standard output, an empty line between each two.
fn output(commands: &str, directory: &Path) -> String {
    let mut printed = Vec::new();
    for line in commands.lines() {
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-c", line]).current_dir(directory).env_remove("CAUSEWAY_LOG");
        shell.env("PATH", format!("{}/bin:{path}", directory.display()));
        let output = shell.env("CAUSEWAY_VTIME_LIBRARY", preload()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.is_empty(), "{line}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        printed.extend(Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()));
    }
    printed.join("\n\n")
}

/// The seed of the first line of a swarm.
fn first_seed(output: &str) -> Option<&str> {
    output.split_once(": seed ")?.1.split(',').next()
}

/// What the words of step 4 tell has to be what the case of step 3 does.
fn story(section: &str, case: &str) -> String {
    let decisions = case.lines().filter(|line| line.contains("->") && !line.starts_with('|'));
    let [line] = decisions.collect::<Vec<_>>()[..] else {
        panic!("another story than step 4 tells: {case}")
    };
    let span = line.strip_prefix("partition a->b ").and_then(|span| span.split_once(".."));
    let ms = |text: &str| text.strip_suffix("ms").and_then(|number| number.parse::<u64>().ok());
    let length = span.and_then(|(from, until)| Some(ms(until)? - ms(from)?));
    let length = length.unwrap_or_else(|| panic!("another story than step 4 tells: {line}"));
    let (before, rest) = section.split_once("For ").unwrap();
    let (_, after) = rest.split_once(" ms nothing of host a reaches host b").unwrap();
    format!("{before}For {length} ms nothing of host a reaches host b{after}")
}

/// The section with everything that the commands print now.
fn followed(section: &str, directory: &Path) -> (String, Vec<String>) {
    let mut section = section.to_owned();
    let (mut wrong, mut seed) = (Vec::new(), "2".to_owned());
    let count = blocks(&section).len();
    for index in 1..count {
        let all = blocks(&section);
        if all[index].kind != "sh" {
            continue;
        }
        let printed = output(&all[index].text, directory);
        let told = all.get(index + 1).filter(|next| next.kind == "text");
        let told = told
            .unwrap_or_else(|| panic!("the guide does not show what {} prints", all[index].text));
        if let Some(line) = difference(&told.text, &printed) {
            wrong.push(format!(
                "{}\nthe guide has: {line}\nit prints:\n{printed}\n",
                all[index].text
            ));
        }
        let pad = " ".repeat(told.indent);
        let new = anew(&told.text, &printed);
        let new = new.lines().map(|line| format!("{pad}{line}").trim_end().to_owned());
        let mut lines: Vec<String> = section.lines().map(str::to_owned).collect();
        lines.splice(told.lines.clone(), new);
        section = lines.join("\n") + "\n";
        if all[index].text.contains("--out found") {
            let found = first_seed(&printed).expect("the swarm finds the bug").to_owned();
            section = section.replace(&format!("found/{seed}."), &format!("found/{found}."));
            seed = found;
        }
        if all[index].text.starts_with("tail ") {
            let told = story(&section, &printed);
            if told != section {
                wrong.push("step 4 tells another length of the partition".to_owned());
            }
            section = told;
        }
    }
    (section, wrong)
}

#[test]
fn the_guide_prints_what_it_says() {
    let path = root().join("docs/simulator.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(TITLE).expect("the guide has its title");
    let (section, after) = rest.split_at(rest.find("\n## ").expect("something follows") + 1);
    let all = blocks(section);
    assert_eq!((all[0].kind.as_str(), all[0].text.as_str()), ("sh", BUILD));
    let directory = directory();
    let (now, wrong) = followed(section, &directory);
    fs::remove_dir_all(&directory).unwrap();
    if std::env::var_os("CAUSEWAY_WRITE_GUIDE").is_some() {
        fs::write(&path, format!("{before}{TITLE}{now}{after}")).unwrap();
        return;
    }
    let advice = "CAUSEWAY_WRITE_GUIDE=1 cargo test -p causeway --test guide writes it anew";
    assert!(
        wrong.is_empty(),
        "docs/simulator.md is not true any more ({advice}):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn what_differs_is_found_and_written() {
    let real = "a 1\nb 22\nc, 0.7 CPU s, d\ncauseway 0.1.0 (commit abc)\n";
    assert_eq!(difference("a 1\nb 22\nc, 9.1 CPU s, d\ncauseway 0.1.0 (commit ...)", real), None);
    assert_eq!(difference("a 1\nb 23\n", real).as_deref(), Some("b 23"));
    assert_eq!(
        difference("a 1\nb 22", real).as_deref(),
        Some("(nothing), where it prints c, * CPU s, d")
    );
    assert_eq!(difference("a 1\n...\nc, 1 CPU s, d", real), None);
    assert_eq!(difference("...\nb 22\na 1", real).as_deref(), Some("a 1"));
    assert_eq!(anew("a 1\n...\nb 7", real), "a 1\n...\nb 22");
    assert_eq!(anew("x", "y 1\nz"), "y 1\nz");
    let section = "For 301 ms nothing of host a reaches host b.";
    assert_eq!(story(section, "| run\npartition a->b 5ms..7ms\n"), section.replace("301", "2"));
    let found = blocks("1. x\n\n   ```sh\n   ls\n\n   cat\n   ```\n\n```text\no\n```\n");
    assert_eq!(
        (found[0].text.as_str(), found[0].lines.clone(), found[1].text.as_str()),
        ("ls\n\ncat", 3..6, "o")
    );
}
