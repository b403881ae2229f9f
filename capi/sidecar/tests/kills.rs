//! Applications that are killed at any moment of what they do, again and again: the daemon keeps nothing of them, and who stays is served.
//!
//! The daemon runs in this process, so that its descriptors and memory can be counted; the applications are this program, started again. The
//! moments are drawn: `CAUSEWAY_KILLS` says how many kills there are (default 400), `CAUSEWAY_KILLS_SEED` which.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use causeway_client::{CallError, Channel, OsEnv, RecvError, TcpListener, TcpStream, Wait};
use causeway_server::config::Config;
use causeway_server::daemon::Daemon;

/// For what is not measured: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Applications that are killed side by side.
const SIDE_BY_SIDE: u64 = 3;
/// Kills of each before the next look at what is left.
const BETWEEN_LOOKS: u64 = 25;
/// The longest life of an application, beginning with its exec, or with what it says as soon as it is attached.
const LIFE_MICROS: u64 = 12_000;
/// What an application says as soon as it is attached.
const ATTACHED: u8 = b'@';

const STAYING: &str = "10.0.1.5";
const KILLED: &str = "10.0.1.6";
const MESSAGE_PORT: u16 = 5000;
const STREAM_PORT: u16 = 7000;
/// The variable by which a process knows that it is to be killed, and its number.
const VICTIM: &str = "CAUSEWAY_TEST_VICTIM";

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, no number")),
        Err(_) => default,
    }
}

/// splitmix64: number `n` of a seed.
fn drawn(seed: u64, n: u64) -> u64 {
    let mut x = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn at(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(host.parse().unwrap(), port)
}

/// Tries again while the port is still one's who was killed: that it comes back is part of what is tested.
fn until_free<T, E: std::fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(made) => return made,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error:?}"),
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// What an application does until it is killed.
fn be_killed(which: u16) -> ! {
    loop {
        let channel = Channel::attach().unwrap();
        std::io::stdout().write_all(&[ATTACHED]).unwrap();
        std::io::stdout().flush().unwrap();
        until_free(|| channel.listen_messages(at(KILLED, 4000 + which)));
        let listener = until_free(|| TcpListener::bind(&channel, at(KILLED, 6000 + which), 2));
        let flow = channel.connect_messages(None, at(STAYING, MESSAGE_PORT), Wait::Forever);
        let own = channel.connect_messages(None, at(KILLED, 4000 + which), Wait::Forever);
        let (flow, own) = (flow.unwrap(), own.unwrap());
        let stream = TcpStream::connect(&channel, None, at(STAYING, STREAM_PORT), Wait::Forever);
        let stream = stream.unwrap();
        let mut buffer = vec![0; 64 << 10];
        for round in 0..4_usize {
            channel.send(flow, &[&buffer[..1 + 9_000 * round]], Wait::Forever).unwrap();
            channel.send(own, &[b"to itself"], Wait::Forever).unwrap();
            stream.write_all(&buffer[..30_000], Wait::Forever).unwrap();
            for _ in 0..2 {
                channel.recv(&mut buffer, Wait::Forever).unwrap();
            }
            stream.read(&mut buffer, Wait::Forever).unwrap();
        }
        if which.is_multiple_of(2) {
            stream.abort().unwrap();
        }
        drop(listener);
    }
}

