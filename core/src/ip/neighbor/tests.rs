//! Stories of neighbours.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const ETH: IfIndex = IfIndex(1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const THEIR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 3]);

fn key(address: Ipv4Addr) -> NeighborKey {
    NeighborKey { interface: ETH, address: address.into() }
}

fn secs(n: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(n)
}

fn socket(index: u32) -> SocketId {
    SocketId { index, generation: 0 }
}

fn table() -> NeighborTable {
    NeighborTable::new(NeighborConfig::default(), 1)
}

fn arp(operation: ArpOperation, mac: MacAddr, from: Ipv4Addr, to: Ipv4Addr) -> ArpPacket {
    let target_mac = MacAddr::default();
    ArpPacket { operation, sender_mac: mac, sender_ip: from, target_mac, target_ip: to }
}

fn hear(table: &mut NeighborTable, now: Instant, packet: &ArpPacket) -> ArpOutcome {
    table.handle_arp(now, ETH, packet, OUR_MAC, |address| address == OURS)
}

fn answer(mac: MacAddr) -> ArpPacket {
    arp(ArpOperation::Reply, mac, THEIRS, OURS)
}

fn asked(table: &mut NeighborTable) -> Vec<Option<MacAddr>> {
    core::iter::from_fn(|| table.poll_request()).map(|solicit| solicit.unicast).collect()
}

/// A table in which THEIRS was resolved at time zero.
fn resolved() -> NeighborTable {
    let mut table = table();
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Pending);
    assert_eq!(asked(&mut table), [None]);
    hear(&mut table, secs(0), &answer(THEIR_MAC));
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Resolved(THEIR_MAC));
    table
}

#[test]
fn an_unknown_neighbour_is_asked_for_once_and_its_waiters_are_woken_by_the_answer() {
    let mut table = table();
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Pending);
    assert!(table.park(key(THEIRS), socket(7)) && table.park(key(THEIRS), socket(8)));
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Pending);
    let solicit = Solicit { interface: ETH, target: THEIRS.into(), unicast: None };
    assert_eq!((table.poll_request(), table.poll_request()), (Some(solicit), None));
    assert_eq!(table.poll_woken(), None);
    assert_eq!(hear(&mut table, secs(0), &answer(THEIR_MAC)), ArpOutcome::default());
    assert_eq!((table.poll_woken(), table.poll_woken()), (Some(socket(7)), Some(socket(8))));
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Resolved(THEIR_MAC));
    assert!(!table.park(key(THEIRS), socket(9)), "nothing is pending");
}

#[test]
fn three_requests_a_second_apart_then_the_neighbour_is_given_up_for_a_while() {
    let mut table = table();
    table.lookup(secs(0), key(THEIRS));
    table.park(key(THEIRS), socket(7));
    let mut times = Vec::new();
    let mut now = Instant::ZERO;
    loop {
        times.extend(asked(&mut table).iter().map(|_| now));
        if table.lookup(now, key(THEIRS)) == Lookup::Failed {
            break;
        }
        now = table.poll_timeout().unwrap();
        table.handle_timeout(now);
    }
    assert_eq!(times, [secs(0), secs(1), secs(2)]);
    assert_eq!((now, table.poll_woken()), (secs(3), Some(socket(7))));
    table.handle_timeout(secs(4));
    assert!(table.is_empty());
    assert_eq!(table.lookup(secs(4), key(THEIRS)), Lookup::Pending);
    assert_eq!(asked(&mut table), [None]);
}

#[test]
fn an_expired_entry_is_used_while_its_station_alone_is_asked() {
    let mut table = resolved();
    table.handle_timeout(secs(29));
    assert_eq!(table.lookup(secs(29), key(THEIRS)), Lookup::Resolved(THEIR_MAC));
    assert_eq!(asked(&mut table), []);
    table.handle_timeout(secs(30));
    assert_eq!(asked(&mut table), [], "nobody used it yet");
    assert_eq!(table.lookup(secs(31), key(THEIRS)), Lookup::Resolved(THEIR_MAC));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)]);
    hear(&mut table, secs(31), &answer(THEIR_MAC));
    table.handle_timeout(secs(60));
    assert_eq!(asked(&mut table), []);
    assert_eq!(table.poll_timeout(), Some(secs(61)));
}

