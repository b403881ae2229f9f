//! Explicit congestion notification between two ends (RFC 3168, RFC 8257).

use std::vec::Vec;

use super::pair::{CLIENT, Pair, SERVER};
use crate::port::SocketOption;
use crate::tcp::congestion::Algorithm;
use crate::tcp::{Config, Ecn, EcnMode, State};
use crate::wire::tcp::{TcpFlags, TcpHeader};

const MSS: usize = 1_448;
const ASKS: TcpFlags = TcpFlags::ECE.union(TcpFlags::CWR);

fn asking() -> Config {
    Config::builder().ecn(EcnMode::Request).congestion(Algorithm::Reno).build().unwrap()
}

fn with(header: &TcpHeader, flag: TcpFlags) -> bool {
    header.flags.contains(flag)
}

/// Segments of `who` since `from` with `flag`.
fn count(pair: &Pair, who: usize, from: usize, flag: TcpFlags) -> usize {
    pair.ends[who].sent[from..].iter().filter(|h| with(h, flag)).count()
}

#[test]
fn syns_ask_and_grant_by_the_modes_of_both_ends() {
    use EcnMode::{Accept, Off, Request};
    for (client, server, asked, agreed) in [
        (Request, Accept, true, true),
        (Request, Request, true, true),
        (Request, Off, true, false),
        (Accept, Request, false, false),
        (Off, Request, false, false),
    ] {
        let mut pair = Pair::new(Config::builder().ecn(client).build().unwrap());
        pair.ends[SERVER].config = Config::builder().ecn(server).build().unwrap();
        pair.connect();
        pair.run_until(|p| p.states() == [State::Established; 2]);
        let (syn, syn_ack) = (pair.ends[CLIENT].sent[0], pair.ends[SERVER].sent[0]);
        assert_eq!(with(&syn, ASKS), asked, "{client:?} {server:?}");
        assert_eq!(syn_ack.flags.0 & ASKS.0, if agreed { TcpFlags::ECE.0 } else { 0 });
        for end in &mut pair.ends {
            assert_eq!(end.tcp().ecn.is_agreed(), agreed, "{client:?} {server:?}");
        }
    }
}

#[test]
fn a_syn_ack_that_reflects_both_bits_grants_nothing() {
    let mut pair = Pair::new(asking());
    pair.connect();
    pair.run_until(|p| p.ends[SERVER].state() == State::SynReceived);
    let mut syn_ack = pair.ends[SERVER].sent[0];
    syn_ack.flags = syn_ack.flags.union(ASKS);
    pair.deliver(CLIENT, &syn_ack, &[]);
    assert_eq!(pair.ends[CLIENT].state(), State::Established);
    assert!(!pair.ends[CLIENT].tcp().ecn.is_agreed());
}

#[test]
fn a_syn_that_a_middlebox_drops_for_asking_is_sent_again_without() {
    for (fallback, connects) in [(true, true), (false, false)] {
        let config =
            Config::builder().ecn(EcnMode::Request).ecn_fallback(fallback).syn_retries_max(2);
        let mut pair = Pair::new(config.build().unwrap());
        pair.link.drops_ecn_syn = true;
        pair.connect();
        let done =
            |p: &Pair| p.ends[CLIENT].ended().is_some() || p.states() == [State::Established; 2];
        pair.run_until(done);
        assert_eq!(pair.states() == [State::Established; 2], connects);
        let asked: Vec<bool> = pair.ends[CLIENT].sent.iter().map(|h| with(h, ASKS)).collect();
        assert!(asked[0]);
        assert_eq!(asked[1], !fallback);
    }
}

/// The ECN fields of what `who` sends until it has nothing more to send.
fn fields(pair: &mut Pair, who: usize) -> Vec<(u32, Ecn)> {
    let mut fields = Vec::new();
    while let Some(segment) = pair.poll(who) {
        fields.push((segment.payload_len, segment.ecn));
        pair.link.send(pair.now, who, &segment, &pair.ends[who].io);
    }
    fields
}

