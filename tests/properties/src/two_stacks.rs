//! Two whole stacks with a TCP connection between them, and a wire on which a test decides about each packet.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::{Medium, NicCaps};
use causeway_core::port::{Completion, Op, SocketId, StreamId, Transport};
use causeway_core::stack::StackConfigBuilder;
use causeway_core::tcp::{Config, IsnSecret, initial_sequence};
use causeway_core::testing::Host;
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};
use causeway_core::wire::{IpProtocol, Ipv4Header, Ipv6Header};

use crate::content;
use crate::window::WindowWatch;

/// Both sides: the one that opens the connection, and the one that listens.
pub const SIDES: [usize; 2] = [0, 1];
const RING: usize = 16 << 10;
const PORT: u16 = 80;
/// Packets in one direction: what a test does not deliver is lost at the front beyond.
const WIRE_MAX: usize = 64;
const TURNS_MAX: usize = 10_000;

/// Where sequence numbers wrap, or change their sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrap {
    /// Whose.
    pub side: usize,
    /// Its initial sequence number.
    pub iss: u32,
}

/// What may happen.
#[derive(Clone, Debug)]
pub enum Action {
    /// An application writes.
    Write(usize, usize),
    /// An application reads.
    Read(usize, usize),
    /// A packet on its way to a side arrives, whichever of them it is.
    Deliver(usize, usize),
    /// It arrives, and stays on the wire as well.
    Duplicate(usize, usize),
    /// It is lost.
    Lose(usize, usize),
    /// Microseconds pass.
    Pass(u64),
    /// Time jumps to the next timer of either stack.
    Jump,
}

/// The world.
#[derive(Debug)]
pub struct TwoStacks {
    hosts: [Host; 2],
    now: Instant,
    /// Packets on their way to each side.
    wire: [Vec<Vec<u8>>; 2],
    sockets: [Option<(SocketId, StreamId)>; 2],
    listener: Option<SocketId>,
    written: [u64; 2],
    read: [u64; 2],
    windows: WindowWatch,
    ended: [bool; 2],
}

fn address(v6: bool, side: usize) -> IpAddr {
    let number = side as u8 + 1;
    match v6 {
        false => Host::address(number),
        true => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into())),
    }
}

fn host(v6: bool, side: usize) -> Host {
    let tcp = Config::builder().retries_max(100).syn_retries_max(50).syn_ack_retries_max(50);
    let tcp = tcp.build().expect("a right configuration");
    let bits = if v6 { 64 } else { 24 };
    let address = InterfaceAddress::new(address(v6, side), bits).expect("a host's address");
    let change = |builder: StackConfigBuilder| builder.tcp(tcp).dad_transmits(0);
    let shape = |caps: &mut NicCaps| caps.medium = Medium::Ip;
    Host::with_addresses(side as u8 + 1, RING, &[address], &shape, &change)
}

/// The port that the first connection of a stack has: chosen at random, but always from the same seed.
fn first_port(v6: bool) -> u16 {
    static PORTS: [OnceLock<u16>; 2] = [const { OnceLock::new() }; 2];
    *PORTS[usize::from(v6)].get_or_init(|| {
        let mut world = TwoStacks::at(v6, Instant::ZERO + Duration::from_secs(1));
        let header = world.wire[1].first().and_then(|packet| open(packet)).expect("a SYN");
        world.wire[1].clear();
        header.src_port
    })
}

/// The TCP header of a packet; `None` for what is none, as IPv6 has it to say in the beginning.
fn open(packet: &[u8]) -> Option<TcpHeader> {
    let (protocol, at) = if packet[0] >> 4 == 4 {
        let (header, at) = Ipv4Header::parse(packet).ok()?;
        (header.protocol, at)
    } else {
        let (header, at) = Ipv6Header::parse(packet).ok()?;
        (header.next_header, at)
    };
    if protocol != IpProtocol::TCP {
        return None;
    }
    TcpHeader::parse(&packet[at..]).ok().map(|(header, _)| header)
}

impl TwoStacks {
    /// A connection whose SYN is on the wire. With `wrap` the numbers of a side begin just there.
    ///
    /// # Panics
    /// When a stack refuses its configuration.
    pub fn new(v6: bool, wrap: Option<Wrap>) -> Self {
        let second = Instant::ZERO + Duration::from_secs(1);
        let Some(Wrap { side, iss }) = wrap else { return Self::at(v6, second) };
        let client = SocketAddr::new(address(v6, 0), first_port(v6));
        let server = SocketAddr::new(address(v6, 1), PORT);
        let (local, remote) = if side == 0 { (client, server) } else { (server, client) };
        let secret = IsnSecret([side as u8 + 1; 16]);
        let at_zero = initial_sequence(&secret, Instant::ZERO, local, remote);
        // The number that a connection begins with follows from the time, 2^12 ns a step.
        let ticks = (1 << 32) + u64::from(iss.wrapping_sub(at_zero));
        Self::at(v6, Instant::from_nanos(ticks << 12))
    }

    fn at(v6: bool, now: Instant) -> Self {
        let mut world = Self {
            hosts: SIDES.map(|side| host(v6, side)),
            now,
            wire: [Vec::new(), Vec::new()],
            sockets: [None; 2],
            listener: None,
            written: [0; 2],
            read: [0; 2],
            windows: WindowWatch::default(),
            ended: [false; 2],
        };
        let transport = Transport::Tcp;
        let remote = SocketAddr::new(address(v6, 1), PORT);
        world.hosts[1].ask(Op::Listen { transport, local: remote, backlog: 1 });
        world.hosts[0].ask(Op::Connect { transport, local: None, remote });
        world.settle();
        world
    }

