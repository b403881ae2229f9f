//! ARP, ICMP, and what is dropped for which reason.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::vec::Vec;

use crate::error::CommandError;
use crate::event::Event;
use crate::ip::AddressState;
use crate::nic::{Frame, IfIndex, MacAddr};
use crate::port::{Completion, Op, Transport};
use crate::stack::{Drops, StackConfigBuilder};
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

/// An ARP packet of station 9 as a frame to all.
fn arp_of_another(operation: ArpOperation, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Vec<u8> {
    let mut bytes = std::vec![0; 60];
    let (dst, src) = (MacAddr::BROADCAST, MacAddr([2, 0, 0, 0, 0, 9]));
    let at = EthernetHeader { dst, src, ethertype: EtherType::ARP }.emit(&mut bytes);
    let target_mac = MacAddr::default();
    ArpPacket { operation, sender_mac: src, sender_ip, target_mac, target_ip }
        .emit(&mut bytes[at..]);
    bytes
}

/// The probes and announcements of `b` on the wire, each with the sender's address, after a step.
fn claims_of_b(duo: &mut Duo) -> Vec<Ipv4Addr> {
    let now = duo.now;
    duo.b.engine.step(now);
    let sent = core::mem::take(&mut duo.b.nic().outbound);
    let arp = |frame: &crate::testing::MemFrame| {
        let (header, at) = EthernetHeader::parse(frame.bytes()).unwrap();
        assert_eq!((header.dst, header.ethertype), (MacAddr::BROADCAST, EtherType::ARP));
        let packet = ArpPacket::parse(&frame.bytes()[at..]).unwrap().0;
        assert_eq!(packet.target_ip, Ipv4Addr::new(10, 0, 0, 2));
        packet.sender_ip
    };
    sent.iter().map(arp).collect()
}

#[test]
fn an_address_that_is_to_be_probed_is_used_and_answered_for_once_nobody_has_objected() {
    let (ours, nobody) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::UNSPECIFIED);
    let asks = arp_of_another(ArpOperation::Request, Ipv4Addr::new(10, 0, 0, 9), ours);
    let mut duo = Duo::with(4_096, &|_| {}, &|config| config.probe_addresses(true));
    let local = SocketAddr::new(Host::address(2), 80);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local, backlog: 4 });
    let mut claims = Vec::new();
    for _ in 0..100 {
        assert_eq!(duo.b.engine.stack().is_local(Host::address(2)), claims.len() > 3);
        if claims.len() < 3 {
            duo.b.nic().inject(&asks);
            duo.b.ask(Op::Ping { remote: Host::address(1), sequence: 1, len: 8 });
        }
        claims.append(&mut claims_of_b(&mut duo));
        duo.now += Duration::from_millis(100);
    }
    assert_eq!(claims, [nobody, nobody, nobody, ours, ours]);
    duo.settle();
    let listens = duo.b.take(|news| matches!(news, Completion::Listening { .. }).then_some(()));
    assert!(listens.is_some(), "a listener may be there before its address");
    duo.b.nic().inject(&asks);
    let now = duo.now;
    duo.b.engine.step(now);
    assert_eq!(duo.b.nic().outbound.len(), 1, "the question is answered now");
    assert_eq!(duo.b.engine.stack().stats().address_conflicts, 0);
}

#[test]
fn an_ipv4_address_that_another_station_has_or_probes_too_is_never_used() {
    let (ours, nobody) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::UNSPECIFIED);
    let other = Ipv4Addr::new(10, 0, 0, 9);
    for claim in [
        arp_of_another(ArpOperation::Reply, ours, other),
        arp_of_another(ArpOperation::Request, nobody, ours),
    ] {
        let probes = |config: StackConfigBuilder| config.probe_addresses(true).events_max(16);
        let mut duo = Duo::with(4_096, &|_| {}, &probes);
        let mut claims = Vec::new();
        while claims.is_empty() {
            claims.append(&mut claims_of_b(&mut duo));
            duo.now += Duration::from_millis(100);
        }
        duo.b.nic().inject(&claim);
        for _ in 0..100 {
            claims.append(&mut claims_of_b(&mut duo));
            duo.now += Duration::from_millis(100);
            // Neither is it defended.
            duo.b.nic().inject(&claim);
        }
        assert_eq!(claims, [nobody], "nothing follows the first probe");
        let stack = duo.b.engine.stack_mut();
        assert!(!stack.is_local(Host::address(2)));
        assert_eq!(stack.stats().address_conflicts, 1);
        let told = core::iter::from_fn(|| stack.poll_event());
        let state = Some(AddressState::Duplicate);
        let address = Host::address(2);
        let expected = Event::Address { interface: IfIndex(1), address, state };
        assert!({ told }.any(|stamped| stamped.event == expected));
        duo.b.ask(Op::Ping { remote: Host::address(1), sequence: 1, len: 8 });
        let now = duo.now;
        duo.b.engine.step(now);
        assert_eq!(duo.b.nic().outbound.len(), 0, "there is no address to ask from");
    }
}

#[test]
fn nobody_here_is_in_a_group_of_ipv4_so_a_query_for_members_is_not_answered() {
    let mut duo = Duo::new(4_096);
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 7, len: 8 });
    duo.settle();
    let before = *duo.b.engine.stack().stats();
    // RFC 3376 §4.1: a general query to 224.0.0.1, and one about a group to that group.
    for (dst, group) in [([224, 0, 0, 1], [0; 4]), ([239, 1, 2, 3], [239, 1, 2, 3])] {
        let mut query = [0x11, 100, 0, 0, group[0], group[1], group[2], group[3], 2, 125, 0, 0];
        let sum = crate::wire::checksum::finish(crate::wire::checksum::sum(&query));
        query[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut bytes = std::vec![0; ETHERNET_HEADER_LEN + IPV4_HEADER_LEN];
        let station = MacAddr([0x01, 0x00, 0x5e, dst[1] & 0x7f, dst[2], dst[3]]);
        let src = MacAddr([2, 0, 0, 0, 0, 1]);
        EthernetHeader { dst: station, src, ethertype: EtherType::IPV4 }.emit(&mut bytes);
        let router = Ipv4Addr::new(10, 0, 0, 1);
        let ip = Ipv4Header::new(router, Ipv4Addr::from(dst), IpProtocol(2), 12);
        Ipv4Header { ttl: 1, ..ip }.emit(&mut bytes[ETHERNET_HEADER_LEN..]);
        bytes.extend_from_slice(&query);
        duo.b.nic().inject(&bytes);
    }
    // The longest delay that the query allows is 10 s.
    for _ in 0..12 {
        duo.now += Duration::from_secs(1);
        let now = duo.now;
        duo.b.engine.step(now);
    }
    assert_eq!(duo.b.nic().outbound.len(), 0, "neither a report nor an error");
    assert_eq!(duo.b.engine.stack().stats().drops.not_ours, before.drops.not_ours + 2);
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
