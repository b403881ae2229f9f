//! Extended profile: how flows end, and begin anew.

use std::vec;

use super::negotiation::extended;
use super::pair::{Link, Pair, Rings};
use crate::error::EndReason;
use crate::machnet::{Config, Disposition, Flow, FlowEvent, FlowState, PacketIn, answer_nobody};
use crate::time::Duration;
use crate::wire::machnet::{MachnetHeader, MsgFlags, NetFlags, Offer};

const CLOSED: Option<&FlowEvent> = Some(&FlowEvent::Ended(EndReason::Closed));
const RESET: Option<&FlowEvent> = Some(&FlowEvent::Ended(EndReason::Reset));

/// The last word of either end.
fn ends(pair: &Pair) -> (Option<&FlowEvent>, Option<&FlowEvent>) {
    (pair.a.events.last(), pair.b.as_ref().and_then(|b| b.events.last()))
}

#[test]
fn a_close_delivers_everything_and_both_ends_learn_that_it_was_one() {
    let mut pair = Pair::established(0, extended());
    pair.a.send(&[7; 300_000]);
    pair.a.flow.close(pair.now);
    pair.run(Duration::from_millis(20));
    assert_eq!(ends(&pair), (CLOSED, CLOSED));
    assert_eq!(pair.b().messages.len(), 1);
    assert!(pair.a.flow.is_finished() && pair.b().flow.is_finished());
    let fin = pair.sent.iter().filter(|s| s.2.msg_flags.contains(MsgFlags::FIN)).count();
    assert_eq!((fin, pair.sent.iter().any(|s| s.2.net_flags == NetFlags::Rst)), (1, false));
    assert_eq!(pair.a.flow.poll_timeout(), None);
}

#[test]
fn whatever_is_lost_a_close_is_a_close() {
    for seed in 0..300 {
        let mut pair = Pair::established(seed, extended());
        pair.a.send(&[7; 3_000]);
        pair.link = Link { loss: 250_000, duplicate: 100_000, reorder: 100_000, ..pair.link };
        pair.a.flow.close(pair.now);
        pair.run(Duration::from_secs(25));
        assert_eq!(pair.b().events.last(), CLOSED, "seed {seed}");
        assert_eq!(pair.b().messages.len(), 1, "seed {seed}");
        assert_eq!(pair.a.events.last(), CLOSED, "seed {seed}");
    }
}

#[test]
fn a_lost_acknowledgement_of_fin_is_made_good_by_the_answer_of_nobody() {
    let mut pair = Pair::established(0, extended());
    pair.a.flow.close(pair.now);
    pair.flush();
    pair.link.loss = 1_000_000;
    pair.run(Duration::from_micros(60));
    assert!(pair.b().flow.is_finished());
    assert_eq!(pair.a.flow.state(), FlowState::Closing);
    pair.link.loss = 0;
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.a.events.last(), CLOSED);
    assert!(pair.sent.iter().any(|s| s.2.net_flags == NetFlags::Rst));
}

#[test]
fn both_may_close_at_once() {
    for apart_us in [0, 10, 50, 60, 100, 120] {
        let mut pair = Pair::established(0, extended());
        pair.a.send(&[1; 100]);
        pair.b().send(&[2; 100]);
        pair.run(Duration::from_millis(2));
        pair.a.flow.close(pair.now);
        pair.run(Duration::from_micros(apart_us));
        let now = pair.now;
        pair.b().flow.close(now);
        pair.run(Duration::from_secs(1));
        assert_eq!(ends(&pair), (CLOSED, CLOSED), "{apart_us}");
        assert!(pair.a.flow.is_finished() && pair.b().flow.is_finished());
    }
}

#[test]
fn a_close_before_the_handshake_is_done_sends_what_was_queued() {
    let mut pair = Pair::new(0, Link::default(), extended(), 1 << 20);
    pair.a.send(b"hello");
    pair.a.flow.close(pair.now);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages, [b"hello"]);
    assert_eq!(ends(&pair), (CLOSED, CLOSED));
}

