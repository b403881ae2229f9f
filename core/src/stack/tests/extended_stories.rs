//! Machnet's extended profile between two engines: what the stack adds to what a flow does.

use core::net::SocketAddr;
use std::vec;
use std::vec::Vec;

use crate::error::EndReason;
use crate::ip::{InterfaceAddress, Route};
use crate::machnet::{self, Flow, Profile};
use crate::nic::{Frame, IfIndex, NicCaps, RxChecksum};
use crate::port::{Completion, Op, SocketId, Transport};
use crate::stack::StackConfigBuilder;
use crate::stack::sock::Kind;
use crate::testing::{Duo, Handle, Host};
use crate::time::Duration;
use crate::wire::machnet::{MachnetHeader, NetFlags};
use crate::wire::{ETHERNET_HEADER_LEN, IPV4_HEADER_LEN, Ipv4Header, UDP_HEADER_LEN};

const PORT: u16 = 888;
const UDP_AT: usize = ETHERNET_HEADER_LEN + IPV4_HEADER_LEN;

/// What a host's NIC can do.
type Shape<'a> = &'a dyn Fn(&mut NicCaps);

fn extended(config: StackConfigBuilder) -> StackConfigBuilder {
    config.machnet(machnet::Config::builder().extended(true).build().expect("it is the default"))
}

fn duo() -> Duo {
    Duo::with(1 << 20, &|_| {}, &extended)
}

fn message(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + salt) as u8).collect()
}

/// The flow of a socket.
fn flow(host: &Host, socket: SocketId) -> &Flow {
    match &host.engine.stack().sockets.get(socket).expect("the socket lives").kind {
        Kind::Machnet { flow } => flow,
        Kind::Listener(_) | Kind::Udp(_) | Kind::Tcp { .. } => panic!("no flow"),
    }
}

/// `from` writes one message and asks for it to be sent.
fn send(host: &mut Host, from: Handle, bytes: &[u8], id: u64) {
    let port = host.engine.port_mut();
    let offset = port.written(from.stream);
    assert_eq!(port.write(from.stream, bytes), bytes.len());
    let len = bytes.len() as u32;
    host.ask(Op::SendMessage { socket: from.socket, offset, len, message: id });
}

fn take_message(host: &mut Host, to: Handle) -> Option<Vec<u8>> {
    let len = host.take(|news| match news {
        Completion::Message { socket, len, .. } if *socket == to.socket => Some(*len),
        _ => None,
    })?;
    let mut bytes = vec![0; len as usize];
    assert_eq!(host.engine.port_mut().read(to.stream, &mut bytes), bytes.len());
    host.ask(Op::Kick { socket: to.socket });
    Some(bytes)
}

/// Messages of many lengths both ways. Returns the longest frame.
fn exchange(duo: &mut Duo, (a, b): (Handle, Handle)) -> usize {
    let mut longest = 0;
    for (id, len) in [1, 3, 1_406, 1_407, 1_410, 1_411, 9_000, 65_536, 200_000].iter().enumerate() {
        let there = message(*len, id);
        let back = message(len / 2 + 1, id + 100);
        send(&mut duo.a, a, &there, id as u64 + 1);
        send(&mut duo.b, b, &back, id as u64 + 1);
        let mut arrived = (None, None);
        let done = duo.run(20_000, |duo| {
            let frames = duo.b.nic().inbound.iter().map(Frame::len);
            longest = frames.chain([longest]).max().unwrap_or(0);
            arrived.0 = arrived.0.take().or_else(|| take_message(&mut duo.b, b));
            arrived.1 = arrived.1.take().or_else(|| take_message(&mut duo.a, a));
            arrived.0.is_some() && arrived.1.is_some()
        });
        assert!(done && arrived == (Some(there), Some(back)), "{len} bytes");
    }
    longest
}

