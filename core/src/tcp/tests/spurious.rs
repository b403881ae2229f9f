//! Losses that were none, and what undoes their consequences.

use std::collections::BTreeMap;

use super::pair::{CLIENT, Pair, SERVER};
use super::recovery::{acked, acknowledge, info, lost_flight, phase, plain, sent_now, timeouts};
use crate::tcp::Config;
use crate::tcp::recovery::Phase;
use crate::time::Duration;

/// Everything that is under way arrives `span` later, and what follows is as slow.
fn delay(pair: &mut Pair, span: Duration) {
    let queue = core::mem::take(&mut pair.link.queue);
    let later = queue.into_iter().map(|((at, n), segment)| ((at + span, n), segment));
    pair.link.queue = later.collect::<BTreeMap<_, _>>();
    pair.link.delay += span;
}

/// A stream in full swing.
fn warm(config: Config) -> Pair {
    let mut pair = Pair::established(config);
    pair.write(CLIENT, &[5; 100_000]);
    pair.run_until(|p| acked(p) == 100_000);
    pair
}

#[test]
fn a_timeout_that_a_delay_caused_is_undone_by_timestamps_or_by_f_rto() {
    for timestamps in [true, false] {
        let config = Config::builder().timestamps(timestamps).build().unwrap();
        let mut pair = warm(config);
        let before = info(&pair);
        pair.write(CLIENT, &[5; 200_000]);
        delay(&mut pair, Duration::from_millis(700));
        pair.run_until(|p| timeouts(p) > 0);
        assert_eq!(phase(&pair), Phase::Loss);
        assert_eq!(info(&pair).snd_cwnd, 1);
        pair.run_until(|p| phase(p) == Phase::Open);
        let after = info(&pair);
        assert!(after.cwnd_bytes >= before.cwnd_bytes, "{before:?}\n{after:?}");
        assert_eq!(after.ssthresh_bytes, before.ssthresh_bytes, "timestamps {timestamps}");
        assert_eq!(after.lost, 0);
        pair.run_until(|p| p.ends[SERVER].io.committed == 300_000);
        // What the timer and the probe sent, and nothing of the rest of the flight.
        assert!(info(&pair).retransmits <= 5, "{}", info(&pair).retransmits);
    }
}

#[test]
fn a_timeout_goes_by_the_round_trip_of_now_and_not_by_that_of_an_earlier_delay() {
    for timestamps in [true, false] {
        let config = Config::builder().timestamps(timestamps).build().unwrap();
        let mut pair = warm(config);
        let normal = pair.link.delay;
        pair.write(CLIENT, &[5; 100_000]);
        delay(&mut pair, Duration::from_secs(3));
        pair.run_until(|p| acked(p) == 200_000);
        // Now the path is as fast as before, and nothing is lost.
        pair.link.delay = normal;
        let mut sent = 200_000;
        while info(&pair).rto > Duration::from_secs(1) {
            pair.write(CLIENT, &[5; 20_000]);
            sent += 20_000;
            pair.run_until(|p| acked(p) == sent);
        }
        let before = timeouts(&pair);
        pair.link.loss_ppm = 1_000_000;
        pair.write(CLIENT, &[5; 100_000]);
        pair.run_until(|p| timeouts(p) > before);
        assert_eq!(info(&pair).snd_cwnd, 1, "timestamps {timestamps}: all of it had its time");
    }
}

#[test]
fn a_timeout_that_a_loss_caused_is_not_undone() {
    let mut pair = warm(Config::default());
    let before = info(&pair);
    pair.link.loss_ppm = 1_000_000;
    pair.write(CLIENT, &[5; 100_000]);
    pair.run_until(|p| timeouts(p) == 1);
    pair.link.loss_ppm = 0;
    pair.run_until(|p| p.ends[SERVER].io.committed == 200_000);
    assert!(info(&pair).ssthresh_bytes < before.ssthresh_bytes);
}

#[test]
fn a_fast_retransmit_that_reordering_caused_is_undone_by_the_duplicate_that_the_peer_reports() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    let before = info(&pair);
    for i in 1..=4 {
        acknowledge(&mut pair, una, 0, &[(1, 1 + i)]);
    }
    assert_eq!(sent_now(&mut pair, una), [0]);
    assert!(info(&pair).ssthresh_bytes < before.ssthresh_bytes);
    // The late segment arrives, and then what was sent again.
    acknowledge(&mut pair, una, 5, &[]);
    acknowledge(&mut pair, una, 5, &[(0, 1)]);
    let after = info(&pair);
    assert_eq!(phase(&pair), Phase::Open);
    assert_eq!(after.ssthresh_bytes, before.ssthresh_bytes);
    assert!(after.cwnd_bytes >= before.cwnd_bytes);
    // Nothing says where it was overtaken: what filled the hole may have been either.
    assert_eq!((after.dsack_dups, after.reord_seen), (1, 0));
}

