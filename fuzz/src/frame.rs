//! Frames of either family, put together and taken apart without the stack's help.

use std::net::{IpAddr, SocketAddr};

use causeway_core::wire::checksum::{combine, finish, pseudo_header, sum, verify};
use causeway_core::wire::tcp::TcpHeader;
use causeway_core::wire::{IpProtocol, Ipv4Header, Ipv6Header};

/// Output: a bare IP packet.
pub fn ip_packet(src: IpAddr, dst: IpAddr, protocol: IpProtocol, ecn: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40 + body.len()];
    let len = body.len() as u16;
    let header_len = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = Ipv4Header::new(src, dst, protocol, len);
            header.traffic_class = ecn & 3;
            header.emit(&mut packet)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut header = Ipv6Header::new(src, dst, protocol, len);
            header.traffic_class = ecn & 3;
            header.emit(&mut packet)
        }
        _ => panic!("two families in one packet"),
    };
    packet[header_len..header_len + body.len()].copy_from_slice(body);
    packet.truncate(header_len + body.len());
    packet
}

/// Writes the checksum of a transport's bytes into them.
pub fn seal(src: IpAddr, dst: IpAddr, protocol: IpProtocol, at: usize, bytes: &mut [u8]) {
    bytes[at..at + 2].fill(0);
    let pseudo = pseudo_header(src, dst, protocol, bytes.len()).expect("one family");
    let checksum = finish(combine(pseudo, sum(bytes), false));
    bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// Output: a TCP segment in its IP packet.
pub fn tcp_packet(
    src: SocketAddr,
    dst: SocketAddr,
    header: &TcpHeader,
    payload: &[u8],
    ecn: u8,
) -> Vec<u8> {
    let mut header = *header;
    (header.src_port, header.dst_port) = (src.port(), dst.port());
    let mut segment = vec![0; header.header_len()];
    header.emit(&mut segment);
    segment.extend_from_slice(payload);
    seal(src.ip(), dst.ip(), IpProtocol::TCP, 16, &mut segment);
    ip_packet(src.ip(), dst.ip(), IpProtocol::TCP, ecn, &segment)
}

/// An IP packet, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    /// Its source.
    pub src: IpAddr,
    /// Its destination.
    pub dst: IpAddr,
    /// What it carries, extension headers not walked.
    pub protocol: IpProtocol,
    /// The bytes behind the IP header.
    pub body: &'a [u8],
    /// It is a piece of one.
    pub fragment: bool,
}

/// Input: a bare IP packet of the stack's. Panics when it is none.
pub fn open_ip(packet: &[u8]) -> Opened<'_> {
    let (src, dst, protocol, fragment, body) = match packet.first().map(|byte| byte >> 4) {
        Some(4) => {
            let (header, at) = Ipv4Header::parse(packet).expect("a right IPv4 header");
            let body = &packet[at..at + usize::from(header.payload_len)];
            (header.src.into(), header.dst.into(), header.protocol, header.is_fragment(), body)
        }
        Some(6) => {
            let (header, at) = Ipv6Header::parse(packet).expect("a right IPv6 header");
            let body = &packet[at..at + usize::from(header.payload_len)];
            let fragment = header.next_header == IpProtocol(44);
            (header.src.into(), header.dst.into(), header.next_header, fragment, body)
        }
        _ => panic!("not IP: {packet:x?}"),
    };
    Opened { src, dst, protocol, body, fragment }
}

/// Input: the TCP segment in a packet; `None` for what carries something else. Panics when it is `summed` and the checksum is
/// wrong.
pub fn open_tcp<'a>(packet: &Opened<'a>, summed: bool) -> Option<(TcpHeader, &'a [u8])> {
    if packet.protocol != IpProtocol::TCP || packet.fragment {
        return None;
    }
    if summed {
        let right = verify(packet.src, packet.dst, IpProtocol::TCP, packet.body);
        right.expect("a right TCP checksum");
    }
    let (header, at) = TcpHeader::parse(packet.body).expect("a TCP header");
    Some((header, &packet.body[at..]))
}
