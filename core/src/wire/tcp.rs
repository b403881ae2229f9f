//! The TCP header (RFC 9293 §3.1) and its options.

use crate::planted::{self, Bug};
use crate::tcp::SeqNumber;

use super::WireError;

/// The control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Getter: true when every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Most SACK blocks that fit into the options (RFC 2018 §3).
pub const SACK_BLOCKS_MAX: usize = 4;

/// The SACK blocks of one segment: left edge inclusive, right edge exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    /// The blocks; only the first `len` count.
    pub blocks: [(SeqNumber, SeqNumber); SACK_BLOCKS_MAX],
    /// How many.
    pub len: u8,
}

/// The timestamps option (RFC 7323 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// The sender's clock.
    pub value: u32,
    /// The echoed clock of the receiver.
    pub echo: u32,
}

/// Most bytes of a Fast Open cookie (RFC 7413 §4.1.1).
pub const FAST_OPEN_COOKIE_MAX: usize = 16;
/// The magic number of Fast Open in the experimental option (RFC 6994; the drafts of RFC 7413).
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

/// The Fast Open option (RFC 7413 §4.1.1): a cookie of 4 to 16 bytes, or none: a request for one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct FastOpenCookie {
    bytes: [u8; FAST_OPEN_COOKIE_MAX],
    len: u8,
    experimental: bool,
}

impl FastOpenCookie {
    /// The request for a cookie. `experimental`: with the option of the drafts, 254.
    pub const fn request(experimental: bool) -> Self {
        Self { bytes: [0; FAST_OPEN_COOKIE_MAX], len: 0, experimental }
    }

    /// A cookie; `None` unless it has an even number of bytes, from 4 to 16.
    pub fn new(bytes: &[u8], experimental: bool) -> Option<Self> {
        let fits =
            (4..=FAST_OPEN_COOKIE_MAX).contains(&bytes.len()) && bytes.len().is_multiple_of(2);
        let mut cookie = Self::request(experimental);
        cookie.bytes.get_mut(..bytes.len()).filter(|_| fits)?.copy_from_slice(bytes);
        cookie.len = u8::try_from(bytes.len()).ok()?;
        Some(cookie)
    }

    /// Getter: the cookie; empty for a request.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Getter: it asks for a cookie.
    pub const fn is_request(&self) -> bool {
        self.len == 0
    }

    /// Getter: it came, or goes, with the option of the drafts.
    pub const fn is_experimental(&self) -> bool {
        self.experimental
    }

    fn parse(body: &[u8], experimental: bool) -> Option<Self> {
        if body.is_empty() {
            Some(Self::request(experimental))
        } else {
            Self::new(body, experimental)
        }
    }

    /// Bytes on the wire, padding included.
    fn wire_len(&self) -> usize {
        let head = if self.experimental { 4 } else { 2 };
        (head + self.bytes().len()).next_multiple_of(4)
    }
}

/// The options that this stack understands. Unknown ones are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Maximum segment size (RFC 9293 §3.7.1); on SYN only.
    pub mss: Option<u16>,
    /// Window scale shift as on the wire (RFC 7323 §2); on SYN only.
    pub window_scale: Option<u8>,
    /// SACK permitted (RFC 2018 §2); on SYN only.
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323 §3).
    pub timestamps: Option<Timestamps>,
    /// SACK blocks (RFC 2018 §3).
    pub sack: SackBlocks,
    /// Fast Open (RFC 7413 §4.1.1); on SYN only.
    pub fast_open: Option<FastOpenCookie>,
}

/// A TCP header as a plain value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpHeader {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte (or of the SYN).
    pub seq: SeqNumber,
    /// Next sequence number expected; significant with ACK.
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field, unscaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
}

/// Bytes of a TCP header without options.
pub const TCP_HEADER_LEN: usize = 20;
/// Most bytes of options that the data offset can say (RFC 9293 §3.1).
pub const TCP_OPTIONS_MAX: usize = 40;

const KIND_END: u8 = 0;
const KIND_NOP: u8 = 1;
const KIND_MSS: u8 = 2;
const KIND_WINDOW_SCALE: u8 = 3;
const KIND_SACK_PERMITTED: u8 = 4;
const KIND_SACK: u8 = 5;
const KIND_TIMESTAMPS: u8 = 8;
const KIND_FAST_OPEN: u8 = 34;
const KIND_EXPERIMENTAL: u8 = 254;
/// `nop, nop, TS` as one word: what nearly every segment of an established connection carries.
pub(crate) const NOP_NOP_TIMESTAMPS: [u8; 4] = [KIND_NOP, KIND_NOP, KIND_TIMESTAMPS, 10];

