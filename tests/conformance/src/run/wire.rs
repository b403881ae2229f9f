//! Packets as bytes: built for the stack, taken apart from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_core::wire::IpProtocol;
use causeway_core::wire::checksum;

use crate::script::{Flags, TcpOption};

/// The fields of a packet that scripts speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    /// Type of service or traffic class.
    pub(super) tos: u8,
    /// Time to live or hop limit.
    pub(super) ttl: u8,
    pub(super) flow_label: u32,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Tcp(Tcp),
    Udp {
        src_port: u16,
        dst_port: u16,
        payload: Vec<u8>,
    },
    Icmp {
        kind: u8,
        code: u8,
        rest: Vec<u8>,
    },
    /// Another protocol, or a fragment.
    Other(u8),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: Flags,
    /// The three reserved bits beside AE.
    pub(super) reserved: u8,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) options: Vec<TcpOption>,
    pub(super) payload: Vec<u8>,
}

/// The experimental option's number for Fast Open.
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|b| u16::from_be_bytes(*b))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
}

/// Takes a datagram of the stack apart.
///
/// # Errors
/// What is wrong with it: the stack must not send such a datagram.
pub(super) fn parse(bytes: &[u8]) -> Result<Packet, String> {
    let short = || "a datagram shorter than its headers".to_owned();
    match bytes.first().map(|b| b >> 4) {
        Some(4) => parse_v4(bytes).ok_or_else(short)?,
        Some(6) => parse_v6(bytes).ok_or_else(short)?,
        _ => Err("a datagram of no IP version".to_owned()),
    }
}

fn parse_v4(bytes: &[u8]) -> Option<Result<Packet, String>> {
    let header_len = usize::from(bytes[0] & 15) * 4;
    let total = usize::from(be16(bytes, 2)?);
    let header = bytes.get(..header_len)?;
    if total != bytes.len() {
        return Some(Err(format!("total length {total} of {} bytes", bytes.len())));
    }
    if checksum::sum(header) != 0xffff {
        return Some(Err("a wrong IP header checksum".to_owned()));
    }
    let address = |at: usize| header.get(at..)?.first_chunk::<4>().map(|b| Ipv4Addr::from(*b));
    let (src, dst) = (IpAddr::V4(address(12)?), IpAddr::V4(address(16)?));
    let fragment = be16(header, 6)? & 0x3fff != 0;
    let protocol = if fragment { 255 } else { *header.get(9)? };
    let body = parse_body(protocol, src, dst, bytes.get(header_len..)?);
    let (tos, ttl) = (header[1], *header.get(8)?);
    Some(body.map(|body| Packet { src, dst, tos, ttl, flow_label: 0, body }))
}

fn parse_v6(bytes: &[u8]) -> Option<Result<Packet, String>> {
    let header = bytes.get(..40)?;
    let word = be32(header, 0)?;
    let len = usize::from(be16(header, 4)?);
    if len + 40 != bytes.len() {
        return Some(Err(format!("payload length {len} of {} bytes", bytes.len())));
    }
    let address = |at: usize| header.get(at..)?.first_chunk::<16>().map(|b| Ipv6Addr::from(*b));
    let (src, dst) = (IpAddr::V6(address(8)?), IpAddr::V6(address(24)?));
    let (tos, flow_label) = ((word >> 20) as u8, word & 0xf_ffff);
    let body = parse_body(header[6], src, dst, &bytes[40..]);
    Some(body.map(|body| Packet { src, dst, tos, ttl: header[7], flow_label, body }))
}

fn parse_body(protocol: u8, src: IpAddr, dst: IpAddr, bytes: &[u8]) -> Result<Body, String> {
    let short = || "a transport header cut short".to_owned();
    let verify = |protocol| {
        checksum::verify(src, dst, protocol, bytes)
            .map_err(|_| "a wrong transport checksum".to_owned())
    };
    match i32::from(protocol) {
        libc::IPPROTO_TCP => {
            verify(IpProtocol::TCP)?;
            parse_tcp(bytes).ok_or_else(short).map(Body::Tcp)
        }
        libc::IPPROTO_UDP => {
            if be16(bytes, 6) != Some(0) {
                verify(IpProtocol::UDP)?;
            }
            let port = |at| be16(bytes, at).ok_or_else(short);
            let payload = bytes.get(8..).ok_or_else(short)?.to_vec();
            Ok(Body::Udp { src_port: port(0)?, dst_port: port(2)?, payload })
        }
        libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 => {
            let ([kind, code, ..], Some(rest)) = (bytes, bytes.get(4..)) else {
                return Err(short());
            };
            Ok(Body::Icmp { kind: *kind, code: *code, rest: rest.to_vec() })
        }
        _ => Ok(Body::Other(protocol)),
    }
}