#[test]
fn what_is_sent_to_a_neighbour_and_arrives_confirms_it_while_it_is_asked() {
    let mut table = resolved();
    table.witness(secs(1), &key(THEIRS), socket(7), (1, 2));
    table.witness(secs(1), &key(THEIRS), socket(7), (3, 4));
    table.handle_timeout(secs(30));
    table.witness(secs(30), &key(THEIRS), socket(7), (4, 5));
    table.witness(secs(30), &key(THEIRS), socket(7), (6, 7));
    assert_eq!(table.confirmed(&key(THEIRS)), None, "nobody used it since it is old");
    table.lookup(secs(31), key(THEIRS));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)]);
    // What was sent before may have gone to another station. 7 is the first to use it.
    for (index, progress) in [(7, (7, 9)), (7, (9, 20)), (8, (1, 2)), (8, (4, 5))] {
        table.witness(secs(31), &key(THEIRS), socket(index), progress);
        assert_eq!(table.confirmed(&key(THEIRS)), None, "{index} {progress:?}");
    }
    // The question begins anew, and with it the search for a witness.
    table.handle_timeout(secs(32));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)]);
    table.witness(secs(32), &key(THEIRS), socket(8), (u32::MAX - 1, u32::MAX));
    table.witness(secs(32), &key(THEIRS), socket(8), (0, 4));
    assert!(table.confirmed(&key(THEIRS)).is_some());
    table.handle_timeout(secs(61));
    assert_eq!(asked(&mut table), [], "nothing is asked that is known");
    assert_eq!(table.poll_timeout(), Some(secs(62)));
}

#[test]
fn a_station_that_fell_silent_is_replaced_by_whoever_answers_the_broadcast() {
    let mut table = resolved();
    table.handle_timeout(secs(30));
    table.lookup(secs(30), key(THEIRS));
    for second in 31..34 {
        assert_eq!(asked(&mut table), [Some(THEIR_MAC)]);
        table.handle_timeout(secs(second));
    }
    assert_eq!(asked(&mut table), [None]);
    assert_eq!(table.lookup(secs(33), key(THEIRS)), Lookup::Pending);
    hear(&mut table, secs(33), &answer(OTHER_MAC));
    assert_eq!(table.lookup(secs(33), key(THEIRS)), Lookup::Resolved(OTHER_MAC));
}

#[test]
fn an_unused_entry_disappears() {
    let mut table = resolved();
    table.handle_timeout(secs(30));
    table.handle_timeout(secs(630));
    assert_eq!((table.len(), table.poll_timeout()), (0, None));
}

#[test]
fn a_request_for_us_is_answered_and_its_sender_learned() {
    let mut table = table();
    let outcome = hear(&mut table, secs(0), &arp(ArpOperation::Request, THEIR_MAC, THEIRS, OURS));
    let reply = outcome.reply.unwrap();
    assert_eq!(
        (reply.operation, reply.sender_mac, reply.sender_ip),
        (ArpOperation::Reply, OUR_MAC, OURS)
    );
    assert_eq!((reply.target_mac, reply.target_ip), (THEIR_MAC, THEIRS));
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Resolved(THEIR_MAC));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)], "learned, not confirmed");
}

#[test]
fn what_is_not_for_us_updates_but_does_not_create() {
    let mut table = resolved();
    let stranger = Ipv4Addr::new(10, 0, 0, 9);
    let overheard = arp(ArpOperation::Request, OTHER_MAC, stranger, THEIRS);
    assert_eq!(hear(&mut table, secs(0), &overheard), ArpOutcome::default());
    assert_eq!(table.len(), 1);
    let announcement = arp(ArpOperation::Request, OTHER_MAC, THEIRS, THEIRS);
    hear(&mut table, secs(5), &announcement);
    assert_eq!(table.lookup(secs(5), key(THEIRS)), Lookup::Resolved(OTHER_MAC));
    assert_eq!(asked(&mut table), [Some(OTHER_MAC)]);
}

