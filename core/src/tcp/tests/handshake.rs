use super::link::MemoryIo;
use super::pair::{CLIENT, Pair, SERVER};
use crate::error::EndReason;
use crate::tcp::{
    Config, Connection, ConnectionEvent, Disposition, Ecn, SegmentIn, SeqNumber, State, TxLimits,
};
use crate::time::{Duration, Instant};
use crate::wire::tcp::{TcpFlags, TcpHeader, Timestamps};

fn syn_sent() -> Pair {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.link.queue.clear();
    pair
}

fn header(seq: u32, ack: u32, flags: u8) -> TcpHeader {
    TcpHeader {
        seq: SeqNumber(seq),
        ack: SeqNumber(ack),
        flags: TcpFlags(flags),
        window: 1_000,
        ..TcpHeader::default()
    }
}

const SYN: u8 = TcpFlags::SYN.0;
const ACK: u8 = TcpFlags::ACK.0;
const RST: u8 = TcpFlags::RST.0;

#[test]
fn both_ends_tell_that_they_are_established_once() {
    let pair = Pair::established(Config::default());
    for end in &pair.ends {
        assert_eq!(end.count(ConnectionEvent::Established), 1);
    }
}

#[test]
fn in_syn_sent_an_impossible_ack_is_reset_and_a_reset_of_it_is_ignored() {
    let mut pair = syn_sent();
    for ack in [1_000, 1_002, 0] {
        let answer = pair.deliver(CLIENT, &header(5, ack, ACK | SYN), &[]);
        let Some(Disposition::SendRst(rst)) = answer else { panic!("{answer:?}") };
        assert_eq!((rst.seq, rst.with_ack), (SeqNumber(ack), false));
        let answer = pair.deliver(CLIENT, &header(5, ack, ACK | RST), &[]);
        assert_eq!(answer, Some(Disposition::Ignore));
    }
    assert_eq!(pair.ends[CLIENT].state(), State::SynSent);
}

#[test]
fn a_valid_reset_in_syn_sent_is_a_refusal_and_one_without_ack_is_nothing() {
    let mut pair = syn_sent();
    assert_eq!(pair.deliver(CLIENT, &header(5, 0, RST), &[]), Some(Disposition::Ignore));
    assert_eq!(pair.ends[CLIENT].state(), State::SynSent);
    pair.deliver(CLIENT, &header(5, 1_001, RST | ACK), &[]);
    pair.flush();
    assert_eq!(pair.ends[CLIENT].state(), State::Closed);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::Refused));
}

#[test]
fn two_syns_that_cross_make_one_connection() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    let server = &mut pair.ends[SERVER];
    server.tcp = Some(Connection::connect(pair.now, &server.config, server.iss, 0));
    pair.run_until(|p| p.states() == [State::SynReceived; 2]);
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair.write(CLIENT, b"hello");
    pair.run_until(|p| p.ends[SERVER].io.committed == 5);
    pair.write(SERVER, b"hello");
    pair.run_until(|p| p.ends[CLIENT].io.committed == 5);
}

#[test]
fn a_lost_syn_is_sent_again_after_one_second_and_leaves_a_window_of_one_segment() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.link.queue.clear();
    let begin = pair.now;
    pair.run_until(|p| p.states() == [State::Established; 2]);
    assert!(pair.now.saturating_since(begin) >= Duration::from_secs(1));
    assert_eq!(pair.ends[CLIENT].tcp().info().cwnd_bytes, 1_448);
}

#[test]
fn a_lost_syn_ack_is_sent_again_for_the_syn_that_comes_again() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.step();
    assert_eq!(pair.ends[SERVER].state(), State::SynReceived);
    pair.link.queue.clear();
    pair.run_until(|p| p.states() == [State::Established; 2]);
}

