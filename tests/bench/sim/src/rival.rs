//! smoltcp's two hosts in the same world: the same NICs, link, loop, content and checks.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use causeway_core::nic::{MacAddr, Nic};
use causeway_core::time::{Duration, Instant};
use causeway_sim::content;
use causeway_sim::fault::FaultSource;
use causeway_sim::frame::SimFrame;
use causeway_sim::nic::{NicConfig, NicPort, SimNic};
use causeway_sim::world::HostEngine;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::{Load, frames_of};

const PORT: u16 = 7_000;
/// Frames that are taken from the ring at a time.
const BURST: usize = 32;

/// What smoltcp sees of the NIC.
struct Ends {
    nic: SimNic,
    rx: VecDeque<SimFrame>,
    scratch: Vec<SimFrame>,
    tx: VecDeque<SimFrame>,
}

struct Rx(SimFrame);

struct Tx<'a> {
    nic: &'a mut SimNic,
    tx: &'a mut VecDeque<SimFrame>,
}

impl phy::RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0.bytes())
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.nic.alloc(len).expect("its memory holds more than both rings");
        let result = f(frame.bytes_mut());
        self.tx.push_back(frame);
        result
    }
}

impl Device for Ends {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        if self.tx.len() >= BURST {
            return None;
        }
        let frame = self.rx.pop_front()?;
        Some((Rx(frame), Tx { nic: &mut self.nic, tx: &mut self.tx }))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        if self.tx.len() >= BURST {
            return None;
        }
        Some(Tx { nic: &mut self.nic, tx: &mut self.tx })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }
}

/// A flow's socket, and how far it is.
struct Flow {
    socket: SocketHandle,
    at: u64,
    over: bool,
}

/// A host; it sends, or it receives.
struct Host {
    ends: Ends,
    interface: Interface,
    sockets: SocketSet<'static>,
    flows: Vec<Flow>,
    sends: bool,
    bytes: u64,
    ring_bytes: usize,
    done: Rc<Cell<usize>>,
}

impl Host {
    fn new(octet: u8, load: Load, done: Rc<Cell<usize>>) -> (Self, Rc<NicPort>) {
        let mac = [2, 0, 0, 0, 0, octet];
        let (nic, port) = SimNic::new(&NicConfig::new(MacAddr(mac)));
        let (rx, tx) = (VecDeque::new(), VecDeque::new());
        let mut ends = Ends { nic, rx, scratch: Vec::new(), tx };
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = u64::from(octet);
        let mut interface = Interface::new(config, &mut ends, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|list| {
            let address = IpCidr::new(IpAddress::v4(10, 0, 0, octet), 24);
            list.push(address).expect("room for one address");
        });
        let sockets = SocketSet::new(Vec::new());
        let (sends, bytes, ring_bytes) = (octet == 1, load.bytes, load.ring_bytes);
        let flows = Vec::new();
        let mut host = Self { ends, interface, sockets, flows, sends, bytes, ring_bytes, done };
        (0..load.flows).for_each(|flow| host.open(flow));
        (host, port)
    }

    fn open(&mut self, flow: usize) {
        let buffer = || tcp::SocketBuffer::new(vec![0; self.ring_bytes]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let port = PORT + flow as u16;
        if self.sends {
            let to = (IpAddress::v4(10, 0, 0, 2), port);
            socket
                .connect(self.interface.context(), to, 40_000 + flow as u16)
                .expect("a fresh socket connects");
        } else {
            socket.listen(port).expect("a fresh socket listens");
        }
        let socket = self.sockets.add(socket);
        self.flows.push(Flow { socket, at: 0, over: false });
    }

    /// Every program does what it can. True when something was done.
    fn work(&mut self) -> bool {
        let Self { sockets, flows, bytes, done, .. } = self;
        let mut worked = false;
        for (index, flow) in flows.iter_mut().enumerate().filter(|(_, flow)| !flow.over) {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(flow.socket);
            let before = flow.at;
            if self.sends {
                send(socket, index as u64, &mut flow.at, *bytes);
                if flow.at == *bytes {
                    socket.close();
                    flow.over = true;
                }
            } else if receive(socket, index as u64, &mut flow.at) {
                assert_eq!(flow.at, *bytes, "flow {index} ends early");
                socket.close();
                flow.over = true;
                done.set(done.get() + 1);
            }
            worked |= flow.at > before || flow.over;
        }
        worked
    }
}

fn send(socket: &mut tcp::Socket<'_>, flow: u64, at: &mut u64, bytes: u64) {
    while *at < bytes && socket.can_send() {
        let left = usize::try_from(bytes - *at).unwrap_or(usize::MAX);
        let sent = socket.send(|room| {
            let count = room.len().min(left);
            content::fill(flow, 0, *at, &mut room[..count]);
            (count, count)
        });
        *at += sent.expect("it can send") as u64;
    }
}

/// True at the end of the stream.
fn receive(socket: &mut tcp::Socket<'_>, flow: u64, at: &mut u64) -> bool {
    while socket.can_recv() {
        let count = socket.recv(|piece| {
            assert_eq!(content::mismatch(flow, 0, *at, piece), None, "flow {flow}");
            (piece.len(), piece.len())
        });
        *at += count.expect("it can receive") as u64;
    }
    *at > 0 && !socket.may_recv()
}

impl HostEngine for Host {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        let time = smoltcp::time::Instant::from_micros((now.as_nanos() / 1_000) as i64);
        let Ends { nic, rx, scratch, .. } = &mut self.ends;
        nic.rx_burst(scratch, BURST);
        rx.extend(scratch.drain(..));
        self.interface.poll(time, &mut self.ends, &mut self.sockets);
        if self.work() {
            self.interface.poll(time, &mut self.ends, &mut self.sockets);
        }
        let Ends { nic, rx, tx, .. } = &mut self.ends;
        nic.tx_burst(tx);
        if !tx.is_empty() || !rx.is_empty() {
            return Some(now);
        }
        let next = self.interface.poll_at(time, &self.sockets)?;
        Some(Instant::from_nanos(next.total_micros().cast_unsigned() * 1_000))
    }
}

/// Runs `load`; frames that arrived.
pub fn streams(load: Load) -> u64 {
    let mut world = load.world();
    let done = Rc::new(Cell::new(0));
    let (a, a_port) = Host::new(1, load, Rc::clone(&done));
    let (b, b_port) = Host::new(2, load, Rc::clone(&done));
    let a = world.add_host("a", Box::new(a), Arc::default());
    let b = world.add_host("b", Box::new(b), Arc::default());
    world.connect((a, a_port), (b, b_port), load.link(), &FaultSource::clean());
    world.run_while(Instant::ZERO + Duration::from_secs(3_600), || done.get() < load.flows);
    assert_eq!(done.get(), load.flows, "every stream ends");
    frames_of(&world)
}
