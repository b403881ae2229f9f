//! ICMP errors: which of those that come in are believed and by whom, and which go out.

use core::net::{Ipv4Addr, SocketAddr};
use std::vec::Vec;

use crate::error::{CommandError, EndReason};
use crate::ip::PMTU_LIFETIME;
use crate::nic::MacAddr;
use crate::port::{ChannelId, Completion, Op, Transport};
use crate::socket::{MtuDiscover, SocketOption};
use crate::stack::Stats;
use crate::testing::{CHANNEL, Duo, Handle, Host};
use crate::time::Duration;
use crate::wire::icmpv4::{CODE_FRAGMENTATION_NEEDED, CODE_PORT_UNREACHABLE};
use crate::wire::{
    ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IPV4_HEADER_LEN, Icmpv4Header, IpProtocol,
    Ipv4Header,
};

const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);

/// A frame from `src` to 10.0.0.`number`.
fn frame(number: u8, src: Ipv4Addr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; ETHERNET_HEADER_LEN + IPV4_HEADER_LEN];
    let (dst, src_mac) = if number == 1 { (A, B) } else { (B, A) };
    EthernetHeader { dst, src: src_mac, ethertype: EtherType::IPV4 }.emit(&mut bytes);
    let us = Ipv4Addr::new(10, 0, 0, number);
    Ipv4Header::new(src, us, protocol, payload.len() as u16)
        .emit(&mut bytes[ETHERNET_HEADER_LEN..]);
    bytes.extend_from_slice(payload);
    bytes
}

/// What a router on the way sends to host 1 about a frame of its.
fn error_about(sent: &[u8], error: Icmpv4Header) -> Vec<u8> {
    let mut message = std::vec![0; 8];
    message.extend_from_slice(&sent[ETHERNET_HEADER_LEN..][..IPV4_HEADER_LEN + 8]);
    error.emit(&mut message);
    frame(1, ROUTER, IpProtocol::ICMP, &message)
}

const fn unreachable(code: u8) -> Icmpv4Header {
    Icmpv4Header::Unreachable { code, next_hop_mtu: 0 }
}

const fn too_big(mtu: u16) -> Icmpv4Header {
    Icmpv4Header::Unreachable { code: CODE_FRAGMENTATION_NEEDED, next_hop_mtu: mtu }
}

/// What `a` sends next, taken off the wire.
fn sent_by_a(duo: &mut Duo) -> Vec<Vec<u8>> {
    let now = duo.now;
    duo.a.engine.step(now);
    duo.a.nic().outbound.drain(..).map(|frame| frame.bytes().to_vec()).collect()
}

fn stats(host: &Host) -> Stats {
    *host.engine.stack().stats()
}

/// `a` knows the station of `b`, asks for a connection to its port 9, and the SYN is lost. Returns the SYN.
fn opening(duo: &mut Duo, transport: Transport) -> Vec<u8> {
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    let remote = SocketAddr::new(Host::address(2), 9);
    duo.a.ask(Op::Connect { transport, local: None, remote });
    sent_by_a(duo).pop().expect("a SYN")
}

