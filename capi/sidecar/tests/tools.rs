//! The binary as its users have it: processes, pipes, signals.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

fn causeway(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.args(args).current_dir(directory).env("CAUSEWAY_SOCKET", directory.join("s"));
    command.env_remove("CAUSEWAY_LOG");
    command
}

struct World {
    directory: PathBuf,
    daemon: Child,
}

impl World {
    fn new(name: &str) -> Self {
        Self::under(&[], name)
    }

    /// A daemon that the command `outer` starts.
    fn under(outer: &[&str], name: &str) -> Self {
        let directory = format!("causeway-tools-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir(&directory).unwrap();
        let config = "[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
                      addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n";
        std::fs::write(directory.join("c.toml"), config).unwrap();
        let log = File::create(directory.join("log")).unwrap();
        let serve = ["serve", "--config", "c.toml"];
        let mut serve = match outer {
            [] => causeway(&directory, &serve),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(env!("CARGO_BIN_EXE_causeway")).args(serve);
                command.current_dir(&directory).env("CAUSEWAY_SOCKET", directory.join("s"));
                command
            }
        };
        let daemon = serve.stderr(log).spawn().unwrap();
        let world = Self { directory, daemon };
        world.wait_for("log", "serving");
        world
    }

    fn run(&self, args: &[&str]) -> Command {
        causeway(&self.directory, args)
    }

    /// Starts a listener and waits until it listens.
    fn listener(&self, name: &str, args: &[&str]) -> Child {
        self.listener_with(name, args, Stdio::null())
    }

    fn listener_with(&self, name: &str, args: &[&str], stdin: Stdio) -> Child {
        let log = File::create(self.directory.join(name)).unwrap();
        let mut command = self.run(args);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(log);
        let child = command.spawn().unwrap();
        self.wait_for(name, "listening on");
        child
    }

