//! Addresses and routers of IPv6 on a link: who has them already, who says so, and what follows.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::vec::Vec;

use crate::event::Event;
use crate::ip::{
    ALL_NODES, AddressState, InterfaceAddress, Ipv6Mode, Route, group_station, solicited_node,
};
use crate::nic::{IfIndex, MacAddr};
use crate::port::{Completion, Op, Transport};
use crate::testing::{Duo, Host};
use crate::time::{Duration, Instant};
use crate::wire::ipv6_ext::{FRAGMENT, HOP_BY_HOP};
use crate::wire::mld::MLD_ROUTERS;
use crate::wire::ndp::{NdpMessage, emit_neighbor_advert, emit_neighbor_solicit};
use crate::wire::{
    ETHERNET_HEADER_LEN, EtherType, EthernetHeader, IPV6_HEADER_LEN, Icmpv6Header, IpProtocol,
    Ipv6Header,
};

const IP_AT: usize = ETHERNET_HEADER_LEN;
const PAYLOAD_AT: usize = IP_AT + IPV6_HEADER_LEN;
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xff);
const ROUTER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xff]);
const PEER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const US: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const US_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// Host 2 with fd00::2, at its very beginning.
fn host(mode: Ipv6Mode) -> Host {
    let own = InterfaceAddress::new(IpAddr::V6(US), 64).unwrap();
    Host::with_addresses(2, 65_536, &[own], &|_| {}, &|config| config.ipv6(mode).events_max(1_000))
}

fn frame(mac: MacAddr, src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; PAYLOAD_AT];
    let dst_mac = if dst.is_multicast() { group_station(dst) } else { US_MAC };
    EthernetHeader { dst: dst_mac, src: mac, ethertype: EtherType::IPV6 }.emit(&mut bytes);
    let header = Ipv6Header::new(src, dst, IpProtocol::ICMPV6, message.len() as u16);
    Ipv6Header { hop_limit, ..header }.emit(&mut bytes[IP_AT..]);
    bytes.extend_from_slice(message);
    bytes
}

/// A message of a kind with four bytes behind its checksum and a body.
fn message(kind: u8, rest: u32, body: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> Vec<u8> {
    let mut message = std::vec![0; 8];
    message.extend_from_slice(body);
    Icmpv6Header::Other { kind, code: 0, rest }.emit(&mut message, src, dst);
    message
}

/// A router advertisement of ROUTER with the prefix 2001:db8::/64 and the router's station.
fn advertisement(hop_limit: u8, lifetime_s: u16) -> Vec<u8> {
    let mut body = std::vec![0; 8];
    body.extend([1, 1]);
    body.extend(ROUTER_MAC.0);
    body.extend([3, 4, 64, 0xc0, 0, 0, 0x10, 0, 0, 0, 0x08, 0, 0, 0, 0, 0]);
    body.extend("2001:db8::".parse::<Ipv6Addr>().unwrap().octets());
    body.extend([25, 3, 0, 0, 0, 0, 0, 60]);
    body.extend(ROUTER.octets());
    let message = message(134, u32::from(lifetime_s), &body, ROUTER, ALL_NODES);
    frame(ROUTER_MAC, ROUTER, ALL_NODES, hop_limit, &message)
}

/// Everything that a host sends up to `end`: when, its IPv6 header, and what is behind it.
fn run(host: &mut Host, now: &mut Instant, end: Instant) -> Vec<(Instant, Ipv6Header, Vec<u8>)> {
    let mut sent = Vec::new();
    loop {
        let progress = host.engine.step(*now);
        for frame in core::mem::take(&mut host.nic().outbound) {
            let (ip, _) = Ipv6Header::parse(&frame.bytes()[IP_AT..]).unwrap();
            sent.push((*now, ip, frame.bytes()[PAYLOAD_AT..].to_vec()));
        }
        while let Some(news) = host.engine.port_mut().poll_completion() {
            host.news.push(news);
        }
        let next = progress.next.map_or(end, |(at, _)| at);
        if next > end || (progress.work == 0 && next >= end) {
            *now = end;
            return sent;
        }
        *now = next.max(*now);
    }
}

fn state(host: &Host, address: Ipv6Addr) -> Option<AddressState> {
    host.engine.stack().ipv6(IfIndex(1)).unwrap().state_of(address)
}

/// The message of a packet, if it is one of neighbour discovery.
fn discovery<'a>(ip: &Ipv6Header, payload: &'a [u8]) -> Option<NdpMessage<'a>> {
    let (header, len) = Icmpv6Header::parse(payload, ip.src, ip.dst).ok()?;
    NdpMessage::parse(&header, &payload[len..]).ok()
}

