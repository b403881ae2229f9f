//! Two production hosts on one link, and what runs on them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use causeway_channel::Geometry;
use causeway_client::{Channel, TcpListener, TcpStream, UdpSocket, Wait};
use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::MacAddr;
use causeway_core::time::{Duration, Instant};
use causeway_core::{machnet, tcp};
use causeway_sim::content;
use causeway_sim::demo::{MESSAGES, reply_size, request_size};
use causeway_sim::fault::FaultSource;
use causeway_sim::guest::{Bells, Program, now, sleep};
use causeway_sim::host::{Host, HostConfig};
use causeway_sim::link::LinkConfig;
use causeway_sim::nic::{NicConfig, NicPort};
use causeway_sim::rules::HostRules;
use causeway_sim::world::{World, WorldConfig};

#[path = "middlebox.rs"]
mod middlebox;

pub use middlebox::Meddling;
use middlebox::Middlebox;

const PORT: u16 = 9_000;

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many bytes from a to b.
    Stream(u64),
    /// As many, to somebody who reads little at a time.
    SlowReader(u64),
    /// Requests and replies over TCP.
    Talk,
    /// Requests and replies over Machnet.
    Messages,
    /// Connections that end in every way, ports that nobody has, datagrams of all lengths.
    Trouble,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Case {
    pub load: Load,
    pub link: LinkConfig,
    pub faults: FaultSource,
    pub v6: bool,
    /// What stands between the hosts.
    pub meddling: Option<Meddling>,
    pub tcp: fn(tcp::ConfigBuilder) -> tcp::ConfigBuilder,
}

const fn address(last: u8, v6: bool) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last as u16))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }
}

fn host(seed: u64, last: u8, case: &Case, bells: &Arc<Bells>) -> (Host, Rc<NicPort>) {
    let geometry = Geometry::builder().build().expect("the defaults are right");
    let tcp = tcp::Config::builder().rcv_wnd_initial(geometry.rx_floor_bytes());
    let address = InterfaceAddress::new(address(last, case.v6), if case.v6 { 64 } else { 24 });
    let config = HostConfig {
        addresses: vec![address.expect("a host's address")],
        nic: NicConfig::new(MacAddr([2, 0, 0, 0, 0, last])),
        tcp: (case.tcp)(tcp).build().expect("the settings are right"),
        machnet: machnet::Config::builder().build().expect("the defaults are right"),
        geometry,
        rx_window_bytes: 4 << 20,
        events_max: 0,
    };
    Host::new(&config, seed + u64::from(last), bells).expect("the configuration is right")
}

fn receive(at: SocketAddr, bytes: u64, slow: bool) {
    let channel = Channel::attach().expect("the host has room");
    let listener = TcpListener::bind(&channel, at, 16).expect("the port is free");
    let stream = listener.accept(Wait::Forever).expect("somebody comes");
    let mut buffer = vec![0; if slow { 30_000 } else { 256 << 10 }];
    let mut total = 0;
    loop {
        if slow {
            sleep(Duration::from_millis(if total % 7 == 0 { 1_500 } else { 4 }));
        }
        let read = stream.read(&mut buffer, Wait::Forever).expect("the peer lives");
        if read == 0 {
            break;
        }
        assert_eq!(content::mismatch(1, 0, total, &buffer[..read]), None);
        total += read as u64;
    }
    assert_eq!(total, bytes);
    stream.close().expect("it is ours");
}

fn send(to: SocketAddr, bytes: u64) {
    let channel = Channel::attach().expect("the host has room");
    let stream = TcpStream::connect(&channel, None, to, Wait::Forever).expect("somebody listens");
    let mut buffer = vec![0; 256 << 10];
    let mut sent = 0;
    while sent < bytes {
        let len = buffer.len().min((bytes - sent) as usize);
        content::fill(1, 0, sent, &mut buffer[..len]);
        stream.write_all(&buffer[..len], Wait::Forever).expect("the peer lives");
        sent += len as u64;
    }
    stream.shutdown_write().expect("it is ours");
    let mut rest = [0; 1];
    let _ = stream.read(&mut rest, Wait::Forever);
    stream.close().expect("it is ours");
}

/// The sizes of what is said over TCP.
const SAID: [usize; 8] = [1, 100, 1_448, 5_000, 60_000, 17, 200_000, 3];

fn read_some(stream: &TcpStream, buffer: &mut [u8]) -> usize {
    let read = stream.read(buffer, Wait::Forever).expect("the peer lives");
    assert!(read > 0, "the stream ends before its time, at {}", now());
    read
}

