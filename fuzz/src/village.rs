//! One stack on an Ethernet among hostile neighbours, with sockets of every kind.

use std::net::{IpAddr, SocketAddr};

use causeway_core::ip::{InterfaceAddress, Ipv6Mode, PMTU_ENTRIES_MAX};
use causeway_core::nic::MacAddr;
use causeway_core::port::{Completion, Op, SocketId, StreamId, Transport};
use causeway_core::stack::StackConfigBuilder;
use causeway_core::testing::{CHANNEL, Host};
use causeway_core::time::{Duration, Instant};
use causeway_core::wire::{ArpOperation, ArpPacket, EtherType, EthernetHeader, IpProtocol};

use crate::frame;
use crate::hostile::{HostileFrame, MACHNET_PORT, OUR_MAC, address, icmp, mac};

const NEIGHBORS_MAX: u32 = 16;
const REASSEMBLY_MAX: u32 = 64 << 10;
const SOCKETS_MAX: u32 = 48;
/// RST and ICMP errors a second, and echo replies likewise.
const REPLIES_PER_SECOND: u32 = 20;
const RING: usize = 8 << 10;
/// Frames that one input may call forth: what is in the rings, and a reply in pieces.
const FRAMES_MAX: usize = 200;
const TURNS_MAX: usize = 1_000;
/// Timers that may expire in the day after everybody has left.
const TIMERS_MAX: usize = 50_000;
/// Timers of a whole script: beyond, a run only takes long.
const TIMERS_OF_RUN: usize = 3_000;
/// Packets of the stack's that are kept to be quoted.
const QUOTABLE: usize = 32;

/// The world.
#[derive(Debug)]
pub struct Village {
    host: Host,
    now: Instant,
    began: Instant,
    sockets: Vec<(SocketId, Option<StreamId>)>,
    sent: Vec<Vec<u8>>,
    frames: usize,
    /// Timers that have expired.
    timers: usize,
    /// ICMP errors since the last input.
    errors: usize,
}

fn settings(builder: StackConfigBuilder) -> StackConfigBuilder {
    builder
        .ipv6(Ipv6Mode::Auto)
        .neighbors_max(NEIGHBORS_MAX)
        .reassembly_bytes_max(REASSEMBLY_MAX)
        .sockets_max(SOCKETS_MAX)
        .backlog_max(4)
        .time_wait_max(4)
        .pings_max(4)
        .replies_max(16)
        .resets_per_second(REPLIES_PER_SECOND)
        .echo_replies_per_second(REPLIES_PER_SECOND)
}

impl Default for Village {
    fn default() -> Self {
        Self::new()
    }
}

impl Village {
    /// Listeners, connections being opened to hosts that answer nothing but ARP, UDP sockets, and a Machnet listener.
    ///
    /// # Panics
    /// When the stack refuses one of them.
    pub fn new() -> Self {
        let addresses = [(address(false, 1), 24), (address(true, 1), 64)]
            .map(|(ip, bits)| InterfaceAddress::new(ip, bits).expect("a host's address"));
        let host = Host::with_addresses(1, RING, &addresses, &|_| {}, &settings);
        let now = Instant::ZERO + Duration::from_secs(1);
        let mut village = Self {
            host,
            now,
            began: now,
            sockets: Vec::new(),
            sent: Vec::new(),
            frames: 0,
            timers: 0,
            errors: 0,
        };
        village.settle();
        village.pass(Duration::from_secs(3));
        for v6 in [false, true] {
            let [here, there] = [1, 3].map(|number| address(v6, number));
            let local = |port| SocketAddr::new(here, port);
            let listen = |transport, port| Op::Listen { transport, local: local(port), backlog: 3 };
            for op in [
                listen(Transport::Tcp, 80),
                Op::BindUdp { local: local(53) },
                Op::Connect {
                    transport: Transport::Tcp,
                    local: None,
                    remote: SocketAddr::new(there, 81),
                },
            ] {
                village.host.ask(op);
            }
        }
        let local = SocketAddr::new(address(false, 1), MACHNET_PORT);
        village.host.ask(Op::Listen { transport: Transport::Machnet, local, backlog: 3 });
        village.settle();
        assert_eq!(village.sockets.len(), 7, "a socket of each kind");
        village
    }

    /// Getter: enough time has passed.
    pub const fn is_over(&self) -> bool {
        self.timers > TIMERS_OF_RUN
    }

