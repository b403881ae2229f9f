//! Two hosts that speak IPv6: connections, flows, echo, and what is refused.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::vec::Vec;

use crate::error::CommandError;
use crate::ip::solicited_node;
use crate::nic::{Frame, GsoType, MacAddr};
use crate::port::{Completion, Op, Transport};
use crate::stack::Drops;
use crate::testing::{Duo, Host, transfer};
use crate::time::Duration;
use crate::wire::ipv6_ext::{DESTINATION_OPTIONS, FRAGMENT, Ipv6Fragment};
use crate::wire::tcp::TcpHeader;
use crate::wire::{
    ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IPV6_HEADER_LEN, Icmpv6Header, IpProtocol,
    Ipv6Header,
};

const IP_AT: usize = ETHERNET_HEADER_LEN;
const PAYLOAD_AT: usize = IP_AT + IPV6_HEADER_LEN;

/// Two hosts whose addresses are in use already.
fn duo() -> Duo {
    Duo::over_ipv6(65_536, &|_| {}, &|config| config)
}

/// What host 2 has dropped since `before`.
fn dropped(duo: &Duo, before: &Drops) -> Drops {
    let now = duo.b.engine.stack().stats().drops;
    Drops {
        malformed: now.malformed - before.malformed,
        checksum: now.checksum - before.checksum,
        not_ours: now.not_ours - before.not_ours,
        martian: now.martian - before.martian,
        protocol: now.protocol - before.protocol,
        no_socket: now.no_socket - before.no_socket,
        limit: now.limit - before.limit,
        fragment: now.fragment - before.fragment,
        blind: now.blind - before.blind,
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    let IpAddr::V6(address) = address else { panic!("{address}") };
    address
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// A packet from host 1 to host 2 as a frame.
fn frame(src: Ipv6Addr, dst: Ipv6Addr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; PAYLOAD_AT];
    let [to, from] = [2, 1].map(|last| MacAddr([2, 0, 0, 0, 0, last]));
    let dst_mac = if dst.is_multicast() { crate::ip::group_station(dst) } else { to };
    EthernetHeader { dst: dst_mac, src: from, ethertype: EtherType::IPV6 }.emit(&mut bytes);
    Ipv6Header::new(src, dst, protocol, payload.len() as u16).emit(&mut bytes[IP_AT..]);
    bytes.extend_from_slice(payload);
    bytes
}

/// What host 2 sends within one step, its IPv6 header, and what is behind it.
fn answers(duo: &mut Duo) -> Vec<(Ipv6Header, Vec<u8>)> {
    let now = duo.now;
    duo.b.engine.step(now);
    let sent = core::mem::take(&mut duo.b.nic().outbound);
    sent.iter()
        .map(|frame| {
            let (ip, _) = Ipv6Header::parse(&frame.bytes()[IP_AT..]).unwrap();
            (ip, frame.bytes()[PAYLOAD_AT..].to_vec())
        })
        .collect()
}

#[test]
fn a_connection_over_ipv6_carries_bytes_both_ways_and_its_mss_leaves_room_for_the_longer_header() {
    for (tso, segment_bytes) in [(0, 0), (40_000, 0), (0, 256)] {
        let mut duo = Duo::over_ipv6(
            65_536,
            &|caps| {
                caps.tso_bytes_max = tso;
                caps.tx_checksum = tso > 0;
                caps.tx_segments = 20;
            },
            &|config| config,
        );
        duo.a.nic().segment_bytes = segment_bytes;
        let remote = SocketAddr::new(Host::address_v6(2), 80);
        let (ours, theirs) = duo.connect_to(Transport::Tcp, remote);
        assert_eq!(ours.local.ip(), Host::address_v6(1));
        let before = duo.b.engine.stack().stats().drops;
        let bytes = pattern(300_000);
        assert!(transfer(&mut duo, ours, theirs, true, &bytes) == bytes);
        assert!(transfer(&mut duo, theirs, ours, false, &bytes) == bytes);
        assert_eq!(dropped(&duo, &before), Drops::default());
    }
}

#[test]
fn the_syn_announces_1440_bytes_and_super_segments_say_that_they_are_ipv6() {
    let mut duo = Duo::over_ipv6(
        65_536,
        &|caps| (caps.tso_bytes_max, caps.tx_checksum) = (40_000, true),
        &|config| config,
    );
    let remote = SocketAddr::new(Host::address_v6(2), 80);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: remote, backlog: 1 });
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    let (mut mss, mut label) = (None, None);
    for _ in 0..10 {
        let now = duo.now;
        duo.a.engine.step(now);
        for frame in &duo.a.nic().outbound {
            let (ip, at) = Ipv6Header::parse(&frame.bytes()[IP_AT..]).unwrap();
            if ip.next_header == IpProtocol::TCP {
                let (tcp, _) = TcpHeader::parse(&frame.bytes()[IP_AT + at..]).unwrap();
                mss = mss.or(tcp.options.mss);
                assert_eq!(*label.get_or_insert(ip.flow_label), ip.flow_label, "one label a flow");
            }
        }
        duo.step();
    }
    assert_eq!(mss, Some(1_440));
    assert!(label.is_some_and(|label| label > 0));
    let connecting = |news: &Completion| match *news {
        Completion::Connecting { socket, stream, .. } => Some((socket, stream)),
        _ => None,
    };
    let (socket, stream) = duo.a.take(connecting).unwrap();
    duo.a.engine.port_mut().write(stream, &pattern(20_000));
    duo.a.ask(Op::Kick { socket });
    let now = duo.now;
    duo.a.engine.step(now);
    let longest = duo.a.nic().outbound.iter().max_by_key(|frame| frame.len()).unwrap();
    assert!(longest.len() > 5_000, "{}", longest.len());
    assert_eq!(longest.meta().offload.gso_type, GsoType::TcpV6);
    assert_eq!(longest.meta().offload.gso_size % 12, 1_428 % 12);
}

