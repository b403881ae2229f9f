//! Beginnings and ends.

use std::vec;
use std::vec::Vec;

use super::pair::{Link, Pair, Rings};
use crate::error::EndReason;
use crate::machnet::{
    Config, Disposition, Flow, FlowEvent, FlowState, FlowTimer, PacketIn, SendError,
};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};
use crate::wire::machnet::{DATA_ACKNO, MachnetHeader, MsgFlags, NetFlags};

fn kinds(pair: &Pair) -> Vec<(bool, NetFlags, u32, u32)> {
    pair.sent.iter().map(|(_, a, h)| (*a, h.net_flags, h.seqno, h.ackno)).collect()
}

#[test]
fn a_flow_opens_sends_and_closes_like_upstream() {
    let mut pair = Pair::established(0, Config::default());
    pair.a.send(b"hello");
    pair.a.flow.close(pair.now);
    pair.run(Duration::from_secs(1));
    assert_eq!(
        kinds(&pair),
        [
            (true, NetFlags::Syn, 0, 0),
            (false, NetFlags::SynAck, 0, 1),
            (true, NetFlags::Ack, 1, 1),
            (true, NetFlags::Data, 1, DATA_ACKNO),
            (false, NetFlags::Ack, 1, 2),
            (true, NetFlags::Rst, 2, 1),
        ]
    );
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::Closed)));
    assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::Reset)));
    assert_eq!(pair.b().messages, [b"hello"]);
    assert!(pair.a.flow.is_finished() && pair.b().flow.is_finished());
}

#[test]
fn a_silent_peer_ends_the_handshake_with_timed_out() {
    let link = Link { loss: 1_000_000, ..Link::default() };
    let mut pair = Pair::new(0, link, Config::default(), 1 << 20);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.sent.len(), 5);
    assert_eq!(pair.a.events, [FlowEvent::Ended(EndReason::TimedOut)]);
    assert!(pair.a.flow.is_finished());
}

#[test]
fn a_peer_that_falls_silent_ends_the_flow_with_timed_out() {
    let mut pair = Pair::established(0, Config::default());
    pair.link.loss = 1_000_000;
    pair.a.send(&[7; 5_000]);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::TimedOut)));
    assert_eq!(pair.sent.last().map(|s| s.2.net_flags), Some(NetFlags::Rst));
    assert_eq!(pair.a.flow.poll_timeout(), None);
}

#[test]
fn a_reset_counts_only_with_the_number_expected_next() {
    let mut pair = Pair::established(0, Config::default());
    let now = pair.now;
    let b = pair.b();
    let next = MachnetHeader::new(NetFlags::Rst, 2, 1);
    let packet = PacketIn { header: &next, payload: &[] };
    assert_eq!(b.flow.handle_packet(now, &packet, &mut b.io), Disposition::Ignore);
    let exact = MachnetHeader::new(NetFlags::Rst, 1, 1);
    let packet = PacketIn { header: &exact, payload: &[] };
    assert_eq!(b.flow.handle_packet(now, &packet, &mut b.io), Disposition::Accept);
    assert_eq!(b.flow.poll_event(), Some(FlowEvent::Ended(EndReason::Reset)));
    assert!(!b.flow.has_output());
}

#[test]
fn a_closing_flow_that_cannot_deliver_gives_up_after_its_linger() {
    let config = Config::builder().linger(Duration::from_millis(500)).build().unwrap();
    let mut pair = Pair::established(0, config);
    pair.b().reads = false;
    let capacity = 1usize << 20;
    for _ in 0..3 {
        pair.a.send(&vec![1; capacity / 2]);
    }
    pair.a.flow.close(pair.now);
    assert_eq!(pair.a.flow.send_message(0, 1, 1, &pair.a.io), Err(SendError::Closed));
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::TimedOut)));
}

#[test]
fn an_abort_tells_the_peer_at_once() {
    let mut pair = Pair::established(0, Config::default());
    pair.a.send(&[1; 100_000]);
    pair.run(Duration::from_micros(10));
    pair.a.flow.abort();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::Aborted)));
    assert!(pair.a.flow.is_finished());
    let resets = pair.sent.iter().filter(|s| s.2.net_flags == NetFlags::Rst);
    let numbers: Vec<u32> = resets.map(|s| s.2.seqno).collect();
    assert_eq!(numbers, (1..=33).collect::<Vec<u32>>(), "one for each number that b may wait for");
    assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::Reset)));
}

