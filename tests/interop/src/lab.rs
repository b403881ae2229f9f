//! A fresh user and network namespace for each test.
//!
//! A test runs itself again, alone, inside `unshare -n` (as root) or `unshare -Urn` (as anybody else). Nothing
//! outside is touched: devices live and die with the namespace, the namespace with its last process, and that with the test
//! (`PR_SET_PDEATHSIG`), even if it is killed. Where a namespace cannot be had the test fails; it is never skipped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::artifacts::Artifacts;
use crate::process::{PATIENCE, Running, command, sh};

const INSIDE: &str = "CAUSEWAY_INTEROP_LAB";

/// What a test has: a network namespace to itself, the built programs, and a directory that goes away.
#[derive(Debug)]
pub struct Lab {
    /// The programs under test.
    pub artifacts: Artifacts,
    directory: PathBuf,
}

impl Lab {
    /// Runs `body` in a lab; panics, as a test does, with all that its process printed when it fails.
    pub fn run(body: impl FnOnce(&Self) -> Result<()>) {
        let outcome = match std::env::var_os(INSIDE) {
            Some(_) => Self::around_us().and_then(|lab| body(&lab)),
            None => outside(),
        };
        outcome.unwrap_or_else(|e| panic!("{e:#}"));
    }

    /// The lab that this process is in, as [`enclosed`] started it.
    pub fn around_us() -> Result<Self> {
        let directory = std::env::var_os(INSIDE).context("not inside a lab")?;
        // The kernel's own IPv6 chatter tells nothing here. Where there is no IPv6 there is no file.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        sh("ip link set lo up")?;
        Ok(Self { artifacts: Artifacts::from_environment()?, directory: directory.into() })
    }

    /// Getter: a path for a file of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Starts the lab around this test and waits for it.
fn outside() -> Result<()> {
    let artifacts = Artifacts::build()?;
    let test = std::thread::current().name().context("test threads are named")?.to_owned();
    let output = {
        let arguments = ["--exact", &test, "--nocapture", "--test-threads=1"];
        enclosed(&artifacts, &arguments, PATIENCE)?
    };
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "in its namespace: {}\n{stdout}\n{stderr}", output.status);
    ensure!(stdout.contains("1 passed"), "the test did not run inside:\n{stdout}\n{stderr}");
    Ok(())
}

/// Runs this program with `arguments` in a fresh lab, to its end.
pub fn enclosed(artifacts: &Artifacts, arguments: &[&str], patience: Duration) -> Result<Output> {
    let directory = Scratch::new()?;
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let mut inner = command("unshare");
    // Once more inside: becoming root of a user namespace may clear the signal set outside.
    inner.args([flags, "setpriv", "--pdeathsig", "KILL", "--"]);
    inner.arg(std::env::current_exe()?).args(arguments);
    inner.env(INSIDE, &directory.path);
    artifacts.to_environment(&mut inner);
    inner.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Running::start(&mut inner)?.output_within(patience)
}

/// A directory that is removed when the value is dropped. Short, because a socket's path is.
///
/// Whoever is killed leaves his behind, unlocked: the next one removes it.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    _lock: File,
}

const PREFIX: &str = "causeway-lab-";
const LOCK: &str = "lock";

impl Scratch {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => {}
                // Another process namespace has the same numbers.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e).with_context(|| path.display().to_string()),
            }
            let lock = File::create(path.join(LOCK))?;
            // Somebody who looks for abandoned ones may have been quicker: then it is his to remove.
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(Self { path, _lock: lock });
            }
        }
    }
}

/// Removes the directories whose owners are gone. One that is only just being made has no lock file yet.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        // Another user's cannot be removed; he will do it himself.
        if ours && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_lives_as_long_as_its_owner_and_not_longer() {
        let mine = Scratch::new().expect("a directory");
        let abandoned = std::env::temp_dir().join(format!("{PREFIX}gone-{}", std::process::id()));
        std::fs::create_dir(&abandoned).expect("a directory");
        File::create(abandoned.join(LOCK)).expect("a file");
        let other = Scratch::new().expect("a directory");
        assert!(!abandoned.exists());
        assert!(mine.path.exists());
        let path = other.path.clone();
        drop(other);
        assert!(!path.exists());
    }
}
