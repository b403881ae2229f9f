//! The Machnet header: 54 bytes after UDP, big-endian, in front of at most [`PAYLOAD_MAX`] bytes of one packet.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | magic 0x4E53 |
//! | 2 | 1 | net_flags |
//! | 3 | 1 | msg_flags |
//! | 4 | 4 | seqno |
//! | 8 | 4 | ackno |
//! | 12 | 32 | sack_bitmap, four 64-bit words |
//! | 44 | 2 | sack_bitmap_count |
//! | 46 | 8 | timestamp |

use serde::{Deserialize, Serialize};

use super::WireError;

/// Bytes of the header.
pub const HEADER_LEN: usize = 54;
/// The first two bytes of each packet.
pub const MAGIC: u16 = 0x4e53;
/// Most payload bytes of one packet: an MTU of 1500 less IPv4, UDP and this header.
pub const PAYLOAD_MAX: u16 = 1418;
/// Most payload bytes of one packet over IPv6, whose header is 20 bytes longer.
pub const PAYLOAD_MAX_V6: u16 = PAYLOAD_MAX - 20;
/// The least MTU of a link that carries Machnet: a full packet with its IPv4 and UDP headers. The cut is the
/// protocol's, so that smaller links carry none of it.
pub const MTU_MIN: u16 = 20 + 8 + HEADER_LEN as u16 + PAYLOAD_MAX;
/// What a DATA packet carries as `ackno`: upstream never acknowledges with data.
pub const DATA_ACKNO: u32 = 0xffff_ffff;

/// The kind of a packet. The field is an enumeration, not a set of bits: upstream compares it for equality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetFlags {
    /// One packet of a message.
    Data,
    /// First packet of the handshake.
    Syn,
    /// Acknowledgement without data.
    Ack,
    /// Second packet of the handshake.
    SynAck,
    /// The sender's flow is gone.
    Rst,
}

impl NetFlags {
    /// Getter: as on the wire.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Data => 0x00,
            Self::Syn => 0x01,
            Self::Ack => 0x02,
            Self::SynAck => 0x03,
            Self::Rst => 0x80,
        }
    }

    /// The kind that `byte` stands for; upstream ignores every other value.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Self::Data),
            0x01 => Some(Self::Syn),
            0x02 => Some(Self::Ack),
            0x03 => Some(Self::SynAck),
            0x80 => Some(Self::Rst),
            _ => None,
        }
    }
}

/// Where in its message a DATA packet stands, and what the extended profile says beside that. Only defined bits exist here: 0x08 and
/// 0x80 leak out of an upstream host's buffers, and are masked on receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MsgFlags(u8);

impl MsgFlags {
    /// No flag: every packet that is not DATA.
    pub const NONE: Self = Self(0);
    /// The first packet of a message.
    pub const FIRST: Self = Self(0x01);
    /// More packets of the message follow.
    pub const MORE: Self = Self(0x02);
    /// The last packet of a message.
    pub const LAST: Self = Self(0x04);
    /// Extended profile: nothing follows, and the flow ends.
    pub const FIN: Self = Self(0x10);
    /// Extended profile: to be answered at once.
    pub const ASK: Self = Self(0x40);
    /// The bits that mean something in either profile, and those that do in upstream's.
    const DEFINED: u8 = 0x57;
    const UPSTREAM: u8 = 0x07;

    /// The flags of a packet by its place. Never both LAST and MORE, which would crash upstream.
    pub const fn place(first: bool, last: bool) -> Self {
        let end = if last { Self::LAST.0 } else { Self::MORE.0 };
        Self(end | if first { Self::FIRST.0 } else { 0 })
    }

    /// The defined bits of `byte`.
    pub const fn from_wire(byte: u8) -> Self {
        Self(byte & Self::DEFINED)
    }

    /// Getter: as on the wire.
    pub const fn to_wire(self) -> u8 {
        self.0
    }

    /// Getter: what is left of them in the upstream profile.
    pub const fn upstream(self) -> Self {
        Self(self.0 & Self::UPSTREAM)
    }

    /// Getter: with every bit of `other` too.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Getter: with no bit of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Getter: true when every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Getter: true for what DATA may carry in either profile: a place in a message, or FIN alone.
    pub const fn is_place(self) -> bool {
        self.0 == Self::FIN.0 || (self.0 == self.upstream().0 && self.is_data_place())
    }

    /// Getter: true for the four combinations that DATA may carry: exactly one of MORE and LAST.
    pub const fn is_data_place(self) -> bool {
        self.contains(Self::MORE) != self.contains(Self::LAST)
    }
}

/// What a Causeway offers in the `timestamp` of its SYN, and answers in that of its SYN-ACK (docs/machnet.md).
///
/// | bits | field |
/// |---|---|
/// | 63..40 | 0x435759 |
/// | 39..32 | version, at least 1 |
/// | 31..16 | features |
/// | 15..0 | payload, [`PAYLOAD_OFFER_MIN`] to [`PAYLOAD_OFFER_MAX`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// Of the extended profile.
    pub version: u8,
    /// A bit for each; none is defined in version 1.
    pub features: u16,
    /// The most payload bytes of a packet that its sender takes.
    pub payload: u16,
}