#[test]
fn the_flow_label_turns_when_the_peer_falls_silent() {
    let mut duo = duo();
    let remote = SocketAddr::new(Host::address_v6(2), 80);
    let (ours, _) = duo.connect_to(Transport::Tcp, remote);
    duo.a.engine.port_mut().write(ours.stream, b"hello");
    duo.a.ask(Op::Kick { socket: ours.socket });
    let mut labels = Vec::new();
    for _ in 0..20 {
        let now = duo.now;
        let progress = duo.a.engine.step(now);
        for frame in core::mem::take(&mut duo.a.nic().outbound) {
            let (ip, _) = Ipv6Header::parse(&frame.bytes()[IP_AT..]).unwrap();
            if ip.next_header == IpProtocol::TCP {
                labels.push(ip.flow_label);
            }
        }
        duo.now = progress.next.map_or(now, |(at, _)| at);
    }
    labels.dedup();
    assert!(labels.len() >= 3, "{labels:x?}");
}

#[test]
fn messages_travel_over_ipv6_and_over_the_loopback() {
    let mut duo = duo();
    let remote = SocketAddr::new(Host::address_v6(2), 9_000);
    let (ours, _) = duo.connect_to(Transport::Machnet, remote);
    let bytes = pattern(10_000);
    duo.a.engine.port_mut().write(ours.stream, &bytes);
    let len = bytes.len() as u32;
    duo.a.ask(Op::SendMessage { socket: ours.socket, offset: 0, len, message: 1 });
    duo.settle();
    let arrived = duo.b.take(|news| match *news {
        Completion::Message { len, .. } => Some(len),
        _ => None,
    });
    assert_eq!(arrived, Some(len));
}

#[test]
fn a_host_reaches_itself_by_the_loopback_address_and_by_its_own() {
    for address in [IpAddr::V6(Ipv6Addr::LOCALHOST), Host::address_v6(1)] {
        let mut duo = duo();
        let remote = SocketAddr::new(address, 80);
        duo.a.ask(Op::Listen { transport: Transport::Tcp, local: remote, backlog: 1 });
        duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
        duo.a.ask(Op::Ping { remote: address, sequence: 3, len: 30_000 });
        duo.settle();
        let connected =
            duo.a.take(|news| matches!(news, Completion::Connected { .. }).then_some(()));
        assert!(connected.is_some(), "{address}");
        let reply = duo.a.take(|news| matches!(news, Completion::EchoReply { .. }).then_some(()));
        assert!(reply.is_some(), "{address}");
    }
}

