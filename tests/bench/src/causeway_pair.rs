//! Causeway's two hosts: two production engines over in-memory NICs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use causeway_core::engine::Engine;
use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::{IfIndex, MacAddr};
use causeway_core::port::{Completion, Op, SocketId, StreamId, Transport};
use causeway_core::stack::StackConfig;
use causeway_core::tcp;
use causeway_core::testing::default_caps;
use causeway_core::time::{Duration, Instant};

use crate::causeway_port::BenchPort;
use crate::link::{LinkNic, Pool};
use crate::pair::{Pair, Setup, Side};

/// The server's ports. One client has some 28,000 ports of its own for each: 100,000 connections need several.
const PORTS: [u16; 8] = [7, 8, 9, 10, 11, 12, 13, 14];
/// Last octets of further addresses of the client: connections come from one after the other.
const CLIENTS: Range<u8> = 16..48;
const INTERFACE: IfIndex = IfIndex(1);

type Host = Engine<LinkNic, BenchPort>;

/// One end of a connection.
#[derive(Clone, Copy)]
struct Handle {
    socket: SocketId,
    stream: StreamId,
}

/// See [`Pair`].
pub struct CausewayPair {
    client: Host,
    server: Host,
    listeners: Vec<SocketId>,
    connections: Vec<[Handle; 2]>,
    now: Instant,
}

fn host(octet: u8, extra: Range<u8>, setup: &Setup, pool: &Pool, rx_burst: usize) -> Host {
    let tcp = tcp::Config::builder()
        .timestamps(setup.timestamps)
        .nodelay(true)
        .build()
        .expect("settings within their ranges");
    let own = |last| {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        InterfaceAddress::new(address, 24).expect("an ordinary address")
    };
    let addresses: Vec<_> = std::iter::once(octet).chain(extra).map(own).collect();
    let sockets = u32::try_from(setup.connections_max * 2 + 16).expect("a number of sockets");
    let config = StackConfig::builder(u64::from(octet), [octet; 16])
        .interface(&addresses)
        .sockets_max(sockets)
        .checksum(causeway_checksum::Implementation::detect())
        .tcp(tcp)
        .build()
        .expect("settings within their ranges");
    let mut caps = default_caps(MacAddr([2, 0, 0, 0, 0, octet]));
    caps.mtu = setup.mtu;
    let nic = LinkNic::new(caps, pool.clone(), rx_burst);
    Engine::new(config, vec![nic], BenchPort::new(setup.buffer)).expect("one NIC for one interface")
}

/// Addresses in a row, ports in a row: what a demultiplexing hash has to spread.
fn client_address(connection: usize) -> IpAddr {
    let last = CLIENTS.start + (connection / PORTS.len() % CLIENTS.len()) as u8;
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn nic_of(host: &mut Host) -> &mut LinkNic {
    host.nic_mut(INTERFACE).expect("a host has one NIC")
}

impl CausewayPair {
    /// Two hosts, 10.0.0.1 and 10.0.0.2.
    pub fn new(setup: Setup) -> Self {
        let pool = Pool::default();
        let client = host(1, CLIENTS, &setup, &pool, usize::MAX);
        let mut server = host(2, 0..0, &setup, &pool, setup.rx_burst);
        for port in PORTS {
            let local = SocketAddr::from(([10, 0, 0, 2], port));
            server.port_mut().command(Op::Listen {
                transport: Transport::Tcp,
                local,
                backlog: 1_024,
            });
        }
        let now = Instant::from_nanos(1_000_000_000);
        server.step(now);
        let news = server.port_mut().completions.drain(..);
        let listeners: Vec<SocketId> = news
            .map(|c| match c {
                Completion::Listening { socket, .. } => socket,
                other => panic!("the server does not listen: {other:?}"),
            })
            .collect();
        assert_eq!(listeners.len(), PORTS.len());
        Self { client, server, listeners, connections: Vec::new(), now }
    }

    /// Getter: bytes of what stands for the applications: touched entries of tables, rings not attached.
    pub fn harness_bytes(&self) -> usize {
        let ports = [&self.client, &self.server].map(|host| host.port().table_bytes());
        self.connections.len() * size_of::<[Handle; 2]>() + ports.iter().sum::<usize>()
    }

    fn host(&mut self, side: Side) -> &mut Host {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn handle(&self, index: usize, side: Side) -> Handle {
        self.connections[index][usize::from(side == Side::Server)]
    }

    fn command(&mut self, index: usize, side: Side, op: impl FnOnce(SocketId) -> Op) {
        let socket = self.handle(index, side).socket;
        self.host(side).port_mut().command(op(socket));
    }

    /// Steps until the next completion of `side` that `pick` wants.
    fn await_completion<T>(&mut self, side: Side, pick: impl Fn(&Completion) -> Option<T>) -> T {
        for _ in 0..100_000 {
            while let Some(completion) = self.host(side).port_mut().completions.pop_front() {
                if let Some(found) = pick(&completion) {
                    return found;
                }
            }
            self.step();
        }
        panic!("{side:?}: what was waited for does not happen");
    }
}

impl Pair for CausewayPair {
    fn open(&mut self, count: usize) {
        for _ in 0..count {
            let which = self.connections.len() % PORTS.len();
            let remote = SocketAddr::from(([10, 0, 0, 2], PORTS[which]));
            self.client.port_mut().command(Op::Connect {
                transport: Transport::Tcp,
                local: Some(client_address(self.connections.len())),
                remote,
            });
            let client = self.await_completion(Side::Client, |c| match c {
                Completion::Connecting { socket, stream, .. } => {
                    Some(Handle { socket: *socket, stream: *stream })
                }
                _ => None,
            });
            let server = self.await_completion(Side::Server, |c| match c {
                Completion::Incoming { socket, stream, .. } => {
                    Some(Handle { socket: *socket, stream: *stream })
                }
                _ => None,
            });
            let accepted = Op::Accepted { listener: self.listeners[which], count: 1 };
            self.server.port_mut().command(accepted);
            self.connections.push([client, server]);
        }
    }

    fn close(&mut self, index: usize) {
        self.command(index, Side::Client, |socket| Op::Close { socket });
        self.await_completion(Side::Server, |c| {
            matches!(c, Completion::PeerClosed { .. }).then_some(())
        });
        self.command(index, Side::Server, |socket| Op::Close { socket });
        self.await_completion(Side::Server, |c| {
            matches!(c, Completion::Ended { .. }).then_some(())
        });
        self.connections.swap_remove(index);
    }

    fn step(&mut self) {
        self.now += Duration::from_micros(1);
        self.client.step(self.now);
        let sent = &mut nic_of(&mut self.client).outbound;
        nic_of(&mut self.server).inbound.append(sent);
        loop {
            self.server.step(self.now);
            let nic = nic_of(&mut self.server);
            if nic.inbound.is_empty() {
                nic_of(&mut self.client).inbound.append(&mut nic.outbound);
                return;
            }
        }
    }

    fn write(&mut self, index: usize, side: Side, bytes: &[u8]) -> usize {
        let stream = self.handle(index, side).stream;
        self.host(side).port_mut().write(stream, bytes)
    }

    fn read(&mut self, index: usize, side: Side, bytes: &mut [u8]) -> usize {
        let stream = self.handle(index, side).stream;
        self.host(side).port_mut().read(stream, bytes)
    }

    fn data_frames(&self) -> u64 {
        self.client.nic(INTERFACE).map_or(0, LinkNic::data_frames)
    }
}
