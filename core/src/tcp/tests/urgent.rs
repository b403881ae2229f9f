//! Urgent data, both ways.

use std::vec::Vec;

use super::pair::{CLIENT, Pair, SERVER};
use crate::error::CommandError;
use crate::tcp::{Config, Connection, ConnectionEvent, Disposition, SeqNumber};
use crate::time::Duration;
use crate::wire::tcp::{TcpFlags, TcpHeader};

/// The application writes `bytes`, the last of which is urgent.
fn write_urgent(pair: &mut Pair, bytes: &[u8]) {
    let end = &mut pair.ends[CLIENT];
    end.io.tx.extend_from_slice(bytes);
    let offset = end.io.tx.len() as u64;
    end.tcp.as_mut().unwrap().mark_urgent(offset, &end.io).unwrap();
    pair.flush();
}

fn marks(pair: &Pair) -> Vec<(u64, Option<u8>)> {
    let mark = |event: &ConnectionEvent| match event {
        ConnectionEvent::Urgent { offset, byte } => Some((*offset, *byte)),
        _ => None,
    };
    pair.ends[SERVER].events.iter().filter_map(mark).collect()
}

fn urgent_sent(pair: &Pair) -> Vec<(u32, u16)> {
    let base = pair.ends[CLIENT].iss.wrapping_add(1);
    let sent = pair.ends[CLIENT].sent.iter().filter(|h| h.flags.contains(TcpFlags::URG));
    sent.map(|h| (h.seq.0.wrapping_sub(base), h.urgent)).collect()
}

/// A segment that the server finds next in order, with an urgent pointer.
fn urgent_header(pair: &mut Pair, ahead: i32, urgent: u16) -> TcpHeader {
    let mut header = *pair.ends[CLIENT].sent.last().unwrap();
    header.seq = SeqNumber(pair.ends[SERVER].tcp().rcv.rcv_nxt.0.wrapping_add_signed(ahead));
    header.flags = TcpFlags::ACK.union(TcpFlags::URG);
    header.urgent = urgent;
    header
}

#[test]
fn the_pointer_is_one_past_the_urgent_byte_and_the_receiver_finds_that_byte() {
    let mut pair = Pair::established(Config::default());
    write_urgent(&mut pair, b"abc!");
    pair.run_until(|p| p.ends[SERVER].io.committed == 4);
    assert_eq!(urgent_sent(&pair), [(0, 4)]);
    assert_eq!(marks(&pair), [(3, Some(b'!'))]);
    pair.write(CLIENT, b"plain");
    pair.run_until(|p| p.ends[SERVER].io.committed == 9);
    assert_eq!(urgent_sent(&pair).len(), 1, "what was acknowledged is urgent no more");
}

#[test]
fn every_segment_in_front_of_the_urgent_byte_points_at_it_and_none_is_a_super_segment() {
    let mut pair = Pair::established(Config::default());
    pair.limits.gso_bytes_max = 65_535;
    write_urgent(&mut pair, &[1; 5_000]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 5_000);
    assert_eq!(urgent_sent(&pair), [(0, 5_000), (1_448, 3_552), (2_896, 2_104), (4_344, 656)]);
    assert_eq!(marks(&pair).last(), Some(&(4_999, Some(1))));
}

#[test]
fn what_is_farther_away_than_the_field_can_say_is_said_to_be_ahead_of_everything_sent() {
    let mut pair = Pair::established(Config::default());
    write_urgent(&mut pair, &[1; 80_000]);
    let (first, pointer) = urgent_sent(&pair)[0];
    assert_eq!((first, pointer), (0, u16::MAX));
    pair.run_until(|p| p.ends[SERVER].io.committed == 80_000);
    assert_eq!(marks(&pair).last(), Some(&(79_999, Some(1))));
}

#[test]
fn nagle_does_not_hold_urgent_bytes_back() {
    let mut pair = Pair::established(Config::default());
    pair.write(CLIENT, b"small");
    write_urgent(&mut pair, b"!");
    assert_eq!(urgent_sent(&pair), [(5, 1)], "while the small segment is under way");
}

#[test]
fn a_closed_window_lets_the_pointer_through_and_the_probe_still_asks() {
    let mut pair = Pair::new(Config::default());
    pair.ends[SERVER].reads = false;
    pair.ends[SERVER].io.rx_capacity = 4_096;
    pair.connect();
    pair.run_until(|p| p.states() == [crate::tcp::State::Established; 2]);
    pair.write(CLIENT, &[1; 200_000]);
    pair.run_for(Duration::from_secs(20));
    assert_eq!(pair.ends[CLIENT].tcp().snd.snd_wnd, 0);
    let una = pair.ends[CLIENT].tcp().snd.anchor.offset;
    write_urgent(&mut pair, b"!");
    let before = pair.ends[CLIENT].sent.len();
    pair.run_for(Duration::from_secs(120));
    let probes: Vec<u32> =
        pair.ends[CLIENT].sent[before..].iter().map(|h| h.seq.0.wrapping_sub(1_001)).collect();
    assert_eq!(
        probes[..2],
        [una as u32, una as u32 - 1],
        "one that is taken, one that is answered"
    );
    assert_eq!(marks(&pair).first(), Some(&(una + 65_534, None)));
    pair.ends[SERVER].reads = true;
    pair.read(SERVER);
    pair.run_until(|p| p.ends[SERVER].io.committed == 200_001);
    assert_eq!(marks(&pair).last(), Some(&(200_000, Some(b'!'))));
}