#[test]
fn messages_of_every_length_arrive_over_every_kind_of_nic() {
    let plain = |_: &mut NicCaps| {};
    let wide = |caps: &mut NicCaps| caps.mtu = 9_000;
    let in_pieces = |caps: &mut NicCaps| caps.tx_segments = 32;
    let cases: [(Shape<'_>, usize, usize); 3] =
        [(&plain, 0, 1_514), (&wide, 0, 9_014), (&in_pieces, 131, 1_514)];
    for (shape, segment_bytes, expected) in cases {
        let mut duo = Duo::with(1 << 20, shape, &extended);
        duo.a.nic().segment_bytes = segment_bytes;
        duo.b.nic().segment_bytes = segment_bytes;
        let ends = duo.connect(Transport::Machnet, PORT);
        assert_eq!(flow(&duo.a, ends.0.socket).profile(), Profile::Extended);
        assert_eq!(flow(&duo.b, ends.1.socket).profile(), Profile::Extended);
        assert_eq!(exchange(&mut duo, ends), expected, "full frames, and none longer");
        for host in [&duo.a, &duo.b] {
            let drops = host.engine.stack().stats().drops;
            assert_eq!(drops.total(), 0, "{drops:?}");
        }
        assert_eq!(flow(&duo.a, ends.0.socket).info().retransmits, 0);
    }
}

#[test]
fn over_ipv6_packets_are_as_much_shorter_as_its_header_is_longer() {
    for (mtu, expected) in [(1_500, 1_514), (9_000, 8_918 + 40 + 8 + 54 + 14)] {
        let shape = |caps: &mut NicCaps| caps.mtu = mtu;
        let mut duo = Duo::over_ipv6(1 << 20, &shape, &extended);
        let remote = SocketAddr::new(Host::address_v6(2), PORT);
        let ends = duo.connect_to(Transport::Machnet, remote);
        assert_eq!(flow(&duo.b, ends.1.socket).profile(), Profile::Extended);
        assert_eq!(exchange(&mut duo, ends), expected.min(usize::from(mtu) + 14));
    }
}

#[test]
fn packets_to_a_peer_behind_a_router_are_no_longer_than_what_every_link_carries() {
    let address = |text: [u8; 4], len| InterfaceAddress::new(text.into(), len).expect("an address");
    let wide = |caps: &mut NicCaps| caps.mtu = 9_000;
    for (routed, expected) in [(true, 1_514), (false, 9_014)] {
        let route = |config: StackConfigBuilder| {
            extended(config).route(Route {
                destination: [10, 0, 9, 0].into(),
                prefix_len: 24,
                gateway: Some(Host::address(2)),
                interface: IfIndex(1),
                source: None,
            })
        };
        let mut duo = Duo::with(1 << 20, &wide, &route);
        let both = [address([10, 0, 0, 2], 24), address([10, 0, 9, 9], 24)];
        duo.b = Host::with_addresses(2, 1 << 20, &both, &wide, &extended);
        let remote = if routed { [10, 0, 9, 9] } else { [10, 0, 0, 2] };
        let remote = SocketAddr::new(remote.into(), PORT);
        let ends = duo.connect_to(Transport::Machnet, remote);
        assert_eq!(exchange(&mut duo, ends), expected);
    }
}

#[test]
fn with_a_host_that_does_not_offer_it_the_profile_is_upstreams() {
    for offers_a in [true, false] {
        let mut duo = Duo::new(1 << 20);
        let one = Host::new(if offers_a { 1 } else { 2 }, 1 << 20, &|_| {}, &extended);
        *(if offers_a { &mut duo.a } else { &mut duo.b }) = one;
        let ends = duo.connect(Transport::Machnet, PORT);
        assert_eq!(flow(&duo.a, ends.0.socket).profile(), Profile::Upstream);
        exchange(&mut duo, ends);
    }
}

#[test]
fn a_close_is_one_to_both_ends_and_leaves_nothing() {
    let mut duo = duo();
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    duo.a.ask(Op::Close { socket: a.socket });
    duo.settle();
    assert_eq!(duo.a.take_ended(a.socket), Some(EndReason::Closed));
    assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Closed));
    assert_eq!((duo.a.engine.stack().socket_count(), duo.b.engine.stack().socket_count()), (0, 1));
}

/// What `a` is told within ten milliseconds of asking for a flow to a port on which nobody listens.
fn refusal(duo: &mut Duo) -> Option<EndReason> {
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.a.ask(Op::Connect { transport: Transport::Machnet, local: None, remote });
    duo.pass(Duration::from_millis(10));
    duo.a.take(|news| match news {
        Completion::Ended { reason, .. } => Some(*reason),
        _ => None,
    })
}

