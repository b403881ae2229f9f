//! Losses, what finds them and what repairs them.

use std::vec::Vec;

use super::pair::{CLIENT, Pair, SERVER};
use crate::event::RetransmitCause;
use crate::port::SocketInfo;
use crate::tcp::recovery::Phase;
use crate::tcp::{Config, ConnectionEvent, SeqNumber, State, TimerReason};
use crate::time::Duration;
use crate::wire::tcp::{SackBlocks, TcpFlags, TcpHeader};

pub const MSS: u32 = 1_460;

/// Two ends without timestamps, so that segments are [`MSS`] long.
pub fn plain(sack: bool) -> Pair {
    let config = Config::builder().timestamps(false).sack(sack).delayed_ack(Duration::ZERO);
    Pair::established(config.build().unwrap())
}

pub fn info(pair: &Pair) -> SocketInfo {
    pair.ends[CLIENT].tcp.as_ref().unwrap().info()
}

/// Payload bytes.
pub fn acked(pair: &Pair) -> u64 {
    pair.ends[CLIENT].tcp.as_ref().unwrap().bytes_acked()
}

pub fn phase(pair: &Pair) -> Phase {
    pair.ends[CLIENT].tcp.as_ref().unwrap().recovery.phase
}

pub fn timeouts(pair: &Pair) -> usize {
    let timeout = |e: &&ConnectionEvent| {
        matches!(e, ConnectionEvent::Retransmit { cause: RetransmitCause::Timeout, .. })
    };
    pair.ends[CLIENT].events.iter().filter(timeout).count()
}

/// `n` full segments under way, which get lost; the first byte's sequence number.
pub fn lost_flight(pair: &mut Pair, n: u32) -> SeqNumber {
    let una = pair.ends[CLIENT].tcp().snd.snd_una;
    // The window of a SYN is not scaled; the one of the acknowledgements to come is.
    acknowledge(pair, una, 0, &[]);
    pair.write(CLIENT, &std::vec![5; (n * MSS) as usize]);
    pair.link.queue.clear();
    una
}

/// The server acknowledges `ack`, and selectively the segments `blocks` of a flight that begins at `una`.
pub fn acknowledge(pair: &mut Pair, una: SeqNumber, ack: u32, blocks: &[(u32, u32)]) {
    let mut header = TcpHeader {
        flags: TcpFlags::ACK,
        ack: una + ack * MSS,
        options: crate::wire::tcp::TcpOptions::default(),
        ..*pair.ends[SERVER].sent.last().unwrap()
    };
    header.seq = pair.ends[CLIENT].tcp().rcv.rcv_nxt;
    header.window = u16::try_from(pair.ends[CLIENT].tcp().snd.snd_wnd >> 8).unwrap();
    header.options.sack = SackBlocks::default();
    for (left, right) in blocks {
        header.options.sack.push(una + left * MSS, una + right * MSS);
    }
    pair.deliver(CLIENT, &header, &[]);
}

/// Segments of payload that the client sends now, by their number in the flight that begins at `una`.
pub fn sent_now(pair: &mut Pair, una: SeqNumber) -> Vec<u32> {
    let before = pair.ends[CLIENT].sent.len();
    while pair.poll(CLIENT).is_some() {}
    let sent = &pair.ends[CLIENT].sent[before..];
    sent.iter().map(|h| (h.seq.0.wrapping_sub(una.0)) / MSS).collect()
}

#[test]
fn a_lost_tail_is_repaired_by_a_probe_two_round_trips_later_and_the_window_answers_the_loss() {
    let mut pair = Pair::established(Config::default());
    pair.link.drop_data = [8, 9].into();
    let begin = pair.now;
    pair.write(CLIENT, &[5; 14_480]);
    let cwnd = info(&pair).cwnd_bytes;
    pair.run_until(|p| p.ends[SERVER].io.committed == 14_480);
    // The probe shows that the segment before it is lost, too.
    assert_eq!((info(&pair).retransmits, timeouts(&pair)), (2, 0));
    assert!(pair.now.saturating_since(begin) < Duration::from_millis(100));
    pair.run_for(Duration::from_millis(50));
    assert!(info(&pair).ssthresh_bytes < 2 * cwnd, "{:?}", info(&pair));
}

