//! UDP sockets: who gets which datagram, what is cut, refused or dropped.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::vec::Vec;

use crate::error::{CommandError, EndReason};
use crate::nic::MacAddr;
use crate::port::{ChannelId, Completion, Op, SocketId, SocketOption, Transport};
use crate::testing::{CHANNEL, Duo, Handle, Host};
use crate::time::Duration;
use crate::udp::ARRIVED_MAX;
use crate::wire::{
    ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IPV4_HEADER_LEN, IpProtocol, Ipv4Header,
    UdpHeader,
};

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(Host::address(host), port)
}

fn bound(host: &mut Host) -> Option<Handle> {
    host.take(|news| match *news {
        Completion::Bound { socket, stream, local, .. } => Some(Handle { socket, stream, local }),
        _ => None,
    })
}

fn bind(duo: &mut Duo, at_b: bool, local: SocketAddr) -> Handle {
    let host = if at_b { &mut duo.b } else { &mut duo.a };
    host.ask(Op::BindUdp { local });
    duo.settle();
    bound(if at_b { &mut duo.b } else { &mut duo.a }).expect("the address is free")
}

/// Two sockets: `a` on any port, `b` on port 53.
fn pair(duo: &mut Duo) -> (Handle, Handle) {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    (bind(duo, false, any), bind(duo, true, at(2, 53)))
}

fn send(host: &mut Host, from: Handle, bytes: &[u8], remote: Option<SocketAddr>) {
    let port = host.engine.port_mut();
    let offset = port.written(from.stream);
    assert_eq!(port.write(from.stream, bytes), bytes.len());
    let len = bytes.len() as u32;
    host.ask(Op::SendDatagram { socket: from.socket, offset, len, remote });
}

/// The next datagram of a socket, and who sent it.
fn receive(host: &mut Host, to: Handle) -> Option<(Vec<u8>, SocketAddr)> {
    let (len, remote) = host.take(|news| match *news {
        Completion::Datagram { socket, len, remote, .. } if socket == to.socket => {
            Some((len as usize, remote))
        }
        _ => None,
    })?;
    let mut bytes = std::vec![0; len.max(1)];
    assert_eq!(host.engine.port_mut().read(to.stream, &mut bytes), len.max(1));
    host.ask(Op::Kick { socket: to.socket });
    bytes.truncate(len);
    Some((bytes, remote))
}

fn failed(host: &mut Host) -> Option<CommandError> {
    host.take(|news| match news {
        Completion::Failed { error, .. } => Some(*error),
        _ => None,
    })
}

#[test]
fn datagrams_of_every_length_go_both_ways_with_their_sender_s_address() {
    let mut duo = Duo::new(256 << 10);
    let (a, b) = pair(&mut duo);
    for len in [0, 1, 1_472, 1_473, 2_952, 2_953, 9_000, 65_507] {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
        send(&mut duo.a, a, &bytes, Some(at(2, 53)));
        duo.settle();
        let (received, remote) = receive(&mut duo.b, b).expect("a datagram arrives");
        assert_eq!(remote, at(1, a.local.port()));
        assert_eq!(received, bytes, "{len} bytes");
        send(&mut duo.b, b, &bytes, Some(remote));
        duo.settle();
        assert_eq!(receive(&mut duo.a, a), Some((bytes, at(2, 53))), "{len} bytes back");
    }
    let stats = *duo.a.engine.stack().stats();
    assert_eq!((stats.udp_datagrams_in, stats.udp_datagrams_out), (8, 8));
    assert_eq!((stats.udp_send_drops, stats.udp_receive_drops), (0, 0));
    assert_eq!(stats.fragments_in, stats.fragments_out);
    assert_eq!(stats.fragments_out, 2 + 2 + 3 + 7 + 45);
}

#[test]
fn refused_datagrams_leave_the_ring_to_others() {
    let mut duo = Duo::new(64 << 10);
    let (a, b) = pair(&mut duo);
    let nowhere = SocketAddr::from(([192, 0, 2, 1], 9));
    for _ in 0..100 {
        send(&mut duo.a, a, &[1; 1_000], Some(nowhere));
        duo.settle();
        assert_eq!(failed(&mut duo.a), Some(CommandError::NoRoute));
    }
    send(&mut duo.a, a, b"x", Some(at(2, 53)));
    duo.settle();
    assert_eq!(receive(&mut duo.b, b).expect("there is room for it").0, b"x");
}

