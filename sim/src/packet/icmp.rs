//! ICMP (RFC 792) and ICMPv6 (RFC 4443), as far as the rules need them.

use std::net::{IpAddr, Ipv6Addr};

use super::{Ip, ParseError, be16, be32, ip};

pub(super) const HEADER_LEN: usize = 8;

/// An ICMP message of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Its type: of the IPv4 or the IPv6 list, as the packet is.
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The four bytes behind the checksum: identifier and number of an echo, next-hop MTU, pointer.
    pub rest: u32,
    /// It is an IPv4 message.
    pub v4: bool,
    /// Neighbour discovery: the target's address.
    pub target: Option<Ipv6Addr>,
    /// Of an error: the packet that it is about.
    pub quote: Option<Quote>,
}

/// The packet in an ICMP error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its IP header. Places in it count from the quote's begin.
    pub ip: Ip,
    /// Its ports, where that many bytes are quoted and it is no later fragment.
    pub ports: Option<(u16, u16)>,
    /// The sequence number, of TCP.
    pub seq: Option<u32>,
    /// Of ICMP: the type.
    pub icmp_kind: Option<u8>,
    /// Bytes that the packet had, as its header says.
    pub total_len: usize,
    /// Bytes that are quoted.
    pub len: usize,
    /// Bytes of what follows the IP header that are quoted.
    pub payload_len: usize,
}

impl Icmp {
    /// Types of ICMP for IPv4.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Echo request.
    pub const ECHO: u8 = 8;
    /// Types of ICMPv6: echo request.
    pub const ECHO_V6: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY_V6: u8 = 129;
    /// Neighbour solicitation.
    pub const SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const ADVERTISEMENT: u8 = 136;

    pub(super) fn parse(bytes: &[u8], v4: bool) -> Result<Self, ParseError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(ParseError::Icmp);
        };
        let (kind, code) = (header[0], header[1]);
        let discovery = matches!(kind, Self::SOLICITATION | Self::ADVERTISEMENT) && !v4;
        let target = rest.first_chunk::<16>().filter(|_| discovery);
        let mut icmp = Self {
            kind,
            code,
            rest: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            v4,
            target: target.map(|octets| Ipv6Addr::from(*octets)),
            quote: None,
        };
        if icmp.is_error() {
            icmp.quote = Quote::parse(rest, v4);
        }
        Ok(icmp)
    }

    /// Getter: what a path is said to carry, where this is "too big" (RFC 1191 4, RFC 4443 3.2).
    pub const fn too_big(&self) -> Option<u32> {
        match (self.v4, self.kind, self.code) {
            (true, 3, 4) => Some(self.rest & 0xffff),
            (false, 2, _) => Some(self.rest),
            (_, _, _) => None,
        }
    }

    /// Getter: it reports an error about a packet.
    pub const fn is_error(&self) -> bool {
        is_error(self.kind, self.v4)
    }

    /// Getter: an echo request.
    pub const fn is_echo(&self) -> bool {
        if self.v4 { self.kind == Self::ECHO } else { self.kind == Self::ECHO_V6 }
    }

    /// Getter: an echo reply.
    pub const fn is_echo_reply(&self) -> bool {
        if self.v4 { self.kind == Self::ECHO_REPLY } else { self.kind == Self::ECHO_REPLY_V6 }
    }

    /// Getter: a message of neighbour discovery (RFC 4861 4).
    pub const fn is_discovery(&self) -> bool {
        !self.v4 && 133 <= self.kind && self.kind <= 137
    }
}

const fn is_error(kind: u8, v4: bool) -> bool {
    if v4 { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { kind < 128 }
}

impl Quote {
    fn parse(bytes: &[u8], v4: bool) -> Option<Self> {
        let (ip, at) = ip::parse_quote(bytes, v4)?;
        let v6_len = be16(bytes, 4).map_or(0, |len| 40 + usize::from(len));
        let first = ip.fragment.is_none_or(|fragment| fragment.offset == 0);
        let has_ports = first && matches!(ip.protocol, ip::TCP | ip::UDP);
        let ports = be16(bytes, at).zip(be16(bytes, at + 2)).filter(|_| has_ports);
        let is_icmp = first && matches!(ip.protocol, ip::ICMP | ip::ICMPV6);
        Some(Self {
            ip,
            ports,
            seq: be32(bytes, at + 4).filter(|_| first && ip.protocol == ip::TCP),
            icmp_kind: bytes.get(at).copied().filter(|_| is_icmp),
            total_len: if v4 { be16(bytes, 2).map_or(0, usize::from) } else { v6_len },
            len: bytes.len(),
            payload_len: bytes.len().saturating_sub(at),
        })
    }

    /// Getter: what it quotes is itself an ICMP error.
    pub fn is_about_error(&self) -> bool {
        let v4 = self.ip.protocol == ip::ICMP;
        self.icmp_kind.is_some_and(|kind| is_error(kind, v4))
    }

    /// Getter: it was sent to a group or to all.
    pub const fn is_to_many(&self) -> bool {
        match self.ip.destination {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        }
    }
}
