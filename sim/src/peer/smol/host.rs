//! The host: an interface of smoltcp, its sockets, and one end of a flow on each.

use std::net::Ipv4Addr;
use std::rc::Rc;

use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::super::talk::Talk;
use super::super::{PeerConfig, v4};
use super::device::Device;
use super::socket::Conn;
use crate::nic::{NicPort, SimNic};
use crate::workload::{Part, Side};
use crate::world::{Described, HostEngine};

/// Until a full transmit ring is tried again, and a socket that asks to be polled at once just after it was.
const PACE: Duration = Duration::from_micros(100);
/// The first port that clients use.
const PORT_FIRST: u16 = 49_152;
/// Between two keepalive segments of an idle connection, where a host has them.
const KEEPALIVE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(1);
/// A connection whose program is over is aborted when nothing came of its end for so long.
const LINGER: Duration = Duration::from_secs(120);
/// Its reset, which smoltcp keeps until it has a way to where it goes, is waited for so long.
const RESET: Duration = Duration::from_secs(3);
/// What a host without path MTU discovery sends beyond its own link (RFC 1122 3.3.3): smoltcp has none, and forbids fragments.
const MTU_BEYOND: u16 = 576;
/// The programs have their turn so often in an iteration.
const TURNS_MAX: usize = 8;

/// One end of a flow with its socket.
#[derive(Debug)]
struct Slot {
    talk: Talk,
    /// Where a client calls; `None` for a server.
    calls: Option<(Ipv4Addr, u16)>,
    port: u16,
    starts_at: Instant,
    /// There is none before it starts, and after the program was over.
    socket: Option<SocketHandle>,
    was_open: bool,
}

/// See the module.
pub struct SmolHost {
    config: PeerConfig,
    device: Device,
    interface: Interface,
    sockets: SocketSet<'static>,
    slots: Vec<Slot>,
    numbers: Stream,
    /// How often it was switched on.
    boots: u64,
    /// Its programs were ended so long ago.
    ended_at: Option<Instant>,
    now: Instant,
}

fn micros(at: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((at.as_nanos() / 1_000).cast_signed())
}

/// The interface as after a start, which has a seed of its own.
fn interface(config: &PeerConfig, device: &mut Device, seed: u64, now: Instant) -> Interface {
    let mut settings = Config::new(HardwareAddress::Ethernet(EthernetAddress(config.nic.mac.0)));
    settings.random_seed = seed;
    let mut interface = Interface::new(settings, device, micros(now));
    let (address, prefix_len) = config.address;
    interface.update_ip_addrs(|list| {
        // The list has room for two, and is empty.
        let _ = list.push(IpCidr::new(IpAddress::Ipv4(address), prefix_len));
    });
    if let Some(gateway) = config.gateway {
        // The table has room for two, and is empty.
        let _ = interface.routes_mut().add_default_ipv4_route(gateway);
    }
    interface
}

/// A socket in words.
fn describe(socket: &Socket<'_>) -> Described {
    let local = socket.local_endpoint().map_or(socket.listen_endpoint().port, |end| end.port);
    let ports = [local, socket.remote_endpoint().map_or(0, |end| end.port)];
    let words = format!(
        "smoltcp port {local} in {}, {} bytes to send, {} to read",
        socket.state(),
        socket.send_queue(),
        socket.recv_queue()
    );
    Described { ports, is_waiting: socket.send_queue() == 0, words }
}

impl SmolHost {
    /// A host whose random numbers come from `seed`, and the link-facing half of its NIC.
    pub fn new(config: PeerConfig, seed: u64) -> (Self, Rc<NicPort>) {
        let (nic, port) = SimNic::new(&config.nic);
        let mtu = config.nic.mtu;
        let mtu = if config.gateway.is_some() { mtu.min(MTU_BEYOND) } else { mtu };
        let mut device = Device::new(nic, mtu.into());
        let numbers = Stream::new(seed, 0);
        let interface = interface(&config, &mut device, numbers.at(0), Instant::ZERO);
        let host = Self {
            config,
            device,
            interface,
            sockets: SocketSet::new(Vec::new()),
            slots: Vec::new(),
            numbers,
            boots: 0,
            ended_at: None,
            now: Instant::ZERO,
        };
        (host, port)
    }

