//! Two engines on one wire.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::frame::FramePool;
use super::nic::{MemNic, default_caps};
use super::port::VecPort;
use crate::engine::Engine;
use crate::error::EndReason;
use crate::ip::InterfaceAddress;
use crate::nic::{IfIndex, MacAddr, NicCaps};
use crate::port::{ChannelId, Completion, Op, SocketId, StreamId, Transport};
use crate::stack::{StackConfig, StackConfigBuilder};
use crate::time::{Duration, Instant};

/// One-way delay of the wire.
const WIRE_DELAY: Duration = Duration::from_micros(10);

/// One host of a [`Duo`], with what its applications were told and did not look at yet.
#[derive(Debug)]
pub struct Host {
    /// The engine.
    pub engine: Engine<MemNic, VecPort>,
    /// Every completion, oldest first.
    pub news: Vec<(ChannelId, Completion)>,
}

/// A socket as its application knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The socket.
    pub socket: SocketId,
    /// Its rings.
    pub stream: StreamId,
    /// Its own end.
    pub local: SocketAddr,
}

/// The channel that the helpers of [`Host`] speak for.
pub const CHANNEL: ChannelId = ChannelId { index: 0, generation: 0 };

impl Host {
    /// A host with address 10.0.0.`number` on interface 1. `change` completes its configuration, `shape` its NIC.
    ///
    /// # Panics
    /// When the configuration is refused.
    pub fn new(
        number: u8,
        ring_bytes: usize,
        shape: &dyn Fn(&mut NicCaps),
        change: &dyn Fn(StackConfigBuilder) -> StackConfigBuilder,
    ) -> Self {
        let address = InterfaceAddress::new(Self::address(number), 24).expect("10.0.0.n/24");
        Self::with_addresses(number, ring_bytes, &[address], shape, change)
    }

    /// Like [`Host::new`], with these addresses on interface 1.
    ///
    /// # Panics
    /// When the configuration is refused.
    pub fn with_addresses(
        number: u8,
        ring_bytes: usize,
        addresses: &[InterfaceAddress],
        shape: &dyn Fn(&mut NicCaps),
        change: &dyn Fn(StackConfigBuilder) -> StackConfigBuilder,
    ) -> Self {
        let config = StackConfig::builder(u64::from(number), [number; 16]).interface(addresses);
        let config = change(config).build().expect("a test's configuration is right");
        let mut caps = default_caps(MacAddr([2, 0, 0, 0, 0, number]));
        shape(&mut caps);
        let nic = MemNic::new(caps, FramePool::default());
        let port = VecPort::new(ring_bytes);
        let engine = Engine::new(config, vec![nic], port).expect("one interface, one NIC");
        Self { engine, news: Vec::new() }
    }

    /// Getter: the address of host `number`.
    pub const fn address(number: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
    }

    /// Getter: the IPv6 address of host `number` of [`Duo::over_ipv6`].
    pub const fn address_v6(number: u8) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number as u16))
    }

    /// Getter: its NIC.
    pub fn nic(&mut self) -> &mut MemNic {
        self.engine.nic_mut(IfIndex(1)).expect("interface 1 exists")
    }

    /// Command: asks for `op` on [`CHANNEL`].
    pub fn ask(&mut self, op: Op) {
        self.engine.port_mut().command(CHANNEL, 0, op);
    }

    /// Output: the first piece of news for which `pick` has an answer; it is taken out.
    pub fn take<T>(&mut self, pick: impl Fn(&Completion) -> Option<T>) -> Option<T> {
        let found = self.news.iter().enumerate().find_map(|(i, (_, c))| Some((i, pick(c)?)));
        let (index, picked) = found?;
        self.news.remove(index);
        Some(picked)
    }

    /// Output: the end of `socket`, if it was told.
    pub fn take_ended(&mut self, socket: SocketId) -> Option<EndReason> {
        self.take(|news| match news {
            Completion::Ended { socket: ended, reason } if *ended == socket => Some(*reason),
            _ => None,
        })
    }
}

/// Two hosts, 10.0.0.1 (`a`) and 10.0.0.2 (`b`), on one wire that loses nothing.
#[derive(Debug)]
pub struct Duo {
    /// 10.0.0.1.
    pub a: Host,
    /// 10.0.0.2.
    pub b: Host,
    /// The time.
    pub now: Instant,
}

impl Duo {
    /// Two plain hosts whose rings hold `ring_bytes` each way.
    pub fn new(ring_bytes: usize) -> Self {
        Self::with(ring_bytes, &|_| {}, &|config| config)
    }

    /// Two hosts with NICs and configurations of the caller's making.
    pub fn with(
        ring_bytes: usize,
        shape: &dyn Fn(&mut NicCaps),
        change: &dyn Fn(StackConfigBuilder) -> StackConfigBuilder,
    ) -> Self {
        let a = Host::new(1, ring_bytes, shape, change);
        let b = Host::new(2, ring_bytes, shape, change);
        let now = Instant::ZERO + Duration::from_secs(1);
        Self { a, b, now }
    }