#[test]
fn a_probe_of_something_that_was_only_late_changes_nothing_and_there_is_one_a_tail() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 4);
    let before = info(&pair);
    let (at, reason) = pair.ends[CLIENT].tcp().poll_timeout().unwrap();
    assert_eq!(reason, TimerReason::Probe);
    pair.now = at;
    let mut io = pair.ends[CLIENT].io.clone();
    pair.ends[CLIENT].tcp().handle_timeout(at, &mut io);
    assert_eq!(sent_now(&mut pair, una), [3], "the last segment");
    assert_eq!((info(&pair).retrans, info(&pair).retransmits), (0, 1), "nothing is believed lost");
    let (_, reason) = pair.ends[CLIENT].tcp().poll_timeout().unwrap();
    assert_eq!(reason, TimerReason::Retransmit, "no second probe");
    // All of it arrives, and the probe as a duplicate.
    acknowledge(&mut pair, una, 4, &[]);
    acknowledge(&mut pair, una, 4, &[(3, 4)]);
    let after = info(&pair);
    assert_eq!(after.ssthresh_bytes, before.ssthresh_bytes);
    assert!(after.cwnd_bytes >= before.cwnd_bytes);
    assert_eq!(after.dsack_dups, 1);
}

#[test]
fn a_probe_is_new_data_where_there_is_some() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 15);
    let (at, reason) = pair.ends[CLIENT].tcp().poll_timeout().unwrap();
    assert_eq!((reason, info(&pair).unacked), (TimerReason::Probe, 10));
    pair.now = at;
    let mut io = pair.ends[CLIENT].io.clone();
    pair.ends[CLIENT].tcp().handle_timeout(at, &mut io);
    assert_eq!(sent_now(&mut pair, una), [10]);
    assert_eq!(info(&pair).retransmits, 0);
}

#[test]
fn the_first_two_duplicates_let_new_segments_out_and_the_third_the_lost_one() {
    for sack in [true, false] {
        let mut pair = plain(sack);
        let una = lost_flight(&mut pair, 20);
        assert_eq!(info(&pair).unacked, 10);
        let told: Vec<Vec<u32>> = (1..=3)
            .map(|i| {
                let blocks = [(1, 1 + i)];
                acknowledge(&mut pair, una, 0, if sack { &blocks } else { &[] });
                sent_now(&mut pair, una)
            })
            .collect();
        assert_eq!(told, [[10], [11], [0]], "RFC 3042, sack {sack}");
        assert_eq!(info(&pair).ca_state, 3);
        assert_eq!((info(&pair).lost, info(&pair).retrans, info(&pair).sacked), (1, 1, 3));
    }
}

#[test]
fn recovery_sends_about_as_much_as_arrives_and_ends_at_the_threshold() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 40);
    let mut most = 0;
    for i in 1..=9 {
        acknowledge(&mut pair, una, 0, &[(1, 1 + i)]);
        most = most.max(sent_now(&mut pair, una).len());
    }
    assert!(most <= 1, "{most} segments for one acknowledgement");
    let ssthresh = info(&pair).ssthresh_bytes;
    assert!(info(&pair).cwnd_bytes <= ssthresh + MSS, "{:?}", info(&pair));
    let max = info(&pair).unacked;
    acknowledge(&mut pair, una, max, &[]);
    assert_eq!(phase(&pair), Phase::Open);
    assert!(info(&pair).cwnd_bytes <= ssthresh + MSS, "{:?}", info(&pair));
}

#[test]
fn a_lost_retransmission_is_sent_again_without_a_timeout() {
    let mut pair = Pair::established(Config::default());
    // The second segment, and then its retransmission.
    pair.link.drop_data = [1, 12].into();
    pair.write(CLIENT, &[5; 40 * 1_448]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 40 * 1_448);
    assert_eq!((timeouts(&pair), info(&pair).retransmits), (0, 2), "{}", pair.log.join("\n"));
}

#[test]
fn partial_acknowledgements_repair_one_hole_each_for_peers_without_sack() {
    let mut pair = plain(false);
    let una = lost_flight(&mut pair, 10);
    for _ in 0..3 {
        acknowledge(&mut pair, una, 0, &[]);
    }
    assert_eq!(sent_now(&mut pair, una), [0]);
    acknowledge(&mut pair, una, 4, &[]);
    assert_eq!(sent_now(&mut pair, una), [4]);
    acknowledge(&mut pair, una, 8, &[]);
    assert_eq!(sent_now(&mut pair, una), [8]);
    assert_eq!(phase(&pair), Phase::Fast);
    acknowledge(&mut pair, una, 10, &[]);
    assert_eq!(phase(&pair), Phase::Fast, "until something beyond is acknowledged");
    pair.write(CLIENT, &[5; MSS as usize]);
    pair.run_until(|pair| info(pair).unacked == 1);
    acknowledge(&mut pair, una, 11, &[]);
    assert_eq!((phase(&pair), info(&pair).retransmits), (Phase::Open, 3));
}