#[test]
fn a_flow_that_cannot_deliver_gives_up_after_its_linger() {
    let config = Config::builder().extended(true).linger(Duration::from_millis(500));
    let mut pair = Pair::established(0, config.build().unwrap());
    pair.b().reads = false;
    for _ in 0..3 {
        pair.a.send(&vec![1; 1 << 19]);
    }
    pair.a.flow.close(pair.now);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::TimedOut)));
    assert_eq!(pair.b().events.last(), RESET);
}

#[test]
fn an_abort_tells_the_peer_with_one_packet_also_where_some_are_missing() {
    for lost in 0..=8 {
        let mut pair = Pair::established(0, extended());
        pair.a.send(&[1; 100_000]);
        pair.drop_next_data(lost);
        pair.flush();
        pair.a.flow.abort();
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.a.events.last(), Some(&FlowEvent::Ended(EndReason::Aborted)));
        assert_eq!(pair.b().events.last(), RESET, "{lost}");
        let mine = pair.sent.iter().filter(|s| s.1 && s.2.net_flags == NetFlags::Rst).count();
        assert_eq!(mine, 1);
    }
}

#[test]
fn a_lost_reset_is_made_good_by_the_answer_to_the_next_packet() {
    let mut pair = Pair::established(0, extended());
    pair.b().send(&[1; 100]);
    pair.run(Duration::from_millis(2));
    pair.link.loss = 1_000_000;
    pair.a.flow.abort();
    pair.flush();
    pair.link.loss = 0;
    pair.b().send(&[1; 100]);
    pair.run(Duration::from_millis(2));
    assert_eq!(pair.b().events.last(), RESET);
}

#[test]
fn a_closed_port_refuses_at_once() {
    let mut flow = Flow::connect(crate::time::Instant::ZERO, &extended(), 0);
    let now = crate::time::Instant::from_nanos(5);
    let syn = flow.poll_transmit(now).unwrap().header;
    let rst = answer_nobody(&syn).unwrap();
    assert_eq!((rst.ackno, rst.timestamp), (1, 0));
    let packet = PacketIn { header: &rst, payload: &[] };
    assert_eq!(flow.handle_packet(now, &packet, &mut Rings::new(9)), Disposition::Accept);
    assert_eq!(flow.poll_event(), Some(FlowEvent::Ended(EndReason::Refused)));
}

#[test]
fn only_packets_of_the_extended_profile_are_answered_for_nobody_and_a_reset_never() {
    let header = |kind, timestamp| MachnetHeader { timestamp, ..MachnetHeader::new(kind, 10, 20) };
    let offer = Offer::new(1_418).to_wire();
    for kind in [NetFlags::Data, NetFlags::Ack, NetFlags::Syn, NetFlags::SynAck, NetFlags::Rst] {
        assert_eq!(answer_nobody(&header(kind, 0)), None, "upstream's {kind:?}");
    }
    assert_eq!(answer_nobody(&header(NetFlags::Rst, 7 << 32)), None);
    assert_eq!(answer_nobody(&header(NetFlags::Syn, 7 << 32)), None, "no offer");
    for (kind, timestamp, ackno, echo) in [
        (NetFlags::Data, 7 << 32 | 9, 11, 7),
        (NetFlags::Ack, 7 << 32 | 9, 10, 7),
        (NetFlags::Syn, offer, 11, 0),
        (NetFlags::SynAck, offer, 11, 0),
    ] {
        let rst = answer_nobody(&header(kind, timestamp)).unwrap();
        assert_eq!((rst.net_flags, rst.seqno, rst.ackno), (NetFlags::Rst, 20, ackno));
        assert_eq!(rst.timestamp, echo);
    }
}

