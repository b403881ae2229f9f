//! Wire formats: parse to plain values, emit into caller-owned memory. No state.
//!
//! Every parser takes untrusted bytes, never panics, and reads only what the lengths in the header and
//! the slice both allow. Every emitter writes each byte that it claims.

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub(crate) mod field;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod ipv6_ext;
pub mod machnet;
pub mod mld;
pub mod ndp;
pub mod tcp;
pub mod udp;
pub mod vlan;

pub use arp::{ARP_LEN, ArpOperation, ArpPacket};
pub use ethernet::{ETHERNET_HEADER_LEN, EtherType, EthernetHeader};
pub use icmpv4::{ICMP_HEADER_LEN, Icmpv4Header, QuotedPacket};
pub use icmpv6::Icmpv6Header;
pub use ipv4::{IPV4_HEADER_LEN, Ipv4Header, TTL_DEFAULT};
pub use ipv6::{IPV6_HEADER_LEN, Ipv6Header};
pub use udp::{UDP_HEADER_LEN, UdpHeader};
pub use vlan::{VLAN_TAG_LEN, VlanTag};

/// What an IP datagram carries (IANA protocol numbers; next header values in IPv6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IpProtocol(pub u8);

impl IpProtocol {
    /// ICMP (RFC 792).
    pub const ICMP: Self = Self(1);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// ICMPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireError {
    /// Shorter than the header or than the length that it states.
    Truncated,
    /// A field has a value that the standard forbids.
    Malformed,
    /// The checksum does not match.
    Checksum,
    /// Another version or kind than this parser's.
    Unsupported,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_parser_panics_or_claims_more_bytes_than_there_are(
            bytes in proptest::collection::vec(any::<u8>(), 0..120), first: u8,
        ) {
            let mut bytes = bytes;
            // Half of the time a first byte that says IPv4 or IPv6.
            if first < 128 && let Some(byte) = bytes.first_mut() {
                *byte = if first < 64 { 0x45 } else { 0x60 };
            }
            let lens = [
                EthernetHeader::parse(&bytes).map(|(_, len)| len),
                VlanTag::parse(&bytes).map(|(_, len)| len),
                ArpPacket::parse(&bytes).map(|(_, len)| len),
                Ipv4Header::parse(&bytes).map(|(h, len)| len + usize::from(h.payload_len)),
                Ipv6Header::parse(&bytes).map(|(h, len)| len + usize::from(h.payload_len)),
                UdpHeader::parse(&bytes).map(|(h, len)| len + usize::from(h.payload_len)),
                Icmpv4Header::parse(&bytes).map(|(_, len)| len),
            ];
            for len in lens.into_iter().flatten() {
                prop_assert!(len <= bytes.len());
            }
        }
    }
}