#[test]
fn echo_goes_both_ways_over_ipv6_and_to_nobody_it_times_out() {
    let mut duo = duo();
    for (remote, len) in [(Host::address_v6(2), 1_452), (Host::address_v6(99), 8)] {
        duo.a.ask(Op::Ping { remote, sequence: 7, len });
    }
    duo.pass(Duration::from_secs(8));
    let reply = duo.a.take(|news| match *news {
        Completion::EchoReply { sequence, len, ttl, .. } => Some((sequence, len, ttl)),
        _ => None,
    });
    assert_eq!(reply, Some((7, 1_452, 64)));
    let failed = |news: &Completion| match news {
        Completion::Failed { error, .. } => Some(*error),
        _ => None,
    };
    assert_eq!(duo.a.take(failed), Some(CommandError::TimedOut));
    duo.a.ask(Op::Ping { remote: "2001:db8::1".parse().unwrap(), sequence: 1, len: 8 });
    duo.settle();
    assert_eq!(duo.a.take(failed), Some(CommandError::NoRoute));
    for remote in ["::ffff:10.0.0.2", "ff02::1", "::"] {
        duo.a.ask(Op::Ping { remote: remote.parse().unwrap(), sequence: 1, len: 8 });
        duo.settle();
        assert_eq!(duo.a.take(failed), Some(CommandError::InvalidArgument), "{remote}");
    }
}

#[test]
fn an_echo_to_all_hosts_is_answered_only_where_the_configuration_says_so() {
    let (src, group) = (v6(Host::address_v6(1)), crate::ip::ALL_NODES);
    let mut message = [0; 12];
    Icmpv6Header::EchoRequest { identifier: 1, sequence: 2 }.emit(&mut message, src, group);
    for on in [false, true] {
        let mut duo = Duo::over_ipv6(4_096, &|_| {}, &|config| config.echo_groups(on));
        duo.a.ask(Op::Ping { remote: Host::address_v6(2), sequence: 1, len: 8 });
        duo.settle();
        duo.b.nic().inject(&frame(src, group, IpProtocol::ICMPV6, &message));
        let sent = answers(&mut duo);
        assert_eq!(sent.len(), usize::from(on));
        assert!(sent.iter().all(|(ip, _)| IpAddr::V6(ip.src) == Host::address_v6(2)));
    }
}

#[test]
fn what_must_not_be_in_ipv6_is_dropped_with_its_reason_and_without_an_answer() {
    let (peer, us) = (v6(Host::address_v6(1)), v6(Host::address_v6(2)));
    let stranger: Ipv6Addr = "fd00::3".parse().unwrap();
    let [any, loopback, mapped, group] =
        ["::", "::1", "::ffff:10.0.0.1", "ff02::1"].map(|text| text.parse::<Ipv6Addr>().unwrap());
    let tcp = IpProtocol::TCP;
    let one = |set: fn(&mut Drops)| {
        let mut drops = Drops::default();
        set(&mut drops);
        drops
    };
    let bytes = [0; 20];
    let udp_without_checksum = [3, 232, 0, 9, 0, 8, 0, 0];
    let mut own_station = frame(peer, us, tcp, &bytes);
    own_station[..6].copy_from_slice(&crate::ip::group_station(group).0);
    let cases = [
        (frame(peer, stranger, tcp, &bytes), one(|d| d.not_ours = 1)),
        (frame(peer, solicited_node(stranger), tcp, &bytes), one(|d| d.not_ours = 1)),
        (frame(peer, group, tcp, &bytes), one(|d| d.not_ours = 1)),
        (own_station, one(|d| d.not_ours = 1)),
        (frame(any, us, tcp, &bytes), one(|d| d.martian = 1)),
        (frame(loopback, us, tcp, &bytes), one(|d| d.martian = 1)),
        (frame(mapped, us, tcp, &bytes), one(|d| d.martian = 1)),
        (frame(group, us, tcp, &bytes), one(|d| d.martian = 1)),
        (frame(us, us, tcp, &bytes), one(|d| d.martian = 1)),
        (frame(peer, loopback, tcp, &bytes), one(|d| d.martian = 1)),
        (frame(peer, us, tcp, &bytes), one(|d| d.malformed = 1)),
        (frame(peer, us, IpProtocol::UDP, &udp_without_checksum), one(|d| d.checksum = 1)),
        (frame(peer, us, IpProtocol::ICMPV6, &[128, 0, 0, 0, 0, 0, 0, 0]), one(|d| d.checksum = 1)),
        (frame(peer, us, DESTINATION_OPTIONS, &[6, 9]), one(|d| d.malformed = 1)),
        (
            frame(peer, us, DESTINATION_OPTIONS, &[6, 0, 0x45, 4, 0, 0, 0, 0]),
            one(|d| d.protocol = 1),
        ),
    ];
    for (bytes, drops) in cases {
        let mut duo = duo();
        let before = *duo.b.engine.stack().stats();
        duo.b.nic().inject(&bytes);
        duo.settle();
        assert_eq!(dropped(&duo, &before.drops), drops, "{bytes:02x?}");
        let sent = duo.b.engine.stack().stats().tx_frames - before.tx_frames;
        assert_eq!(sent, 0, "nothing is answered: {bytes:02x?}");
    }
}

