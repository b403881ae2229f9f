//! The Machnet header in a UDP datagram.

pub(super) const HEADER_LEN: usize = 54;
const MAGIC: [u8; 2] = [0x4e, 0x53];

/// The kind of a packet: an enumeration on the wire, not a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachnetKind {
    /// 0x00: a packet of a message.
    Data,
    /// 0x01: begins a flow.
    Syn,
    /// 0x02: acknowledges.
    Ack,
    /// 0x03: answers SYN.
    SynAck,
    /// 0x80: the flow is gone.
    Rst,
    /// Any other value.
    Unknown(u8),
}

/// A Machnet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machnet {
    /// Its kind.
    pub kind: MachnetKind,
    /// 0x01 first, 0x02 more follow, 0x04 last; other bits as on the wire.
    pub message_flags: u8,
    /// The packet's number.
    pub seq: u32,
    /// The next number expected.
    pub ack: u32,
    /// The words of the selective acknowledgement.
    pub bitmap: [u64; 4],
    /// How many of its bits count.
    pub bitmap_count: u16,
    /// Zero in the upstream profile.
    pub timestamp: u64,
}

impl Machnet {
    /// First packet of a message.
    pub const FIRST: u8 = 0x01;
    /// More packets of the message follow.
    pub const MORE: u8 = 0x02;
    /// Last packet of a message.
    pub const LAST: u8 = 0x04;
    /// Extended profile: nothing follows.
    pub const FIN: u8 = 0x10;
    /// Extended profile: to be answered at once.
    pub const ASK: u8 = 0x40;

    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        if header[..2] != MAGIC {
            return None;
        }
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| header[at + byte]));
        let half = |at: usize| u32::from_be_bytes(std::array::from_fn(|byte| header[at + byte]));
        Some(Self {
            kind: match header[2] {
                0x00 => MachnetKind::Data,
                0x01 => MachnetKind::Syn,
                0x02 => MachnetKind::Ack,
                0x03 => MachnetKind::SynAck,
                0x80 => MachnetKind::Rst,
                other => MachnetKind::Unknown(other),
            },
            message_flags: header[3],
            seq: half(4),
            ack: half(8),
            bitmap: [word(12), word(20), word(28), word(36)],
            bitmap_count: u16::from_be_bytes([header[44], header[45]]),
            timestamp: word(46),
        })
    }

    /// Getter: bit i: packet ack + i is here, as upstream's reader has it: word 3 - i/8, bit i % 8, for i below 32.
    pub fn held(&self) -> u32 {
        u32::from_le_bytes([3, 2, 1, 0].map(|word| (self.bitmap[word] & 0xff) as u8))
    }

    /// Getter: of SYN and SYN-ACK, the most payload bytes of a packet that its sender offers to take in the extended profile; `None` without an
    /// offer (docs/machnet.md, negotiation).
    pub fn offer(&self) -> Option<u16> {
        let payload = self.timestamp as u16;
        let version = (self.timestamp >> 32) as u8;
        let sound = self.timestamp >> 40 == 0x43_5759 && version > 0;
        (sound && (512..=8_918).contains(&payload)).then_some(payload)
    }

    /// Getter: a packet of a flow in the extended profile.
    pub fn is_extended(&self) -> bool {
        let opens = matches!(self.kind, MachnetKind::Syn | MachnetKind::SynAck);
        self.timestamp != 0 && !opens
    }

    /// Getter: how many bytes of messages are in the packet's `payload`, and how many messages end in it: in the extended profile
    /// without what stands around messages (docs/machnet.md, messages).
    pub fn content(&self, payload: &[u8]) -> (usize, u64) {
        /// Id and length; the length of a packed message; the CRC.
        const HEAD: usize = 8;
        const PACKED: usize = 2;
        const CRC: usize = 4;
        let ends = u64::from(self.message_flags & Self::LAST != 0);
        if self.kind != MachnetKind::Data {
            return (payload.len(), 0);
        }
        if !self.is_extended() {
            return (payload.len(), ends);
        }
        let is_first = self.message_flags & Self::FIRST != 0;
        let head = payload.first_chunk::<HEAD>().filter(|_| is_first);
        let len = head.map_or(0, |head| u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
        let (packed, count) = (len >> 31 != 0, len & 0x7f);
        let around = if packed {
            HEAD + PACKED * count as usize + CRC
        } else {
            HEAD * usize::from(is_first) + CRC * ends as usize
        };
        let messages = if packed { u64::from(count) } else { ends };
        (payload.len().saturating_sub(around), messages)
    }

    /// Getter: extended profile: the bits i for which packet ack + i is here, in their order: word i/64, bit i % 64.
    pub fn held_extended(&self) -> impl Iterator<Item = i64> {
        let words = self.bitmap.into_iter().zip([0, 64, 128, 192]);
        words.flat_map(|(word, from)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = i64::from(left.trailing_zeros());
                (left != 0).then(|| {
                    left &= left - 1;
                    from + bit
                })
            })
        })
    }

    /// Getter: extended profile: bytes of messages beyond `ack` that the packet's sender takes.
    pub fn window(&self) -> u64 {
        let count = u64::from(self.bitmap_count);
        if count < 1 << 15 { count } else { (count - (1 << 15)) << 12 }
    }
}
