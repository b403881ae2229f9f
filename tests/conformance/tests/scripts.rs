//! Every script under `scripts/` is played, each on a host of its own.

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

fn play(root: &Path, path: &Path) -> Result<usize, String> {
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let played = std::panic::catch_unwind(|| run_script(&name, &text));
    match played {
        Ok(Ok(outcome)) => Ok(outcome.events),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(_) => Err(format!("{name}: the stack or the interpreter panicked")),
    }
}

/// `CAUSEWAY_SCRIPTS=word` plays only the scripts whose path has that word in it.
#[test]
fn every_script_says_what_the_stack_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut scripts = Vec::new();
    collect(&root, &mut scripts);
    let word = std::env::var("CAUSEWAY_SCRIPTS").unwrap_or_default();
    scripts.retain(|path| path.display().to_string().contains(&word));
    scripts.sort();
    assert!(!scripts.is_empty(), "no script found: nothing would be measured");
    let (next, events) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(path) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match play(&root, path) {
                        Ok(count) => drop(events.fetch_add(count, Ordering::Relaxed)),
                        Err(failure) => failures.lock().expect("no holder panics").push(failure),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no holder panics");
    failures.sort();
    let events = events.into_inner();
    println!("{} scripts played, {events} events, {} failed", scripts.len(), failures.len());
    assert!(failures.is_empty(), "{} scripts failed:\n\n{}", failures.len(), failures.join("\n"));
}