/// Who stays: it sends back what it gets.
struct Echo {
    stop: Arc<AtomicBool>,
    /// Messages sent back and connections taken.
    served: Arc<[AtomicU64; 2]>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

fn echo_messages(channel: &Channel, served: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match channel.recv(
            &mut buffer,
            Wait::Until(channel.env().now() + causeway_client::Duration::from_millis(20)),
        ) {
            // Who is gone gets no answer.
            Ok((len, flow)) => {
                served.fetch_add(1, Ordering::Relaxed);
                let _ = channel.send(flow, &[&buffer[..len]], Wait::Never);
            }
            Err(RecvError::Ended { flow, .. }) => {
                let _ = channel.close_flow(flow);
            }
            Err(RecvError::Call(CallError::TimedOut)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

fn echo_streams(listener: &TcpListener, streams: &mut Vec<TcpStream>, served: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(stream) = listener.accept(Wait::Never) {
        served.fetch_add(1, Ordering::Relaxed);
        streams.push(stream);
    }
    streams.retain(|stream| match stream.read(&mut buffer, Wait::Never) {
        Ok(0) => false,
        Ok(n) => stream.write(&buffer[..n], Wait::Never).is_ok(),
        Err(causeway_client::ReadError::Call(CallError::WouldBlock)) => true,
        Err(_) => false,
    });
}

impl Echo {
    fn new(socket: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let attach = || Channel::attach_in(Arc::new(OsEnv::with_socket(socket))).unwrap();
        let (messages, streams) = (attach(), attach());
        messages.listen_messages(at(STAYING, MESSAGE_PORT)).unwrap();
        let listener = TcpListener::bind(&streams, at(STAYING, STREAM_PORT), 64).unwrap();
        let served: Arc<[AtomicU64; 2]> = Arc::default();
        let (stopped, count) = (stop.clone(), served.clone());
        let first = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                echo_messages(&messages, &count[0]);
            }
        });
        let (stopped, count) = (stop.clone(), served.clone());
        let second = std::thread::spawn(move || {
            let mut open = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                echo_streams(&listener, &mut open, &count[1]);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Self { stop, served, threads: vec![first, second] }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

struct World {
    directory: PathBuf,
    daemon: Daemon,
}

impl World {
    fn new() -> Self {
        let directory = format!("causeway-kills-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let text = format!(
            "[daemon]\nsocket = {:?}\nlog = \"error\"\n[[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
             addresses = [\"{STAYING}/24\", \"{KILLED}/24\"]\n[channel]\nchannels_max = 16\n",
            directory.join("s")
        );
        let daemon = Daemon::start(&Config::parse("test", &text).unwrap()).unwrap();
        Self { directory, daemon }
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("s")
    }

    /// Channels, descriptors and mappings of shared memory.
    fn held(&self) -> (usize, usize, usize) {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mappings = maps.lines().filter(|line| line.contains("/memfd:")).count();
        (self.daemon.channels(), descriptors, mappings)
    }

    fn victim(&self, which: u64) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["nothing_is_left_of_applications_that_are_killed", "--exact"]);
        command.env(VICTIM, which.to_string()).env("CAUSEWAY_SOCKET", self.socket());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Applications of number `which`, killed one after the other.
    fn kill(&self, which: u64, seed: u64) {
        for n in 0..BETWEEN_LOOKS {
            let mut child = self.victim(which);
            if n.is_multiple_of(2) {
                let output = child.stdout.as_mut().unwrap();
                let mut said = [0];
                while said[0] != ATTACHED && output.read(&mut said).unwrap() == 1 {}
            }
            let life = drawn(seed, n * SIDE_BY_SIDE + which) % LIFE_MICROS;
            std::thread::sleep(Duration::from_micros(life));
            // One that has ended by itself failed, and says why.
            let ended = child.try_wait().unwrap();
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(ended.is_none(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn wait_for(&self, expected: (usize, usize, usize)) {
        let began = Instant::now();
        while self.held() != expected {
            assert!(
                began.elapsed() < PATIENCE,
                "(channels, descriptors, mappings): {:?} are left, {expected:?} were there before",
                self.held()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn nothing_is_left_of_applications_that_are_killed() {
    if let Ok(which) = std::env::var(VICTIM) {
        be_killed(which.parse().unwrap());
    }
    let kills = number("CAUSEWAY_KILLS", 400);
    let seed = number("CAUSEWAY_KILLS_SEED", std::process::id().into());
    println!("{kills} kills; CAUSEWAY_KILLS_SEED={seed}");
    let world = World::new();
    let echo = Echo::new(&world.socket());
    let before = world.held();
    assert_eq!(before.0, 2);
    let rounds = kills.div_ceil(SIDE_BY_SIDE * BETWEEN_LOOKS);
    for round in 0..rounds {
        std::thread::scope(|scope| {
            for which in 0..SIDE_BY_SIDE {
                let world = &world;
                scope.spawn(move || world.kill(which, drawn(seed, round)));
            }
        });
        world.wait_for(before);
    }
    let served = [0, 1].map(|which: usize| echo.served[which].load(Ordering::Relaxed));
    println!("{served:?} messages and connections");
    assert!(served.into_iter().all(|count| count > 0), "nobody lived long enough to do anything");
    // Every port that one of them had is free, and who stays still answers.
    let last = Channel::attach_in(Arc::new(OsEnv::with_socket(world.socket()))).unwrap();
    for which in 0..SIDE_BY_SIDE as u16 {
        until_free(|| last.listen_messages(at(KILLED, 4000 + which)));
        until_free(|| TcpListener::bind(&last, at(KILLED, 6000 + which), 2));
    }
    let flow = last.connect_messages(None, at(STAYING, MESSAGE_PORT), Wait::Forever).unwrap();
    last.send(flow, &[b"still there?"], Wait::Forever).unwrap();
    assert_eq!(last.recv(&mut [0; 64], Wait::Forever).unwrap().0, 12);
    drop(last);
    echo.stop();
    let directory = world.directory.clone();
    world.daemon.stop();
    std::fs::remove_dir(&directory).unwrap();
}
