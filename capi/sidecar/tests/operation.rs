//! The daemon as a service manager has it: what it tells, what it reads again, what the watchdog sees.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the manager allows between two signs of life.
const WATCHDOG: Duration = Duration::from_millis(300);
/// A silence that is no accident.
const SILENCE: Duration = Duration::from_millis(3_000);

const CONFIG: &str = "[daemon]\nlog = \"info\"\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
                      addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n";

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.env_remove("CAUSEWAY_LOG");
    command
}

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let directory = format!("causeway-operation-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A service manager with one service.
struct Manager {
    place: Scratch,
    notify: UnixDatagram,
    daemon: Child,
}

impl Manager {
    fn start(name: &str, config: &str) -> Self {
        let place = Scratch::new(name);
        place.file("c.toml", config);
        let notify = UnixDatagram::bind(place.0.join("notify")).unwrap();
        notify.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut serve = binary();
        serve.args(["serve", "--config", "c.toml"]).current_dir(&place.0);
        serve
            .env("CAUSEWAY_SOCKET", place.0.join("s"))
            .env("NOTIFY_SOCKET", place.0.join("notify"));
        serve.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let daemon = serve.stderr(Stdio::piped()).spawn().unwrap();
        Self { place, notify, daemon }
    }

    /// What it is told next, within the socket's short patience.
    fn told(&self) -> Option<String> {
        let mut bytes = [0; 256];
        let len = self.notify.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..len].to_vec()).unwrap())
    }

    /// Waits until it is told something that begins with `state`.
    fn wait_for(&self, state: &str) {
        let began = Instant::now();
        while !self.told().is_some_and(|told| told.starts_with(state)) {
            assert!(began.elapsed() < PATIENCE, "nothing was told that begins with {state}");
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// A thread that reads the log to its end.
    fn log(&mut self) -> Log {
        Log::of(self.daemon.stderr.take().unwrap())
    }

    fn causeway(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command.args(args).env("CAUSEWAY_SOCKET", self.place.0.join("s"));
        command
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

struct Log {
    pieces: Receiver<Vec<u8>>,
    text: String,
}

impl Log {
    fn of(mut stderr: ChildStderr) -> Self {
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 4096];
            while let Ok(len @ 1..) = stderr.read(&mut bytes) {
                let _ = sender.send(bytes[..len].to_vec());
            }
        });
        Self { pieces, text: String::new() }
    }

    /// Waits for a line with all of `words`; what comes next is looked for behind it.
    fn wait_for(&mut self, words: &[&str]) {
        let began = Instant::now();
        let is_it = |line: &str| words.iter().all(|word| line.contains(word));
        loop {
            let whole = self.text.rfind('\n').map_or(0, |end| end + 1);
            if let Some(line) = self.text[..whole].lines().find(|line| is_it(line)) {
                let end = self.text.find(line).unwrap() + line.len() + 1;
                self.text.drain(..end);
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no line with {words:?} in:\n{}", self.text);
            if let Ok(piece) = self.pieces.recv_timeout(Duration::from_millis(50)) {
                self.text.push_str(&String::from_utf8_lossy(&piece));
            }
        }
    }
}

fn outcome(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_manager_is_told_of_readiness_life_reloading_and_the_end() {
    let mut manager = Manager::start("told", CONFIG);
    let _log = manager.log();
    manager.wait_for("READY=1");
    let ping = manager.causeway(&["ping", "-c", "1", "10.0.1.5"]).output().unwrap();
    assert!(ping.status.success(), "ready means that applications can attach: {ping:?}");
    // More than once, although nothing happens.
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    manager.signal(Signal::HUP);
    manager.wait_for("RELOADING=1\nMONOTONIC_USEC=");
    manager.wait_for("READY=1");
    manager.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    assert!(manager.daemon.wait().unwrap().success());
}

/// The engine hangs where it writes its log: nobody reads it, and it is full.
#[test]
fn an_engine_that_hangs_feeds_the_watchdog_no_more() {
    let config = CONFIG.replace("\"info\"", "\"trace\"");
    let mut manager = Manager::start("hangs", &config);
    let stderr = manager.daemon.stderr.as_ref().unwrap();
    rustix::pipe::fcntl_setpipe_size(stderr, 4096).unwrap();
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    let mut calls = Vec::new();
    let (began, mut fed) = (Instant::now(), Instant::now());
    while fed.elapsed() < SILENCE {
        assert!(began.elapsed() < PATIENCE, "it is fed although the engine hangs");
        // Each connection that is refused is told in several lines, by the engine itself.
        if calls.len() < 40 {
            let mut call = manager.causeway(&["nc", "10.0.1.5", "7999"]);
            call.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            calls.push(call.spawn().unwrap());
        }
        if manager.told().is_some() {
            fed = Instant::now();
        }
    }
    let _log = manager.log();
    manager.wait_for("WATCHDOG=1");
    for call in &mut calls {
        let _ = call.kill();
        call.wait().unwrap();
    }
}

#[test]
fn a_reload_changes_what_can_change_tells_the_rest_and_refuses_a_bad_file() {
    let mut manager = Manager::start("reload", CONFIG);
    let mut log = manager.log();
    log.wait_for(&["serving"]);
    let reload = |text: &str| {
        manager.place.file("c.toml", text);
        manager.signal(Signal::HUP);
    };
    let good = CONFIG.replace("\"info\"", "\"debug\"\nspin_us = 7\nsocket_mode = \"660\"");
    reload(&good);
    log.wait_for(&[
        "changed",
        "key=\"daemon.log\"",
        "from=\"\\\"info\\\"\"",
        "to=\"\\\"debug\\\"\"",
    ]);
    log.wait_for(&["changed", "key=\"daemon.spin_us\"", "to=\"7\""]);
    log.wait_for(&["WARN", "needs a restart", "key=\"daemon.socket_mode\"", "(not given)"]);
    log.wait_for(&["read again", "changed=2", "needs_restart=1"]);
    // The stack's own events are told now: they were not even kept before.
    let mut listener = manager.causeway(&["nc", "--listen", "10.0.1.5", "7000"]);
    let mut listener = listener.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mut sent = false;
    for _ in 0..600 {
        let mut nc = manager.causeway(&["nc", "10.0.1.5", "7000"]);
        let nc = nc.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null()).status();
        sent = nc.unwrap().success();
        if sent {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(sent && listener.wait().unwrap().success());
    log.wait_for(&["DEBUG", "opened", "10.0.1.5:7000"]);

    reload("[daemon]\nspin_us = 8\nlog = 5\n");
    log.wait_for(&["ERROR", "nothing is changed", "c.toml:3: daemon.log"]);
    reload(&good.replace("[[interface]]", "[tcp]\nrto_ms_min = 50\n[[interface]]"));
    log.wait_for(&["changed", "key=\"tcp.rto_ms_min\"", "from=\"(not given)\"", "to=\"50\""]);
    // The bad file changed nothing: there is nothing to be told of spin_us.
    log.wait_for(&["read again", "changed=1", "needs_restart=1"]);
    reload(CONFIG);
    log.wait_for(&["read again", "changed=3", "needs_restart=0"]);
    let ping = manager.causeway(&["ping", "-c", "1", "10.0.1.5"]).output().unwrap();
    assert!(ping.status.success(), "it serves as before: {ping:?}");
}

#[test]
fn a_configuration_is_checked_without_a_daemon() {
    let place = Scratch::new("check");
    let check = |file: &Path| {
        let by_name = |args: &[&str]| outcome(&binary().args(args).arg(file).output().unwrap());
        let checked = by_name(&["config", "check"]);
        assert_eq!(checked, by_name(&["serve", "--check", "--config"]));
        checked
    };
    assert_eq!(check(&place.file("good.toml", CONFIG)), (Some(0), String::new(), String::new()));
    let bad = place.file("bad.toml", &CONFIG.replace("log = \"info\"", "spin_us = -1"));
    let (code, out, said) = check(&bad);
    assert_eq!((code, out.as_str(), said.lines().count()), (Some(1), "", 1), "{said}");
    assert!(said.contains("bad.toml:2: daemon.spin_us: -1 is out of range"), "{said}");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/causeway.toml");
    assert_eq!(check(&example).0, Some(0));
}

#[test]
fn a_notify_socket_that_is_none_is_one_clear_error() {
    let place = Scratch::new("none");
    let config = place.file("c.toml", CONFIG);
    let mut serve = binary();
    serve.arg("serve").arg("--config").arg(config).env("CAUSEWAY_SOCKET", place.0.join("s"));
    let (code, _, said) = outcome(&serve.env("NOTIFY_SOCKET", "here").output().unwrap());
    assert_eq!(code, Some(1));
    assert_eq!(said, "causeway: NOTIFY_SOCKET is \"here\", no path of a unix socket; unset it\n");
}

#[test]
fn pages_and_completions_name_every_command_and_every_key() {
    let place = Scratch::new("generate");
    let made = binary().arg("generate").arg(&place.0).output().unwrap();
    assert_eq!(outcome(&made), (Some(0), String::new(), String::new()));
    let read = |name: &str| fs::read_to_string(place.0.join(name)).unwrap();
    let help = outcome(&binary().arg("--help").output().unwrap()).1;
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> =
        commands.lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.contains(&"serve") && commands.contains(&"config"), "{commands:?}");
    for command in commands.iter().filter(|name| !name.is_empty() && **name != "help") {
        let page = read(&format!("man1/causeway-{command}.1"));
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
        for shell in ["causeway.bash", "_causeway", "causeway.fish"] {
            assert!(read(&format!("completions/{shell}")).contains(command), "{shell}: {command}");
        }
    }
    assert!(read("man1/causeway.1").contains("CAUSEWAY_SOCKET"));
    let page = read("man5/causeway.toml.5");
    for key in ["spin_us", "addresses", "rto_ms_min", "msg_max", "channels_max"] {
        assert!(page.contains(&format!("\\fB{key}\\fR = ")), "{key}");
    }
    assert!(!page.contains("|---"), "a table was not understood");
}