#[test]
fn only_new_data_is_ecn_capable() {
    let mut pair = Pair::new(asking());
    pair.connect();
    let syn = &pair.link.queue.values().next().unwrap();
    assert_eq!(syn.ecn, Ecn::NotEct);
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair.ends[CLIENT].io.tx.extend_from_slice(&[7; 3 * MSS]);
    assert_eq!(fields(&mut pair, CLIENT), [(MSS as u32, Ecn::Ect0); 3]);
    // All of it is lost; the timer sends the first segment again.
    pair.link.queue.clear();
    let (at, _) = pair.ends[CLIENT].tcp().poll_timeout().unwrap();
    pair.now = at;
    let end = &mut pair.ends[CLIENT];
    end.tcp.as_mut().unwrap().handle_timeout(at, &mut end.io);
    assert_eq!(fields(&mut pair, CLIENT)[0], (MSS as u32, Ecn::NotEct));
    while pair.link.queue.pop_first().is_some() {}
    let header = TcpHeader { ..*pair.ends[CLIENT].sent.last().unwrap() };
    pair.deliver(SERVER, &header, &[7; MSS]);
    assert_eq!(fields(&mut pair, SERVER), [(0, Ecn::NotEct)], "a pure acknowledgement");
}

#[test]
fn a_mark_is_echoed_until_cwr_and_halves_the_window_once() {
    let mut pair = Pair::new(asking());
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    let from = [CLIENT, SERVER].map(|who| pair.ends[who].sent.len());
    // Three marks within one window: one reduction.
    pair.link.mark_data = [12, 14, 17].into();
    pair.write(CLIENT, &[3; 200 * MSS]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 200 * MSS as u64);
    assert_eq!(count(&pair, CLIENT, from[CLIENT], TcpFlags::CWR), 1);
    assert!(count(&pair, SERVER, from[SERVER], TcpFlags::ECE) > 1, "until CWR comes");
    let last = pair.ends[SERVER].sent.last().unwrap();
    assert!(!with(last, TcpFlags::ECE), "and not beyond");
    let info = pair.ends[CLIENT].tcp().info();
    assert_eq!(info.retransmits, 0);
    assert!(info.ssthresh_bytes < 20 * MSS as u32, "{info:?}");
    assert!(info.ssthresh_bytes >= 10 * MSS as u32, "halved once: {info:?}");
}

#[test]
fn a_window_is_not_reduced_again_before_the_round_trip_is_over() {
    let mut pair = Pair::new(asking());
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair.ends[CLIENT].io.tx.extend_from_slice(&[3; 40 * MSS]);
    while pair.poll(CLIENT).is_some() {}
    let mut echo = *pair.ends[SERVER].sent.last().unwrap();
    echo.flags = TcpFlags::ACK.union(TcpFlags::ECE);
    (echo.seq, echo.window) = (echo.seq + 1, u16::MAX);
    let una = pair.ends[CLIENT].tcp().snd.snd_una;
    let mut windows = Vec::new();
    for segment in 1..=10 {
        echo.ack = una + segment * MSS as u32;
        pair.deliver(CLIENT, &echo, &[]);
        windows.push(pair.ends[CLIENT].tcp().info().ssthresh_bytes);
    }
    assert!(windows.iter().all(|w| *w == windows[0]), "{windows:?}");
    // New data goes out with CWR; its acknowledgement with ECE is another round trip's.
    while pair.poll(CLIENT).is_some() {}
    let max = pair.ends[CLIENT].tcp().snd.snd_max;
    assert!(max > una + 10 * MSS as u32);
    echo.ack = max;
    pair.deliver(CLIENT, &echo, &[]);
    assert!(pair.ends[CLIENT].tcp().info().ssthresh_bytes < windows[0]);
}

