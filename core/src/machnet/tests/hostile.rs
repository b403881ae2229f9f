//! Extended profile: nothing that a peer or a stranger sends panics, is believed without reason, or grows without bound.

use std::vec::Vec;

use proptest::prelude::*;

use super::negotiation::extended;
use super::pair::{Pair, Side, written};
use crate::machnet::{Disposition, Flow, FlowState, PacketIn};
use crate::rng::Stream;
use crate::time::Duration;
use crate::wire::machnet::{MachnetHeader, MsgFlags, NetFlags, SackField};

const KINDS: [NetFlags; 5] =
    [NetFlags::Data, NetFlags::Ack, NetFlags::Syn, NetFlags::SynAck, NetFlags::Rst];

/// A header as a peer could send it, with some fields drawn at random.
fn drawn(rng: &mut Stream, model: &MachnetHeader) -> MachnetHeader {
    let kind = KINDS[[0, 0, 0, 0, 1, 1, 1, 2, 3, 4][rng.below(10) as usize]];
    let near = |rng: &mut Stream, n: u32| {
        let off = [0, 1, rng.below(300) as u32, rng.next_u64() as u32][rng.below(4) as usize];
        if rng.chance_ppm(500_000) { n.wrapping_add(off) } else { n.wrapping_sub(off) }
    };
    let words = core::array::from_fn(|_| match rng.below(3) {
        0 => 0,
        1 => u64::MAX,
        _ => rng.next_u64(),
    });
    let flags = [0x05, 0x03, 0x02, 0x04, 0x10, 0x50, 0x45, rng.below(256) as u8];
    MachnetHeader {
        net_flags: kind,
        msg_flags: MsgFlags::from_wire(flags[rng.below(8) as usize]),
        seqno: near(rng, model.seqno),
        ackno: near(rng, model.ackno),
        sack: SackField { words, count: rng.next_u64() as u16 },
        timestamp: if rng.chance_ppm(900_000) { model.timestamp } else { rng.next_u64() },
    }
}

fn payload(rng: &mut Stream) -> Vec<u8> {
    let len = [0, rng.below(30), rng.below(1_500)][rng.below(3) as usize] as usize;
    let mut bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
    // Numbers, lengths and counts that might be right.
    if rng.chance_ppm(700_000)
        && let Some(head) = bytes.first_chunk_mut::<8>()
    {
        *head = [0, 0, 0, rng.below(3) as u8, 0x80 * rng.below(2) as u8, 0, 0, rng.below(40) as u8];
    }
    bytes
}

fn check(side: &Side, pair_config: &crate::machnet::Config) {
    let bytes = side.flow.write_state().unwrap();
    assert_eq!(Flow::read_state(&bytes, pair_config).as_ref(), Ok(&side.flow));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_packets_never_panic_and_leave_a_state_that_can_be(seed: u64) {
        let mut pair = Pair::established(seed, extended());
        pair.a.send(&[7; 60_000]);
        let closing = seed.is_multiple_of(5);
        pair.run(Duration::from_micros(170));
        let mut rng = Stream::new(seed, 5);
        let config = pair.config;
        let mut now = pair.now;
        pair.b().send(&[9; 20_000]);
        if closing {
            pair.b().flow.close(now);
        }
        for _ in 0..300 {
            let model = pair.sent.iter().rfind(|s| s.1).unwrap().2;
            let (header, payload) = (drawn(&mut rng, &model), payload(&mut rng));
            let b = pair.b();
            let packet = PacketIn { header: &header, payload: &[&payload] };
            b.flow.handle_packet(now, &packet, &mut b.io);
            check(b, &config);
            b.take_events();
            while let Some(packet) = b.flow.poll_transmit(now) {
                written(&mut b.flow, &packet, &b.io);
            }
            check(b, &config);
            now += Duration::from_nanos(rng.below(300_000));
            b.flow.handle_timeout(now, &mut b.io);
            b.flow.handle_app(now, &mut b.io);
            check(b, &config);
            if b.flow.state() == FlowState::Closed {
                break;
            }
        }
    }

    #[test]
    fn damaged_states_are_refused_or_harmless(seed: u64, at: usize, bit in 0u8..8, cut: bool) {
        let mut pair = Pair::established(seed, extended());
        pair.link.reorder = 300_000;
        pair.a.send(&[3; 60_000]);
        for n in 0..50 {
            pair.a.send(&[n; 30]);
        }
        pair.run(Duration::from_micros(170));
        for side in [Some(&pair.a), pair.b.as_ref()].into_iter().flatten() {
            let mut bytes = side.flow.write_state().unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            if let Ok(mut flow) = Flow::read_state(&bytes, &pair.config) {
                let mut io = super::pair::Rings::new(1 << 20);
                flow.handle_app(pair.now, &mut io);
                flow.handle_timeout(pair.now + Duration::from_secs(9), &mut io);
                for _ in 0..600 {
                    if let Some(packet) = flow.poll_transmit(pair.now) {
                        flow.note_written(&packet, 7);
                    }
                    flow.poll_event();
                }
            }
        }
    }
}

