//! A link that reorders or loses, in virtual time: how fast a stream goes, and how much is sent again for nothing.

use super::link::Link;
use super::pair::{CLIENT, Pair, SERVER};
use crate::event::RetransmitCause;
use crate::tcp::{Config, ConnectionEvent};
use crate::time::Duration;

const BYTES: usize = 6_000_000;

/// How a transfer of [`BYTES`] went.
#[derive(Debug)]
struct Outcome {
    took: Duration,
    segments: u64,
    resent: u64,
    timeouts: usize,
}

impl Outcome {
    fn mbit_s(&self) -> u64 {
        BYTES as u64 * 8_000 / self.took.as_nanos().max(1)
    }
}

/// 20 ms there and back, 50 Mbit/s, and what `weather` makes of it.
fn transfer(config: Config, seed: u64, weather: impl Fn(&mut Link)) -> Outcome {
    let mut pair = Pair::new(config);
    pair.link = Link::new(seed);
    pair.link.rate_bit_us = 50;
    for end in &mut pair.ends {
        end.io.rx_capacity = 300_000;
    }
    pair.connect();
    pair.run_until(|p| p.ends[SERVER].tcp.is_some());
    weather(&mut pair.link);
    let begin = pair.now;
    let data = super::stream::noise(seed, BYTES);
    pair.write(CLIENT, &data);
    pair.run_until(|p| p.ends[SERVER].io.committed == BYTES as u64);
    assert!(pair.ends[SERVER].io.rx == data);
    let timeouts = pair.ends[CLIENT].events.iter().filter(|e| {
        matches!(e, ConnectionEvent::Retransmit { cause: RetransmitCause::Timeout, .. })
    });
    Outcome {
        took: pair.now.saturating_since(begin),
        segments: pair.link.data_sent,
        timeouts: timeouts.count(),
        resent: pair.ends[CLIENT].tcp().info().retransmits,
    }
}

#[test]
fn reordering_costs_neither_a_tenth_of_the_goodput_nor_a_hundredth_of_the_segments() {
    // Without timestamps only duplicates tell of what was none: each reduction that they fail to undo costs a seed its goodput.
    for (timestamps, seeds) in [(true, 3), (false, 30)] {
        for seed in 1..=seeds {
            let config = Config::builder().timestamps(timestamps).build().unwrap();
            let clean = transfer(config, seed, |_| {});
            assert_eq!(clean.resent, 0);
            let reordered = transfer(config, seed, |link| {
                link.reorder_ppm = 20_000;
                link.reorder_us_max = 10_000;
            });
            assert!(
                reordered.mbit_s() * 10 >= clean.mbit_s() * 9,
                "{seed}: {clean:?} {reordered:?}"
            );
            assert!(reordered.resent * 100 < reordered.segments, "{reordered:?}");
            assert_eq!(reordered.timeouts, 0);
        }
    }
}

#[test]
fn random_loss_is_repaired_without_timeouts_and_almost_nothing_is_sent_for_nothing() {
    for seed in 1..=3 {
        let outcome = transfer(Config::default(), seed, |link| link.loss_ppm = 10_000);
        // What the square root law says of a window that halves (RFC 3819 §8.3.1) is 7 Mbit/s.
        assert!(outcome.mbit_s() >= 6, "{outcome:?} {}", outcome.mbit_s());
        assert_eq!(outcome.timeouts, 0, "{outcome:?}");
        assert!(outcome.resent < outcome.segments / 66, "{outcome:?}");
    }
}

#[test]
fn loss_and_reordering_together_still_cost_little() {
    for seed in 1..=3 {
        let outcome = transfer(Config::default(), seed, |link| {
            link.loss_ppm = 10_000;
            link.reorder_ppm = 20_000;
            link.reorder_us_max = 10_000;
        });
        assert!(outcome.mbit_s() >= 5, "{outcome:?} {}", outcome.mbit_s());
        // 1 % is lost; 53 of 4,197 are sent again at most, and 93 without a window for reordering.
        assert!(outcome.resent < outcome.segments / 60, "{outcome:?}");
    }
}
