//! Extended profile: what is lost comes soon, and little else is sent again.

use std::vec;

use super::negotiation::extended;
use super::pair::{Account, DELAY, Link, Pair};
use crate::machnet::{Config, FlowEvent};
use crate::time::Duration;

const MESSAGES: usize = 40;
const MESSAGE_BYTES: usize = 141_800;

fn transfer(seed: u64, link: Link) -> (Account, Duration) {
    let mut pair = Pair::established(seed, extended());
    pair.link = link;
    let begin = pair.now;
    let message = vec![7; MESSAGE_BYTES];
    for _ in 0..MESSAGES {
        pair.a.send(&message);
    }
    while !pair.a.flow.is_idle() {
        pair.run(Duration::from_millis(1));
    }
    assert_eq!(pair.b().messages.len(), MESSAGES);
    (pair.account, pair.now.saturating_since(begin))
}

fn transfers(link: Link) -> (Account, Duration) {
    let mut sum = (Account::default(), Duration::ZERO);
    for seed in 0..8 {
        let (account, took) = transfer(seed, link);
        sum.0.sent += account.sent;
        sum.0.dropped += account.dropped;
        sum.0.again += account.again;
        sum.0.needless += account.needless;
        sum.1 += took;
    }
    sum
}

#[test]
fn over_a_link_that_loses_little_is_sent_again_that_was_not_lost() {
    for (loss, reorder, duplicate) in
        [(10_000, 0, 0), (10_000, 10_000, 2_000), (50_000, 0, 0), (5_000, 50_000, 0)]
    {
        let late_max = Duration::from_micros(50);
        let link = Link { loss, reorder, duplicate, late_max, ..Link::default() };
        let (account, _) = transfers(link);
        assert!(account.dropped > 0);
        assert!(
            account.again * 10 <= account.dropped * 13,
            "{loss} ppm lost, {reorder} ppm reordered: {account:?}"
        );
    }
}

#[test]
fn over_a_link_that_reorders_and_loses_nothing_at_most_one_packet_in_fifty_is_sent_again() {
    for (reorder, late_us) in [(10_000, 30), (10_000, 100), (100_000, 30), (100_000, 100)] {
        let late_max = Duration::from_micros(late_us);
        let (account, _) = transfers(Link { reorder, late_max, ..Link::default() });
        assert_eq!(account.dropped, 0);
        assert!(account.again * 50 <= account.sent, "{reorder} ppm, {late_us} us: {account:?}");
    }
}

#[test]
fn a_clean_link_is_filled() {
    let (account, took) = transfers(Link::default());
    assert_eq!(account.again, 0);
    // 256 packets a round trip, after a start that doubles from 32.
    let round_trips = account.sent / 8 / 256 + 5;
    let ideal = (DELAY + DELAY).saturating_mul(8 * u64::from(round_trips));
    assert!(took <= ideal.saturating_mul(2), "{took}, at least {ideal}");
}

#[test]
fn a_lost_tail_is_repaired_within_a_few_round_trips() {
    for lost in [1, 2, 5] {
        for len in [100, 1_000, 6_000] {
            let mut pair = Pair::established(lost, extended());
            pair.a.send(&[9; 5_000]);
            pair.run(Duration::from_millis(5));
            pair.a.send(&vec![7; len]);
            pair.lose_all_data();
            let events = pair.a.events.len();
            pair.run(Duration::from_millis(2));
            assert_eq!(pair.b().messages.len(), 2, "{len} bytes: not by the timeout of 20 ms");
            let timeout = |e: &FlowEvent| {
                matches!(e, FlowEvent::Retransmit { cause, .. }
                    if *cause == crate::event::RetransmitCause::Timeout)
            };
            assert!(!pair.a.events[events..].iter().any(timeout));
        }
    }
}

#[test]
fn a_lost_probe_leaves_it_to_the_timeout() {
    let mut pair = Pair::established(1, extended());
    pair.a.send(&[9; 5_000]);
    pair.run(Duration::from_millis(5));
    pair.a.send(&[7; 100]);
    pair.link.loss = 1_000_000;
    pair.run(Duration::from_millis(10));
    pair.link.loss = 0;
    pair.run(Duration::from_millis(30));
    assert_eq!(pair.b().messages.len(), 2);
    assert_eq!(pair.a.flow.info().retransmits, 1);
}

#[test]
fn a_repetition_that_is_lost_too_is_found_without_a_timeout() {
    let config =
        Config::builder().extended(true).rto(Duration::from_secs(1), Duration::from_secs(3));
    let mut pair = Pair::established(1, config.build().unwrap());
    pair.a.send(&vec![7; 200 * 1_418]);
    pair.drop_next_data(5);
    pair.flush();
    // The next one sent again is lost too.
    pair.drop_next_repetition();
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.b().messages.len(), 1);
    assert_eq!(pair.a.flow.info().retransmits, 2);
}

#[test]
fn a_network_that_stands_still_longer_than_the_timeout_does_not_have_everything_sent_again() {
    let mut pair = Pair::established(1, extended());
    let message = vec![7; MESSAGE_BYTES];
    pair.a.send(&message);
    pair.run(Duration::from_millis(5));
    pair.a.send(&message);
    pair.link.still_until = pair.now + Duration::from_millis(25);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 2);
    let account = pair.account;
    assert!((1..=4).contains(&account.again), "{account:?}");
}

#[test]
fn what_is_sent_behind_three_timeouts_does_not_wait_for_the_window_that_they_left() {
    // A way longer than the target: the first acknowledgement behind the pause begins a look.
    let us = Duration::from_micros;
    let config = Config::builder().extended(true).swift_delays(us(10), us(10), us(10));
    let mut pair = Pair::established(1, config.build().unwrap());
    pair.a.send(&[9; 100]);
    pair.run(Duration::from_millis(20));
    pair.a.send(&[8; 100]);
    pair.link.loss = 1_000_000;
    pair.run(Duration::from_millis(400));
    pair.link.loss = 0;
    while pair.b().messages.len() < 2 {
        pair.run(us(50));
    }
    pair.a.send(&[7; 100]);
    // A look's packets are four round trips apart; the window of before would be a thousand.
    pair.run(DELAY.saturating_mul(2 * 8));
    assert_eq!(pair.b().messages.len(), 3);
}
