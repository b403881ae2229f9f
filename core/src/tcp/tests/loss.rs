use super::pair::{CLIENT, Pair, SERVER};
use crate::error::EndReason;
use crate::event::RetransmitCause;
use crate::tcp::congestion::Algorithm;
use crate::tcp::{Config, ConnectionEvent, State};
use crate::time::Duration;

fn retransmits(pair: &Pair, cause: RetransmitCause) -> usize {
    let of_cause = |e: &&ConnectionEvent| matches!(e, ConnectionEvent::Retransmit { cause: c, .. } if *c == cause);
    pair.ends[CLIENT].events.iter().filter(of_cause).count()
}

fn config(sack: bool) -> Config {
    Config::builder().sack(sack).build().unwrap()
}

#[test]
fn one_lost_segment_is_sent_again_after_three_duplicates_and_before_any_timeout() {
    for sack in [false, true] {
        let mut pair = Pair::established(config(sack));
        pair.link.drop_data = [2].into();
        let begin = pair.now;
        pair.write(CLIENT, &[5; 14_480]);
        pair.run_until(|p| p.ends[SERVER].io.committed == 14_480);
        assert!(pair.now.saturating_since(begin) < Duration::from_millis(60));
        assert_eq!(retransmits(&pair, RetransmitCause::Fast), 1);
        assert_eq!(retransmits(&pair, RetransmitCause::Timeout), 0);
        let info = pair.ends[CLIENT].tcp().info();
        assert_eq!(info.retransmits, 1);
        // Seven tenths of twelve segments (RFC 9438 §4.6).
        assert!(info.ssthresh_bytes <= 12_163, "{info:?}");
    }
}

#[test]
fn several_losses_in_one_flight_are_repaired_without_a_timeout() {
    for sack in [false, true] {
        let mut pair = Pair::established(config(sack));
        pair.link.drop_data = [30, 33, 36].into();
        pair.write(CLIENT, &[5; 200_000]);
        pair.run_until(|p| p.ends[SERVER].io.committed == 200_000);
        assert_eq!(retransmits(&pair, RetransmitCause::Timeout), 0);
        assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 3, "sack {sack}");
    }
}

#[test]
fn a_lost_flight_is_sent_again_by_the_timer_and_the_window_begins_at_one_segment() {
    // Without selective acknowledgements there is no probe.
    let mut pair = Pair::established(config(false));
    pair.link.drop_data = [9].into();
    pair.write(CLIENT, &[5; 14_480]);
    pair.run_until(|p| p.ends[CLIENT].tcp.as_ref().unwrap().info().retransmits == 1);
    assert_eq!(pair.ends[CLIENT].tcp().info().cwnd_bytes, 1_448);
    pair.run_until(|p| p.ends[SERVER].io.committed == 14_480);
    assert_eq!(retransmits(&pair, RetransmitCause::Timeout), 1);
}

#[test]
fn two_duplicates_let_two_new_segments_out_and_nothing_else() {
    let mut pair = Pair::established(Config::default());
    pair.link.drop_data = [7].into();
    pair.write(CLIENT, &[5; 14_480 + 3 * 1_448]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 14_480 + 3 * 1_448);
    assert_eq!(retransmits(&pair, RetransmitCause::Timeout), 0);
}

#[test]
fn a_peer_that_vanishes_is_given_up_after_the_configured_retries() {
    let config = Config::builder().retries_max(5).build().unwrap();
    let mut pair = Pair::established(config);
    pair.link.loss_ppm = 1_000_000;
    let sent = pair.ends[CLIENT].sent.len();
    pair.write(CLIENT, b"hello?");
    pair.run_until(|p| p.ends[CLIENT].state() == State::Closed);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    assert_eq!(pair.ends[CLIENT].sent.len() - sent, 7, "the probe of the tail, too");
}

#[test]
fn a_peer_that_shrinks_its_window_still_gets_what_was_sent() {
    let mut pair = Pair::established(Config::default());
    pair.write(CLIENT, &[5; 14_480]);
    pair.link.queue.clear();
    let mut shrunk = *pair.ends[SERVER].sent.last().unwrap();
    shrunk.flags = crate::wire::tcp::TcpFlags::ACK;
    shrunk.seq += 1;
    shrunk.window = 0;
    pair.deliver(CLIENT, &shrunk, &[]);
    assert_eq!(pair.ends[CLIENT].tcp().snd.snd_wnd, 0);
    pair.run_until(|p| p.ends[SERVER].io.committed == 14_480);
}