fn after(now: Instant, secs: u64) -> Instant {
    now + Duration::from_secs(secs)
}

#[test]
fn a_host_asks_for_its_address_from_no_address_reports_its_group_and_then_answers() {
    let (mut host, mut now) = (host(Ipv6Mode::Static), Instant::ZERO);
    let sent = run(&mut host, &mut now, after(Instant::ZERO, 3));
    let probe = NdpMessage::NeighborSolicit { target: US, source: None };
    let probes = sent.iter().filter(|(_, ip, payload)| discovery(ip, payload) == Some(probe));
    let probes: Vec<_> = probes.collect();
    assert_eq!(probes.len(), 1);
    let (_, ip, _) = probes[0];
    assert_eq!((ip.src, ip.dst), (Ipv6Addr::UNSPECIFIED, solicited_node(US)));
    assert_eq!(ip.hop_limit, 255);
    let reports = sent.iter().filter(|(_, ip, _)| ip.next_header == HOP_BY_HOP);
    assert!(reports.clone().count() >= 2);
    assert!(reports.clone().all(|(_, ip, _)| ip.dst == MLD_ROUTERS && ip.hop_limit == 1));
    assert_eq!(state(&host, US), Some(AddressState::Preferred));
    // Asked, it answers: to the one that asks, and to all where that one has no address yet.
    for (src, source, dst, solicited) in
        [(PEER, Some(PEER_MAC), PEER, true), (Ipv6Addr::UNSPECIFIED, None, ALL_NODES, false)]
    {
        let mut solicit = [0; 32];
        let len = emit_neighbor_solicit(&mut solicit, src, solicited_node(US), US, source);
        let bytes = frame(PEER_MAC, src, solicited_node(US), 255, &solicit[..len]);
        host.nic().inject(&bytes);
        let until = after(now, 1);
        let sent = run(&mut host, &mut now, until);
        let [(_, ip, payload)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((ip.src, ip.dst), (US, dst));
        let advert = NdpMessage::NeighborAdvert {
            router: false,
            solicited,
            overrides: true,
            target: US,
            mac: Some(US_MAC),
        };
        assert_eq!(discovery(ip, payload), Some(advert));
        // The same through a router is nobody's.
        host.nic().inject(&frame(PEER_MAC, src, solicited_node(US), 254, &solicit[..len]));
        let until = after(now, 1);
        assert_eq!(run(&mut host, &mut now, until), []);
    }
}

#[test]
fn an_address_that_another_host_has_or_checks_too_is_never_used() {
    let mut advert = [0; 32];
    let all = ALL_NODES;
    let len = emit_neighbor_advert(&mut advert, US, all, US, PEER_MAC, false);
    let defended = frame(PEER_MAC, US, all, 255, &advert[..len]);
    let mut probe = [0; 32];
    let (nobody, group) = (Ipv6Addr::UNSPECIFIED, solicited_node(US));
    let len = emit_neighbor_solicit(&mut probe, nobody, group, US, None);
    let checked = frame(PEER_MAC, nobody, group, 255, &probe[..len]);
    let own_echo = frame(US_MAC, nobody, group, 255, &probe[..len]);
    for (bytes, expected) in [
        (defended, AddressState::Duplicate),
        (checked, AddressState::Duplicate),
        (own_echo, AddressState::Preferred),
    ] {
        let (mut host, mut now) = (host(Ipv6Mode::Static), Instant::ZERO);
        host.nic().inject(&bytes);
        run(&mut host, &mut now, after(Instant::ZERO, 5));
        assert_eq!(state(&host, US), Some(expected));
        assert_eq!(
            host.engine.stack().is_local(IpAddr::V6(US)),
            expected == AddressState::Preferred
        );
        let conflicts = u64::from(expected == AddressState::Duplicate);
        assert_eq!(host.engine.stack().stats().address_conflicts, conflicts);
    }
}

#[test]
fn a_tentative_address_is_neither_sent_from_nor_answered_for_and_may_be_listened_on() {
    let (mut host, mut now) = (host(Ipv6Mode::Static), Instant::ZERO);
    let local = SocketAddr::new(IpAddr::V6(US), 80);
    host.ask(Op::Listen { transport: Transport::Tcp, local, backlog: 1 });
    host.ask(Op::Ping { remote: IpAddr::V6(PEER), sequence: 1, len: 8 });
    let mut solicit = [0; 32];
    let group = solicited_node(US);
    let len = emit_neighbor_solicit(&mut solicit, PEER, group, US, Some(PEER_MAC));
    host.nic().inject(&frame(PEER_MAC, PEER, group, 255, &solicit[..len]));
    let sent = run(&mut host, &mut now, Instant::ZERO);
    assert!(sent.iter().all(|(_, ip, _)| ip.src.is_unspecified()), "{sent:?}");
    let listening = |news: &Completion| matches!(news, Completion::Listening { .. }).then_some(());
    assert!(host.take(listening).is_some());
    let failed = |news: &Completion| matches!(news, Completion::Failed { .. }).then_some(());
    assert!(host.take(failed).is_some());
}

#[test]
fn what_is_on_the_link_of_a_tentative_address_goes_to_no_router() {
    let own = InterfaceAddress::new(IpAddr::V6(US), 64).unwrap();
    let anywhere = Route {
        destination: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        prefix_len: 0,
        gateway: Some(IpAddr::V6(ROUTER)),
        interface: IfIndex(1),
        source: None,
    };
    let host = Host::with_addresses(2, 65_536, &[own], &|_| {}, &|config| {
        config.ipv6(Ipv6Mode::Static).route(anywhere)
    });
    let stack = host.engine.stack();
    let state = stack.ipv6(IfIndex(1)).unwrap().state_of(US);
    assert_eq!(state, Some(AddressState::Tentative));
    let near = IpAddr::V6(PEER);
    assert_eq!(stack.next_hop(near).unwrap().address, near);
    let far: IpAddr = "2001:db8:9::1".parse().unwrap();
    assert_eq!(stack.next_hop(far).unwrap().address, IpAddr::V6(ROUTER));
}

#[test]
fn an_advertisement_gives_an_address_a_router_and_a_resolver_but_not_through_a_router() {
    let (mut host, mut now) = (host(Ipv6Mode::Auto), Instant::ZERO);
    let sent = run(&mut host, &mut now, after(Instant::ZERO, 3));
    let asks = sent.iter().filter(|(_, ip, payload)| {
        discovery(ip, payload) == Some(NdpMessage::RouterSolicit) && ip.src != Ipv6Addr::UNSPECIFIED
    });
    assert_eq!(asks.count(), 1);
    let far: IpAddr = "2001:db8:9::1".parse().unwrap();
    for (hop_limit, heard) in [(254, false), (255, true)] {
        host.nic().inject(&advertisement(hop_limit, 1_800));
        let until = after(now, 3);
        run(&mut host, &mut now, until);
        assert_eq!(host.engine.stack().next_hop(far).is_some(), heard);
    }
    assert_eq!(host.engine.stack().next_hop(far).unwrap().address, IpAddr::V6(ROUTER));
    let interface = host.engine.stack().ipv6(IfIndex(1)).unwrap();
    let made = interface.addresses().iter().find(|own| own.address().segments()[0] == 0x2001);
    let made = *made.unwrap();
    assert_eq!(made.state(), AddressState::Preferred);
    let near: IpAddr = "2001:db8::77".parse().unwrap();
    assert_eq!(host.engine.stack().next_hop(near).unwrap().address, near, "on the link");
    // The packet goes to the router's station, which the advertisement told, from the made address.
    host.ask(Op::Ping { remote: far, sequence: 1, len: 8 });
    let until = after(now, 1);
    let sent = run(&mut host, &mut now, until);
    let ping = sent.iter().find(|(_, ip, _)| IpAddr::V6(ip.dst) == far).unwrap();
    assert_eq!(ping.1.src, made.address());
    let mut resolvers = 0;
    while let Some(stamped) = host.engine.stack_mut().poll_event() {
        resolvers += u32::from(matches!(
            stamped.event,
            Event::Resolver { server: ROUTER, lifetime_s: 60, .. }
        ));
    }
    assert_eq!(resolvers, 1);
    // The router ceases to be one.
    host.nic().inject(&advertisement(255, 0));
    let until = after(now, 1);
    run(&mut host, &mut now, until);
    assert_eq!(host.engine.stack().next_hop(far), None);
}

#[test]
fn a_router_that_does_not_speak_from_the_link_is_not_believed() {
    let (mut host, mut now) = (host(Ipv6Mode::Auto), Instant::ZERO);
    run(&mut host, &mut now, after(Instant::ZERO, 3));
    let far: IpAddr = "2001:db8:9::1".parse().unwrap();
    let afar = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xff);
    for (from, believed) in [(afar, false), (PEER, false), (ROUTER, true)] {
        let message = message(134, 1_800, &[0; 8], from, ALL_NODES);
        host.nic().inject(&frame(ROUTER_MAC, from, ALL_NODES, 255, &message));
        let until = after(now, 1);
        run(&mut host, &mut now, until);
        assert_eq!(host.engine.stack().next_hop(far).is_some(), believed, "{from}");
    }
}

