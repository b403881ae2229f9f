//! A fresh user and network namespace for each test.
//!
//! A test runs itself again, alone, inside `unshare -n` (as root) or `unshare -Urn` (as anybody else). Nothing
//! outside is touched: devices live and die with the namespace, the namespace with its last process, and that with the test
//! (`PR_SET_PDEATHSIG`), even if it is killed. Where a namespace cannot be had the test fails; it is never skipped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use crate::artifacts::Artifacts;
use crate::process::{Running, command, sh};

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
            Some(directory) => Self::inside(Path::new(&directory), body),
            None => outside(),
        };
        outcome.unwrap_or_else(|e| panic!("{e:#}"));
    }

    fn inside(directory: &Path, body: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        // The kernel's own IPv6 chatter tells nothing here. Where there is no IPv6 there is no file.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        sh("ip link set lo up")?;
        let lab =
            Self { artifacts: Artifacts::from_environment()?, directory: directory.to_owned() };
        body(&lab)
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
    let directory = Scratch::new()?;
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let mut inner = command("unshare");
    // Once more inside: becoming root of a user namespace may clear the signal set outside.
    inner.args([flags, "setpriv", "--pdeathsig", "KILL", "--"]);
    inner.arg(std::env::current_exe()?);
    inner.args(["--exact", &test, "--nocapture", "--test-threads=1"]);
    inner.env(INSIDE, &directory.0);
    artifacts.to_environment(&mut inner);
    inner.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = Running::start(&mut inner)?.output()?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("in `unshare {flags}`: {}\n{stdout}\n{stderr}", output.status);
    }
    ensure!(stdout.contains("1 passed"), "the test did not run inside:\n{stdout}\n{stderr}");
    Ok(())
}

/// A directory that is removed when the value is dropped. Short, because a socket's path is.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("causeway-{}-{number}", std::process::id()));
        // A killed run with the same process id may have left one behind.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
