//! Single segments, made by hand, against an established connection.

use super::pair::{CLIENT, Pair, SERVER};
use crate::error::EndReason;
use crate::tcp::assembler::INTERVALS_MAX;
use crate::tcp::{Config, Disposition, State};
use crate::time::Duration;
use crate::wire::tcp::{TcpFlags, TcpHeader};

const ACK: TcpFlags = TcpFlags::ACK;

/// A pair, and the header of a segment that the server will find next in order.
fn next_in_order() -> (Pair, TcpHeader) {
    next_in_order_with(Config::default())
}

fn next_in_order_with(config: Config) -> (Pair, TcpHeader) {
    let mut pair = Pair::established(config);
    pair.write(CLIENT, b"first");
    pair.run_until(|p| p.ends[SERVER].io.committed == 5);
    pair.run_until(|p| p.link.queue.is_empty());
    let mut header = *pair.ends[CLIENT].sent.last().unwrap();
    header.seq += 5;
    header.flags = ACK;
    (pair, header)
}

fn answers(pair: &mut Pair) -> usize {
    let mut count = 0;
    while pair.poll(SERVER).is_some() {
        count += 1;
    }
    count
}

#[test]
fn a_reset_counts_at_exactly_the_next_sequence_number_only() {
    let (mut pair, good) = next_in_order();
    for (offset, expected) in
        [(1, Disposition::ChallengeAck), (-1, Disposition::Ignore), (1 << 24, Disposition::Ignore)]
    {
        let mut header = TcpHeader { flags: TcpFlags::RST, ..good };
        header.seq.0 = header.seq.0.wrapping_add_signed(offset);
        assert_eq!(pair.deliver(SERVER, &header, &[]), Some(expected), "at {offset}");
        assert_eq!(answers(&mut pair), usize::from(expected == Disposition::ChallengeAck));
        assert_eq!(pair.ends[SERVER].state(), State::Established);
    }
    pair.deliver(SERVER, &TcpHeader { flags: TcpFlags::RST, ..good }, &[]);
    pair.flush();
    assert_eq!(pair.ends[SERVER].ended(), Some(EndReason::Reset));
}

#[test]
fn a_syn_in_a_synchronized_state_is_challenged_wherever_it_lies() {
    let (mut pair, good) = next_in_order();
    for seq in [good.seq, good.seq + 10, good.seq - 100] {
        for payload in [&b""[..], b"and data"] {
            let header = TcpHeader { flags: TcpFlags::SYN, seq, ..good };
            assert_eq!(pair.deliver(SERVER, &header, payload), Some(Disposition::ChallengeAck));
            assert_eq!(answers(&mut pair), 1);
            pair.run_for(Duration::from_millis(501));
        }
    }
    assert_eq!(pair.ends[SERVER].state(), State::Established);
}

#[test]
fn challenges_are_limited() {
    let (mut pair, good) = next_in_order();
    let header = TcpHeader { flags: TcpFlags::SYN, ..good };
    let mut sent = 0;
    for _ in 0..1_000 {
        pair.deliver(SERVER, &header, &[]);
        sent += answers(&mut pair);
    }
    assert_eq!(sent, 1);
    pair.run_for(Duration::from_millis(501));
    pair.deliver(SERVER, &header, &[]);
    assert_eq!(answers(&mut pair), 1);
}

#[test]
fn a_challenge_that_is_withheld_is_not_sent_and_nothing_else_is_lost() {
    let (mut pair, good) = next_in_order();
    let header = TcpHeader { flags: TcpFlags::SYN, ..good };
    assert_eq!(pair.deliver(SERVER, &header, &[]), Some(Disposition::ChallengeAck));
    pair.ends[SERVER].tcp().withhold_challenge();
    assert_eq!(answers(&mut pair), 0);
    pair.run_for(Duration::from_millis(501));
    pair.deliver(SERVER, &good, b"more");
    assert_eq!(pair.deliver(SERVER, &header, &[]), Some(Disposition::ChallengeAck));
    pair.ends[SERVER].tcp().withhold_challenge();
    assert_eq!(answers(&mut pair), 1, "the data is acknowledged");
}

