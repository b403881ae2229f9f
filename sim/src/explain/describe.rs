//! A frame in a few words, with numbers that count from the begin of its connection.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::topology::Topology;
use crate::packet::{
    Arp, Flags, Icmp, Ip, Link, Machnet, MachnetKind, Network, Packet, ParseError, Tcp, Transport,
};

/// Knows where connections began. One entry for each direction of each connection that was seen.
#[derive(Debug)]
pub(super) struct Describer {
    topology: Rc<Topology>,
    /// The number of the first SYN or, where none was seen, of the first segment.
    begins: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

/// The ends of a connection, as its packet has them.
type Ends = (SocketAddr, SocketAddr);

fn ends(ip: &Ip, source: u16, destination: u16) -> Ends {
    (SocketAddr::new(ip.source, source), SocketAddr::new(ip.destination, destination))
}

impl Describer {
    pub(super) const fn new(topology: Rc<Topology>) -> Self {
        Self { topology, begins: BTreeMap::new() }
    }

    /// Input: a host sends this.
    pub(super) fn see(&mut self, frame: &[u8]) {
        if let Ok(Packet { network: Network::Ip(ip, Transport::Tcp(tcp)), .. }) =
            Packet::parse(frame)
        {
            let key = ends(&ip, tcp.source_port, tcp.destination_port);
            let begin = self.begins.entry(key).or_insert(tcp.seq);
            if tcp.flags.has(Flags::SYN) {
                *begin = tcp.seq;
            }
        }
    }

    /// Getter: what a frame is, in one line.
    pub(super) fn describe(&self, frame: &[u8]) -> String {
        match Packet::parse(frame) {
            Ok(packet) => self.packet(&packet),
            Err(error) => malformed(error, frame.len()),
        }
    }

    fn packet(&self, packet: &Packet<'_>) -> String {
        let Packet { link, network, .. } = packet;
        let mut words = match network {
            Network::Arp(arp) => self.arp(arp),
            Network::Ip(ip, transport) => self.ip(ip, transport, packet.payload().len()),
            Network::Other(kind) => {
                format!("EtherType {kind:#06x} len {}", packet.frame().len())
            }
        };
        if let Link { vlan: Some(tag), .. } = link {
            let _ = write!(words, " vlan {}", tag & 0x0fff);
        }
        words
    }

    fn ip(&self, ip: &Ip, transport: &Transport, payload: usize) -> String {
        let mut words = match transport {
            Transport::Tcp(tcp) => self.tcp(ip, tcp, payload),
            Transport::Udp(udp) => {
                let place = self.place(ends(ip, udp.source_port, udp.destination_port));
                match &udp.machnet {
                    Some(header) => machnet(header, &place, payload),
                    None => format!("UDP {place} len {payload}"),
                }
            }
            Transport::Icmp(icmp) => self.icmp(ip, icmp, payload),
            Transport::LaterFragment | Transport::Other => {
                let (from, to) = (self.address(ip.source), self.address(ip.destination));
                format!("IP {from} > {to} protocol {} len {payload}", ip.protocol)
            }
        };
        if let Some(fragment) = ip.fragment {
            let more = if fragment.more { "+" } else { "" };
            let _ = write!(words, " fragment {} at {}{more}", ip.identification, fragment.offset);
        }
        if ip.ecn() == 3 {
            words.push_str(" CE");
        }
        words
    }

    fn tcp(&self, ip: &Ip, tcp: &Tcp, payload: usize) -> String {
        let key = ends(ip, tcp.source_port, tcp.destination_port);
        let ours = self.begins.get(&key).copied().unwrap_or(tcp.seq);
        let theirs = self.begins.get(&(key.1, key.0)).copied();
        let seq = relative(tcp.seq, ours);
        let mut words = format!("TCP {} [{}] seq {seq}", self.place(key), flags(tcp.flags));
        // Writing to a string cannot fail.
        if payload > 0 {
            let _ = write!(words, ":{}", seq + payload as i64);
        }
        if tcp.flags.has(Flags::ACK) {
            let ack = theirs.map_or(i64::from(tcp.ack), |begin| relative(tcp.ack, begin));
            let _ = write!(words, " ack {ack}");
        }
        let _ = write!(words, " win {}", tcp.window);
        if payload > 0 {
            let _ = write!(words, " len {payload}");
        }
        let options = &tcp.options;
        if tcp.flags.has(Flags::SYN) {
            syn_options(&mut words, tcp);
        }
        for (left, right) in options.sack.as_slice() {
            let begin = theirs.unwrap_or(0);
            let (left, right) = (relative(*left, begin), relative(*right, begin));
            let _ = write!(words, " sack {left}:{right}");
        }
        if let Some(cookie) = options.fast_open {
            let _ = write!(words, " fast-open {}", cookie.cookie_len);
        }
        if options.malformed {
            words.push_str(" options malformed");
        }
        words
    }

