//! A router with two links, told by the frames that go in and come out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_core::time::{Duration, Instant};

use super::{Route, Router, RouterPort, Told, error};
use crate::frame::FramePool;
use crate::link::repair;
use crate::packet::{Arp, Icmp, Ip, Network, Packet, Transport};
use crate::world::Relay;

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

fn v4(a: u8, b: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, a, b).into()
}

fn v6(a: u16, b: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, a, 0, 0, 0, 0, 0, b).into()
}

fn station(port: usize) -> [u8; 6] {
    [2, 0x72, 0, 0, 0, port as u8]
}

/// `10.0.0.254` and `10.0.1.254`, the second link carries 600 (IPv4) or 1280 bytes; `10.0.9.0/24` lies behind `10.0.1.9`.
struct Bench {
    router: Router,
    pool: FramePool,
    now: Instant,
}

impl Bench {
    fn new(mtu: u16) -> Self {
        let port = |link: u8, mtu: u16| RouterPort {
            name: format!("eth{link}"),
            mac: station(usize::from(link)),
            addresses: vec![(v4(link, 254), 24), (v6(link.into(), 0xfe), 64)],
            mtu,
        };
        let far = Route { destination: v4(9, 0), prefix_len: 24, gateway: Some(v4(1, 9)), port: 1 };
        let router = Router::new(vec![port(0, 1_500), port(1, mtu)], vec![far]);
        Self { router, pool: FramePool::new(2_048, 256), now: Instant::ZERO }
    }

    fn send(&mut self, port: usize, bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let mut frame = self.pool.alloc(bytes.len()).expect("the pool holds it");
        frame.bytes_mut().copy_from_slice(bytes);
        let mut out = Vec::new();
        self.router.handle(self.now, port, frame, &mut out);
        let out = out.into_iter().map(|(port, frame)| (port, frame.bytes().to_vec()));
        let out: Vec<_> = out.collect();
        assert_eq!(self.pool.in_use(), 0, "a router keeps no frame");
        out
    }

    /// As a host that answers for `address` on the link of `port`.
    fn announce(&mut self, port: usize, address: IpAddr, mac: [u8; 6]) -> Vec<(usize, Vec<u8>)> {
        let IpAddr::V4(own) = address else { panic!("announced by ARP") };
        let mut bytes = [station(port), mac].concat();
        bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        bytes.extend(mac);
        bytes.extend(own.octets());
        bytes.extend(station(port));
        let IpAddr::V4(router) = v4(port as u8, 254) else { panic!("it is IPv4") };
        bytes.extend(router.octets());
        self.send(port, &bytes)
    }
}

