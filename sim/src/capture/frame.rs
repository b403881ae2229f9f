//! A packet of a capture, as far as it matters here.

use std::net::SocketAddr;

use super::{Datagram, Report};
use crate::packet::{Ip, Network, Packet, Tcp, Transport, Verdict};

/// Ethernet headers are put in front of what has none, so that everything is read by one reader.
pub(super) const ETHERNET_LEN: usize = 14;

/// An IP packet that has a TCP segment or a UDP datagram, or that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Which packet of its file.
    pub number: u32,
    /// Nanoseconds since 1970, by the clock of whoever captured it.
    pub at: u64,
    /// Which of the capture's interfaces.
    pub interface: usize,
    /// The packet from its IP header on, as far as it was kept; what the link filled up behind it included.
    pub bytes: &'a [u8],
    /// Bytes behind the link header as they were on the wire.
    pub whole_len: usize,
    /// The segment; `None` where the packet has none, or cannot be read.
    pub segment: Option<Segment>,
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Who sent it.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// Its header.
    pub tcp: Tcp,
    /// The ECN field of the IP header.
    pub ecn: u8,
    /// IPv4: the identification.
    pub id: u32,
    /// Where its TCP header begins, from that of IP.
    pub tcp_at: usize,
    /// Where its payload begins, from the IP header.
    pub payload_at: usize,
    /// Bytes of its payload, those that were not kept included.
    pub payload_len: u32,
    /// Whether its checksums are right; [`Verdict::Absent`] where not all of it was kept. What a host sends is captured before its NIC
    /// computes them.
    pub checksum: Verdict,
}

impl Segment {
    /// Getter: where the packet ends, from its IP header.
    pub const fn end(&self) -> usize {
        self.payload_at + self.payload_len as usize
    }

    /// Getter: how long the packet is that carries it alone, were it a part of a longer one, too.
    pub const fn packet_len(&self) -> usize {
        self.tcp_at + self.tcp.header_len + self.payload_len as usize
    }
}

impl<'a> Frame<'a> {
    /// Getter: not all of it was kept.
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() < self.whole_len
    }

    /// Getter: what was kept of the payload.
    pub fn payload(&self) -> &'a [u8] {
        let Some(segment) = &self.segment else { return &[] };
        let end = segment.end().min(self.bytes.len());
        self.bytes.get(segment.payload_at..end).unwrap_or_default()
    }

    /// Command: puts the packet behind an Ethernet header of zeros into `frame`, zeros in place of what was not kept, up to `len` bytes.
    pub(super) fn wrap(bytes: &[u8], len: usize, frame: &mut Vec<u8>) {
        frame.clear();
        frame.resize(ETHERNET_LEN, 0);
        let kind: u16 = if bytes.first().is_some_and(|b| b >> 4 == 6) { 0x86dd } else { 0x0800 };
        frame[12..].copy_from_slice(&kind.to_be_bytes());
        frame.extend_from_slice(bytes);
        frame.resize(ETHERNET_LEN + len.max(bytes.len()), 0);
    }
}

/// What an IP packet turned out to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Segment(Segment),
    Datagram(Datagram),
    Report(Report),
    Fragment,
    /// ICMP that says nothing of a segment.
    Icmp,
    Other,
    Cut,
    Unreadable,
}

/// Bytes of a UDP header.
const UDP_LEN: usize = 8;
/// The longest IP packet that is looked at.
const IP_BYTES_MAX: usize = 65_535 + 40;

/// Reads an IP packet of `whole_len` bytes, of which `bytes` were kept.
pub(super) fn read(bytes: &[u8], whole_len: usize, scratch: &mut Vec<u8>) -> Read {
    let cut = bytes.len() < whole_len;
    Frame::wrap(bytes, whole_len.min(IP_BYTES_MAX), scratch);
    let packet = match Packet::parse(scratch) {
        Ok(packet) => packet,
        // What is short because nobody kept it says nothing of the network.
        Err(_) if cut => return Read::Cut,
        Err(_) => return Read::Unreadable,
    };
    let Network::Ip(ip, transport) = &packet.network else { return Read::Unreadable };
    if ip.fragment.is_some_and(|part| part.offset > 0 || part.more) {
        return Read::Fragment;
    }
    let tcp = match transport {
        Transport::Tcp(tcp) => tcp,
        Transport::Udp(_) => return datagram(&packet, ip, bytes.len()),
        Transport::Icmp(icmp) => {
            return Report::of(icmp, ip.destination).map_or(Read::Icmp, Read::Report);
        }
        Transport::LaterFragment => return Read::Fragment,
        Transport::Other => return Read::Other,
    };
    let tcp_at = ip.payload_at - ETHERNET_LEN;
    let payload_at = tcp_at + tcp.header_len;
    if payload_at > bytes.len() {
        return Read::Cut;
    }
    let checksum = match cut {
        true => Verdict::Absent,
        false if packet.checksums_right() => Verdict::Right,
        false => Verdict::Wrong,
    };
    Read::Segment(Segment {
        source: SocketAddr::new(ip.source, tcp.source_port),
        destination: SocketAddr::new(ip.destination, tcp.destination_port),
        tcp: *tcp,
        ecn: ip.ecn(),
        id: ip.identification,
        tcp_at,
        payload_at,
        payload_len: (ip.end - ETHERNET_LEN - payload_at) as u32,
        checksum,
    })
}

/// The UDP datagram of a packet, of which so many bytes were kept.
fn datagram(packet: &Packet<'_>, ip: &Ip, kept: usize) -> Read {
    let Some(udp) = packet.udp() else { return Read::Other };
    let payload = packet.payload_range();
    // All of the header of Machnet says what it is.
    if payload.start - ETHERNET_LEN > kept {
        return Read::Cut;
    }
    let (payload_len, messages) = match &udp.machnet {
        Some(machnet) => machnet.content(packet.payload()),
        None => (payload.len(), 0),
    };
    Read::Datagram(Datagram {
        source: SocketAddr::new(ip.source, udp.source_port),
        destination: SocketAddr::new(ip.destination, udp.destination_port),
        machnet: udp.machnet,
        ecn: ip.ecn(),
        id: ip.identification,
        body_at: ip.payload_at - ETHERNET_LEN + UDP_LEN,
        payload_len: payload_len as u32,
        messages,
        end: ip.end - ETHERNET_LEN,
    })
}