#[test]
fn an_ack_of_what_was_never_sent_or_of_long_ago_takes_nothing_in() {
    let (mut pair, good) = next_in_order();
    for ack in [good.ack + 1, good.ack + 100_000, good.ack - 2_000_000] {
        let header = TcpHeader { ack, window: 1, ..good };
        assert_eq!(pair.deliver(SERVER, &header, b"evil"), Some(Disposition::ChallengeAck));
        pair.run_for(Duration::from_millis(501));
    }
    assert_eq!(pair.ends[SERVER].io.committed, 5);
    assert_ne!(pair.ends[SERVER].tcp().snd.snd_wnd, 256);
}

#[test]
fn a_segment_without_the_agreed_timestamp_is_taken_unless_one_is_required() {
    let (mut pair, mut bare) = next_in_order();
    bare.options.timestamps = None;
    assert_eq!(pair.deliver(SERVER, &bare, b"bare"), Some(Disposition::Accept));
    assert_eq!(pair.ends[SERVER].io.committed, 9);
}

#[test]
fn a_segment_without_ack_is_dropped() {
    let (mut pair, good) = next_in_order();
    let header = TcpHeader { flags: TcpFlags(0), ..good };
    assert_eq!(pair.deliver(SERVER, &header, b"data"), Some(Disposition::Ignore));
    assert_eq!(pair.ends[SERVER].io.committed, 5);
}

#[test]
fn an_old_timestamp_is_answered_and_dropped_and_a_missing_one_if_it_is_required() {
    let required = Config::builder().timestamps_required(true).build().unwrap();
    let (mut pair, good) = next_in_order_with(required);
    pair.run_for(Duration::from_millis(5));
    let mut old = good;
    if let Some(timestamps) = old.options.timestamps.as_mut() {
        timestamps.value = timestamps.value.wrapping_sub(10_000);
    }
    assert_eq!(pair.deliver(SERVER, &old, b"stale"), Some(Disposition::SendAck));
    let mut bare = good;
    bare.options.timestamps = None;
    assert_eq!(pair.deliver(SERVER, &bare, b"bare"), Some(Disposition::SendAck));
    assert_eq!(pair.ends[SERVER].io.committed, 5);
    // A RST needs no timestamp (RFC 7323 §3.2).
    bare.flags = TcpFlags::RST;
    pair.deliver(SERVER, &bare, &[]);
    assert_eq!(pair.ends[SERVER].state(), State::Closed);
}

#[test]
fn after_24_days_of_silence_any_timestamp_is_believed() {
    let (mut pair, good) = next_in_order();
    pair.run_for(Duration::from_secs(25 * 24 * 3_600));
    let mut old = good;
    if let Some(timestamps) = old.options.timestamps.as_mut() {
        timestamps.value = timestamps.value.wrapping_sub(10_000);
    }
    assert_eq!(pair.deliver(SERVER, &old, b"fresh"), Some(Disposition::Accept));
    assert_eq!(pair.ends[SERVER].io.committed, 10);
}

#[test]
fn a_fin_out_of_order_waits_for_what_is_missing_and_nothing_follows_it() {
    let (mut pair, good) = next_in_order();
    let fin = TcpHeader { flags: ACK.union(TcpFlags::FIN), seq: good.seq + 4, ..good };
    pair.deliver(SERVER, &fin, b"tail");
    assert_eq!(pair.ends[SERVER].state(), State::Established);
    let beyond = TcpHeader { seq: good.seq + 8, ..good };
    pair.deliver(SERVER, &beyond, b"beyond the end");
    pair.deliver(SERVER, &good, b"head");
    assert_eq!(pair.ends[SERVER].state(), State::CloseWait);
    assert_eq!(pair.ends[SERVER].io.committed, 13);
    assert_eq!(&pair.ends[SERVER].io.rx[..13], b"firstheadtail");
}

#[test]
fn overlapping_segments_leave_the_bytes_that_came_first() {
    let (mut pair, good) = next_in_order();
    let at = |offset| TcpHeader { seq: good.seq + offset, ..good };
    pair.deliver(SERVER, &at(4), b"EFGH");
    pair.deliver(SERVER, &at(2), b"xxxxxxxxxx");
    pair.deliver(SERVER, &at(0), b"abcd....");
    assert_eq!(&pair.ends[SERVER].io.rx, b"firstabxxEFGHxxxx");
    assert_eq!(pair.ends[SERVER].io.committed, 17);
}

