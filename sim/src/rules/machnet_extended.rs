//! Machnet: the rules of its extended profile (docs/machnet.md), for a flow whose handshake agreed on it.

use std::collections::VecDeque;

use super::connection::unwrap;
use super::machnet::Seen;
use super::ranges::Received;
use super::registry::{
    MACHNET_ACK, MACHNET_ACK_BACK, MACHNET_FORM, MACHNET_ORDER, MACHNET_ROOM, MACHNET_SAME,
    MACHNET_WINDOW,
};
use super::report::{Report, Scene};
use crate::packet::{Machnet, MachnetKind};

/// Packets under way.
const WINDOW: i64 = 256;
/// What a peer takes that has not said it yet.
const ROOM_UNTOLD: u64 = 64 << 10;
/// Number and length in front of a message, and its CRC behind it.
const PREFIX: usize = 8;
const CRC: usize = 4;
/// Of a length: several messages, and so many.
const PACKED: u32 = 1 << 31;
const PACKED_MAX: u32 = 64;

/// A packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Packet {
    flags: u8,
    len: usize,
    hash: u64,
    /// Where the bytes of messages end that were sent up to it.
    end: u64,
}

/// What one end of a flow has sent.
#[derive(Debug)]
pub(super) struct Extended {
    payload_max: usize,
    /// From number `first` on.
    packets: VecDeque<Packet>,
    first: i64,
    /// Where the bytes of messages end that are acknowledged.
    acked: u64,
    end: u64,
    room: u64,
    /// The last packet of a message was sent.
    whole: bool,
    finished: bool,
}

impl Extended {
    /// The ends agreed on packets of up to `payload_max` bytes.
    pub(super) const fn new(payload_max: usize) -> Self {
        Self {
            payload_max,
            packets: VecDeque::new(),
            first: 1,
            acked: 0,
            end: 0,
            room: ROOM_UNTOLD,
            whole: true,
            finished: false,
        }
    }

    /// Kind, flags, lengths and counts of a packet.
    pub(super) fn judge_form(&self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        let Machnet { kind, message_flags, bitmap, bitmap_count, .. } = *seen.machnet;
        let (len, flags) = (seen.body.len(), message_flags & !Machnet::ASK);
        let place = flags & (Machnet::MORE | Machnet::LAST);
        let most = self.payload_max;
        let right = match kind {
            MachnetKind::Data if flags == Machnet::FIN => len == 0,
            MachnetKind::Data => {
                let full = match place {
                    // A CRC that does not fit is a packet of its own.
                    Machnet::MORE => len <= most && len + CRC > most,
                    Machnet::LAST => len <= most && len >= CRC,
                    _ => false,
                };
                // A message that begins here has a byte here.
                let begins = flags & Machnet::FIRST != 0;
                full && flags < 8 && (!begins || len > around(flags, 0))
            }
            MachnetKind::Ack => len == 0 && flags == 0,
            MachnetKind::Rst => {
                len == 0 && message_flags == 0 && bitmap == [0; 4] && bitmap_count == 0
            }
            MachnetKind::Syn | MachnetKind::SynAck | MachnetKind::Unknown(_) => false,
        };
        if !right || bitmap[0] & 1 != 0 {
            let words = format!(
                "{kind:?} with flags {message_flags:#x}, {len} bytes of {most}, bits {bitmap:x?}"
            );
            out.broken(MACHNET_FORM, scene, words);
        }
    }

    /// DATA with this number, where `next` is the next one and `una` the first that is not acknowledged. Returns the next one.
    pub(super) fn data_sent(
        &mut self,
        number: i64,
        (next, una): (i64, i64),
        seen: &Seen<'_>,
        scene: &Scene,
        out: &mut Report,
    ) -> i64 {
        let flags = seen.machnet.message_flags & !Machnet::ASK;
        let bytes = bytes_of_messages(flags, seen.body);
        let (len, hash) = (seen.body.len(), hash(seen.body));
        if number < next {
            let before =
                usize::try_from(number - self.first).ok().and_then(|n| self.packets.get(n));
            let same =
                |packet: &Packet| (packet.flags, packet.len, packet.hash) == (flags, len, hash);
            if before.is_some_and(|packet| !same(packet)) {
                let words = format!("{number} was {before:?}, now flags {flags:#x}, {len} bytes");
                out.broken(MACHNET_SAME, scene, words);
            }
            return next;
        }
        let begins = flags & (Machnet::FIRST | Machnet::FIN) != 0;
        if number > next || begins != self.whole || self.finished {
            let words = format!("{number} with flags {flags:#x}, {next} is next");
            out.broken(MACHNET_ORDER, scene, words);
        }
        if number >= una + WINDOW {
            out.broken(MACHNET_WINDOW, scene, format!("{number}, and {una} is acknowledged"));
        }
        self.end += bytes as u64;
        if bytes > 0 && self.end > self.room {
            let words = format!("{number} up to byte {}, the peer takes {}", self.end, self.room);
            out.broken(MACHNET_ROOM, scene, words);
        }
        self.whole = flags & (Machnet::LAST | Machnet::FIN) != 0;
        self.finished |= flags == Machnet::FIN;
        self.packets.push_back(Packet { flags, len, hash, end: self.end });
        number + 1
    }

    /// An acknowledgement reached the host: `una` is the highest one by now, `ack` this one.
    pub(super) fn acknowledged(&mut self, (una, ack): (i64, i64), machnet: &Machnet) {
        while self.first < una {
            let Some(packet) = self.packets.pop_front() else { break };
            self.acked = packet.end;
            self.first += 1;
        }
        if ack >= una {
            self.room = self.room.max(self.acked + machnet.window());
        }
    }
}

/// What a packet acknowledges; `told` is the highest number of before.
pub(super) fn judge_ack(
    seen: &Seen<'_>,
    irs: u32,
    (rcv, told): (&Received, &mut i64),
    scene: &Scene,
    out: &mut Report,
) {
    let ack = unwrap(seen.machnet.ack, irs, rcv.edge);
    // That of `ack` itself is a matter of form.
    let bits = seen.machnet.held_extended().filter(|bit| *bit > 0);
    let mut bits = bits.map(|bit| ack + bit);
    if ack > rcv.edge || bits.any(|number| !rcv.holds(number, number + 1)) {
        let words = format!("{ack} and bits {:x?}, {} was received", seen.machnet.bitmap, rcv.edge);
        out.broken(MACHNET_ACK, scene, words);
    }
    if ack < *told {
        out.broken(MACHNET_ACK_BACK, scene, format!("{ack} after {told}"));
    }
    *told = (*told).max(ack);
}

/// How many of a packet's bytes are of messages.
fn bytes_of_messages(flags: u8, body: &[u8]) -> usize {
    let length = body.get(4..PREFIX).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    let packed = if length & PACKED != 0 { (length & !PACKED).min(PACKED_MAX) } else { 0 };
    body.len().saturating_sub(around(flags, packed as usize))
}

/// What stands in front of the bytes of messages and behind them; `packed` messages have their lengths there, if they begin here.
const fn around(flags: u8, packed: usize) -> usize {
    let front = if flags & Machnet::FIRST != 0 { PREFIX + 2 * packed } else { 0 };
    front + if flags & Machnet::LAST != 0 { CRC } else { 0 }
}

/// Of bytes, by which they are known again.
fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let all = words.chain(rest.iter().map(|byte| u64::from(*byte)));
    all.fold(bytes.len() as u64, |hash, word| {
        (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
