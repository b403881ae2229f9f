//! A whole daemon in this process, on a loopback interface with two addresses, and clients over its socket.
#![allow(clippy::unwrap_used, reason = "a test file: its helpers fail the test")]

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use causeway_client::{
    ApiCall, AttachError, Attachment, BellWait, BindError, CallError, Channel, CommandError,
    DatagramError, EndReason, Env, OsEnv, ReadError, RecvError, TcpListener, TcpStream, UdpSocket,
    Wait, WaitOutcome,
};
use causeway_server::config::Config;
use causeway_server::daemon::Daemon;

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    directory: PathBuf,
    daemon: Option<Daemon>,
}

impl World {
    fn new(name: &str) -> Self {
        let directory = format!("causeway-daemon-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let text = format!(
            "[daemon]\nsocket = {:?}\n[channel]\nchannels_max = 4\ntx_bytes = 2097152\n\
             rx_bytes = 4194304\nrx_window_bytes = 1048576\n[machnet]\nmsg_max = 1048576\n\
             [[interface]]\nname = \"lo0\"\nbackend = \"loopback\"\n\
             addresses = [\"10.0.1.5/24\", \"10.0.1.6/24\"]\n",
            directory.join("s")
        );
        let daemon = Daemon::start(&Config::parse("test", &text).unwrap()).unwrap();
        Self { directory, daemon: Some(daemon) }
    }

    fn env(&self) -> OsEnv {
        OsEnv::with_socket(self.directory.join("s"))
    }

    fn attach(&self) -> Channel {
        Channel::attach_in(Arc::new(self.env())).unwrap()
    }

    fn channels(&self) -> usize {
        self.daemon.as_ref().map_or(0, Daemon::channels)
    }