#[test]
fn class_and_time_to_live_are_on_every_datagram_cut_or_whole_or_after_waiting_for_a_neighbour() {
    let mut duo = Duo::new(64 << 10);
    let (a, _) = pair(&mut duo);
    let socket = Some(a.socket);
    for option in [SocketOption::Ipv4Tos(0x2e), SocketOption::Ipv4Ttl(9)] {
        duo.a.ask(Op::SetOption { socket, option });
    }
    let mut headers = Vec::new();
    for len in [2_000, 2_000, 10] {
        send(&mut duo.a, a, &std::vec![0; len], Some(at(2, 53)));
        for _ in 0..20 {
            let now = duo.now;
            duo.a.engine.step(now);
            let sent = duo.a.nic().outbound.iter();
            let ip = sent.filter_map(|frame| frame.bytes().get(ETHERNET_HEADER_LEN..));
            let ip = ip.filter_map(|bytes| Ipv4Header::parse(bytes).ok());
            headers.extend(ip.map(|(header, _)| (header.traffic_class, header.ttl)));
            duo.step();
        }
    }
    assert_eq!(headers, [(0x2e, 9); 5]);
    duo.a.ask(Op::SetOption { socket, option: SocketOption::NoDelay(true) });
    duo.settle();
    assert_eq!(failed(&mut duo.a), Some(CommandError::WrongState));
}

