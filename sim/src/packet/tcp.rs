//! TCP headers and options (RFC 9293 3.1).

use super::{ParseError, be16, be32};

/// A TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, meaningful with [`Flags::ACK`].
    pub ack: u32,
    /// Bytes of the header, options included.
    pub header_len: usize,
    /// The control bits.
    pub flags: Flags,
    /// The four bits between data offset and CWR.
    pub reserved: u8,
    /// The window field, not scaled.
    pub window: u16,
    /// The urgent pointer.
    pub urgent: u16,
    /// The options.
    pub options: TcpOptions,
}

/// The control bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data.
    pub const FIN: Self = Self(0x01);
    /// Synchronize.
    pub const SYN: Self = Self(0x02);
    /// Reset.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// Echo of congestion (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// The window was reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Getter: all bits of `other` are set.
    #[inline(always)]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Up to four SACK blocks, as left and right edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(u32, u32); 4],
    len: u8,
}

impl SackBlocks {
    /// Getter: the blocks, in their order.
    #[inline]
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.len)]
    }

    /// Getter: there is none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, left: u32, right: u32) {
        if let Some(block) = self.blocks.get_mut(usize::from(self.len)) {
            *block = (left, right);
            self.len += 1;
        }
    }
}

/// A Fast Open option (RFC 7413 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpen {
    /// Bytes of the cookie; 0 asks for one.
    pub cookie_len: u8,
}

/// The options of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// Fast Open.
    pub fast_open: Option<FastOpen>,
    /// Options of other kinds.
    pub unknown: u8,
    /// A kind came twice.
    pub repeated: bool,
    /// A length that cannot be: what follows was not read.
    pub malformed: bool,
}

/// NOP, NOP, timestamps, length 10: what nearly every segment has.
const PLAIN: [u8; 4] = [1, 1, 8, 10];

impl Tcp {
    #[inline(always)]
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let Some((header, _)) = bytes.split_first_chunk::<20>() else {
            return Err(ParseError::Tcp);
        };
        let header_len = usize::from(header[12] >> 4) * 4;
        let Some(options) = bytes.get(20..header_len) else { return Err(ParseError::Tcp) };
        let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        Ok(Self {
            source_port: half(0),
            destination_port: half(2),
            seq: word(4),
            ack: word(8),
            header_len,
            flags: Flags(header[13]),
            reserved: header[12] & 0x0f,
            window: half(14),
            urgent: half(18),
            options: TcpOptions::parse(options),
        })
    }
}

impl TcpOptions {
    #[inline]
    fn parse(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        if let Some((plain, [])) = bytes.split_first_chunk::<12>()
            && plain[..4] == PLAIN
        {
            let [_, _, _, _, v0, v1, v2, v3, e0, e1, e2, e3] = *plain;
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            let echo = u32::from_be_bytes([e0, e1, e2, e3]);
            return Self { timestamps: Some((value, echo)), ..Self::default() };
        }
        Self::parse_any(bytes)
    }

    fn parse_any(mut bytes: &[u8]) -> Self {
        let mut options = Self::default();
        let mut seen = 0_u64;
        while let [kind, rest @ ..] = bytes {
            match (kind, rest) {
                (0, _) => break,
                (1, rest) => bytes = rest,
                (&kind, &[len, ..]) if len >= 2 && usize::from(len) <= bytes.len() => {
                    let (option, after) = bytes.split_at(usize::from(len));
                    let bit = 1_u64.checked_shl(u32::from(kind)).unwrap_or(0);
                    options.repeated |= seen & bit != 0;
                    seen |= bit;
                    options.take(kind, &option[2..]);
                    bytes = after;
                }
                _ => {
                    options.malformed = true;
                    break;
                }
            }
        }
        options
    }

    fn take(&mut self, kind: u8, value: &[u8]) {
        match (kind, value.len()) {
            (2, 2) => self.mss = be16(value, 0),
            (3, 1) => self.window_scale = value.first().copied(),
            (4, 0) => self.sack_permitted = true,
            (5, 8 | 16 | 24 | 32) => {
                for block in value.chunks_exact(8) {
                    if let (Some(left), Some(right)) = (be32(block, 0), be32(block, 4)) {
                        self.sack.push(left, right);
                    }
                }
            }
            (8, 8) => self.timestamps = be32(value, 0).zip(be32(value, 4)),
            // None, or 4 to 16 bytes and an even number of them (RFC 7413 4.1.1).
            (34, 0 | 4 | 6 | 8 | 10 | 12 | 14 | 16) => {
                self.fast_open = Some(FastOpen { cookie_len: value.len() as u8 });
            }
            (2..=5 | 8 | 34, _) => self.malformed = true,
            _ => self.unknown = self.unknown.saturating_add(1),
        }
    }
}
