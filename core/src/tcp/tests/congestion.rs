//! Congestion control at work: flows through a bottleneck.

use super::bottleneck::{Bottleneck, MSS, jain};
use crate::tcp::Config;
use crate::tcp::congestion::Algorithm;
use crate::time::Duration;

const ENDLESS: u64 = 1 << 40;

fn with(algorithm: Algorithm) -> Config {
    Config::builder().congestion(algorithm).build().unwrap()
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn one_flow_fills_the_link_with_a_buffer_of_one_bandwidth_delay_product() {
    for (algorithm, least) in
        [(Algorithm::Cubic, 0.95), (Algorithm::Reno, 0.95), (Algorithm::Bbr, 0.9)]
    {
        let mut link = Bottleneck::new(20, 40, 100);
        link.open(with(algorithm), ENDLESS);
        link.run(seconds(4));
        let received = link.run(seconds(20));
        let share = link.utilisation(received[0], seconds(20));
        assert!(
            share >= least && share <= 1.0,
            "{algorithm:?}: {share} {:?}",
            link.flows[0].sender().congestion
        );
    }
}

#[test]
fn two_flows_of_a_kind_that_begin_apart_come_to_share_alike() {
    for algorithm in [Algorithm::Cubic, Algorithm::Reno, Algorithm::Bbr] {
        let mut link = Bottleneck::new(20, 40, 100);
        link.open(with(algorithm), ENDLESS);
        link.run(seconds(3));
        link.open(with(algorithm), ENDLESS);
        link.run(seconds(30));
        let shares = link.run(seconds(30));
        assert!(jain(&shares) >= 0.9, "{algorithm:?}: {shares:?}");
    }
}

#[test]
fn dctcp_keeps_the_queue_at_the_mark_and_the_link_full_without_a_loss() {
    let mut link = Bottleneck::new(50, 10, 400);
    link.mark_above = 20 * 1_500;
    link.open(with(Algorithm::Dctcp), ENDLESS);
    link.run(seconds(2));
    (link.backlog_max, link.drops) = (0, 0);
    let received = link.run(seconds(10));
    assert!(link.utilisation(received[0], seconds(10)) > 0.95, "{received:?}");
    assert_eq!(link.drops, 0);
    assert!(link.marks > 100);
    assert!(link.backlog_max < 2 * link.mark_above, "{}", link.backlog_max);
}

#[test]
fn bbr_leaves_a_deep_buffer_nearly_empty() {
    let mut link = Bottleneck::new(20, 40, 1_000);
    link.open(with(Algorithm::Bbr), ENDLESS);
    link.run(seconds(6));
    (link.backlog_max, link.drops) = (0, 0);
    let received = link.run(seconds(20));
    let bdp = 100_000;
    assert!(link.backlog_max < bdp * 3 / 2, "{}", link.backlog_max);
    assert!(link.utilisation(received[0], seconds(20)) > 0.9, "{received:?}");
    assert_eq!(link.drops, 0);
}

#[test]
fn a_paced_flow_never_sends_more_than_a_quantum_at_once() {
    let paced = Config::builder().pacing(true).build().unwrap();
    for config in [paced, with(Algorithm::Bbr)] {
        let mut link = Bottleneck::new(20, 40, 1_000);
        link.open(config, ENDLESS);
        link.run(seconds(1));
        link.burst_max = 0;
        let received = link.run(seconds(10));
        assert!(link.burst_max <= 4 * MSS, "{}", link.burst_max);
        assert!(link.utilisation(received[0], seconds(10)) > 0.8, "{received:?}");
    }
    let mut link = Bottleneck::new(20, 40, 100);
    link.open(Config::default(), ENDLESS);
    link.run(seconds(11));
    assert!(link.burst_max > 4 * MSS, "without pacing there are bursts: {}", link.burst_max);
}

#[test]
fn a_coarse_timer_costs_a_paced_flow_no_rate() {
    let paced = Config::builder().pacing(true).build().unwrap();
    for config in [paced, with(Algorithm::Bbr)] {
        let mut link = Bottleneck::new(200, 5, 200);
        link.granularity = Duration::from_micros(500);
        link.open(config, ENDLESS);
        link.run(seconds(2));
        let received = link.run(seconds(4));
        assert!(link.utilisation(received[0], seconds(4)) > 0.8, "{received:?}");
    }
}

#[test]
fn a_greatest_rate_is_kept_to_and_used() {
    let mut link = Bottleneck::new(50, 20, 100);
    link.open(Config::default(), ENDLESS);
    let now = link.now;
    let rate = crate::port::SocketOption::MaxPacingRate(500_000);
    link.flows[0].sender().set_option(now, rate).unwrap();
    link.run(seconds(1));
    let received = link.run(seconds(5))[0];
    assert!((2_300_000..=2_550_000).contains(&received), "{received}");
}

#[test]
fn after_idle_the_window_is_the_initial_one_unless_the_setting_says_otherwise() {
    for (restart, expected) in [(true, true), (false, false)] {
        let config = Config::builder().congestion(Algorithm::Reno).slow_start_after_idle(restart);
        let mut link = Bottleneck::new(20, 40, 100);
        link.open(config.build().unwrap(), 2_000_000);
        link.run(seconds(5));
        assert_eq!(link.received(), [2_000_000]);
        let before = link.flows[0].cwnd();
        assert!(before > 20 * MSS);
        link.run(seconds(5));
        link.flows[0].io[0].tx_end += u64::from(MSS);
        link.flush();
        link.run(seconds(1));
        let after = link.flows[0].cwnd();
        assert_eq!(after <= 11 * MSS, expected, "{before} {after}");
    }
}

#[test]
fn an_application_that_writes_little_does_not_make_the_window_grow() {
    for algorithm in [Algorithm::Cubic, Algorithm::Reno] {
        let mut link = Bottleneck::new(20, 40, 100);
        link.open(with(algorithm), 0);
        for _ in 0..100 {
            // Two segments each time: less than half of the window.
            link.flows[0].io[0].tx_end += 2 * u64::from(MSS);
            link.flush();
            link.run(Duration::from_millis(50));
        }
        assert_eq!(link.received(), [200 * u64::from(MSS)]);
        assert_eq!(link.flows[0].cwnd(), 10 * MSS, "{algorithm:?}");
    }
}

#[test]
fn bbr_keeps_most_of_the_rate_under_a_loss_of_one_percent_and_reno_does_not() {
    let share = |algorithm| {
        let mut link = Bottleneck::new(20, 40, 100);
        link.loss_ppm = 10_000;
        link.open(with(algorithm), ENDLESS);
        link.run(seconds(3));
        let received = link.run(seconds(15));
        link.utilisation(received[0], seconds(15))
    };
    let (bbr, reno) = (share(Algorithm::Bbr), share(Algorithm::Reno));
    assert!(bbr > 0.75, "{bbr}");
    assert!(reno < bbr, "{reno} against {bbr}");
}

#[test]
fn slow_start_ends_before_a_deep_queue_overflows() {
    // HyStart++ notices the queue; without it the window would double until eight products overflow.
    let mut link = Bottleneck::new(100, 50, 800);
    link.open(with(Algorithm::Cubic), ENDLESS);
    link.run(seconds(3));
    assert_eq!(link.drops, 0, "{}", link.flows[0].cwnd());
}
