//! `kill -9` of an application that has forked: its child, which did not exec, still holds a copy of the control socket.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_client::{Channel, EndReason, OsEnv, ReadError, TcpListener, TcpStream, Wait};
use causeway_server::config::Config;
use causeway_server::daemon::Daemon;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// What is promised, and not a multiple of it.
const PROMISED: Duration = Duration::from_secs(1);
/// How long the child lives at most: well beyond what is promised about its parent.
const CHILD_LIVES: Duration = Duration::from_secs(10);
/// For what is not measured: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(patience: Duration, what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < patience, "{what} takes longer than {patience:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Mappings of shared memory in this process.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}

/// A new process that runs `body` and ends.
fn forked(body: impl FnOnce()) -> Pid {
    // SAFETY: the child goes on with this one thread. What it runs allocates, which the C library allows after fork, and
    // takes no lock of the test's that another thread may hold; it ends without unwinding into the harness.
    match unsafe { libc::fork() } {
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the process without running what the parent registered for its own end.
            unsafe { libc::_exit(i32::from(outcome.is_err())) }
        }
        child => Pid::from_raw(child).expect("a child, or no process can be made"),
    }
}

/// The application: attaches once there is a daemon, connects, says a word, and forks a child that only waits, without
/// having executed another program, until the daemon is gone.
fn application(socket: &Path) {
    let began = Instant::now();
    let channel = loop {
        match Channel::attach_in(Arc::new(OsEnv::with_socket(socket))) {
            Ok(channel) => break channel,
            Err(e) => assert!(began.elapsed() < PATIENCE, "{e}"),
        }
    };
    let to = "10.0.1.5:7000".parse().unwrap();
    let stream = loop {
        match TcpStream::connect(&channel, None, to, Wait::Forever) {
            Ok(stream) => break stream,
            Err(e) => assert!(began.elapsed() < PATIENCE, "{e}"),
        }
    };
    forked(|| {
        let began = Instant::now();
        while socket.exists() && began.elapsed() < CHILD_LIVES {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    // Only now: who reads it knows that there is a child.
    stream.write(b"half a sentence", Wait::Forever).unwrap();
    std::thread::sleep(PATIENCE);
}

#[test]
fn a_killed_process_is_gone_within_a_second_though_a_child_of_it_lives() {
    let directory = std::env::temp_dir().join(format!("causeway-forked-{}", std::process::id()));
    let socket = directory.join("s");
    // The application first: the daemon has threads.
    let application = forked(|| application(&socket));
    let text = format!(
        "[daemon]\nsocket = {socket:?}\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
         addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n"
    );
    let daemon = Daemon::start(&Config::parse("test", &text).unwrap()).unwrap();
    let staying = Channel::attach_in(Arc::new(OsEnv::with_socket(&socket))).unwrap();
    let listener = TcpListener::bind(&staying, "10.0.1.5:7000".parse().unwrap(), 8).unwrap();
    // An application that failed must fail the test, and not make it wait for ever.
    let patience = || {
        Wait::Until(staying.env().now() + causeway_client::Duration::from_secs(PATIENCE.as_secs()))
    };
    let accepted = listener.accept(patience()).unwrap();
    let mut buffer = [0; 64];
    assert_eq!(accepted.read(&mut buffer, patience()), Ok(15));
    assert_eq!(daemon.channels(), 2);
    let before = mappings();

    let began = Instant::now();
    kill_process(application, Signal::KILL).unwrap();
    let end = accepted.read(&mut buffer, patience());
    let told = began.elapsed();
    assert!(matches!(end, Ok(0) | Err(ReadError::Ended(EndReason::Reset))), "{end:?}");
    wait_until(PATIENCE, "the end of the channel", || daemon.channels() == 1);
    let gone = began.elapsed();
    assert!(mappings() < before, "its memory is unmapped");
    println!("the peer was told after {told:?}, the channel was gone after {gone:?}");
    assert!(told < PROMISED && gone < PROMISED, "told after {told:?}, gone after {gone:?}");
    waitpid(Some(application), WaitOptions::empty()).unwrap();
    drop(daemon);
    std::fs::remove_dir(&directory).unwrap();
}