    /// Input: a frame, and all that follows from it at once.
    pub fn receive(&mut self, hostile: &HostileFrame) {
        let bytes = hostile.bytes(&self.sent);
        self.host.nic().inject(&bytes);
        self.settle();
        let changed = hostile.changes.iter().any(Option::is_some);
        assert!(
            changed || !hostile.forbids_errors() || self.errors == 0,
            "an ICMP error answers {hostile:?}"
        );
    }

    /// Input: what the stack sent comes back, as if from its receiver; some of its bytes changed.
    pub fn reflect(&mut self, which: u8, changes: &[(u8, u8)]) {
        let Some(packet) = self.sent.get(usize::from(which) % QUOTABLE) else { return };
        let mut packet = packet.clone();
        let ethertype = if packet[0] >> 4 == 4 { EtherType::IPV4 } else { EtherType::IPV6 };
        let ip = if ethertype == EtherType::IPV4 { 12..20 } else { 8..40 };
        let half = ip.len() / 2;
        packet[ip].rotate_left(half);
        let ports = if ethertype == EtherType::IPV4 { 20..24 } else { 40..44 };
        if let Some(ports) = packet.get_mut(ports) {
            ports.rotate_left(2);
        }
        for (at, value) in changes {
            let at = usize::from(*at) % packet.len();
            packet[at] = *value;
        }
        let mut bytes = vec![0; 14];
        EthernetHeader { dst: OUR_MAC, src: mac(3), ethertype }.emit(&mut bytes);
        bytes.extend(packet);
        self.host.nic().inject(&bytes);
        self.settle();
    }

    /// Input: bytes that are no frame at all.
    pub fn noise(&mut self, bytes: &[u8]) {
        self.host.nic().inject(&bytes[..bytes.len().min(1_514)]);
        self.settle();
    }