#[test]
fn a_header_that_is_not_known_is_a_parameter_problem_that_points_at_it() {
    let (peer, us) = (v6(Host::address_v6(1)), v6(Host::address_v6(2)));
    // Next header 99 behind destination options; an option of type 11; a source route that is not used up.
    let padding = [99, 0, 1, 4, 0, 0, 0, 0];
    let option = [6, 0, 0xc5, 4, 0, 0, 0, 0];
    let route = [6, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let cases = [
        (DESTINATION_OPTIONS, padding.as_slice(), (1, 40)),
        (IpProtocol(99), padding.as_slice(), (1, 6)),
        (DESTINATION_OPTIONS, option.as_slice(), (2, 42)),
        (IpProtocol(43), route.as_slice(), (0, 42)),
    ];
    for (next, payload, (code, pointer)) in cases {
        let mut duo = duo();
        duo.a.ask(Op::Ping { remote: Host::address_v6(2), sequence: 1, len: 8 });
        duo.settle();
        let bytes = frame(peer, us, next, payload);
        duo.b.nic().inject(&bytes);
        let sent = answers(&mut duo);
        let [(_, message)] = sent.as_slice() else { panic!("{sent:?}") };
        let parsed = Icmpv6Header::parse(message, us, peer);
        let problem = Icmpv6Header::ParameterProblem { code, pointer };
        assert_eq!(parsed, Ok((problem, 8)));
        assert_eq!(message[8..], bytes[IP_AT..], "the whole packet is quoted");
    }
}

#[test]
fn a_segment_behind_extension_headers_finds_its_connection() {
    let mut duo = duo();
    let remote = SocketAddr::new(Host::address_v6(2), 80);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: remote, backlog: 1 });
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    for _ in 0..30 {
        // Everything that host 1 sends gets a header of padding in front of TCP.
        let now = duo.now;
        duo.a.engine.step(now);
        for sent in core::mem::take(&mut duo.a.nic().outbound) {
            let mut bytes = sent.bytes().to_vec();
            let (ip, _) = Ipv6Header::parse(&bytes[IP_AT..]).unwrap();
            if ip.next_header == IpProtocol::TCP {
                let header = [IpProtocol::TCP.0, 0, 1, 4, 0, 0, 0, 0];
                bytes.splice(PAYLOAD_AT..PAYLOAD_AT, header);
                let payload_len = ip.payload_len + 8;
                Ipv6Header { next_header: DESTINATION_OPTIONS, payload_len, ..ip }
                    .emit(&mut bytes[IP_AT..]);
            }
            duo.b.nic().inject(&bytes);
        }
        duo.step();
    }
    let connected = duo.a.take(|news| matches!(news, Completion::Connected { .. }).then_some(()));
    assert!(connected.is_some());
}

#[test]
fn a_datagram_in_pieces_is_put_together_unless_its_headers_are_spread_over_them() {
    let (peer, us) = (v6(Host::address_v6(1)), v6(Host::address_v6(2)));
    let mut message = pattern(1_000);
    Icmpv6Header::EchoRequest { identifier: 1, sequence: 2 }.emit(&mut message, peer, us);
    let piece = |start: usize, end: usize, identification: u32| {
        let header = Ipv6Fragment {
            next_header: IpProtocol::ICMPV6,
            offset: start as u16,
            more: end < 1_000,
            identification,
        };
        let mut payload = [0; 8];
        header.emit(&mut payload);
        frame(peer, us, FRAGMENT, &[payload.as_slice(), &message[start..end]].concat())
    };
    let whole = [piece(504, 1_000, 1), piece(0, 504, 1)];
    let atomic = [piece(0, 1_000, 2)];
    let without_header = [piece(0, 0, 3), piece(0, 1_000, 3)];
    let overlapping = [piece(0, 504, 4), piece(496, 1_000, 4), piece(504, 1_000, 4)];
    let cases: [(&[Vec<u8>], _, _); 4] =
        [(&whole, 1, 0), (&atomic, 1, 0), (&without_header, 1, 1), (&overlapping, 0, 2)];
    for (pieces, echoes, refused) in cases {
        let mut duo = duo();
        for piece in pieces {
            duo.b.nic().inject(piece);
        }
        duo.settle();
        let stats = duo.b.engine.stack().stats();
        assert_eq!((stats.echo_replies_out, stats.drops.fragment), (echoes, refused));
    }
}