#[test]
fn over_ipv6_too_datagrams_of_every_length_arrive_cut_by_their_sender_alone() {
    let mut duo = Duo::over_ipv6(256 << 10, &|_| {}, &|config| config);
    let b = bind(&mut duo, true, SocketAddr::new(Host::address_v6(2), 53));
    let a = bind(&mut duo, false, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
    for len in [0, 1, 1_452, 1_453, 9_000, 65_000] {
        let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
        send(&mut duo.a, a, &bytes, Some(b.local));
        duo.settle();
        let (received, remote) = receive(&mut duo.b, b).expect("a datagram arrives");
        assert_eq!(received, bytes, "{len} bytes");
        send(&mut duo.b, b, &bytes, Some(remote));
        duo.settle();
        assert_eq!(receive(&mut duo.a, a), Some((bytes, b.local)), "{len} bytes back");
    }
    let stats = *duo.a.engine.stack().stats();
    assert_eq!(stats.fragments_out, 2 + 7 + 45);
    assert_eq!((stats.udp_send_drops, stats.drops.fragment, stats.drops.checksum), (0, 0, 0));
}

#[test]
fn a_datagram_that_waited_for_its_neighbour_and_an_echo_s_reply_fit_their_path_too() {
    let mut duo = Duo::over_ipv6(256 << 10, &|_| {}, &|config| config);
    let (b, remote) = (Host::address_v6(2), SocketAddr::new(Host::address_v6(2), 53));
    let a = bind(&mut duo, false, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
    let to = bind(&mut duo, true, remote);
    // Nobody has asked for the station of `b` yet, but a router has spoken of the way there.
    let now = duo.now;
    duo.a.engine.stack_mut().paths.learn(now, b, 1_280, 1_500, 1_500);
    let bytes = [7; 1_400];
    let mut fragments = 0;
    for _ in 0..2 {
        send(&mut duo.a, a, &bytes, Some(remote));
        duo.settle();
        assert_eq!(receive(&mut duo.b, to).expect("it arrives").0, bytes);
        fragments += 2;
        assert_eq!(duo.a.engine.stack().stats().fragments_out, fragments);
    }
    duo.b.ask(Op::Ping { remote: Host::address_v6(1), sequence: 1, len: 1_300 });
    duo.settle();
    assert_eq!(duo.a.engine.stack().stats().fragments_out, fragments + 2, "the reply");
    assert_eq!(duo.b.engine.stack().stats().fragments_out, 0, "the way back is another");
}

#[test]
fn a_datagram_that_is_too_long_or_for_nobody_is_refused() {
    let mut duo = Duo::new(256 << 10);
    let (a, _) = pair(&mut duo);
    send(&mut duo.a, a, &[1; 65_508], Some(at(2, 53)));
    duo.settle();
    assert_eq!(failed(&mut duo.a), Some(CommandError::InvalidArgument));
    send(&mut duo.a, a, &[1; 8], None);
    duo.settle();
    assert_eq!(failed(&mut duo.a), Some(CommandError::InvalidArgument), "it is not connected");
    send(&mut duo.a, a, &[1; 8], Some(SocketAddr::from(([192, 168, 1, 1], 9))));
    duo.settle();
    assert_eq!(failed(&mut duo.a), Some(CommandError::NoRoute));
}

#[test]
fn the_connected_socket_comes_before_the_bound_one_and_that_before_the_one_on_all_addresses() {
    let mut duo = Duo::new(65_536);
    let all = bind(&mut duo, true, SocketAddr::from(([0, 0, 0, 0], 53)));
    let a = bind(&mut duo, false, at(1, 7_000));
    let other = bind(&mut duo, false, at(1, 7_001));
    let arrives = |duo: &mut Duo, from: Handle, to: Handle| {
        send(&mut duo.a, from, b"hello", Some(at(2, 53)));
        duo.settle();
        receive(&mut duo.b, to).is_some()
    };
    assert!(arrives(&mut duo, a, all));
    let one = bind(&mut duo, true, at(2, 53));
    assert!(arrives(&mut duo, a, one));
    duo.b.ask(Op::ConnectUdp { socket: one.socket, remote: Some(at(1, 7_000)) });
    duo.settle();
    assert_eq!(bound(&mut duo.b).unwrap().local, at(2, 53));
    assert!(arrives(&mut duo, a, one));
    assert!(arrives(&mut duo, other, all), "the connected one takes its peer's datagrams only");
    duo.b.ask(Op::ConnectUdp { socket: one.socket, remote: None });
    duo.settle();
    assert!(arrives(&mut duo, other, one));
}

#[test]
fn connecting_fixes_the_source_and_makes_the_peer_the_default() {
    let mut duo = Duo::new(65_536);
    let (a, b) = pair(&mut duo);
    duo.a.ask(Op::ConnectUdp { socket: a.socket, remote: Some(at(2, 53)) });
    duo.settle();
    assert_eq!(bound(&mut duo.a).unwrap().local, at(1, a.local.port()));
    send(&mut duo.a, a, b"to my peer", None);
    duo.settle();
    assert_eq!(receive(&mut duo.b, b).unwrap().0, b"to my peer");
}

#[test]
fn a_closed_port_refuses_a_connected_socket_once_for_what_it_sent_and_an_unconnected_one_never() {
    let mut duo = Duo::new(65_536);
    let (a, _) = pair(&mut duo);
    let refused = |host: &mut Host| {
        host.take(|news| match *news {
            Completion::DatagramRefused { reason, .. } => Some(reason),
            _ => None,
        })
    };
    send(&mut duo.a, a, b"?", Some(at(2, 9)));
    duo.settle();
    assert_eq!(duo.b.engine.stack().stats().icmp_errors_out, 1);
    assert_eq!(refused(&mut duo.a), None);
    duo.a.ask(Op::ConnectUdp { socket: a.socket, remote: Some(at(2, 9)) });
    for _ in 0..2 {
        send(&mut duo.a, a, b"?", None);
        duo.settle();
        assert_eq!(refused(&mut duo.a), Some(EndReason::Refused));
        assert_eq!(refused(&mut duo.a), None);
    }
    assert_eq!(duo.a.engine.stack().stats().icmp_errors_in, 2);
}

#[test]
fn a_port_is_one_application_s_alone_and_machnet_s_ports_are_the_same() {
    let mut duo = Duo::new(65_536);
    let (_, b) = pair(&mut duo);
    let stranger = ChannelId { index: 2, generation: 0 };
    let any = SocketAddr::from(([0, 0, 0, 0], 53));
    for local in [at(2, 53), any] {
        duo.b.engine.port_mut().command(stranger, 0, Op::BindUdp { local });
        duo.settle();
        assert_eq!(failed(&mut duo.b), Some(CommandError::AddressInUse));
    }
    let transport = Transport::Machnet;
    for op in
        [Op::Listen { transport, local: at(2, 53), backlog: 1 }, Op::BindUdp { local: at(2, 53) }]
    {
        duo.b.ask(op);
        duo.settle();
        assert_eq!(failed(&mut duo.b), Some(CommandError::AddressInUse));
    }
    duo.b.ask(Op::Close { socket: b.socket });
    duo.settle();
    assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Closed));
    duo.b.engine.port_mut().command(stranger, 0, Op::BindUdp { local: any });
    duo.settle();
    assert!(bound(&mut duo.b).is_some());
    assert_eq!(duo.b.engine.port_mut().streams_open(), 1);
}

#[test]
fn who_does_not_read_loses_datagrams_and_nothing_grows() {
    let mut duo = Duo::new(4_096);
    let (a, b) = pair(&mut duo);
    for _ in 0..2 * ARRIVED_MAX {
        send(&mut duo.a, a, &[], Some(at(2, 53)));
        duo.settle();
    }
    let stats = *duo.b.engine.stack().stats();
    assert_eq!(stats.udp_datagrams_in, ARRIVED_MAX as u64);
    assert_eq!(stats.udp_receive_drops, ARRIVED_MAX as u64);
    assert_eq!(stats.drops.limit, ARRIVED_MAX as u64);
    assert!(receive(&mut duo.b, b).is_some());
    send(&mut duo.a, a, &[], Some(at(2, 53)));
    duo.settle();
    assert_eq!(duo.b.engine.stack().stats().udp_datagrams_in, stats.udp_datagrams_in + 1);
}

