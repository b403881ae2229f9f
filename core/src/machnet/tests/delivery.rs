//! Messages arrive exactly once, in order and whole, whatever the link does.

use std::vec::Vec;

use proptest::prelude::*;

use super::pair::{Link, Pair};
use crate::machnet::{Config, Flow};
use crate::rng::Stream;
use crate::time::Duration;

fn message(seed: u64, len: usize) -> Vec<u8> {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn messages_arrive_exactly_once_in_order_and_whole(
        seed: u64,
        link in lossy(),
        to_b in prop::collection::vec(1usize..20_000, 0..12),
        to_a in prop::collection::vec(1usize..3_000, 0..12),
        large in 1usize..=1 << 20,
    ) {
        let mut pair = Pair::new(seed, link, Config::default(), 4 << 20);
        let to_b: Vec<_> = to_b.into_iter().chain([large]).enumerate()
            .map(|(i, len)| message(i as u64, len)).collect();
        let to_a: Vec<_> = to_a.into_iter().enumerate()
            .map(|(i, len)| message(i as u64 + 1_000, len)).collect();
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
        prop_assert!(pair.b().messages == to_b);
        prop_assert!(pair.a.messages == to_a);
        prop_assert_eq!(pair.a.flow.info().message_acked, to_b.len() as u64);
        prop_assert_eq!(pair.a.io.released, pair.a.io.tx.len() as u64);
    }

    #[test]
    fn a_state_written_in_mid_transfer_is_read_back_and_goes_on(
        seed: u64, link in lossy(), stop_us in 10u64..3_000, len in 1usize..300_000,
    ) {
        let mut pair = Pair::new(seed, link, Config::default(), 4 << 20);
        let sent = message(seed, len);
        pair.a.send(&sent);
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
            if pair.b.as_ref().is_some_and(|b| !b.messages.is_empty()) { break; }
        }
        prop_assert!(pair.b().messages == [sent]);
    }

    #[test]
    fn damaged_states_are_refused_or_harmless(seed: u64, at: usize, bit in 0u8..8, cut: bool) {
        let mut pair = Pair::new(seed, Link { reorder: 300_000, ..Link::default() }, Config::default(), 1 << 20);
        pair.a.send(&message(1, 60_000));
        pair.run(Duration::from_micros(400));
        for side in [Some(&pair.a), pair.b.as_ref()].into_iter().flatten() {
            let mut bytes = side.flow.write_state().unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            if let Ok(mut flow) = Flow::read_state(&bytes, &pair.config) {
                let mut io = super::pair::Rings::new(1 << 20);
                flow.handle_app(pair.now, &mut io);
                flow.handle_timeout(pair.now + Duration::from_secs(9), &mut io);
                for _ in 0..200 {
                    flow.poll_transmit(pair.now);
                    flow.poll_event();
                }
            }
        }
    }
}

#[test]
fn a_clean_link_repeats_nothing() {
    let mut pair = Pair::established(3, Config::default());
    for len in [1, 1418, 1419, 100_000] {
        pair.a.send(&message(len as u64, len));
    }
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 4);
    assert_eq!(pair.a.flow.info().retransmits, 0);
    assert!(pair.a.flow.info().srtt >= Duration::from_micros(100));
    assert!(pair.a.flow.info().srtt < Duration::from_micros(110));
}

#[test]
fn one_lost_packet_is_repaired_within_a_few_round_trips() {
    let mut pair = Pair::established(4, Config::default());
    let sent = message(9, 30 * 1418);
    pair.a.send(&sent);
    // The fifth packet is lost: taken from the flow and never delivered.
    let start = pair.now;
    pair.drop_next_data(5);
    pair.run(Duration::from_millis(1));
    assert!(pair.b().messages == [sent], "not delivered before the retransmission timeout");
    assert_eq!(pair.a.flow.info().retransmits, 1);
    assert!(pair.now > start);
}
