//! ARP, ICMP, and what is dropped for which reason.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::vec::Vec;

use crate::error::CommandError;
use crate::nic::{Frame, MacAddr};
use crate::port::{Completion, Op, Transport};
use crate::stack::Drops;
use crate::testing::{Duo, Host};
use crate::time::Duration;
use crate::wire::{
    ArpOperation, ArpPacket, ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IPV4_HEADER_LEN,
    IpProtocol, Ipv4Header,
};

#[test]
fn an_echo_request_comes_back_with_its_data() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 7, len: 1_000 });
    duo.settle();
    let reply = duo.a.take(|news| match news {
        Completion::EchoReply { sequence, len, rtt, ttl, .. } => {
            Some((*sequence, *len, *rtt, *ttl))
        }
        _ => None,
    });
    let (sequence, len, rtt, ttl) = reply.unwrap();
    assert_eq!((sequence, len, ttl), (7, 1_000, 64));
    assert!(rtt > Duration::ZERO);
    assert_eq!(duo.b.engine.stack().stats().echo_replies_out, 1);
}

#[test]
fn an_echo_to_nobody_times_out_and_one_that_no_datagram_holds_is_refused() {
    let mut duo = Duo::new(4_096);
    let failed = |news: &Completion| match news {
        Completion::Failed { error, .. } => Some(*error),
        _ => None,
    };
    duo.a.ask(Op::Ping { remote: Host::address(99), sequence: 1, len: 8 });
    duo.pass(Duration::from_secs(8));
    assert_eq!(duo.a.take(failed), Some(CommandError::TimedOut));
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 65_508 });
    duo.settle();
    assert_eq!(duo.a.take(failed), Some(CommandError::InvalidArgument));
    duo.a.ask(Op::Ping { remote: IpAddr::from([192, 168, 9, 9]), sequence: 1, len: 8 });
    duo.settle();
    assert_eq!(duo.a.take(failed), Some(CommandError::NoRoute));
}

/// A frame for host 2 with an empty datagram.
fn frame(dst_mac: MacAddr, src: [u8; 4], dst: [u8; 4], protocol: IpProtocol) -> Vec<u8> {
    let mut bytes = std::vec![0; ETHERNET_HEADER_LEN + IPV4_HEADER_LEN + 8];
    let src_mac = MacAddr([2, 0, 0, 0, 0, 1]);
    EthernetHeader { dst: dst_mac, src: src_mac, ethertype: EtherType::IPV4 }.emit(&mut bytes);
    Ipv4Header::new(Ipv4Addr::from(src), Ipv4Addr::from(dst), protocol, 8)
        .emit(&mut bytes[ETHERNET_HEADER_LEN..]);
    bytes
}

#[test]
fn what_must_not_be_is_dropped_with_its_reason() {
    const US: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    let (peer, us) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let other = MacAddr([2, 0, 0, 0, 0, 9]);
    let tcp = IpProtocol::TCP;
    let none = Drops::default();
    let one = |set: fn(&mut Drops)| {
        let mut drops = none;
        set(&mut drops);
        drops
    };
    let mut fragment = frame(US, peer, us, tcp);
    let header = Ipv4Header {
        more_fragments: true,
        dont_fragment: false,
        ..Ipv4Header::new(peer.into(), us.into(), tcp, 8)
    };
    header.emit(&mut fragment[ETHERNET_HEADER_LEN..]);
    let mut broken = frame(US, peer, us, tcp);
    broken[ETHERNET_HEADER_LEN + 10] ^= 1;
    let mut v6 = frame(US, peer, us, tcp);
    v6[12..14].copy_from_slice(&EtherType::IPV6.0.to_be_bytes());
    let cases = [
        (frame(other, peer, us, tcp), one(|d| d.not_ours = 1)),
        (frame(US, peer, [10, 0, 0, 3], tcp), one(|d| d.not_ours = 1)),
        (frame(MacAddr::BROADCAST, peer, us, tcp), one(|d| d.not_ours = 1)),
        (frame(US, [127, 0, 0, 1], us, tcp), one(|d| d.martian = 1)),
        (frame(US, us, us, tcp), one(|d| d.martian = 1)),
        (frame(US, [224, 0, 0, 1], us, tcp), one(|d| d.martian = 1)),
        (frame(US, [10, 0, 0, 255], us, tcp), one(|d| d.martian = 1)),
        (frame(US, peer, us, IpProtocol(99)), one(|d| d.protocol = 1)),
        (frame(US, peer, us, tcp), one(|d| d.malformed = 1)),
        // Of a TCP segment in pieces, eight bytes that cannot hold its header.
        (fragment, one(|d| d.fragment = 1)),
        (broken, one(|d| d.checksum = 1)),
        (v6, one(|d| d.malformed = 1)),
        (std::vec![0; 9], one(|d| d.malformed = 1)),
    ];
    for (bytes, drops) in cases {
        let mut duo = Duo::new(4_096);
        duo.b.nic().inject(&bytes);
        duo.settle();
        assert_eq!(duo.b.engine.stack().stats().drops, drops, "{bytes:02x?}");
        // Of a protocol that nobody speaks its sender is told, once its station is known.
        let told = u64::from(drops.protocol == 1 && bytes[12] == 8);
        assert_eq!(duo.b.engine.stack().stats().icmp_errors_out, told, "{bytes:02x?}");
    }
}