    fn wait_for(&self, log: &str, text: &str) {
        let began = Instant::now();
        loop {
            let read = std::fs::read_to_string(self.directory.join(log)).unwrap_or_default();
            if read.contains(text) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "no {text:?} in:\n{read}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // It may be dead already: that is what some tests are about.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn wait(child: &mut Child) -> i32 {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        assert!(began.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Sends `bytes` from one nc to another and returns what came out.
fn transfer(world: &World, listen: &[&str], connect: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut listener = world.listener("listener", listen);
    let mut client = world.run(connect).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = client.stdin.take().unwrap();
    let sent = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let mut got = Vec::new();
    listener.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    writing.join().unwrap();
    assert_eq!((wait(&mut client), wait(&mut listener)), (0, 0));
    got
}

#[test]
fn nc_pipes_a_stream_and_messages_from_process_to_process() {
    let world = World::new("nc");
    let bytes: Vec<u8> = (0..5_000_003_u32).map(|i| (i * 31 % 251) as u8).collect();
    let listen = ["nc", "--listen", "10.0.1.5", "7000"];
    assert!(transfer(&world, &listen, &["nc", "10.0.1.5", "7000"], &bytes) == bytes);
    let listen = ["nc", "--listen", "--message", "10.0.1.5", "7001"];
    let connect = ["nc", "--message", "--local", "10.0.1.6", "10.0.1.5", "7001"];
    assert!(transfer(&world, &listen, &connect, &bytes) == bytes);
}

#[test]
fn a_killed_client_leaves_nothing_behind_and_its_peer_is_told() {
    let world = World::new("kill");
    let listen = ["nc", "--listen", "10.0.1.5", "7000"];
    let mut listener = world.listener_with("listener", &listen, Stdio::piped());
    let mut connect = world.run(&["nc", "10.0.1.5", "7000"]);
    let mut client = connect.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    client.stdin.as_mut().unwrap().write_all(b"half a sen").unwrap();
    let mut got = [0; 10];
    listener.stdout.as_mut().unwrap().read_exact(&mut got).unwrap();
    // The answer acknowledges the question: a client that owes nothing is reset, one that does is closed.
    listener.stdin.as_mut().unwrap().write_all(b"?").unwrap();
    client.stdout.as_mut().unwrap().read_exact(&mut got[..1]).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(wait(&mut listener), 1, "a conversation that was cut off is a failure");
    world.wait_for("log", "detached");
    let ping = world.run(&["ping", "-c", "1", "10.0.1.6"]).output().unwrap();
    assert!(ping.status.success(), "{:?}", text(&ping));
}

#[test]
fn a_killed_daemon_ends_its_clients_with_one_line() {
    let mut world = World::new("daemon");
    let listener = world.listener("listener", &["nc", "--listen", "10.0.1.5", "7000"]);
    world.daemon.kill().unwrap();
    world.daemon.wait().unwrap();
    let mut listener = listener;
    assert_eq!(wait(&mut listener), 1);
    world.wait_for("listener", "the daemon is gone");
    let late = world.run(&["ping", "-c", "1", "10.0.1.6"]).output().unwrap();
    let (_, said) = text(&late);
    assert_eq!(late.status.code(), Some(1));
    assert!(said.starts_with("causeway: ") && said.lines().count() == 1, "{said}");
    assert!(said.contains("causeway serve"), "it says what to do: {said}");
}

#[test]
fn a_client_of_another_pid_namespace_is_served() {
    let world = World::under(&["unshare", "-Urpf", "--kill-child"], "namespace");
    let output = world.run(&["ping", "-c", "1", "10.0.1.6"]).output().unwrap();
    assert!(output.status.success(), "{:?}", text(&output));
    let log = std::fs::read_to_string(world.directory.join("log")).unwrap();
    assert!(log.contains("attached") && log.contains("pid=0"), "{log}");
}

#[test]
fn ping_prints_a_line_for_each_reply_and_a_summary() {
    let world = World::new("ping");
    let args = ["ping", "-c", "3", "-i", "0.01", "-s", "100", "10.0.1.6"];
    let output = world.run(&args).output().unwrap();
    let (out, _) = text(&output);
    assert!(output.status.success());
    assert_eq!(out.matches("108 bytes from 10.0.1.6: icmp_seq=").count(), 3, "{out}");
    assert!(out.contains("3 requests sent, 3 replies, 0% lost"), "{out}");
    let nowhere = world.run(&["ping", "-c", "1", "192.0.2.1"]).output().unwrap();
    let (_, said) = text(&nowhere);
    assert_eq!(nowhere.status.code(), Some(1));
    assert_eq!(said, "causeway: 192.0.2.1 cannot be asked: the daemon has no route to it\n");
}

#[test]
fn sigterm_ends_the_daemon_gracefully() {
    let mut world = World::new("term");
    let pid = rustix::process::Pid::from_raw(world.daemon.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(wait(&mut world.daemon), 0);
    assert!(!world.directory.join("s").exists(), "the socket's file is gone");
}

#[test]
fn a_filter_that_is_none_ends_the_daemon_before_it_begins_with_one_line() {
    let directory = std::env::temp_dir().join(format!("causeway-filter-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let config =
        "[[interface]]\nname = \"a\"\nbackend = \"loopback\"\naddresses = [\"10.0.1.5/24\"]\n";
    std::fs::write(directory.join("c.toml"), config).unwrap();
    for command in [&["serve", "--config", "c.toml"][..], &["demo"]] {
        let mut child = causeway(&directory, command)
            .env("CAUSEWAY_LOG", "bad=filter=x")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A daemon that started would serve for ever.
        let code = wait(&mut child);
        let (_, said) = text(&child.wait_with_output().unwrap());
        assert_eq!(code, 1, "{said}");
        assert!(
            said.starts_with("causeway: CAUSEWAY_LOG is no filter: give error, warn"),
            "{said}"
        );
        assert!(said.contains("\"bad=filter=x\""), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn wrong_input_is_one_clear_error() {
    let directory = std::env::temp_dir().join(format!("causeway-wrong-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("bad.toml"), "[daemon]\nspin_ms = 4\n").unwrap();
    let run = |args: &[&str]| {
        let output = causeway(&directory, args).output().unwrap();
        let (out, said) = text(&output);
        (output.status.code(), out, said)
    };
    let (code, _, said) = run(&["serve", "--config", "bad.toml"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        "causeway: bad.toml:2: daemon.spin_ms: unknown key; the keys here are socket, \
         socket_mode, socket_owner, busy_poll, spin_us, log, user, sandbox, lock_memory, log_format\n"
    );
    assert_eq!(run(&["nc", "10.0.1.5"]).0, Some(2), "wrong usage");
    let (code, _, said) = run(&["nc", "10.0.1.5", "0"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("port 0 is nobody's: give the peer's port, 1 to 65535"), "{said}");
    assert!(said.contains("Usage: causeway nc"), "the usage of nc itself: {said}");
    for out in ["/proc/x", "/dev/null"] {
        let (code, _, said) = run(&["demo", "--out", out]);
        assert_eq!(code, Some(1));
        assert!(said.starts_with(&format!("causeway: {out}: cannot write here: ")), "{said}");
        assert!(said.ends_with("; give a directory of your own with --out\n"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (code, out, _) = run(&[]);
    assert_eq!(code, Some(0));
    assert!(out.contains("  version  Print the versions"), "{out}");
    assert!(out.contains("Usage: causeway"), "{out}");
    for command in ["serve", "demo", "sim", "ping", "nc", "version"] {
        let (code, out, _) = run(&[command, "--help"]);
        assert_eq!(code, Some(0));
        assert!(out.contains("Usage: causeway"), "{out}");
    }
    assert!(run(&["version"]).1.starts_with("causeway "));
    std::fs::remove_dir_all(&directory).unwrap();
}
