//! smoltcp's two hosts.

use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::pair::{Pair, Setup, Side};

const PORT: u16 = 7;
const FRAMES_MAX: usize = 512;

/// One direction of the link.
#[derive(Default)]
struct Queue {
    frames: VecDeque<Vec<u8>>,
    pool: Vec<Vec<u8>>,
    data_frames: u64,
}

/// One end's view of the link for the time of a poll.
struct End<'a> {
    rx: &'a mut Queue,
    tx: &'a mut Queue,
    mtu: usize,
    /// Frames that it may still receive in this poll.
    rx_left: usize,
}

struct Rx<'a> {
    frame: Vec<u8>,
    pool: &'a mut Vec<Vec<u8>>,
}

struct Tx<'a>(&'a mut Queue);

impl phy::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.frame);
        self.pool.push(self.frame);
        result
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.0.pool.pop().unwrap_or_default();
        frame.resize(len, 0);
        let result = f(&mut frame);
        self.0.data_frames += u64::from(len > 200);
        self.0.frames.push_back(frame);
        result
    }
}

impl Device for End<'_> {
    type RxToken<'b>
        = Rx<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Tx<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        if self.tx.frames.len() >= FRAMES_MAX || self.rx_left == 0 {
            return None;
        }
        self.rx_left -= 1;
        let frame = self.rx.frames.pop_front()?;
        Some((Rx { frame, pool: &mut self.rx.pool }, Tx(self.tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        (self.tx.frames.len() < FRAMES_MAX).then_some(Tx(self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

struct Host {
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: Vec<SocketHandle>,
    spare: Vec<SocketHandle>,
}

/// See [`Pair`].
pub struct SmoltcpPair {
    setup: Setup,
    client: Host,
    server: Host,
    to_server: Queue,
    to_client: Queue,
    micros: i64,
    port: u16,
}

impl Host {
    fn new(octet: u8, setup: &Setup) -> Self {
        let (mut rx, mut tx) = (Queue::default(), Queue::default());
        let mut device = End { rx: &mut rx, tx: &mut tx, mtu: usize::from(setup.mtu), rx_left: 0 };
        let address = EthernetAddress([2, 0, 0, 0, 0, octet]);
        let mut config = Config::new(HardwareAddress::Ethernet(address));
        config.random_seed = u64::from(octet);
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|list| {
            list.push(IpCidr::new(IpAddress::v4(10, 0, 0, octet), 24))
                .expect("room for one address");
        });
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            connections: Vec::new(),
            spare: Vec::new(),
        }
    }

    fn socket(&mut self, setup: &Setup) -> SocketHandle {
        if let Some(position) = self
            .spare
            .iter()
            .position(|h| self.sockets.get::<tcp::Socket<'_>>(*h).state() == tcp::State::Closed)
        {
            return self.spare.swap_remove(position);
        }
        let buffer = || tcp::SocketBuffer::new(vec![0; setup.buffer]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        if setup.timestamps {
            socket.set_tsval_generator(Some(|| 1));
        }
        self.sockets.add(socket)
    }
}

impl SmoltcpPair {
    /// Two hosts, 10.0.0.1 and 10.0.0.2.
    pub fn new(setup: Setup) -> Self {
        Self {
            client: Host::new(1, &setup),
            server: Host::new(2, &setup),
            to_server: Queue::default(),
            to_client: Queue::default(),
            micros: 0,
            port: 40_000,
            setup,
        }
    }

    fn socket(&mut self, index: usize, side: Side) -> &mut tcp::Socket<'static> {
        let host = match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        };
        host.sockets.get_mut::<tcp::Socket<'static>>(host.connections[index])
    }
}

impl Pair for SmoltcpPair {
    fn open(&mut self, count: usize) {
        for _ in 0..count {
            let server = self.server.socket(&self.setup);
            self.server
                .sockets
                .get_mut::<tcp::Socket<'_>>(server)
                .listen(PORT)
                .expect("a fresh socket listens");
            let client = self.client.socket(&self.setup);
            self.port = if self.port == 60_000 { 40_000 } else { self.port + 1 };
            self.client
                .sockets
                .get_mut::<tcp::Socket<'_>>(client)
                .connect(
                    self.client.interface.context(),
                    (IpAddress::v4(10, 0, 0, 2), PORT),
                    self.port,
                )
                .expect("a fresh socket connects");
            self.client.connections.push(client);
            self.server.connections.push(server);
            let index = self.client.connections.len() - 1;
            for _ in 0..1_000 {
                if self.socket(index, Side::Server).may_send()
                    && self.socket(index, Side::Client).may_send()
                {
                    break;
                }
                self.step();
            }
            assert!(
                self.socket(index, Side::Server).may_send(),
                "connection {index} was not established"
            );
        }
    }

    fn close(&mut self, index: usize) {
        self.socket(index, Side::Client).close();
        for _ in 0..1_000 {
            self.step();
            if !self.socket(index, Side::Server).may_recv() {
                break;
            }
        }
        self.socket(index, Side::Server).close();
        for _ in 0..1_000 {
            if self.socket(index, Side::Server).state() == tcp::State::Closed {
                break;
            }
            self.step();
        }
        assert_eq!(
            self.socket(index, Side::Server).state(),
            tcp::State::Closed,
            "connection {index} did not close"
        );
        // TIME-WAIT is cut short: the socket object is what is reused here.
        self.socket(index, Side::Client).abort();
        let (client, server) = (
            self.client.connections.swap_remove(index),
            self.server.connections.swap_remove(index),
        );
        self.client.spare.push(client);
        self.server.spare.push(server);
    }

    fn step(&mut self) {
        self.micros += 1;
        let now = Instant::from_micros(self.micros);
        let (mtu, rx_left) = (usize::from(self.setup.mtu), self.setup.rx_burst);
        let mut end =
            End { rx: &mut self.to_client, tx: &mut self.to_server, mtu, rx_left: usize::MAX };
        self.client.interface.poll(now, &mut end, &mut self.client.sockets);
        loop {
            let mut end = End { rx: &mut self.to_server, tx: &mut self.to_client, mtu, rx_left };
            self.server.interface.poll(now, &mut end, &mut self.server.sockets);
            if self.to_server.frames.is_empty() {
                return;
            }
        }
    }

    fn write(&mut self, index: usize, side: Side, bytes: &[u8]) -> usize {
        self.socket(index, side).send_slice(bytes).unwrap_or(0)
    }

    fn read(&mut self, index: usize, side: Side, bytes: &mut [u8]) -> usize {
        self.socket(index, side).recv_slice(bytes).unwrap_or(0)
    }

    fn data_frames(&self) -> u64 {
        self.to_server.data_frames
    }
}
