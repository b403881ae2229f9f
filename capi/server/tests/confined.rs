//! What a daemon that has given up what it does not need cannot do any more. Each attempt is made in a process of its own: this program,
//! started again.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use causeway_server::confine;

/// Which attempt a process is to make.
const ATTEMPT: &str = "CAUSEWAY_TEST_ATTEMPT";
/// How it ends when it was refused, and when it was not.
const REFUSED: i32 = 40;
const DONE: i32 = 41;
const SIGSYS: i32 = 31;

/// The process of an attempt: `test` is the name of the caller.
fn attempt(test: &str, what: &str) -> std::process::ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let command = command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ATTEMPT, what).output().unwrap().status
}

fn finish<T>(outcome: std::io::Result<T>) -> ! {
    std::process::exit(match outcome {
        Ok(_) => DONE,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => REFUSED,
        Err(error) => panic!("{error}"),
    })
}

/// In the process of an attempt: makes it.
fn make(what: &str) -> ! {
    let path = std::env::temp_dir().join(format!("causeway-confined-{}", std::process::id()));
    let _listener = UnixListener::bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    confine::filter_calls().unwrap();
    match what {
        "read a file" => finish(std::fs::read("/proc/self/status")),
        "open a pair" => finish(UnixDatagram::pair()),
        "write a file" => finish(File::create(&path)),
        "append to a file" => finish(File::options().append(true).open("/dev/null")),
        "connect" => finish(std::net::TcpStream::connect("127.0.0.1:9")),
        "connect to a local service" => finish(UnixStream::connect(&path)),
        "listen" => finish(UnixListener::bind(&path)),
        "start a thread" => finish(std::thread::Builder::new().spawn(|| ())),
        "start a process" => finish(Command::new("/bin/true").spawn()),
        "become a program" => finish::<()>(Err(Command::new("/bin/true").exec())),
        "change the root" => finish(std::os::unix::fs::chroot("/")),
        "become a user" => finish(confine::become_user(1, 1).map_err(std::io::Error::other)),
        other => panic!("what is {other:?}?"),
    }
}

#[test]
fn what_serving_does_not_take_is_refused_and_what_only_an_intruder_does_is_deadly() {
    if let Ok(what) = std::env::var(ATTEMPT) {
        make(&what);
    }
    let test = "what_serving_does_not_take_is_refused_and_what_only_an_intruder_does_is_deadly";
    for (what, code) in [
        ("read a file", DONE),
        ("open a pair", DONE),
        ("write a file", REFUSED),
        ("append to a file", REFUSED),
        ("connect", REFUSED),
        ("connect to a local service", REFUSED),
        ("listen", REFUSED),
        ("start a thread", REFUSED),
        ("start a process", REFUSED),
    ] {
        assert_eq!(attempt(test, what).code(), Some(code), "{what}");
    }
    for what in ["become a program", "change the root", "become a user"] {
        assert_eq!(attempt(test, what).signal(), Some(SIGSYS), "{what}");
    }
}

/// A line of what the kernel says of a thread.
fn status(line: &str) -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let found = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    found.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn capabilities_go_with_the_thread_that_drops_them() {
    std::thread::spawn(|| {
        confine::drop_capabilities().unwrap();
        for set in ["CapEff:", "CapPrm:", "CapInh:"] {
            assert_eq!(status(set), "0000000000000000");
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_user_is_changed_for_all_threads_and_once() {
    let test = "a_user_is_changed_for_all_threads_and_once";
    if let Ok(what) = std::env::var(ATTEMPT) {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            asked.recv().unwrap();
            (status("Uid:"), status("Gid:"), status("Groups:"), status("CapEff:"))
        });
        confine::become_user(4711, 4712).unwrap();
        if what == "again" {
            let error = confine::become_user(4711, 4713).unwrap_err().to_string();
            assert!(error.starts_with("cannot become user 4711, group 4713: "), "{error}");
            assert!(error.ends_with("; start as root, or remove daemon.user"), "{error}");
        }
        ask.send(()).unwrap();
        let (uids, gids, groups, capabilities) = other.join().unwrap();
        assert_eq!(uids, "4711 4711 4711 4711");
        assert_eq!(gids, "4712 4712 4712 4712");
        assert_eq!((groups.as_str(), capabilities.as_str()), ("4712", "0000000000000000"));
        std::process::exit(DONE);
    }
    for what in ["once", "again"] {
        assert_eq!(attempt(test, what).code(), Some(DONE), "{what}; this test is root's");
    }
}

#[test]
fn memory_is_locked_as_it_is_used() {
    if std::env::var(ATTEMPT).is_ok() {
        assert_eq!(status("VmLck:"), "0 kB");
        confine::lock_memory().unwrap();
        assert_ne!(status("VmLck:"), "0 kB");
        std::process::exit(DONE);
    }
    let status = attempt("memory_is_locked_as_it_is_used", "lock");
    assert_eq!(status.code(), Some(DONE));
}
