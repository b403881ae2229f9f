//! Extended profile: a slow receiver stops the sender, and nobody waits for ever.

use std::vec;
use std::vec::Vec;

use super::extended_delivery::message;
use super::negotiation::extended;
use super::pair::{Link, Pair};
use crate::error::EndReason;
use crate::machnet::{Config, Disposition, FlowEvent, FlowState, PacketIn};
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MachnetHeader, MsgFlags, NetFlags};

const RING: usize = 1 << 20;

/// A flow whose receiver does not read; the sender has filled the ring.
fn full(seed: u64) -> (Pair, Vec<Vec<u8>>) {
    let mut pair = Pair::established(seed, extended());
    pair.b().reads = false;
    let sent: Vec<Vec<u8>> = (0..30u64).map(|n| message(n, 100_000)).collect();
    for m in &sent {
        pair.a.send(m);
    }
    pair.run(Duration::from_millis(100));
    (pair, sent)
}

fn asks(packets: &[(Instant, bool, MachnetHeader)]) -> usize {
    packets.iter().filter(|s| s.1 && s.2.msg_flags.contains(MsgFlags::ASK)).count()
}

#[test]
fn a_reader_that_pauses_stops_the_sender_and_loses_nothing() {
    let (mut pair, sent) = full(1);
    assert_eq!(pair.a.flow.info().retransmits, 0, "nothing is sent that does not fit");
    assert_eq!(pair.b().messages.len(), RING / 100_000);
    let stored = pair.b().io.rx.len();
    assert!(stored + 1_418 > RING, "the window is used up: {stored}");
    pair.run(Duration::from_secs(120));
    assert_eq!(pair.a.flow.state(), FlowState::Established, "the peer lives, it is only slow");
    assert_eq!(pair.a.flow.info().retransmits, 0);
    pair.b().reads = true;
    pair.wake();
    pair.run(Duration::from_millis(200));
    assert!(pair.b().messages == sent);
}

#[test]
fn a_window_that_opens_is_said_without_being_asked_and_found_by_asking_where_that_is_lost() {
    let (mut pair, sent) = full(2);
    let before = pair.sent.len();
    pair.run(Duration::from_secs(10));
    let asked = asks(&pair.sent[before..]);
    assert!((3..=20).contains(&asked), "{asked} questions in 10 s");
    // The news that there is room again is lost.
    pair.b().reads = true;
    pair.b().take_events();
    pair.link.loss = 1_000_000;
    pair.wake();
    pair.flush();
    pair.link.loss = 0;
    assert_eq!(pair.b().messages.len(), RING / 100_000);
    pair.run(Duration::from_secs(5));
    assert!(pair.b().messages == sent);
}

#[test]
fn a_closed_window_whose_peer_is_dead_is_given_up() {
    let (mut pair, _) = full(3);
    pair.link.loss = 1_000_000;
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::TimedOut)));
}

#[test]
fn a_message_as_long_as_the_ring_arrives() {
    for len in [RING, RING - 1, RING - 1_000] {
        let mut pair = Pair::established(4, extended());
        let sent = message(9, len);
        pair.a.send(&[1; 777]);
        pair.a.send(&sent);
        pair.run(Duration::from_secs(1));
        assert!(pair.b().messages.get(1) == Some(&sent), "{len}");
    }
}

#[test]
fn a_message_larger_than_the_ring_ends_the_flow_instead_of_waiting_for_ever() {
    let mut pair = Pair::established(0, extended());
    pair.a.send(&vec![5; 2 << 20]);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::NoMemory)));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::Reset)));
}

#[test]
fn unread_messages_close_the_window_however_short_they_are() {
    let mut pair = Pair::established(0, extended());
    pair.b().reads = false;
    for _ in 0..6_000 {
        pair.a.send(b"x");
    }
    pair.run(Duration::from_millis(500));
    let unread = pair.b().messages.len();
    assert!((4_096..4_096 + 64).contains(&unread), "{unread}");
    let said = pair.sent.iter().rfind(|s| !s.1 && s.2.net_flags == NetFlags::Ack).unwrap().2;
    assert_eq!(said.sack.count, 0);
    pair.b().reads = true;
    pair.wake();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 6_000);
}

