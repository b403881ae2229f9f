//! Files and packets made by hand, from the formats' descriptions.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use proptest::prelude::*;

use super::*;
use crate::link::repair;
use crate::packet::{Flags, Verdict};

/// A segment, as an IPv4 packet.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) from: (u8, u16),
    pub(super) to: (u8, u16),
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) options: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

pub(super) const SYN: u8 = Flags::SYN.0;
pub(super) const ACK: u8 = Flags::ACK.0;
pub(super) const FIN: u8 = Flags::FIN.0;

impl Made {
    pub(super) fn new(from: (u8, u16), to: (u8, u16), numbers: (u32, u32), flags: u8) -> Self {
        let (seq, ack) = numbers;
        Self { from, to, seq, ack, flags, options: Vec::new(), payload: Vec::new() }
    }

    pub(super) fn data(mut self, len: usize) -> Self {
        self.payload = (0..len).map(|at| at as u8).collect();
        self
    }

    pub(super) fn ip(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        let len = (20 + header + self.payload.len()) as u16;
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(len.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, self.from.0, 10, 0, 0, self.to.0]);
        frame.extend(self.from.1.to_be_bytes());
        frame.extend(self.to.1.to_be_bytes());
        frame.extend(self.seq.to_be_bytes());
        frame.extend(self.ack.to_be_bytes());
        frame.extend([(header as u8 / 4) << 4, self.flags, 0x10, 0, 0, 0, 0, 0]);
        frame.extend(&self.options);
        frame.extend(&self.payload);
        repair(&mut frame);
        frame.split_off(14)
    }
}

/// A pcap file; each packet with its time in nanoseconds and its true length.
pub(super) fn pcap(
    link: u16,
    nanos: bool,
    big: bool,
    packets: &[(u64, Vec<u8>, usize)],
) -> Vec<u8> {
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = word(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    file.extend(half(2));
    file.extend(half(4));
    file.extend([0; 12]);
    file.extend(word(link.into()));
    let unit = if nanos { 1 } else { 1_000 };
    for (at, bytes, len) in packets {
        file.extend(word((at / 1_000_000_000) as u32));
        file.extend(word((at % 1_000_000_000 / unit) as u32));
        file.extend(word(bytes.len() as u32));
        file.extend(word(*len as u32));
        file.extend(bytes);
    }
    file
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let total = (body.len() as u32 + 12).to_be_bytes();
    [&kind.to_be_bytes()[..], &total, &body, &total].concat()
}

/// A big-endian section with an interface of each link type, times in units of 2^-10 s, a second added.
fn pcapng(links: &[u16], packets: &[(u32, u64, Vec<u8>)]) -> Vec<u8> {
    let mut file = block(0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255]);
    for link in links {
        let mut body = link.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 0, 0, 0]);
        body.extend([0, 2, 0, 3, b'e', b't', b'h', 0, 0, 9, 0, 1, 0x80 | 10, 0, 0, 0]);
        body.extend([0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        file.extend(block(1, &body));
    }
    for (interface, units, bytes) in packets {
        let mut body = interface.to_be_bytes().to_vec();
        body.extend(((units >> 32) as u32).to_be_bytes());
        body.extend((*units as u32).to_be_bytes());
        body.extend((bytes.len() as u32).to_be_bytes());
        body.extend((bytes.len() as u32).to_be_bytes());
        body.extend(bytes);
        file.extend(block(6, &body));
    }
    file
}

/// A SYN, with what each kind of link puts in front of it.
fn linked() -> Vec<(u16, Vec<u8>)> {
    let ip = Made::new((1, 4_000), (2, 80), (100, 0), SYN).ip();
    let behind = |head: &[u8]| [head, &ip].concat();
    let mut tagged = vec![0; 12];
    tagged.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0]);
    let mut sll = vec![0; 14];
    sll.extend([8, 0]);
    let mut sll2 = vec![8, 0];
    sll2.extend([0; 18]);
    let mut plain = vec![0; 12];
    plain.extend([8, 0]);
    vec![
        (1, behind(&plain)),
        (1, behind(&tagged)),
        (101, ip.clone()),
        (113, behind(&sll)),
        (276, behind(&sll2)),
        (0, behind(&[2, 0, 0, 0])),
    ]
}

fn trace_of(file: &[u8]) -> Trace<'_> {
    Trace::of(&Capture::read(file).expect("it is a capture"))
}