#[test]
fn an_ipv6_neighbour_is_asked_for_by_its_solicited_node_group() {
    let (mut host, mut now) = (host(Ipv6Mode::Static), Instant::ZERO);
    run(&mut host, &mut now, after(Instant::ZERO, 3));
    host.ask(Op::Ping { remote: IpAddr::V6(PEER), sequence: 1, len: 8 });
    host.engine.step(now);
    let frames = core::mem::take(&mut host.nic().outbound);
    let [frame] = frames.into_iter().collect::<Vec<_>>().try_into().ok().unwrap();
    let (ip, _) = Ipv6Header::parse(&frame.bytes()[IP_AT..]).unwrap();
    assert_eq!((ip.src, ip.dst, ip.hop_limit), (US, solicited_node(PEER), 255));
    let station = EthernetHeader::parse(frame.bytes()).unwrap().0.dst;
    assert_eq!(station, group_station(solicited_node(PEER)));
    let asks = NdpMessage::NeighborSolicit { target: PEER, source: Some(US_MAC) };
    assert_eq!(discovery(&ip, &frame.bytes()[PAYLOAD_AT..]), Some(asks));
}

#[test]
fn only_the_router_in_use_redirects_and_connections_follow() {
    let (mut host, mut now) = (host(Ipv6Mode::Auto), Instant::ZERO);
    run(&mut host, &mut now, after(Instant::ZERO, 3));
    host.nic().inject(&advertisement(255, 1_800));
    let until = after(now, 3);
    run(&mut host, &mut now, until);
    let far: Ipv6Addr = "2001:db8:9::1".parse().unwrap();
    let better = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
    let better_mac = MacAddr([2, 0, 0, 0, 0, 0xfe]);
    let remote = SocketAddr::new(IpAddr::V6(far), 80);
    host.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    let until = after(now, 0);
    run(&mut host, &mut now, until);
    let redirect = |from: Ipv6Addr, target: Ipv6Addr, destination: Ipv6Addr| {
        let mut body = [target.octets(), destination.octets()].concat();
        body.extend([2, 1]);
        body.extend(better_mac.0);
        frame(ROUTER_MAC, from, US, 255, &message(137, 0, &body, from, US))
    };
    let hop = |host: &Host| host.engine.stack().next_hop(IpAddr::V6(far)).unwrap().address;
    for bytes in [
        redirect(better, better, far),
        redirect(PEER, better, far),
        redirect(ROUTER, PEER, far),
        redirect(ROUTER, better, ALL_NODES),
    ] {
        host.nic().inject(&bytes);
        let until = after(now, 0);
        run(&mut host, &mut now, until);
        assert_eq!(hop(&host), IpAddr::V6(ROUTER));
    }
    host.nic().inject(&redirect(ROUTER, better, far));
    let until = after(now, 0);
    run(&mut host, &mut now, until);
    assert_eq!(hop(&host), IpAddr::V6(better));
    // The SYN is sent again, and to the better router's station.
    let mut stations = Vec::new();
    let end = after(now, 10);
    while now < end {
        let progress = host.engine.step(now);
        for frame in core::mem::take(&mut host.nic().outbound) {
            let (ip, _) = Ipv6Header::parse(&frame.bytes()[IP_AT..]).unwrap();
            if ip.dst == far {
                stations.push(EthernetHeader::parse(frame.bytes()).unwrap().0.dst);
            }
        }
        now = progress.next.map_or(end, |(at, _)| at).max(now);
    }
    assert!(!stations.is_empty() && stations.iter().all(|mac| *mac == better_mac), "{stations:?}");
    // It does not answer when it is asked whether it still lives.
    let until = after(now, 60);
    run(&mut host, &mut now, until);
    assert_eq!(hop(&host), IpAddr::V6(ROUTER), "RFC 4861 7.3.3");
}