#[test]
fn a_burst_of_losses_is_repaired_in_few_round_trips_with_selective_acknowledgements() {
    let mut pair = Pair::established(config(true));
    pair.link.drop_data = (30..46).step_by(2).collect();
    let begin = pair.now;
    pair.write(CLIENT, &[5; 200_000]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 200_000);
    assert_eq!(retransmits(&pair, RetransmitCause::Timeout), 0);
    assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 8, "the holes and nothing else");
    assert!(pair.now.saturating_since(begin) < Duration::from_millis(20 * 10));
}

#[test]
fn hostile_sack_blocks_change_nothing() {
    let mut pair = Pair::established(config(true));
    pair.write(CLIENT, &[5; 14_480]);
    pair.link.queue.clear();
    let mut ack = *pair.ends[SERVER].sent.last().unwrap();
    ack.flags = crate::wire::tcp::TcpFlags::ACK;
    ack.seq += 1;
    let (una, max) = (pair.ends[CLIENT].tcp().snd.snd_una, pair.ends[CLIENT].tcp().snd.snd_max);
    for (left, right) in
        [(una, max), (una + 9, max + 1), (una + 9, una + 9), (una + 9, una + 5), (una - 9, una - 1)]
    {
        ack.options.sack = crate::wire::tcp::SackBlocks::default();
        ack.options.sack.push(left, right);
        pair.deliver(CLIENT, &ack, &[]);
        let flight = pair.ends[CLIENT].tcp().recovery.flight.as_deref().unwrap();
        assert_eq!(flight.sacked_bytes, 0, "{left:?} {right:?}");
    }
}

#[test]
fn an_acknowledgement_that_leaves_no_hole_in_recovery_sends_nothing_again() {
    // Without timestamps, by which it would be known that the segment was late and not lost.
    let config = Config::builder().timestamps(false).build().unwrap();
    let mut pair = Pair::established(config);
    pair.write(CLIENT, &[5; 14_600]);
    let mut ack = *pair.ends[SERVER].sent.last().unwrap();
    ack.flags = crate::wire::tcp::TcpFlags::ACK;
    ack.seq += 1;
    pair.link.queue.clear();
    let una = pair.ends[CLIENT].tcp().snd.snd_una;
    // The first segment is late: three behind it arrive first, and recovery begins.
    for segments in 2..5 {
        ack.ack = una;
        ack.options.sack = crate::wire::tcp::SackBlocks::default();
        ack.options.sack.push(una + 1_460, una + segments * 1_460);
        pair.deliver(CLIENT, &ack, &[]);
    }
    pair.flush();
    assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 1, "the hole");
    // Then it arrives, and what is behind comes in order: acknowledged piece by piece, short of where recovery ends.
    ack.options.sack = crate::wire::tcp::SackBlocks::default();
    for segments in 4..9 {
        ack.ack = una + segments * 1_460;
        pair.deliver(CLIENT, &ack, &[]);
        pair.flush();
    }
    assert_eq!(pair.ends[CLIENT].tcp().recovery.phase, crate::tcp::recovery::Phase::Fast);
    assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 1, "nothing else is missing");
}

#[test]
fn a_window_of_small_segments_lets_a_larger_one_out_when_the_path_carries_it_again() {
    for algorithm in Algorithm::ALL {
        let config = Config::builder().congestion(algorithm).slow_start_after_idle(false);
        let mut pair = Pair::established(config.build().unwrap());
        pair.limits.mss_ip = 200;
        // A timeout leaves a window of one small segment; its acknowledgement lets it grow to a few.
        pair.link.drop_data = [0, 1, 2].into();
        pair.write(CLIENT, &[1; 150]);
        pair.run_until(|p| p.ends[SERVER].io.committed == 150);
        assert!(retransmits(&pair, RetransmitCause::Timeout) > 0);
        pair.run_for(Duration::from_secs(3));
        pair.limits.mss_ip = 8_960;
        pair.ends[CLIENT].tcp().options.peer_mss = 8_960;
        pair.write(CLIENT, &[2; 50_000]);
        pair.run_until(|p| p.ends[SERVER].io.committed == 50_150);
        assert!(pair.ends[CLIENT].tcp().congestion.cwnd() >= 8_960, "{algorithm:?}");
    }
}