/// A SYN of `a` to a port of `b` on which nobody listens, which has not reached `b`.
fn syn(duo: &mut Duo) -> Vec<u8> {
    assert_eq!(refusal(duo), Some(EndReason::Refused));
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.a.ask(Op::Connect { transport: Transport::Machnet, local: None, remote });
    let now = duo.now;
    duo.a.engine.step(now);
    duo.a.nic().outbound.pop_front().expect("a SYN").bytes().to_vec()
}

/// The resets among what `host` has sent.
fn resets(host: &mut Host) -> Vec<MachnetHeader> {
    let frames = host.nic().outbound.drain(..);
    let headers = frames.filter_map(|frame| {
        let datagram = frame.bytes().get(UDP_AT + UDP_HEADER_LEN..)?.to_vec();
        Some(MachnetHeader::parse(&datagram).ok()?.0)
    });
    headers.filter(|header| header.net_flags == NetFlags::Rst).collect()
}

#[test]
fn a_closed_port_refuses_at_once_by_reset_and_not_by_icmp() {
    let mut duo = duo();
    assert_eq!(refusal(&mut duo), Some(EndReason::Refused));
    assert_eq!(duo.b.engine.stack().stats().icmp_errors_out, 0);
    // A host that does not speak the profile complains as about any datagram.
    let mut duo = Duo::with(1 << 16, &|_| {}, &|config| config);
    duo.a = Host::new(1, 1 << 16, &|_| {}, &extended);
    refusal(&mut duo);
    assert_eq!(duo.b.engine.stack().stats().icmp_errors_out, 1);
}

#[test]
fn refusals_are_as_rare_as_resets_may_be_and_go_to_single_hosts_alone() {
    let limited = |config: StackConfigBuilder| extended(config).resets_per_second(20);
    let mut duo = Duo::with(1 << 16, &|_| {}, &limited);
    let syn = syn(&mut duo);
    for _ in 0..1_000 {
        let mut frame = duo.b.nic().pool.frame(&syn);
        frame.meta_mut().rx_checksum = RxChecksum::Verified;
        duo.b.nic().inbound.push_back(frame);
    }
    let now = duo.now;
    while duo.b.engine.step(now).work > 0 {}
    let answers = resets(&mut duo.b);
    assert!((1..=60).contains(&answers.len()), "{} answers", answers.len());
    let (asked, _) = MachnetHeader::parse(&syn[UDP_AT + UDP_HEADER_LEN..]).expect("a SYN");
    assert!(answers.iter().all(|rst| rst.ackno == asked.seqno.wrapping_add(1)));
    assert_eq!(duo.b.engine.stack().stats().replies_lost, 1_000 - answers.len() as u64);

    duo.pass(Duration::from_secs(10));
    let lost = duo.b.engine.stack().stats().replies_lost;
    let mut bytes = syn;
    let (mut header, _) = Ipv4Header::parse(&bytes[ETHERNET_HEADER_LEN..]).expect("IPv4");
    header.src = [10, 0, 0, 255].into();
    header.emit(&mut bytes[ETHERNET_HEADER_LEN..]);
    let mut frame = duo.b.nic().pool.frame(&bytes);
    frame.meta_mut().rx_checksum = RxChecksum::Verified;
    duo.b.nic().inbound.push_back(frame);
    let now = duo.now;
    duo.b.engine.step(now);
    assert_eq!(resets(&mut duo.b), [], "to everybody");
    assert_eq!(duo.b.engine.stack().stats().icmp_errors_out, 0);
    assert_eq!(duo.b.engine.stack().stats().replies_lost, lost);
}

