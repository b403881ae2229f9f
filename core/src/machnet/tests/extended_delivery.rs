//! Extended profile: messages arrive exactly once, in order and whole, whatever the link does.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::negotiation::extended;
use super::pair::{Link, Pair};
use crate::error::EndReason;
use crate::machnet::{Config, Flow, FlowEvent, FlowState, Profile};
use crate::rng::Stream;
use crate::time::Duration;
use crate::wire::machnet::NetFlags;

pub fn message(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = Stream::new(seed, 99);
    (0..len.div_ceil(8)).flat_map(|_| rng.next_u64().to_le_bytes()).take(len).collect()
}

fn lossy() -> impl Strategy<Value = Link> {
    (0..80_000u32, 0..50_000u32, 0..200_000u32).prop_map(|(loss, duplicate, reorder)| Link {
        loss,
        duplicate,
        reorder,
        ..Link::default()
    })
}

/// Of one size, or short ones, which share packets.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(1usize..300, 0..120),
        prop::collection::vec(1usize..20_000, 0..12),
        prop::collection::vec(1_390usize..1_430, 0..20),
        (1usize..3 << 20).prop_map(|len| vec![len]),
    ]
}

fn config(mtu: u16) -> Config {
    extended().on_link(mtu, 20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn messages_arrive_exactly_once_in_order_and_whole(
        seed: u64, link in lossy(), to_b in lengths(), to_a in lengths(),
        mtu in prop::sample::select(vec![600u16, 1_500, 9_000]),
    ) {
        let mut pair = Pair::new(seed, link, config(mtu), 4 << 20);
        let messages = |lengths: &[usize], salt| {
            lengths.iter().enumerate().map(|(n, len)| message(n as u64 + salt, *len)).collect()
        };
        let (to_b, to_a): (Vec<_>, Vec<_>) = (messages(&to_b, 0), messages(&to_a, 1_000));
        for m in &to_b {
            pair.a.send(m);
        }
        for _ in 0..200 {
            pair.run(Duration::from_millis(500));
            if pair.b.is_some() { break; }
        }
        for m in &to_a {
            pair.b().send(m);
        }
        for _ in 0..400 {
            pair.run(Duration::from_millis(500));
            if pair.a.messages.len() >= to_a.len() && pair.b().messages.len() >= to_b.len() { break; }
        }
        pair.run(Duration::from_secs(5));
        prop_assert_eq!(pair.a.flow.profile(), Profile::Extended);
        prop_assert!(pair.b().messages == to_b);
        prop_assert!(pair.a.messages == to_a);
        prop_assert_eq!(pair.a.flow.info().message_acked, to_b.len() as u64);
        prop_assert_eq!(pair.a.io.released, pair.a.io.tx.len() as u64);
        prop_assert_eq!(pair.a.flow.state(), FlowState::Established);
    }

    #[test]
    fn what_is_damaged_on_the_way_is_never_delivered(
        seed: u64, damage in 1_000u32..100_000, lengths in lengths(), loss in 0u32..50_000,
    ) {
        let link = Link { damage: 0, loss, ..Link::default() };
        let mut pair = Pair::new(seed, link, config(1_500), 4 << 20);
        pair.run(Duration::from_millis(1));
        pair.link.damage = damage;
        let sent: Vec<_> =
            lengths.iter().enumerate().map(|(n, len)| message(n as u64, *len)).collect();
        for m in &sent {
            pair.a.send(m);
        }
        pair.run(Duration::from_secs(1));
        if let Some(b) = &pair.b {
            prop_assert!(sent.starts_with(&b.messages));
        }
        for side in [Some(&pair.a), pair.b.as_ref()].into_iter().flatten() {
            let bytes = side.flow.write_state().unwrap();
            prop_assert!(Flow::read_state(&bytes, &pair.config).as_ref() == Ok(&side.flow));
        }
    }

    #[test]
    fn a_state_written_in_mid_transfer_is_read_back_and_goes_on(
        seed: u64, link in lossy(), stop_us in 10u64..3_000, lengths in lengths(),
    ) {
        let mut pair = Pair::new(seed, link, config(1_500), 4 << 20);
        let sent: Vec<_> =
            lengths.iter().enumerate().map(|(n, len)| message(n as u64, *len)).collect();
        for m in &sent {
            pair.a.send(m);
        }
        pair.run(Duration::from_micros(stop_us));
        let config = pair.config;
        for side in [Some(&mut pair.a), pair.b.as_mut()].into_iter().flatten() {
            let bytes = side.flow.write_state().unwrap();
            let read = Flow::read_state(&bytes, &config).unwrap();
            prop_assert_eq!(&read, &side.flow);
            side.flow = read;
        }
        for _ in 0..200 {
            pair.run(Duration::from_millis(500));
            if pair.b.as_ref().is_some_and(|b| b.messages.len() >= sent.len()) { break; }
        }
        prop_assert!(pair.b().messages == sent);
    }
}

#[test]
fn a_clean_link_repeats_nothing_and_round_trips_are_those_of_the_network() {
    let mut pair = Pair::established(3, extended());
    for len in [1, 1_406, 1_407, 1_410, 1_411, 100_000] {
        pair.a.send(&message(len as u64, len));
    }
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 6);
    assert_eq!((pair.a.flow.info().retransmits, pair.blind), (0, 0));
    let srtt = pair.a.flow.info().srtt;
    assert!((100..=101).contains(&srtt.as_micros()), "{srtt}");
}

