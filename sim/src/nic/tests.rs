//! Rings and offloads of the simulated NIC.

use std::net::Ipv6Addr;

use causeway_backends::contract::{Rig, check};
use causeway_core::nic::{Frame as _, GsoType, Offload, RxChecksum};
use causeway_core::time::{Duration, Instant};

use super::*;
use crate::fault::{Dice, IP, NicTrouble, Place};
use crate::link::repair;
use crate::packet::Packet;
use crate::tap::Delivery;

fn nic(rx_ring: usize, tx_ring: usize) -> (SimNic, Rc<NicPort>) {
    let config = NicConfig { rx_ring, tx_ring, burst: 4, ..NicConfig::new(MacAddr([2; 6])) };
    SimNic::new(&config)
}

fn frames(nic: &mut SimNic, count: usize) -> VecDeque<SimFrame> {
    (0..count).map(|_| nic.alloc(60).expect("the pool holds more")).collect()
}

#[test]
fn a_full_transmit_ring_takes_a_prefix_and_says_so_once() {
    let (mut nic, port) = nic(8, 6);
    let mut queue = frames(&mut nic, 9);
    assert_eq!(nic.tx_burst(&mut queue), 4, "one burst");
    assert_eq!(nic.tx_burst(&mut queue), 2, "the ring's rest");
    assert_eq!(queue.len(), 3);
    assert!(port.take_tx_refused() && !port.take_tx_refused());
    while port.take_tx().is_some() {}
    port.occupy_tx(5);
    assert_eq!(nic.tx_burst(&mut queue), 1, "frames that wait for the wire hold their slots");
}

#[test]
fn a_full_receive_ring_loses_the_frame_and_counts_it() {
    let (mut nic, port) = nic(2, 8);
    for frame in frames(&mut nic, 3) {
        let _ = port.deliver(frame);
    }
    assert_eq!((port.rx_waiting(), port.rx_overflows()), (2, 1));
    let mut out = Vec::new();
    assert_eq!(nic.rx_burst(&mut out, 64), 2);
}

const ACK: u8 = Place::ACK;
const CWR: u8 = 0x80;

/// A segment with timestamps, from port 40,000 + `flow` to port 80.
fn segment(v6: bool, flow: u8, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let l4 = 32 + payload.len();
    let mut frame = vec![2; 12];
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, (l4 >> 8) as u8, l4 as u8, 6, 64]);
        frame.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).octets());
        frame.extend(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).octets());
    } else {
        let len = (20 + l4) as u16;
        frame.extend([8, 0, 0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    }
    frame.extend([0x9c, 0x40 + flow, 0, 80]);
    frame.extend(seq.to_be_bytes());
    frame.extend([0, 0, 2, 0, 0x80, flags, 1, 0, 0, 0, 0, 0]);
    frame.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    frame.extend(payload);
    repair(&mut frame);
    frame
}

fn bytes_of(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 % 251) as u8).collect()
}

fn able(tune: impl Fn(&mut Offloads)) -> (SimNic, Rc<NicPort>) {
    let mut config = NicConfig::new(MacAddr([2; 6]));
    tune(&mut config.offloads);
    SimNic::new(&config)
}

const fn cutting(offloads: &mut Offloads) {
    (offloads.tx_checksum, offloads.tso_bytes_max) = (true, 65_549);
}

const fn joining(offloads: &mut Offloads) {
    (offloads.rx_checksum, offloads.lro) = (true, true);
}

/// What a stack hands over: the checksum field has the sum of the pseudo-header.
fn hand_over(nic: &mut SimNic, bytes: &[u8], gso_size: u16, vlan: Option<u16>) {
    let place = Place::of(bytes).expect("a segment");
    let mut frame = nic.alloc(bytes.len()).expect("room");
    frame.bytes_mut().copy_from_slice(bytes);
    let at = place.tcp + 16;
    // All of the segment's sum but the pseudo-header's taken away again.
    let mut rest = bytes[place.tcp..].to_vec();
    rest[16..18].fill(0);
    let right = !u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let pseudo = causeway_checksum::combine(right, !causeway_checksum::sum(&rest), false);
    frame.bytes_mut()[at..at + 2].copy_from_slice(&pseudo.to_be_bytes());
    let kind = if place.version == 4 { GsoType::TcpV4 } else { GsoType::TcpV6 };
    let meta = frame.meta_mut();
    meta.vlan_tci = vlan;
    meta.offload = Offload {
        gso_type: if gso_size > 0 { kind } else { GsoType::None },
        gso_size,
        hdr_len: place.payload as u16,
        csum_start: place.tcp as u16,
        csum_offset: 16,
        needs_csum: true,
    };
    let mut queue = VecDeque::from([frame]);
    assert_eq!(nic.tx_burst(&mut queue), 1);
}

