//! ARP for Ethernet and IPv4 (RFC 826).

use std::net::Ipv4Addr;

use super::ParseError;

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// The sender's station.
    pub sender_mac: [u8; 6],
    /// The sender's address.
    pub sender: Ipv4Addr,
    /// The target's station.
    pub target_mac: [u8; 6],
    /// The target's address.
    pub target: Ipv4Addr,
}

/// Hardware type Ethernet, protocol IPv4, lengths 6 and 4.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

impl Arp {
    /// A request.
    pub const REQUEST: u16 = 1;
    /// A reply.
    pub const REPLY: u16 = 2;

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let Some((arp, _)) = bytes.split_first_chunk::<28>() else { return Err(ParseError::Arp) };
        if arp[..6] != ETHERNET_IPV4 {
            return Err(ParseError::Arp);
        }
        let mac = |at: usize| std::array::from_fn(|byte| arp[at + byte]);
        let address = |at: usize| Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]);
        Ok(Self {
            operation: u16::from_be_bytes([arp[6], arp[7]]),
            sender_mac: mac(8),
            sender: address(14),
            target_mac: mac(18),
            target: address(24),
        })
    }

    /// Getter: a request of somebody who has the address already, for everybody to hear (RFC 5227 2.3).
    pub fn is_announcement(&self) -> bool {
        self.sender == self.target
    }

    /// Getter: a request of somebody who wants the address (RFC 5227 2.1.1).
    pub const fn is_probe(&self) -> bool {
        self.sender.is_unspecified()
    }
}
