//! Frames that a hostile station may send: each protocol's, nearly right, from hosts that exist and others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::Arbitrary;
use causeway_core::nic::MacAddr;
use causeway_core::tcp::SeqNumber;
use causeway_core::wire::ipv6_ext::Ipv6Fragment;
use causeway_core::wire::machnet::{HEADER_LEN, MachnetHeader, MsgFlags, NetFlags};
use causeway_core::wire::tcp::{TcpFlags, TcpHeader};
use causeway_core::wire::{
    ArpOperation, ArpPacket, EtherType, EthernetHeader, Icmpv4Header, Icmpv6Header, IpProtocol,
    Ipv4Header, Ipv6Header,
};

use crate::frame::{ip_packet, seal, tcp_packet};

/// The stack's station.
pub const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// Where the stack listens for messages.
pub const MACHNET_PORT: u16 = 31_580;
const KINDS: [NetFlags; 5] =
    [NetFlags::Data, NetFlags::Syn, NetFlags::Ack, NetFlags::SynAck, NetFlags::Rst];

/// Getter: the station of host `number`.
pub const fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

/// Getter: the address of host `number`; the stack is number 1.
pub fn address(v6: bool, number: u8) -> IpAddr {
    match (v6, number) {
        (false, 250..) => Ipv4Addr::new(224, 0, 0, number - 249).into(),
        (false, _) => Ipv4Addr::new(10, 0, 0, number).into(),
        (true, 200..250) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into()).into(),
        (true, 250..) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, u16::from(number) - 249).into(),
        (true, _) => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// What a frame carries. Fields are named after those of the headers.
#[allow(missing_docs, reason = "the headers document them")]
#[derive(Arbitrary, Clone, Debug)]
pub enum Shape {
    /// ARP.
    Arp { request: bool, sender: u8, station: u8, target: u8 },
    /// A datagram.
    Udp { src_port: u8, dst_port: u8, len: u16 },
    /// A packet of a flow.
    Machnet { src_port: u8, kind: u8, place: u8, seqno: u32, ackno: u32, held: u64, len: u16 },
    /// A segment.
    Tcp { src_port: u8, dst_port: u8, flags: u8, seq: u32, ack: u32, len: u8 },
    /// Echo request or reply.
    Echo { reply: bool, identifier: u16, sequence: u16, len: u16 },
    /// An error that quotes a packet of the stack's, or the beginning of one that never was.
    Error { kind: u8, code: u8, rest: u32, quoted: u8, len: u8 },
    /// A piece of a datagram.
    Fragment { identification: u8, offset: u8, more: bool, len: u8, protocol: u8 },
    /// Neighbour discovery, router advertisements and redirects among it.
    Ndp { kind: u8, rest: u32, target: u8, words: Vec<[u8; 8]> },
    /// Extension headers.
    Extended { first: u8, words: Vec<[u8; 8]>, len: u8 },
    /// IPv4 options.
    Options { words: [[u8; 4]; 3], protocol: u8 },
    /// Anything.
    Any { protocol: u8, bytes: Vec<u8> },
}

/// A frame.
#[derive(Arbitrary, Clone, Debug)]
pub struct HostileFrame {
    /// Over IPv6.
    pub v6: bool,
    /// Number of the sender.
    pub src: u8,
    /// Number of the receiver; mostly the stack.
    pub dst: Option<u8>,
    /// To all stations.
    pub broadcast: bool,
    /// A VLAN tag.
    pub vlan: Option<u16>,
    /// What it carries.
    pub shape: Shape,
    /// Bytes that are changed after the checksums were computed.
    pub changes: [Option<(u16, u8)>; 2],
}

/// Ports that matter: sockets are there, or nobody.
fn port(raw: u8) -> u16 {
    const PORTS: [u16; 8] = [80, 81, 53, 5_000, 40_000, 31_580, 546, 9];
    PORTS[usize::from(raw) % PORTS.len()]
}