#[test]
fn a_syn_that_nobody_answers_is_given_up() {
    let config = Config::builder().syn_retries_max(3).build().unwrap();
    let mut pair = Pair::new(config);
    pair.link.loss_ppm = 1_000_000;
    pair.connect();
    pair.run_until(|p| p.ends[CLIENT].state() == State::Closed);
    assert_eq!(pair.ends[CLIENT].ended(), Some(EndReason::TimedOut));
    assert_eq!(pair.ends[CLIENT].sent.len(), 4);
}

#[test]
fn in_syn_received_an_unacceptable_ack_is_reset_and_a_reset_ends_it() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.step();
    let mut bad = header(1_001, 77, ACK);
    bad.options.timestamps = pair.ends[CLIENT].sent[0].options.timestamps;
    let answer = pair.deliver(SERVER, &bad, &[]);
    let Some(Disposition::SendRst(rst)) = answer else { panic!("{answer:?}") };
    assert_eq!(rst.seq, SeqNumber(77));
    assert!(pair.ends[SERVER].tcp().is_half_open());
    pair.deliver(SERVER, &header(1_001, 0, RST), &[]);
    assert_eq!(pair.ends[SERVER].state(), State::Closed);
}

#[test]
fn in_syn_received_another_syn_in_the_window_is_reset_and_ends_a_passive_open_only() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.step();
    let mut other = header(1_000 + 500, 0, SYN);
    other.options.timestamps = pair.ends[CLIENT].sent[0].options.timestamps;
    let answer = pair.deliver(SERVER, &other, b"data");
    let Some(Disposition::SendRst(rst)) = answer else { panic!("{answer:?}") };
    assert_eq!((rst.seq, rst.ack, rst.with_ack), (SeqNumber(0), SeqNumber(1_505), true));
    assert_eq!(pair.ends[SERVER].state(), State::Closed);

    let mut pair = syn_sent();
    pair.deliver(CLIENT, &header(5, 0, SYN), &[]);
    assert_eq!(pair.ends[CLIENT].state(), State::SynReceived);
    let answer = pair.deliver(CLIENT, &header(505, 0, SYN), &[]);
    assert_eq!(answer, Some(Disposition::ChallengeAck));
    assert_eq!(pair.ends[CLIENT].state(), State::SynReceived);
}

#[test]
fn data_that_comes_with_the_handshakes_last_ack_is_not_lost_while_there_are_no_rings() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.step();
    pair.ends[SERVER].io.gone = true;
    pair.step();
    pair.link.queue.clear();
    pair.write(CLIENT, b"early");
    pair.step();
    assert_eq!(pair.ends[SERVER].state(), State::Established);
    assert_eq!(pair.ends[SERVER].io.committed, 0);
    pair.ends[SERVER].io.gone = false;
    pair.run_until(|p| p.ends[SERVER].io.committed == 5);
    assert_eq!(pair.ends[SERVER].io.rx, b"early");
}

#[test]
fn options_that_one_side_does_not_offer_are_not_used() {
    let mut pair = Pair::new(Config::default());
    pair.ends[SERVER].config =
        Config::builder().timestamps(false).sack(false).window_scaling(false).build().unwrap();
    pair.connect();
    pair.run_until(|p| p.states() == [State::Established; 2]);
    pair.write(CLIENT, &[1; 3_000]);
    pair.run_until(|p| p.ends[SERVER].io.committed == 3_000);
    let server = &pair.ends[SERVER].sent;
    assert_eq!(server[0].options.window_scale, None);
    assert!(!server[0].options.sack_permitted);
    let all = pair.ends.iter().flat_map(|e| &e.sent);
    assert!(all.skip(1).all(|h| h.options.timestamps.is_none()));
    assert_eq!(pair.ends[CLIENT].tcp().mss(), 1_460);
}

#[test]
fn closing_before_the_handshake_is_done_leaves_nothing_behind() {
    let mut pair = syn_sent();
    pair.close(CLIENT);
    assert_eq!(pair.ends[CLIENT].state(), State::Closed);
    assert_eq!(pair.poll(CLIENT), None);
    assert_eq!(pair.ends[CLIENT].tcp().poll_timeout(), None);
}

