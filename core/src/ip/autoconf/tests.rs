//! Stories of one interface.

use super::*;
use crate::ip::address::InterfaceAddress;
use crate::ip::multicast::solicited_node;
use crate::nic::MacAddr;
use crate::time::{Duration, Instant};
use crate::wire::Icmpv6Header;
use crate::wire::ndp::{NdpMessage, RouterAdvert};
use core::net::Ipv6Addr;
use std::vec::Vec;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xff);
const OWN: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

fn interface(mode: Ipv6Mode) -> Ipv6Interface {
    let config = Ipv6Config { mode, dad_transmits: 1, secret: [3; 16] };
    let own = [InterfaceAddress::new(OWN.into(), 64).unwrap()];
    Ipv6Interface::new(config, MAC, 1_500, &own, 5)
}

/// Serves the interface up to `end`; what it did, and when.
fn run(interface: &mut Ipv6Interface, end: Instant) -> Vec<(Instant, Action)> {
    let mut done = Vec::new();
    while let Some(at) = interface.poll_timeout().filter(|at| *at <= end) {
        interface.handle_timeout(at);
        done.extend(core::iter::from_fn(|| interface.poll_action()).map(|action| (at, action)));
    }
    done
}

fn secs(n: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(n)
}

/// A prefix option: flags, lifetimes in seconds.
fn prefix(text: &str, flags: u8, valid_s: u32, preferred_s: u32) -> Vec<u8> {
    let mut option = std::vec![3, 4, 64, flags];
    option.extend(valid_s.to_be_bytes());
    option.extend(preferred_s.to_be_bytes());
    option.extend([0; 4]);
    option.extend(text.parse::<Ipv6Addr>().unwrap().octets());
    option
}

fn advertise(interface: &mut Ipv6Interface, now: Instant, lifetime_s: u16, options: &[u8]) {
    advertise_with(interface, now, 32 << 24 | u32::from(lifetime_s), [0, 0], options);
}

/// The same with any first word, and with the two times in milliseconds.
fn advertise_with(
    interface: &mut Ipv6Interface,
    now: Instant,
    rest: u32,
    times_ms: [u32; 2],
    options: &[u8],
) {
    let header = Icmpv6Header::Other { kind: 134, code: 0, rest };
    let [reachable, retrans] = times_ms.map(u32::to_be_bytes);
    let body = [&reachable, &retrans, options].concat();
    let parsed = NdpMessage::parse(&header, &body).unwrap();
    let NdpMessage::RouterAdvert(advert) = parsed else { panic!("{parsed:?}") };
    let _: &RouterAdvert<'_> = &advert;
    interface.handle_router_advert(now, ROUTER, &advert);
}

/// The address made of a prefix, and its state.
fn made(interface: &Ipv6Interface, prefix: &str) -> Option<(Ipv6Addr, AddressState)> {
    let high = |address: Ipv6Addr| address.to_bits() >> 64;
    let prefix = prefix.parse().unwrap();
    let found = interface.addresses().iter().find(|own| high(own.address()) == high(prefix));
    found.map(|own| (own.address(), own.state()))
}

#[test]
fn an_address_is_asked_for_once_and_used_a_second_later() {
    let mut interface = interface(Ipv6Mode::Static);
    assert_eq!(interface.state_of(OWN), Some(AddressState::Tentative));
    let done = run(&mut interface, secs(5));
    let when = |wanted: Action| done.iter().find(|(_, action)| *action == wanted).unwrap().0;
    let asked = when(Action::Probe(OWN));
    assert!(asked > Instant::ZERO && asked < secs(1), "a random delay");
    assert_eq!(when(Action::State(OWN, AddressState::Preferred)), asked + Duration::from_secs(1));
    assert_eq!(interface.state_of(OWN), Some(AddressState::Preferred));
    assert!(interface.take_changed() && !interface.take_changed());
    let reports = done.iter().filter(|(_, a)| *a == Action::Report(solicited_node(OWN))).count();
    assert_eq!(reports, 2, "one may get lost");
    assert!(!done.iter().any(|(_, action)| *action == Action::SolicitRouters));
    assert!(interface.listens_to(solicited_node(OWN)) && !interface.listens_to(ROUTER));
}

#[test]
fn an_address_that_somebody_has_is_not_used_and_a_made_one_is_made_again_three_times() {
    let mut interface = interface(Ipv6Mode::Static);
    run(&mut interface, secs(0));
    assert!(interface.handle_conflict(secs(0), OWN));
    assert_eq!(interface.state_of(OWN), Some(AddressState::Duplicate));
    assert!(!interface.handle_conflict(secs(0), ROUTER));
    for attempt in 0..4 {
        let (address, state) = made(&interface, "fe80::").unwrap();
        assert_eq!(state, AddressState::Tentative, "attempt {attempt}");
        interface.handle_conflict(secs(0), address);
    }
    assert_eq!(made(&interface, "fe80::").unwrap().1, AddressState::Duplicate);
    run(&mut interface, secs(60));
    assert!(interface.addresses().iter().all(|own| !own.is_assigned()));
}