#[test]
fn after_recovery_the_duplicate_still_undoes_it() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    let before = info(&pair);
    for i in 1..=4 {
        acknowledge(&mut pair, una, 0, &[(1, 1 + i)]);
    }
    sent_now(&mut pair, una);
    acknowledge(&mut pair, una, 10, &[]);
    assert_eq!(phase(&pair), Phase::Open);
    assert!(info(&pair).ssthresh_bytes < before.ssthresh_bytes);
    acknowledge(&mut pair, una, 10, &[(0, 1)]);
    assert_eq!(info(&pair).ssthresh_bytes, before.ssthresh_bytes);
}

#[test]
fn the_duplicate_that_comes_in_the_next_recovery_undoes_the_one_before_with_it() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    let before = info(&pair);
    acknowledge(&mut pair, una, 0, &[(1, 5)]);
    assert_eq!(sent_now(&mut pair, una), [0]);
    acknowledge(&mut pair, una, 10, &[]);
    let between = info(&pair);
    assert!(between.ssthresh_bytes < before.ssthresh_bytes);
    lost_flight(&mut pair, 10);
    acknowledge(&mut pair, una, 10, &[(11, 15)]);
    assert_eq!((sent_now(&mut pair, una)[0], phase(&pair)), (10, Phase::Fast));
    acknowledge(&mut pair, una, 10, &[(0, 1), (11, 15)]);
    let after = info(&pair);
    assert_eq!(phase(&pair), Phase::Fast, "of the last reduction nothing is known yet");
    assert!(after.ssthresh_bytes < between.ssthresh_bytes);
    acknowledge(&mut pair, una, 15, &[(10, 11)]);
    let after = info(&pair);
    assert_eq!((phase(&pair), after.ssthresh_bytes), (Phase::Open, before.ssthresh_bytes));
    assert!(after.cwnd_bytes >= before.cwnd_bytes);
}

#[test]
fn a_recovery_that_goes_on_as_the_next_one_is_undone_with_it() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    let before = info(&pair);
    acknowledge(&mut pair, una, 0, &[(1, 5)]);
    assert_eq!(sent_now(&mut pair, una), [0]);
    pair.write(CLIENT, &[5; 50_000]);
    acknowledge(&mut pair, una, 9, &[]);
    sent_now(&mut pair, una);
    // Of what is sent again now the last lies behind the end of this recovery: the next one begins with that under way.
    acknowledge(&mut pair, una, 9, &[(11, 12)]);
    assert_eq!(sent_now(&mut pair, una)[..2], [9, 10]);
    let between = info(&pair);
    acknowledge(&mut pair, una, 10, &[(11, 12)]);
    assert_eq!(phase(&pair), Phase::Fast);
    assert!(info(&pair).ssthresh_bytes < between.ssthresh_bytes);
    acknowledge(&mut pair, una, 10, &[(0, 1), (11, 12)]);
    acknowledge(&mut pair, una, 10, &[(9, 10), (11, 12)]);
    assert_eq!(phase(&pair), Phase::Fast, "what is under way may have been lost");
    acknowledge(&mut pair, una, 12, &[(10, 11)]);
    let after = info(&pair);
    assert_eq!((phase(&pair), after.ssthresh_bytes), (Phase::Open, before.ssthresh_bytes));
    assert!(after.cwnd_bytes >= before.cwnd_bytes);
}

#[test]
fn a_segment_that_is_only_overtaken_is_waited_for_once_reordering_is_known() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    // It is overtaken by one segment: too few to believe in a loss, and it arrives.
    acknowledge(&mut pair, una, 0, &[(1, 2)]);
    acknowledge(&mut pair, una, 2, &[]);
    assert_eq!((info(&pair).reord_seen, info(&pair).retransmits), (1, 0));
    // Overtaken by five the next one is not lost either, yet.
    acknowledge(&mut pair, una, 2, &[(3, 8)]);
    assert!(sent_now(&mut pair, una).is_empty());
    assert_eq!((phase(&pair), info(&pair).ca_state), (Phase::Open, 1));
    // A quarter of the round trip later it is.
    let (at, reason) = pair.ends[CLIENT].tcp().poll_timeout().unwrap();
    assert_eq!(reason, crate::tcp::TimerReason::ReorderTimeout);
    assert!(at.saturating_since(pair.now) <= Duration::from_millis(25));
    pair.now = at;
    let mut io = pair.ends[CLIENT].io.clone();
    pair.ends[CLIENT].tcp().handle_timeout(at, &mut io);
    assert_eq!(sent_now(&mut pair, una), [2]);
    assert_eq!(phase(&pair), Phase::Fast);
}