fn ended(duo: &mut Duo) -> Option<EndReason> {
    duo.settle();
    duo.a.take(|news| match news {
        Completion::Ended { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn an_error_about_its_syn_ends_a_connection_that_is_being_opened_with_the_reason_that_it_gives() {
    for (code, reason) in [
        (CODE_PORT_UNREACHABLE, EndReason::Refused),
        (13, EndReason::HostUnreachable),
        (0, EndReason::NoRoute),
    ] {
        let mut duo = Duo::new(4_096);
        let syn = opening(&mut duo, Transport::Tcp);
        duo.a.nic().inject(&error_about(&syn, unreachable(code)));
        assert_eq!(ended(&mut duo), Some(reason), "code {code}");
        assert_eq!(stats(&duo.a).icmp_errors_in, 1);
    }
}

#[test]
fn an_error_about_a_segment_that_is_not_under_way_changes_nothing() {
    let mut duo = Duo::new(4_096);
    let mut syn = opening(&mut duo, Transport::Tcp);
    // The sequence number, the ports, the source.
    for at in [ETHERNET_HEADER_LEN + 24, ETHERNET_HEADER_LEN + 20, ETHERNET_HEADER_LEN + 15] {
        syn[at] ^= 1;
        duo.a.nic().inject(&error_about(&syn, unreachable(CODE_PORT_UNREACHABLE)));
        syn[at] ^= 1;
    }
    let mut cut = error_about(&syn, unreachable(CODE_PORT_UNREACHABLE));
    cut.truncate(cut.len() - 1);
    duo.a.nic().inject(&cut);
    assert_eq!(ended(&mut duo), None);
    assert_eq!((stats(&duo.a).icmp_errors_in, stats(&duo.a).icmp_ignored), (0, 3));
    duo.a.nic().inject(&error_about(&syn, unreachable(CODE_PORT_UNREACHABLE)));
    assert_eq!(ended(&mut duo), Some(EndReason::Refused));
}

#[test]
fn no_error_ends_an_established_connection_but_it_is_the_reason_when_that_times_out() {
    let mut duo = Duo::new(65_536);
    let (a, _) = duo.connect(Transport::Tcp, 80);
    duo.a.engine.port_mut().write(a.stream, &[7; 1_000]);
    duo.a.ask(Op::Kick { socket: a.socket });
    let data = sent_by_a(&mut duo).pop().unwrap();
    for code in [0, 1, 2, 3, 13] {
        duo.a.nic().inject(&error_about(&data, unreachable(code)));
        assert_eq!(ended(&mut duo), None, "code {code}");
    }
    assert_eq!(stats(&duo.a).icmp_errors_in, 5);
    // From now on nothing arrives, and each retransmission meets a router without a route.
    let mut reason = None;
    for _ in 0..2_000 {
        for frame in sent_by_a(&mut duo) {
            duo.a.nic().inject(&error_about(&frame, unreachable(1)));
        }
        duo.now += Duration::from_secs(1);
        while let Some((channel, news)) = duo.a.engine.port_mut().poll_completion() {
            assert_eq!(channel, CHANNEL);
            if let Completion::Ended { reason: told, .. } = news {
                reason = Some(told);
            }
        }
    }
    assert_eq!(reason, Some(EndReason::HostUnreachable));
}

#[test]
fn a_refused_flow_ends_and_an_established_one_does_not() {
    let mut duo = Duo::new(4_096);
    let syn = opening(&mut duo, Transport::Machnet);
    duo.a.nic().inject(&error_about(&syn, unreachable(1)));
    assert_eq!(ended(&mut duo), None, "a soft error");
    duo.a.nic().inject(&error_about(&syn, unreachable(CODE_PORT_UNREACHABLE)));
    assert_eq!(ended(&mut duo), Some(EndReason::Refused));
    duo.a.news.clear();
    let (a, _) = duo.connect(Transport::Machnet, 10);
    duo.a.engine.port_mut().write(a.stream, &[7; 100]);
    duo.a.ask(Op::SendMessage { socket: a.socket, offset: 0, len: 100, message: 1 });
    let packet = sent_by_a(&mut duo).pop().unwrap();
    duo.a.nic().inject(&error_about(&packet, unreachable(CODE_PORT_UNREACHABLE)));
    assert_eq!(ended(&mut duo), None);
}

#[test]
fn an_application_that_floods_a_silent_host_leaves_pings_to_the_others() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 0, len: 8 });
    duo.settle();
    let (flood, mut lost) = (100, 0);
    for sequence in 0..flood {
        duo.a.ask(Op::Ping { remote: Host::address(2), sequence, len: 8 });
        lost += sent_by_a(&mut duo).len();
    }
    assert_eq!(lost, 16, "a quarter of what there is");
    duo.settle();
    // The port keeps one of several that are the same.
    let refused = duo.a.take(|news| match news {
        Completion::Failed { error, .. } => Some(*error),
        _ => None,
    });
    assert_eq!(refused, Some(CommandError::LimitReached));
    let other = ChannelId { index: CHANNEL.index + 1, generation: 0 };
    duo.a.engine.port_mut().command(
        other,
        9,
        Op::Ping { remote: Host::address(2), sequence: 1, len: 8 },
    );
    assert_eq!(sent_by_a(&mut duo).len(), 1);
}

#[test]
fn a_ping_that_a_router_cannot_deliver_fails_at_once() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 2, len: 8 });
    let request = sent_by_a(&mut duo).pop().unwrap();
    duo.a.nic().inject(&error_about(&request, unreachable(1)));
    duo.settle();
    let failed = duo.a.take(|news| match news {
        Completion::Failed { error, .. } => Some(*error),
        _ => None,
    });
    assert_eq!(failed, Some(CommandError::NoRoute));
}