fn sent(port: &NicPort) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| port.take_tx()).map(|frame| frame.bytes().to_vec()).collect()
}

/// What the stack is given when these frames lie in the ring.
fn received(nic: &mut SimNic, port: &NicPort, frames: &[Vec<u8>]) -> Vec<SimFrame> {
    let pool = FramePool::new(2_000, 1_000);
    for bytes in frames {
        let mut frame = pool.alloc(bytes.len()).expect("room");
        frame.bytes_mut().copy_from_slice(bytes);
        port.inspect(Instant::ZERO, &mut frame);
        port.deliver(frame).expect("room");
    }
    let mut out = Vec::new();
    nic.rx_burst(&mut out, BURST_MAX);
    out
}

fn payload_of(frame: &[u8]) -> &[u8] {
    let place = Place::of(frame).expect("a segment");
    &frame[place.payload..place.end]
}

#[test]
fn a_super_segment_leaves_as_segments_that_a_host_could_have_sent() {
    for v6 in [false, true] {
        let (mut nic, port) = able(cutting);
        let payload = bytes_of(10_001);
        let flags = ACK | Place::PSH | CWR | Place::FIN;
        hand_over(&mut nic, &segment(v6, 0, u32::MAX - 3_000, flags, &payload), 1_000, None);
        let pieces = sent(&port);
        assert_eq!(pieces.len(), 11);
        let mut seq = u32::MAX - 3_000;
        for (index, piece) in pieces.iter().enumerate() {
            let packet = Packet::parse(piece).expect("it can be read");
            assert!(packet.checksums_right(), "{index} {v6}");
            let place = Place::of(piece).expect("a segment");
            assert_eq!((place.seq, place.end), (seq, piece.len()));
            let first = if index == 0 { CWR } else { 0 };
            let last = if index == 10 { Place::PSH | Place::FIN } else { 0 };
            assert_eq!(place.flags, ACK | first | last, "{index}");
            if !v6 {
                assert_eq!(piece[IP + 4..IP + 6], [0, index as u8]);
            }
            seq = seq.wrapping_add(place.payload_len() as u32);
        }
        let whole: Vec<u8> = pieces.iter().flat_map(|piece| payload_of(piece).to_vec()).collect();
        assert_eq!(whole, payload);
        assert_eq!(nic.frames_in_use(), 0);
    }
}

#[test]
fn a_wrong_sum_of_the_pseudo_header_is_wrong_on_the_wire() {
    for gso_size in [0, 1_000] {
        let (mut nic, port) = able(cutting);
        let mut bytes = segment(false, 0, 5, ACK, &bytes_of(1_400));
        bytes[IP + 20 + 16] ^= 1;
        hand_over(&mut nic, &bytes, gso_size, None);
        for piece in sent(&port) {
            assert!(!Packet::parse(&piece).expect("it can be read").checksums_right());
        }
    }
}

#[test]
fn a_tag_is_inserted_and_stripped_and_the_rest_is_as_it_was() {
    let whole = segment(false, 0, 5, ACK, &bytes_of(1_400));
    let (mut nic, port) = able(|o| (o.tx_checksum, o.vlan) = (true, true));
    hand_over(&mut nic, &whole, 0, Some(0x6005));
    let tagged = sent(&port);
    assert_eq!(tagged[0][12..16], [0x81, 0, 0x60, 5]);
    assert!(Packet::parse(&tagged[0]).expect("it can be read").checksums_right());
    let out = received(&mut nic, &port, &tagged);
    assert_eq!((out[0].bytes(), out[0].meta().vlan_tci), (&whole[..], Some(0x6005)));
    let (mut plain, port) = able(|_| ());
    let out = received(&mut plain, &port, &tagged);
    assert_eq!((out[0].bytes(), out[0].meta().vlan_tci), (&tagged[0][..], None));
}