#[test]
fn a_peer_that_misses_a_packet_learns_of_the_end_all_the_same() {
    for lost in 1..=8 {
        let mut pair = Pair::established(0, Config::default());
        pair.a.send(&[1; 10_000]);
        pair.drop_next_data(lost);
        pair.flush();
        pair.a.flow.abort();
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::Reset)), "{lost}");
        assert!(pair.b().flow.is_finished());
    }
}

#[test]
fn a_reader_that_pauses_for_a_minute_loses_nothing() {
    let mut pair = Pair::established(0, Config::default());
    pair.b().reads = false;
    let sent: Vec<Vec<u8>> = (0..30u8).map(|n| vec![n; 100_000]).collect();
    for m in &sent {
        pair.a.send(m);
    }
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.a.flow.state(), FlowState::Established, "the peer lives, it is only slow");
    assert!(pair.b().messages.len() < 12);
    pair.b().reads = true;
    pair.run(Duration::from_secs(20));
    assert!(pair.b().messages == sent);
}

#[test]
fn a_message_larger_than_the_ring_ends_the_flow_instead_of_waiting_for_ever() {
    let mut pair = Pair::established(0, Config::default());
    pair.a.send(&vec![5; 2 << 20]);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::NoMemory)));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::Reset)));
}

fn data(seqno: u32, flags: u8) -> MachnetHeader {
    let mut header = MachnetHeader::new(NetFlags::Data, seqno, DATA_ACKNO);
    header.msg_flags = MsgFlags::from_wire(flags);
    header
}

#[test]
fn a_peer_that_breaks_the_framing_is_reset_and_impossible_packets_are_dropped() {
    let mut pair = Pair::established(0, Config::default());
    let now = pair.now;
    let b = pair.b();
    let mut give = |flow: &mut Flow, header: MachnetHeader, len: usize| {
        let payload = vec![0u8; len];
        let packet = PacketIn { header: &header, payload: &[&payload] };
        flow.handle_packet(now, &packet, &mut b.io)
    };
    assert_eq!(give(&mut b.flow, data(1, 0x05), 1_419), Disposition::Malformed);
    for flags in [0, 1, 6, 7] {
        assert_eq!(give(&mut b.flow, data(1, flags), 10), Disposition::Malformed);
    }
    assert_eq!(give(&mut b.flow, data(65, 0x05), 10), Disposition::Ignore);
    assert!(!b.flow.has_output());
    assert_eq!(give(&mut b.flow, data(1, 0x04), 10), Disposition::Violation);
    assert_eq!(b.flow.poll_event(), Some(FlowEvent::Ended(EndReason::Reset)));
    assert_eq!(b.flow.poll_transmit(now).map(|p| p.header.net_flags), Some(NetFlags::Rst));
    assert!(b.flow.is_finished());
}

#[test]
fn an_endless_message_ends_the_flow() {
    let config = Config::builder().msg_max(10_000).build().unwrap();
    let mut pair = Pair::established(0, config);
    let now = pair.now;
    let b = pair.b();
    let payload = [0u8; 1418];
    let taken = (1..)
        .map(|n| data(n, if n == 1 { 3 } else { 2 }))
        .take_while(|header| {
            let packet = PacketIn { header, payload: &[&payload] };
            b.flow.handle_packet(now, &packet, &mut b.io) == Disposition::Accept
        })
        .count();
    assert_eq!(taken, 7);
    assert_eq!(b.flow.state(), FlowState::Closed);
    assert_eq!(b.io.committed, 0);
}

#[test]
fn repeated_data_with_nothing_outstanding_is_acknowledged_at_most_twice() {
    let mut pair = Pair::established(0, Config::default());
    let mut now = pair.now;
    let b = pair.b();
    let header = data(1, 5);
    let packet = PacketIn { header: &header, payload: &[b"x"] };
    let mut sent = 0;
    for _ in 0..100 {
        b.flow.handle_packet(now, &packet, &mut b.io);
        while b.flow.poll_transmit(now).is_some() {
            sent += 1;
        }
        now += Duration::from_millis(1);
    }
    assert_eq!(sent, 2, "one that advances, one that repeats");
    now += Duration::from_secs(3);
    b.flow.handle_packet(now, &packet, &mut b.io);
    assert!(b.flow.has_output(), "a retransmission after upstream's timeout is answered");
}

