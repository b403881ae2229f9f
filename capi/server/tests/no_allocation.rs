//! After warm-up the daemon allocates nothing: not for a packet, not for a message, not for going to sleep.
//!
//! One test in a process of its own: the counter is the process's allocator. The applications' threads are not
//! counted; what is left are the daemon's.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_client::{Channel, Flow, OsEnv, TcpListener, TcpStream, Wait};
use causeway_server::config::Config;
use causeway_server::daemon::Daemon;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Set in the applications' threads. Without a destructor and a lazy start, so that the allocator may ask.
    static IS_APPLICATION: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if !IS_APPLICATION.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator, whose contract is the same; counting touches no memory
// that it hands out, and allocates none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on unchanged; `ptr` came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on unchanged; `ptr` came from `System`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rounds within which the daemon's queues must have found their sizes.
const ROUNDS_MAX: usize = 60;
/// So many in a row without an allocation are no accident.
const ROUNDS_QUIET: usize = 3;
const STREAM_BYTES: usize = 1 << 20;

struct Pair {
    writer: TcpStream,
    reader: TcpStream,
    sender: Channel,
    receiver: Channel,
    flow: Flow,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Pair {
    fn new(sender: Channel, receiver: Channel) -> Self {
        let listener = TcpListener::bind(&receiver, at("10.0.1.5:7000"), 8).unwrap();
        let writer = TcpStream::connect(&sender, None, at("10.0.1.5:7000"), Wait::Forever).unwrap();
        let reader = listener.accept(Wait::Forever).unwrap();
        receiver.listen_messages(at("10.0.1.5:5000")).unwrap();
        let flow = sender.connect_messages(None, at("10.0.1.5:5000"), Wait::Forever).unwrap();
        Self { writer, reader, sender, receiver, flow }
    }

    /// A stream of 1 MiB, and messages between which the daemon sleeps.
    fn round(&self) {
        let chunk = [3; 16 << 10];
        let mut buffer = [0; 16 << 10];
        let (mut sent, mut read) = (0, 0);
        while read < STREAM_BYTES {
            if sent < STREAM_BYTES {
                sent += self.writer.write(&chunk, Wait::Forever).unwrap();
            }
            read += self.reader.read(&mut buffer, Wait::Forever).unwrap();
        }
        for _ in 0..20 {
            self.sender.send(self.flow, &[&chunk[..5_000]], Wait::Forever).unwrap();
            let (len, back) = self.receiver.recv(&mut buffer, Wait::Forever).unwrap();
            assert_eq!(len, 5_000);
            self.receiver.send(back, &[&chunk[..1]], Wait::Forever).unwrap();
            self.sender.recv(&mut buffer, Wait::Forever).unwrap();
        }
    }
}

#[test]
fn the_daemon_allocates_nothing_after_warm_up() {
    IS_APPLICATION.set(true);
    let directory = std::env::temp_dir().join(format!("causeway-alloc-{}", std::process::id()));
    let text = format!(
        "[daemon]\nsocket = {:?}\nbusy_poll = \"never\"\n[[interface]]\nname = \"lo0\"\n\
         backend = \"loopback\"\naddresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n",
        directory.join("s")
    );
    let daemon = Daemon::start(&Config::parse("test", &text).unwrap()).unwrap();
    let attach = || Channel::attach_in(Arc::new(OsEnv::with_socket(directory.join("s")))).unwrap();
    let pair = Pair::new(attach(), attach());
    let mut counts = Vec::new();
    while !counts.ends_with(&[0; ROUNDS_QUIET]) {
        assert!(counts.len() < ROUNDS_MAX, "allocations in each round: {counts:?}");
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        pair.round();
        counts.push(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    println!("allocations in each round: {counts:?}");
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > 0, "the counter counts");
    drop(pair);
    drop(daemon);
    std::fs::remove_dir(&directory).unwrap();
}
