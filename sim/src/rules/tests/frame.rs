//! Frames by hand: the host that is judged is 10.0.0.1, its peer 10.0.0.2.

use std::net::{IpAddr, Ipv6Addr};

/// Flags.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;
pub(super) const ECE: u8 = 0x40;
pub(super) const CWR: u8 = 0x80;

/// The judged host and its peer, in both families.
pub(super) const HOST: [u8; 4] = [10, 0, 0, 1];
pub(super) const PEER: [u8; 4] = [10, 0, 0, 2];
pub(super) const HOST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(super) const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
pub(super) const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub(super) fn addresses() -> Vec<IpAddr> {
    vec![IpAddr::from(HOST), IpAddr::V6(HOST_V6)]
}

/// The textbook's checksum.
pub(super) fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes: Vec<u8> = parts.concat();
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An IPv4 packet on its way to becoming a frame.
#[derive(Clone, Debug)]
pub(super) struct V4 {
    pub(super) mine: bool,
    pub(super) source: [u8; 4],
    pub(super) destination: [u8; 4],
    pub(super) tos: u8,
    pub(super) id: u16,
    /// Flags and fragment offset.
    pub(super) place: u16,
    pub(super) hops: u8,
    pub(super) protocol: u8,
    pub(super) body: Vec<u8>,
}

impl V4 {
    pub(super) fn new(mine: bool, protocol: u8, body: Vec<u8>) -> Self {
        let (source, destination) = if mine { (HOST, PEER) } else { (PEER, HOST) };
        let (id, place) = (1, 0x4000);
        Self { mine, source, destination, tos: 0, id, place, hops: 64, protocol, body }
    }

    /// Sets the checksum at `at` of the body, over the pseudo-header as well where `pseudo`.
    pub(super) fn summed(mut self, at: usize, pseudo: bool) -> Self {
        self.body[at..at + 2].fill(0);
        let [high, low] = (self.body.len() as u16).to_be_bytes();
        let ends = [&self.source[..], &self.destination, &[0, self.protocol, high, low]].concat();
        let ends = if pseudo { &ends[..] } else { &[] };
        let sum = checksum(&[ends, &self.body]);
        self.body[at..at + 2].copy_from_slice(&sum);
        self
    }

    pub(super) fn frame(&self) -> Vec<u8> {
        let mut frame = ethernet(self.mine, 0x0800);
        let [high, low] = (20 + self.body.len() as u16).to_be_bytes();
        let mut ip = vec![0x45, self.tos, high, low];
        ip.extend(self.id.to_be_bytes());
        ip.extend(self.place.to_be_bytes());
        ip.extend([self.hops, self.protocol, 0, 0]);
        ip.extend(self.source);
        ip.extend(self.destination);
        let sum = checksum(&[&ip]);
        ip[10..12].copy_from_slice(&sum);
        frame.extend(ip);
        frame.extend(&self.body);
        frame
    }
}

pub(super) fn ethernet(mine: bool, kind: u16) -> Vec<u8> {
    let (to, from) = if mine { (PEER_MAC, HOST_MAC) } else { (HOST_MAC, PEER_MAC) };
    let mut frame = [to, from].concat();
    frame.extend(kind.to_be_bytes());
    frame
}

/// An ICMPv6 message.
pub(super) fn icmpv6(mine: bool, hops: u8, mut body: Vec<u8>) -> Vec<u8> {
    let (from, to) = if mine { (HOST_V6, PEER_V6) } else { (PEER_V6, HOST_V6) };
    let [high, low] = (body.len() as u16).to_be_bytes();
    let sum = checksum(&[&from.octets(), &to.octets(), &[0, 0, high, low, 0, 0, 0, 58], &body]);
    body[2..4].copy_from_slice(&sum);
    let mut frame = ethernet(mine, 0x86dd);
    frame.extend([0x60, 0, 0, 0, high, low, 58, hops]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(body);
    frame
}

/// A UDP datagram.
pub(super) fn udp(mine: bool, payload: &[u8]) -> V4 {
    let (from, to) = if mine { (1_000_u16, 2_000_u16) } else { (2_000, 1_000) };
    let mut body = [from.to_be_bytes(), to.to_be_bytes()].concat();
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    V4::new(mine, 17, body).summed(6, true)
}

/// An ICMP message for IPv4.
pub(super) fn icmp(mine: bool, body: Vec<u8>) -> V4 {
    V4::new(mine, 1, body).summed(2, false)
}

/// An ICMP error that quotes `quoted` bytes of `about`.
pub(super) fn error_about(about: &[u8], quoted: usize) -> V4 {
    let mut body = vec![3, 3, 0, 0, 0, 0, 0, 0];
    body.extend(&about[14..14 + quoted]);
    icmp(true, body)
}

/// An ARP packet of the host.
pub(super) fn arp(operation: u16, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut frame = ethernet(true, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(HOST_MAC);
    frame.extend(sender);
    frame.extend(PEER_MAC);
    frame.extend(target);
    frame
}
