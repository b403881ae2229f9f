//! Ethernet II framing (RFC 894, IEEE 802.3 clause 3).

use super::WireError;
use super::field::{array, be16, fixed};
use crate::nic::MacAddr;

/// What an Ethernet frame carries (IEEE 802 numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4 (RFC 894).
    pub const IPV4: Self = Self(0x0800);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// An 802.1Q tag.
    pub const VLAN: Self = Self(0x8100);
    /// IPv6 (RFC 2464).
    pub const IPV6: Self = Self(0x86dd);
    /// Smaller values are lengths of IEEE 802.3 frames, not types.
    pub const MIN: Self = Self(0x0600);
}

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER_LEN: usize = 14;

/// An Ethernet header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Destination.
    pub dst: MacAddr,
    /// Source.
    pub src: MacAddr,
    /// Kind of payload.
    pub ethertype: EtherType,
}

impl EthernetHeader {
    /// Input: the header at the front of `bytes` and its length. A length field in place of the type
    /// (RFC 1122 §2.3.3) and a group address as source are refused.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let h: &[u8; ETHERNET_HEADER_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        let header = Self {
            dst: MacAddr(array(h, 0)),
            src: MacAddr(array(h, 6)),
            ethertype: EtherType(be16(h, 12)),
        };
        if header.ethertype.0 < EtherType::MIN.0 {
            return Err(WireError::Unsupported);
        }
        if header.src.is_multicast() {
            return Err(WireError::Malformed);
        }
        Ok((header, ETHERNET_HEADER_LEN))
    }

    /// Output: writes the header to the front of `out`, returns its length. `out` has
    /// [`ETHERNET_HEADER_LEN`] bytes or more; nothing is written, and 0 returned, when it has not.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<ETHERNET_HEADER_LEN>() else { return 0 };
        out[0..6].copy_from_slice(&self.dst.0);
        out[6..12].copy_from_slice(&self.src.0);
        out[12..14].copy_from_slice(&self.ethertype.0.to_be_bytes());
        ETHERNET_HEADER_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_in_place_of_types_and_group_sources_are_refused() {
        let mut bytes = [0u8; 14];
        bytes[12..].copy_from_slice(&[0x05, 0xff]);
        assert_eq!(EthernetHeader::parse(&bytes), Err(WireError::Unsupported));
        bytes[12..].copy_from_slice(&[0x06, 0x00]);
        assert!(EthernetHeader::parse(&bytes).is_ok());
        bytes[6] = 1;
        assert_eq!(EthernetHeader::parse(&bytes), Err(WireError::Malformed));
        assert_eq!(EthernetHeader::parse(&bytes[..13]), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(dst: [u8; 6], mut src: [u8; 6], ethertype in 0x0600u16..) {
            src[0] &= !1;
            let header = EthernetHeader {
                dst: MacAddr(dst), src: MacAddr(src), ethertype: EtherType(ethertype),
            };
            let mut bytes = [0xa5u8; 20];
            prop_assert_eq!(header.emit(&mut bytes), 14);
            prop_assert_eq!(EthernetHeader::parse(&bytes), Ok((header, 14)));
            prop_assert_eq!(header.emit(&mut bytes[..13]), 0);
        }
    }
}