#[test]
fn a_reset_counts_with_a_good_echo_and_a_number_in_the_window() {
    let mut pair = Pair::established(0, extended());
    pair.a.send(&[1; 100]);
    pair.b().send(&[2; 100]);
    pair.run(Duration::from_millis(3));
    let now = pair.now;
    let last = pair.sent.iter().rfind(|s| s.1).unwrap().2;
    let b = pair.b();
    let next = last.seqno;
    let mut give = |seqno: u32, timestamp: u64| {
        let rst = MachnetHeader { timestamp, ..MachnetHeader::new(NetFlags::Rst, seqno, 0) };
        b.flow.handle_packet(now, &PacketIn { header: &rst, payload: &[] }, &mut b.io)
    };
    let good = last.timestamp;
    assert_eq!(give(next, good ^ 1 << 30), Disposition::Blind);
    assert_eq!(give(next, 0), Disposition::Blind);
    assert_eq!(give(next.wrapping_add(257), good), Disposition::Ignore);
    assert_eq!(give(next.wrapping_sub(1), good), Disposition::Ignore);
    assert_eq!(give(next.wrapping_add(256), good), Disposition::Accept);
    b.take_events();
    assert_eq!(b.events.last(), RESET);
    assert!(!b.flow.has_output(), "a RST is not answered");
}

#[test]
fn a_peer_that_forgot_the_flow_and_asks_again_is_let_in() {
    let mut pair = Pair::established(0, extended());
    pair.a.send(&[1; 5_000]);
    pair.run(Duration::from_millis(3));
    pair.reborn();
    pair.a.send(&[2; 100]);
    pair.run(Duration::from_micros(300));
    assert_eq!(pair.b().events.last(), RESET, "the old one ends at once");
    assert_eq!(pair.a.flow.state(), FlowState::SynSent);
    pair.b = None;
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.a.flow.state(), FlowState::Established);
    assert_eq!(pair.b().messages, [[2; 100]]);
}

#[test]
fn an_old_copy_of_the_syn_changes_nothing() {
    let mut pair = Pair::established(0, extended());
    let now = pair.now;
    let syn = pair.sent[0].2;
    let b = pair.b();
    let packet = PacketIn { header: &syn, payload: &[] };
    assert_eq!(b.flow.handle_packet(now, &packet, &mut b.io), Disposition::Duplicate);
    pair.a.send(&[1; 5_000]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 1);
    assert_eq!(pair.b().flow.state(), FlowState::Established);
}

#[test]
fn a_flow_that_rests_keeps_nothing_of_the_packets_that_were_under_way() {
    let mut pair = Pair::established(0, extended());
    let written = |flow: &Flow| flow.write_state().unwrap().len();
    let small = written(&pair.a.flow).max(written(&pair.b().flow)) + 100;
    pair.drop_next_data(3);
    pair.a.send(&[1; 300_000]);
    for n in 0..100 {
        pair.a.send(&[n; 20]);
    }
    pair.run(Duration::from_secs(30));
    assert!(written(&pair.a.flow) > small && written(&pair.b().flow) > 10_000);
    pair.run(Duration::from_secs(120));
    let rests = (written(&pair.a.flow), written(&pair.b().flow));
    assert!(rests.0 <= small && rests.1 <= small, "{rests:?}, {small}");
    pair.a.send(&[2; 300_000]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.b().messages.len(), 102);
}

#[test]
fn a_dying_application_s_flow_is_reset_or_delivers_what_it_has() {
    let mut pair = Pair::established(0, extended());
    let now = pair.now;
    pair.a.send(&[1; 50_000]);
    pair.a.flow.detach(now, now + Duration::from_millis(500));
    pair.run(Duration::from_millis(300));
    assert_eq!(ends(&pair), (CLOSED, CLOSED));
    let mut pair = Pair::established(0, extended());
    let now = pair.now;
    pair.a.flow.detach(now, now + Duration::from_millis(500));
    pair.run(Duration::from_millis(300));
    assert_eq!(pair.b().events.last(), RESET);
}
