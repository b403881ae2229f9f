//! Segments as the wire carries them: what a host hands to its NIC, or gets from it, may be several in one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Frame, PACKETS_MAX, Segment};
use crate::packet::{Flags, Verdict};

/// A segment, or the part of a longer one that the wire carries at a time.
#[derive(Clone, Copy, Debug)]
pub(in crate::capture) struct Unit<'a> {
    pub(in crate::capture) frame: Frame<'a>,
    /// That of the part; `None` where the packet cannot be read.
    pub(in crate::capture) segment: Option<Segment>,
    /// Which part, from 0; `None` of a whole one.
    pub(in crate::capture) part: Option<u32>,
}

/// Bytes that timestamps take from each segment (RFC 7323 3.2, with what fills them up).
const STAMPS: u32 = 12;
/// What a segment carries where no SYN says it: Ethernet's 1500 bytes.
const MSS: u32 = 1_460;

/// Most units of a capture: when there are so many, what is longer than a segment stays whole.
const UNITS_MAX: usize = 2 * PACKETS_MAX;

/// Cuts what is longer than the connection's segments. True where there is such a one.
pub(super) fn units(frames: Vec<Frame<'_>>) -> (Vec<Unit<'_>>, bool) {
    units_within(frames, UNITS_MAX)
}

fn units_within(frames: Vec<Frame<'_>>, most: usize) -> (Vec<Unit<'_>>, bool) {
    let mut least: BTreeMap<(SocketAddr, SocketAddr), u32> = BTreeMap::new();
    for segment in frames.iter().filter_map(|frame| frame.segment.as_ref()) {
        if let Some(mss) = segment.tcp.options.mss.filter(|_| segment.tcp.flags.has(Flags::SYN)) {
            let mss = u32::from(mss).max(64);
            // It bounds what goes the other way.
            let back = (segment.destination, segment.source);
            least.entry(back).and_modify(|least| *least = mss.min(*least)).or_insert(mss);
        }
    }
    let (mut units, mut has_parts) = (Vec::with_capacity(frames.len()), false);
    for frame in frames {
        let Some(segment) = frame.segment else {
            units.push(Unit { frame, segment: None, part: None });
            continue;
        };
        let mss = least.get(&(segment.source, segment.destination)).copied().unwrap_or(MSS);
        // A SYN is never cut: each of its parts would open a connection.
        if segment.payload_len <= mss || segment.tcp.flags.has(Flags::SYN) {
            units.push(Unit { frame, segment: Some(segment), part: None });
            continue;
        }
        has_parts = true;
        let room = mss - if segment.tcp.options.timestamps.is_some() { STAMPS } else { 0 };
        let parts = segment.payload_len.div_ceil(room);
        if units.len() + parts as usize > most {
            units.push(Unit { frame, segment: Some(segment), part: None });
            continue;
        }
        for part in 0..parts {
            let segment = cut(&segment, part * room, room);
            units.push(Unit { frame, segment: Some(segment), part: Some(part) });
        }
    }
    (units, has_parts)
}

/// The part of a segment that begins at `from`, of at most `room` bytes.
fn cut(whole: &Segment, from: u32, room: u32) -> Segment {
    let mut part = *whole;
    part.tcp.seq = whole.tcp.seq.wrapping_add(from);
    part.payload_at += from as usize;
    part.payload_len = room.min(whole.payload_len - from);
    part.checksum = Verdict::Absent;
    if from + part.payload_len < whole.payload_len {
        part.tcp.flags.0 &= !(Flags::FIN.0 | Flags::PSH.0);
    }
    part
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ACK, FIN, Made, SYN, pcap};
    use super::super::{Capture, Trace};
    use super::*;

    #[test]
    fn what_is_longer_than_a_segment_is_several_while_there_is_room_for_them() {
        let ip = Made::new((1, 4_000), (2, 80), (100, 7), ACK).data(10_000).ip();
        // Forty bytes are kept of each: the length alone costs whoever made the file nothing.
        let packets = vec![(0, ip[..40].to_vec(), ip.len()); 3];
        let file = pcap(101, false, false, &packets);
        let frames = || Trace::of(&Capture::read(&file).expect("it is a capture")).frames;
        let (all, has_parts) = units_within(frames(), 100);
        assert_eq!((all.len(), has_parts), (21, true));
        let segments: Vec<_> = all[..7].iter().filter_map(|unit| unit.segment).collect();
        let lens: Vec<u32> = segments.iter().map(|segment| segment.payload_len).collect();
        assert_eq!(lens, [1_460, 1_460, 1_460, 1_460, 1_460, 1_460, 1_240]);
        assert_eq!(segments[6].tcp.seq, 100 + 6 * 1_460);
        let packets: Vec<usize> = segments.iter().map(|segment| segment.packet_len()).collect();
        assert_eq!((packets[1], packets[6]), (1_500, 1_280), "each is a packet of its own");
        let (some, _) = units_within(frames(), 10);
        assert_eq!(some.len(), 9, "seven parts of the first, the others whole");
    }

    #[test]
    fn the_last_part_ends_the_connection_and_a_syn_has_no_parts() {
        let made = |flags| Made::new((1, 4_000), (2, 80), (100, 7), flags).data(4_000).ip();
        let [data, syn] = [ACK | FIN, SYN].map(made);
        let file = pcap(101, false, false, &[(0, data, 4_040), (0, syn, 4_040)]);
        let (all, _) = units(Trace::of(&Capture::read(&file).expect("it is a capture")).frames);
        let parts: Vec<_> = all.iter().map(|unit| unit.part).collect();
        assert_eq!(parts, [Some(0), Some(1), Some(2), None]);
        let ends = all.iter().filter_map(|unit| unit.segment);
        let ends: Vec<_> = ends.map(|segment| segment.tcp.flags.has(Flags::FIN)).collect();
        assert_eq!(ends, [false, false, true, false]);
    }
}