fn parse_tcp(bytes: &[u8]) -> Option<Tcp> {
    let header_len = usize::from(bytes.get(12)? >> 4) * 4;
    let bits = be16(bytes, 12)?;
    Some(Tcp {
        src_port: be16(bytes, 0)?,
        dst_port: be16(bytes, 2)?,
        seq: be32(bytes, 4)?,
        ack: be32(bytes, 8)?,
        flags: Flags(bits & 0x1ff),
        reserved: (bits >> 9 & 7) as u8,
        window: be16(bytes, 14)?,
        urgent: be16(bytes, 18)?,
        options: parse_options(bytes.get(20..header_len)?),
        payload: bytes.get(header_len..)?.to_vec(),
    })
}

fn parse_options(mut bytes: &[u8]) -> Vec<TcpOption> {
    let mut options = Vec::new();
    while let [kind, rest @ ..] = bytes {
        if *kind < 2 {
            options.push(if *kind == 0 { TcpOption::Eol } else { TcpOption::Nop });
            bytes = rest;
            continue;
        }
        let len = rest.first().map_or(0, |len| usize::from(*len));
        let (Some(body), Some(after)) = (bytes.get(2..len), bytes.get(len..)) else {
            options.push(TcpOption::Other(*kind, rest.to_vec()));
            return options;
        };
        options.push(parse_option(*kind, body));
        bytes = after;
    }
    options
}

fn parse_option(kind: u8, body: &[u8]) -> TcpOption {
    let other = || TcpOption::Other(kind, body.to_vec());
    match (kind, body.len()) {
        (2, 2) => be16(body, 0).map_or_else(other, TcpOption::Mss),
        (3, 1) => TcpOption::WindowScale(body[0]),
        (4, 0) => TcpOption::SackOk,
        (5, len) if len % 8 == 0 => {
            let word = |at| be32(body, at).unwrap_or(0);
            TcpOption::Sack((0..len).step_by(8).map(|at| (word(at), word(at + 4))).collect())
        }
        (8, 8) => TcpOption::Timestamps(be32(body, 0).unwrap_or(0), be32(body, 4).unwrap_or(0)),
        (34, _) => TcpOption::FastOpen(body.to_vec()),
        (254, len) if len >= 2 && body[..2] == FAST_OPEN_MAGIC => {
            TcpOption::FastOpenExperimental(body[2..].to_vec())
        }
        _ => other(),
    }
}

/// The bytes of a TCP header with its payload; the checksum is [`datagram`]'s to fill in.
pub(super) fn tcp_bytes(tcp: &Tcp) -> Vec<u8> {
    let mut options = Vec::new();
    for option in &tcp.options {
        emit_option(option, &mut options);
    }
    let words = (20 + options.len()) / 4;
    let bits = (words as u16) << 12 | u16::from(tcp.reserved & 7) << 9 | tcp.flags.0;
    let mut out = Vec::with_capacity(60 + tcp.payload.len());
    out.extend(tcp.src_port.to_be_bytes());
    out.extend(tcp.dst_port.to_be_bytes());
    out.extend(tcp.seq.to_be_bytes());
    out.extend(tcp.ack.to_be_bytes());
    out.extend(bits.to_be_bytes());
    out.extend(tcp.window.to_be_bytes());
    out.extend([0, 0]);
    out.extend(tcp.urgent.to_be_bytes());
    out.extend(options);
    out.extend_from_slice(&tcp.payload);
    out
}