/// The longest IP datagram among frames.
fn longest(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(|frame| frame.len() - ETHERNET_HEADER_LEN).max().unwrap_or(0)
}

fn cwnd(duo: &mut Duo, handle: Handle) -> u32 {
    duo.a.ask(Op::Info { socket: handle.socket });
    duo.settle();
    let info = duo.a.take(|news| match news {
        Completion::Info { info, .. } => Some(info.cwnd_bytes),
        _ => None,
    });
    info.unwrap()
}

#[test]
fn a_router_that_needs_smaller_packets_gets_them_at_once_and_the_window_is_not_cut() {
    let mut duo = Duo::new(1 << 20);
    let (a, b) = duo.connect(Transport::Tcp, 80);
    let before = cwnd(&mut duo, a);
    let bytes: Vec<u8> = (0..8_000_u32).map(|i| i as u8).collect();
    duo.a.engine.port_mut().write(a.stream, &bytes);
    duo.a.ask(Op::Kick { socket: a.socket });
    let lost = sent_by_a(&mut duo);
    assert_eq!((lost.len(), longest(&lost)), (6, 1_500));
    // Growth, a number that nobody has sent, and a datagram that would have fitted are not believed.
    duo.a.nic().inject(&error_about(&lost[0], too_big(1_600)));
    let mut forged = lost[0].clone();
    forged[ETHERNET_HEADER_LEN + 24] ^= 0x40;
    duo.a.nic().inject(&error_about(&forged, too_big(1_000)));
    duo.a.nic().inject(&error_about(&lost[5], too_big(1_000)));
    assert_eq!(sent_by_a(&mut duo), Vec::<Vec<u8>>::new());
    assert_eq!(stats(&duo.a).path_mtus_lowered, 0);
    duo.a.nic().inject(&error_about(&lost[1], too_big(1_000)));
    let again = sent_by_a(&mut duo);
    // The five that were too big left together: in as few as they fit into.
    assert_eq!((again.len(), longest(&again)), (8, 1_000));
    assert_eq!(stats(&duo.a).path_mtus_lowered, 1);
    // The last one was small enough from the beginning.
    for frame in again.iter().chain([&lost[5]]) {
        duo.b.nic().inject(frame);
    }
    duo.settle();
    assert!(cwnd(&mut duo, a) >= before, "no loss to congestion");
    let mut read = std::vec![0; 8_000];
    assert_eq!(duo.b.engine.port_mut().read(b.stream, &mut read), 8_000);
    assert_eq!(read, bytes);
}