    /// Getter: bytes that `side` has written.
    pub const fn written(&self, side: usize) -> u64 {
        self.written[side]
    }

    /// Getter: bytes that `side` has read.
    pub const fn read(&self, side: usize) -> u64 {
        self.read[side]
    }

    /// Getter: the initial sequence number of a side, as far as its SYN is still on the wire.
    pub fn iss_on_wire(&self, side: usize) -> Option<u32> {
        let syn = self.wire[1 - side].iter().filter_map(|packet| open(packet));
        let mut syn = syn.filter(|header| header.flags.contains(TcpFlags::SYN));
        syn.next().map(|header| header.seq.0)
    }

    /// Something happens, and all that follows from it at once.
    pub fn act(&mut self, action: &Action) {
        match *action {
            Action::Write(side, len) => self.write(side, len),
            Action::Read(side, len) => self.read_some(side, len),
            Action::Deliver(side, which) => self.take(side, which, true, false),
            Action::Duplicate(side, which) => self.take(side, which, true, true),
            Action::Lose(side, which) => self.take(side, which, false, false),
            Action::Pass(us) => self.pass(Duration::from_micros(us)),
            Action::Jump => {
                self.now = self.next_timer().map_or(self.now, |at| at.max(self.now));
            }
        }
        self.settle();
    }

    fn write(&mut self, side: usize, len: usize) {
        let Some((socket, stream)) = self.sockets[side] else { return };
        let mut bytes = vec![0; len];
        content::fill(side, self.written[side], &mut bytes);
        let host = &mut self.hosts[side];
        self.written[side] += host.engine.port_mut().write(stream, &bytes) as u64;
        host.ask(Op::Kick { socket });
    }

    fn read_some(&mut self, side: usize, len: usize) {
        let Some((socket, stream)) = self.sockets[side] else { return };
        let mut bytes = vec![0; len];
        let host = &mut self.hosts[side];
        let count = host.engine.port_mut().read(stream, &mut bytes);
        let came = &bytes[..count];
        assert!(content::is_there(1 - side, self.read[side], came), "other bytes than were sent");
        self.read[side] += count as u64;
        assert!(self.read[side] <= self.written[1 - side], "more bytes than were sent");
        host.ask(Op::Kick { socket });
    }

    fn take(&mut self, side: usize, which: usize, arrives: bool, stays: bool) {
        if self.wire[side].is_empty() {
            return;
        }
        let which = which % self.wire[side].len();
        let packet =
            if stays { self.wire[side][which].clone() } else { self.wire[side].remove(which) };
        if arrives {
            self.hosts[side].nic().inject(&packet);
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let next = |host: &Host| host.engine.stack().poll_timeout().map(|(at, _)| at);
        self.hosts.iter().filter_map(next).min()
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(next) = self.next_timer().filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "no rest");
            let mut work = 0;
            for side in SIDES {
                let progress = self.hosts[side].engine.step(self.now);
                work += progress.work;
                if progress.work == 0 {
                    let next = progress.next.map(|(at, _)| at);
                    assert!(next.is_none_or(|at| at > self.now), "a timer that has passed");
                }
                self.look_at_packets(side);
                self.look_at_news(side);
            }
            if work == 0 {
                return;
            }
        }
    }

    fn look_at_packets(&mut self, side: usize) {
        while let Some(frame) = self.hosts[side].nic().outbound.pop_front() {
            let packet = frame.bytes().to_vec();
            let Some(header) = open(&packet) else { continue };
            self.windows.look(side, &header);
            let wire = &mut self.wire[1 - side];
            wire.push(packet);
            if wire.len() > WIRE_MAX {
                wire.remove(0);
            }
        }
    }

    fn look_at_news(&mut self, side: usize) {
        while let Some((_, news)) = self.hosts[side].engine.port_mut().poll_completion() {
            match news {
                Completion::Listening { socket, .. } => self.listener = Some(socket),
                Completion::Connecting { socket, stream, .. }
                | Completion::Incoming { socket, stream, .. } => {
                    self.sockets[side] = Some((socket, stream));
                }
                Completion::Ended { .. } => self.ended[side] = true,
                _ => {}
            }
        }
    }

    /// The wire becomes a good one. Both streams arrive whole, both sides close, and nothing is left.
    ///
    /// # Panics
    /// When it is not so.
    pub fn finish(mut self) {
        let whole = |world: &Self| {
            SIDES.iter().all(|side| world.read[1 - side] == world.written[*side])
                && world.sockets.iter().all(Option::is_some)
        };
        self.run_until("the streams are not whole", whole);
        for side in SIDES {
            if let Some((socket, _)) = self.sockets[side] {
                self.hosts[side].ask(Op::Close { socket });
            }
        }
        if let Some(socket) = self.listener {
            self.hosts[1].ask(Op::Close { socket });
        }
        let gone =
            |world: &Self| world.hosts.iter().all(|host| host.engine.stack().socket_count() == 0);
        self.run_until("sockets are left", gone);
        assert_eq!(self.ended, [true; 2], "both are told of the end");
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..TURNS_MAX {
            self.settle();
            SIDES.iter().for_each(|side| self.read_some(*side, RING));
            if done(self) {
                return;
            }
            match SIDES.into_iter().find(|side| !self.wire[*side].is_empty()) {
                Some(side) => {
                    self.now += Duration::from_micros(10);
                    self.take(side, 0, true, false);
                }
                None => self.act(&Action::Jump),
            }
        }
        panic!("{what}: written {:?}, read {:?}", self.written, self.read);
    }
}
