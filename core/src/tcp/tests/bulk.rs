//! Bulk transfer: what is decided on for many segments at once is what it would be for each of them.

use std::vec;

use super::pair::{CLIENT, Pair, SERVER};
use crate::tcp::recovery::Phase;
use crate::tcp::seq::SeqNumber;
use crate::tcp::{Config, Connection, Disposition, Ecn, MtuProbing, PlainHeader, SegmentIn, State};
use crate::time::Duration;
use crate::wire::tcp::{SackBlocks, TcpFlags, TcpHeader, Timestamps};

/// A client with a little in flight, and `bytes` more written that it has not looked at.
fn busy(bytes: usize) -> Pair {
    busy_with(Config::default(), bytes)
}

fn busy_with(config: Config, bytes: usize) -> Pair {
    let mut pair = Pair::established(config);
    pair.write(CLIENT, &[1; 3_000]);
    pair.ends[CLIENT].io.tx.extend(vec![2; bytes]);
    pair
}

/// Sends what may leave, in bursts of at most `most`.
fn send(pair: &mut Pair, most: u32) {
    let end = &mut pair.ends[CLIENT];
    let tcp = end.tcp.as_mut().unwrap();
    loop {
        let count = tcp.burst_len(&pair.limits, &end.io, most);
        if count > 0 {
            tcp.transmit_burst(pair.now, &pair.limits, &end.io, count);
        } else if tcp.poll_transmit(pair.now, &pair.limits, &end.io).is_none() {
            return;
        }
    }
}

#[test]
fn a_burst_is_the_segments_that_would_have_left_one_by_one() {
    let mss = 1_448;
    for (bytes, most) in
        [(mss, 9), (mss - 1, 9), (3 * mss, 9), (3 * mss + 1, 9), (99 * mss, 9), (99 * mss, 2)]
    {
        let mut pair = busy(bytes as usize);
        let (now, limits) = (pair.now, pair.limits);
        let end = &mut pair.ends[CLIENT];
        let together = end.tcp.as_mut().unwrap();
        let mut one_by_one = together.clone();
        let count = together.burst_len(&limits, &end.io, most);
        assert!(count <= most && count * mss <= bytes, "{count} segments of {bytes} bytes");
        assert_eq!(count > 0, bytes >= mss);
        if count > 0 {
            let burst = together.transmit_burst(now, &limits, &end.io, count);
            for index in 0..count {
                let single = one_by_one.poll_transmit(now, &limits, &end.io);
                assert_eq!(single, Some(burst.cut(index)), "{index} of {count}, {bytes} bytes");
            }
        }
        loop {
            let single = one_by_one.poll_transmit(now, &limits, &end.io);
            assert_eq!(single, together.poll_transmit(now, &limits, &end.io));
            if single.is_none() {
                break;
            }
        }
        assert_eq!(together.info().segs_out, one_by_one.info().segs_out);
        assert_eq!(together.flight_bytes(), one_by_one.flight_bytes());
    }
}

#[test]
fn the_last_segment_of_a_burst_alone_is_pushed() {
    let config = Config::builder().burst_segments_min(3).build().unwrap();
    let mut pair = busy_with(config, 5 * 1_448);
    let end = &mut pair.ends[CLIENT];
    let tcp = end.tcp.as_mut().unwrap();
    for burst_len in [3, 2] {
        assert_eq!(tcp.burst_len(&pair.limits, &end.io, 64), burst_len);
        let burst = tcp.transmit_burst(pair.now, &pair.limits, &end.io, burst_len);
        let pushed = |index| burst.cut(index).header.flags.contains(TcpFlags::PSH);
        for index in 0..burst_len {
            assert_eq!(pushed(index), index + 1 == burst_len, "{index} of {burst_len}");
        }
    }
}

