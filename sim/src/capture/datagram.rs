//! UDP datagrams of a capture, and what ICMP says of TCP.

use std::net::{IpAddr, SocketAddr};

use super::Frame;
use crate::packet::{Icmp, Machnet};

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// What looks like a packet of Machnet: its header.
    pub machnet: Option<Machnet>,
    /// The ECN field of the IP header.
    pub ecn: u8,
    /// IPv4: the identification.
    pub id: u32,
    /// Where what UDP carries begins, from the IP header.
    pub body_at: usize,
    /// Bytes that a program sent: without the header of Machnet, and what stands around its messages.
    pub payload_len: u32,
    /// Messages of Machnet that end in it.
    pub messages: u64,
    /// Where the packet ends, from its IP header.
    pub end: usize,
}

/// A datagram as it was captured. Its frame has no segment.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// The packet.
    pub frame: Frame<'a>,
    /// What it carries.
    pub datagram: Datagram,
}

/// Of a datagram's body so many bytes say which it is: those that every capture keeps.
const TELLING: usize = 64;

impl<'a> Parcel<'a> {
    /// Getter: the first bytes of what UDP carries, as far as they were kept.
    pub(super) fn telling(&self) -> &'a [u8] {
        let end = (self.datagram.body_at + TELLING).min(self.datagram.end);
        let bytes = self.frame.bytes;
        bytes.get(self.datagram.body_at..end.min(bytes.len())).unwrap_or_default()
    }
}

/// What an ICMP error says of a TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who sent the segment, and is told.
    pub source: SocketAddr,
    /// To whom the segment was to go.
    pub destination: SocketAddr,
    /// The number of its first byte.
    pub seq: u32,
    /// It was too big for a path of so many bytes; else its destination cannot be reached.
    pub too_big: Option<u16>,
}

/// A report as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// Nanoseconds since 1970, by the clock of whoever captured it.
    pub at: u64,
    /// Which of the capture's interfaces.
    pub interface: usize,
    /// What it says.
    pub report: Report,
}

/// The type of ICMPv6 that says so (RFC 4443 3.1).
const UNREACHABLE_V6: u8 = 1;

impl Report {
    /// What `icmp`, which was sent to `receiver`, reports of a segment of the receiver's; `None` where it says something else.
    pub(super) fn of(icmp: &Icmp, receiver: IpAddr) -> Option<Self> {
        let quote = icmp.quote?;
        let (from, to) = quote.ports?;
        let too_big = icmp.too_big().map(|mtu| u16::try_from(mtu).unwrap_or(u16::MAX));
        let unreachable = icmp.kind == if icmp.v4 { Icmp::UNREACHABLE } else { UNREACHABLE_V6 };
        if quote.ip.source != receiver || !(unreachable || too_big.is_some()) {
            return None;
        }
        Some(Self {
            source: SocketAddr::new(quote.ip.source, from),
            destination: SocketAddr::new(quote.ip.destination, to),
            seq: quote.seq?,
            too_big,
        })
    }
}