#[test]
fn a_host_that_does_not_answer_holds_up_nobody_else_s_datagrams() {
    let mut duo = Duo::new(65_536);
    let (a, b) = pair(&mut duo);
    send(&mut duo.a, a, b"to nobody", Some(at(99, 53)));
    send(&mut duo.a, a, b"to b", Some(at(2, 53)));
    duo.settle();
    assert_eq!(receive(&mut duo.b, b).unwrap().0, b"to b");
    duo.pass(Duration::from_secs(10));
    let stats = *duo.a.engine.stack().stats();
    assert_eq!(stats.replies_lost, 1, "the other one was given up");
}

#[test]
fn what_was_sent_before_the_close_leaves_even_if_the_nic_had_no_memory_then() {
    let mut duo = Duo::new(65_536);
    let (a, b) = pair(&mut duo);
    send(&mut duo.a, a, b"first", Some(at(2, 53)));
    duo.settle();
    duo.a.nic().memory = false;
    send(&mut duo.a, a, &[7; 5_000], Some(at(2, 53)));
    duo.a.ask(Op::Close { socket: a.socket });
    for _ in 0..20 {
        duo.step();
    }
    assert_eq!(duo.a.take_ended(a.socket), None);
    duo.a.nic().memory = true;
    duo.pass(Duration::from_millis(1));
    assert_eq!(duo.a.take_ended(a.socket), Some(EndReason::Closed));
    assert_eq!(receive(&mut duo.b, b).unwrap().0, b"first");
    assert_eq!(receive(&mut duo.b, b).unwrap().0, [7; 5_000]);
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn an_application_that_dies_leaves_no_socket() {
    let mut duo = Duo::new(65_536);
    let (a, b) = pair(&mut duo);
    send(&mut duo.a, a, b"last words", Some(at(2, 53)));
    duo.a.engine.port_mut().kill(CHANNEL);
    duo.settle();
    assert_eq!(receive(&mut duo.b, b).unwrap().0, b"last words");
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    assert_eq!(duo.a.engine.port_mut().streams_open(), 0);
}

/// A frame with a datagram for host 2, port 53.
fn frame(checksum: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; ETHERNET_HEADER_LEN + IPV4_HEADER_LEN + 8];
    let (dst, src) = (MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]));
    EthernetHeader { dst, src, ethertype: EtherType::IPV4 }.emit(&mut bytes);
    let (from, to) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let len = payload.len() as u16;
    Ipv4Header::new(from, to, IpProtocol::UDP, 8 + len).emit(&mut bytes[ETHERNET_HEADER_LEN..]);
    let header = UdpHeader { src_port: 1_000, dst_port: 53, payload_len: len, checksum: 0 };
    let sum = crate::wire::checksum::sum(payload);
    let right = header.with_checksum(IpAddr::V4(from), IpAddr::V4(to), sum);
    let header = checksum.map_or(right, |checksum| UdpHeader { checksum, ..header });
    header.emit(&mut bytes[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..]);
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn a_wrong_checksum_is_dropped_and_none_at_all_is_not() {
    let mut duo = Duo::new(65_536);
    let (_, b) = pair(&mut duo);
    for (checksum, arrives) in [(None, true), (Some(0), true), (Some(1), false)] {
        duo.b.nic().inject(&frame(checksum, b"hello"));
        duo.settle();
        assert_eq!(receive(&mut duo.b, b).is_some(), arrives, "{checksum:?}");
    }
    assert_eq!(duo.b.engine.stack().stats().drops.checksum, 1);
}

#[test]
fn operations_of_other_sockets_make_no_sense_on_this_one() {
    let mut duo = Duo::new(65_536);
    let (a, _) = pair(&mut duo);
    let stranger = SocketId { index: 99, generation: 3 };
    let cases = [
        (Op::ShutdownWrite { socket: a.socket }, CommandError::WrongState),
        (Op::Info { socket: a.socket }, CommandError::WrongState),
        (Op::ConnectUdp { socket: stranger, remote: None }, CommandError::UnknownSocket),
        (
            Op::Listen { transport: Transport::Udp, local: at(1, 80), backlog: 1 },
            CommandError::InvalidArgument,
        ),
        (
            Op::Connect { transport: Transport::Udp, local: None, remote: at(2, 80) },
            CommandError::InvalidArgument,
        ),
        (Op::BindUdp { local: at(2, 80) }, CommandError::AddressNotAvailable),
        (
            Op::SendMessage { socket: a.socket, offset: 0, len: 1, message: 1 },
            CommandError::WrongState,
        ),
    ];
    for (op, error) in cases {
        duo.a.ask(op.clone());
        duo.settle();
        assert_eq!(failed(&mut duo.a), Some(error), "{op:?}");
    }
}