#[test]
fn routers_are_asked_for_three_times_four_seconds_apart_until_one_answers() {
    let asks = |done: &[(Instant, Action)]| {
        let asks = done.iter().filter(|(_, action)| *action == Action::SolicitRouters);
        asks.map(|(at, _)| *at).collect::<Vec<_>>()
    };
    let mut silent = interface(Ipv6Mode::Auto);
    let times = asks(&run(&mut silent, secs(60)));
    assert_eq!(times.len(), 3);
    assert!(times.windows(2).all(|pair| pair[1] == pair[0] + Duration::from_secs(4)));
    let mut answered = interface(Ipv6Mode::Auto);
    assert_eq!(asks(&run(&mut answered, secs(3))).len(), 1);
    advertise(&mut answered, secs(3), 1_800, &[]);
    assert_eq!(asks(&run(&mut answered, secs(60))).len(), 0);
    assert_eq!((answered.router(), answered.hop_limit()), (Some(ROUTER), 32));
    run(&mut answered, secs(1_803));
    assert_eq!(answered.router(), None, "its lifetime is over");
}

#[test]
fn what_a_router_says_of_neighbours_and_hops_is_believed_within_reason() {
    let mut interface = interface(Ipv6Mode::Auto);
    run(&mut interface, secs(3));
    let told = |interface: &Ipv6Interface| {
        (interface.hop_limit(), interface.reachable_time(), interface.retrans_timer())
    };
    let usual = (64, None, Duration::from_secs(1));
    assert_eq!(told(&interface), usual);
    advertise_with(&mut interface, secs(3), 0, [0, 0], &[]);
    assert_eq!(told(&interface), usual, "nothing was said");
    // One hop, a moment, and a flood: what somebody says who wants to be in the way.
    advertise_with(&mut interface, secs(3), 1 << 24, [1, 1], &[]);
    advertise_with(&mut interface, secs(3), 1 << 24, [u32::MAX, u32::MAX], &[]);
    assert_eq!(told(&interface), usual);
    advertise_with(&mut interface, secs(3), 60 << 24, [20_000, 500], &[]);
    let (hops, Some(reachable), retrans) = told(&interface) else { panic!("it was said") };
    assert_eq!((hops, retrans), (60, Duration::from_millis(500)));
    assert!(reachable >= Duration::from_secs(10) && reachable <= Duration::from_secs(30));
    advertise_with(&mut interface, secs(4), 60 << 24, [20_000, 500], &[]);
    assert_eq!(interface.reachable_time(), Some(reachable), "drawn once");
}

#[test]
fn a_second_query_is_answered_like_the_first() {
    let mut interface = interface(Ipv6Mode::Auto);
    run(&mut interface, secs(10));
    for _ in 0..2 {
        interface.handle_query(secs(20), Ipv6Addr::UNSPECIFIED, Duration::from_secs(2));
    }
    let done = run(&mut interface, secs(22));
    assert!(!done.is_empty());
    assert!(done.iter().all(|(_, action)| matches!(action, Action::Listens(_))), "{done:?}");
}

#[test]
fn a_prefix_makes_an_address_that_is_deprecated_and_forgotten_in_its_time() {
    let mut interface = interface(Ipv6Mode::Auto);
    run(&mut interface, secs(3));
    advertise(&mut interface, secs(3), 0, &prefix("2001:db8::", 0xc0, 100, 50));
    assert_eq!(made(&interface, "2001:db8::").unwrap().1, AddressState::Tentative);
    run(&mut interface, secs(6));
    let (address, state) = made(&interface, "2001:db8::").unwrap();
    assert_eq!(state, AddressState::Preferred);
    let on_link = |interface: &Ipv6Interface| {
        interface.on_link().any(|(prefix, len)| len == 64 && prefix.segments()[0] == 0x2001)
    };
    assert!(on_link(&interface));
    run(&mut interface, secs(53));
    assert_eq!(interface.state_of(address), Some(AddressState::Deprecated));
    let done = run(&mut interface, secs(103));
    assert!(done.iter().any(|(_, action)| *action == Action::Gone(address)));
    assert!(interface.state_of(address).is_none() && !on_link(&interface));
}

#[test]
fn a_prefix_is_on_the_link_only_if_the_router_says_so() {
    let mut interface = interface(Ipv6Mode::Auto);
    run(&mut interface, secs(3));
    advertise(&mut interface, secs(3), 0, &prefix("2001:db8::", 0x40, 100, 50));
    advertise(&mut interface, secs(3), 0, &prefix("2001:db8:1::", 0x80, 100, 50));
    run(&mut interface, secs(6));
    // The first is one to make an address of, the second one to reach without a router.
    assert!(made(&interface, "2001:db8::").is_some());
    assert!(made(&interface, "2001:db8:1::").is_none());
    let on_link: Vec<u16> = interface.on_link().map(|(prefix, _)| prefix.segments()[2]).collect();
    assert!(on_link.contains(&1), "{on_link:?}");
    assert!(interface.on_link().all(|(prefix, _)| prefix.segments()[..3] != [0x2001, 0xdb8, 0]));
}