#[test]
fn a_segment_is_the_same_behind_every_kind_of_link_in_either_format() {
    let whole = Made::new((1, 4_000), (2, 80), (100, 0), SYN).ip();
    for (link, frame) in linked() {
        let at = 1_700_000_000_123_456_789;
        for (nanos, big) in [(false, false), (false, true), (true, false), (true, true)] {
            let file = pcap(link, nanos, big, &[(at, frame.clone(), frame.len())]);
            let trace = trace_of(&file);
            let [frame] = trace.frames.as_slice() else { panic!("{link}: {trace:?}") };
            let segment = frame.segment.expect("a segment");
            assert_eq!((frame.number, frame.bytes), (1, whole.as_slice()));
            assert_eq!(frame.at, if nanos { at } else { at / 1_000 * 1_000 });
            assert_eq!((segment.tcp.seq, segment.checksum), (100, Verdict::Right));
            assert_eq!(segment.source, "10.0.0.1:4000".parse().expect("an address"));
        }
        let file = pcapng(&[7, link], &[(1, 512, frame)]);
        let capture = Capture::read(&file).expect("it is a capture");
        assert_eq!(
            (capture.interfaces[1].name.as_str(), capture.records[0].at),
            ("eth", 1_500_000_000)
        );
        assert_eq!(Trace::of(&capture).frames[0].bytes, whole);
    }
}

#[test]
fn what_cannot_be_used_is_counted_by_kind() {
    let ip = Made::new((1, 4_000), (2, 80), (100, 7), ACK).data(100).ip();
    let changed = |at: usize, byte: u8| {
        let mut ip = ip.clone();
        ip[at] = byte;
        ip
    };
    let whole = |ip: Vec<u8>| (0, ip.clone(), ip.len());
    let packets = [
        whole(changed(9, 17)),
        whole(changed(9, 1)),
        whole(changed(9, 99)),
        whole(changed(6, 0x20)),
        whole(changed(0, 0x75)),
        (0, ip[..30].to_vec(), ip.len()),
        (0, ip[..60].to_vec(), ip.len()),
    ];
    let file = pcap(101, false, false, &packets);
    let trace = trace_of(&file);
    let words = "1 ICMP, 1 fragments, 1 other protocols, 1 cut, 2 unreadable";
    assert_eq!((trace.skipped.to_string().as_str(), trace.skipped.count()), (words, 6));
    // What a link may have damaged is kept, and what is cut behind its headers.
    let kept: Vec<bool> = trace.frames.iter().map(|frame| frame.segment.is_some()).collect();
    assert_eq!(kept, [false, false, true]);
    let cut = trace.frames[2];
    let segment = cut.segment.expect("its headers are there");
    assert_eq!(
        (segment.payload_len, cut.payload().len(), segment.checksum),
        (100, 20, Verdict::Absent)
    );
    let file = pcap(147, false, false, &[whole(ip.clone())]);
    assert_eq!(trace_of(&file).skipped.to_string(), "1 of link type 147");
}

#[test]
fn what_is_no_capture_is_one_clear_error() {
    let ip = Made::new((1, 1), (2, 2), (1, 1), ACK).ip();
    let file = pcap(101, false, false, &[(0, ip.clone(), 40), (0, ip.clone(), 40)]);
    let error = |bytes: &[u8]| Capture::read(bytes).expect_err("it is none").to_string();
    assert!(error(b"").starts_with("this is neither a pcap nor a pcapng file"));
    assert!(error(b"causeway fault plan 2").starts_with("this is neither"));
    assert_eq!(
        error(&file[..20]),
        "the capture ends inside of its header, at byte 20; it has to be copied whole"
    );
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    assert!(error(&with(4, &[1])).starts_with("this pcap has version 1.4"));
    let absurd = error(&with(24 + 8, &[0, 0, 5, 0]));
    assert_eq!(absurd, "at byte 24 the capture is damaged: packet 1 is said to have 327680 bytes");
    let cut = Capture::read(&file[..file.len() - 1]).expect("the first packet is there");
    assert_eq!((cut.records.len(), cut.cut_at), (1, Some(24 + 16 + 40)));

    let file = pcapng(&[101], &[(0, 1, ip.clone())]);
    let packet = file.len() - 12 - 20 - 40;
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    assert!(error(&with(packet + 4, &[0, 0, 0, 8])).ends_with("a block is said to have 8 bytes"));
    assert!(error(&with(packet + 4, &[0, 0, 0, 16])).ends_with("shorter than what is in it"));
    assert!(error(&with(packet + 8, &[9])).contains("which is not described"));
    assert!(error(&with(packet + 20, &[0, 0, 0, 99])).ends_with("shorter than what is in it"));
    assert!(error(&with(8, &[1])).contains("does not say its order of bytes"));
    let cut = Capture::read(&file[..file.len() - 1]).expect("its header is there");
    assert_eq!((cut.records.len(), cut.cut_at), (0, Some(packet)));
    let many: Vec<u16> = vec![1; 1_025];
    assert_eq!(error(&pcapng(&many, &[])), "the capture has more than 1024 interfaces");
}