impl SackBlocks {
    /// No blocks.
    pub const NONE: Self = Self { blocks: [(SeqNumber(0), SeqNumber(0)); SACK_BLOCKS_MAX], len: 0 };

    /// Getter: the blocks that count.
    pub fn as_slice(&self) -> &[(SeqNumber, SeqNumber)] {
        let len = usize::from(self.len).min(SACK_BLOCKS_MAX);
        self.blocks.get(..len).unwrap_or(&[])
    }

    /// Command: adds a block; ignored once [`SACK_BLOCKS_MAX`] are there.
    pub fn push(&mut self, left: SeqNumber, right: SeqNumber) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.len)) {
            *slot = (left, right);
            self.len += 1;
        }
    }
}

impl TcpHeader {
    /// The header at the beginning of `bytes` and its length, options included. The checksum is the
    /// caller's to check: it covers the pseudo-header and the payload too.
    ///
    /// Unknown options are skipped. An option of length 0 or 1, or one that runs past the header, ends
    /// option parsing; what came before it counts (RFC 9293 §3.2, MUST-7). Of duplicates the last wins.
    /// MSS, window scale and SACK-permitted count on segments with SYN only.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when `bytes` is shorter than the header, [`WireError::Malformed`] when
    /// the data offset says less than 20 bytes.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let fixed: &[u8; TCP_HEADER_LEN] = bytes.first_chunk().ok_or(WireError::Truncated)?;
        let len = usize::from(fixed[12] >> 4) * 4;
        let refused = planted::is(Bug::ReservedBitsRefused) && fixed[12] & 0xf != 0;
        if len < TCP_HEADER_LEN || refused {
            return Err(WireError::Malformed);
        }
        let options = bytes.get(TCP_HEADER_LEN..len).ok_or(WireError::Truncated)?;
        let word = |at: usize| {
            u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]])
        };
        let half = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let flags = TcpFlags(fixed[13]);
        let header = Self {
            src_port: half(0),
            dst_port: half(2),
            seq: SeqNumber(word(4)),
            ack: SeqNumber(word(8)),
            flags,
            window: half(14),
            urgent: half(18),
            options: TcpOptions::parse(options, flags.contains(TcpFlags::SYN)),
        };
        Ok((header, len))
    }

    /// Getter: bytes that [`TcpHeader::emit`] writes.
    pub fn header_len(&self) -> usize {
        TCP_HEADER_LEN + self.options.wire_len(self.flags.contains(TcpFlags::SYN))
    }

    /// Output: writes the header with a checksum of zero and returns its length; writes nothing and
    /// returns 0 when `out` is shorter than [`TcpHeader::header_len`].
    ///
    /// SACK blocks that do not fit into the 40 bytes of options are left out.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let len = self.header_len();
        let Some(out) = out.get_mut(..len) else { return 0 };
        let Some((fixed, options)) = out.split_first_chunk_mut::<TCP_HEADER_LEN>() else {
            return 0;
        };
        fixed[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        fixed[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        fixed[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        fixed[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        let reserved = u8::from(planted::is(Bug::ReservedBitsSent));
        fixed[12] = u8::try_from(len / 4).unwrap_or(15) << 4 | reserved;
        fixed[13] = self.flags.0;
        fixed[14..16].copy_from_slice(&self.window.to_be_bytes());
        fixed[16..18].copy_from_slice(&[0, 0]);
        fixed[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        self.options.emit(options, self.flags.contains(TcpFlags::SYN));
        len
    }
}

impl TcpOptions {
    fn parse(bytes: &[u8], syn: bool) -> Self {
        // Fast path: exactly `nop nop TS` (RFC 7323 appendix A).
        if let &[1, 1, 8, 10, a, b, c, d, e, f, g, h] = bytes {
            let timestamps = Some(Timestamps {
                value: u32::from_be_bytes([a, b, c, d]),
                echo: u32::from_be_bytes([e, f, g, h]),
            });
            return Self { timestamps, ..Self::default() };
        }
        Self::parse_slowly(bytes, syn)
    }

    fn parse_slowly(mut bytes: &[u8], syn: bool) -> Self {
        let mut options = Self::default();
        while let [kind, rest @ ..] = bytes {
            match *kind {
                KIND_END => break,
                KIND_NOP => {
                    bytes = rest;
                    continue;
                }
                _ => {}
            }
            let least = if planted::is(Bug::OptionOfNoLength) { 2 } else { 0 };
            let len = rest.first().map(|len| usize::from(*len).max(least));
            let Some(len) = len.filter(|len| *len >= 2) else { break };
            let Some((option, after)) = bytes.split_at_checked(len) else { break };
            if planted::is(Bug::UnknownOptionEnds) && *kind > KIND_TIMESTAMPS {
                break;
            }
            options.take(*kind, option.get(2..).unwrap_or(&[]), syn);
            bytes = after;
        }
        options
    }

    fn take(&mut self, kind: u8, body: &[u8], syn: bool) {
        match (kind, body) {
            (KIND_MSS, _) if planted::is(Bug::FirstOptionWins) && self.mss.is_some() => {}
            (KIND_MSS, &[a, b]) if syn => self.mss = Some(u16::from_be_bytes([a, b])),
            (KIND_WINDOW_SCALE, &[shift]) if syn => self.window_scale = Some(shift),
            (KIND_SACK_PERMITTED, &[]) if syn => self.sack_permitted = true,
            (KIND_FAST_OPEN, body) if syn => {
                self.fast_open = FastOpenCookie::parse(body, false).or(self.fast_open);
            }
            (KIND_EXPERIMENTAL, body) if syn => {
                let cookie = body.strip_prefix(&FAST_OPEN_MAGIC);
                let cookie = cookie.and_then(|cookie| FastOpenCookie::parse(cookie, true));
                self.fast_open = self.fast_open.or(cookie);
            }
            (KIND_TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                self.timestamps = Some(Timestamps {
                    value: u32::from_be_bytes([a, b, c, d]),
                    echo: u32::from_be_bytes([e, f, g, h]),
                });
            }
            (KIND_SACK, body) if body.len() % 8 == 0 => {
                self.sack = SackBlocks::default();
                for block in body.as_chunks::<8>().0 {
                    let [a, b, c, d, e, f, g, h] = *block;
                    self.sack.push(
                        SeqNumber(u32::from_be_bytes([a, b, c, d])),
                        SeqNumber(u32::from_be_bytes([e, f, g, h])),
                    );
                }
            }
            _ => {}
        }
    }

    /// Getter: bytes of options on the wire, padding included.
    fn wire_len(&self, syn: bool) -> usize {
        let before = self.wire_len_without_sack(syn);
        match self.sack_blocks_sent(before) {
            0 => before,
            n => before + 4 + n * 8,
        }
    }

    fn wire_len_without_sack(&self, syn: bool) -> usize {
        let mut len = 0;
        if syn {
            len += if self.mss.is_some() { 4 } else { 0 };
            len += if self.window_scale.is_some() { 4 } else { 0 };
            len += self.fast_open.map_or(0, |cookie| cookie.wire_len());
        }
        // SACK-permitted takes the place of the two NOPs in front of the timestamps.
        match (self.timestamps.is_some(), syn && self.sack_permitted) {
            (true, _) => len + 12,
            (false, true) => len + 4,
            (false, false) => len,
        }
    }

    fn sack_blocks_sent(&self, before: usize) -> usize {
        self.sack.as_slice().len().min(TCP_OPTIONS_MAX.saturating_sub(before + 4) / 8)
    }

    /// `out` is exactly `wire_len` bytes. The order is the one other stacks put on the wire, and scripts compare.
    fn emit(&self, out: &mut [u8], syn: bool) {
        let mut writer = Writer { out };
        if let (true, Some(mss)) = (syn, self.mss) {
            let [a, b] = mss.to_be_bytes();
            writer.put(&[KIND_MSS, 4, a, b]);
        }
        let sack_permitted = syn && self.sack_permitted;
        if let Some(timestamps) = self.timestamps {
            match sack_permitted {
                true => writer.put(&[KIND_SACK_PERMITTED, 2, KIND_TIMESTAMPS, 10]),
                false => writer.put(&NOP_NOP_TIMESTAMPS),
            }
            writer.put(&timestamps.value.to_be_bytes());
            writer.put(&timestamps.echo.to_be_bytes());
        } else if sack_permitted {
            writer.put(&[KIND_NOP, KIND_NOP, KIND_SACK_PERMITTED, 2]);
        }
        if let (true, Some(shift)) = (syn, self.window_scale) {
            writer.put(&[KIND_NOP, KIND_WINDOW_SCALE, 3, shift]);
        }
        if let (true, Some(cookie)) = (syn, self.fast_open) {
            writer.put_fast_open(&cookie);
        }
        let count = self.sack_blocks_sent(self.wire_len_without_sack(syn));
        if count > 0 {
            let len = u8::try_from(2 + count * 8).unwrap_or(u8::MAX);
            writer.put(&[KIND_NOP, KIND_NOP, KIND_SACK, len]);
            for (left, right) in self.sack.as_slice().iter().take(count) {
                writer.put(&left.0.to_be_bytes());
                writer.put(&right.0.to_be_bytes());
            }
        }
    }
}

/// Writes words one after the other. What would not fit is not written; `wire_len` makes it fit.
struct Writer<'a> {
    out: &'a mut [u8],
}

impl Writer<'_> {
    /// The cookie in words, NOPs at its end.
    #[cold]
    fn put_fast_open(&mut self, cookie: &FastOpenCookie) {
        let mut option = [KIND_NOP; FAST_OPEN_COOKIE_MAX + 4];
        let bytes = cookie.bytes();
        let head = if cookie.is_experimental() { 4 } else { 2 };
        // At most 20.
        let len = (head + bytes.len()) as u8;
        option[..2].copy_from_slice(&[KIND_FAST_OPEN, len]);
        if cookie.is_experimental() {
            option[0] = KIND_EXPERIMENTAL;
            option[2..4].copy_from_slice(&FAST_OPEN_MAGIC);
        }
        option[head..head + bytes.len()].copy_from_slice(bytes);
        for word in option.as_chunks::<4>().0.iter().take(cookie.wire_len() / 4) {
            self.put(word);
        }
    }

    fn put(&mut self, word: &[u8; 4]) {
        if let Some((head, rest)) = core::mem::take(&mut self.out).split_first_chunk_mut::<4>() {
            *head = *word;
            self.out = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn option_bytes(flags: TcpFlags, options: TcpOptions) -> Vec<u8> {
        let header = TcpHeader { flags, options, ..TcpHeader::default() };
        let mut out = vec![0xaa; header.header_len()];
        assert_eq!(header.emit(&mut out), out.len());
        out.split_off(TCP_HEADER_LEN)
    }

    fn full() -> TcpOptions {
        TcpOptions {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 0x0102_0304, echo: 0 }),
            sack: SackBlocks::default(),
            fast_open: None,
        }
    }

    #[test]
    fn a_fast_open_cookie_is_even_and_of_4_to_16_bytes() {
        let cookie = |len: usize| FastOpenCookie::new(&[7; 18][..len], false);
        assert!([0, 2, 3, 5, 15, 17, 18].into_iter().all(|len| cookie(len).is_none()));
        assert_eq!(cookie(16).map(|cookie| cookie.bytes().len()), Some(16));
        let options = TcpOptions { fast_open: cookie(4), ..full() };
        let bytes = option_bytes(TcpFlags::SYN, options);
        assert_eq!(bytes[20..], [34, 6, 7, 7, 7, 7, 1, 1]);
        // Not on a segment without SYN.
        assert_eq!(option_bytes(TcpFlags::ACK, options).len(), 12);
    }

    #[test]
    fn a_syn_carries_its_options_in_the_order_other_stacks_use() {
        let syn = TcpFlags::SYN;
        assert_eq!(
            option_bytes(syn, full()),
            [2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 8]
        );
        let without_timestamps = TcpOptions { timestamps: None, ..full() };
        assert_eq!(option_bytes(syn, without_timestamps), [2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 8]);
        let without_sack = TcpOptions { sack_permitted: false, ..without_timestamps };
        assert_eq!(option_bytes(syn, without_sack), [2, 4, 5, 180, 1, 3, 3, 8]);
    }

    #[test]
    fn other_segments_carry_timestamps_then_sack_blocks() {
        let mut options = TcpOptions {
            timestamps: Some(Timestamps { value: 1, echo: 2 }),
            ..TcpOptions::default()
        };
        options.sack.push(SeqNumber(3), SeqNumber(4));
        assert_eq!(
            option_bytes(TcpFlags::ACK, options),
            [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4]
        );
        for i in 0..3 {
            options.sack.push(SeqNumber(10 * i), SeqNumber(10 * i + 5));
        }
        // Four blocks do not fit beside timestamps (RFC 2018 §3).
        assert_eq!(option_bytes(TcpFlags::ACK, options).len(), 12 + 4 + 24);
    }

    #[test]
    fn an_option_of_impossible_length_ends_parsing_and_keeps_what_came_before() {
        for bad in [[8, 0, 9, 9], [8, 1, 9, 9], [254, 40, 9, 9], [3, 3, 7, 8]] {
            let mut bytes = vec![2, 4, 1, 2];
            bytes.extend(bad);
            let options = TcpOptions::parse(&bytes, true);
            assert_eq!(options.mss, Some(258));
            assert_eq!(options.timestamps, None);
            assert_eq!(options.window_scale, (bad[0] == 3).then_some(7));
        }
        // Nothing behind it is believed.
        for len in [0, 1] {
            let options = TcpOptions::parse(&[8, len, 3, 3, 7, 0], true);
            assert_eq!(options, TcpOptions::default());
        }
    }

    #[test]
    fn of_duplicate_options_the_last_wins_and_unknown_ones_are_skipped() {
        let options = TcpOptions::parse(&[3, 3, 1, 254, 4, 0, 0, 3, 3, 2, 0, 0], true);
        assert_eq!(options.window_scale, Some(2));
    }

    #[test]
    fn reserved_bits_are_sent_as_zero_and_mean_nothing() {
        let header = TcpHeader { flags: TcpFlags::ACK, options: full(), ..TcpHeader::default() };
        let mut out = [0xff; 40];
        let len = header.emit(&mut out);
        assert_eq!((len, out[12]), (32, 0x80));
        let parsed = TcpHeader::parse(&out[..len]);
        out[12] |= 0xf;
        assert_eq!(TcpHeader::parse(&out[..len]), parsed);
    }

    #[test]
    fn options_of_a_syn_mean_nothing_elsewhere() {
        let options = TcpOptions::parse(&[2, 4, 1, 2, 4, 2, 3, 3, 2, 0, 0, 0], false);
        assert_eq!(options, TcpOptions::default());
    }

    #[test]
    fn a_header_shorter_than_it_says_is_truncated() {
        let mut bytes = [0u8; 24];
        bytes[12] = 0x70;
        assert_eq!(TcpHeader::parse(&bytes), Err(WireError::Truncated));
        bytes[12] = 0x40;
        assert_eq!(TcpHeader::parse(&bytes), Err(WireError::Malformed));
        assert_eq!(TcpHeader::parse(&bytes[..19]), Err(WireError::Truncated));
    }

    prop_compose! {
        fn any_options(syn: bool)(
            mss in proptest::option::of(any::<u16>()),
            window_scale in proptest::option::of(any::<u8>()),
            sack_permitted in any::<bool>(),
            timestamps in proptest::option::of(any::<(u32, u32)>()),
            blocks in proptest::collection::vec(any::<(u32, u32)>(), 0..=2),
            cookie in proptest::option::of((any::<[u8; 16]>(), 0usize..=8, any::<bool>())),
        ) -> TcpOptions {
            let mut options = TcpOptions {
                mss: mss.filter(|_| syn),
                window_scale: window_scale.filter(|_| syn),
                sack_permitted: sack_permitted && syn,
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                sack: SackBlocks::default(),
                fast_open: cookie.filter(|_| syn).map(|(bytes, half, experimental)| {
                    FastOpenCookie::new(&bytes[..half * 2], experimental)
                        .unwrap_or(FastOpenCookie::request(experimental))
                }),
            };
            // Beside a cookie there is no room for blocks, and no need on a SYN.
            let blocks = if options.fast_open.is_some() { Vec::new() } else { blocks };
            for (left, right) in blocks {
                options.sack.push(SeqNumber(left), SeqNumber(right));
            }
            options
        }
    }

    prop_compose! {
        fn any_header()(flags in any::<u8>())(
            ports in any::<(u16, u16)>(), seq in any::<u32>(), ack in any::<u32>(),
            window in any::<u16>(), urgent in any::<u16>(),
            options in any_options(flags & 2 != 0), flags in Just(flags),
        ) -> TcpHeader {
            TcpHeader {
                src_port: ports.0, dst_port: ports.1, seq: SeqNumber(seq), ack: SeqNumber(ack),
                flags: TcpFlags(flags), window, urgent, options,
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok((_, len)) = TcpHeader::parse(&bytes) {
                prop_assert!(len <= bytes.len());
            }
        }

        #[test]
        fn hostile_options_never_panic(options in proptest::collection::vec(0u8..12, 0..=40)) {
            TcpOptions::parse(&options, true);
        }

        #[test]
        fn what_was_emitted_is_parsed_back(header in any_header()) {
            let mut out = [0xaa; 60];
            let len = header.emit(&mut out);
            prop_assert_eq!(len, header.header_len());
            prop_assert_eq!(TcpHeader::parse(&out[..len]), Ok((header, len)));
            prop_assert_eq!(header.emit(&mut out[..len - 1]), 0);
        }
    }
}
