//! Routers (RFC 1812, RFC 8504): from link to link by the longest prefix, with what routers owe hosts: a hop less, errors, fragments.

use std::net::{IpAddr, Ipv6Addr};

use causeway_core::time::Instant;

use super::icmp::{Told, error};
use super::neighbors::Neighbors;
use crate::frame::SimFrame;
use crate::link::repair;
use crate::packet::{Arp, Icmp, Ip, Network, Packet, Transport, Verdict};
use crate::world::Relay;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const EVERYBODY: [u8; 6] = [0xff; 6];

/// An interface of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterPort {
    /// Its name.
    pub name: String,
    /// Its station.
    pub mac: [u8; 6],
    /// Its addresses, each with the length of its link's prefix in bits.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Bytes of the longest packet that its link carries.
    pub mtu: u16,
}

/// Where packets to a prefix go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// To addresses that begin like this one.
    pub destination: IpAddr,
    /// As far as so many bits.
    pub prefix_len: u8,
    /// To this neighbour; `None`: the destination is one.
    pub gateway: Option<IpAddr>,
    /// Through this interface.
    pub port: usize,
}

/// A router. It takes no time, has no queues of its own (those are its links'), and forgets no neighbour, but asks again.
#[derive(Debug)]
pub struct Router {
    ports: Vec<RouterPort>,
    /// By port: how many have asked that no route through it is used.
    unusable: Vec<u32>,
    /// The longest prefix first.
    routes: Vec<Route>,
    neighbors: Neighbors,
}

/// Frames and the ports that they leave by.
type Out = Vec<(usize, SimFrame)>;