#[test]
fn a_timeout_leaves_one_segment_and_sends_again_only_what_the_peer_does_not_hold() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    // The peer holds 1 and 6 to 9; the flight's end is told too late for fast retransmit.
    acknowledge(&mut pair, una, 0, &[(1, 2)]);
    pair.link.loss_ppm = 1_000_000;
    pair.run_until(|p| phase(p) == Phase::Loss);
    assert_eq!(info(&pair).snd_cwnd, 1);
    let ssthresh = info(&pair).ssthresh_bytes;
    acknowledge(&mut pair, una, 0, &[(6, 10), (1, 2)]);
    let mut again = sent_now(&mut pair, una);
    let mut acked = 1;
    while acked < 10 {
        acked = match acked {
            1 => 2,
            6 => 10,
            n => n + 1,
        };
        acknowledge(&mut pair, una, acked, &[]);
        again.extend(sent_now(&mut pair, una));
    }
    again.dedup();
    assert!(again.iter().all(|n| [0, 2, 3, 4, 5].contains(n)), "{again:?}");
    assert_eq!(info(&pair).ssthresh_bytes, ssthresh, "reduced once");
    assert_eq!(phase(&pair), Phase::Open);
}

#[test]
fn timeouts_in_a_row_reduce_the_threshold_once() {
    let mut pair = plain(true);
    lost_flight(&mut pair, 10);
    pair.link.loss_ppm = 1_000_000;
    pair.run_until(|p| timeouts(p) == 1);
    let ssthresh = info(&pair).ssthresh_bytes;
    pair.run_until(|p| timeouts(p) == 4);
    assert_eq!(info(&pair).ssthresh_bytes, ssthresh);
    assert_eq!((info(&pair).ca_state, info(&pair).timeouts, info(&pair).backoff), (4, 4, 4));
}

#[test]
fn a_peer_that_takes_back_what_it_held_is_sent_it_again() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    acknowledge(&mut pair, una, 0, &[(1, 2)]);
    // It dropped the second segment again, and acknowledges the first alone.
    acknowledge(&mut pair, una, 1, &[]);
    assert_eq!(info(&pair).sacked, 1);
    let (at, _) = pair.ends[CLIENT].tcp().poll_timeout().unwrap();
    assert!(at.saturating_since(pair.now) <= Duration::from_millis(50), "soon");
    pair.now = at;
    let mut io = pair.ends[CLIENT].io.clone();
    pair.ends[CLIENT].tcp().handle_timeout(at, &mut io);
    assert_eq!((info(&pair).sacked, info(&pair).lost), (0, 9));
    let mut again = sent_now(&mut pair, una);
    for acked in 2..=10 {
        acknowledge(&mut pair, una, acked, &[]);
        again.extend(sent_now(&mut pair, una));
    }
    assert_eq!(again, [1, 2, 3, 4, 5, 6, 7, 8, 9], "all of it, once");
}

#[test]
fn selective_acknowledgements_of_a_late_segment_are_used() {
    let mut pair = plain(true);
    let una = lost_flight(&mut pair, 10);
    acknowledge(&mut pair, una, 2, &[]);
    acknowledge(&mut pair, una, 1, &[(4, 5)]);
    assert_eq!(info(&pair).sacked, 1);
    acknowledge(&mut pair, una, 1, &[(1, 3)]);
    assert_eq!(info(&pair).sacked, 1, "what is acknowledged meanwhile is no news");
}

#[test]
fn without_timestamps_a_backed_off_timeout_stays_until_something_that_was_sent_once_is_acknowledged()
 {
    let mut pair = plain(false);
    lost_flight(&mut pair, 3);
    pair.link.loss_ppm = 1_000_000;
    pair.run_until(|p| timeouts(p) == 2);
    pair.link.loss_ppm = 0;
    pair.run_until(|p| acked(p) == u64::from(3 * MSS));
    assert!(info(&pair).backoff >= 2, "Karn");
    pair.write(CLIENT, &[1; 100]);
    pair.run_until(|p| p.ends[SERVER].io.committed == u64::from(3 * MSS) + 100);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(info(&pair).backoff, 0);
}

#[test]
fn with_timestamps_a_retransmission_that_is_acknowledged_gives_a_sample() {
    let mut pair = Pair::established(Config::builder().sack(false).build().unwrap());
    pair.write(CLIENT, &[5; 100]);
    pair.link.queue.clear();
    pair.run_until(|p| timeouts(p) == 1);
    assert_eq!(info(&pair).backoff, 1);
    pair.run_until(|p| acked(p) == 100);
    assert_eq!(info(&pair).backoff, 0);
}