    /// Input: an application asks for something.
    pub fn ask(&mut self, what: u8, which: u8, number: u8, len: u16) {
        let index = usize::from(which) % self.sockets.len().max(1);
        let Some((socket, stream)) = self.sockets.get(index).copied() else { return };
        let remote = SocketAddr::new(address(number & 1 != 0, number), 81);
        let port = self.host.engine.port_mut();
        let op = match (what % 7, stream) {
            (0, Some(stream)) => {
                let offset = port.written(stream);
                let len = port.write(stream, &vec![0x33; len.into()]) as u32;
                Op::SendDatagram { socket, offset, len, remote: Some(remote) }
            }
            (1, Some(stream)) => {
                port.write(stream, &vec![0x44; len.into()]);
                Op::Kick { socket }
            }
            (2, Some(stream)) => {
                port.read(stream, &mut vec![0; len.into()]);
                Op::Kick { socket }
            }
            (3, _) => Op::Connect { transport: Transport::Tcp, local: None, remote },
            (4, _) => Op::Ping { remote: remote.ip(), sequence: len, len },
            (5, _) => Op::Close { socket },
            _ => Op::Info { socket },
        };
        self.host.ask(op);
        self.settle();
    }

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        for count in 0.. {
            let next = self.host.engine.stack().poll_timeout();
            let Some((next, reason)) = next.filter(|(at, _)| *at <= end) else { break };
            assert!(count < TIMERS_MAX, "{count} timers in {span:?}, for {reason:?}");
            self.timers += 1;
            self.now = next.max(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        (self.frames, self.errors) = (0, 0);
        for turn in 0.. {
            assert!(turn < TURNS_MAX, "no rest after {turn} turns");
            let progress = self.host.engine.step(self.now);
            self.look_at_frames();
            self.look_at_news();
            if progress.work == 0 && self.host.nic().inbound.is_empty() {
                let next = progress.next;
                assert!(next.is_none_or(|(at, _)| at > self.now), "time has passed: {next:?}");
                break;
            }
        }
        assert!(self.frames <= FRAMES_MAX, "{} frames for one input", self.frames);
        self.check_bounds();
    }

    fn check_bounds(&mut self) {
        let stack = self.host.engine.stack();
        assert!(stack.socket_count() <= SOCKETS_MAX as usize);
        assert!(stack.neighbor_count() <= NEIGHBORS_MAX as usize);
        assert!(stack.path_mtu_count() <= PMTU_ENTRIES_MAX);
        assert!(stack.reassembly_bytes() <= REASSEMBLY_MAX as usize);
        let stats = stack.stats();
        // A bucket that was full in the beginning, and what flowed into it.
        let seconds = self.now.saturating_since(self.began).as_secs() + 2;
        let allowed = seconds * u64::from(REPLIES_PER_SECOND);
        assert!(stats.icmp_errors_out + stats.tcp_resets_out <= allowed, "too many errors");
        assert!(stats.echo_replies_out <= allowed, "too many echo replies");
        assert!(self.host.nic().pool.outstanding() <= 64, "frames are left behind");
    }

    fn look_at_frames(&mut self) {
        while let Some(frame) = self.host.nic().outbound.pop_front() {
            self.frames += 1;
            let bytes = frame.bytes();
            let (header, at) = EthernetHeader::parse(bytes).expect("a right Ethernet header");
            assert_eq!(header.src, OUR_MAC);
            let answer = match header.ethertype {
                EtherType::ARP => answer_arp(&bytes[at..]),
                _ => self.look_at_packet(&bytes[at..]),
            };
            if let Some(answer) = answer {
                self.host.nic().inject(&answer);
            }
        }
    }

    /// A packet of the stack's is in order; the answer to a neighbour solicitation.
    fn look_at_packet(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let opened = frame::open_ip(packet);
        frame::open_tcp(&opened, true);
        let kind = opened.body.first().copied().unwrap_or(0);
        let error = match opened.protocol {
            IpProtocol::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
            IpProtocol::ICMPV6 => kind < 128,
            _ => false,
        };
        if error && !opened.fragment {
            self.errors += 1;
            let bound = if opened.src.is_ipv4() { 576 } else { 1_280 };
            assert!(packet.len() <= bound, "an ICMP error of {} bytes", packet.len());
        }
        if self.sent.len() < QUOTABLE {
            self.sent.push(packet.to_vec());
        } else {
            let at = self.frames % QUOTABLE;
            self.sent[at] = packet.to_vec();
        }
        if opened.protocol == IpProtocol::ICMPV6 && kind == 135 && !opened.src.is_unspecified() {
            return answer_solicitation(opened.src, opened.body);
        }
        None
    }

    fn look_at_news(&mut self) {
        while let Some((_, news)) = self.host.engine.port_mut().poll_completion() {
            match news {
                Completion::Listening { socket, .. } => self.sockets.push((socket, None)),
                Completion::Connecting { socket, stream, .. } => {
                    self.sockets.push((socket, Some(stream)));
                }
                Completion::Bound { socket, stream, .. } => {
                    self.sockets.push((socket, Some(stream)));
                }
                Completion::Incoming { socket, stream, .. } => {
                    self.sockets.push((socket, Some(stream)));
                }
                _ => {}
            }
        }
    }

    /// The application dies and the neighbours fall silent: a day later nothing is left of them.
    pub fn finish(mut self) {
        self.host.engine.port_mut().kill(CHANNEL);
        self.settle();
        self.pass(Duration::from_secs(24 * 3_600));
        let stack = self.host.engine.stack();
        assert_eq!(stack.socket_count(), 0, "sockets are left behind");
        assert_eq!(stack.reassembly_bytes(), 0, "fragments are left behind");
        assert_eq!(self.host.engine.port().streams_open(), 0, "rings are left behind");
        // The stack keeps one of either size for the next time.
        let frames = self.host.nic().pool.outstanding();
        assert!(frames <= 2, "{frames} frames are left behind");
    }
}

/// Hosts with odd numbers exist.
fn answer_arp(bytes: &[u8]) -> Option<Vec<u8>> {
    let (packet, _) = ArpPacket::parse(bytes).expect("a right ARP packet");
    let [.., number] = packet.target_ip.octets();
    if packet.operation != ArpOperation::Request || number & 1 == 0 || number == 1 {
        return None;
    }
    let reply = ArpPacket {
        operation: ArpOperation::Reply,
        sender_mac: mac(number),
        sender_ip: packet.target_ip,
        target_mac: OUR_MAC,
        target_ip: packet.sender_ip,
    };
    let mut body = vec![0; 46];
    reply.emit(&mut body);
    Some(ethernet(mac(number), EtherType::ARP, &body))
}

fn answer_solicitation(asks: IpAddr, body: &[u8]) -> Option<Vec<u8>> {
    let target: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let [.., number] = target;
    if number & 1 == 0 || number == 1 {
        return None;
    }
    let mut advert = target.to_vec();
    advert.extend([2, 1]);
    advert.extend(mac(number).0);
    // Solicited, and it overrides.
    let mut packet = icmp(IpAddr::from(target), asks, 136, 0, 0x6000_0000, &advert);
    packet[7] = 255;
    Some(ethernet(mac(number), EtherType::IPV6, &packet))
}

fn ethernet(src: MacAddr, ethertype: EtherType, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14];
    EthernetHeader { dst: OUR_MAC, src, ethertype }.emit(&mut bytes);
    bytes.extend_from_slice(body);
    bytes
}