/// A UDP datagram from A, which stands on the first link.
fn datagram(from: IpAddr, to: IpAddr, hops: u8, len: usize, dont_fragment: bool) -> Vec<u8> {
    let mut bytes = [station(0), A].concat();
    let udp = 8 + len as u16;
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([8, 0, 0x45, 0]);
            bytes.extend((20 + udp).to_be_bytes());
            bytes.extend([0, 7, if dont_fragment { 0x40 } else { 0 }, 0, hops, 17, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend(udp.to_be_bytes());
            bytes.extend([17, hops]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (_, _) => panic!("two families"),
    }
    bytes.extend([0, 9, 0, 9]);
    bytes.extend(udp.to_be_bytes());
    bytes.extend([0xff, 0xff]);
    bytes.extend((0..len).map(|at| at as u8));
    repair(&mut bytes);
    bytes
}

fn ip(frame: &[u8]) -> (Ip, Transport) {
    let packet = Packet::parse(frame).expect("a packet");
    let Network::Ip(ip, transport) = packet.network else { panic!("no IP packet") };
    // The sum of a datagram is over all of its pieces.
    assert!(packet.checksums().right() || ip.fragment.is_some(), "checksums fit");
    (ip, transport)
}

fn icmp(frame: &[u8]) -> Icmp {
    let Transport::Icmp(icmp) = ip(frame).1 else { panic!("no ICMP message") };
    icmp
}

#[test]
fn a_packet_waits_for_its_neighbour_and_leaves_with_a_hop_less() {
    let mut bench = Bench::new(1_500);
    let sent = datagram(v4(0, 1), v4(1, 2), 9, 10, true);
    let asked = bench.send(0, &sent);
    let [(1, question)] = asked.as_slice() else { panic!("it asks on the other link") };
    let Network::Arp(arp) = Packet::parse(question).expect("ARP").network else { panic!("no ARP") };
    assert_eq!((arp.operation, IpAddr::V4(arp.target)), (Arp::REQUEST, v4(1, 2)));
    assert_eq!(IpAddr::V4(arp.sender), v4(1, 254));
    // Once a second.
    assert!(bench.send(0, &sent).is_empty());
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.send(0, &sent).len(), 1);
    let released = bench.announce(1, v4(1, 2), B);
    assert_eq!(released.len(), 3);
    let (port, frame) = &released[0];
    assert_eq!((*port, &frame[..6], &frame[6..12]), (1, &B[..], &station(1)[..]));
    let (ip, _) = ip(frame);
    assert_eq!((ip.hops, ip.total_len()), (8, sent.len() - 14));
    // Now it is known, also as what stands in front of others.
    assert_eq!(bench.send(0, &sent).len(), 1);
    bench.announce(1, v4(1, 9), A);
    let far = bench.send(0, &datagram(v4(0, 1), v4(9, 77), 9, 10, true));
    assert_eq!(far[0].1[..6], A);
}

#[test]
fn it_answers_for_its_own_addresses_only() {
    let mut bench = Bench::new(1_500);
    let ask = |target: Ipv4Addr| {
        let mut bytes = [[0xff; 6], A].concat();
        bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        bytes.extend(A);
        bytes.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend(target.octets());
        bytes
    };
    let answer = bench.send(0, &ask(Ipv4Addr::new(10, 0, 0, 254)));
    let Network::Arp(arp) = Packet::parse(&answer[0].1).expect("ARP").network else {
        panic!("no ARP")
    };
    assert_eq!((arp.operation, arp.sender_mac, arp.target_mac), (Arp::REPLY, station(0), A));
    assert!(bench.send(0, &ask(Ipv4Addr::new(10, 0, 0, 7))).is_empty());
    assert!(bench.send(0, &ask(Ipv4Addr::new(10, 0, 1, 254))).is_empty(), "of another link");
}

#[test]
fn neighbours_of_ipv6_are_found_and_answered() {
    let mut bench = Bench::new(1_500);
    let question = bench.send(0, &datagram(v6(0, 1), v6(1, 2), 9, 10, true));
    let (header, _) = ip(&question[0].1);
    assert_eq!((header.hops, icmp(&question[0].1).kind), (255, Icmp::SOLICITATION));
    // Somebody asks for the router, and is known from then on.
    let mut ask = [[0x33, 0x33, 0xff, 0, 0, 0xfe], B].concat();
    ask.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    let (IpAddr::V6(from), IpAddr::V6(target)) = (v6(1, 2), v6(1, 0xfe)) else { panic!("IPv6") };
    ask.extend(from.octets());
    ask.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0xfe]);
    ask.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    ask.extend(target.octets());
    ask.extend([1, 1]);
    ask.extend(B);
    repair(&mut ask);
    let out = bench.send(1, &ask);
    assert_eq!(out.len(), 2, "what waited, and the answer");
    let (waited, _) = ip(&out[0].1);
    assert_eq!((waited.hops, &out[0].1[..6]), (8, &B[..]));
    let answer = icmp(&out[1].1);
    assert_eq!(
        (answer.kind, answer.target, answer.rest),
        (Icmp::ADVERTISEMENT, Some(target), 0xe000_0000)
    );
}

#[test]
fn what_goes_no_further_is_told_to_its_sender() {
    for (from, to, nowhere) in [(v4(0, 1), v4(1, 2), v4(77, 7)), (v6(0, 1), v6(1, 2), v6(77, 7))] {
        let mut bench = Bench::new(1_280);
        let own = if from.is_ipv4() { v4(0, 254) } else { v6(0, 0xfe) };
        let cases = [
            (datagram(from, to, 1, 10, true), if from.is_ipv4() { (11, 0) } else { (3, 0) }),
            (datagram(from, nowhere, 9, 10, true), if from.is_ipv4() { (3, 0) } else { (1, 0) }),
            (datagram(from, to, 9, 1_400, true), if from.is_ipv4() { (3, 4) } else { (2, 0) }),
        ];
        for (sent, expected) in cases {
            let out = bench.send(0, &sent);
            assert_eq!((out.len(), out[0].0, &out[0].1[..6]), (1, 0, &A[..]));
            let (header, _) = ip(&out[0].1);
            assert_eq!((header.source, header.destination), (own, from));
            let message = icmp(&out[0].1);
            assert_eq!((message.kind, message.code), expected);
            let quote = message.quote.expect("it quotes");
            assert_eq!(
                (quote.ip.destination, quote.ports),
                (ip(&sent).0.destination, Some((9, 9)))
            );
            assert_eq!(message.too_big().is_some_and(|mtu| mtu == 1_280), sent.len() > 1_400);
            assert!(bench.send(1, &out[0].1).is_empty(), "nothing is said about an error");
        }
    }
}