fn answer(at: SocketAddr) {
    let channel = Channel::attach().expect("the host has room");
    let listener = TcpListener::bind(&channel, at, 16).expect("the port is free");
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..3 {
        let stream = listener.accept(Wait::Forever).expect("somebody comes");
        for len in SAID {
            let mut got = 0;
            while got < len {
                got += read_some(&stream, &mut buffer[got..len]);
            }
            sleep(Duration::from_micros(len as u64 % 977 * 100));
            stream.write_all(&buffer[..len], Wait::Forever).expect("the peer lives");
        }
        stream.close().expect("it is ours");
    }
}

fn ask(to: SocketAddr) {
    let channel = Channel::attach().expect("the host has room");
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..3 {
        let stream =
            TcpStream::connect(&channel, None, to, Wait::Forever).expect("somebody listens");
        for len in SAID {
            let (head, tail) = buffer[..len].split_at(len / 3);
            stream.write_all(head, Wait::Forever).expect("the peer lives");
            sleep(Duration::from_micros(300));
            stream.write_all(tail, Wait::Forever).expect("the peer lives");
            let mut got = 0;
            while got < len {
                got += read_some(&stream, &mut buffer[got..len]);
            }
        }
        while stream.read(&mut buffer, Wait::Forever).expect("it ends") > 0 {}
        stream.close().expect("it is ours");
    }
}

/// Connections of [`Load::Trouble`].
const TROUBLES: u64 = 16;

fn soon() -> Wait {
    Wait::Until(now() + Duration::from_secs(20))
}

/// Serves connections, and leaves each in another way. What fails may fail.
fn leave(at: SocketAddr) {
    let channel = Channel::attach().expect("the host has room");
    let listener = TcpListener::bind(&channel, at, 4).expect("the port is free");
    let datagrams = UdpSocket::bind(&channel, at).expect("the port is free");
    let mut buffer = vec![0; 200_000];
    for turn in 0..TROUBLES {
        let Ok(stream) = listener.accept(soon()) else { continue };
        match turn % 5 {
            0 => {
                let _ = stream.read(&mut buffer[..1_000], soon());
                let _ = stream.abort();
            }
            1 => {
                sleep(Duration::from_millis(30));
                let _ = stream.close();
            }
            2 => {
                let _ = stream.shutdown_write();
                while stream.read(&mut buffer, soon()).is_ok_and(|read| read > 0) {}
                let _ = stream.close();
            }
            3 => {
                let _ = stream.write_all(&buffer[..60_000], soon());
                let _ = stream.close();
            }
            _ => {
                while stream.read(&mut buffer, soon()).is_ok_and(|read| read > 0) {}
                sleep(Duration::from_secs(1));
                let _ = stream.close();
            }
        }
        if let Ok((len, from)) = datagrams.recv_from(&mut buffer, Wait::Never) {
            let _ = datagrams.send_to(&buffer[..len], Some(from), soon());
        }
    }
}

/// Comes, says something, and goes.
fn come_and_go(to: SocketAddr) {
    let channel = Channel::attach().expect("the host has room");
    let own = SocketAddr::new(address(1, to.is_ipv6()), 77);
    let datagrams = UdpSocket::bind(&channel, own).expect("the port is free");
    let nobody = SocketAddr::new(to.ip(), PORT + 1);
    let bytes = vec![3; 50_000];
    for turn in 0..TROUBLES {
        let _ = TcpStream::connect(&channel, None, nobody, soon());
        for len in [0, 100, 1_472, 1_473, 9_000, 30_000] {
            let _ = datagrams.send_to(&bytes[..len], Some(to), soon());
            let _ = datagrams.send_to(&bytes[..len], Some(nobody), soon());
        }
        let Ok(stream) = TcpStream::connect(&channel, None, to, soon()) else { continue };
        let _ = stream.write_all(&bytes[..(turn as usize * 7_919) % 50_000], soon());
        match turn % 3 {
            0 => {
                let _ = stream.abort();
            }
            1 => {
                let _ = stream.shutdown_write();
                let mut rest = [0; 5_000];
                while stream.read(&mut rest, soon()).is_ok_and(|read| read > 0) {}
                let _ = stream.close();
            }
            _ => {
                sleep(Duration::from_millis(3));
                let _ = stream.close();
            }
        }
    }
}

fn message(flow: u64, index: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).expect("messages fit memory")];
    content::fill(flow, index, 0, &mut bytes);
    bytes
}