#[test]
fn a_stranger_who_knows_the_ports_changes_nothing() {
    let mut pair = Pair::established(1, extended());
    pair.a.send(&[7; 5_000]);
    pair.b().send(&[8; 5_000]);
    pair.run(Duration::from_secs(3_000));
    let mut rng = Stream::new(1, 8);
    let (now, mut believed) = (pair.now, 0);
    let b = pair.b();
    let before = b.flow.clone();
    for _ in 0..200_000 {
        // The numbers of the client begin with 0: they may be known.
        let kind = KINDS[[0, 1, 4][rng.below(3) as usize]];
        let header = MachnetHeader {
            msg_flags: MsgFlags::place(true, true),
            timestamp: rng.next_u64(),
            ..MachnetHeader::new(kind, before.rx.rcv_nxt(), rng.next_u64() as u32)
        };
        let packet = PacketIn { header: &header, payload: &[&[0; 20]] };
        // A RST has nothing but its echo.
        if kind != NetFlags::Rst
            || b.flow.clone().handle_packet(now, &packet, &mut b.io) == Disposition::Blind
        {
            b.flow.handle_packet(now, &packet, &mut b.io);
        } else {
            believed += 1;
        }
    }
    assert!(b.flow == before);
    assert!(believed * 32 < 200_000 / 3, "{believed} of some 66,000");
}

#[test]
fn packets_behind_a_hole_take_no_more_memory_than_the_window_has_bytes() {
    let mut pair =
        Pair::new(1, super::pair::Link::default(), extended().on_link(9_000, 20), 300_000);
    pair.run(Duration::from_millis(1));
    let now = pair.now;
    let model = pair.sent.iter().rfind(|s| s.1).unwrap().2;
    let b = pair.b();
    let next = b.flow.rx.rcv_nxt();
    let mut taken = 0;
    for n in 1..400 {
        let header = MachnetHeader {
            msg_flags: MsgFlags::place(false, false),
            seqno: next.wrapping_add(n),
            net_flags: NetFlags::Data,
            ..model
        };
        let payload = [0; 8_918];
        let packet = PacketIn { header: &header, payload: &[&payload] };
        taken += usize::from(b.flow.handle_packet(now, &packet, &mut b.io) == Disposition::Accept);
    }
    let bytes = b.flow.write_state().unwrap().len();
    assert!(taken > 30 && bytes < 300_000 + (80 << 10), "{taken} packets, {bytes} bytes");
    assert!(b.flow.events.is_empty());
}

#[test]
fn packets_that_ask_get_one_answer_each_burst_and_never_a_question() {
    let mut pair = Pair::established(1, extended());
    let now = pair.now;
    let model = pair.sent.iter().rfind(|s| s.1).unwrap().2;
    let b = pair.b();
    for _ in 0..1_000 {
        let header = MachnetHeader { msg_flags: MsgFlags::ASK, net_flags: NetFlags::Ack, ..model };
        b.flow.handle_packet(now, &PacketIn { header: &header, payload: &[] }, &mut b.io);
    }
    let answer = b.flow.poll_transmit(now).unwrap().header;
    assert_eq!((answer.net_flags, answer.msg_flags), (NetFlags::Ack, MsgFlags::NONE));
    assert_eq!(b.flow.poll_transmit(now), None);
}