#[test]
fn nothing_is_said_about_errors_groups_and_what_nobody_sent() {
    let router = v4(0, 254);
    let plain = datagram(v4(0, 1), v4(1, 2), 9, 10, true);
    assert!(error(&plain, router, Told::NoRoute).is_some());
    assert!(error(&plain, v6(0, 1), Told::NoRoute).is_none(), "another family");
    let told = error(&plain, router, Told::NoRoute).expect("it is told");
    assert!(error(&told, router, Told::NoRoute).is_none());
    for (from, to) in [
        (v4(0, 1), Ipv4Addr::new(224, 0, 0, 1).into()),
        (v4(0, 1), Ipv4Addr::BROADCAST.into()),
        (Ipv4Addr::UNSPECIFIED.into(), v4(1, 2)),
    ] {
        assert!(error(&datagram(from, to, 9, 10, true), router, Told::NoRoute).is_none());
    }
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0x00, 0x20, 0x05]);
    let mut expected = error(&plain, router, Told::NoRoute).expect("it is told");
    expected.splice(12..12, [0x81, 0x00, 0x20, 0x05]);
    assert_eq!(error(&tagged, router, Told::NoRoute), Some(expected), "over the same VLAN");
    let mut to_all = plain;
    to_all[..6].fill(0xff);
    assert!(error(&to_all, router, Told::NoRoute).is_none());
    // As much as fits is quoted.
    let long = datagram(v4(0, 1), v4(1, 2), 9, 1_400, true);
    assert_eq!(error(&long, router, Told::NoRoute).map(|told| told.len()), Some(14 + 576));
}

#[test]
fn what_may_be_cut_is_cut_into_pieces_that_make_the_whole() {
    let mut bench = Bench::new(600);
    bench.announce(1, v4(1, 2), B);
    let sent = datagram(v4(0, 1), v4(1, 2), 9, 1_300, false);
    let pieces = bench.send(0, &sent);
    let mut payload: Vec<u8> = Vec::new();
    for (at, (port, frame)) in pieces.iter().enumerate() {
        let (ip, _) = ip(frame);
        let part = ip.fragment.expect("a part");
        assert_eq!((*port, ip.hops, ip.identification), (1, 8, 7));
        assert!(ip.total_len() <= 600);
        assert_eq!((part.offset as usize, part.more), (payload.len(), at + 1 < pieces.len()));
        payload.extend(&frame[ip.payload_at..ip.end]);
    }
    assert!(pieces.len() == 3 && payload == sent[34..]);
    // A piece is cut again as a piece.
    let mut narrow = Bench::new(300);
    narrow.announce(1, v4(1, 2), B);
    let mut piece = pieces[1].1.clone();
    piece[..6].copy_from_slice(&station(0));
    let again = narrow.send(0, &piece);
    let offsets: Vec<_> = again.iter().map(|(_, f)| ip(f).0.fragment.expect("a part")).collect();
    assert!(offsets.iter().all(|part| part.more) && offsets[0].offset == 576);
    assert_eq!(offsets[1].offset, 576 + 280);
}

#[test]
fn what_is_damaged_for_others_or_of_a_link_alone_stays() {
    let mut bench = Bench::new(1_500);
    bench.announce(1, v4(1, 2), B);
    let good = datagram(v4(0, 1), v4(1, 2), 9, 10, true);
    assert_eq!(bench.send(0, &good).len(), 1);
    let mut damaged = good.clone();
    damaged[30] ^= 1;
    let mut other = good.clone();
    other[5] ^= 1;
    let local = datagram(Ipv4Addr::new(169, 254, 0, 1).into(), v4(1, 2), 9, 10, true);
    let own = datagram(v4(0, 1), v4(1, 254), 9, 10, true);
    for frame in [damaged, other, local, own, good[..20].to_vec()] {
        assert!(bench.send(0, &frame).is_empty());
    }
}
