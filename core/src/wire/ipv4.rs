//! The IPv4 header (RFC 791 §3.1).

use core::net::Ipv4Addr;

use super::checksum::{finish, sum};
use super::field::{array, be16, fixed};
use super::{IpProtocol, WireError};
use crate::planted::{self, Bug};

/// Bytes of a header without options: what this stack emits.
pub const IPV4_HEADER_LEN: usize = 20;
/// The time to live of what we send (RFC 1122 §3.2.1.7 wants at least 64 today).
pub const TTL_DEFAULT: u8 = 64;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_LSRR: u8 = 131;
const OPTION_SSRR: u8 = 137;

/// Where the protocol's number stands in the header.
pub const PROTOCOL_AT: u16 = 9;

/// An option that cannot be, or is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOption {
    /// Where it begins in the header.
    pub at: u16,
    /// [`WireError::Malformed`] for a length that cannot be, [`WireError::Unsupported`] for a source route.
    pub error: WireError,
}

/// An IPv4 header as a plain value. Options are skipped on receipt and never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    /// Differentiated services code point and ECN (RFC 2474, RFC 3168).
    pub traffic_class: u8,
    /// Identification; without meaning on atomic datagrams (RFC 6864 §4.1).
    pub identification: u16,
    /// Routers may not fragment it.
    pub dont_fragment: bool,
    /// It is not the last fragment.
    pub more_fragments: bool,
    /// Offset of this fragment's payload, in units of 8 bytes.
    pub fragment_offset: u16,
    /// Time to live.
    pub ttl: u8,
    /// What it carries.
    pub protocol: IpProtocol,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Bytes behind the header. What the frame has beyond them is padding.
    pub payload_len: u16,
}

