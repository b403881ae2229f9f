//! Large receive offload: segments of a flow that come next to each other are handed over as one, where nothing that a receiver could
//! see gets lost but their number, which is told beside the frame.
//!
//! A NIC looks at what lies in its ring when the host asks, and keeps nothing back.

use causeway_checksum::{finish, sum};
use causeway_core::nic::{Frame as _, GsoType, Offload, RxChecksum};

use crate::fault::{IP, Place};
use crate::frame::{FramePool, SimFrame};
use crate::link::set_ip_len;

/// Flows that are joined at the same time.
const FLOWS: usize = 8;
const PSH: u8 = 0x08;
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
    pub(super) fn take(&mut self, frame: SimFrame, out: &mut Vec<SimFrame>) {
        let Some(place) = Place::of(frame.bytes()) else { return out.push(frame) };
        let same =
            |open: &Open| same_flow((out[open.at].bytes(), &open.place), (frame.bytes(), &place));
        let before = self.open.iter().position(same).map(|index| self.open.swap_remove(index));
        let wanted = is_joinable(&frame, &place);
        if let Some(mut open) = before.filter(|_| wanted)
            && let Some(whole) = out.get_mut(open.at)
            && self.joins(&mut open, whole, &frame, &place)
        {
            let ends = place.flags & (PSH | Place::FIN) != 0 || place.payload_len() < open.size;
            if !ends {
                self.open.push(open);
            }
            return;
        }
        if wanted && place.flags & (PSH | Place::FIN) == 0 && self.open.len() < FLOWS {
            let size = place.payload_len();
            self.open.push(Open { at: out.len(), place, size, next_seq: place.next_seq() });
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
    ) -> bool {
        let payload = &frame.bytes()[place.payload..place.end];
        let (from, end) = (open.place.end, open.place.end + payload.len());
        if open.next_seq != place.seq
            || payload.len() > open.size
            || end > self.bytes_max
            || !same_headers((whole.bytes(), &open.place), (frame.bytes(), place))
        {
            return false;
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
        bytes[open.place.tcp + 13] |= place.flags & (PSH | Place::FIN);
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

fn same_flow((one, a): Seen<'_>, (two, b): Seen<'_>) -> bool {
    let addresses = if a.version == 4 { IP + 12..IP + 20 } else { IP + 8..IP + 40 };
    (a.version, a.ports) == (b.version, b.ports) && one[addresses.clone()] == two[addresses]
}

/// Getter: they differ in lengths, numbers of packets and bytes, and checksums only.
fn same_headers((one, a): Seen<'_>, (two, b): Seen<'_>) -> bool {
    let same = |range: std::ops::Range<usize>| one.get(range.clone()) == two.get(range);
    let ip = if a.version == 4 {
        // Type of service; flags; time to live; options.
        same(IP..IP + 2) && same(IP + 6..IP + 10) && same(IP + 20..a.tcp)
    } else {
        // Traffic class and flow label; hop limit.
        same(IP..IP + 4) && same(IP + 6..IP + 8)
    };
    let controls = !(PSH | Place::FIN);
    let tcp = (a.tcp, a.payload) == (b.tcp, b.payload)
        && a.ack == b.ack
        && a.flags & controls == b.flags & controls
        && same(a.tcp + 14..a.tcp + 16)
        && same(a.tcp + 18..a.payload);
    ip && tcp && same(0..IP)
}