#[test]
fn the_sender_of_a_fragment_that_cannot_be_is_told_which_field_is_wrong() {
    let (peer, us) = (v6(Host::address_v6(1)), v6(Host::address_v6(2)));
    let piece = |next_header, offset, more, len: usize, dst| {
        let mut payload = std::vec![0; 8 + len];
        Ipv6Fragment { next_header, offset, more, identification: 7 }.emit(&mut payload);
        frame(peer, dst, FRAGMENT, &payload)
    };
    let (udp, icmp) = (IpProtocol::UDP, IpProtocol::ICMPV6);
    let all_nodes = crate::ip::ALL_NODES;
    let cases = [
        ("a length that is no multiple of 8", piece(udp, 8, true, 13, us), Some((0, 4))),
        ("the first one as well", piece(udp, 0, true, 13, us), Some((0, 4))),
        ("the last one has any length", piece(udp, 8, false, 13, us), None),
        ("an end beyond 65,535", piece(udp, 65_528, false, 9, us), Some((0, 42))),
        ("a first one without all headers", piece(udp, 0, true, 0, us), Some((3, 0))),
        ("nothing at all", piece(udp, 8, true, 0, us), None),
        ("perhaps an error", piece(icmp, 8, true, 13, us), None),
        ("certainly an error", piece(icmp, 0, true, 13, us), None),
        ("to a group", piece(udp, 8, true, 13, all_nodes), None),
    ];
    for (what, bytes, expected) in cases {
        let mut duo = duo();
        duo.a.ask(Op::Ping { remote: Host::address_v6(2), sequence: 1, len: 8 });
        duo.settle();
        let refused = dropped(&duo, &Drops::default());
        duo.b.nic().inject(&bytes);
        let sent = answers(&mut duo);
        let told = sent.iter().map(|(ip, message)| {
            assert_eq!((ip.src, ip.dst), (us, peer), "{what}");
            assert_eq!(message[8..], bytes[IP_AT..], "{what}: all of it is quoted");
            Icmpv6Header::parse(message, us, peer).unwrap().0
        });
        let problem = |(code, pointer)| Icmpv6Header::ParameterProblem { code, pointer };
        assert_eq!(told.collect::<Vec<_>>(), Vec::from_iter(expected.map(problem)), "{what}");
        let drops = dropped(&duo, &refused);
        let kept = what == "the last one has any length";
        assert_eq!(drops.malformed + drops.fragment, u64::from(!kept), "{what}");
    }
}

#[test]
fn an_echo_that_came_in_pieces_goes_back_in_pieces() {
    let (peer, us) = (v6(Host::address_v6(1)), v6(Host::address_v6(2)));
    let mut message = pattern(4_000);
    Icmpv6Header::EchoRequest { identifier: 1, sequence: 2 }.emit(&mut message, peer, us);
    let mut duo = duo();
    for start in (0..4_000).step_by(1_400) {
        let end = 4_000.min(start + 1_400);
        let (next_header, more) = (IpProtocol::ICMPV6, end < 4_000);
        let header = Ipv6Fragment { next_header, offset: start as u16, more, identification: 9 };
        let mut payload = std::vec![0; 8];
        header.emit(&mut payload);
        payload.extend_from_slice(&message[start..end]);
        duo.b.nic().inject(&frame(peer, us, FRAGMENT, &payload));
    }
    duo.settle();
    let stats = duo.b.engine.stack().stats();
    assert_eq!((stats.echo_replies_out, stats.fragments_out), (1, 3));
    // The other host asked for nothing, but puts it together all the same.
    assert_eq!(duo.a.engine.stack().stats().datagrams_reassembled, 1);
}

#[test]
fn a_listener_on_all_addresses_takes_both_families_and_nobody_else_may_then_listen_there() {
    let mut duo = duo();
    let any = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 80);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: any, backlog: 4 });
    duo.settle();
    for address in [Host::address(2), Host::address_v6(2)] {
        let (ours, theirs) = duo.reconnect_to(Transport::Tcp, SocketAddr::new(address, 80));
        assert_eq!(theirs.local.ip(), address);
        assert_eq!(ours.local.is_ipv4(), address.is_ipv4());
    }
}
