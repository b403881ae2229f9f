//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::icmp::Icmp;
use super::tcp::Tcp;
use super::udp::Udp;
use super::{Network, ParseError, Transport, be16, be32};

/// Protocol numbers.
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMPV6: u8 = 58;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
/// More extension headers than anybody sends.
const EXTENSIONS_MAX: usize = 16;

/// An IP header of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Type of service or traffic class, with the ECN field in its two lowest bits.
    pub traffic_class: u8,
    /// Time to live or hop limit.
    pub hops: u8,
    /// What follows the headers: an IP protocol number.
    pub protocol: u8,
    /// IPv4: DF. Always true for IPv6, which nobody may fragment on the way.
    pub dont_fragment: bool,
    /// IPv4: the reserved flag.
    pub reserved_flag: bool,
    /// IPv4: the identification field; IPv6: that of its fragment header, or 0.
    pub identification: u32,
    /// Present when this is a part of a packet.
    pub fragment: Option<Fragment>,
    /// Bytes of IPv4 options, or of IPv6 extension headers.
    pub options_len: usize,
    /// Where the header begins in the frame.
    pub at: usize,
    /// Where what it carries begins in the frame.
    pub payload_at: usize,
    /// Where the packet ends in the frame: padding follows.
    pub end: usize,
}

/// The place of a fragment in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// In bytes.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
}

impl Ip {
    /// Getter: the ECN field: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced (RFC 3168 5).
    pub const fn ecn(&self) -> u8 {
        self.traffic_class & 0b11
    }

    /// Getter: bytes of the packet, headers included.
    pub const fn total_len(&self) -> usize {
        self.end - self.at
    }

    /// Getter: true for IPv4.
    pub const fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }
}

#[inline(always)]
pub(super) fn parse_v4(frame: &[u8], at: usize) -> Result<Network, ParseError> {
    let Some((header, _)) = frame.get(at..).and_then(|rest| rest.split_first_chunk::<20>()) else {
        return Err(ParseError::Ipv4Short);
    };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return Err(ParseError::Ipv4Header);
    }
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let end = at + total;
    if total < header_len || end > frame.len() {
        return Err(ParseError::Ipv4TotalLength);
    }
    let place = u16::from_be_bytes([header[6], header[7]]);
    let fragment = Fragment { offset: u32::from(place & 0x1fff) * 8, more: place & 0x2000 != 0 };
    let ip = Ip {
        source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
        destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
        traffic_class: header[1],
        hops: header[8],
        protocol: header[9],
        dont_fragment: place & 0x4000 != 0,
        reserved_flag: place & 0x8000 != 0,
        identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        fragment: (place & 0x3fff != 0).then_some(fragment),
        options_len: header_len - 20,
        at,
        payload_at: at + header_len,
        end,
    };
    let transport = transport(frame, &ip)?;
    Ok(Network::Ip(ip, transport))
}