#[test]
fn discovery_in_a_fragment_is_nobody_s() {
    let (mut host, mut now) = (host(Ipv6Mode::Auto), Instant::ZERO);
    run(&mut host, &mut now, after(Instant::ZERO, 3));
    let mut bytes = advertisement(255, 1_800);
    // An atomic fragment: there is nothing to wait for.
    bytes[IP_AT + 6] = FRAGMENT.0;
    let len = u16::from_be_bytes([bytes[IP_AT + 4], bytes[IP_AT + 5]]) + 8;
    bytes[IP_AT + 4..IP_AT + 6].copy_from_slice(&len.to_be_bytes());
    let header = [IpProtocol::ICMPV6.0, 0, 0, 0, 0, 0, 0, 9];
    bytes.splice(PAYLOAD_AT..PAYLOAD_AT, header);
    host.nic().inject(&bytes);
    let until = after(now, 3);
    run(&mut host, &mut now, until);
    let far = IpAddr::V6("2001:db8:9::1".parse().unwrap());
    assert_eq!(host.engine.stack().next_hop(far), None);
    host.nic().inject(&advertisement(255, 1_800));
    let until = after(now, 3);
    run(&mut host, &mut now, until);
    assert!(host.engine.stack().next_hop(far).is_some(), "it was the fragment header");
}