#[test]
fn nobody_makes_us_ask_more_than_once_a_second() {
    let mut table = resolved();
    let mut requests = 0;
    for milli in 0..10_000u64 {
        let now = Instant::ZERO + Duration::from_millis(milli);
        let mac = MacAddr([2, 0, 0, 0, 1, milli as u8 | 1]);
        hear(&mut table, now, &arp(ArpOperation::Request, mac, THEIRS, THEIRS));
        table.handle_timeout(now);
        table.lookup(now, key(THEIRS));
        hear(&mut table, now, &answer(mac));
        requests += asked(&mut table).len();
    }
    assert!(requests <= 10, "{requests} requests in 10 s");
}

#[test]
fn impossible_senders_are_ignored_and_conflicts_reported() {
    let mut table = table();
    let request = |mac, from| arp(ArpOperation::Request, mac, from, OURS);
    for packet in [
        request(MacAddr::BROADCAST, THEIRS),
        request(MacAddr::default(), THEIRS),
        request(OUR_MAC, THEIRS),
        request(THEIR_MAC, Ipv4Addr::new(224, 0, 0, 1)),
        request(THEIR_MAC, Ipv4Addr::BROADCAST),
    ] {
        assert_eq!(hear(&mut table, secs(0), &packet), ArpOutcome::default(), "{packet:?}");
    }
    let conflict = hear(&mut table, secs(0), &request(THEIR_MAC, OURS));
    assert_eq!(conflict, ArpOutcome { reply: None, conflict: true });
    let probe = hear(&mut table, secs(0), &request(THEIR_MAC, Ipv4Addr::UNSPECIFIED));
    assert!(probe.reply.is_some());
    assert!(table.is_empty());
}

#[test]
fn the_table_is_bounded_and_evicts_what_is_not_used() {
    let config = NeighborConfig::builder().entries_max(4).build().unwrap();
    let mut table = NeighborTable::new(config, 1);
    table.insert_permanent(key(THEIRS), THEIR_MAC);
    let host = |n: u8| Ipv4Addr::new(10, 0, 1, n);
    for n in 1..=3 {
        hear(&mut table, secs(0), &arp(ArpOperation::Request, OTHER_MAC, host(n), OURS));
    }
    table.lookup(secs(0), key(host(2)));
    for n in 10..13 {
        hear(&mut table, secs(0), &arp(ArpOperation::Request, OTHER_MAC, host(n), OURS));
        assert_eq!(table.len(), 4);
        if n < 12 {
            assert!(table.find(&key(host(2))).is_some(), "used, so it stays at {n}");
        }
    }
    assert_eq!(table.lookup(secs(0), key(THEIRS)), Lookup::Resolved(THEIR_MAC));
}

#[test]
fn open_questions_are_not_evicted_and_may_fill_half_of_the_table() {
    let config = NeighborConfig::builder().entries_max(4).waiters_max(1).build().unwrap();
    let mut table = NeighborTable::new(config, 1);
    let host = |n: u8| key(Ipv4Addr::new(10, 0, 1, n));
    for n in 1..=3 {
        assert_eq!(table.lookup(secs(0), host(n)), Lookup::Pending);
    }
    assert!(table.park(host(1), socket(1)) && !table.park(host(1), socket(2)), "one may wait");
    assert!(!table.park(host(3), socket(3)));
    assert_eq!(asked(&mut table).len(), 2);
}

#[test]
fn the_same_address_on_two_links_is_two_neighbours_in_either_family() {
    let mut table = table();
    let v6: IpAddr = "fe80::2".parse().unwrap();
    let on = |interface| NeighborKey { interface: IfIndex(interface), address: v6 };
    table.lookup(secs(0), on(1));
    table.handle_heard(secs(0), on(1), THEIR_MAC, true, false);
    assert_eq!(table.lookup(secs(0), on(1)), Lookup::Resolved(THEIR_MAC));
    assert_eq!(table.lookup(secs(0), on(2)), Lookup::Pending);
}