    fn wait_for_channels(&self, count: usize) {
        let began = Instant::now();
        while self.channels() != count {
            assert!(began.elapsed() < PATIENCE, "{} channels are left", self.channels());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.daemon = None;
        std::fs::remove_dir(&self.directory).unwrap();
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

/// Accepts one connection and sends back what comes, until the peer closes.
fn echo_server(channel: &Channel, local: &str) -> std::thread::JoinHandle<()> {
    let listener = TcpListener::bind(channel, at(local), 8).unwrap();
    std::thread::spawn(move || {
        let stream = listener.accept(Wait::Forever).unwrap();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match stream.read(&mut buffer, Wait::Forever).unwrap() {
                0 => return,
                n => stream.write_all(&buffer[..n], Wait::Forever).unwrap(),
            }
        }
    })
}

fn echo(channel: &Channel, remote: &str, bytes: &[u8]) {
    let stream = TcpStream::connect(channel, None, at(remote), Wait::Forever).unwrap();
    let stream = Arc::new(stream);
    let writer = Arc::clone(&stream);
    let sent = bytes.to_vec();
    let thread = std::thread::spawn(move || {
        writer.write_all(&sent, Wait::Forever).unwrap();
        writer.shutdown_write().unwrap();
    });
    let (mut got, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while got.len() < bytes.len() {
        match stream.read(&mut buffer, Wait::Forever).unwrap() {
            0 => break,
            n => got.extend_from_slice(&buffer[..n]),
        }
    }
    thread.join().unwrap();
    assert!(got == bytes, "{} of {} bytes, or other ones", got.len(), bytes.len());
}

#[test]
fn two_applications_of_one_daemon_talk_over_tcp() {
    let world = World::new("tcp");
    let (server, client) = (world.attach(), world.attach());
    let echoing = echo_server(&server, "10.0.1.5:7000");
    echo(&client, "10.0.1.5:7000", &pattern(3 << 20));
    echoing.join().unwrap();
    drop((server, client));
    world.wait_for_channels(0);
}

#[test]
fn a_message_goes_from_one_address_to_the_other_and_back() {
    let world = World::new("message");
    let (server, client) = (world.attach(), world.attach());
    server.listen_messages(at("10.0.1.5:5000")).unwrap();
    let local = Some("10.0.1.6".parse().unwrap());
    let flow = client.connect_messages(local, at("10.0.1.5:5000"), Wait::Forever).unwrap();
    let mut buffer = vec![0; 1 << 20];
    for len in [1, 1418, 1419, 1 << 20] {
        let message = pattern(len);
        client.send(flow, &[&message], Wait::Forever).unwrap();
        let (got, from) = server.recv(&mut buffer, Wait::Forever).unwrap();
        assert!(buffer[..got] == message, "a message of {len} bytes");
        server.send(from, &[&message[..len / 2 + 1]], Wait::Forever).unwrap();
        let (got, _) = client.recv(&mut buffer, Wait::Forever).unwrap();
        assert!(buffer[..got] == message[..len / 2 + 1], "its answer");
    }
}

#[test]
fn datagrams_of_every_length_go_from_one_application_to_the_other_and_back() {
    let world = World::new("udp");
    let (a, b) = (world.attach(), world.attach());
    let server = UdpSocket::bind(&b, at("10.0.1.6:53")).unwrap();
    let client = UdpSocket::bind(&a, at("10.0.1.5:0")).unwrap();
    let from = client.local_addr().unwrap();
    assert_ne!(from.port(), 0);
    assert_eq!(
        UdpSocket::bind(&b, at("10.0.1.6:53")).unwrap_err(),
        BindError::Refused(CommandError::AddressInUse)
    );
    let mut buffer = vec![0; 65_536];
    for len in [1, 0, 1_472, 65_507, 9_000, 0, 60_000] {
        client.send_to(&pattern(len), Some(at("10.0.1.6:53")), Wait::Forever).unwrap();
        let (n, remote) = server.recv_from(&mut buffer, Wait::Forever).unwrap();
        assert_eq!((remote, &buffer[..n]), (from, &pattern(len)[..]));
        server.send_to(&buffer[..n], Some(remote), Wait::Forever).unwrap();
        let (n, remote) = client.recv_from(&mut buffer, Wait::Forever).unwrap();
        assert_eq!((remote, &buffer[..n]), (at("10.0.1.6:53"), &pattern(len)[..]));
    }
    let too_long = client.send_to(&[0; 65_508], Some(from), Wait::Never);
    assert_eq!(too_long, Err(DatagramError::TooLong));
    let nothing = client.recv_from(&mut buffer, Wait::Never);
    assert_eq!(nothing, Err(DatagramError::Call(CallError::WouldBlock)));
    // Nobody reads; nobody is harmed, and what is lost is lost whole.
    for _ in 0..200 {
        client.send_to(&[7; 60_000], Some(at("10.0.1.6:53")), Wait::Forever).unwrap();
    }
    let (n, _) = server.recv_from(&mut buffer, Wait::Forever).unwrap();
    assert_eq!(buffer[..n], [7; 60_000]);
    // Connected to a port that nobody has, which the host says.
    client.connect(Some(at("10.0.1.6:9"))).unwrap();
    client.send_to(b"?", None, Wait::Forever).unwrap();
    let refused = client.recv_from(&mut buffer, Wait::Forever);
    assert_eq!(refused, Err(DatagramError::Refused(EndReason::Refused)));
    drop((client, server, a, b));
    world.wait_for_channels(0);
}

#[test]
fn when_an_application_goes_its_memory_goes_and_its_peers_are_told() {
    let world = World::new("gone");
    let spy = Spy::on(&world);
    let (leaving, staying) = (Channel::attach_in(spy.clone()).unwrap(), world.attach());
    let listener = TcpListener::bind(&staying, at("10.0.1.5:7000"), 8).unwrap();
    let stream = TcpStream::connect(&leaving, None, at("10.0.1.5:7000"), Wait::Forever).unwrap();
    let accepted = listener.accept(Wait::Forever).unwrap();
    staying.listen_messages(at("10.0.1.5:5000")).unwrap();
    let flow = leaving.connect_messages(None, at("10.0.1.5:5000"), Wait::Forever).unwrap();
    leaving.send(flow, &[b"last words"], Wait::Forever).unwrap();
    let mut buffer = [0; 64];
    assert_eq!(staying.recv(&mut buffer, Wait::Forever).unwrap().0, 10);
    // As when a process is killed: the kernel closes the connection, nobody says goodbye.
    let control = spy.control.lock().unwrap().take().unwrap();
    rustix::net::shutdown(control, rustix::net::Shutdown::Both).unwrap();
    world.wait_for_channels(1);
    let end = accepted.read(&mut buffer, Wait::Forever);
    assert!(matches!(end, Ok(0) | Err(ReadError::Ended(EndReason::Reset))), "{end:?}");
    let end = staying.recv(&mut buffer, Wait::Forever);
    assert!(matches!(end, Err(RecvError::Ended { .. })), "{end:?}");
    drop(stream);
}

/// In the child of the next test: the daemon's socket.
const CHILD: &str = "CAUSEWAY_TEST_CHILD_SOCKET";

/// The child's part: writes, and is gone with most of it in its ring. No destructor runs.
fn write_and_exit(socket: &str, bytes: &[u8]) -> ! {
    let channel = Channel::attach_in(Arc::new(OsEnv::with_socket(socket))).unwrap();
    let stream = TcpStream::connect(&channel, None, at("10.0.1.5:7000"), Wait::Forever).unwrap();
    stream.write_all(bytes, Wait::Forever).unwrap();
    std::process::exit(0);
}

#[test]
fn what_a_process_wrote_before_it_exited_arrives_to_the_last_byte() {
    let bytes = pattern(3_000_001);
    if let Ok(socket) = std::env::var(CHILD) {
        write_and_exit(&socket, &bytes);
    }
    let world = World::new("exit");
    let server = world.attach();
    let listener = TcpListener::bind(&server, at("10.0.1.5:7000"), 8).unwrap();
    let name = "what_a_process_wrote_before_it_exited_arrives_to_the_last_byte";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", name]).env(CHILD, world.directory.join("s")).spawn();
    let mut child = child.unwrap();
    let accepted = listener.accept(Wait::Forever).unwrap();
    // In small bites: the writer is done long before the reader, and both windows are full then.
    let (mut got, mut buffer) = (Vec::new(), vec![0; 1 << 10]);
    loop {
        match accepted.read(&mut buffer, Wait::Forever) {
            // A connection that owed nothing any more is reset.
            Ok(0) | Err(ReadError::Ended(EndReason::Reset)) => break,
            Ok(n) => {
                got.extend_from_slice(&buffer[..n]);
                std::thread::sleep(Duration::from_micros(20));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(got == bytes, "{} of {} bytes, or other ones", got.len(), bytes.len());
    drop((accepted, listener));
    world.wait_for_channels(1);
}

#[test]
fn when_the_daemon_goes_every_waiting_call_says_so() {
    let mut world = World::new("stop");
    let channel = world.attach();
    let listener = TcpListener::bind(&channel, at("10.0.1.5:7000"), 8).unwrap();
    let accepting = std::thread::spawn(move || listener.accept(Wait::Forever).map(|_| ()));
    let receiver = channel.clone();
    let receiving = std::thread::spawn(move || receiver.recv(&mut [0; 8], Wait::Forever));
    world.daemon = None;
    let gone = CallError::DaemonGone;
    assert_eq!(accepting.join().unwrap(), Err(gone));
    assert_eq!(receiving.join().unwrap(), Err(RecvError::Call(gone)));
    let again = Channel::attach_in(Arc::new(world.env()));
    assert!(matches!(again, Err(AttachError::NoDaemon { .. })), "{again:?}");
}

/// An operating system that keeps second descriptors of the channel's memory and of its connection.
struct Spy {
    inner: OsEnv,
    memory: Mutex<Option<File>>,
    control: Mutex<Option<OwnedFd>>,
}

impl Spy {
    fn on(world: &World) -> Arc<Self> {
        let (memory, control) = (Mutex::default(), Mutex::default());
        Arc::new(Self { inner: world.env(), memory, control })
    }
}

impl Env for Spy {
    fn attach(&self) -> Result<Attachment, AttachError> {
        let attachment = self.inner.attach()?;
        *self.memory.lock().unwrap() = Some(attachment.grant.memory.try_clone()?.into());
        let control = attachment.control.as_ref().map(OwnedFd::try_clone).transpose()?;
        *self.control.lock().unwrap() = control;
        Ok(attachment)
    }

    fn wait(&self, bell: &BellWait, deadline: Option<causeway_client::Instant>) -> WaitOutcome {
        self.inner.wait(bell, deadline)
    }

    fn now(&self) -> causeway_client::Instant {
        self.inner.now()
    }

    fn enter(&self, call: ApiCall) {
        self.inner.enter(call);
    }
}

#[test]
fn noise_over_a_clients_whole_memory_harms_that_client_only() {
    let world = World::new("noise");
    let (server, good) = (world.attach(), world.attach());
    let bytes = pattern(300_000);
    for round in 0..4_u16 {
        let spy = Spy::on(&world);
        let bad = Channel::attach_in(spy.clone()).unwrap();
        let memory = spy.memory.lock().unwrap().take().unwrap();
        let target = format!("10.0.1.5:{}", 7000 + round);
        let listener = TcpListener::bind(&server, at(&target), 8).unwrap();
        let stream = TcpStream::connect(&bad, None, at(&target), Wait::Forever).unwrap();
        let accepted = listener.accept(Wait::Forever).unwrap();
        stream.write_all(&bytes, Wait::Forever).unwrap();
        let mut noise = vec![0; memory.metadata().unwrap().len() as usize];
        let random = File::open("/dev/urandom").unwrap();
        random.read_exact_at(&mut noise, 0).unwrap();
        memory.write_all_at(&noise, 0).unwrap();
        // Kicks and rings of every kind, from a library whose memory is noise too: it must only not hang.
        let soon = Wait::Until(bad.env().now() + causeway_client::Duration::from_millis(50));
        let _ = stream.write(&bytes, soon);
        let _ = bad.send(causeway_client::Flow::from_bits(0), &[b"x"], soon);
        let echoing = echo_server(&server, &format!("10.0.1.6:{}", 7000 + round));
        echo(&good, &format!("10.0.1.6:{}", 7000 + round), &bytes);
        echoing.join().unwrap();
        drop((stream, bad, accepted));
        world.wait_for_channels(2);
    }
}

#[test]
fn one_channel_more_than_configured_is_refused_with_a_reason() {
    let world = World::new("limit");
    let channels: Vec<Channel> = (0..4).map(|_| world.attach()).collect();
    let refused = Channel::attach_in(Arc::new(world.env()));
    assert!(matches!(refused, Err(AttachError::Refused(_))), "{refused:?}");
    drop(channels);
    world.wait_for_channels(0);
    world.attach();
}
