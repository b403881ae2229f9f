//! A daemon of a test's own, and programs that use it.
#![allow(dead_code, reason = "each test program takes what it needs")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Far more than anything here takes, even on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Two addresses and no network.
pub const LOOPBACK: &str = "[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
                            addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n";

/// A daemon in a directory of its own. Both go away.
pub struct Served {
    pub directory: PathBuf,
    daemon: Child,
}

/// A program that is killed when the test is over.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Served {
    /// Serves `config`, as soon as this returns.
    pub fn new(name: &str, config: &str) -> Self {
        let directory = format!("causeway-served-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("c.toml"), config).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let mut serve = Command::new(env!("CARGO_BIN_EXE_causeway"));
        serve.args(["serve", "--config", "c.toml"]).current_dir(&directory).stderr(log);
        serve.env("CAUSEWAY_SOCKET", directory.join("s")).env_remove("CAUSEWAY_LOG");
        let daemon = serve.spawn().unwrap();
        let served = Self { directory, daemon };
        served.wait_for("log", "serving");
        served
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command.args(args).current_dir(&self.directory).env_remove("CAUSEWAY_LOG");
        command.env("CAUSEWAY_SOCKET", self.directory.join("s")).stdin(Stdio::null());
        command
    }

    /// What a tool prints; it must have succeeded.
    pub fn told(&self, args: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(args).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert!(status.success() && said.is_empty(), "{args:?}: {said}");
        String::from_utf8(stdout).unwrap()
    }

    /// A program that runs on, with a stdin that stays open.
    pub fn start(&self, name: &str, args: &[&str]) -> Running {
        let log = File::create(self.directory.join(name)).unwrap();
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        Running(command.spawn().unwrap())
    }

    pub fn wait_for(&self, log: &str, text: &str) {
        wait(|| fs::read_to_string(self.directory.join(log)).unwrap_or_default().contains(text));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Waits until `is_so`.
#[track_caller]
pub fn wait(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