const V6: NeighborKey = NeighborKey {
    interface: ETH,
    address: IpAddr::V6(core::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
};

fn heard(mac: Option<MacAddr>, solicited: bool, overrides: bool) -> Heard {
    Heard { mac, solicited, overrides }
}

/// A table in which V6 was resolved at time zero.
fn resolved_v6() -> NeighborTable {
    let mut table = table();
    assert_eq!(table.lookup(secs(0), V6), Lookup::Pending);
    assert_eq!(asked(&mut table), [None]);
    table.handle_advertised(secs(0), V6, heard(Some(THEIR_MAC), true, true));
    assert_eq!(table.lookup(secs(0), V6), Lookup::Resolved(THEIR_MAC));
    table
}

#[test]
fn an_ipv6_neighbour_is_used_for_five_seconds_before_its_station_is_asked() {
    let mut table = resolved_v6();
    table.handle_timeout(secs(30));
    assert_eq!(table.lookup(secs(31), V6), Lookup::Resolved(THEIR_MAC));
    assert_eq!(asked(&mut table), [], "DELAY");
    table.handle_timeout(secs(35));
    assert_eq!(asked(&mut table), []);
    for second in 36..39 {
        table.handle_timeout(secs(second));
        assert_eq!(asked(&mut table), [Some(THEIR_MAC)], "PROBE");
        assert_eq!(table.lookup(secs(second), V6), Lookup::Resolved(THEIR_MAC));
    }
    table.handle_advertised(secs(38), V6, heard(None, true, false));
    table.handle_timeout(secs(40));
    assert_eq!(asked(&mut table), [], "REACHABLE again");
    assert_eq!(table.poll_timeout(), Some(secs(68)));
}

#[test]
fn a_router_says_how_long_ipv6_neighbours_are_trusted_and_how_often_they_are_asked() {
    let mut table = resolved_v6();
    table.advise(V6.interface, Some(Duration::from_secs(7)), Duration::from_secs(3));
    table.handle_timeout(secs(30));
    assert_eq!(table.lookup(secs(31), V6), Lookup::Resolved(THEIR_MAC));
    table.handle_timeout(secs(36));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)], "PROBE");
    table.handle_timeout(secs(38));
    assert_eq!(asked(&mut table), []);
    table.handle_timeout(secs(39));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)]);
    table.handle_advertised(secs(40), V6, heard(None, true, false));
    assert_eq!(table.poll_timeout(), Some(secs(47)), "REACHABLE");
    // ARP has nothing to do with it.
    let v4 = NeighborKey { address: [10, 0, 0, 9].into(), ..V6 };
    assert_eq!(table.lookup(secs(40), v4), Lookup::Pending);
    assert_eq!(asked(&mut table), [None]);
    table.handle_timeout(secs(41));
    assert_eq!(asked(&mut table), [None]);
}

#[test]
fn an_advertisement_changes_what_is_known_only_as_its_flags_allow() {
    let mut table = resolved_v6();
    // Without the override flag another station raises doubt, no more.
    table.handle_advertised(secs(1), V6, heard(Some(OTHER_MAC), true, false));
    assert_eq!(table.lookup(secs(1), V6), Lookup::Resolved(THEIR_MAC));
    table.handle_timeout(secs(6));
    assert_eq!(asked(&mut table), [Some(THEIR_MAC)], "it was STALE, and is probed");
    // With it, it replaces the station; an answer to our probe confirms it at once.
    table.handle_advertised(secs(7), V6, heard(Some(OTHER_MAC), true, true));
    assert_eq!(table.lookup(secs(7), V6), Lookup::Resolved(OTHER_MAC));
    table.handle_timeout(secs(20));
    assert_eq!(asked(&mut table), []);
    // Nobody asked for this one, nor does an answer without a station help who asked.
    let other = NeighborKey { interface: IfIndex(2), ..V6 };
    table.handle_advertised(secs(20), other, heard(Some(OTHER_MAC), true, true));
    assert!(!table.contains(&other));
    table.lookup(secs(20), other);
    table.handle_advertised(secs(20), other, heard(None, true, true));
    assert_eq!(table.lookup(secs(20), other), Lookup::Pending);
}