#[test]
fn nobody_cuts_a_lifetime_below_two_hours() {
    let hours = |n: u64| secs(3_600 * n);
    let valid_for = |valid_s| {
        let mut interface = interface(Ipv6Mode::Auto);
        run(&mut interface, secs(3));
        advertise(&mut interface, secs(3), 0, &prefix("2001:db8::", 0x40, 5 * 3_600, 60));
        run(&mut interface, secs(10));
        advertise(&mut interface, secs(10), 0, &prefix("2001:db8::", 0x40, valid_s, 0));
        let mut hour = 1;
        while made(&interface, "2001:db8::").is_some() && hour < 100 {
            run(&mut interface, hours(hour) + Duration::from_secs(20));
            hour += 1;
        }
        hour - 1
    };
    assert_eq!(valid_for(0), 2);
    assert_eq!(valid_for(3_600), 2);
    assert_eq!(valid_for(3 * 3_600), 3);
    assert_eq!(valid_for(9 * 3_600), 9);
    assert_eq!(valid_for(u32::MAX), 99);
}

#[test]
fn prefixes_that_no_address_can_be_made_of_are_passed_over_and_there_are_never_too_many() {
    let mut interface = interface(Ipv6Mode::Auto);
    run(&mut interface, secs(3));
    for (text, flags, valid, preferred) in [
        ("fe80::", 0xc0, 100, 50),
        ("2001:db8:1::", 0x80, 100, 50),
        ("2001:db8:2::", 0x40, 50, 100),
        ("2001:db8:3::", 0x40, 0, 0),
    ] {
        advertise(&mut interface, secs(3), 0, &prefix(text, flags, valid, preferred));
    }
    assert_eq!(interface.addresses().len(), 2);
    for n in 0..100 {
        let text = std::format!("2001:db8:{n:x}:1::");
        advertise(&mut interface, secs(3), 9_000, &prefix(&text, 0xc0, 100, 50));
    }
    assert_eq!(interface.addresses().len(), 2 + 16);
    assert!(interface.on_link().count() <= 2 + 16);
    let mut deaf = super::tests::interface(Ipv6Mode::Static);
    advertise(&mut deaf, secs(3), 9_000, &prefix("2001:db8::", 0xc0, 100, 50));
    assert_eq!((deaf.addresses().len(), deaf.router()), (2, None));
}

#[test]
fn an_mtu_between_1280_and_the_link_s_is_taken() {
    let mut interface = interface(Ipv6Mode::Auto);
    for (mtu, taken) in [(1_279u32, 1_500), (1_400, 1_400), (1_501, 1_400), (1_500, 1_500)] {
        let mut option = std::vec![5, 1, 0, 0];
        option.extend(mtu.to_be_bytes());
        advertise(&mut interface, secs(3), 0, &option);
        assert_eq!(interface.mtu(), taken);
    }
}

#[test]
fn a_silent_router_gives_way_to_another_and_a_query_is_answered_within_its_delay() {
    let mut interface = interface(Ipv6Mode::Auto);
    run(&mut interface, secs(10));
    advertise(&mut interface, secs(10), 9_000, &[]);
    assert!(!interface.handle_router_silent(ROUTER), "there is no other");
    let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
    let header = Icmpv6Header::Other { kind: 134, code: 0, rest: 9_000 };
    let Ok(NdpMessage::RouterAdvert(advert)) = NdpMessage::parse(&header, &[0; 8]) else {
        panic!()
    };
    interface.handle_router_advert(secs(10), other, &advert);
    assert_eq!(interface.router(), Some(ROUTER));
    assert!(interface.handle_router_silent(ROUTER));
    assert_eq!(interface.router(), Some(other));
    interface.handle_no_router(other);
    assert_eq!(interface.router(), Some(ROUTER));
    interface.handle_query(secs(20), Ipv6Addr::UNSPECIFIED, Duration::from_secs(2));
    let done = run(&mut interface, secs(22));
    assert_eq!(done.len(), 2, "one report for each address: {done:?}");
}

#[test]
fn a_link_of_less_than_1280_bytes_has_no_ipv6() {
    let on = |link_mtu| {
        let config = Ipv6Config { mode: Ipv6Mode::Auto, dad_transmits: 1, secret: [3; 16] };
        let own = [InterfaceAddress::new(OWN.into(), 64).unwrap()];
        let mut interface = Ipv6Interface::new(config, MAC, link_mtu, &own, 5);
        let done = run(&mut interface, Instant::ZERO + Duration::from_secs(60));
        (interface.addresses().len(), done.is_empty())
    };
    assert_eq!(on(1_279), (0, true));
    assert_eq!(on(1_280), (2, false));
}