#[test]
fn an_echo_of_the_future_or_of_more_than_the_longest_timeout_ago_is_no_round_trip() {
    let longest = Config::default().rto_ms_max;
    for (age_ms, counts) in [(700, true), (longest + 1_000, false), (u32::MAX - 5, false)] {
        let mut pair = Pair::established(Config::builder().sack(false).build().unwrap());
        pair.write(CLIENT, &[5; 100]);
        pair.link.queue.clear();
        pair.run_until(|p| timeouts(p) == 1);
        let before = info(&pair).srtt;
        let now = pair.now;
        let tcp = pair.ends[CLIENT].tcp();
        let (ack, clock) = (tcp.snd.snd_max, tcp.timestamp(now));
        let mut header = *pair.ends[SERVER].sent.last().unwrap();
        (header.flags, header.seq, header.ack) = (TcpFlags::ACK, header.seq + 1, ack);
        header.options.timestamps.as_mut().unwrap().echo = clock.wrapping_sub(age_ms);
        pair.deliver(CLIENT, &header, &[]);
        assert_eq!(acked(&pair), 100);
        assert_eq!(info(&pair).srtt != before, counts, "an echo of {age_ms} ms ago");
    }
}

#[test]
fn time_wait_keeps_nothing_of_recovery() {
    let mut pair = Pair::established(Config::default());
    pair.link.drop_data = [2].into();
    pair.write(CLIENT, &[5; 14_480]);
    pair.run_until(|p| acked(p) == 14_480);
    pair.shutdown(CLIENT);
    pair.run_until(|p| p.states() == [State::FinWait2, State::CloseWait]);
    assert!(pair.ends[CLIENT].tcp().recovery.flight.is_some());
    pair.shutdown(SERVER);
    pair.run_until(|p| p.states()[CLIENT] == State::TimeWait);
    assert!(pair.ends[CLIENT].tcp().recovery.flight.is_none());
}

#[test]
fn recovery_keeps_nothing_for_a_connection_that_is_idle_and_its_figures_stay() {
    let mut pair = Pair::established(Config::default());
    pair.link.drop_data = [2].into();
    pair.write(CLIENT, &[5; 14_480]);
    pair.run_until(|p| acked(p) == 14_480);
    assert!(pair.ends[CLIENT].tcp().recovery.flight.is_some());
    let before = info(&pair);
    pair.run_for(Duration::from_secs(12));
    assert!(pair.ends[CLIENT].tcp().recovery.flight.is_none());
    assert_eq!(pair.ends[CLIENT].tcp().poll_timeout(), None);
    let after = info(&pair);
    assert_eq!((after.retransmits, after.bytes_retrans), (1, 1_448));
    assert_eq!((after.delivered, after.min_rtt), (before.delivered, before.min_rtt));
    assert_eq!(after.delivered, 11, "the SYN and ten segments");
    pair.write(CLIENT, &[5; 14_480]);
    pair.run_until(|p| acked(p) == 28_960);
    assert_eq!(info(&pair).delivered, 21);
}

#[test]
fn duplicates_are_reported_below_the_window_and_inside_of_what_is_held() {
    let mut pair = Pair::established(Config::default());
    pair.write(CLIENT, b"first");
    pair.run_until(|p| p.ends[SERVER].io.committed == 5);
    let first = *pair.ends[CLIENT].sent.last().unwrap();
    let at = |offset: u32| TcpHeader { seq: first.seq + offset, ..first };
    let range = |from: u32, to: u32| (first.seq + from, first.seq + to);
    let told = |pair: &mut Pair, header: &TcpHeader, payload: &[u8]| {
        pair.deliver(SERVER, header, payload);
        let mut blocks = Vec::new();
        while let Some(answer) = pair.poll(SERVER) {
            blocks.push(answer.header.options.sack.as_slice().to_vec());
        }
        blocks
    };
    assert_eq!(told(&mut pair, &first, b"first"), [[range(0, 5)]], "all of it");
    assert_eq!(told(&mut pair, &first, b"firstly"), [[range(0, 5)]], "the part below RCV.NXT");
    assert_eq!(told(&mut pair, &at(20), &[1; 10]), [[range(20, 30)]], "no duplicate");
    assert_eq!(told(&mut pair, &at(40), &[1; 10]), [[range(40, 50), range(20, 30)]]);
    assert_eq!(
        told(&mut pair, &at(22), &[1; 4]),
        [[range(22, 26), range(20, 30), range(40, 50)]],
        "inside of a block, which comes next"
    );
    assert_eq!(
        told(&mut pair, &at(25), &[1; 10]),
        [[range(25, 30), range(20, 35), range(40, 50)]],
        "in part"
    );
    assert_eq!(
        told(&mut pair, &at(60), &[1; 10]),
        [[range(60, 70), range(20, 35), range(40, 50)]],
        "told once"
    );
}
