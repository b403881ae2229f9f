//! Large receive offload: segments of a flow that come next to each other are handed over as one, where nothing that a receiver could
//! see gets lost but their number, which is told beside the frame.
//!
//! A NIC may join more than that ([`crate::fault::Event::GreedyJoin`]). It looks at what lies in its ring when the host asks, and keeps nothing back.

use causeway_checksum::{finish, sum};
use causeway_core::nic::{Frame as _, GsoType, Offload, RxChecksum};

use crate::fault::{Dice, IP, Place};
use crate::frame::{FramePool, SimFrame};
use crate::link::set_ip_len;

/// Flows that are joined at the same time.
const FLOWS: usize = 8;
const URG: u8 = 0x20;
const CWR: u8 = 0x80;

/// A segment to which the next one may be joined.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Its place among the frames that are handed over.
    at: usize,
    place: Place,
    /// Payload bytes of the first, and of all but the last.
    size: usize,
    next_seq: u32,
    /// It has a PSH: the application is to be told.
    pushed: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Joiner {
    pool: FramePool,
    bytes_max: usize,
    open: Vec<Open>,
}

impl Joiner {
    /// One whose frames come from `pool` and are never longer than `bytes_max`.
    pub(super) fn new(pool: FramePool, bytes_max: usize) -> Self {
        Self { pool, bytes_max, open: Vec::with_capacity(FLOWS) }
    }

    /// Command: a burst begins, and nothing is joined to those before.
    pub(super) fn begin(&mut self) {
        self.open.clear();
    }

    /// Input: the next frame of the ring: joined to one of the burst, which are the last of `out`, or behind them.
    /// `greedy` decides where headers differ.
    pub(super) fn take(&mut self, frame: SimFrame, out: &mut Vec<SimFrame>, greedy: &mut Dice) {
        let Some(place) = Place::of(frame.bytes()) else { return out.push(frame) };
        let same =
            |open: &Open| place.same_flow(frame.bytes(), (&open.place, out[open.at].bytes()));
        let before = self.open.iter().position(same).map(|index| self.open.swap_remove(index));
        let wanted = is_joinable(&frame, &place);
        if let Some(mut open) = before.filter(|_| wanted)
            && let Some(whole) = out.get_mut(open.at)
            && self.joins(&mut open, whole, &frame, &place, greedy)
        {
            let ends = place.flags & Place::FIN != 0 || place.payload_len() < open.size;
            if !ends {
                self.open.push(open);
            }
            return;
        }
        if wanted && place.flags & Place::FIN == 0 && self.open.len() < FLOWS {
            let (size, pushed) = (place.payload_len(), place.flags & Place::PSH != 0);
            let next_seq = place.next_seq();
            self.open.push(Open { at: out.len(), place, size, next_seq, pushed });
        }
        out.push(frame);
    }

    /// Appends `frame` to `whole`, where it comes next.
    fn joins(
        &self,
        open: &mut Open,
        whole: &mut SimFrame,
        frame: &SimFrame,
        place: &Place,
        greedy: &mut Dice,
    ) -> bool {
        let payload = &frame.bytes()[place.payload..place.end];
        let (from, end) = (open.place.end, open.place.end + payload.len());
        if open.next_seq != place.seq || payload.len() > open.size || end > self.bytes_max {
            return false;
        }
        let seen = ((whole.bytes(), &open.place), (frame.bytes(), place));
        if !same_headers(seen.0, seen.1) {
            return false;
        }
        let same_news = same_news(seen.0, seen.1);
        if open.pushed || !same_news {
            let may = same_news || has_timestamps_only(seen.0) && has_timestamps_only(seen.1);
            if !may || greedy.roll().is_none() {
                return false;
            }
        }
        // Padding of the first one goes.
        whole.truncate(from);
        if !whole.set_len(end) {
            let Some(mut longer) = self.pool.alloc(end) else { return false };
            longer.bytes_mut()[..from].copy_from_slice(whole.bytes());
            *longer.meta_mut() = *whole.meta();
            *whole = longer;
        }
        let bytes = whole.bytes_mut();
        bytes[from..end].copy_from_slice(payload);
        bytes[open.place.tcp + 13] |= place.flags & (Place::PSH | Place::FIN);
        let news = frame.bytes();
        for range in [8..12, 14..16, 20..place.payload - place.tcp] {
            let (to, from) = (open.place.tcp + range.start, place.tcp + range.start);
            bytes[to..to + range.len()].copy_from_slice(&news[from..from + range.len()]);
        }
        open.place.ack = place.ack;
        open.pushed |= place.flags & Place::PSH != 0;
        set_ip_len(bytes, end);
        if place.version == 4 {
            bytes[IP + 10..IP + 12].fill(0);
            let header = finish(sum(&bytes[IP..open.place.tcp]));
            bytes[IP + 10..IP + 12].copy_from_slice(&header.to_be_bytes());
        }
        whole.meta_mut().offload = Offload {
            gso_type: if place.version == 4 { GsoType::TcpV4 } else { GsoType::TcpV6 },
            gso_size: open.size as u16,
            hdr_len: open.place.payload as u16,
            ..Offload::default()
        };
        open.place.end = end;
        open.next_seq = place.next_seq();
        true
    }
}

/// Getter: data of an open connection, known to be right.
fn is_joinable(frame: &SimFrame, place: &Place) -> bool {
    let odd = Place::SYN | Place::RST | URG | CWR;
    frame.meta().rx_checksum == RxChecksum::Verified
        && place.flags & (odd | Place::ACK) == Place::ACK
        && place.payload_len() > 0
}

/// A frame and its segment.
type Seen<'a> = (&'a [u8], &'a Place);

/// Getter: acknowledgement, window and options are the same.
fn same_news((one, a): Seen<'_>, (two, b): Seen<'_>) -> bool {
    let same = |from: usize, end: usize| one.get(from..end) == two.get(from..end);
    a.ack == b.ack && same(a.tcp + 14, a.tcp + 16) && same(a.tcp + 20, a.payload)
}

/// Getter: no options, or timestamps as everybody arranges them: what hardware knows.
fn has_timestamps_only((bytes, place): Seen<'_>) -> bool {
    let options = &bytes[place.tcp + 20..place.payload];
    options.is_empty() || options.len() == 12 && options[..4] == [1, 1, 8, 10]
}

/// Getter: they differ in lengths, numbers of packets and bytes, checksums, and what the receiver of the data tells only.
fn same_headers((one, a): Seen<'_>, (two, b): Seen<'_>) -> bool {
    let same = |range: std::ops::Range<usize>| one.get(range.clone()) == two.get(range);
    let ip = if a.version == 4 {
        // Type of service; flags; time to live; options.
        same(IP..IP + 2) && same(IP + 6..IP + 10) && same(IP + 20..a.tcp)
    } else {
        // Traffic class and flow label; hop limit.
        same(IP..IP + 4) && same(IP + 6..IP + 8)
    };
    let controls = !(Place::PSH | Place::FIN);
    let tcp = (a.tcp, a.payload) == (b.tcp, b.payload)
        && a.flags & controls == b.flags & controls
        && same(a.tcp + 18..a.tcp + 20);
    ip && tcp && same(0..IP)
}