fn serve_messages(at: SocketAddr) {
    let channel = Channel::attach().expect("the host has room");
    channel.listen_messages(at).expect("the port is free");
    let mut buffer = vec![0; 1 << 20];
    let mut last = None;
    for index in 0..MESSAGES {
        let (len, flow) = channel.recv(&mut buffer, Wait::Forever).expect("a request");
        assert_eq!(content::mismatch(1, index, 0, &buffer[..len]), None, "request {index}");
        let reply = message(2, index, reply_size(index));
        last = Some((flow, channel.send(flow, &[&reply], Wait::Forever).expect("it lives")));
    }
    let (flow, id) = last.expect("there were requests");
    while channel.flow_info(flow, Wait::Forever).is_ok_and(|info| info.message_acked < id.0) {}
}

fn send_messages(to: SocketAddr) {
    let channel = Channel::attach().expect("the host has room");
    let flow = channel.connect_messages(None, to, Wait::Forever).expect("the server listens");
    let mut buffer = vec![0; 1 << 20];
    for index in 0..MESSAGES {
        let request = message(1, index, request_size(index));
        channel.send(flow, &[&request], Wait::Forever).expect("the flow lives");
        let (len, _) = channel.recv(&mut buffer, Wait::Forever).expect("a reply");
        assert_eq!(content::mismatch(2, index, 0, &buffer[..len]), None, "reply {index}");
    }
}

fn programs(load: Load, at: SocketAddr) -> (Program, Program) {
    match load {
        Load::Stream(bytes) => (
            Program::from_fn(move || receive(at, bytes, false)),
            Program::from_fn(move || send(at, bytes)),
        ),
        Load::SlowReader(bytes) => (
            Program::from_fn(move || receive(at, bytes, true)),
            Program::from_fn(move || send(at, bytes)),
        ),
        Load::Talk => (Program::from_fn(move || answer(at)), Program::from_fn(move || ask(at))),
        Load::Trouble => {
            (Program::from_fn(move || leave(at)), Program::from_fn(move || come_and_go(at)))
        }
        Load::Messages => (
            Program::from_fn(move || serve_messages(at)),
            Program::from_fn(move || send_messages(at)),
        ),
    }
}

/// The host whose NIC a direction of the world leaves, and the one that it reaches; the middlebox is nobody.
pub fn ends(case: &Case, direction: usize) -> (Option<usize>, Option<usize>) {
    match (case.meddling.is_some(), direction) {
        (false, direction) => (Some(direction), Some(1 - direction)),
        (true, 0) => (Some(0), None),
        (true, 1) => (None, Some(0)),
        (true, 2) => (None, Some(1)),
        (true, _) => (Some(1), None),
    }
}

/// The hosts of a case, joined, with their programs.
pub fn build(seed: u64, case: &Case) -> World {
    let mut config = WorldConfig::new(seed);
    config.end_at = Instant::ZERO + Duration::from_secs(3_600);
    let mut world = World::new(config);
    let (bells_a, bells_b) = (Arc::<Bells>::default(), Arc::<Bells>::default());
    let (a, port_a) = host(seed, 1, case, &bells_a);
    let (b, port_b) = host(seed, 2, case, &bells_b);
    let a = world.add_host("a", Box::new(a), bells_a);
    let b = world.add_host("b", Box::new(b), bells_b);
    match case.meddling {
        None => {
            world.connect((a, port_a), (b, port_b), case.link, &case.faults);
        }
        Some(meddling) => {
            let (middlebox, [port_1, port_2]) = Middlebox::new(seed, meddling);
            let m = world.add_host("m", Box::new(middlebox), Arc::default());
            world.connect((a, port_a), (m, port_1), case.link, &case.faults);
            world.connect((m, port_2), (b, port_b), case.link, &case.faults);
        }
    }
    let at = SocketAddr::new(address(2, case.v6), PORT);
    let (server, client) = programs(case.load, at);
    // Nobody uses an IPv6 address before it was asked for in vain (RFC 4862 5.4).
    let later = Instant::ZERO + Duration::from_millis(if case.v6 { 3_000 } else { 5 });
    world.add_guest(b, "server", Instant::ZERO, server).expect("a thread");
    world.add_guest(a, "client", later, client).expect("a thread");
    world
}

/// What the hosts are held against.
pub fn rules(case: &Case) -> Vec<HostRules> {
    let of = |last| HostRules {
        mac: Some([2, 0, 0, 0, 0, last]),
        ..HostRules::new(vec![address(last, case.v6)])
    };
    vec![of(1), of(2)]
}
