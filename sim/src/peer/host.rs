//! A host with the textbook's TCP: ARP, IPv4 to its own link or a gateway, and one connection for each flow.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use causeway_core::error::EndReason;
use causeway_core::nic::Nic as _;
use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};

use super::segment::{End, Out, arp, frame};
use super::talk::{Connection, Read, Status, Talk};
use super::textbook::{State, Textbook, reset_for};
use super::{PeerConfig, v4};
use crate::frame::SimFrame;
use crate::nic::{NicPort, SimNic};
use crate::packet::{Arp, Network, Packet, Transport};
use crate::workload::{Part, Side};
use crate::world::{Described, HostEngine};

/// Between two questions for the same address (RFC 1122 2.3.2.1).
const ASK_PACE: Duration = Duration::from_secs(1);
/// Until a full transmit ring is tried again.
const RING_PACE: Duration = Duration::from_micros(100);
/// The first port that clients use.
const PORT_FIRST: u16 = 49_152;
/// Frames that wait for the transmit ring; more are lost.
const WAITING_MAX: usize = 256;

/// What is known of a neighbour.
#[derive(Debug, Default)]
struct Neighbor {
    station: Option<[u8; 6]>,
    asked_at: Option<Instant>,
    /// The last packet that waits (RFC 1122 2.3.2.2).
    waiting: Option<Vec<u8>>,
}

/// One end of a flow with its connection.
#[derive(Debug)]
struct Slot {
    talk: Talk,
    /// Where a client calls; `None` for a server.
    calls: Option<End>,
    local: End,
    starts_at: Instant,
    /// There is none before it starts, and after the program was over.
    connection: Option<Textbook>,
}

/// See the module.
#[derive(Debug)]
pub struct TextbookHost {
    config: PeerConfig,
    nic: SimNic,
    neighbors: BTreeMap<Ipv4Addr, Neighbor>,
    slots: Vec<Slot>,
    out: VecDeque<SimFrame>,
    received: Vec<SimFrame>,
    numbers: Stream,
    /// First numbers that were drawn.
    drawn: u64,
    /// When it last did something.
    now: Instant,
}

impl TextbookHost {
    /// A host whose first sequence numbers come from `seed`, and the link-facing half of its NIC.
    pub fn new(config: PeerConfig, seed: u64) -> (Self, Rc<NicPort>) {
        let (nic, port) = SimNic::new(&config.nic);
        let host = Self {
            config,
            nic,
            neighbors: BTreeMap::new(),
            slots: Vec::new(),
            out: VecDeque::new(),
            received: Vec::new(),
            numbers: Stream::new(seed, 0),
            drawn: 0,
            now: Instant::ZERO,
        };
        (host, port)
    }

    /// Command: one end of a flow, from `starts_at` on. Flows over IPv6 are not for this host.
    pub(crate) fn add(&mut self, part: Part, side: Side, starts_at: Instant) {
        let Some(server) = v4(part.server) else { return };
        let client = (self.config.address.0, PORT_FIRST + self.slots.len() as u16);
        let (local, calls) = match side {
            Side::Client => (client, Some(server)),
            Side::Server => (server, None),
        };
        let talk = Talk::new(part, side);
        self.slots.push(Slot { talk, calls, local, starts_at, connection: None });
    }

    fn number(&mut self) -> u32 {
        self.drawn += 1;
        self.numbers.at(self.drawn) as u32
    }