#[test]
fn short_messages_that_wait_share_packets_and_none_waits_to() {
    let mut pair = Pair::established(3, extended());
    let from = pair.sent.len();
    for n in 0..200u8 {
        pair.a.send(&[n; 9]);
    }
    pair.run(Duration::from_millis(5));
    assert_eq!(pair.b().messages.len(), 200);
    let data = |pair: &Pair, from: usize| {
        pair.sent[from..].iter().filter(|s| s.2.net_flags == NetFlags::Data).count()
    };
    assert_eq!(data(&pair, from), 4, "64 at most");
    let from = pair.sent.len();
    for n in 0..3u8 {
        pair.a.send(&[n; 9]);
        pair.flush();
    }
    assert_eq!(data(&pair, from), 3);
}

#[test]
fn acknowledgements_ride_on_data_or_come_for_two_full_packets_or_late() {
    let mut pair = Pair::established(3, extended());
    let acks = |pair: &Pair, from: usize, kind| {
        let mine =
            |s: &&(_, bool, crate::wire::machnet::MachnetHeader)| !s.1 && s.2.net_flags == kind;
        pair.sent[from..].iter().filter(mine).count()
    };
    let from = pair.sent.len();
    pair.a.send(&[1; 100]);
    pair.run(Duration::from_micros(540));
    assert_eq!(acks(&pair, from, NetFlags::Ack), 0, "it waits for company");
    pair.run(Duration::from_micros(20));
    assert_eq!(acks(&pair, from, NetFlags::Ack), 1);
    let from = pair.sent.len();
    pair.a.send(&[1; 100]);
    pair.run(Duration::from_micros(60));
    pair.b().send(&[2; 100]);
    pair.run(Duration::from_micros(900));
    assert_eq!(acks(&pair, from, NetFlags::Ack), 0);
    assert_eq!(acks(&pair, from, NetFlags::Data), 1);
    assert!(pair.a.flow.is_idle() && pair.a.flow.info().message_acked == 2);
    let from = pair.sent.len();
    pair.a.send(&[1; 40 * 1_418]);
    pair.run(Duration::from_millis(3));
    let acks = acks(&pair, from, NetFlags::Ack);
    assert!((2..=25).contains(&acks), "{acks} for 41 packets");
}

#[test]
fn a_message_whose_crc_is_wrong_ends_the_flow() {
    let mut pair = Pair::established(3, extended());
    pair.a.send(&[1; 5_000]);
    pair.flush();
    pair.damage_payloads();
    pair.run(Duration::from_millis(5));
    assert_eq!(pair.b().messages.len(), 0);
    assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::Reset)));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::Reset)));
}