impl Router {
    /// A router with `ports` in the order in which its links are connected, and `routes` beside those to its own links.
    pub fn new(ports: Vec<RouterPort>, mut routes: Vec<Route>) -> Self {
        for (port, about) in ports.iter().enumerate() {
            let own = about.addresses.iter().map(|&(destination, prefix_len)| Route {
                destination,
                prefix_len,
                gateway: None,
                port,
            });
            routes.extend(own);
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix_len));
        let unusable = vec![0; ports.len()];
        Self { ports, unusable, routes, neighbors: Neighbors::default() }
    }

    fn owns(&self, port: usize, address: IpAddr) -> bool {
        self.ports[port].addresses.iter().any(|(own, _)| *own == address)
    }

    fn owned_anywhere(&self, address: IpAddr) -> bool {
        (0..self.ports.len()).any(|port| self.owns(port, address))
    }

    /// The interface's address of the same family.
    fn own_address(&self, port: usize, like: IpAddr) -> Option<IpAddr> {
        let mut addresses = self.ports[port].addresses.iter().map(|(address, _)| *address);
        addresses.find(|address| address.is_ipv4() == like.is_ipv4())
    }

    fn route(&self, to: IpAddr) -> Option<(usize, IpAddr)> {
        let is_best = |route: &&Route| self.unusable[route.port] == 0 && matches(route, to);
        let route = self.routes.iter().find(is_best)?;
        Some((route.port, route.gateway.unwrap_or(to)))
    }

    /// ARP: answers for its own addresses, and learns from whoever speaks to it (RFC 826).
    fn arp(&mut self, now: Instant, port: usize, arp: &Arp, frame: &SimFrame, out: &mut Out) {
        let mine = self.owns(port, IpAddr::V4(arp.target));
        let sender = IpAddr::V4(arp.sender);
        if !arp.is_probe() && (mine || self.neighbors.station(port, sender).is_some()) {
            self.learned(now, (port, sender), arp.sender_mac, frame, out);
        }
        if mine && arp.operation == Arp::REQUEST {
            let mac = self.ports[port].mac;
            let mut bytes = arp_packet(2, mac, arp.sender_mac);
            bytes.extend(mac);
            bytes.extend(arp.target.octets());
            bytes.extend(arp.sender_mac);
            bytes.extend(arp.sender.octets());
            out.extend(frame.sibling(&bytes).map(|frame| (port, frame)));
        }
    }

    /// Neighbour discovery: the same for IPv6 (RFC 4861 §7.2).
    fn discovery(
        &mut self,
        now: Instant,
        port: usize,
        (ip, icmp): (&Ip, &Icmp),
        frame: &SimFrame,
        out: &mut Out,
    ) {
        let (Some(target), IpAddr::V6(source)) = (icmp.target, ip.source) else { return };
        if ip.hops != 255 {
            return;
        }
        // Behind the target stands one option at most, which names a station.
        let option =
            frame.bytes().get(ip.payload_at + 24..ip.end).and_then(|rest| rest.first_chunk::<8>());
        let station = option.filter(|option| matches!(option[0], 1 | 2) && option[1] == 1);
        let station = station.map(|o| [o[2], o[3], o[4], o[5], o[6], o[7]]);
        if icmp.kind == Icmp::ADVERTISEMENT {
            if let Some(station) = station {
                self.learned(now, (port, IpAddr::V6(target)), station, frame, out);
            }
            return;
        }
        if icmp.kind != Icmp::SOLICITATION || !self.owns(port, IpAddr::V6(target)) {
            return;
        }
        if let Some(station) = station.filter(|_| !source.is_unspecified()) {
            self.learned(now, (port, ip.source), station, frame, out);
        }
        let Some(to) = self.neighbors.station(port, ip.source) else { return };
        let mac = self.ports[port].mac;
        // Router, solicited, override.
        let bytes = discovery_packet((mac, to), (target, source), (136, 0xe000_0000), target, 2);
        out.extend(frame.sibling(&bytes).map(|frame| (port, frame)));
    }

    /// A neighbour is known: what waited for it leaves.
    fn learned(
        &mut self,
        now: Instant,
        (port, address): (usize, IpAddr),
        station: [u8; 6],
        frame: &SimFrame,
        out: &mut Out,
    ) {
        for mut packet in self.neighbors.learn(now, (port, address), station) {
            set_stations(&mut packet, station, self.ports[port].mac);
            out.extend(frame.sibling(&packet).map(|frame| (port, frame)));
        }
    }

    /// A packet goes to a neighbour, or waits for its station.
    fn send_to(
        &mut self,
        now: Instant,
        (port, next): (usize, IpAddr),
        mut frame: SimFrame,
        out: &mut Out,
    ) {
        let mac = self.ports[port].mac;
        if let Some(station) = self.neighbors.station(port, next) {
            if self.neighbors.is_due(now, port, next) {
                self.ask(port, next, &frame, out);
            }
            set_stations(frame.bytes_mut(), station, mac);
            out.push((port, frame));
        } else if self.neighbors.wait(now, port, next, frame.bytes()) {
            self.ask(port, next, &frame, out);
        }
    }

    /// Asks everybody on the link of `port` for the station of `next`.
    fn ask(&self, port: usize, next: IpAddr, frame: &SimFrame, out: &mut Out) {
        let mac = self.ports[port].mac;
        let Some(own) = self.own_address(port, next) else { return };
        let bytes = match (own, next) {
            (IpAddr::V4(own), IpAddr::V4(next)) => {
                let mut bytes = arp_packet(1, mac, EVERYBODY);
                bytes.extend(mac);
                bytes.extend(own.octets());
                bytes.extend([0; 6]);
                bytes.extend(next.octets());
                bytes
            }
            (IpAddr::V6(own), IpAddr::V6(next)) => {
                let [.., a, b, c] = next.octets();
                let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
                let station = [0x33, 0x33, 0xff, a, b, c];
                discovery_packet((mac, station), (own, group), (135, 0), next, 1)
            }
            (_, _) => return,
        };
        out.extend(frame.sibling(&bytes).map(|frame| (port, frame)));
    }

    /// Tells the sender of a packet that came in by `port`.
    fn tell(&self, port: usize, frame: &SimFrame, told: Told, out: &mut Out) {
        let Ok(packet) = Packet::parse(frame.bytes()) else { return };
        let Network::Ip(ip, _) = &packet.network else { return };
        let Some(own) = self.own_address(port, ip.source) else { return };
        let bytes = error(frame.bytes(), own, told);
        out.extend(bytes.and_then(|bytes| frame.sibling(&bytes)).map(|frame| (port, frame)));
    }

    fn forward(&mut self, now: Instant, port: usize, ip: &Ip, mut frame: SimFrame, out: &mut Out) {
        if ip.hops <= 1 {
            return self.tell(port, &frame, Told::TimeExceeded, out);
        }
        let Some((to, next)) = self.route(ip.destination) else {
            return self.tell(port, &frame, Told::NoRoute, out);
        };
        let mtu = self.ports[to].mtu;
        let fits = ip.total_len() <= usize::from(mtu);
        if !fits && ip.dont_fragment {
            return self.tell(port, &frame, Told::TooBig(mtu), out);
        }
        one_hop_less(frame.bytes_mut(), ip);
        // The padding of a short frame is the link's.
        frame.set_len(ip.end);
        if fits {
            return self.send_to(now, (to, next), frame, out);
        }
        for piece in fragments(frame.bytes(), ip, usize::from(mtu)) {
            if let Some(piece) = frame.sibling(&piece) {
                self.send_to(now, (to, next), piece, out);
            }
        }
    }
}

