//! What `kill -9` of an application leaves in the daemon: nothing, within a second.
//!
//! The daemon runs in this process, so that its channels can be counted; the application is a process of its own.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_client::{Channel, EndReason, OsEnv, ReadError, RecvError, TcpListener, Wait};
use causeway_server::config::Config;
use causeway_server::daemon::Daemon;

/// What is promised, and not a multiple of it.
const PROMISED: Duration = Duration::from_secs(1);
/// For what is not measured: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
const CLIENTS: usize = 3;

struct World {
    directory: PathBuf,
    daemon: Option<Daemon>,
}

impl World {
    fn new() -> Self {
        let directory = format!("causeway-killed-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let text = format!(
            "[daemon]\nsocket = {:?}\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
             addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n",
            directory.join("s")
        );
        let daemon = Daemon::start(&Config::parse("test", &text).unwrap()).unwrap();
        Self { directory, daemon: Some(daemon) }
    }

    fn channels(&self) -> usize {
        self.daemon.as_ref().map_or(0, Daemon::channels)
    }

    fn nc(&self, args: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
        command.arg("nc").args(args).env("CAUSEWAY_SOCKET", self.directory.join("s"));
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"half a sentence").unwrap();
        child
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.daemon = None;
        std::fs::remove_dir(&self.directory).unwrap();
    }
}

/// Mappings of shared memory in this process.
fn mappings() -> usize {
    let maps = std::fs::read_to_string(Path::new("/proc/self/maps")).unwrap();
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}

fn wait_until(patience: Duration, what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < patience, "{what} takes longer than {patience:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_process_is_gone_within_a_second_with_its_memory_and_its_sockets() {
    let world = World::new();
    let staying = Channel::attach_in(Arc::new(OsEnv::with_socket(world.directory.join("s"))));
    let staying = staying.unwrap();
    let listener = TcpListener::bind(&staying, "10.0.1.5:7000".parse().unwrap(), 8).unwrap();
    staying.listen_messages("10.0.1.5:5000".parse().unwrap()).unwrap();
    assert_eq!(world.channels(), 1);
    let before = mappings();
    assert!(before > 0, "a channel's memory is seen");

    let mut killed: Vec<Child> = (0..CLIENTS).map(|_| world.nc(&["10.0.1.5", "7000"])).collect();
    killed.push(world.nc(&["--message", "--size", "4", "--wait", "10.0.1.5", "5000"]));
    let mut buffer = [0; 64];
    let accepted: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let stream = listener.accept(Wait::Forever).unwrap();
            assert_eq!(stream.read(&mut buffer, Wait::Forever), Ok(15));
            stream
        })
        .collect();
    staying.recv(&mut buffer, Wait::Forever).unwrap();
    wait_until(PATIENCE, "attaching", || world.channels() == 2 + CLIENTS);
    assert!(mappings() > before);

    let began = Instant::now();
    for child in &mut killed {
        child.kill().unwrap();
    }
    for stream in &accepted {
        let end = stream.read(&mut buffer, Wait::Forever);
        assert!(matches!(end, Ok(0) | Err(ReadError::Ended(EndReason::Reset))), "{end:?}");
    }
    let end = loop {
        match staying.recv(&mut buffer, Wait::Forever) {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert!(matches!(end, RecvError::Ended { .. }), "{end:?}");
    let told = began.elapsed();
    wait_until(PATIENCE, "the end of the channels", || world.channels() == 1);
    let gone = began.elapsed();
    assert_eq!(mappings(), before, "their memory is unmapped");
    println!("the peers were told after {told:?}, the last channel was gone after {gone:?}");
    assert!(told < PROMISED && gone < PROMISED, "told after {told:?}, gone after {gone:?}");
    for child in &mut killed {
        child.wait().unwrap();
    }
}