#[test]
fn an_old_window_does_not_replace_a_newer_one() {
    let (mut pair, good) = next_in_order();
    pair.deliver(SERVER, &good, b"data");
    let newer = TcpHeader { window: 100, seq: good.seq + 4, ..good };
    pair.deliver(SERVER, &newer, b"more");
    assert_eq!(pair.ends[SERVER].tcp().snd.snd_wnd, 25_600);
    // The first bytes again, late, with one that is new, and the window of then.
    pair.deliver(SERVER, &TcpHeader { window: 1, ..good }, b"datamore!");
    assert_eq!(pair.ends[SERVER].io.committed, 14);
    assert_eq!(pair.ends[SERVER].tcp().snd.snd_wnd, 25_600);
}

#[test]
fn what_is_outside_of_the_window_is_answered_and_not_stored() {
    let (mut pair, good) = next_in_order();
    let wnd = pair.ends[SERVER].tcp().rcv.rcv_wnd();
    for seq in [good.seq + wnd, good.seq - 5] {
        let header = TcpHeader { seq, ..good };
        assert_eq!(pair.deliver(SERVER, &header, b"wrong"), Some(Disposition::SendAck));
        assert_eq!(answers(&mut pair), 1);
    }
    let last = TcpHeader { seq: good.seq + (wnd - 1), ..good };
    assert_eq!(pair.deliver(SERVER, &last, b"beyond"), Some(Disposition::Accept));
    assert_eq!(pair.ends[SERVER].io.committed, 5);
}

#[test]
fn each_segment_out_of_order_is_acknowledged_at_once_and_with_its_block_first() {
    let (mut pair, good) = next_in_order();
    for offset in [100, 300, 200] {
        let header = TcpHeader { seq: good.seq + offset, ..good };
        pair.deliver(SERVER, &header, &[1; 50]);
    }
    assert_eq!(answers(&mut pair), 3);
    let last = pair.ends[SERVER].sent.last().unwrap();
    let block = |offset| (good.seq + offset, good.seq + offset + 50);
    assert_eq!(last.options.sack.as_slice(), [block(200), block(300), block(100)]);
    assert_eq!(last.ack, good.seq);
}

#[test]
fn a_fin_below_bytes_that_were_received_is_no_end_of_the_stream() {
    let (mut pair, good) = next_in_order();
    let beyond = TcpHeader { seq: good.seq + 10, ..good };
    pair.deliver(SERVER, &beyond, &[7; 20]);
    let fin = TcpHeader { seq: good.seq + 15, flags: ACK.union(TcpFlags::FIN), ..good };
    pair.deliver(SERVER, &fin, &[]);
    pair.deliver(SERVER, &good, &[7; 10]);
    pair.flush();
    assert_eq!(pair.ends[SERVER].io.committed, 5 + 30);
    assert_eq!(pair.ends[SERVER].state(), State::Established);
    // The FIN that agrees with the bytes still counts.
    let fin = TcpHeader { seq: good.seq + 30, flags: ACK.union(TcpFlags::FIN), ..good };
    pair.deliver(SERVER, &fin, &[]);
    assert_eq!(pair.ends[SERVER].state(), State::CloseWait);
}

#[test]
fn what_is_next_in_order_is_taken_however_many_gaps_there_are() {
    let (mut pair, good) = next_in_order();
    // Beyond the first hundred every second byte arrives: the set of gaps is full.
    let gaps = u32::try_from(INTERVALS_MAX).expect("a small number") + 36;
    for number in 0..gaps {
        let header = TcpHeader { seq: good.seq + 100 + 2 * number, ..good };
        pair.deliver(SERVER, &header, &[7; 1]);
    }
    let taken = pair.ends[SERVER].tcp().info().rcv_ooopack;
    assert_eq!(taken as usize, INTERVALS_MAX, "the rest is refused");
    // This one touches none of them.
    pair.deliver(SERVER, &good, &[7; 50]);
    assert_eq!(pair.ends[SERVER].io.committed, 5 + 50);
    let rest = TcpHeader { seq: good.seq + 50, ..good };
    pair.deliver(SERVER, &rest, &[7; 50]);
    assert_eq!(pair.ends[SERVER].io.committed, 5 + 101);
}
