//! What a frame is, in words that hold in another run of the same flows: the n-th segment with the byte at an offset, the n-th SYN, the n-th
//! datagram.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::super::exchange::Said;
use super::super::{Role, Segment, Spot};
use crate::packet::Flags;

/// What frames are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum What {
    /// It has the byte at this offset of its sender's stream.
    Data(i64),
    /// It has nothing but an acknowledgement, of this number.
    Ack(i64),
    Syn,
    Fin,
    Rst,
    /// It is a datagram.
    Datagram,
    /// It is the packet of a message of Machnet's, at this place.
    Packet(i64),
}

/// One direction of one flow.
pub(super) type Side = (usize, Role);

/// What one frame is: the n-th of its kind, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    pub(super) side: Side,
    pub(super) what: What,
    pub(super) nth: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flow, role) = self.side;
        let from = if role == Role::Client { "client" } else { "server" };
        match self.what {
            What::Data(at) => write!(f, "byte {at}")?,
            What::Ack(at) => write!(f, "acknowledgement of {at}")?,
            What::Syn => f.write_str("SYN")?,
            What::Fin => f.write_str("FIN")?,
            What::Rst => f.write_str("RST")?,
            What::Datagram => f.write_str("datagram")?,
            What::Packet(at) => write!(f, "packet {at}")?,
        }
        write!(f, " of the {from} of flow {}, number {}", flow + 1, self.nth)
    }
}

/// Getter: what a segment is found by.
pub(super) fn what(spot: &Spot, segment: &Segment) -> What {
    let flags = segment.tcp.flags;
    if flags.has(Flags::SYN) {
        What::Syn
    } else if flags.has(Flags::RST) {
        What::Rst
    } else if segment.payload_len > 0 {
        What::Data(spot.offset)
    } else if flags.has(Flags::FIN) {
        What::Fin
    } else {
        What::Ack(spot.ack.unwrap_or(0))
    }
}

impl From<Said> for What {
    fn from(said: Said) -> Self {
        match said {
            Said::Datagram => Self::Datagram,
            Said::Packet(place) => Self::Packet(place),
            Said::Ack(place) => Self::Ack(place),
            Said::Begin => Self::Syn,
            Said::Reset => Self::Rst,
        }
    }
}

/// How often frames of each name were sent. Of data those are counted of which somebody wants to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    data: BTreeMap<(Side, i64), u32>,
    others: HashMap<(Side, What), u32>,
}

impl Counts {
    /// Command: segments with the byte at this offset are counted.
    pub(super) fn want(&mut self, side: Side, offset: i64) {
        self.data.insert((side, offset), 0);
    }

    /// Input: a segment is sent. All its names, of those that are wanted.
    pub(super) fn take(&mut self, side: Side, spot: &Spot, segment: &Segment) -> Vec<Name> {
        let mut names = Vec::new();
        let flags = segment.tcp.flags;
        if segment.payload_len > 0 && !flags.has(Flags::SYN) && !flags.has(Flags::RST) {
            let end = spot.offset.saturating_add(segment.payload_len.into());
            for ((_, offset), count) in self.data.range_mut((side, spot.offset)..(side, end)) {
                *count += 1;
                names.push(Name { side, what: What::Data(*offset), nth: *count });
            }
        }
        let kinds = [(Flags::SYN, What::Syn), (Flags::RST, What::Rst), (Flags::FIN, What::Fin)];
        for (flag, kind) in kinds {
            if flags.has(flag) {
                names.push(self.other(side, kind));
            }
        }
        if let pure @ What::Ack(_) = what(spot, segment) {
            names.push(self.other(side, pure));
        }
        names
    }

    /// Input: something is sent that is no segment with data.
    pub(super) fn other(&mut self, side: Side, what: What) -> Name {
        let count = self.others.entry((side, what)).or_default();
        *count += 1;
        Name { side, what, nth: *count }
    }
}