#[test]
fn what_was_cut_is_joined_again() {
    for (v6, rx_buffer) in [(false, SUPER_FRAME_MAX), (true, SUPER_FRAME_MAX), (false, 999)] {
        let whole = segment(v6, 0, u32::MAX - 3_000, ACK | Place::PSH, &bytes_of(10_001));
        let (mut sender, wire) = able(cutting);
        hand_over(&mut sender, &whole, 1_000, None);
        let (mut nic, port) = able(|o| {
            joining(o);
            o.rx_buffer = rx_buffer;
        });
        let out = received(&mut nic, &port, &sent(&wire));
        assert_eq!(out.len(), 1);
        let meta = out[0].meta();
        assert_eq!((meta.rx_checksum, meta.offload.joined_size()), (RxChecksum::Verified, 1_000));
        assert_eq!(payload_of(out[0].bytes()), payload_of(&whole));
        // The headers too: all of them but the sum of TCP.
        let tcp = Place::of(&whole).expect("a segment").tcp;
        assert_eq!(out[0].bytes()[..tcp + 16], whole[..tcp + 16]);
        let pieces = (0..out[0].segment_count()).flat_map(|index| out[0].segment(index).to_vec());
        assert_eq!(pieces.collect::<Vec<_>>(), out[0].bytes());
        assert_eq!(out[0].segment_count(), out[0].bytes().len().div_ceil(rx_buffer));
    }
}

#[test]
fn only_what_follows_and_says_the_same_is_joined() {
    let data = |seq: u32, flags: u8, len: usize| segment(false, 0, seq, flags, &bytes_of(len));
    let other = |seq: u32| segment(false, 1, seq, ACK, &bytes_of(100));
    let mut acks = data(100, ACK, 100);
    acks[IP + 20 + 11] = 9;
    let mut marked = data(100, ACK, 100);
    marked[IP + 1] = 3;
    let mut stamped = data(100, ACK, 100);
    stamped[IP + 20 + 27] = 9;
    for frame in [&mut acks, &mut marked, &mut stamped] {
        repair(frame);
    }
    let mut damaged = data(100, ACK, 100);
    damaged[IP + 60] ^= 1;
    let bare = data(100, ACK, 0);
    type Frames = Vec<Vec<u8>>;
    let cases: [(&str, Frames, Vec<usize>); 12] = [
        ("next", vec![data(0, ACK, 100), data(100, ACK, 100)], vec![200]),
        ("gap", vec![data(0, ACK, 100), data(101, ACK, 100)], vec![100, 100]),
        ("pushed", vec![data(0, ACK | Place::PSH, 100), data(100, ACK, 100)], vec![100, 100]),
        (
            "pushes",
            vec![data(0, ACK, 9), data(9, ACK | Place::PSH, 9), data(18, ACK, 9)],
            vec![18, 9],
        ),
        ("short", vec![data(0, ACK, 100), data(100, ACK, 9), data(109, ACK, 9)], vec![109, 9]),
        ("longer", vec![data(0, ACK, 9), data(9, ACK, 10)], vec![9, 10]),
        (
            "other flow",
            vec![data(0, ACK, 100), other(0), data(100, ACK, 1), other(100)],
            vec![101, 200],
        ),
        ("news", vec![data(0, ACK, 100), acks], vec![100, 100]),
        ("mark", vec![data(0, ACK, 100), marked], vec![100, 100]),
        ("stamp", vec![data(0, ACK, 100), stamped], vec![100, 100]),
        ("damaged", vec![data(0, ACK, 100), damaged], vec![100, 100]),
        ("behind", vec![data(0, ACK, 100), bare, data(100, ACK, 100)], vec![100, 0, 100]),
    ];
    for (name, frames, expected) in cases {
        let (mut nic, port) = able(joining);
        let out = received(&mut nic, &port, &frames);
        let lens: Vec<usize> = out.iter().map(|frame| payload_of(frame.bytes()).len()).collect();
        assert_eq!(lens, expected, "{name}");
        let joined = lens.iter().filter(|len| **len > 100 || **len == 18).count();
        assert_eq!(out.iter().filter(|f| f.meta().offload.joined_size() > 0).count(), joined);
    }
}