#[test]
fn no_burst_runs_over_the_end_of_a_record() {
    let record = 8_000;
    let mut pair = busy(9_000);
    let end = &mut pair.ends[CLIENT];
    let tcp = end.tcp.as_mut().unwrap();
    tcp.end_record(record, &end.io).unwrap();
    let mut ends = vec![];
    loop {
        let sent = match tcp.burst_len(&pair.limits, &end.io, 64) {
            0 => tcp.poll_transmit(pair.now, &pair.limits, &end.io),
            count => Some(tcp.transmit_burst(pair.now, &pair.limits, &end.io, count)),
        };
        let Some(segment) = sent else { break };
        let (start, end) =
            (segment.payload_offset, segment.payload_offset + u64::from(segment.payload_len));
        assert!(end <= record || start >= record, "{start} to {end}");
        ends.push(end);
    }
    assert!(ends.contains(&record), "{ends:?}");
    assert!(ends.iter().any(|end| *end > record + 1_448), "bursts go on behind it: {ends:?}");
}

#[test]
fn nothing_leaves_in_bursts_while_the_mtu_of_the_path_is_searched() {
    let config = Config::builder().mtu_probing(MtuProbing::Always).build().unwrap();
    let mut pair = Pair::established(config);
    pair.write(CLIENT, &[1; 3_000]);
    pair.ends[CLIENT].io.tx.extend(vec![2; 40_000]);
    let end = &mut pair.ends[CLIENT];
    let tcp = end.tcp.as_mut().unwrap();
    let mss = tcp.options.mss();
    assert!(mss < 1_448, "the search begins small");
    assert_eq!(tcp.burst_len(&pair.limits, &end.io, 9), 0);
    assert_eq!(tcp.options.mss(), mss);
}

#[test]
fn nothing_leaves_in_bursts_while_a_loss_is_repaired_or_a_reset_is_due() {
    let mut pair = busy(40_000);
    let (now, limits) = (pair.now, pair.limits);
    let end = &mut pair.ends[CLIENT];
    let tcp = end.tcp.as_mut().unwrap();
    assert!(tcp.burst_len(&limits, &end.io, 64) > 0);
    let mut recovering = tcp.clone();
    recovering.recovery.phase = Phase::Fast;
    assert_eq!(recovering.burst_len(&limits, &end.io, 64), 0);
    tcp.abort(now);
    assert_eq!(tcp.burst_len(&limits, &end.io, 64), 0);
}

/// What the short way and the long way make of an acknowledgement of `acked` bytes more, `after` from now.
fn both_ways(pair: &mut Pair, acked: u32, after: Duration) -> [Connection; 2] {
    let now = pair.now + after;
    let end = &mut pair.ends[CLIENT];
    let mut short = end.tcp.clone().unwrap();
    let mut long = short.clone();
    let ack: SeqNumber = short.snd.snd_una + acked;
    let echo = short.timestamp(pair.now);
    assert!(short.take_plain_ack(now, ack, 1, &mut end.io));
    let timestamps = Some(Timestamps { value: 0, echo });
    long.take_ack(now, ack, timestamps, &SackBlocks::NONE, false, &mut end.io);
    [short, long]
}

#[test]
fn the_short_way_of_an_acknowledgement_comes_to_what_the_long_way_comes_to() {
    for most in [1, 64] {
        for acked in [1, 1_448, 3_000, 3_001, 2 * 1_448 + 3_000, 10_000] {
            let mut pair = busy(40_000);
            send(&mut pair, most);
            for round in 1..4 {
                let after = Duration::from_millis(7 * round);
                let [short, long] = both_ways(&mut pair, acked.min(4_000 * round as u32), after);
                assert_eq!(short, long, "{acked} bytes, bursts of {most}, round {round}");
                pair.ends[CLIENT].tcp = Some(short);
                pair.now += after;
                send(&mut pair, most);
            }
        }
    }
}