#[test]
fn a_reader_in_small_bites_does_not_make_the_sender_send_crumbs() {
    let mut pair = Pair::new(1, Link::default(), extended(), 20_000);
    pair.run(Duration::from_millis(1));
    pair.b().reads = false;
    for n in 0..40u64 {
        pair.a.send(&message(n, 5_000));
    }
    let before = pair.sent.len();
    for _ in 0..100_000 {
        pair.run(Duration::from_micros(20));
        let b = pair.b();
        let committed = b.io.committed;
        b.io.consumed = committed.min(b.io.consumed + 100);
        pair.wake();
        if pair.b().messages.len() == 40 {
            break;
        }
    }
    assert_eq!(pair.b().messages.len(), 40);
    let data = pair.sent[before..].iter().filter(|s| s.2.net_flags == NetFlags::Data).count();
    // Four packets each, and no message waits for a window of less than its next one.
    assert!(data <= 165, "{data}");
}

#[test]
fn a_flow_that_is_idle_asks_whether_its_peer_lives() {
    let mut pair = Pair::established(0, extended());
    let before = pair.sent.len();
    pair.run(Duration::from_secs(100));
    let packets = pair.sent.len() - before;
    assert!((4..=16).contains(&packets), "{packets}");
    assert_eq!(pair.a.flow.state(), FlowState::Established);
    pair.link.loss = 1_000_000;
    pair.run(Duration::from_secs(90));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::TimedOut)));
    assert_eq!(pair.b().events.last(), Some(&FlowEvent::Ended(EndReason::TimedOut)));
    assert_eq!(pair.a.flow.poll_timeout(), None);
}

#[test]
fn a_window_is_believed_after_more_than_half_an_hour_of_silence() {
    for minutes in [30, 36, 50, 59] {
        let config = Config::builder().extended(true).keepalive(Duration::from_secs(3_600));
        let mut pair = Pair::established(9, config.build().unwrap());
        for n in 0..3u64 {
            pair.a.send(&message(n, 100_000));
        }
        pair.run(Duration::from_millis(100));
        pair.run(Duration::from_secs(60 * minutes));
        for n in 0..30u64 {
            pair.a.send(&message(n, 100_000));
        }
        pair.run(Duration::from_millis(500));
        assert_eq!(pair.b().messages.len(), 33, "after {minutes} minutes");
        assert_eq!(pair.blind, 0);
    }
}

#[test]
fn a_packet_that_was_overtaken_does_not_take_back_what_a_later_one_said_of_the_window() {
    let mut pair = Pair::established(5, extended());
    pair.a.send(&[1; 100]);
    pair.run(Duration::from_millis(3));
    let (now, last) = (pair.now, pair.sent.iter().rfind(|s| !s.1).unwrap().2);
    let mut say = |later_us: u64, window: u16| {
        let mut header = last;
        header.timestamp += later_us << 32;
        header.sack.count = window;
        let packet = PacketIn { header: &header, payload: &[] };
        pair.a.flow.handle_packet(now, &packet, &mut pair.a.io)
    };
    assert_eq!(say(100, 500), Disposition::Duplicate);
    assert_eq!(say(50, 9_000), Disposition::Duplicate);
    pair.a.send(&[2; 600]);
    assert!(!pair.a.flow.has_output(), "600 bytes do not fit");
    let mut header = last;
    header.timestamp += 200 << 32;
    header.sack.count = 600;
    let packet = PacketIn { header: &header, payload: &[] };
    pair.a.flow.handle_packet(now, &packet, &mut pair.a.io);
    assert!(pair.a.flow.has_output(), "now they do");
}