    /// Command: one end of a flow, from `starts_at` on. Flows over IPv6 are not for this host.
    pub(crate) fn add(&mut self, part: Part, side: Side, starts_at: Instant) {
        let Some(server) = v4(part.server) else { return };
        let (calls, port) = match side {
            Side::Client => (Some(server), PORT_FIRST + self.slots.len() as u16),
            Side::Server => (None, server.1),
        };
        let talk = Talk::new(part, side);
        self.slots.push(Slot { talk, calls, port, starts_at, socket: None, was_open: false });
    }

    /// Ends of flows whose time has come.
    fn start(&mut self, now: Instant) {
        let Self { config, interface, sockets, slots, .. } = self;
        let due =
            |slot: &&mut Slot| slot.socket.is_none() && slot.starts_at <= now && !slot.talk.over;
        for slot in slots.iter_mut().filter(due) {
            let [rx, tx] = config.buffers.map(|len| SocketBuffer::new(vec![0; len]));
            let mut socket = Socket::new(rx, tx);
            socket.set_keep_alive(config.keepalive.then_some(KEEPALIVE));
            let opened = match slot.calls {
                Some((host, port)) => {
                    let to = (IpAddress::Ipv4(host), port);
                    socket.connect(interface.context(), to, slot.port).is_ok()
                }
                None => socket.listen(slot.port).is_ok(),
            };
            debug_assert!(opened, "a fresh socket connects and listens");
            slot.socket = Some(sockets.add(socket));
        }
    }

    /// Every program does what it can. True when something may be to be sent because of it.
    fn work(&mut self, now: Instant) -> bool {
        let Self { sockets, slots, ended_at, .. } = self;
        let mut worked = false;
        for slot in slots {
            let Some(handle) = slot.socket else { continue };
            let socket = sockets.get_mut::<Socket<'_>>(handle);
            let (is_client, was_open) = (slot.calls.is_some(), &mut slot.was_open);
            worked |= slot.talk.poll(now, &mut Conn { socket, is_client, was_open });
            let since = |pause| ended_at.is_some_and(|at| now >= at + pause);
            if since(LINGER) && socket.state() != State::Closed {
                socket.abort();
                worked = true;
            }
            // One that was aborted still has its reset to send, which has no way to whoever called from a damaged address.
            let told = socket.remote_endpoint().is_none() || since(LINGER + RESET);
            let closed = socket.state() == State::Closed && told;
            if slot.talk.over && closed {
                sockets.remove(handle);
                slot.socket = None;
            }
        }
        worked
    }

    /// The next thing that happens by itself.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let held_up = self.device.is_held_up().then(|| now + PACE);
        let own = self.interface.poll_at(micros(now), &self.sockets).map(|at| {
            let at = Instant::from_nanos(at.total_micros().cast_unsigned() * 1_000);
            // It was polled just now, and did what it could.
            at.max(now + PACE)
        });
        let slots = self.slots.iter().filter_map(|slot| match slot.socket {
            Some(_) => self.ended_at.map(|at| (at + LINGER).max(now + PACE)),
            None => Some(slot.starts_at).filter(|_| !slot.talk.over),
        });
        slots.chain(held_up).chain(own).min()
    }
}

impl HostEngine for SmolHost {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        self.now = now;
        self.start(now);
        self.device.take();
        for _ in 0..TURNS_MAX {
            self.interface.poll(micros(now), &mut self.device, &mut self.sockets);
            self.device.hand_over();
            if !self.work(now) {
                break;
            }
        }
        self.next(now)
    }

    fn restart(&mut self, now: Instant) {
        self.boots += 1;
        self.device.reboot();
        let seed = self.numbers.at(self.boots);
        self.interface = interface(&self.config, &mut self.device, seed, now);
        self.sockets = SocketSet::new(Vec::new());
        for slot in &mut self.slots {
            slot.talk.lost();
            slot.socket = None;
        }
    }

    fn end_programs(&mut self) {
        self.ended_at = Some(self.now);
        for slot in &mut self.slots {
            slot.talk.over = true;
            if let Some(handle) = slot.socket {
                self.sockets.get_mut::<Socket<'_>>(handle).close();
            }
        }
    }

    fn describe(&self) -> Vec<Described> {
        let sockets = self.sockets.iter();
        sockets.map(|(_, smoltcp::socket::Socket::Tcp(socket))| describe(socket)).collect()
    }

    fn leftovers(&self) -> String {
        let (live, frames) = (self.sockets.iter().count(), self.device.frames_in_use());
        match (live, frames) {
            (0, 0) => String::new(),
            _ => format!("{live} connections, {frames} frames"),
        }
    }
}