    fn arp(&self, arp: &Arp) -> String {
        let target = self.address(arp.target.into());
        let sender = self.address(arp.sender.into());
        match arp.operation {
            Arp::REQUEST if arp.is_probe() => format!("ARP probe {target}"),
            Arp::REQUEST if arp.is_announcement() => format!("ARP announce {sender}"),
            Arp::REQUEST => format!("ARP who-has {target} tell {sender}"),
            Arp::REPLY => format!("ARP reply {sender} is-at {}", mac(arp.sender_mac)),
            other => format!("ARP operation {other}"),
        }
    }

    fn icmp(&self, ip: &Ip, icmp: &Icmp, payload: usize) -> String {
        let (from, to) = (self.address(ip.source), self.address(ip.destination));
        let target = icmp.target.map_or_else(String::new, |target| self.address(target.into()));
        let mut words = match (icmp.is_discovery(), icmp.kind) {
            (true, Icmp::SOLICITATION) => return format!("NDP who-has {target} from {from}"),
            (true, Icmp::ADVERTISEMENT) => return format!("NDP {target} is-here to {to}"),
            (true, 133) => return format!("NDP router solicitation from {from}"),
            (true, 134) => return format!("NDP router advertisement from {from}"),
            (true, _) => return format!("NDP redirect {from} > {to}"),
            (false, _) if icmp.is_echo() => format!("ICMP {from} > {to} echo len {payload}"),
            (false, _) if icmp.is_echo_reply() => {
                format!("ICMP {from} > {to} echo reply len {payload}")
            }
            (false, kind) => match (icmp.too_big(), kind, icmp.v4) {
                (Some(mtu), ..) => format!("ICMP {from} > {to} too big, mtu {mtu}"),
                (None, 3, true) | (None, 1, false) => {
                    format!("ICMP {from} > {to} unreachable, code {}", icmp.code)
                }
                (None, 11, true) | (None, 3, false) => {
                    format!("ICMP {from} > {to} time exceeded")
                }
                (None, 130..=132 | 143, false) => format!("MLD {from} > {to} type {kind}"),
                (None, ..) => format!("ICMP {from} > {to} type {kind} code {}", icmp.code),
            },
        };
        if let Some(quote) = icmp.quote {
            let (source, destination) = quote.ports.unwrap_or_default();
            let place = self.place(ends(&quote.ip, source, destination));
            let _ = write!(words, ", about {place}");
        }
        words
    }

    /// `a:49152 > b:80`.
    fn place(&self, (from, to): Ends) -> String {
        format!("{} > {}", self.topology.socket_name(from), self.topology.socket_name(to))
    }

    /// The name of the host with this address.
    fn address(&self, address: IpAddr) -> String {
        match self.topology.addresses.get(&address) {
            Some(host) => self.topology.nodes[*host].clone(),
            None => address.to_string(),
        }
    }
}

/// What cannot be read.
fn malformed(error: ParseError, bytes: usize) -> String {
    format!("malformed: {error} ({bytes} bytes)")
}

/// The distance from a connection's begin; what lies shortly before it is negative.
fn relative(number: u32, begin: u32) -> i64 {
    let distance = number.wrapping_sub(begin);
    if distance >= 0xf000_0000 { i64::from(distance.cast_signed()) } else { i64::from(distance) }
}

/// As tcpdump has them, with E and W for ECE and CWR.
pub(super) fn flags(flags: Flags) -> String {
    const LETTERS: [(Flags, char); 8] = [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::URG, 'U'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
        (Flags::ACK, '.'),
    ];
    let letters: String =
        LETTERS.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "none".to_owned() } else { letters }
}

/// The options that only a SYN has, and that it offers timestamps.
fn syn_options(words: &mut String, tcp: &Tcp) {
    let options = &tcp.options;
    let mut list = Vec::new();
    list.extend(options.mss.map(|mss| format!("mss {mss}")));
    list.extend(options.window_scale.map(|scale| format!("wscale {scale}")));
    list.extend(options.sack_permitted.then(|| "sackOK".to_owned()));
    list.extend(options.timestamps.map(|_| "TS".to_owned()));
    if !list.is_empty() {
        let _ = write!(words, " <{}>", list.join(" "));
    }
}

fn machnet(header: &Machnet, place: &str, payload: usize) -> String {
    let Machnet { kind, message_flags, seq, ack, .. } = header;
    match kind {
        MachnetKind::Data => {
            let first = if message_flags & Machnet::FIRST != 0 { " first" } else { "" };
            let last = if message_flags & Machnet::LAST != 0 { " last" } else { "" };
            format!("Machnet {place} data {seq}{first}{last} len {payload}")
        }
        MachnetKind::Syn => format!("Machnet {place} syn {seq}"),
        MachnetKind::SynAck => format!("Machnet {place} syn-ack {seq} ack {ack}"),
        MachnetKind::Ack => match header.held() {
            0 => format!("Machnet {place} ack {ack}"),
            held => format!("Machnet {place} ack {ack} held {held:b}"),
        },
        MachnetKind::Rst => format!("Machnet {place} rst"),
        MachnetKind::Unknown(kind) => format!("Machnet {place} kind {kind:#04x}"),
    }
}

fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02x}")).join(":")
}
