//! `causeway serve` with everything given up that can be: it serves all the same, is told things by signals, and ends in order.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody's.
const USER: u32 = 61_234;

struct World {
    directory: PathBuf,
    daemon: Child,
}

impl World {
    /// A daemon with these further lines in `[daemon]`; it is to say `expected`.
    fn new(name: &str, lines: &str, expected: &str) -> Self {
        let directory = format!("causeway-confined-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
        let metrics = directory.join("metrics");
        let config = format!(
            "[metrics]\nlisten = {metrics:?}\n[daemon]\n{lines}\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
             addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n"
        );
        std::fs::write(directory.join("c.toml"), config).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let mut serve = Command::new(env!("CARGO_BIN_EXE_causeway"));
        serve.args(["serve", "--config", "c.toml"]).current_dir(&directory).stderr(log);
        let daemon = serve.env("CAUSEWAY_SOCKET", directory.join("s")).spawn().unwrap();
        let world = Self { directory, daemon };
        world.wait_for(expected);
        world
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap()
    }

    fn wait_for(&self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(began.elapsed() < PATIENCE, "no {text:?} in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the kernel says of each thread, by its name.
    fn threads(&self) -> Vec<String> {
        let tasks = format!("/proc/{}/task", self.daemon.id());
        let tasks = std::fs::read_dir(tasks).unwrap();
        tasks.map(|t| std::fs::read_to_string(t.unwrap().path().join("status")).unwrap()).collect()
    }

    /// Waits until every thread has these lines: the last step is the main thread's, and later than what the log says.
    fn every_thread_has(&self, lines: &[&str]) {
        let began = Instant::now();
        loop {
            let threads = self.threads();
            let has = |status: &String| lines.iter().all(|line| status.contains(line));
            if threads.len() >= 4 && threads.iter().all(has) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "not all of {lines:?} in {threads:#?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Traffic through it, and a look at it.
    fn is_served(&self) {
        for args in
            [&["ping", "-c", "2", "10.0.1.6"][..], &["bench", "msg", "--help"], &["ss"], &["stats"]]
        {
            let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
            command.args(args).env("CAUSEWAY_SOCKET", self.directory.join("s"));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{args:?}: {output:?}\n{}", self.log());
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.daemon.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn end(mut self) {
        self.signal("-TERM");
        let status = self.daemon.wait().unwrap();
        assert!(status.success(), "{status:?}\n{}", self.log());
        assert!(!self.directory.join("s").exists(), "its socket is left");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn as_another_user_without_capabilities_and_behind_a_filter_it_serves() {
    let lines = format!("user = \"{USER}:{USER}\"\n");
    let world = World::new("user", &lines, "serving");
    world.every_thread_has(&[
        &format!("Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n"),
        &format!("Gid:\t{USER}\t{USER}\t{USER}\t{USER}\n"),
        "CapPrm:\t0000000000000000\n",
        "CapEff:\t0000000000000000\n",
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
    ]);
    world.is_served();
    world.signal("-HUP");
    world.wait_for("the configuration was read again");
    world.is_served();
    world.end();
}

#[test]
fn without_another_user_its_threads_have_no_capabilities_all_the_same() {
    let world = World::new("root", "", "serving");
    world.every_thread_has(&["CapEff:\t0000000000000000\n", "Seccomp:\t2\n"]);
    world.is_served();
    world.end();
}

#[test]
fn where_the_file_says_so_nothing_is_given_up() {
    let world = World::new("open", "sandbox = false\nlock_memory = true", "serving");
    world.every_thread_has(&["Seccomp:\t0\n"]);
    assert!(!world.threads()[0].contains("VmLck:\t       0 kB"), "its memory is not locked");
    world.is_served();
    world.end();
}

/// What `serve` says when it cannot, started by the command `outer`, with these lines in `[daemon]`.
fn refusal(outer: &[&str], lines: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = format!("causeway-refused-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(directory);
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
    let config = format!(
        "[daemon]\n{lines}\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\naddresses = [\"10.0.1.5/24\"]\n"
    );
    std::fs::write(directory.join("c.toml"), config).unwrap();
    let mut serve = Command::new(outer[0]);
    serve.args(&outer[1..]);
    serve.args([env!("CARGO_BIN_EXE_causeway"), "serve", "--config", "c.toml"]);
    let output = serve.current_dir(&directory).env("CAUSEWAY_SOCKET", directory.join("s")).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!directory.join("s").exists(), "its socket is left");
    std::fs::remove_dir_all(&directory).unwrap();
    said
}

#[test]
fn what_cannot_be_given_up_is_said_with_what_to_do() {
    let id = USER.to_string();
    let other = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    let said = refusal(&other, &format!("user = \"{0}:{0}\"", USER + 1));
    assert!(said.contains(&format!("cannot become user {0}, group {0}: ", USER + 1)), "{said}");
    assert!(said.contains("start as root, or remove daemon.user"), "{said}");
    let limited = ["prlimit", "--memlock=65536:65536"];
    let said = refusal(&[&limited[..], &other[..]].concat(), "lock_memory = true");
    assert!(said.contains("cannot lock memory: "), "{said}");
    assert!(
        said.contains("raise the limit (ulimit -l, LimitMEMLOCK of a unit), or remove"),
        "{said}"
    );
    // It may lock everything now, and could lock no channel's memory later.
    let bounded = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"];
    let said = refusal(&[&limited[..], &bounded[..]].concat(), "lock_memory = true");
    assert!(
        said.contains("65536 bytes may be locked without privileges, and the daemon with 256"),
        "{said}"
    );
    assert!(said.contains("or lower channel.channels_max"), "{said}");
}