fn multicast_mac(dst: IpAddr) -> MacAddr {
    match dst {
        IpAddr::V4(ip) => {
            let [_, b, c, d] = ip.octets();
            MacAddr([1, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            MacAddr([0x33, 0x33, a, b, c, d])
        }
    }
}

impl HostileFrame {
    /// Getter: it is about an error, or goes to many: no error may answer it. (Neighbour discovery lets go of what waited.)
    pub const fn forbids_errors(&self) -> bool {
        match self.shape {
            Shape::Error { .. } => true,
            Shape::Arp { .. } | Shape::Ndp { .. } => false,
            _ => self.broadcast,
        }
    }

    /// Output: its bytes. `sent` are packets of the stack's, to be quoted.
    pub fn bytes(&self, sent: &[Vec<u8>]) -> Vec<u8> {
        let (src, dst) = (address(self.v6, self.src), address(self.v6, self.dst.unwrap_or(1)));
        let (ethertype, body) = match self.shape {
            Shape::Arp { request, sender, station, target } => {
                (EtherType::ARP, arp(request, sender, station, target))
            }
            _ if self.v6 => (EtherType::IPV6, self.packet(src, dst, sent)),
            _ => (EtherType::IPV4, self.packet(src, dst, sent)),
        };
        let to = if self.broadcast {
            MacAddr::BROADCAST
        } else if dst.is_multicast() {
            multicast_mac(dst)
        } else {
            OUR_MAC
        };
        let mut frame = vec![0; 18];
        let tagged = self.vlan.map(|_| EtherType::VLAN).unwrap_or(ethertype);
        let len =
            EthernetHeader { dst: to, src: mac(self.src), ethertype: tagged }.emit(&mut frame);
        frame.truncate(len);
        if let Some(tag) = self.vlan {
            frame.extend(tag.to_be_bytes());
            frame.extend(ethertype.0.to_be_bytes());
        }
        frame.extend(body);
        for (at, value) in self.changes.into_iter().flatten() {
            let at = usize::from(at) % frame.len();
            frame[at] = value;
        }
        frame
    }

    /// What stands on IP and has ports.
    fn transport(&self, src: IpAddr, dst: IpAddr) -> Vec<u8> {
        match self.shape {
            Shape::Udp { src_port, dst_port, len } => {
                let ends = [(src, src_port), (dst, dst_port)];
                let [from, to] = ends.map(|(ip, raw)| SocketAddr::new(ip, port(raw)));
                udp(from, to, &vec![0x5a; usize::from(len % 1_400)])
            }
            Shape::Machnet { src_port, kind, place, seqno, ackno, held, len } => {
                let mut header = MachnetHeader::new(KINDS[usize::from(kind) % 5], seqno, ackno);
                header.msg_flags = MsgFlags::from_wire(place);
                header.sack.words[0] = held;
                header.sack.count = held.count_ones() as u16;
                let mut packet = vec![0x6b; HEADER_LEN + usize::from(len % 1_400)];
                header.emit(&mut packet);
                let from = SocketAddr::new(src, 10_000 + u16::from(src_port));
                udp(from, SocketAddr::new(dst, MACHNET_PORT), &packet)
            }
            Shape::Tcp { src_port, dst_port, flags, seq, ack, len } => {
                let header = TcpHeader {
                    seq: SeqNumber(seq),
                    ack: SeqNumber(ack),
                    flags: TcpFlags(flags),
                    window: 1_000,
                    ..TcpHeader::default()
                };
                let ends = [(src, src_port), (dst, dst_port)];
                let [from, to] = ends.map(|(ip, raw)| SocketAddr::new(ip, port(raw)));
                tcp_packet(from, to, &header, &vec![7; len.into()], 0)
            }
            _ => Vec::new(),
        }
    }

    fn packet(&self, src: IpAddr, dst: IpAddr, sent: &[Vec<u8>]) -> Vec<u8> {
        match &self.shape {
            Shape::Arp { .. } => Vec::new(),
            Shape::Udp { .. } | Shape::Machnet { .. } | Shape::Tcp { .. } => {
                self.transport(src, dst)
            }
            &Shape::Echo { reply, identifier, sequence, len } => {
                let kind = if self.v6 { 128 + u8::from(reply) } else { 8 * u8::from(!reply) };
                let rest = u32::from(identifier) << 16 | u32::from(sequence);
                icmp(src, dst, kind, 0, rest, &vec![3; usize::from(len % 1_400)])
            }
            &Shape::Error { kind, code, rest, quoted, len } => {
                let kinds = if self.v6 { [1, 2, 3, 4] } else { [3, 11, 12, 4] };
                let quoted = match sent.get(usize::from(quoted)) {
                    Some(packet) => packet[..packet.len().min(500)].to_vec(),
                    None => ip_packet(dst, src, IpProtocol::TCP, 0, &vec![1; len.into()]),
                };
                icmp(src, dst, kinds[usize::from(kind) % 4], code % 8, rest, &quoted)
            }
            &Shape::Fragment { identification, offset, more, len, protocol } => {
                let protocol = IpProtocol([17, 6, 1, 58][usize::from(protocol) % 4]);
                fragment(src, dst, identification, offset, more, protocol, &vec![9; len.into()])
            }
            Shape::Ndp { kind, rest, target, words } => {
                let kind = 133 + kind % 5;
                let mut body = Vec::new();
                if kind >= 135
                    && let IpAddr::V6(target) = address(true, *target)
                {
                    body.extend(target.octets());
                }
                body.extend(words.iter().take(12).flatten());
                let [src, dst] = [self.src, self.dst.unwrap_or(1)].map(|n| address(true, n));
                let mut packet = icmp(src, dst, kind, 0, *rest, &body);
                // ND counts with a hop limit of 255 only (RFC 4861 §7.1).
                packet[7] = 255;
                packet
            }
            Shape::Extended { first, words, len } => {
                const FIRST: [u8; 5] = [0, 43, 44, 60, 17];
                let mut body: Vec<u8> = words.iter().take(24).flatten().copied().collect();
                body.resize(body.len() + usize::from(*len), 0);
                ip_packet(src, dst, IpProtocol(FIRST[usize::from(*first) % 5]), 0, &body)
            }
            Shape::Options { words, protocol } => {
                let body: Vec<u8> = words.iter().flatten().copied().chain([0; 30]).collect();
                let mut packet = ip_packet(src, dst, IpProtocol(*protocol), 0, &body);
                if !self.v6 {
                    packet[0] = 0x48;
                    reseal(&mut packet, 32);
                }
                packet
            }
            Shape::Any { protocol, bytes } => {
                ip_packet(src, dst, IpProtocol(*protocol), 0, &bytes[..bytes.len().min(1_400)])
            }
        }
    }
}

fn udp(src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len();
    let mut datagram = vec![0; 8];
    datagram.extend_from_slice(payload);
    datagram[0..2].copy_from_slice(&src.port().to_be_bytes());
    datagram[2..4].copy_from_slice(&dst.port().to_be_bytes());
    datagram[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    seal(src.ip(), dst.ip(), IpProtocol::UDP, 6, &mut datagram);
    ip_packet(src.ip(), dst.ip(), IpProtocol::UDP, 0, &datagram)
}

fn reseal(packet: &mut [u8], header_len: usize) {
    use causeway_core::wire::checksum::{finish, sum};
    packet[10..12].fill(0);
    let checksum = finish(sum(&packet[..header_len])).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
}

fn arp(request: bool, sender: u8, station: u8, target: u8) -> Vec<u8> {
    let ip = |number| Ipv4Addr::new(10, 0, 0, number);
    let operation = if request { ArpOperation::Request } else { ArpOperation::Reply };
    let packet = ArpPacket {
        operation,
        sender_mac: mac(station),
        sender_ip: ip(sender),
        target_mac: OUR_MAC,
        target_ip: ip(target),
    };
    let mut bytes = vec![0; 46];
    packet.emit(&mut bytes);
    bytes
}

/// Output: an ICMP message of either family with a right checksum.
pub fn icmp(src: IpAddr, dst: IpAddr, kind: u8, code: u8, rest: u32, body: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 8];
    message.extend_from_slice(body);
    match (src, dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            Icmpv6Header::Other { kind, code, rest }.emit(&mut message, src, dst);
            ip_packet(src.into(), dst.into(), IpProtocol::ICMPV6, 0, &message)
        }
        _ => {
            Icmpv4Header::Other { kind, code, rest }.emit(&mut message);
            ip_packet(src, dst, IpProtocol::ICMP, 0, &message)
        }
    }
}

fn fragment(
    src: IpAddr,
    dst: IpAddr,
    identification: u8,
    offset: u8,
    more: bool,
    protocol: IpProtocol,
    body: &[u8],
) -> Vec<u8> {
    // Multiples of 64 bytes, so that they meet.
    let blocks = u16::from(offset) * 8;
    let body = &body[..if more { body.len() & !7 } else { body.len() }];
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = Ipv4Header::new(src, dst, protocol, body.len() as u16);
            header.identification = identification.into();
            header.more_fragments = more;
            header.dont_fragment = false;
            header.fragment_offset = blocks;
            let mut packet = vec![0; 20];
            header.emit(&mut packet);
            packet.extend_from_slice(body);
            packet
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = Ipv6Fragment {
                next_header: protocol,
                offset: blocks * 8,
                more,
                identification: identification.into(),
            };
            let mut packet = vec![0; 48];
            let len = body.len() as u16 + 8;
            Ipv6Header::new(src, dst, IpProtocol(44), len).emit(&mut packet);
            header.emit(&mut packet[40..]);
            packet.extend_from_slice(body);
            packet
        }
        _ => Vec::new(),
    }
}