#[test]
fn a_path_that_clears_the_field_does_no_harm() {
    let mut pair = Pair::new(asking());
    pair.link.bleaches = true;
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair.link.mark_data = (0..50).collect();
    pair.link.drop_data = [20].into();
    pair.write(CLIENT, &[3; 100 * MSS]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 100 * MSS as u64);
    assert_eq!(count(&pair, SERVER, 1, TcpFlags::ECE), 0);
    assert_eq!(pair.ends[CLIENT].tcp().info().retransmits, 1);
}

#[test]
fn bits_that_were_not_agreed_on_are_ignored_and_not_sent() {
    let mut pair = Pair::established(Config::default());
    let cwnd = pair.ends[CLIENT].tcp().info().cwnd_bytes;
    pair.write(CLIENT, &[3; 5 * MSS]);
    pair.link.queue.clear();
    let mut echo = *pair.ends[SERVER].sent.last().unwrap();
    echo.flags = TcpFlags::ACK.union(ASKS);
    echo.seq += 1;
    echo.ack = pair.ends[CLIENT].tcp().snd.snd_una + MSS as u32;
    pair.deliver(CLIENT, &echo, &[]);
    assert!(pair.ends[CLIENT].tcp().info().cwnd_bytes >= cwnd);
    // Marked data is taken like any other.
    let mut data = *pair.ends[CLIENT].sent.last().unwrap();
    data.seq = pair.ends[SERVER].tcp().rcv.rcv_nxt;
    data.flags = TcpFlags::ACK.union(TcpFlags::CWR);
    pair.deliver_marked(SERVER, &data, &[3; MSS], Ecn::Ce);
    pair.flush();
    pair.write(CLIENT, &[3; 5 * MSS]);
    for end in &pair.ends {
        assert!(end.sent.iter().all(|h| h.flags.0 & ASKS.0 == 0));
    }
}

#[test]
fn dctcp_tells_every_change_of_the_mark_at_once_and_marks_may_be_put_on_everything() {
    let config = Config::builder().congestion(Algorithm::Dctcp).build().unwrap();
    let mut pair = Pair::new(config);
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    assert!(with(&pair.ends[CLIENT].sent[0], ASKS), "it needs ECN, whatever the mode");
    let mut data = *pair.ends[CLIENT].sent.last().unwrap();
    data.flags = TcpFlags::ACK;
    let mut answers = Vec::new();
    // Past the first segments, which are acknowledged at once anyway.
    let marks =
        [Ecn::Ect0; 20].into_iter().chain([Ecn::Ce, Ecn::Ce, Ecn::Ect0, Ecn::Ect0, Ecn::Ce]);
    for (number, mark) in marks.enumerate() {
        data.seq = pair.ends[SERVER].tcp().rcv.rcv_nxt;
        pair.deliver_marked(SERVER, &data, &[3; MSS], mark);
        if let Some(segment) = pair.poll(SERVER) {
            assert_eq!(segment.ecn, Ecn::Ect0);
            answers.push((number, with(&segment.header, TcpFlags::ECE)));
        }
    }
    for change in [(20, true), (22, false), (24, true)] {
        assert!(answers.contains(&change), "{change:?} in {answers:?}");
    }
}

#[test]
fn another_algorithm_in_mid_connection_keeps_the_window() {
    let mut pair = Pair::new(asking());
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair.link.drop_data = [15].into();
    pair.write(CLIENT, &[3; 100 * MSS]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 100 * MSS as u64);
    let before = pair.ends[CLIENT].tcp().info();
    for algorithm in Algorithm::ALL {
        let now = pair.now;
        let tcp = pair.ends[CLIENT].tcp();
        tcp.set_option(now, SocketOption::Congestion(algorithm)).unwrap();
        assert_eq!(tcp.congestion_algorithm(), algorithm);
        let after = tcp.info();
        assert_eq!(after.cwnd_bytes, before.cwnd_bytes);
        assert_eq!(after.ssthresh_bytes, before.ssthresh_bytes);
    }
}