/// The least payload that an offer may name.
pub const PAYLOAD_OFFER_MIN: u16 = 512;
/// The greatest: an MTU of 9000 less IPv4, UDP and the header.
pub const PAYLOAD_OFFER_MAX: u16 = 8_918;

impl Offer {
    const MAGIC: u64 = 0x0043_5759;
    /// The version that this code speaks.
    pub const VERSION: u8 = 1;

    /// The offer of a Causeway of this version that takes `payload` bytes; as many as an offer may name.
    pub fn new(payload: u16) -> Self {
        let payload = payload.clamp(PAYLOAD_OFFER_MIN, PAYLOAD_OFFER_MAX);
        Self { version: Self::VERSION, features: 0, payload }
    }

    /// Reads a timestamp. `None` for what is no offer, that of upstream among it.
    pub fn parse(timestamp: u64) -> Option<Self> {
        let [_, _, _, version, f1, f0, p1, p0] = timestamp.to_be_bytes();
        let payload = u16::from_be_bytes([p1, p0]);
        let sound = timestamp >> 40 == Self::MAGIC
            && version > 0
            && (PAYLOAD_OFFER_MIN..=PAYLOAD_OFFER_MAX).contains(&payload);
        sound.then_some(Self { version, features: u16::from_be_bytes([f1, f0]), payload })
    }

    /// Getter: as a timestamp.
    pub const fn to_wire(self) -> u64 {
        let Self { version, features, payload } = self;
        Self::MAGIC << 40 | (version as u64) << 32 | (features as u64) << 16 | payload as u64
    }

    /// Getter: what both ends of a flow do when these are their offers.
    #[must_use]
    pub fn agreed(self, other: Self) -> Self {
        Self {
            version: self.version.min(other.version),
            features: self.features & other.features,
            payload: self.payload.min(other.payload),
        }
    }
}

/// The selective acknowledgement as raw words; [`crate::machnet`] knows what they mean and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SackField {
    /// The words of `sack_bitmap`.
    pub words: [u64; 4],
    /// Packets that the sender holds out of order, modulo 256.
    pub count: u16,
}

/// A header as a plain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachnetHeader {
    /// The kind of the packet.
    pub net_flags: NetFlags,
    /// Place in the message; [`MsgFlags::NONE`] unless DATA.
    pub msg_flags: MsgFlags,
    /// Packet number.
    pub seqno: u32,
    /// Next packet number expected; [`DATA_ACKNO`] in DATA.
    pub ackno: u32,
    /// Selective acknowledgement; stale bytes in upstream's DATA.
    pub sack: SackField,
    /// Zero in the upstream profile.
    pub timestamp: u64,
}

impl MachnetHeader {
    /// A header without selective acknowledgement, timestamp or place.
    pub const fn new(net_flags: NetFlags, seqno: u32, ackno: u32) -> Self {
        Self {
            net_flags,
            msg_flags: MsgFlags::NONE,
            seqno,
            ackno,
            sack: SackField { words: [0; 4], count: 0 },
            timestamp: 0,
        }
    }

    /// Reads a header from the front of `bytes` and returns it with the offset of the payload.
    ///
    /// # Errors
    /// [`WireError::Truncated`] below 54 bytes, [`WireError::Malformed`] on another magic,
    /// [`WireError::Unsupported`] on an unknown kind.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let Some((header, _)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Err(WireError::Truncated);
        };
        if u16::from_be_bytes(field(header, 0)) != MAGIC {
            return Err(WireError::Malformed);
        }
        let Some(net_flags) = NetFlags::from_wire(header[2]) else {
            return Err(WireError::Unsupported);
        };
        let word = |index: usize| u64::from_be_bytes(field(header, 12 + 8 * index));
        let parsed = Self {
            net_flags,
            msg_flags: MsgFlags::from_wire(header[3]),
            seqno: u32::from_be_bytes(field(header, 4)),
            ackno: u32::from_be_bytes(field(header, 8)),
            sack: SackField {
                words: [word(0), word(1), word(2), word(3)],
                count: u16::from_be_bytes(field(header, 44)),
            },
            timestamp: u64::from_be_bytes(field(header, 46)),
        };
        Ok((parsed, HEADER_LEN))
    }

    /// Writes the header to the front of `out` and returns its length. `None`, with nothing written, when
    /// `out` is shorter than [`HEADER_LEN`].
    pub fn emit(&self, out: &mut [u8]) -> Option<usize> {
        let Self { net_flags, msg_flags, seqno, ackno, sack, timestamp } = self;
        let (header, _) = out.split_first_chunk_mut::<HEADER_LEN>()?;
        header[0..2].copy_from_slice(&MAGIC.to_be_bytes());
        header[2] = net_flags.to_wire();
        header[3] = msg_flags.to_wire();
        header[4..8].copy_from_slice(&seqno.to_be_bytes());
        header[8..12].copy_from_slice(&ackno.to_be_bytes());
        for (chunk, word) in header[12..44].chunks_exact_mut(8).zip(sack.words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        header[44..46].copy_from_slice(&sack.count.to_be_bytes());
        header[46..54].copy_from_slice(&timestamp.to_be_bytes());
        Some(HEADER_LEN)
    }
}