#[test]
fn a_pointer_into_the_past_or_a_repeated_one_says_nothing() {
    let mut pair = Pair::established(Config::default());
    pair.write(CLIENT, &[7; 1_000]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 1_000);
    let old = urgent_header(&mut pair, -500, 100);
    pair.deliver(SERVER, &old, &[9; 600]);
    pair.flush();
    assert_eq!(marks(&pair), []);
    let next = urgent_header(&mut pair, 0, 50);
    assert_eq!(pair.deliver(SERVER, &next, &[]), Some(Disposition::Accept));
    pair.deliver(SERVER, &next, &[]);
    pair.flush();
    assert_eq!(marks(&pair), [(1_149, None)]);
    let back = urgent_header(&mut pair, 0, 10);
    pair.deliver(SERVER, &back, &[]);
    pair.flush();
    assert_eq!(marks(&pair).len(), 1, "a mark does not go back");
}

#[test]
fn a_pointer_of_zero_is_taken_for_one_and_one_beyond_the_window_waits() {
    let mut pair = Pair::established(Config::default());
    let zero = urgent_header(&mut pair, 0, 0);
    pair.deliver(SERVER, &zero, b"x");
    pair.flush();
    assert_eq!(marks(&pair), [(0, Some(b'x'))]);
    pair.ends[SERVER].io.rx_capacity = 8_000;
    let far = urgent_header(&mut pair, 0, u16::MAX);
    pair.deliver(SERVER, &far, b"y");
    pair.flush();
    assert_eq!(marks(&pair).last(), Some(&(65_535, None)));
}

#[test]
fn an_urgent_byte_beyond_a_gap_is_told_before_the_gap_is_filled() {
    let mut pair = Pair::established(Config::default());
    let header = urgent_header(&mut pair, 100, 3);
    pair.deliver(SERVER, &header, b"ab!");
    pair.flush();
    assert_eq!(marks(&pair), [(102, Some(b'!'))]);
    assert_eq!(pair.ends[SERVER].io.committed, 0);
}

#[test]
fn the_pointer_wraps_with_the_sequence_numbers() {
    let mut pair = Pair::new(Config::default());
    pair.ends[CLIENT].iss = u32::MAX - 2;
    pair.connect();
    pair.run_until(|p| p.states() == [crate::tcp::State::Established; 2]);
    write_urgent(&mut pair, b"12345!");
    pair.run_until(|p| p.ends[SERVER].io.committed == 6);
    assert_eq!(marks(&pair), [(5, Some(b'!'))]);
    assert_eq!(urgent_sent(&pair), [(0, 6)]);
}

#[test]
fn a_peer_for_whom_everything_is_urgent_gets_one_box_and_one_piece_of_news_a_poll() {
    let mut pair = Pair::established(Config::default());
    let mut places = Vec::new();
    for round in 0..1_000u16 {
        let header = urgent_header(&mut pair, 0, round);
        pair.deliver(SERVER, &header, b"z");
        let boxed = pair.ends[SERVER].tcp().seldom.urgent().map(std::ptr::from_ref);
        places.push(boxed.unwrap());
    }
    pair.flush();
    assert_eq!(marks(&pair).len(), 1);
    assert!(places.windows(2).all(|two| two[0] == two[1]), "allocated once");
    assert_eq!(pair.ends[SERVER].io.committed, 1_000, "the stream has all of it");
}

#[test]
fn what_was_not_written_cannot_be_urgent_nor_what_nobody_will_send() {
    let mut pair = Pair::established(Config::default());
    let end = &mut pair.ends[CLIENT];
    let tcp = end.tcp.as_mut().unwrap();
    assert_eq!(tcp.mark_urgent(0, &end.io), Err(CommandError::InvalidArgument));
    assert_eq!(tcp.mark_urgent(1, &end.io), Err(CommandError::InvalidArgument));
    end.io.tx.push(1);
    assert_eq!(tcp.mark_urgent(1, &end.io), Ok(()));
    tcp.abort(pair.now);
    assert_eq!(end.tcp.as_mut().unwrap().mark_urgent(1, &end.io), Err(CommandError::WrongState));
}

#[test]
fn urgency_survives_the_state_file() {
    let mut pair = Pair::established(Config::default());
    write_urgent(&mut pair, b"!");
    let mut bytes = Vec::new();
    pair.ends[CLIENT].tcp().write_state(&mut bytes);
    assert_eq!(Connection::read_state(&bytes).as_ref(), Ok(&*pair.ends[CLIENT].tcp()));
}