#[test]
fn a_datagram_for_a_closed_port_is_answered_with_port_unreachable_and_padding_is_not_part_of_it() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.settle();
    let mut bytes =
        frame(MacAddr([2, 0, 0, 0, 0, 2]), [10, 0, 0, 1], [10, 0, 0, 2], IpProtocol::UDP);
    bytes[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..].copy_from_slice(&[3, 232, 0, 9, 0, 8, 0, 0]);
    bytes.extend([0xee; 18]);
    duo.b.nic().inject(&bytes);
    let now = duo.now;
    duo.b.engine.step(now);
    let sent = duo.b.nic().outbound.pop_front().unwrap();
    let icmp = &sent.bytes()[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..];
    assert_eq!((icmp[0], icmp[1]), (3, 3));
    assert_eq!(sent.len(), ETHERNET_HEADER_LEN + IPV4_HEADER_LEN + 8 + IPV4_HEADER_LEN + 8);
}

#[test]
fn resets_for_nobody_are_limited_in_rate() {
    let mut duo = Duo::with(4_096, &|_| {}, &|config| config.resets_per_second(30));
    let remote = SocketAddr::new(Host::address(2), 9);
    for _ in 0..100 {
        duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    }
    duo.settle();
    // Each takes 0, 1 or 2 of the 30; errors have a limit of their own.
    let resets = duo.b.engine.stack().stats().tcp_resets_out;
    assert!((20..=45).contains(&resets), "{resets}");
}

#[test]
fn echo_requests_from_hosts_that_do_not_exist_leave_room_for_arp() {
    const US: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    let mut duo = Duo::with(4_096, &|_| {}, &|config| config.replies_max(64));
    for last in 3..=200 {
        let mut bytes = frame(US, [10, 0, 0, last], [10, 0, 0, 2], IpProtocol::ICMP);
        // An echo request: type, code, checksum, identifier and sequence number 0.
        bytes[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..]
            .copy_from_slice(&[8, 0, 0xf7, 0xff, 0, 0, 0, 0]);
        duo.b.nic().inject(&bytes);
    }
    duo.settle();
    // The host at 10.0.0.1 asks for the station of 10.0.0.2, and gets answers.
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 7, len: 8 });
    duo.settle();
    let reply = duo.a.take(|news| matches!(news, Completion::EchoReply { .. }).then_some(()));
    assert!(reply.is_some());
    assert!(duo.b.engine.stack().stats().replies_lost > 100);
    // Nobody asked for hosts whose replies could not have waited: the table is there for our own connections.
    let entries = duo.b.engine.stack().neighbors.len();
    assert!(entries <= 18, "{entries} entries for 16 replies that wait");
}

#[test]
fn addresses_are_announced_at_the_start_and_defended_once_in_a_while() {
    for announces in [false, true] {
        let mut duo = Duo::with(4_096, &|_| {}, &|config| config.announce_addresses(announces));
        let expected = ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 2]),
            sender_ip: Ipv4Addr::new(10, 0, 0, 2),
            target_mac: MacAddr::default(),
            target_ip: Ipv4Addr::new(10, 0, 0, 2),
        };
        let announced = |duo: &mut Duo| {
            let now = duo.now;
            duo.b.engine.step(now);
            let sent = core::mem::take(&mut duo.b.nic().outbound);
            let arp = |frame: &crate::testing::MemFrame| {
                let (header, at) = EthernetHeader::parse(frame.bytes()).unwrap();
                assert_eq!(header.dst, MacAddr::BROADCAST);
                ArpPacket::parse(&frame.bytes()[at..]).unwrap().0
            };
            let sent: Vec<_> = sent.iter().map(arp).collect();
            assert!(sent.iter().all(|packet| *packet == expected), "{sent:?}");
            sent.len()
        };
        assert_eq!(announced(&mut duo), usize::from(announces));
        duo.now += Duration::from_secs(2);
        assert_eq!(announced(&mut duo), usize::from(announces));
        let claim = ArpPacket { sender_mac: MacAddr([2, 0, 0, 0, 0, 9]), ..expected };
        for (after, defended) in [(0, 1), (1, 0), (9, 1)] {
            duo.now += Duration::from_secs(after);
            let mut bytes = std::vec![0; 60];
            let (dst, src) = (MacAddr::BROADCAST, claim.sender_mac);
            let at = EthernetHeader { dst, src, ethertype: EtherType::ARP }.emit(&mut bytes);
            claim.emit(&mut bytes[at..]);
            duo.b.nic().inject(&bytes);
            assert_eq!(announced(&mut duo), defended);
        }
        assert_eq!(duo.b.engine.stack().stats().address_conflicts, 3);
    }
}

#[test]
fn an_echo_request_that_was_damaged_is_not_answered() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 7, len: 100 });
    duo.settle();
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 8, len: 100 });
    let now = duo.now;
    duo.a.engine.step(now);
    let mut damaged = duo.a.nic().outbound.pop_front().unwrap();
    let last = damaged.len() - 1;
    damaged.segment_mut(0)[last] ^= 0x10;
    duo.b.nic().inbound.push_back(damaged);
    duo.b.engine.step(now);
    let stats = duo.b.engine.stack().stats();
    assert_eq!((stats.echo_replies_out, stats.drops.checksum), (1, 1));
}