impl Relay for Router {
    fn handle(&mut self, now: Instant, port: usize, frame: SimFrame, out: &mut Out) {
        let Ok(packet) = Packet::parse(frame.bytes()) else { return };
        let Some(own) = self.ports.get(port) else { return };
        let link = packet.link;
        let group = link.destination[0] & 1 != 0;
        if link.vlan.is_some() || link.destination != own.mac && !group {
            return;
        }
        match &packet.network {
            Network::Arp(arp) => {
                let arp = *arp;
                self.arp(now, port, &arp, &frame, out);
            }
            Network::Ip(ip, Transport::Icmp(icmp)) if icmp.is_discovery() => {
                let (ip, icmp) = (*ip, *icmp);
                if packet.checksums().right() {
                    self.discovery(now, port, (&ip, &icmp), &frame, out);
                }
            }
            Network::Ip(ip, _) => {
                let ip = *ip;
                let damaged = packet.checksums().ip == Verdict::Wrong;
                let elsewhere = !group && is_routed(ip.source) && is_routed(ip.destination);
                if !damaged && elsewhere && !self.owned_anywhere(ip.destination) {
                    self.forward(now, port, &ip, frame, out);
                }
            }
            Network::Other(_) => {}
        }
    }

    fn port_of(&self, interface: &str) -> Option<usize> {
        self.ports.iter().position(|port| port.name == interface)
    }

    fn set_usable(&mut self, port: usize, usable: bool) {
        let count = &mut self.unusable[port];
        *count = if usable { count.saturating_sub(1) } else { *count + 1 };
    }
}

/// Addresses of one link are no router's business, nor are groups (RFC 4291 §2.5.6, RFC 3927 §2.7).
fn is_routed(address: IpAddr) -> bool {
    let of_a_link = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !of_a_link && !address.is_multicast() && !address.is_loopback() && !address.is_unspecified()
}

fn matches(route: &Route, to: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((a, width), (b, other)) = (bits(route.destination), bits(to));
    let rest = width - u32::from(route.prefix_len).min(width);
    width == other && a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
}

fn set_stations(frame: &mut [u8], destination: [u8; 6], source: [u8; 6]) {
    frame[..6].copy_from_slice(&destination);
    frame[6..12].copy_from_slice(&source);
}

/// RFC 791 §3.2: the time to live; its header's checksum follows. RFC 8200 §3: the hop limit.
fn one_hop_less(frame: &mut [u8], ip: &Ip) {
    if ip.is_v4() {
        frame[ip.at + 8] -= 1;
        fix_header_sum(frame, ip.at, ip.payload_at);
    } else {
        frame[ip.at + 7] -= 1;
    }
}

fn fix_header_sum(frame: &mut [u8], at: usize, end: usize) {
    frame[at + 10..at + 12].fill(0);
    let sum = causeway_checksum::finish(causeway_checksum::sum(&frame[at..end]));
    frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
}

/// The pieces of an IPv4 packet for a link of `mtu` bytes (RFC 791 §3.2), in order. Options go into the first piece alone.
fn fragments<'a>(frame: &'a [u8], ip: &'a Ip, mtu: usize) -> impl Iterator<Item = Vec<u8>> + 'a {
    let payload = &frame[ip.payload_at..ip.end];
    let (base, more_after) =
        ip.fragment.map_or((0, false), |part| (part.offset as usize, part.more));
    // Eight bytes at least, whatever the link: none is narrower than 68.
    let step = (mtu.saturating_sub(ip.payload_at - ip.at) / 8 * 8).max(8);
    (0..payload.len()).step_by(step).map(move |from| {
        let piece = &payload[from..payload.len().min(from + step)];
        let header_len = if from == 0 { ip.payload_at - ip.at } else { 20 };
        let mut bytes = frame[..ip.at + header_len].to_vec();
        bytes[ip.at] = 0x40 | (header_len / 4) as u8;
        let total = (header_len + piece.len()) as u16;
        bytes[ip.at + 2..ip.at + 4].copy_from_slice(&total.to_be_bytes());
        let more = more_after || from + step < payload.len();
        let place = ((base + from) / 8) as u16 | if more { 0x2000 } else { 0 };
        bytes[ip.at + 6..ip.at + 8].copy_from_slice(&place.to_be_bytes());
        let end = bytes.len();
        fix_header_sum(&mut bytes, ip.at, end);
        bytes.extend(piece);
        bytes
    })
}

/// The beginning of an ARP packet in a frame, as far as the operation.
fn arp_packet(operation: u8, from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ETHERNET + 28);
    bytes.extend(to);
    bytes.extend(from);
    bytes.extend(ETHERTYPE_ARP);
    bytes.extend([0, 1]);
    bytes.extend(ETHERTYPE_IPV4);
    bytes.extend([6, 4, 0, operation]);
    bytes
}

/// A message of neighbour discovery about `target` with the sender's station in an option of type `option`.
fn discovery_packet(
    (from, to): ([u8; 6], [u8; 6]),
    (source, destination): (Ipv6Addr, Ipv6Addr),
    (kind, flags): (u8, u32),
    target: Ipv6Addr,
    option: u8,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ETHERNET + 72);
    bytes.extend(to);
    bytes.extend(from);
    bytes.extend(ETHERTYPE_IPV6);
    bytes.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend(flags.to_be_bytes());
    bytes.extend(target.octets());
    bytes.extend([option, 1]);
    bytes.extend(from);
    repair(&mut bytes);
    bytes
}
