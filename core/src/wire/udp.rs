//! The UDP header (RFC 768).

use core::net::IpAddr;

use super::checksum::{finish, fold, pseudo_header, verify_sum};
use super::field::{be16, fixed};
use super::{IpProtocol, WireError};
use crate::planted::{self, Bug};

/// Bytes of a UDP header.
pub const UDP_HEADER_LEN: usize = 8;

/// A UDP header as a plain value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpHeader {
    /// Source port; 0 where none is meant.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Bytes behind the header.
    pub payload_len: u16,
    /// The checksum field; 0 says that the sender computed none.
    pub checksum: u16,
}

impl UdpHeader {
    /// Input: the header at the front of a datagram that lies wholly in `bytes`, and its length. What lies
    /// beyond `payload_len` is padding.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        Self::parse_prefix(bytes, bytes.len())
    }

    /// Input: like [`UdpHeader::parse`] for a datagram in a chain of segments: `bytes` is the first one,
    /// `available` the bytes in the whole chain.
    pub fn parse_prefix(bytes: &[u8], available: usize) -> Result<(Self, usize), WireError> {
        let h: &[u8; UDP_HEADER_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        let len = be16(h, 4);
        let payload_len = len.checked_sub(UDP_HEADER_LEN as u16).ok_or(WireError::Malformed)?;
        if usize::from(len) > available {
            return Err(WireError::Truncated);
        }
        let header =
            Self { src_port: be16(h, 0), dst_port: be16(h, 2), payload_len, checksum: be16(h, 6) };
        Ok((header, UDP_HEADER_LEN))
    }

    /// Output: writes the header, checksum field as it stands, to the front of `out`; returns its length,
    /// or 0 when there is no room. `payload_len` is at most 65,527; more is cut there.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<UDP_HEADER_LEN>() else { return 0 };
        out[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        out[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        out[4..6].copy_from_slice(&self.len().to_be_bytes());
        out[6..8].copy_from_slice(&self.checksum.to_be_bytes());
        UDP_HEADER_LEN
    }

    /// Command: fills in the checksum, given the partial sum of the payload. A sum of zero is sent as all
    /// ones (RFC 768). Addresses of different families leave it zero.
    #[must_use]
    pub fn with_checksum(mut self, src: IpAddr, dst: IpAddr, payload_sum: u16) -> Self {
        self.checksum = 0;
        if let Some(pseudo) = pseudo_header(src, dst, IpProtocol::UDP, usize::from(self.len())) {
            self.checksum = match finish(fold(u64::from(pseudo) + self.sum(payload_sum))) {
                0 => 0xffff,
                checksum => checksum,
            };
        }
        self
    }

    /// Input: checks the checksum, given the partial sum of the `payload_len` bytes of payload. Zero, "none
    /// computed", is right in IPv4 (RFC 1122 §4.1.3.4) and wrong in IPv6 (RFC 8200 §8.1).
    pub fn verify(&self, src: IpAddr, dst: IpAddr, payload_sum: u16) -> Result<(), WireError> {
        if self.checksum == 0 {
            return if dst.is_ipv4() || planted::is(Bug::ZeroSumInV6) {
                Ok(())
            } else {
                Err(WireError::Checksum)
            };
        }
        if planted::is(Bug::UdpSumUnchecked) {
            return Ok(());
        }
        let sum = fold(self.sum(payload_sum));
        verify_sum(src, dst, IpProtocol::UDP, usize::from(self.len()), sum)
    }

    /// The length field: header and payload.
    const fn len(&self) -> u16 {
        self.payload_len.saturating_add(UDP_HEADER_LEN as u16)
    }

    /// The sum of the header's words and a payload, not folded.
    const fn sum(&self, payload_sum: u16) -> u64 {
        self.src_port as u64
            + self.dst_port as u64
            + self.len() as u64
            + self.checksum as u64
            + payload_sum as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::checksum::sum;
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 5));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 6));
    const C: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[test]
    fn a_zero_checksum_is_fine_in_ipv4_and_wrong_in_ipv6() {
        let header = UdpHeader { src_port: 1, dst_port: 2, payload_len: 0, checksum: 0 };
        assert_eq!(header.verify(A, B, 0), Ok(()));
        assert_eq!(header.verify(C, C, 0), Err(WireError::Checksum));
    }

    #[test]
    fn a_computed_zero_is_sent_as_all_ones() {
        let header = UdpHeader { src_port: 1, dst_port: 2, payload_len: 2, checksum: 0 };
        let other = header.with_checksum(A, B, 0).checksum;
        // A payload equal to the checksum makes the total all ones, whose complement is zero.
        let header = header.with_checksum(A, B, other);
        assert_eq!(header.checksum, 0xffff);
        assert_eq!(header.verify(A, B, other), Ok(()));
    }

    #[test]
    fn lengths_below_the_header_or_beyond_the_datagram_are_refused() {
        assert_eq!(UdpHeader::parse(&[0, 1, 0, 2, 0, 7, 0, 0]), Err(WireError::Malformed));
        assert_eq!(UdpHeader::parse(&[0, 1, 0, 2, 0, 9, 0, 0]), Err(WireError::Truncated));
        assert_eq!(UdpHeader::parse(&[0, 1, 0, 2, 0, 8, 0]), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back_and_verifies(
            src_port: u16, dst_port: u16, payload in proptest::collection::vec(any::<u8>(), 0..80),
            v6: bool,
        ) {
            let (a, b) = if v6 { (C, C) } else { (A, B) };
            let header = UdpHeader { src_port, dst_port, payload_len: payload.len() as u16, checksum: 0 }
                .with_checksum(a, b, sum(&payload));
            let mut bytes = [0u8; 100];
            prop_assert_eq!(header.emit(&mut bytes), 8);
            prop_assert_eq!(UdpHeader::parse(&bytes), Ok((header, 8)));
            prop_assert_eq!(header.verify(a, b, sum(&payload)), Ok(()));
            bytes[8..8 + payload.len()].copy_from_slice(&payload);
            let datagram = &bytes[..8 + payload.len()];
            prop_assert_eq!(super::super::checksum::verify(a, b, IpProtocol::UDP, datagram), Ok(()));
            let wrong = UdpHeader { dst_port: dst_port ^ 4, ..header };
            prop_assert_eq!(wrong.verify(a, b, sum(&payload)), Err(WireError::Checksum));
        }
    }
}