#[test]
fn acknowledgements_that_come_together_come_to_what_they_come_to_one_by_one() {
    let mut pair = busy(60_000);
    send(&mut pair, 64);
    let now = pair.now + Duration::from_millis(20);
    let end = &mut pair.ends[CLIENT];
    let mut one_by_one = end.tcp.clone().unwrap();
    let together = end.tcp.as_mut().unwrap();
    let mut run = together.begin_run(Ecn::NotEct).unwrap();
    let (una, seq) = (together.snd.snd_una, together.rcv.rcv_nxt);
    let timestamps = Some(Timestamps { value: together.rcv.ts_recent + 20, echo: 0 });
    for count in 1..=4 {
        let ack = una + 3_000 * count;
        let header = PlainHeader { seq, ack, flags: TcpFlags::ACK, window: 9_000, timestamps };
        assert!(together.fits(&run, &header, 0), "{count}");
        assert!(together.take(&mut run, &header, &[], 0, || 0, &mut end.io));
        assert!(!together.fits(&run, &header, 0), "it is no news the second time");
        assert!(one_by_one.take_plain_ack(now, ack, 1, &mut end.io));
    }
    assert!(together.end_run(now, &run, &mut end.io));
    assert_eq!(together.snd.snd_una, una + 12_000);
    let state = |tcp: &Connection| {
        let info = tcp.info();
        (tcp.snd.snd_una, tcp.flight_bytes(), info.cwnd_bytes, info.ssthresh_bytes)
    };
    assert_eq!(state(together), state(&one_by_one));
}

/// What the short way and the long way make of a segment of the server's for the client.
fn both_ways_of(pair: &mut Pair, header: &TcpHeader, payload: &[u8]) -> [Connection; 2] {
    let now = pair.now + Duration::from_millis(3);
    let payload_len = payload.len() as u32;
    let payload = &[payload];
    let segment = SegmentIn { header, payload, payload_len, gso_size: 0, ecn: Ecn::NotEct };
    let end = &mut pair.ends[CLIENT];
    let mut short = end.tcp.clone().unwrap();
    let mut long = short.clone();
    assert_eq!(short.predicted(now, &segment, &mut end.io.clone()), Some(Disposition::Accept));
    long.counters.count_received(1, u32::from(payload_len > 0));
    assert_eq!(long.handle_synchronized(now, &segment, &mut end.io), Disposition::Accept);
    [short, long]
}

#[test]
fn half_closed_connections_go_the_short_way_to_where_the_long_way_leads() {
    let mut pair = Pair::established(Config::default());
    pair.shutdown(CLIENT);
    pair.run_until(|pair| pair.states() == [State::FinWait2, State::CloseWait]);
    for len in [1, 1_448, 1_448, 700] {
        pair.ends[SERVER].io.tx.extend(vec![3; len]);
        let io = &pair.ends[SERVER].io;
        pair.ends[SERVER].tcp.as_mut().unwrap().handle_app(pair.now, io);
        let segment = pair.poll(SERVER).expect("the window is open");
        let [short, long] = both_ways_of(&mut pair, &segment.header, &vec![3; len]);
        assert_eq!(short, long, "{len} bytes in FIN-WAIT-2");
        pair.ends[CLIENT].tcp = Some(short);
        let acked = pair.poll(CLIENT);
        let Some(ack) = acked else { continue };
        // The server's side of it, in CLOSE-WAIT.
        pair.ends.swap(CLIENT, SERVER);
        let [short, long] = both_ways_of(&mut pair, &ack.header, &[]);
        assert_eq!(short, long, "an acknowledgement in CLOSE-WAIT");
        pair.ends[CLIENT].tcp = Some(short);
        pair.ends.swap(CLIENT, SERVER);
    }
    assert_eq!(pair.states(), [State::FinWait2, State::CloseWait]);
}

#[test]
fn what_comes_for_nobody_who_reads_goes_the_long_way() {
    let mut pair = Pair::established(Config::default());
    pair.ends[CLIENT].tcp().shutdown_read();
    pair.shutdown(CLIENT);
    pair.run_until(|pair| pair.states() == [State::FinWait2, State::CloseWait]);
    let tcp = pair.ends[CLIENT].tcp();
    let run = tcp.begin_run(Ecn::NotEct).unwrap();
    let timestamps = Some(Timestamps { value: tcp.rcv.ts_recent + 1, echo: 0 });
    let (seq, ack) = (tcp.rcv.rcv_nxt, tcp.snd.snd_una);
    let header = PlainHeader { seq, ack, flags: TcpFlags::ACK, window: 9_000, timestamps };
    assert!(!tcp.fits(&run, &header, 1), "it is answered with RST");
}
