//! The fixed IPv6 header (RFC 8200 §3). Extension headers are the receiver's to walk.

use core::net::Ipv6Addr;

use super::field::{array, be16, be32, fixed};
use super::ipv4::TTL_DEFAULT;
use super::{IpProtocol, WireError};

/// Bytes of the fixed header.
pub const IPV6_HEADER_LEN: usize = 40;

/// A fixed IPv6 header as a plain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    /// Differentiated services code point and ECN.
    pub traffic_class: u8,
    /// Flow label, 20 bits (RFC 6437).
    pub flow_label: u32,
    /// Bytes behind the fixed header, extension headers included.
    pub payload_len: u16,
    /// What follows: a protocol or an extension header.
    pub next_header: IpProtocol,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source.
    pub src: Ipv6Addr,
    /// Destination.
    pub dst: Ipv6Addr,
}

impl Ipv6Header {
    /// The header of a packet of ours: hop limit 64, no special service, no flow label.
    pub const fn new(
        src: Ipv6Addr,
        dst: Ipv6Addr,
        next_header: IpProtocol,
        payload_len: u16,
    ) -> Self {
        let (traffic_class, flow_label) = (0, 0);
        let hop_limit = TTL_DEFAULT;
        Self { traffic_class, flow_label, payload_len, next_header, hop_limit, src, dst }
    }

    /// Input: the header at the front of a packet that lies wholly in `bytes`, and its length.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        Self::parse_prefix(bytes, bytes.len())
    }

    /// Input: like [`Ipv6Header::parse`] for a packet in a chain of segments: `bytes` is the first one,
    /// `available` the bytes in the whole chain.
    pub fn parse_prefix(bytes: &[u8], available: usize) -> Result<(Self, usize), WireError> {
        let h: &[u8; IPV6_HEADER_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        let first = be32(h, 0);
        if first >> 28 != 6 {
            return Err(WireError::Unsupported);
        }
        let header = Self {
            traffic_class: (first >> 20) as u8,
            flow_label: first & 0x000f_ffff,
            payload_len: be16(h, 4),
            next_header: IpProtocol(h[6]),
            hop_limit: h[7],
            src: Ipv6Addr::from_octets(array(h, 8)),
            dst: Ipv6Addr::from_octets(array(h, 24)),
        };
        if IPV6_HEADER_LEN + usize::from(header.payload_len) > available {
            return Err(WireError::Truncated);
        }
        Ok((header, IPV6_HEADER_LEN))
    }

    /// Output: writes the header to the front of `out`, returns its length, or 0 when there is no room.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<IPV6_HEADER_LEN>() else { return 0 };
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | (self.flow_label & 0x000f_ffff);
        out[0..4].copy_from_slice(&first.to_be_bytes());
        out[4..6].copy_from_slice(&self.payload_len.to_be_bytes());
        out[6] = self.next_header.0;
        out[7] = self.hop_limit;
        out[8..24].copy_from_slice(&self.src.octets());
        out[24..40].copy_from_slice(&self.dst.octets());
        IPV6_HEADER_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_versions_and_payloads_beyond_the_frame_are_refused() {
        let header = Ipv6Header::new(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, IpProtocol::TCP, 5);
        let mut bytes = [0u8; 45];
        header.emit(&mut bytes);
        assert_eq!(Ipv6Header::parse(&bytes[..44]), Err(WireError::Truncated));
        assert_eq!(Ipv6Header::parse_prefix(&bytes[..44], 45), Ok((header, 40)));
        bytes[0] = 0x45;
        assert_eq!(Ipv6Header::parse(&bytes), Err(WireError::Unsupported));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(
            traffic_class: u8, flow_label in 0u32..1 << 20, next_header: u8, hop_limit: u8,
            src: [u8; 16], dst: [u8; 16], payload_len in 0u16..100,
        ) {
            let header = Ipv6Header {
                traffic_class, flow_label, payload_len, next_header: IpProtocol(next_header),
                hop_limit, src: src.into(), dst: dst.into(),
            };
            let mut bytes = [0xa5u8; 140];
            prop_assert_eq!(header.emit(&mut bytes), 40);
            prop_assert_eq!(Ipv6Header::parse(&bytes), Ok((header, 40)));
        }
    }
}