#[test]
fn an_answer_confirms_while_it_may_be_one_and_talk_does_not() {
    // The neighbour asked for us while we asked for it: its station is known before it answers.
    let mut table = table();
    assert_eq!(table.lookup(secs(0), V6), Lookup::Pending);
    table.handle_heard(secs(0), V6, OTHER_MAC, false, true);
    assert_eq!(table.poll_timeout(), Some(secs(600)), "STALE");
    let half = secs(0) + Duration::from_millis(500);
    table.handle_advertised(half, V6, heard(Some(OTHER_MAC), true, true));
    assert_eq!(table.poll_timeout(), Some(half + Duration::from_secs(30)), "REACHABLE");
    // Another station that overrides, within the time: the answer is believed, as the flags say.
    table.handle_advertised(half, V6, heard(Some(THEIR_MAC), true, true));
    assert_eq!(table.poll_timeout(), Some(half + Duration::from_secs(30)), "REACHABLE");
    // RetransTimer after the question nobody answers it any more.
    table.handle_advertised(secs(1), V6, heard(Some(OTHER_MAC), true, true));
    assert_eq!(table.poll_timeout(), Some(secs(601)), "STALE");
    table.handle_advertised(secs(2), V6, heard(None, true, true));
    assert_eq!(table.lookup(secs(2), V6), Lookup::Resolved(OTHER_MAC));
    assert_eq!(table.poll_timeout(), Some(secs(7)), "DELAY");
}

proptest! {
    #[test]
    fn whatever_happens_it_stays_bounded_and_wakes_all_who_park(
        steps in proptest::collection::vec((0u8..6, 0u8..9, any::<bool>(), 0u64..1_500), 0..300),
    ) {
        let config = NeighborConfig::builder().entries_max(5).build().unwrap();
        let mut table = NeighborTable::new(config, 1);
        let (mut now, mut parked, mut woken) = (Instant::ZERO, 0u32, 0u32);
        let mut last_asked = std::collections::BTreeMap::new();
        // Whom the table had to evict it may ask again.
        let mut was_full = false;
        for (what, host, flag, millis) in steps {
            let address = Ipv4Addr::new(10, 0, 1, host);
            let mac = MacAddr([2, 0, 0, 0, 2, host + u8::from(flag)]);
            match what {
                0 | 1 => if table.lookup(now, key(address)) == Lookup::Pending
                    && table.park(key(address), socket(parked)) { parked += 1 },
                2 => drop(hear(&mut table, now, &arp(ArpOperation::Request, mac, address, OURS))),
                3 => drop(hear(&mut table, now, &arp(ArpOperation::Reply, mac, address, OURS))),
                _ => {
                    now += Duration::from_millis(millis);
                    table.handle_timeout(now);
                    prop_assert!(table.poll_timeout().is_none_or(|next| next > now));
                }
            }
            was_full |= table.len() == 5;
            while let Some(solicit) = table.poll_request() {
                if let Some(last) = last_asked.insert(solicit.target, now) && !was_full {
                    prop_assert!(now.saturating_since(last) >= REQUEST_INTERVAL);
                }
            }
            while table.poll_woken().is_some() { woken += 1 }
            prop_assert!(table.len() <= 5);
        }
        table.handle_timeout(now + Duration::from_secs(3));
        table.handle_timeout(now + Duration::from_secs(6));
        table.handle_timeout(now + Duration::from_secs(9));
        while table.poll_woken().is_some() { woken += 1 }
        prop_assert_eq!(woken, parked);
    }
}

#[test]
fn strangers_that_nobody_answers_for_do_not_push_out_a_neighbour_in_use() {
    let mut table = resolved();
    let missed = (0..20_000u32).filter(|i| {
        let now = secs(1) + Duration::from_millis(u64::from(*i));
        table.handle_timeout(now);
        let stranger = key(Ipv4Addr::from_bits(0x0a01_0000 + i));
        table.lookup(now, stranger);
        if i % 100 != 0 {
            return false;
        }
        let lookup = table.lookup(now, key(THEIRS));
        if lookup != Lookup::Resolved(THEIR_MAC) {
            hear(&mut table, now, &answer(THEIR_MAC));
        }
        lookup != Lookup::Resolved(THEIR_MAC)
    });
    assert_eq!(missed.count(), 0, "of 200, at 1,000 strangers a second");
}