#[test]
fn a_half_close_before_the_handshake_is_done_sends_the_fin_after_it() {
    let mut pair = Pair::new(Config::default());
    pair.connect();
    pair.write(CLIENT, b"all of it");
    pair.shutdown(CLIENT);
    pair.run_until(|p| p.ends[SERVER].state() == State::CloseWait);
    assert_eq!(pair.ends[SERVER].io.rx, b"all of it");
}

#[test]
fn the_reset_of_a_syn_whose_answer_never_left_tells_no_number_of_ours() {
    let mut syn = TcpHeader { seq: SeqNumber(7_000), flags: TcpFlags::SYN, ..TcpHeader::default() };
    syn.options.window_scale = Some(7);
    syn.options.timestamps = Some(Timestamps { value: 5, echo: 0 });
    let now = Instant::from_nanos(1_000_000_000);
    let limits = TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 };
    let io = MemoryIo { gone: true, ..MemoryIo::default() };
    for answered in [false, true] {
        let mut tcp = Connection::accept(now, &Config::default(), 1_000, 0, &syn);
        if answered {
            assert!(tcp.poll_transmit(now, &limits, &io).is_some());
        }
        tcp.abort(now);
        let reset = tcp.poll_transmit(now, &limits, &io).unwrap().header;
        assert_eq!((reset.ack, reset.flags), (SeqNumber(7_001), TcpFlags(0x14)));
        if answered {
            assert_eq!(reset.seq, SeqNumber(1_001));
        } else {
            let nothing = TcpHeader { ack: reset.ack, flags: reset.flags, ..TcpHeader::default() };
            assert_eq!(reset, nothing);
        }
        assert!(tcp.is_finished());
    }
}

#[test]
fn a_syn_ack_that_comes_again_takes_back_nothing_that_was_promised_meanwhile() {
    let mut syn = TcpHeader { seq: SeqNumber(7_000), flags: TcpFlags::SYN, ..TcpHeader::default() };
    syn.options.window_scale = Some(7);
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut tcp = Connection::accept(now, &Config::default(), 1_000, 0, &syn);
    // Rings come with the handshake's end only.
    let mut io = MemoryIo { gone: true, ..MemoryIo::default() };
    let limits = TxLimits { mss_ip: 1_460, mss_link: 1_460, gso_bytes_max: 0 };
    assert!(tcp.poll_transmit(now, &limits, &io).is_some());
    // Something old is answered with a window that is scaled, and rounded upwards.
    let old = TcpHeader { seq: SeqNumber(6_000), flags: TcpFlags::ACK, ..TcpHeader::default() };
    let segment = SegmentIn {
        header: &old,
        payload: &[b"old"],
        payload_len: 3,
        gso_size: 0,
        ecn: Ecn::NotEct,
    };
    let _ = tcp.handle_segment(now, &segment, &mut io);
    assert!(tcp.poll_transmit(now, &limits, &io).is_some());
    let promised = tcp.rcv.rcv_adv;
    assert_eq!(promised, SeqNumber(7_001 + 65_536));
    (now, _) = tcp.poll_timeout().unwrap();
    tcp.handle_timeout(now, &mut io);
    let again = tcp.poll_transmit(now, &limits, &io).unwrap().header;
    assert!(again.flags.contains(TcpFlags::SYN));
    assert_eq!(tcp.rcv.rcv_adv, promised);
    // Nor when rings have come, which keep a little in reserve.
    io.rx_capacity = 65_536;
    io.gone = false;
    (now, _) = tcp.poll_timeout().unwrap();
    tcp.handle_timeout(now, &mut io);
    let again = tcp.poll_transmit(now, &limits, &io).unwrap().header;
    assert!(again.flags.contains(TcpFlags::SYN));
    assert_eq!(again.window, 65_535);
}