#[test]
fn a_packet_that_was_sent_before_the_path_was_known_tells_of_it_late() {
    let mut duo = Duo::new(1 << 20);
    let (a, _) = duo.connect(Transport::Tcp, 80);
    duo.a.engine.port_mut().write(a.stream, &[1; 8_000]);
    duo.a.ask(Op::Kick { socket: a.socket });
    let lost = sent_by_a(&mut duo);
    duo.a.nic().inject(&error_about(&lost[0], too_big(1_400)));
    assert_eq!(longest(&sent_by_a(&mut duo)), 1_400);
    // It went another way, where less fits, and is longer than anything that is sent by now.
    duo.a.nic().inject(&error_about(&lost[2], too_big(1_300)));
    assert_eq!(longest(&sent_by_a(&mut duo)), 1_300);
    assert_eq!(stats(&duo.a).path_mtus_lowered, 2);
    // The link has never carried so much.
    let mut longer = lost[2].clone();
    longer[ETHERNET_HEADER_LEN + 2..][..2].copy_from_slice(&1_501_u16.to_be_bytes());
    duo.a.nic().inject(&error_about(&longer, too_big(1_200)));
    assert_eq!(sent_by_a(&mut duo), Vec::<Vec<u8>>::new());
    assert_eq!(stats(&duo.a).path_mtus_lowered, 2);
}

#[test]
fn what_was_learned_of_a_path_holds_for_every_connection_to_that_host_and_for_ten_minutes() {
    let mut duo = Duo::new(1 << 20);
    let (a, _) = duo.connect(Transport::Tcp, 80);
    duo.a.engine.port_mut().write(a.stream, &[1; 3_000]);
    duo.a.ask(Op::Kick { socket: a.socket });
    let lost = sent_by_a(&mut duo);
    duo.a.nic().inject(&error_about(&lost[0], too_big(70)));
    let again = sent_by_a(&mut duo);
    assert_eq!(longest(&again), 552, "the floor");
    // What the path says it cannot carry all the same has to be cut by whoever said so (RFC 791): DF would be a black hole.
    let has_df = |frame: &Vec<u8>| frame[ETHERNET_HEADER_LEN + 6] & 0x40 != 0;
    assert!(lost.iter().all(has_df) && !again.iter().any(has_df));
    let (c, d) = duo.reconnect(Transport::Tcp, 80);
    duo.a.engine.port_mut().write(c.stream, &[1; 3_000]);
    duo.a.ask(Op::Kick { socket: c.socket });
    assert_eq!(longest(&sent_by_a(&mut duo)), 552);
    let later = duo.now + PMTU_LIFETIME;
    while duo.now < later {
        duo.step();
    }
    // The path is believed to have grown.
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    duo.a.engine.port_mut().write(c.stream, &[2; 3_000]);
    duo.a.ask(Op::Kick { socket: c.socket });
    let frames = sent_by_a(&mut duo);
    assert_eq!(longest(&frames), 1_500);
    for frame in frames {
        duo.b.nic().inject(&frame);
    }
    duo.settle();
    assert_eq!(duo.b.engine.port_mut().readable(d.stream), 6_000);
}

#[test]
fn a_socket_that_insists_on_df_has_it_on_the_narrowest_path_too() {
    let mut duo = Duo::new(1 << 20);
    let (a, _) = duo.connect(Transport::Tcp, 80);
    let option = SocketOption::MtuDiscover(MtuDiscover::Do);
    duo.a.ask(Op::SetOption { socket: Some(a.socket), option });
    duo.a.engine.port_mut().write(a.stream, &[1; 3_000]);
    duo.a.ask(Op::Kick { socket: a.socket });
    let lost = sent_by_a(&mut duo);
    duo.a.nic().inject(&error_about(&lost[0], too_big(70)));
    let again = sent_by_a(&mut duo);
    assert_eq!(longest(&again), 552);
    assert!(again.iter().all(|frame| frame[ETHERNET_HEADER_LEN + 6] & 0x40 != 0));
}

/// What `b` answers to a frame, if anything.
fn answer_of_b(duo: &mut Duo, bytes: &[u8]) -> Option<Vec<u8>> {
    duo.b.nic().inject(bytes);
    let now = duo.now;
    duo.b.engine.step(now);
    duo.b.nic().outbound.pop_front().map(|frame| frame.bytes().to_vec())
}

