//! Every script under `scripts/` is played, each on a host of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_conformance::run::run_script;

fn collect(directory: &Path, out: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("the directory of scripts can be read");
    for entry in entries {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            out.push(path);
        }
    }
}

fn scripts(root: &Path) -> Vec<PathBuf> {
    let mut scripts = Vec::new();
    collect(root, &mut scripts);
    scripts.sort();
    assert!(!scripts.is_empty(), "no script found: nothing would be measured");
    scripts
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn play(name: &str, text: &str) -> Result<usize, String> {
    match std::panic::catch_unwind(|| run_script(name, text)) {
        Ok(Ok(outcome)) => Ok(outcome.events),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(_) => Err(format!("{name}: the stack or the interpreter panicked")),
    }
}

/// Plays all, each as `change` makes it. How many events there were, and what failed, by name.
fn play_all(
    root: &Path,
    scripts: &[PathBuf],
    change: impl Fn(String) -> String + Sync,
) -> (usize, BTreeMap<String, String>) {
    let (next, events) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(path) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = name(root, path);
                    let text = fs::read_to_string(path).expect("a script is text");
                    match play(&name, &change(text)) {
                        Ok(count) => drop(events.fetch_add(count, Ordering::Relaxed)),
                        Err(failure) => {
                            failures.lock().expect("no holder panics").insert(name, failure);
                        }
                    }
                }
            });
        }
    });
    (events.into_inner(), failures.into_inner().expect("no holder panics"))
}

fn told(failures: &BTreeMap<String, String>) -> String {
    failures.values().cloned().collect::<Vec<_>>().join("\n")
}

/// `CAUSEWAY_SCRIPTS=word` plays only the scripts whose path has that word in it.
#[test]
fn every_script_says_what_the_stack_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut scripts = scripts(&root);
    let word = std::env::var("CAUSEWAY_SCRIPTS").unwrap_or_default();
    scripts.retain(|path| path.display().to_string().contains(&word));
    assert!(!scripts.is_empty(), "no script has {word} in its path");
    let (events, failures) = play_all(&root, &scripts, |text| text);
    println!("{} scripts played, {events} events, {} failed", scripts.len(), failures.len());
    assert!(failures.is_empty(), "{} scripts failed:\n\n{}", failures.len(), told(&failures));
}

/// Where IPv6 differs, and has to: a line a script, its path and why.
const DIFFERENT: &str = include_str!("../scripts/not-over-ipv6.txt");

/// What is said of IPv4 holds of IPv6 too: the scripts that choose no family, with the segment size of that.
#[test]
fn every_script_says_the_same_over_ipv6_but_those_that_are_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut scripts = scripts(&root);
    scripts.retain(|path| {
        !fs::read_to_string(path).expect("a script is text").contains("--ip_version")
    });
    let over_ipv6 =
        |text: String| format!("--ip_version=ipv6\n{}", text.replace("mss 1460", "mss 1440"));
    say_the_same(&root, &scripts, over_ipv6, DIFFERENT);
}

/// Plays `scripts`, each as `change` makes it: those of `listed`, a line a script with its path and why, say something else, and no
/// other does.
fn say_the_same(
    root: &Path,
    scripts: &[PathBuf],
    change: impl Fn(String) -> String + Sync,
    listed: &str,
) {
    let (_, mut failures) = play_all(root, scripts, change);
    for line in listed.lines().filter(|line| !line.starts_with('#')) {
        let (script, why) = line.split_once(": ").expect("a path and why");
        assert!(why.len() > 10, "{line}");
        assert!(failures.remove(script).is_some(), "{script} is listed, and says the same");
    }
    assert!(
        scripts.len() > 400 && failures.is_empty(),
        "{} scripts:\n\n{}",
        scripts.len(),
        told(&failures)
    );
}

/// Where a connection with the default configuration differs from the scripts' host.
const AS_SHIPPED: &str = include_str!("../scripts/not-as-shipped.txt");

/// What makes the scripts' host go by the defaults.
const SHIPPED: &str = "net.causeway.fin_ack_delayed=0";

/// The host of the scripts acknowledges as Linux does; what runs elsewhere goes by the defaults. In what else the two differ, a test
/// beside the host's settings says.
#[test]
fn every_script_says_the_same_of_the_default_configuration_but_those_that_are_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let as_shipped = |text: String| {
        let begins = |line: &str| {
            !(line.starts_with("--") || line.starts_with("//") || line.trim().is_empty())
        };
        let at = text.lines().take_while(|line| !begins(line)).map(|line| line.len() + 1).sum();
        let (head, body) = text.split_at(at);
        match body.strip_prefix('`') {
            Some(settings) => format!("{head}`sysctl -q {SHIPPED}\n{settings}"),
            None => format!("{head}`sysctl -q {SHIPPED}`\n{body}"),
        }
    };
    say_the_same(&root, &scripts(&root), as_shipped, AS_SHIPPED);
}