impl Ipv4Header {
    /// The header of an atomic datagram of ours: DF, TTL 64, no special service.
    pub const fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: IpProtocol, payload_len: u16) -> Self {
        Self {
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: TTL_DEFAULT,
            protocol,
            src,
            dst,
            payload_len,
        }
    }

    /// Getter: true when it is a piece of a datagram, not a whole one.
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// Getter: the ECN field (RFC 3168 §5).
    pub const fn ecn(&self) -> u8 {
        self.traffic_class & 0b11
    }

    /// Input: the header at the front of a datagram that lies wholly in `bytes`, and its length with
    /// options. The payload is the `payload_len` bytes behind.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        Self::parse_prefix(bytes, bytes.len())
    }

    /// Input: like [`Ipv4Header::parse`] for a datagram in a chain of segments: `bytes` is the first
    /// one, `available` the bytes in the whole chain.
    pub fn parse_prefix(bytes: &[u8], available: usize) -> Result<(Self, usize), WireError> {
        match Self::parse_past_options(bytes, available)? {
            (header, header_len, None) => Ok((header, header_len)),
            (_, _, Some(bad)) => Err(bad.error),
        }
    }

    /// Input: like [`Ipv4Header::parse_prefix`], where a bad option is no error yet, but told beside the header: whom to
    /// complain to stands in there.
    pub fn parse_past_options(
        bytes: &[u8],
        available: usize,
    ) -> Result<(Self, usize, Option<BadOption>), WireError> {
        let h: &[u8; IPV4_HEADER_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        if h[0] >> 4 != 4 {
            return Err(WireError::Unsupported);
        }
        let header_len = usize::from(h[0] & 0x0f) * 4;
        if header_len < IPV4_HEADER_LEN {
            return Err(WireError::Malformed);
        }
        let total_len = usize::from(be16(h, 2));
        if total_len < header_len {
            return Err(WireError::Malformed);
        }
        if total_len > available && !planted::is(Bug::AnyTotalLength) {
            return Err(WireError::Truncated);
        }
        let with_options = bytes.get(..header_len).ok_or(WireError::Truncated)?;
        if sum(with_options) != 0xffff && !planted::is(Bug::IpSumUnchecked) {
            return Err(WireError::Checksum);
        }
        let bad_option = check_options(&with_options[IPV4_HEADER_LEN..]).err();
        let padded = if planted::is(Bug::PaddingIsPayload) { available } else { total_len };
        let header = Self::fields(h, (padded - header_len) as u16);
        // RFC 791 §3.1: the reserved flag is zero. A datagram cannot grow beyond 65,535 bytes
        // in reassembly either.
        let end = usize::from(header.fragment_offset) * 8 + total_len;
        if be16(h, 6) & 0x8000 != 0 || end > usize::from(u16::MAX) {
            return Err(WireError::Malformed);
        }
        Ok((header, header_len, bad_option))
    }

    /// The fields of a header whose lengths are known to be right.
    const fn fields(h: &[u8; IPV4_HEADER_LEN], payload_len: u16) -> Self {
        let fragment = be16(h, 6);
        Self {
            traffic_class: h[1],
            identification: be16(h, 4),
            dont_fragment: fragment & DONT_FRAGMENT != 0,
            more_fragments: fragment & MORE_FRAGMENTS != 0,
            fragment_offset: fragment & OFFSET_MASK,
            ttl: h[8],
            protocol: IpProtocol(h[9]),
            src: Ipv4Addr::from_octets(array(h, 12)),
            dst: Ipv4Addr::from_octets(array(h, 16)),
            payload_len,
        }
    }

    /// Command: `datagram` begins with the header of a fragment, `header_len` bytes with options, and was completed behind it:
    /// makes it the header of the whole.
    pub fn make_whole(datagram: &mut [u8], header_len: usize) {
        let total_len = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
        let Some(header) = datagram.get_mut(..header_len) else { return };
        if let Some(fixed) = header.first_chunk_mut::<IPV4_HEADER_LEN>() {
            fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
            fixed[6..8].fill(0);
            fixed[10..12].fill(0);
        }
        let checksum = finish(sum(header)).to_be_bytes();
        if let Some(field) = header.get_mut(10..12) {
            field.copy_from_slice(&checksum);
        }
    }

    /// Output: writes the header with its checksum to the front of `out`, returns its length, or 0 when
    /// there is no room. `payload_len` is at most 65,515 bytes; more is cut there.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<IPV4_HEADER_LEN>() else { return 0 };
        let total_len = self.payload_len.saturating_add(IPV4_HEADER_LEN as u16);
        let fragment = (self.fragment_offset & OFFSET_MASK)
            | if self.dont_fragment { DONT_FRAGMENT } else { 0 }
            | if self.more_fragments { MORE_FRAGMENTS } else { 0 };
        out[0] = 0x45;
        out[1] = self.traffic_class;
        out[2..4].copy_from_slice(&total_len.to_be_bytes());
        out[4..6].copy_from_slice(&self.identification.to_be_bytes());
        out[6..8].copy_from_slice(&fragment.to_be_bytes());
        out[8] = self.ttl;
        out[9] = self.protocol.0;
        out[10..12].fill(0);
        out[12..16].copy_from_slice(&self.src.octets());
        out[16..20].copy_from_slice(&self.dst.octets());
        let checksum = finish(sum(out));
        out[10..12].copy_from_slice(&checksum.to_be_bytes());
        IPV4_HEADER_LEN
    }
}