/// `N` bytes of the header from `offset`; every caller's range is a constant inside it.
fn field<const N: usize>(header: &[u8; HEADER_LEN], offset: usize) -> [u8; N] {
    core::array::from_fn(|i| header[offset + i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_header() -> impl Strategy<Value = MachnetHeader> {
        let kind = prop::sample::select(std::vec![
            NetFlags::Data,
            NetFlags::Syn,
            NetFlags::Ack,
            NetFlags::SynAck,
            NetFlags::Rst,
        ]);
        (kind, any::<u8>(), any::<(u32, u32)>(), any::<[u64; 4]>(), any::<(u16, u64)>()).prop_map(
            |(net_flags, msg, (seqno, ackno), words, (count, timestamp))| MachnetHeader {
                net_flags,
                msg_flags: MsgFlags::from_wire(msg),
                seqno,
                ackno,
                sack: SackField { words, count },
                timestamp,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(header in any_header()) {
            let mut bytes = [0xaa; HEADER_LEN + 3];
            prop_assert_eq!(header.emit(&mut bytes), Some(HEADER_LEN));
            prop_assert_eq!(MachnetHeader::parse(&bytes), Ok((header, HEADER_LEN)));
            prop_assert_eq!(&bytes[HEADER_LEN..], &[0xaa; 3]);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let short = bytes.len() < HEADER_LEN;
            prop_assert_eq!(MachnetHeader::parse(&bytes) == Err(WireError::Truncated), short);
        }
    }

    #[test]
    fn an_unknown_kind_is_unsupported_and_another_magic_malformed() {
        let mut bytes = [0u8; HEADER_LEN];
        MachnetHeader::new(NetFlags::Ack, 1, 1).emit(&mut bytes).unwrap();
        bytes[2] = 0x82;
        assert_eq!(MachnetHeader::parse(&bytes), Err(WireError::Unsupported));
        bytes[0] = 0;
        assert_eq!(MachnetHeader::parse(&bytes), Err(WireError::Malformed));
    }

    #[test]
    fn bits_that_leak_from_an_upstream_host_are_masked() {
        assert_eq!(MsgFlags::from_wire(0x8d), MsgFlags::place(true, true));
        assert_eq!(MsgFlags::from_wire(0x8d).to_wire(), 0x05);
    }

    #[test]
    fn a_place_is_never_both_last_and_more() {
        for (first, last, wire) in
            [(true, true, 5), (true, false, 3), (false, false, 2), (false, true, 4)]
        {
            assert_eq!(MsgFlags::place(first, last).to_wire(), wire);
            assert!(MsgFlags::place(first, last).is_data_place());
        }
        for bad in [0, 1, 6, 7] {
            assert!(!MsgFlags::from_wire(bad).is_data_place());
        }
    }

    #[test]
    fn an_offer_is_its_timestamp_and_what_cannot_be_one_is_none() {
        let offer = Offer::new(8_918);
        assert_eq!(offer.to_wire(), 0x4357_5901_0000_22d6);
        assert_eq!(Offer::parse(offer.to_wire()), Some(offer));
        for wrong in [
            0,
            u64::MAX,
            0x4357_5900_0000_22d6,
            0x4357_5801_0000_22d6,
            0x4357_5901_0000_01ff,
            0x4357_5901_0000_22d7,
        ] {
            assert_eq!(Offer::parse(wrong), None, "{wrong:x}");
        }
        let later = Offer::parse(0x4357_5902_ffff_0400).expect("a later version, unknown features");
        let agreed = Offer { version: 1, features: 0, payload: 1_024 };
        assert_eq!((offer.agreed(later), later.agreed(offer)), (agreed, agreed));
        assert_eq!(Offer::new(0).payload, PAYLOAD_OFFER_MIN);
    }

    #[test]
    fn the_flags_of_the_extended_profile_mean_nothing_in_upstreams() {
        let flags = MsgFlags::place(true, true).with(MsgFlags::ASK).with(MsgFlags::FIN);
        assert_eq!(MsgFlags::from_wire(0x55 | 0x88), flags);
        assert_eq!(flags.upstream(), MsgFlags::place(true, true));
        assert_eq!(flags.without(MsgFlags::ASK).to_wire(), 0x15);
    }

    #[test]
    fn a_short_buffer_takes_no_header() {
        assert_eq!(MachnetHeader::new(NetFlags::Syn, 0, 0).emit(&mut [0; HEADER_LEN - 1]), None);
    }
}
