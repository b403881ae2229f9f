//! The control socket with clients in the same process and a queue instead of an engine.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use causeway_channel::handshake::{self, HandshakeError, Hello, Refusal};
use causeway_channel::{AppChannel, Geometry, Grant, Poison};

use rustix::net::{RecvFlags, SendFlags, SocketType};

use super::inquirers::INQUIRERS_MAX;
use super::server::HALF_OPEN_MAX;
use super::{ControlServer, ListeningSocket};
use crate::attach::Attach;
use crate::config::Config;
use crate::introspect::{ANSWER_BYTES_MAX, Answer, Question, Viewer};
use crate::links::{EngineLinks, Order, Waker, links};
use crate::port::{Attached, Eviction, Slots};
use crate::tenants::Tenants;

/// Far more than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    directory: PathBuf,
    engine: EngineLinks,
    evictions: Sender<Eviction>,
    slots: Slots,
    wake: Waker,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    fn new(name: &str) -> Self {
        Self::of_tenants(name, "")
    }

    /// `tenants` is that part of a configuration.
    fn of_tenants(name: &str, tenants: &str) -> Self {
        let interface =
            "[[interface]]\nname = \"a\"\nbackend = \"loopback\"\naddresses = [\"10.0.1.5/24\"]\n";
        let config = Config::parse("x", &format!("{interface}{tenants}")).unwrap();
        let tenants = Tenants::new(config.tenants());
        let directory = format!("causeway-control-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let socket =
            ListeningSocket::bind(&directory.join("s"), SocketType::SEQPACKET, 0o600, None)
                .unwrap();
        let small = Geometry::builder().chunks(8, 8).table_slots(8).message_bytes_max(4096);
        let slots = Slots::of_tenants(2, tenants.channels_max());
        let attach = Attach::new(small.build().unwrap(), slots.clone());
        let (evictions, evicted): (_, Receiver<Eviction>) = channel();
        let wake = Waker::new().unwrap();
        let (handle, engine) = links(evictions.clone(), wake.clone()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let server = ControlServer::new(
            socket,
            attach,
            tenants,
            vec![handle],
            evicted,
            wake.clone(),
            Arc::clone(&stop),
        );
        let thread = Some(std::thread::spawn(move || server.run()));
        Self { directory, engine, evictions, slots, wake, stop, thread }
    }

    fn connect(&self) -> OwnedFd {
        handshake::connect(&self.directory.join("s")).unwrap()
    }

    fn attach(&self) -> Result<(OwnedFd, Grant), HandshakeError> {
        let socket = self.connect();
        handshake::send_hello(socket.as_fd(), &Hello::ours())?;
        let grant = handshake::recv_reply(socket.as_fd())?;
        Ok((socket, grant))
    }

    fn order(&self) -> Order {
        self.engine.orders.recv_timeout(PATIENCE).unwrap()
    }

    fn attached(&self) -> Box<Attached> {
        match self.order() {
            Order::Attach(attached) => attached,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        std::fs::remove_dir(&self.directory).unwrap();
    }
}

/// Waits for the end of file.
fn is_hung_up(socket: &OwnedFd) -> bool {
    let mut byte = [0];
    matches!(rustix::net::recv(socket, &mut byte, rustix::net::RecvFlags::empty()), Ok((0, _)))
}

#[test]
fn a_client_gets_a_channel_and_its_hang_up_reaches_the_engine() {
    let world = World::new("hangup");
    let (socket, grant) = world.attach().unwrap();
    let attached = world.attached();
    assert_eq!(attached.id(), grant.channel);
    assert_eq!(attached.peer.pid, std::process::id());
    assert_eq!(attached.peer.uid, rustix::process::getuid().as_raw());
    AppChannel::map(grant).unwrap();
    drop(socket);
    assert!(matches!(world.order(), Order::Detach(id) if id == attached.id()));
}

#[test]
fn channels_run_out_with_a_reason_and_come_back() {
    let world = World::new("limit");
    let (first, _) = world.attach().unwrap();
    let (_second, _) = world.attach().unwrap();
    let refused = world.attach();
    assert!(matches!(refused, Err(HandshakeError::Refused(Refusal::LimitReached))), "{refused:?}");
    drop((world.attached(), world.attached(), first));
    assert!(matches!(world.order(), Order::Detach(_)));
    assert_eq!(world.slots.taken(), 0);
    assert!(world.attach().is_ok());
}

#[test]
fn who_belongs_to_no_tenant_is_denied_and_a_tenant_has_what_it_may() {
    let uid = rustix::process::getuid().as_raw();
    let other = uid + 1;
    let stranger = World::of_tenants(
        "stranger",
        &format!("[[tenant]]\nname = \"x\"\nusers = [\"{other}\"]\n"),
    );
    let refused = stranger.attach();
    assert!(matches!(refused, Err(HandshakeError::Refused(Refusal::Denied))), "{refused:?}");
    assert_eq!(stranger.slots.taken(), 0);
    let text = format!(
        "[[tenant]]\nname = \"x\"\nusers = [\"{other}\"]\n\
         [[tenant]]\nname = \"ours\"\nusers = [\"{uid}\"]\nchannels_max = 1\n"
    );
    let world = World::of_tenants("tenant", &text);
    let (first, _) = world.attach().unwrap();
    let refused = world.attach();
    assert!(matches!(refused, Err(HandshakeError::Refused(Refusal::LimitReached))), "{refused:?}");
    let attached = world.attached();
    assert_eq!(attached.peer.tenant.0, 1);
    drop((attached, first));
    assert!(matches!(world.order(), Order::Detach(_)));
    assert!(world.attach().is_ok());
}

#[test]
fn another_major_version_is_refused_and_noise_is_hung_up_on() {
    let world = World::new("noise");
    let socket = world.connect();
    let ours = Hello::ours();
    handshake::send_hello(socket.as_fd(), &Hello { major: ours.major + 1, ..ours }).unwrap();
    let reply = handshake::recv_reply(socket.as_fd());
    assert!(matches!(reply, Err(HandshakeError::Refused(Refusal::Version))), "{reply:?}");
    let socket = world.connect();
    let flags = rustix::net::SendFlags::empty();
    rustix::net::send(&socket, &[0xA5; 4096], flags).unwrap();
    assert!(is_hung_up(&socket));
    let (socket, _) = world.attach().unwrap();
    let attached = world.attached();
    rustix::net::send(&socket, b"more", flags).unwrap();
    assert!(matches!(world.order(), Order::Detach(id) if id == attached.id()));
    assert!(is_hung_up(&socket));
}

#[test]
fn who_says_nothing_keeps_nobody_out_and_is_hung_up_on() {
    let world = World::new("silent");
    let silent: Vec<OwnedFd> = (0..100).map(|_| world.connect()).collect();
    assert!(world.attach().is_ok());
    assert!(silent.iter().all(is_hung_up));
}

#[test]
fn connections_without_a_hello_are_bounded() {
    let directory = format!("causeway-control-{}-bound", std::process::id());
    let directory = std::env::temp_dir().join(directory);
    let socket =
        ListeningSocket::bind(&directory.join("s"), SocketType::SEQPACKET, 0o600, None).unwrap();
    let attach = Attach::new(Geometry::default(), Slots::new(1));
    let (_evictions, evicted) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let wake = Waker::new().unwrap();
    let mut server =
        ControlServer::new(socket, attach, Tenants::new(&[]), Vec::new(), evicted, wake, stop);
    let mut silent = Vec::new();
    for _ in 0..2 * HALF_OPEN_MAX {
        silent.push(handshake::connect(&directory.join("s")).unwrap());
        server.turn().unwrap();
        assert!(server.connections.len() <= HALF_OPEN_MAX);
    }
    drop(server);
    std::fs::remove_dir(&directory).unwrap();
}

#[test]
fn a_channel_that_the_engine_puts_out_loses_its_connection() {
    let world = World::new("evict");
    let (bad, grant) = world.attach().unwrap();
    let channel = grant.channel;
    world.evictions.send(Eviction { channel, poison: Poison::Ring }).unwrap();
    world.wake.wake();
    assert!(is_hung_up(&bad));
}

#[test]
fn a_daemon_that_goes_down_hangs_up() {
    let world = World::new("down");
    let (socket, _) = world.attach().unwrap();
    drop(world);
    assert!(is_hung_up(&socket));
}

/// A packet that a connection is answered with; none: it was hung up on.
fn answer(socket: &OwnedFd) -> Option<Answer> {
    let mut bytes = vec![0; ANSWER_BYTES_MAX];
    let (len, _) = rustix::net::recv(socket, &mut bytes[..], RecvFlags::empty()).unwrap();
    (len > 0).then(|| Answer::decode(&bytes[..len]).unwrap())
}

fn say(socket: &OwnedFd, bytes: &[u8]) {
    rustix::net::send(socket, bytes, SendFlags::NOSIGNAL).unwrap();
}

#[test]
fn a_question_goes_to_the_engine_and_its_answer_back_to_who_asked() {
    let world = World::new("asks");
    let asks = |from| {
        let socket = world.connect();
        say(&socket, &Question::Sockets { from }.encode());
        let Order::Ask(ask) = world.order() else { panic!("no question") };
        assert_eq!(
            (ask.question.clone(), ask.viewer),
            (Question::Sockets { from }, Viewer::Operator)
        );
        (socket, ask)
    };
    let (first, about_one) = asks(1);
    let (second, about_two) = asks(2);
    let page = |next| Answer::Sockets { rows: Vec::new(), next: Some(next) };
    about_two.answer(page(22));
    assert_eq!(answer(&second), Some(page(22)));
    about_one.answer(page(11));
    assert_eq!(answer(&first), Some(page(11)));
    // Another one on the same connection.
    say(&first, &Question::Metrics { from: 0 }.encode());
    let Order::Ask(ask) = world.order() else { panic!("no question") };
    // Whoever does not wait for the answer is hung up on, and the answer goes nowhere.
    say(&first, &Question::Metrics { from: 0 }.encode());
    assert_eq!(answer(&first), None);
    ask.answer(page(3));
    say(&second, b"CWQY\x01\x00noise");
    assert!(matches!(answer(&second), Some(Answer::Refused(_))));
    assert_eq!(answer(&second), None);
    assert!(world.attach().is_ok(), "it serves as before");
}

#[test]
fn those_who_ask_are_bounded_and_strangers_are_told_nothing() {
    let world = World::new("many");
    let ask = |socket: &OwnedFd| say(socket, &Question::Metrics { from: 0 }.encode());
    let mut asking: Vec<OwnedFd> = Vec::new();
    for _ in 0..INQUIRERS_MAX {
        let socket = world.connect();
        ask(&socket);
        assert!(matches!(world.order(), Order::Ask(_)));
        asking.push(socket);
    }
    let more = world.connect();
    ask(&more);
    assert!(matches!(answer(&more), Some(Answer::Refused(_))));
    assert_eq!(answer(&more), None);
    assert!(world.attach().is_ok(), "who wants a channel gets one");
    drop(asking);
    let began = std::time::Instant::now();
    loop {
        let again = world.connect();
        ask(&again);
        match world.engine.orders.recv_timeout(Duration::from_millis(100)) {
            Ok(Order::Ask(_)) => break,
            _ => assert!(began.elapsed() < PATIENCE, "their places do not come back"),
        }
    }
    let uid = rustix::process::getuid().as_raw() + 1;
    let text = format!("[[tenant]]\nname = \"x\"\nusers = [\"{uid}\"]\n");
    let stranger = World::of_tenants("unasked", &text);
    let socket = stranger.connect();
    ask(&socket);
    assert!(matches!(answer(&socket), Some(Answer::Refused(_))));
}