#[test]
fn checksums_are_judged_as_they_are() {
    let good = segment(false, 0, 5, ACK, &bytes_of(100));
    let mut bad = good.clone();
    bad[100] ^= 1;
    let mut headless = good.clone();
    headless[IP + 8] ^= 1;
    let mut strange = good.clone();
    strange[13] = 9;
    let (mut nic, port) = able(|o| o.rx_checksum = true);
    let out = received(&mut nic, &port, &[good.clone(), bad, headless, strange]);
    let known: Vec<RxChecksum> = out.iter().map(|frame| frame.meta().rx_checksum).collect();
    let unknown = RxChecksum::Unknown;
    assert_eq!(known, [RxChecksum::Verified, RxChecksum::Bad, unknown, unknown]);
    let (mut plain, port) = able(|_| ());
    assert_eq!(received(&mut plain, &port, &[good])[0].meta().rx_checksum, unknown);
}

struct Bench(SimNic, Rc<NicPort>);

impl Rig for Bench {
    type Nic = SimNic;

    fn nic(&mut self) -> &mut SimNic {
        &mut self.0
    }

    fn peer_send(&mut self, bytes: &[u8]) {
        let mut frame = FramePool::new(bytes.len(), 1).alloc(bytes.len()).expect("room for one");
        frame.bytes_mut().copy_from_slice(bytes);
        self.1.deliver(frame).expect("room in the ring");
    }

    fn peer_received(&mut self) -> Vec<Vec<u8>> {
        sent(&self.1)
    }
}

#[test]
fn it_keeps_the_contract_of_backends_whatever_it_can() {
    let tunes: [fn(&mut Offloads); 4] = [
        |_| (),
        |o| (o.tx_segments, o.rx_buffer) = (20, 128),
        |o| (cutting(o), joining(o)).0,
        |o| o.vlan = true,
    ];
    for tune in tunes {
        check(|| {
            let (nic, port) = able(tune);
            Bench(nic, port)
        });
    }
}

/// Dice that hit the first time, for one event.
fn first(wanted: Event, value: u64) -> NicFaults {
    NicFaults::new(|event| {
        Dice::planned(if event == wanted { vec![(1, value)] } else { Vec::new() })
    })
}

#[test]
fn a_nic_that_lies_about_checksums_says_so_to_those_who_watch() {
    let good = segment(false, 0, 5, ACK, &bytes_of(100));
    let mut bad = good.clone();
    bad[100] ^= 1;
    let cases = [
        (Event::SumUnknown, &good, RxChecksum::Unknown, Delivery::Received),
        (Event::SumUnknown, &bad, RxChecksum::Unknown, Delivery::Received),
        (Event::SumBad, &good, RxChecksum::Bad, Delivery::Refused),
        (Event::SumGood, &bad, RxChecksum::Verified, Delivery::Believed),
        // There is nothing to lie about, and nothing is counted.
        (Event::SumGood, &good, RxChecksum::Verified, Delivery::Received),
    ];
    for (event, bytes, said, delivery) in cases {
        let (mut nic, port) = able(|o| o.rx_checksum = true);
        nic.set_faults(first(event, 0));
        let mut frame = FramePool::new(2_000, 1).alloc(bytes.len()).expect("room");
        frame.bytes_mut().copy_from_slice(bytes);
        assert_eq!(port.inspect(Instant::ZERO, &mut frame), delivery, "{event:?}");
        assert_eq!(frame.meta().rx_checksum, said, "{event:?}");
        let counted: usize = nic.decided().map(|(_, decided)| decided.len()).sum();
        assert_eq!(counted, usize::from(event != Event::SumGood || bytes == &bad));
    }
}

