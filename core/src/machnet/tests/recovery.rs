//! How much is sent again, measured against what the link did.

use std::vec;

use super::pair::{Account, DELAY, Link, Pair};
use crate::machnet::{Config, IN_FLIGHT_MAX};
use crate::time::Duration;
use crate::wire::machnet::PAYLOAD_MAX;

const MESSAGES: usize = 40;
const MESSAGE_PACKETS: usize = 100;

/// Sends [`MESSAGES`] messages over `link`, and says what became of their packets and how long it took.
fn transfer(seed: u64, link: Link) -> (Account, Duration) {
    let mut pair = Pair::established(seed, Config::default());
    pair.link = link;
    let begin = pair.now;
    let message = vec![7; MESSAGE_PACKETS * usize::from(PAYLOAD_MAX)];
    for _ in 0..MESSAGES {
        pair.a.send(&message);
    }
    while !pair.a.flow.is_idle() {
        pair.run(Duration::from_millis(1));
    }
    assert_eq!(pair.b().messages.len(), MESSAGES);
    assert_eq!(u64::from(pair.account.again), pair.a.flow.info().retransmits);
    (pair.account, pair.now.saturating_since(begin))
}

/// The sum over some seeds.
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
fn over_a_link_that_reorders_and_loses_nothing_at_most_one_packet_in_a_hundred_is_sent_again() {
    for (reorder, late_us) in [(10_000, 30), (10_000, 100), (100_000, 30), (100_000, 100)] {
        let late_max = Duration::from_micros(late_us);
        let (account, _) = transfers(Link { reorder, late_max, ..Link::default() });
        assert_eq!(account.dropped, 0);
        assert!(account.again * 100 <= account.sent, "{reorder} ppm, {late_us} us: {account:?}");
    }
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
fn reordering_does_not_make_the_window_small() {
    let round_trips = (MESSAGES * MESSAGE_PACKETS).div_ceil(usize::from(IN_FLIGHT_MAX)) as u64;
    let ideal = (DELAY + DELAY).saturating_mul(8 * round_trips);
    let late_max = Duration::from_micros(30);
    let (_, took) = transfers(Link { reorder: 10_000, late_max, ..Link::default() });
    // One packet in a hundred is held back by up to a third of a round trip, and everything behind it with it.
    assert!(took.saturating_mul(5) <= ideal.saturating_mul(6), "{took}, at least {ideal}");
}

#[test]
fn a_network_that_stands_still_longer_than_the_timeout_does_not_have_everything_sent_again() {
    let mut pair = Pair::established(1, Config::default());
    let message = vec![7; MESSAGE_PACKETS * usize::from(PAYLOAD_MAX)];
    pair.a.send(&message);
    pair.run(Duration::from_millis(5));
    pair.a.send(&message);
    pair.link.still_until = pair.now + Duration::from_millis(25);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 2);
    let account = pair.account;
    assert!((1..=4).contains(&account.again), "{account:?}");
}