#[test]
fn a_protocol_that_nobody_speaks_is_answered_with_an_error_of_at_most_576_bytes() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    let peer = Ipv4Addr::new(10, 0, 0, 1);
    let sent = frame(2, peer, IpProtocol(99), &[5; 1_000]);
    let answer = answer_of_b(&mut duo, &sent).unwrap();
    assert_eq!(answer.len(), ETHERNET_HEADER_LEN + 576);
    let message = &answer[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..];
    assert_eq!(Icmpv4Header::parse(message), Ok((unreachable(2), 8)));
    assert_eq!(message[8..], sent[ETHERNET_HEADER_LEN..][..message.len() - 8]);
    assert_eq!(stats(&duo.b).icmp_errors_out, 1);
    // An option that runs out of the header, at the 21st byte.
    let mut options = frame(2, peer, IpProtocol::TCP, &[7, 40, 0, 0, 1, 2, 3, 4]);
    let ip = &mut options[ETHERNET_HEADER_LEN..];
    ip[0] = 0x46;
    ip[10..12].fill(0);
    let sum = crate::wire::checksum::finish(crate::wire::checksum::sum(&ip[..24]));
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let answer = answer_of_b(&mut duo, &options).unwrap();
    let problem = Icmpv4Header::ParameterProblem { code: 0, pointer: 20 };
    let message = &answer[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..];
    assert_eq!(Icmpv4Header::parse(message), Ok((problem, 8)));
}

#[test]
fn no_error_is_sent_about_an_error_or_to_an_address_that_is_no_single_host_s() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    let peer = Ipv4Addr::new(10, 0, 0, 1);
    let datagram = [3, 232, 0, 9, 0, 8, 0, 0];
    let mut to_group = frame(2, peer, IpProtocol::UDP, &datagram);
    to_group[..6].copy_from_slice(&MacAddr::BROADCAST.0);
    let mut error = std::vec![0; 8];
    error.extend_from_slice(&frame(1, peer, IpProtocol::UDP, &datagram)[ETHERNET_HEADER_LEN..]);
    unreachable(CODE_PORT_UNREACHABLE).emit(&mut error);
    let cases = [
        to_group,
        frame(2, peer, IpProtocol::ICMP, &error),
        frame(2, Ipv4Addr::new(224, 0, 0, 1), IpProtocol::UDP, &datagram),
        frame(2, Ipv4Addr::new(10, 0, 0, 255), IpProtocol::UDP, &datagram),
        frame(2, Ipv4Addr::UNSPECIFIED, IpProtocol::UDP, &datagram),
    ];
    for bytes in cases {
        assert_eq!(answer_of_b(&mut duo, &bytes), None, "{bytes:02x?}");
    }
    assert!(answer_of_b(&mut duo, &frame(2, peer, IpProtocol::UDP, &datagram)).is_some());
}

#[test]
fn errors_and_echo_replies_have_a_limit_each() {
    let mut duo = Duo::with(4_096, &|_| {}, &|config| {
        config.icmp_errors_per_second(30).echo_replies_per_second(5)
    });
    let mut request = [0; 8];
    Icmpv4Header::EchoRequest { identifier: 1, sequence: 1 }.emit(&mut request);
    let peer = Ipv4Addr::new(10, 0, 0, 1);
    for _ in 0..10 {
        duo.b.nic().inject(&frame(2, peer, IpProtocol::ICMP, &request));
    }
    for _ in 0..100 {
        duo.b.nic().inject(&frame(2, peer, IpProtocol::UDP, &[3, 232, 0, 9, 0, 8, 0, 0]));
    }
    duo.settle();
    let stats = stats(&duo.b);
    assert_eq!((stats.echo_replies_out, stats.echo_replies_limited), (5, 5));
    // Each takes 0, 1 or 2 of the 30.
    assert!((20..=45).contains(&stats.icmp_errors_out), "{}", stats.icmp_errors_out);
}
