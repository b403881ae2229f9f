//! The Internet checksum as transports use it: over a pseudo-header, the header and the payload.

use core::net::IpAddr;

pub use causeway_checksum::{combine, copy_sum, finish, fold, sum};

use super::{IpProtocol, WireError};

/// Getter: the partial sum of the pseudo-header of either family. `len` is the bytes of transport header
/// and payload. `None` when the families differ or `len` is more than the family can say.
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: IpProtocol, len: usize) -> Option<u16> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => Some(causeway_checksum::pseudo_header_v4(
            src.octets(),
            dst.octets(),
            protocol.0,
            u16::try_from(len).ok()?,
        )),
        (IpAddr::V6(src), IpAddr::V6(dst)) => Some(causeway_checksum::pseudo_header_v6(
            src.octets(),
            dst.octets(),
            protocol.0,
            u32::try_from(len).ok()?,
        )),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// Input: checks a transport checksum in place. `segment` is header and payload with the checksum field as
/// received. UDP's rule about zero is [`super::UdpHeader::verify`]'s.
pub fn verify(
    src: IpAddr,
    dst: IpAddr,
    protocol: IpProtocol,
    segment: &[u8],
) -> Result<(), WireError> {
    verify_sum(src, dst, protocol, segment.len(), sum(segment))
}

/// Input: like [`verify`], for a segment of `len` bytes (spread over a chain, say) whose partial sum is
/// known.
pub fn verify_sum(
    src: IpAddr,
    dst: IpAddr,
    protocol: IpProtocol,
    len: usize,
    segment_sum: u16,
) -> Result<(), WireError> {
    let pseudo = pseudo_header(src, dst, protocol, len).ok_or(WireError::Malformed)?;
    // A sum with the right checksum in it is all ones, and never zero: the protocol number is in it.
    if combine(pseudo, segment_sum, false) == 0xffff { Ok(()) } else { Err(WireError::Checksum) }
}

/// Adds partial sums of parts of any length, in order: the chain of segments of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunningSum {
    sum: u16,
    odd: bool,
}

impl RunningSum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// Input: the next part, by its bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.add_sum(sum(bytes), bytes.len());
    }

    /// Input: the next part, by its partial sum and length in bytes.
    pub const fn add_sum(&mut self, part: u16, len: usize) {
        self.sum = combine(self.sum, part, self.odd);
        self.odd ^= len % 2 == 1;
    }

    /// Getter: the partial sum of everything so far.
    pub const fn sum(self) -> u16 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};
    use proptest::prelude::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 5));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 6));

    #[test]
    fn mixed_families_have_no_pseudo_header() {
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        assert_eq!(pseudo_header(A, v6, IpProtocol::TCP, 20), None);
        assert_eq!(pseudo_header(A, B, IpProtocol::TCP, 65_536), None);
        assert!(pseudo_header(v6, v6, IpProtocol::TCP, 65_536).is_some());
    }

    proptest! {
        #[test]
        fn a_segment_with_its_checksum_verifies_and_with_one_bit_flipped_does_not(
            mut bytes in proptest::collection::vec(any::<u8>(), 20..200),
            bit in any::<prop::sample::Index>(),
        ) {
            bytes[16..18].fill(0);
            let pseudo = pseudo_header(A, B, IpProtocol::TCP, bytes.len()).unwrap();
            let field = finish(combine(pseudo, sum(&bytes), false));
            bytes[16..18].copy_from_slice(&field.to_be_bytes());
            prop_assert_eq!(verify(A, B, IpProtocol::TCP, &bytes), Ok(()));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verify(A, B, IpProtocol::TCP, &bytes), Err(WireError::Checksum));
        }

        #[test]
        fn a_running_sum_over_parts_is_the_sum_of_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            size in 1usize..9,
        ) {
            let mut running = RunningSum::new();
            bytes.chunks(size).for_each(|part| running.add(part));
            prop_assert_eq!(running.sum(), sum(&bytes));
        }
    }
}
