//! Which profile two ends come to speak.

use std::vec;
use std::vec::Vec;

use super::pair::{Link, Pair};
use crate::machnet::{Config, Flow, FlowState, Profile};
use crate::time::{Duration, Instant};
use crate::wire::machnet::{MachnetHeader, NetFlags, Offer};

pub fn extended() -> Config {
    Config::builder().extended(true).build().unwrap()
}

fn link() -> Link {
    Link::default()
}

#[test]
fn two_ends_that_offer_speak_the_extended_profile_and_all_others_upstreams() {
    for (a, b) in [(false, false), (false, true), (true, false), (true, true)] {
        let config = |on| if on { extended() } else { Config::default() };
        let mut pair = Pair::between(1, link(), (config(a), config(b)), 1 << 20);
        let sent: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 5_000]).collect();
        for message in &sent {
            pair.a.send(message);
        }
        pair.run(Duration::from_millis(2));
        pair.b().send(b"and back");
        pair.run(Duration::from_millis(10));
        let profile = if a && b { Profile::Extended } else { Profile::Upstream };
        assert_eq!((pair.a.flow.profile(), pair.b().flow.profile()), (profile, profile));
        assert!(pair.b().messages == sent, "{a} {b}");
        assert_eq!(pair.a.messages, [b"and back"]);
        assert_eq!(pair.a.flow.info().retransmits, 0, "{a} {b}");
        let silent = |(_, _, header): &(Instant, bool, MachnetHeader)| {
            header.timestamp == 0 || (a && !b && header.net_flags == NetFlags::Syn)
        };
        assert_eq!(pair.sent.iter().all(silent), !(a && b), "{a} {b}");
    }
}

#[test]
fn what_is_no_offer_is_answered_as_upstream_answers() {
    let good = Offer::new(1_418).to_wire();
    for (timestamp, profile) in [
        (good, Profile::Extended),
        (good | 0xffff << 16, Profile::Extended),
        (good + (7 << 32), Profile::Extended),
        (good ^ 1 << 63, Profile::Upstream),
        (good & !(0xff << 32), Profile::Upstream),
        (good | 0xffff, Profile::Upstream),
        (1, Profile::Upstream),
        (0, Profile::Upstream),
    ] {
        let (now, config) = (Instant::from_nanos(1), extended());
        let syn = MachnetHeader { timestamp, ..MachnetHeader::new(NetFlags::Syn, 0, 0) };
        let mut flow = Flow::accept(now, &config, 77, &syn);
        assert_eq!(flow.profile(), profile, "{timestamp:x}");
        let answer = flow.poll_transmit(now).unwrap().header;
        let said = Offer::parse(answer.timestamp);
        assert_eq!(said.is_some(), profile == Profile::Extended);
        assert!(said.is_none_or(|offer| offer == Offer::new(1_418)), "our own, version 1");
        let mut client = Flow::connect(now, &config, 0);
        assert_eq!(client.poll_transmit(now).unwrap().header.timestamp, good);
        let syn_ack = MachnetHeader { timestamp, ..MachnetHeader::new(NetFlags::SynAck, 9, 1) };
        let packet = crate::machnet::PacketIn { header: &syn_ack, payload: &[] };
        client.handle_packet(now, &packet, &mut super::pair::Rings::new(1 << 16));
        assert_eq!((client.profile(), client.state()), (profile, FlowState::Established));
    }
}

#[test]
fn the_smaller_payload_counts_and_no_packet_is_longer() {
    for (a, b) in [(9_000, 1_500), (1_500, 9_000), (9_000, 9_000), (700, 9_000)] {
        let configs = (extended().on_link(a, 20), extended().on_link(b, 20));
        let mut pair = Pair::between(2, link(), configs, 1 << 20);
        let sent = vec![3; 100_000];
        pair.a.send(&sent);
        pair.run(Duration::from_millis(5));
        assert!(pair.b().messages == [sent]);
        let most = usize::from(a.min(b)) - 82;
        assert_eq!(pair.longest, most, "{a} {b}");
    }
}

#[test]
fn the_numbers_of_a_server_that_accepts_an_offer_begin_at_random() {
    let mut pair = Pair::new(5, link(), extended(), 1 << 20);
    pair.run(Duration::from_millis(1));
    let of = |kind| pair.sent.iter().find(|s| s.2.net_flags == kind).map(|s| s.2);
    assert_ne!(of(NetFlags::SynAck).unwrap().seqno, 0);
    let first = of(NetFlags::Ack).unwrap();
    assert_eq!(first.ackno, of(NetFlags::SynAck).unwrap().seqno.wrapping_add(1));
    assert_ne!(first.timestamp >> 32, 0, "the clock is told");
    assert_eq!(first.timestamp as u32, 0, "there is nothing to echo");
}

#[test]
fn a_lost_syn_ack_and_a_lost_final_acknowledgement_are_made_good() {
    for seed in 0..60 {
        let link = Link { loss: 400_000, ..link() };
        let mut pair = Pair::new(seed, link, extended(), 1 << 20);
        pair.a.send(b"hello");
        pair.run(Duration::from_secs(3));
        pair.link.loss = 0;
        pair.run(Duration::from_secs(20));
        // All five attempts may be lost.
        if pair.a.flow.state() == FlowState::Established {
            assert_eq!(pair.b().messages, [b"hello"], "seed {seed}");
        }
    }
}

#[test]
fn a_repeated_syn_that_offers_something_else_is_not_answered() {
    let (now, config) = (Instant::from_nanos(1), extended());
    let plain = MachnetHeader::new(NetFlags::Syn, 0, 0);
    let offering = MachnetHeader { timestamp: Offer::new(1_000).to_wire(), ..plain };
    for (first, second) in [(plain, offering), (offering, plain)] {
        let mut flow = Flow::accept(now, &config, 0, &first);
        flow.poll_transmit(now).unwrap();
        for (syn, answered) in [(second, false), (first, true)] {
            let packet = crate::machnet::PacketIn { header: &syn, payload: &[] };
            flow.handle_packet(now, &packet, &mut super::pair::Rings::new(1 << 16));
            assert_eq!(flow.poll_transmit(now).is_some(), answered);
        }
    }
}