pub(super) fn parse_v6(frame: &[u8], at: usize) -> Result<Network, ParseError> {
    let Some((header, _)) = frame.get(at..).and_then(|rest| rest.split_first_chunk::<40>()) else {
        return Err(ParseError::Ipv6Header);
    };
    if header[0] >> 4 != 6 {
        return Err(ParseError::Ipv6Header);
    }
    let end = at + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if end > frame.len() {
        return Err(ParseError::Ipv6Length);
    }
    let address = |at: usize| {
        let octets: [u8; 16] = std::array::from_fn(|byte| header[at + byte]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    let mut ip = Ip {
        source: address(8),
        destination: address(24),
        traffic_class: header[0] << 4 | header[1] >> 4,
        hops: header[7],
        protocol: header[6],
        dont_fragment: true,
        reserved_flag: false,
        identification: 0,
        fragment: None,
        options_len: 0,
        at,
        payload_at: at + 40,
        end,
    };
    skip_extensions(&frame[..end], &mut ip)?;
    let transport = transport(frame, &ip)?;
    Ok(Network::Ip(ip, transport))
}

/// Moves `ip.payload_at` behind the extension headers; a fragment header beyond the first piece ends the chain.
fn skip_extensions(packet: &[u8], ip: &mut Ip) -> Result<(), ParseError> {
    for _ in 0..=EXTENSIONS_MAX {
        let is_extension = matches!(
            ip.protocol,
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
        );
        if !is_extension || ip.fragment.is_some_and(|fragment| fragment.offset > 0) {
            return Ok(());
        }
        let (Some(start), Some(identification)) =
            (be32(packet, ip.payload_at), be32(packet, ip.payload_at + 4))
        else {
            return Err(ParseError::Ipv6Extension);
        };
        let [next, len, high, low] = start.to_be_bytes();
        let len = match ip.protocol {
            FRAGMENT => {
                let place = u16::from_be_bytes([high, low]);
                let offset = u32::from(place & 0xfff8);
                ip.identification = identification;
                ip.fragment = Some(Fragment { offset, more: place & 1 != 0 });
                8
            }
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            _ => (usize::from(len) + 1) * 8,
        };
        ip.protocol = next;
        ip.options_len += len;
        ip.payload_at += len;
        if ip.payload_at > ip.end {
            return Err(ParseError::Ipv6Extension);
        }
    }
    Err(ParseError::Ipv6Extension)
}

#[inline(always)]
fn transport(frame: &[u8], ip: &Ip) -> Result<Transport, ParseError> {
    let bytes = &frame[ip.payload_at..ip.end];
    let whole = match ip.fragment {
        None => true,
        Some(Fragment { offset: 0, more }) => !more,
        Some(_) => return Ok(Transport::LaterFragment),
    };
    match ip.protocol {
        TCP => Ok(Transport::Tcp(Tcp::parse(bytes)?)),
        UDP => Ok(Transport::Udp(Udp::parse(bytes, whole)?)),
        ICMP | ICMPV6 if (ip.protocol == ICMP) == ip.is_v4() => {
            Ok(Transport::Icmp(Icmp::parse(bytes, ip.is_v4())?))
        }
        _ => Ok(Transport::Other),
    }
}

/// What can be read of a packet that an ICMP error quotes: addresses, protocol, fragment offset, and where its payload begins.
pub(super) fn parse_quote(bytes: &[u8], v4: bool) -> Option<(Ip, usize)> {
    let octet = |at: usize| bytes.get(at).copied();
    if v4 {
        let header_len = usize::from(octet(0)? & 0x0f) * 4;
        if octet(0)? >> 4 != 4 || header_len < 20 {
            return None;
        }
        let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(be32(bytes, at)?)));
        let place = be16(bytes, 6)?;
        let offset = u32::from(place & 0x1fff) * 8;
        let ip = Ip {
            source: address(12)?,
            destination: address(16)?,
            traffic_class: octet(1)?,
            hops: octet(8)?,
            protocol: octet(9)?,
            dont_fragment: place & 0x4000 != 0,
            reserved_flag: place & 0x8000 != 0,
            identification: u32::from(be16(bytes, 4)?),
            fragment: (place & 0x3fff != 0)
                .then_some(Fragment { offset, more: place & 0x2000 != 0 }),
            options_len: header_len - 20,
            at: 0,
            payload_at: header_len,
            end: bytes.len().max(header_len),
        };
        return Some((ip, header_len));
    }
    if octet(0)? >> 4 != 6 {
        return None;
    }
    let address = |at: usize| {
        let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(octets)))
    };
    let mut ip = Ip {
        source: address(8)?,
        destination: address(24)?,
        traffic_class: octet(0)? << 4 | octet(1)? >> 4,
        hops: octet(7)?,
        protocol: octet(6)?,
        dont_fragment: true,
        reserved_flag: false,
        identification: 0,
        fragment: None,
        options_len: 0,
        at: 0,
        payload_at: 40,
        end: bytes.len(),
    };
    let _ = skip_extensions(bytes, &mut ip);
    let payload_at = ip.payload_at;
    Some((ip, payload_at))
}