#[test]
fn the_final_acknowledgement_is_repeated_when_data_meets_silence() {
    let now = Instant::from_nanos(1);
    let mut io = Rings::new(1 << 20);
    let mut flow = Flow::connect(now, &Config::default(), 0);
    assert_eq!(flow.poll_transmit(now).map(|p| p.header.net_flags), Some(NetFlags::Syn));
    let header = MachnetHeader::new(NetFlags::SynAck, 0, 1);
    flow.handle_packet(now, &PacketIn { header: &header, payload: &[] }, &mut io);
    io.tx.push(1);
    flow.send_message(0, 1, 1, &io).unwrap();
    let mut acks = 0;
    let mut packets = 0;
    loop {
        while let Some(packet) = flow.poll_transmit(now) {
            acks += u32::from(packet.header.net_flags == NetFlags::Ack);
            packets += u32::from(packet.header.net_flags == NetFlags::Data);
        }
        let Some((at, FlowTimer::Retransmission)) = flow.poll_timeout() else { break };
        flow.handle_timeout(at, &mut io);
    }
    assert_eq!(acks, 2, "a third would crash a peer whose acknowledgements were lost");
    assert!(packets > 5);
    assert_eq!(io.rx_consumed(), 0);
}

#[test]
fn acknowledgements_of_what_was_never_sent_change_nothing() {
    let mut pair = Pair::established(0, Config::default());
    let now = pair.now;
    pair.a.send(&[1; 3_000]);
    pair.flush();
    let before = pair.a.flow.clone();
    for ackno in [5, 100, u32::MAX, 0] {
        let header = MachnetHeader::new(NetFlags::Ack, 1, ackno);
        let packet = PacketIn { header: &header, payload: &[] };
        assert_eq!(pair.a.flow.handle_packet(now, &packet, &mut pair.a.io), Disposition::Ignore);
    }
    assert_eq!(pair.a.flow, before);
}

#[test]
fn a_flow_that_rests_keeps_nothing_of_the_packets_that_were_under_way() {
    let mut pair = Pair::established(0, Config::default());
    let written = |flow: &Flow| flow.write_state().unwrap().len();
    let small = written(&pair.a.flow).max(written(&pair.b().flow)) + 64;
    pair.drop_next_data(3);
    pair.a.send(&[1; 100_000]);
    pair.run(Duration::from_secs(30));
    assert!(written(&pair.a.flow) > small && written(&pair.b().flow) > 10_000);
    pair.run(Duration::from_secs(120));
    assert!(written(&pair.a.flow) <= small && written(&pair.b().flow) <= small);
    assert_eq!(pair.a.flow.poll_timeout(), None, "and no timer runs");
    pair.a.send(&[2; 100_000]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 2);
}

#[test]
fn packets_behind_a_hole_that_is_never_filled_are_given_up() {
    let mut pair = Pair::established(0, Config::default());
    let now = pair.now;
    let b = pair.b();
    for n in 2..64 {
        let payload = [0; 1_418];
        let packet = PacketIn { header: &data(n, 0x05), payload: &[&payload] };
        assert_eq!(b.flow.handle_packet(now, &packet, &mut b.io), Disposition::Accept);
    }
    assert!(b.flow.write_state().unwrap().len() > 80_000);
    b.flow.handle_timeout(now + Duration::from_secs(60), &mut b.io);
    assert!(b.flow.write_state().unwrap().len() < 512);
    for n in 1..64 {
        let payload = [0; 1_418];
        let packet = PacketIn { header: &data(n, 0x05), payload: &[&payload] };
        assert_eq!(b.flow.handle_packet(now, &packet, &mut b.io), Disposition::Accept, "{n}");
        b.take_events();
    }
    assert_eq!(b.messages.len(), 63, "what is sent again is taken");
}

#[test]
fn an_idle_flow_is_small() {
    assert!(size_of::<Flow>() <= 512, "{} bytes", size_of::<Flow>());
}
