//! Segments as the wire carries them: what a host hands to its NIC, or gets from it, may be several in one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::{Frame, Segment};
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

/// Cuts what is longer than the connection's segments. True where there is such a one.
pub(super) fn units(frames: Vec<Frame<'_>>) -> (Vec<Unit<'_>>, bool) {
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
        if segment.payload_len <= mss {
            units.push(Unit { frame, segment: Some(segment), part: None });
            continue;
        }
        has_parts = true;
        let room = mss - if segment.tcp.options.timestamps.is_some() { STAMPS } else { 0 };
        for part in 0..segment.payload_len.div_ceil(room) {
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