#[test]
fn who_is_no_router_any_more_says_so_itself() {
    let (mut host, mut now) = (host(Ipv6Mode::Auto), Instant::ZERO);
    run(&mut host, &mut now, after(Instant::ZERO, 3));
    host.nic().inject(&advertisement(255, 1_800));
    let until = after(now, 3);
    run(&mut host, &mut now, until);
    let far = IpAddr::V6("2001:db8:9::1".parse().unwrap());
    // RFC 4861 7.2.5: another station, without the override flag, says nothing about the router we know.
    let advert = |mac: MacAddr| {
        let mut body = Vec::from(ROUTER.octets());
        body.extend([2, 1]);
        body.extend(mac.0);
        frame(mac, ROUTER, US, 255, &message(136, 1 << 30, &body, ROUTER, US))
    };
    for (mac, stays) in [(PEER_MAC, true), (ROUTER_MAC, false)] {
        host.nic().inject(&advert(mac));
        let until = after(now, 1);
        run(&mut host, &mut now, until);
        assert_eq!(host.engine.stack().next_hop(far).is_some(), stays);
    }
}

#[test]
fn a_connection_outlives_the_confirmation_of_its_neighbour() {
    let mut duo = Duo::over_ipv6(65_536, &|_| {}, &|config| config);
    let remote = SocketAddr::new(Host::address_v6(2), 80);
    let (ours, theirs) = duo.connect_to(Transport::Tcp, remote);
    for _ in 0..4 {
        duo.pass(Duration::from_secs(25));
        let bytes = [7; 3_000];
        let read = crate::testing::transfer(&mut duo, ours, theirs, true, &bytes);
        assert!(read == bytes);
    }
    assert_eq!(duo.a.engine.stack().stats().replies_lost, 0);
}