/// Options are skipped, except source routes, which an end host refuses (RFC 7126 §4.3, §4.4), and lengths
/// that run out of the header.
fn check_options(all: &[u8]) -> Result<(), BadOption> {
    let mut options = all;
    let bad = |rest: &[u8], error| BadOption {
        at: (IPV4_HEADER_LEN + all.len() - rest.len()) as u16,
        error,
    };
    while let [kind, rest @ ..] = options {
        match *kind {
            OPTION_END => return Ok(()),
            OPTION_NOP => options = rest,
            OPTION_LSRR | OPTION_SSRR if !planted::is(Bug::SourceRoutes) => {
                return Err(bad(options, WireError::Unsupported));
            }
            _ => {
                let len = rest.first().map_or(0, |len| usize::from(*len));
                match options.get(len..) {
                    Some(next) if len >= 2 => options = next,
                    _ => return Err(bad(options, WireError::Malformed)),
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn header() -> Ipv4Header {
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        Ipv4Header::new(a, b, IpProtocol::TCP, 8)
    }

    /// A datagram with `options` and its checksum made right.
    fn with_options(options: &[u8]) -> Vec<u8> {
        let mut bytes = alloc::vec![0u8; 20];
        header().emit(&mut bytes);
        bytes.extend_from_slice(options);
        let header_len = bytes.len();
        bytes.extend_from_slice(&[0; 8]);
        bytes[0] = 0x40 | (header_len / 4) as u8;
        let total = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
        repair(&mut bytes);
        bytes
    }

    fn repair(bytes: &mut [u8]) {
        let header_len = usize::from(bytes[0] & 15) * 4;
        bytes[10..12].fill(0);
        let checksum = finish(sum(&bytes[..header_len]));
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }

    #[test]
    fn padding_behind_the_datagram_is_not_payload() {
        let mut bytes = [0u8; 60];
        header().emit(&mut bytes);
        assert_eq!(Ipv4Header::parse(&bytes), Ok((header(), 20)));
        assert_eq!(header().payload_len, 8);
    }

    #[test]
    fn a_total_length_beyond_the_frame_is_refused_but_not_beyond_the_chain() {
        let mut bytes = [0u8; 27];
        header().emit(&mut bytes);
        assert_eq!(Ipv4Header::parse(&bytes), Err(WireError::Truncated));
        assert_eq!(Ipv4Header::parse_prefix(&bytes, 28), Ok((header(), 20)));
    }

    #[test]
    fn options_are_skipped_and_source_routes_refused() {
        let timestamp_option = [68, 4, 5, 0];
        assert_eq!(Ipv4Header::parse(&with_options(&timestamp_option)), Ok((header(), 24)));
        assert_eq!(Ipv4Header::parse(&with_options(&[1, 1, 0, 9])), Ok((header(), 24)));
        for kind in [OPTION_LSRR, OPTION_SSRR] {
            let bytes = with_options(&[1, kind, 3, 4]);
            assert_eq!(Ipv4Header::parse(&bytes), Err(WireError::Unsupported));
        }
    }

    #[test]
    fn options_that_run_out_of_the_header_are_malformed() {
        for options in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7]] {
            assert_eq!(Ipv4Header::parse(&with_options(&options)), Err(WireError::Malformed));
        }
    }

    #[test]
    fn impossible_headers_are_refused_each_with_its_reason() {
        let mut good = [0u8; 28];
        header().emit(&mut good);
        let cases: [(usize, u8, WireError); 5] = [
            (0, 0x65, WireError::Unsupported),
            (0, 0x44, WireError::Malformed),
            (3, 19, WireError::Malformed),
            (6, 0xc0, WireError::Malformed),
            (0, 0x48, WireError::Malformed),
        ];
        for (at, value, error) in cases {
            let mut bad = good;
            bad[at] = value;
            repair_short(&mut bad);
            assert_eq!(Ipv4Header::parse(&bad), Err(error), "byte {at}");
        }
        good[15] ^= 1;
        assert_eq!(Ipv4Header::parse(&good), Err(WireError::Checksum));
    }

    fn repair_short(bytes: &mut [u8; 28]) {
        let checksum_at = 10;
        bytes[checksum_at..12].fill(0);
        let checksum = finish(sum(&bytes[..20]));
        bytes[checksum_at..12].copy_from_slice(&checksum.to_be_bytes());
    }

    #[test]
    fn a_fragment_that_would_end_beyond_65535_is_malformed() {
        let mut bytes = [0u8; 28];
        let fragment = Ipv4Header { fragment_offset: 0x1fff, dont_fragment: false, ..header() };
        fragment.emit(&mut bytes);
        assert_eq!(Ipv4Header::parse(&bytes), Err(WireError::Malformed));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), fix: bool) {
            if fix && bytes.len() >= 60 {
                bytes[0] = 0x40 | bytes[0] & 15;
                repair(&mut bytes);
            }
            if let Ok((header, len)) = Ipv4Header::parse(&bytes) {
                prop_assert!(len + usize::from(header.payload_len) <= bytes.len());
            }
        }

        #[test]
        fn what_is_emitted_is_parsed_back(
            traffic_class: u8, identification: u16, dont_fragment: bool, more_fragments: bool,
            fragment_offset in 0u16..0x1000, ttl: u8, protocol: u8, src: [u8; 4], dst: [u8; 4],
            payload_len in 0u16..200,
        ) {
            let header = Ipv4Header {
                traffic_class, identification, dont_fragment, more_fragments, fragment_offset, ttl,
                protocol: IpProtocol(protocol), src: src.into(), dst: dst.into(), payload_len,
            };
            let mut bytes = [0xa5u8; 220];
            prop_assert_eq!(header.emit(&mut bytes), 20);
            prop_assert_eq!(Ipv4Header::parse(&bytes), Ok((header, 20)));
            prop_assert_eq!(header.is_fragment(), more_fragments || fragment_offset > 0);
        }
    }
}
