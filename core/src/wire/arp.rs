//! Address resolution for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use super::WireError;
use super::field::{array, be16, fixed};
use crate::nic::MacAddr;

/// Bytes of an ARP packet for Ethernet and IPv4. Frames carry padding behind it.
pub const ARP_LEN: usize = 28;

/// Hardware type 1 (Ethernet), protocol type IPv4, address lengths 6 and 4.
const ETHERNET_IPV4: [u8; 6] = [0x00, 0x01, 0x08, 0x00, 6, 4];

/// What an ARP packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArpOperation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpPacket {
    /// Request or reply.
    pub operation: ArpOperation,
    /// The sender's hardware address.
    pub sender_mac: MacAddr,
    /// The sender's protocol address; unspecified in a probe (RFC 5227 §2.1.1).
    pub sender_ip: Ipv4Addr,
    /// The target's hardware address; meaningless in a request.
    pub target_mac: MacAddr,
    /// The protocol address that is asked for or answered to.
    pub target_ip: Ipv4Addr,
}

impl ArpPacket {
    /// Input: the packet at the front of `bytes` and its length. Other hardware, protocols and operations
    /// are `Unsupported`.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), WireError> {
        let h: &[u8; ARP_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        if array::<6, _>(h, 0) != ETHERNET_IPV4 {
            return Err(WireError::Unsupported);
        }
        let operation = match be16(h, 6) {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            _ => return Err(WireError::Unsupported),
        };
        let packet = Self {
            operation,
            sender_mac: MacAddr(array(h, 8)),
            sender_ip: Ipv4Addr::from(array::<4, _>(h, 14)),
            target_mac: MacAddr(array(h, 18)),
            target_ip: Ipv4Addr::from(array::<4, _>(h, 24)),
        };
        Ok((packet, ARP_LEN))
    }

    /// Output: writes the packet to the front of `out`, returns its length, or 0 when there is no room.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<ARP_LEN>() else { return 0 };
        let operation: u16 = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
        };
        out[0..6].copy_from_slice(&ETHERNET_IPV4);
        out[6..8].copy_from_slice(&operation.to_be_bytes());
        out[8..14].copy_from_slice(&self.sender_mac.0);
        out[14..18].copy_from_slice(&self.sender_ip.octets());
        out[18..24].copy_from_slice(&self.target_mac.0);
        out[24..28].copy_from_slice(&self.target_ip.octets());
        ARP_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_hardware_protocols_and_operations_are_refused() {
        let packet = ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender_ip: Ipv4Addr::new(10, 0, 0, 1),
            target_mac: MacAddr::default(),
            target_ip: Ipv4Addr::new(10, 0, 0, 2),
        };
        let mut good = [0u8; ARP_LEN];
        packet.emit(&mut good);
        for at in 0..8 {
            let mut bad = good;
            bad[at] ^= 0x40;
            assert_eq!(ArpPacket::parse(&bad), Err(WireError::Unsupported), "byte {at}");
        }
        assert_eq!(ArpPacket::parse(&good[..27]), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(a: [u8; 6], b: [u8; 4], c: [u8; 6], d: [u8; 4], reply: bool) {
            let packet = ArpPacket {
                operation: if reply { ArpOperation::Reply } else { ArpOperation::Request },
                sender_mac: MacAddr(a), sender_ip: b.into(), target_mac: MacAddr(c), target_ip: d.into(),
            };
            let mut bytes = [0xa5u8; 46];
            prop_assert_eq!(packet.emit(&mut bytes), ARP_LEN);
            prop_assert_eq!(ArpPacket::parse(&bytes), Ok((packet, ARP_LEN)));
        }
    }
}