#[test]
fn numbers_count_from_the_begin_of_each_connection() {
    let (a, b) = ((1, 4_000), (2, 80));
    let first = u32::MAX - 2_000;
    let made = [
        Made::new(a, b, (first - 1, 0), SYN),
        Made::new(b, a, (7, first), SYN | ACK),
        Made::new(a, b, (first, 8), ACK).data(1_400),
        Made::new(a, b, (first.wrapping_add(1_400), 8), ACK).data(1_400),
        Made::new(a, b, (first, 8), ACK).data(1_400),
        Made::new(b, a, (8, first.wrapping_add(2_800)), ACK),
        Made::new(a, b, (first.wrapping_add(2_800), 8), ACK | FIN),
        // The same ports again.
        Made::new(a, b, (50, 0), SYN),
        Made::new(a, b, (50, 0), SYN),
    ];
    let packets: Vec<_> = made.iter().map(|m| (0, m.ip(), m.ip().len())).collect();
    let file = pcap(101, false, false, &packets);
    let mut connections = Connections::new();
    let spots: Vec<Spot> = trace_of(&file)
        .frames
        .iter()
        .map(|frame| connections.take(&frame.segment.expect("a segment")))
        .collect();
    let numbers: Vec<_> = spots.iter().map(|s| (s.connection, s.offset, s.ack, s.is_new)).collect();
    let expected = [
        (0, -1, None, false),
        (0, -1, Some(0), false),
        (0, 0, Some(0), true),
        (0, 1_400, Some(0), true),
        (0, 0, Some(0), false),
        (0, 0, Some(2_800), false),
        (0, 2_800, Some(0), true),
        (1, -1, None, false),
        (1, -1, None, false),
    ];
    assert_eq!(numbers, expected);
    let one = connections.one(0).expect("the first");
    assert_eq!(one.client, SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 4_000)));
    let client = one.half(Role::Client);
    assert_eq!((client.sent, client.finished, client.payload_max), (2_800, true, 1_400));
    assert_eq!((one.half(Role::Server).sent, connections.all().len()), (0, 2));
}

/// A capture of either format with segments in it, and some bytes of it changed, or its end cut.
pub(super) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let (a, b) = ((1, 4_000), (2, 80));
    let made = [
        Made::new(a, b, (9, 0), SYN),
        Made::new(b, a, (7, 10), SYN | ACK),
        Made::new(a, b, (10, 8), ACK).data(300),
        Made::new(b, a, (8, 310), ACK | FIN).data(50),
        Made::new(a, b, (310, 59), ACK | FIN),
    ];
    let packets: Vec<_> = made.iter().map(|m| (0, m.ip(), m.ip().len())).collect();
    let numbered: Vec<_> = made.iter().map(|m| (0, 5, m.ip())).collect();
    let files = [
        pcap(101, false, false, &packets),
        pcap(101, true, true, &packets),
        pcapng(&[101], &numbered),
        pcap(1, false, false, &[(0, linked()[1].1.clone(), 80)]),
        pcap(276, false, false, &[(0, linked()[4].1.clone(), 80)]),
    ];
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (0..files.len(), changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        move |(which, changes, end, cut)| {
            let mut file = files[which].clone();
            for (at, byte) in changes {
                let at = at.index(file.len());
                file[at] = byte;
            }
            if cut {
                file.truncate(end.index(file.len() + 1));
            }
            file
        },
    )
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(file in mutated()) {
        if let Ok(capture) = Capture::read(&file) {
            let mut connections = Connections::new();
            for frame in Trace::of(&capture).frames {
                let _ = frame.payload();
                if let Some(segment) = &frame.segment {
                    let _ = connections.look(segment);
                    let _ = connections.take(segment);
                }
            }
        }
    }
}