#[test]
fn a_host_that_forgot_its_flows_is_let_in_again_under_the_same_ports() {
    let mut duo = duo();
    let remote = SocketAddr::new(Host::address(2), PORT);
    let transport = Transport::Machnet;
    duo.b.ask(Op::Listen { transport, local: remote, backlog: 4 });
    duo.a.ask(Op::Connect { transport, local: None, remote });
    duo.settle();
    let incoming = |news: &Completion| match news {
        Completion::Incoming { socket, .. } => Some(*socket),
        _ => None,
    };
    let old = duo.b.take(incoming).expect("a flow");
    let port = |news: &Completion| match news {
        Completion::Connecting { local, .. } => Some(local.port()),
        _ => None,
    };
    let before = duo.a.take(port);
    duo.a = Host::new(1, 1 << 20, &|_| {}, &extended);
    duo.now += Duration::from_millis(100);
    duo.a.ask(Op::Connect { transport, local: None, remote });
    duo.pass(Duration::from_millis(50));
    assert_eq!(duo.a.take(port), before, "its random numbers are the same");
    assert_eq!(duo.b.take_ended(old), Some(EndReason::Reset), "the old one ends at once");
    duo.pass(Duration::from_secs(2));
    let connected = |news: &Completion| matches!(news, Completion::Connected { .. }).then_some(());
    assert_eq!(duo.a.take(connected), Some(()));
    assert!(duo.b.take(incoming).is_some());
}

#[test]
fn a_packet_of_somebody_who_does_not_see_the_flow_is_counted_as_blind() {
    let mut duo = duo();
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    send(&mut duo.a, a, &[1; 100], 1);
    duo.settle();
    send(&mut duo.a, a, &[2; 100], 2);
    let now = duo.now;
    duo.a.engine.step(now);
    let mut forged = duo.a.nic().outbound.back().expect("DATA").bytes().to_vec();
    // The high bit of the echo.
    forged[UDP_AT + UDP_HEADER_LEN + 50] ^= 0x80;
    let mut frame = duo.b.nic().pool.frame(&forged);
    frame.meta_mut().rx_checksum = RxChecksum::Verified;
    duo.b.nic().inbound.push_back(frame);
    duo.settle();
    assert_eq!(duo.b.engine.stack().stats().drops.blind, 1);
    assert_eq!(duo.b.engine.stack().stats().drops.total(), 1);
    assert!(take_message(&mut duo.b, b).is_some_and(|bytes| bytes == [1; 100]));
    assert!(take_message(&mut duo.b, b).is_some_and(|bytes| bytes == [2; 100]));
    assert!(take_message(&mut duo.b, b).is_none());
}

#[test]
fn the_time_to_live_of_what_comes_says_how_many_routers_are_on_the_way() {
    let mut duo = duo();
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    assert_eq!(flow(&duo.b, b.socket).hops(), Some(0));
    send(&mut duo.a, a, &[1; 100], 1);
    let now = duo.now;
    duo.a.engine.step(now);
    let mut bytes = duo.a.nic().outbound.pop_back().expect("DATA").bytes().to_vec();
    let (mut header, _) = Ipv4Header::parse(&bytes[ETHERNET_HEADER_LEN..]).expect("IPv4");
    header.ttl -= 3;
    header.emit(&mut bytes[ETHERNET_HEADER_LEN..]);
    let mut frame = duo.b.nic().pool.frame(&bytes);
    frame.meta_mut().rx_checksum = RxChecksum::Verified;
    duo.b.nic().inbound.push_back(frame);
    duo.b.engine.step(now);
    assert_eq!(flow(&duo.b, b.socket).hops(), Some(3));
}

#[test]
fn packets_that_leave_apart_all_leave() {
    let mut duo = duo();
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    // A flow over a way that seems to be long looks from time to time, with a packet now and then, whether it is.
    let mut pauses = Vec::new();
    let (mut read, mut id, mut left_at) = (0, 0, duo.now);
    for _ in 0..4_000 {
        duo.now += Duration::from_micros(200);
        while id < read + 200 {
            id += 1;
            send(&mut duo.a, a, &[7; 600], id);
        }
        let before = duo.a.engine.stack().stats().machnet_packets_out;
        duo.step();
        if duo.a.engine.stack().stats().machnet_packets_out > before {
            pauses.push(duo.now.saturating_since(left_at).as_micros());
            left_at = duo.now;
        }
        while take_message(&mut duo.b, b).is_some() {
            read += 1;
        }
    }
    let longest = pauses.iter().max().copied().unwrap_or(0);
    assert!((1_000..20_000).contains(&longest), "{longest} us");
    assert!(read > 1_000, "{read} messages");
    assert_eq!(flow(&duo.a, a.socket).info().retransmits, 0);
}