    /// Ends of flows whose time has come.
    fn start(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            if slot.connection.is_none() && slot.starts_at <= now && !slot.talk.over {
                let iss = self.number();
                let slot = &mut self.slots[at];
                slot.connection = Some(match slot.calls {
                    Some(server) => Textbook::connect(slot.local, server, iss),
                    None => Textbook::listen(slot.local, iss),
                });
            }
        }
    }

    fn receive(&mut self, now: Instant) {
        let mut received = std::mem::take(&mut self.received);
        loop {
            self.nic.rx_burst(&mut received, usize::MAX);
            if received.is_empty() {
                break;
            }
            for frame in received.drain(..) {
                if let Ok(packet) = Packet::parse(frame.bytes()) {
                    self.take(now, &packet);
                }
            }
        }
        self.received = received;
    }

    fn take(&mut self, now: Instant, packet: &Packet<'_>) {
        let own = self.config.nic.mac.0;
        if packet.link.destination != own && packet.link.destination != [0xff; 6] {
            return;
        }
        match &packet.network {
            Network::Arp(arp) => self.take_arp(arp),
            Network::Ip(ip, Transport::Tcp(tcp)) if ip.fragment.is_none() => {
                let ends = (ip.source, ip.destination);
                let (IpAddr::V4(source), IpAddr::V4(destination)) = ends else { return };
                let ours = destination == self.config.address.0 && packet.link.destination == own;
                if !ours || !packet.checksums_right() {
                    return;
                }
                let local = (destination, tcp.destination_port);
                let remote = (source, tcp.source_port);
                let of =
                    |c: &&mut Textbook| c.local == local && c.remote.is_none_or(|r| r == remote);
                let mut known = self.slots.iter_mut().filter_map(|slot| slot.connection.as_mut());
                let answer = match known.find(of) {
                    Some(connection) => connection.receive(now, remote, tcp, packet.payload()),
                    None => reset_for(tcp, packet.payload()),
                };
                if let Some(out) = answer {
                    self.send(now, local, remote, &out);
                }
            }
            Network::Ip(..) | Network::Other(_) => {}
        }
    }

    fn take_arp(&mut self, packet: &Arp) {
        let (mac, own) = (self.config.nic.mac.0, self.config.address.0);
        let for_us = packet.target == own && !packet.is_probe();
        if for_us || self.neighbors.contains_key(&packet.sender) {
            let neighbor = self.neighbors.entry(packet.sender).or_default();
            neighbor.station = Some(packet.sender_mac);
            if let Some(waiting) = neighbor.waiting.take() {
                self.put(waiting, packet.sender_mac);
            }
        }
        if packet.target == own && packet.operation == Arp::REQUEST {
            let to = (packet.sender_mac, packet.sender);
            self.hand_over(&arp(Arp::REPLY, (mac, own), to));
        }
    }

    fn send(&mut self, now: Instant, local: End, remote: End, out: &Out) {
        let (own, prefix) = self.config.address;
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let on_link = (own.to_bits() ^ remote.0.to_bits()) & mask == 0;
        let Some(next) = (if on_link { Some(remote.0) } else { self.config.gateway }) else {
            return;
        };
        let bytes = frame(local, remote, out);
        let neighbor = self.neighbors.entry(next).or_default();
        if let Some(station) = neighbor.station {
            return self.put(bytes, station);
        }
        neighbor.waiting = Some(bytes);
        if neighbor.asked_at.is_none_or(|at| now >= at + ASK_PACE) {
            neighbor.asked_at = Some(now);
            let mac = self.config.nic.mac.0;
            self.hand_over(&arp(Arp::REQUEST, (mac, own), ([0; 6], next)));
        }
    }

    fn put(&mut self, mut bytes: Vec<u8>, station: [u8; 6]) {
        bytes[..6].copy_from_slice(&station);
        bytes[6..12].copy_from_slice(&self.config.nic.mac.0);
        self.hand_over(&bytes);
    }

    fn hand_over(&mut self, bytes: &[u8]) {
        if self.out.len() < WAITING_MAX
            && let Some(mut frame) = self.nic.alloc(bytes.len())
        {
            frame.bytes_mut().copy_from_slice(bytes);
            self.out.push_back(frame);
        }
    }

    /// What every connection has to say, and its program.
    fn run(&mut self, now: Instant) {
        for at in 0..self.slots.len() {
            let Slot { talk, connection, .. } = &mut self.slots[at];
            let Some(connection) = connection else { continue };
            connection.tick(now);
            talk.poll(now, connection);
            while let Some(out) = self.slots[at].poll(now) {
                let Some(Textbook { local, remote: Some(remote), .. }) = self.slots[at].connection
                else {
                    break;
                };
                self.send(now, local, remote, &out);
            }
            let slot = &mut self.slots[at];
            let closed = |connection: &Textbook| connection.state == State::Closed;
            if slot.talk.over && slot.connection.as_ref().is_some_and(closed) {
                slot.connection = None;
            }
        }
    }

    /// The next thing that happens by itself.
    fn next(&self, now: Instant) -> Option<Instant> {
        let ring = (!self.out.is_empty()).then(|| now + RING_PACE);
        let slots = self.slots.iter().filter_map(|slot| match &slot.connection {
            Some(connection) => connection.deadline(),
            None => Some(slot.starts_at).filter(|_| !slot.talk.over),
        });
        slots.chain(ring).min()
    }
}

impl Slot {
    fn poll(&mut self, now: Instant) -> Option<Out> {
        self.connection.as_mut()?.poll(now)
    }
}

impl Connection for Textbook {
    fn status(&mut self) -> Status {
        match (self.over, self.state) {
            // What came before the end is read first.
            (Some(EndReason::Closed), _) => Status::Open,
            (Some(reason), _) => Status::Over(reason),
            (None, State::Listen | State::SynSent | State::SynReceived) => Status::Opening,
            (None, _) => Status::Open,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        Self::write(self, bytes)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Read {
        match Self::read(self, bytes) {
            0 if self.is_at_end() => Read::End,
            0 => Read::Later,
            count => Read::Bytes(count),
        }
    }

    fn shutdown(&mut self) {
        Self::shutdown(self);
    }

    fn close(&mut self, now: Instant) {
        Self::close(self, now);
    }
}

impl HostEngine for TextbookHost {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        self.now = now;
        self.start(now);
        self.receive(now);
        self.run(now);
        while self.nic.tx_burst(&mut self.out) > 0 {}
        self.next(now)
    }

    fn restart(&mut self, _: Instant) {
        self.nic = self.nic.rebooted();
        self.neighbors.clear();
        self.out.clear();
        for slot in &mut self.slots {
            slot.talk.lost();
            slot.connection = None;
        }
    }

    fn end_programs(&mut self) {
        for slot in &mut self.slots {
            slot.talk.over = true;
            if let Some(connection) = &mut slot.connection {
                connection.close(self.now);
            }
        }
    }

    fn describe(&self) -> Vec<Described> {
        let connections = self.slots.iter().filter_map(|slot| slot.connection.as_ref());
        connections.map(Textbook::describe).collect()
    }

    fn leftovers(&self) -> String {
        let live = self.slots.iter().filter(|slot| slot.connection.is_some()).count();
        let frames = self.nic.frames_in_use().saturating_sub(self.nic.port().stuck());
        match (live, frames) {
            (0, 0) => String::new(),
            _ => format!("{live} connections, {frames} frames"),
        }
    }
}