#[test]
fn odd_sizes_are_shorter_ones_and_every_byte_leaves() {
    for (shorter, pieces) in [(1, 11), (13, 11), (9_999, 20)] {
        let (mut nic, port) = able(cutting);
        nic.set_faults(first(Event::OddCut, shorter));
        let whole = segment(false, 0, 7, ACK, &bytes_of(10_000));
        hand_over(&mut nic, &whole, 1_000, None);
        hand_over(&mut nic, &whole, 1_000, None);
        let sent = sent(&port);
        assert_eq!(sent.len(), pieces + 10, "{shorter}, and the second as it was told");
        let bytes: Vec<u8> = sent[..pieces].iter().flat_map(|f| payload_of(f).to_vec()).collect();
        assert_eq!(bytes, bytes_of(10_000));
        assert!(sent.iter().all(|f| Packet::parse(f).expect("it is one").checksums_right()));
    }
}

#[test]
fn a_greedy_nic_joins_what_differs_and_the_last_word_counts() {
    let data = |seq: u32, flags: u8, len: usize| segment(false, 0, seq, flags, &bytes_of(len));
    let mut later = data(100, ACK, 100);
    (later[IP + 20 + 11], later[IP + 20 + 15], later[IP + 20 + 27]) = (9, 7, 5);
    let mut sacks = data(100, ACK, 100);
    sacks[IP + 20 + 22] = 5;
    for frame in [&mut later, &mut sacks] {
        repair(frame);
    }
    let pushed = [data(0, ACK | Place::PSH, 100), data(100, ACK, 100)];
    for (frames, greedy, count) in [
        (&pushed, true, 1),
        (&pushed, false, 2),
        (&[data(0, ACK, 100), later.clone()], true, 1),
        (&[data(0, ACK, 100), later.clone()], false, 2),
        (&[data(0, ACK, 100), sacks], true, 2),
        (&[data(0, ACK, 100), data(101, ACK, 100)], true, 2),
    ] {
        let (mut nic, port) = able(joining);
        if greedy {
            nic.set_faults(first(Event::GreedyJoin, 0));
        }
        let out = received(&mut nic, &port, frames);
        assert_eq!(out.len(), count, "{greedy}");
        let last = Place::of(&frames[1]).expect("a segment");
        if count == 1 {
            let bytes = out[0].bytes();
            let place = Place::of(bytes).expect("a segment");
            assert_eq!((place.ack, place.payload_len()), (last.ack, 200));
            assert_eq!(bytes[IP + 34..IP + 36], frames[1][IP + 34..IP + 36], "the window");
            assert_eq!(bytes[IP + 40..IP + 52], frames[1][IP + 40..IP + 52], "timestamps");
        }
    }
}

#[test]
fn troubles_last_as_long_as_they_last() {
    let (mut nic, port) = nic(8, 6);
    let mut queue = frames(&mut nic, 2);
    port.begin(NicTrouble::TxStalled);
    assert_eq!(nic.tx_burst(&mut queue), 0);
    port.end(NicTrouble::TxStalled);
    let late = NicTrouble::LateCompletion(Duration::from_micros(50));
    port.begin(late);
    assert_eq!(nic.tx_burst(&mut queue), 2);
    while port.take_tx().is_some() {}
    let mut queue = frames(&mut nic, 6);
    nic.caps.burst = 64;
    assert_eq!(nic.tx_burst(&mut queue), 4, "two slots are not given back yet");
    port.set_now(Instant::ZERO + Duration::from_micros(50));
    assert_eq!(nic.tx_burst(&mut queue), 2);
    port.begin(NicTrouble::NoBuffers);
    assert!(nic.alloc(60).is_none());
    port.end(NicTrouble::NoBuffers);
    assert!(nic.alloc(60).is_some());
    port.begin(NicTrouble::RxRing(1));
    for frame in frames(&mut nic, 3) {
        let _ = port.deliver(frame);
    }
    assert_eq!((port.rx_waiting(), port.rx_overflows()), (1, 2));
    port.end(NicTrouble::RxRing(1));
    port.begin(NicTrouble::Coalesced(Duration::from_micros(80)));
    for frame in frames(&mut nic, 2) {
        port.deliver(frame).expect("room");
    }
    let mut out = Vec::new();
    assert_eq!(nic.rx_burst(&mut out, 64), 1, "what came before is there");
    assert_eq!(port.shows_at(), Some(Instant::ZERO + Duration::from_micros(80)));
    port.set_now(Instant::ZERO + Duration::from_micros(80));
    assert_eq!(nic.rx_burst(&mut out, 64), 2);
}