    /// Two hosts that have had fd00::1/64 and fd00::2/64 besides their IPv4 addresses for some seconds.
    ///
    /// # Panics
    /// When the configuration is refused.
    pub fn over_ipv6(
        ring_bytes: usize,
        shape: &dyn Fn(&mut NicCaps),
        change: &dyn Fn(StackConfigBuilder) -> StackConfigBuilder,
    ) -> Self {
        let host = |number| {
            let both = [(Host::address(number), 24), (Host::address_v6(number), 64)]
                .map(|(ip, len)| InterfaceAddress::new(ip, len).expect("a host's address"));
            Host::with_addresses(number, ring_bytes, &both, shape, change)
        };
        let now = Instant::ZERO + Duration::from_secs(1);
        let mut duo = Self { a: host(1), b: host(2), now };
        // Until nobody has objected to the addresses (RFC 4862 §5.4).
        duo.pass(Duration::from_secs(5));
        duo
    }

    /// Command: one step of both engines, then the wire carries what they sent. Returns the work done.
    pub fn step(&mut self) -> u32 {
        let progress = [self.a.engine.step(self.now), self.b.engine.step(self.now)];
        let (a, b) = (self.a.nic(), self.b.nic());
        let moved = MemNic::exchange(a, b);
        for host in [&mut self.a, &mut self.b] {
            while let Some(news) = host.engine.port_mut().poll_completion() {
                host.news.push(news);
            }
        }
        let work = progress[0].work + progress[1].work + moved as u32;
        let next = progress.iter().filter_map(|p| p.next).map(|(at, _)| at).min();
        self.now = match next {
            // Nothing happened: time jumps.
            Some(next) if work == 0 => next.max(self.now),
            _ => self.now + WIRE_DELAY,
        };
        work
    }

    /// Command: steps until `done`, at most `steps_max` times. Returns whether it was done.
    pub fn run(&mut self, steps_max: usize, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        for _ in 0..steps_max {
            if done(self) {
                return true;
            }
            self.step();
        }
        done(self)
    }

    /// Command: steps until nothing happens any more at this time; time does not jump to later timers.
    ///
    /// # Panics
    /// When that takes more than 100,000 steps.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            let now = self.now;
            if self.step() == 0 {
                self.now = now;
                return;
            }
        }
        panic!("the hosts do not come to rest");
    }

    /// Command: lets `span` pass, and everything happen that comes with it.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    /// Command: `b` listens on `port`, `a` connects to it; both get their handle.
    ///
    /// # Panics
    /// When they do not.
    pub fn connect(&mut self, transport: Transport, port: u16) -> (Handle, Handle) {
        self.connect_to(transport, SocketAddr::new(Host::address(2), port))
    }

    /// Command: `b` listens on `remote`, `a` connects to it; both get their handle.
    ///
    /// # Panics
    /// When they do not.
    pub fn connect_to(&mut self, transport: Transport, remote: SocketAddr) -> (Handle, Handle) {
        let backlog = 16;
        self.b.ask(Op::Listen { transport, local: remote, backlog });
        self.settle();
        self.reconnect_to(transport, remote)
    }

    /// Command: `a` connects to a port on which `b` listens.
    ///
    /// # Panics
    /// When it cannot.
    pub fn reconnect(&mut self, transport: Transport, port: u16) -> (Handle, Handle) {
        self.reconnect_to(transport, SocketAddr::new(Host::address(2), port))
    }

    /// Command: `a` connects to `remote`, on which `b` listens.
    ///
    /// # Panics
    /// When it cannot.
    pub fn reconnect_to(&mut self, transport: Transport, remote: SocketAddr) -> (Handle, Handle) {
        self.a.ask(Op::Connect { transport, local: None, remote });
        self.settle();
        let ours = self.a.take(|news| match *news {
            Completion::Connecting { socket, stream, local, .. } => {
                Some(Handle { socket, stream, local })
            }
            _ => None,
        });
        let ours = ours.expect("a's connection is being opened");
        let connected = |news: &Completion| {
            (*news == Completion::Connected { socket: ours.socket }).then_some(())
        };
        self.a.take(connected).expect("a is connected");
        let theirs = self.b.take(|news| match *news {
            Completion::Incoming { listener, socket, stream, local, .. } => {
                Some((listener, Handle { socket, stream, local }))
            }
            _ => None,
        });
        let (listener, theirs) = theirs.expect("b is told of the connection");
        self.b.ask(Op::Accepted { listener, count: 1 });
        (ours, theirs)
    }
}

/// Command: `from` writes `bytes` as fast as its ring allows, `to` reads them; returns what was read.
///
/// # Panics
/// When it takes more than a million steps.
pub fn transfer(duo: &mut Duo, from: Handle, to: Handle, a_to_b: bool, bytes: &[u8]) -> Vec<u8> {
    let mut read = Vec::with_capacity(bytes.len());
    let mut written = 0;
    let mut buffer = vec![0; 65_536];
    for _ in 0..1_000_000 {
        let (sender, receiver) =
            if a_to_b { (&mut duo.a, &mut duo.b) } else { (&mut duo.b, &mut duo.a) };
        let taken = sender.engine.port_mut().write(from.stream, &bytes[written..]);
        if taken > 0 {
            written += taken;
            sender.ask(Op::Kick { socket: from.socket });
        }
        let count = receiver.engine.port_mut().read(to.stream, &mut buffer);
        if count > 0 {
            read.extend_from_slice(&buffer[..count]);
            receiver.ask(Op::Kick { socket: to.socket });
        }
        if read.len() == bytes.len() {
            return read;
        }
        duo.step();
    }
    panic!("{} of {} bytes arrived", read.len(), bytes.len());
}
