//! VLAN tags in frames and beside them, long frames, and what a NIC says of checksums.

use std::vec::Vec;

use crate::nic::{Frame, NicCaps, RxChecksum};
use crate::port::{Op, Transport};
use crate::testing::{Duo, Host, transfer};
use crate::wire::ETHERNET_HEADER_LEN;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// The frames that `a` sends now.
fn sent_by_a(duo: &mut Duo) -> Vec<(Vec<u8>, Option<u16>)> {
    let now = duo.now;
    duo.a.engine.step(now);
    let frames = duo.a.nic().outbound.drain(..);
    frames.map(|frame| (frame.bytes().to_vec(), frame.meta().vlan_tci)).collect()
}

#[test]
fn on_a_vlan_every_frame_carries_the_tag_and_tcp_and_messages_go_through() {
    for strips in [false, true] {
        let shape = |caps: &mut NicCaps| caps.vlan = strips;
        let mut duo = Duo::with(65_536, &shape, &|config| config.vlan(5));
        let bytes = pattern(200_000);
        let (a, b) = duo.connect(Transport::Tcp, 80);
        assert_eq!(transfer(&mut duo, a, b, true, &bytes), bytes);
        duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 1_472 });
        duo.a.engine.port_mut().write(a.stream, &bytes[..1_000]);
        duo.a.ask(Op::Kick { socket: a.socket });
        let frames = sent_by_a(&mut duo);
        assert_eq!(frames.len(), 2);
        for (frame, beside) in frames {
            let tag = &frame[12..16];
            if strips {
                assert_eq!((beside, &tag[..2]), (Some(5), &[8, 0][..]));
            } else {
                assert_eq!((beside, tag), (None, &[0x81, 0, 0, 5][..]));
            }
        }
        let (flow, _) = duo.connect(Transport::Machnet, 90);
        let _ = flow;
    }
}

#[test]
fn frames_of_another_vlan_or_of_none_are_not_ours_and_a_priority_tag_is_no_vlan() {
    let mut tagged = Duo::with(65_536, &|_| {}, &|config| config.vlan(5));
    let mut plain = Duo::new(65_536);
    for (duo, vlan) in [(&mut tagged, true), (&mut plain, false)] {
        duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
        // An ARP request without its tag, if it has one.
        let (request, _) = sent_by_a(duo).pop().unwrap();
        let skip = if vlan { 4 } else { 0 };
        let (addresses, rest) = (&request[..12], &request[12 + skip..]);
        let with = |tag: &[u8]| [addresses, tag, rest].concat();
        let cases = [
            (with(&[]), !vlan),
            (with(&[0x81, 0, 0, 6]), false),
            (with(&[0x81, 0, 0xe0, 0]), !vlan),
            (with(&[0x81, 0, 0xe0, 5]), vlan),
            (with(&[0x81, 0, 0, 5, 0x81, 0, 0, 5]), false),
        ];
        for (frame, taken) in cases {
            duo.b.nic().inject(&frame);
            let now = duo.now;
            duo.b.engine.step(now);
            let answered = duo.b.nic().outbound.pop_front().is_some();
            assert_eq!(answered, taken, "{:02x?}", &frame[12..20]);
        }
        // The same beside the frame, as a NIC that strips tags delivers it.
        for (tci, taken) in [(5, vlan), (6, false), (0xe000, !vlan)] {
            let mut frame = duo.b.nic().pool.frame(&with(&[]));
            frame.meta_mut().vlan_tci = Some(tci);
            duo.b.nic().inbound.push_back(frame);
            let now = duo.now;
            duo.b.engine.step(now);
            assert_eq!(duo.b.nic().outbound.pop_front().is_some(), taken, "{tci}");
        }
    }
}

#[test]
fn long_frames_are_used_to_their_whole_length() {
    for mtu in [9_000, 9_216, 16_110] {
        let mut duo = Duo::with(1 << 20, &|caps| caps.mtu = mtu, &|config| config);
        let (a, b) = duo.connect(Transport::Tcp, 80);
        duo.a.engine.port_mut().write(a.stream, &pattern(40_000));
        duo.a.ask(Op::Kick { socket: a.socket });
        let longest = sent_by_a(&mut duo).iter().map(|(frame, _)| frame.len()).max();
        assert_eq!(longest, Some(usize::from(mtu) + ETHERNET_HEADER_LEN));
        let _ = b;
        let (c, d) = duo.reconnect(Transport::Tcp, 80);
        let bytes = pattern(500_000);
        assert_eq!(transfer(&mut duo, c, d, true, &bytes), bytes);
    }
}

#[test]
fn what_a_nic_knows_of_checksums_is_believed_and_its_hash_changes_nothing() {
    for (known, wrong, arrives) in [
        (RxChecksum::Unknown, false, true),
        (RxChecksum::Unknown, true, false),
        (RxChecksum::Verified, true, true),
        (RxChecksum::Bad, false, false),
    ] {
        let mut duo = Duo::new(65_536);
        let (a, b) = duo.connect(Transport::Tcp, 80);
        duo.a.engine.port_mut().write(a.stream, &[7; 100]);
        duo.a.ask(Op::Kick { socket: a.socket });
        let (mut bytes, _) = sent_by_a(&mut duo).pop().unwrap();
        // The TCP checksum.
        bytes[ETHERNET_HEADER_LEN + 20 + 16] ^= u8::from(wrong);
        let mut frame = duo.b.nic().pool.frame(&bytes);
        frame.meta_mut().rx_checksum = known;
        frame.meta_mut().rss_hash = 0xdead_beef;
        duo.b.nic().inbound.push_back(frame);
        let now = duo.now;
        duo.b.engine.step(now);
        assert_eq!(duo.b.engine.port_mut().readable(b.stream) == 100, arrives, "{known:?} {wrong}");
        assert_eq!(duo.b.engine.stack().stats().drops.checksum, u64::from(!arrives));
    }
}