fn emit_option(option: &TcpOption, out: &mut Vec<u8>) {
    let mut put = |kind: u8, body: &[u8]| {
        out.extend([kind, (body.len() + 2) as u8]);
        out.extend_from_slice(body);
    };
    match option {
        TcpOption::Nop => out.push(1),
        TcpOption::Eol => out.push(0),
        TcpOption::Mss(mss) => put(2, &mss.to_be_bytes()),
        TcpOption::WindowScale(shift) => put(3, &[*shift]),
        TcpOption::SackOk => put(4, &[]),
        TcpOption::Sack(blocks) => {
            let edges = blocks.iter().flat_map(|(left, right)| [left, right]);
            put(5, &edges.flat_map(|edge| edge.to_be_bytes()).collect::<Vec<u8>>());
        }
        TcpOption::Timestamps(value, echo) => {
            put(8, &[value.to_be_bytes(), echo.to_be_bytes()].concat());
        }
        TcpOption::FastOpen(cookie) => put(34, cookie),
        TcpOption::FastOpenExperimental(cookie) => {
            put(254, &[&FAST_OPEN_MAGIC, cookie.as_slice()].concat());
        }
        TcpOption::Other(kind, body) => put(*kind, body),
    }
}

/// Where a transport's checksum lies.
const fn checksum_at(protocol: u8) -> usize {
    match protocol as i32 {
        libc::IPPROTO_TCP => 16,
        libc::IPPROTO_UDP => 6,
        _ => 2,
    }
}

/// How a datagram's IP header is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpFields {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) flow_label: u32,
}

/// A whole datagram, its checksums right.
pub(super) fn datagram(ip: &IpFields, protocol: u8, mut body: Vec<u8>) -> Vec<u8> {
    let pseudo = match ip.src {
        IpAddr::V4(_) if i32::from(protocol) == libc::IPPROTO_ICMP => 0,
        IpAddr::V4(_) | IpAddr::V6(_) => {
            checksum::pseudo_header(ip.src, ip.dst, IpProtocol(protocol), body.len()).unwrap_or(0)
        }
    };
    let sum = !checksum::combine(pseudo, checksum::sum(&body), false);
    let at = checksum_at(protocol);
    if let Some(field) = body.get_mut(at..at + 2) {
        let zero = sum == 0 && i32::from(protocol) == libc::IPPROTO_UDP;
        field.copy_from_slice(&(if zero { 0xffff } else { sum }).to_be_bytes());
    }
    let mut out = header(ip, protocol, body.len());
    out.append(&mut body);
    out
}

/// The IP header of `len` bytes of payload.
pub(super) fn header(ip: &IpFields, protocol: u8, len: usize) -> Vec<u8> {
    match (ip.src, ip.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = vec![0x45, ip.tos];
            header.extend(((len + 20) as u16).to_be_bytes());
            header.extend([0, 0, 0x40, 0, ip.ttl, protocol, 0, 0]);
            header.extend(src.octets());
            header.extend(dst.octets());
            let sum = !checksum::sum(&header);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            header
        }
        (src, dst) => {
            let v6 = |address: IpAddr| match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            let word = 6 << 28 | u32::from(ip.tos) << 20 | ip.flow_label;
            let mut header = word.to_be_bytes().to_vec();
            header.extend((len as u16).to_be_bytes());
            header.extend([protocol, ip.ttl]);
            header.extend(v6(src).octets());
            header.extend(v6(dst).octets());
            header
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_taken_apart_again() {
        let options = vec![TcpOption::Mss(1000), TcpOption::SackOk, TcpOption::Timestamps(1, 2)];
        let tcp = Tcp {
            src_port: 1,
            dst_port: 2,
            seq: 3,
            ack: 4,
            flags: Flags(0x1c2),
            window: 5,
            urgent: 6,
            options,
            payload: vec![7; 9],
            reserved: 0,
        };
        for (src, dst) in [("192.0.2.1", "192.168.0.1"), ("2001:db8::1", "fd3d::1")] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let ip = IpFields { src, dst, tos: 2, ttl: 9, flow_label: 0 };
            let bytes = datagram(&ip, libc::IPPROTO_TCP as u8, tcp_bytes(&tcp));
            let packet = parse(&bytes).unwrap();
            assert_eq!((packet.tos, packet.ttl, packet.src), (2, 9, src));
            assert_eq!(packet.body, Body::Tcp(tcp.clone()));
            let mut bent = bytes;
            *bent.last_mut().unwrap() ^= 1;
            assert!(parse(&bent).is_err());
        }
    }
}
