//! Interface addresses, and which addresses may stand in a packet.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::planted::{self, Bug};

/// Why an interface address or a prefix was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressError {
    /// Longer than the addresses of the family.
    PrefixLength,
    /// Unspecified, a group, the broadcast address or the network itself: no host may have it.
    NotUnicast,
}

/// An address of an interface, and how much of it is the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    addr: IpAddr,
    prefix_len: u8,
}

impl InterfaceAddress {
    /// `addr` in a network of `prefix_len` bits: at most 32 in IPv4, 128 in IPv6.
    pub fn new(addr: IpAddr, prefix_len: u8) -> Result<Self, AddressError> {
        if prefix_len > bits(addr) {
            return Err(AddressError::PrefixLength);
        }
        let address = Self { addr, prefix_len };
        // In a /31 both addresses are hosts' (RFC 3021).
        let is_network = address.prefix_len < 31 && addr.is_ipv4() && addr == address.network();
        if addr.is_unspecified()
            || is_group_or_broadcast(addr)
            || address.broadcast().map(IpAddr::V4) == Some(addr)
            || is_network
        {
            return Err(AddressError::NotUnicast);
        }
        Ok(address)
    }

    /// Getter: the address.
    pub const fn addr(&self) -> IpAddr {
        self.addr
    }

    /// Getter: bits of the network part.
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Getter: the network's address.
    pub fn network(&self) -> IpAddr {
        network_of(self.addr, self.prefix_len)
    }

    /// Getter: true when `other` is on the same network, reachable without a router.
    pub fn contains(&self, other: IpAddr) -> bool {
        self.addr.is_ipv4() == other.is_ipv4()
            && network_of(other, self.prefix_len) == self.network()
    }

    /// Getter: the address of all hosts of the network. None in IPv6, and none in an IPv4 /31 or /32.
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.addr {
            IpAddr::V4(v4) if self.prefix_len < 31 => {
                Some(Ipv4Addr::from_bits(v4.to_bits() | u32::MAX >> self.prefix_len))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

/// Bits of an address of this family.
pub(super) const fn bits(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `addr` with all but the first `prefix_len` bits zero.
pub(super) fn network_of(addr: IpAddr, prefix_len: u8) -> IpAddr {
    match addr {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(prefix_len.into())).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(prefix_len.into())).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// Getter: true for a source address that no packet from the network may have: nothing is answered to it
/// (RFC 1122 §3.2.1.3, RFC 1812 §5.3.7; RFC 4291 §2.5.3, §2.7). `on_loopback` says that the packet came over
/// our own loopback, where loopback addresses belong. A network's own broadcast address is
/// [`InterfaceAddress::broadcast`]'s to say.
///
/// The unspecified address is a martian too: what may use it (DHCP, duplicate address detection) does not
/// come through here.
pub fn is_martian_source(addr: IpAddr, on_loopback: bool) -> bool {
    !planted::is(Bug::Martians)
        && (is_group_or_broadcast(addr) || is_martian_destination(addr, on_loopback))
}

/// Getter: true for a destination address that must not appear on the wire: "this network" and, off the
/// loopback, loopback addresses; in IPv6 also addresses that stand for IPv4 ones (RFC 4942 §2.2).
pub fn is_martian_destination(addr: IpAddr, on_loopback: bool) -> bool {
    match addr {
        IpAddr::V4(v4) => v4.octets()[0] == 0 || (v4.is_loopback() && !on_loopback),
        IpAddr::V6(v6) => {
            v6.is_unspecified()
                || (v6.is_loopback() && !on_loopback)
                || v6.to_ipv4_mapped().is_some()
        }
    }
}

/// Getter: true for addresses of more than one host, and IPv4's reserved class E, which ends in the limited
/// broadcast address.
pub fn is_group_or_broadcast(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(v4) => v4.octets()[0] >= 224,
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn interface(text: &str, prefix_len: u8) -> InterfaceAddress {
        InterfaceAddress::new(ip(text), prefix_len).unwrap()
    }

    #[test]
    fn a_network_knows_its_hosts_and_its_broadcast() {
        let address = interface("10.0.1.5", 24);
        assert_eq!(address.network(), ip("10.0.1.0"));
        assert_eq!(address.broadcast(), Some(Ipv4Addr::new(10, 0, 1, 255)));
        assert!(address.contains(ip("10.0.1.255")) && !address.contains(ip("10.0.2.1")));
        assert!(!address.contains(ip("::ffff:10.0.1.7")));
        let v6 = interface("2001:db8::5", 64);
        assert!(v6.contains(ip("2001:db8::ffff:1")) && !v6.contains(ip("2001:db8:0:1::1")));
        assert_eq!(v6.broadcast(), None);
        assert!(interface("10.0.0.0", 31).contains(ip("10.0.0.1")));
        assert_eq!(interface("10.0.0.1", 31).broadcast(), None);
        assert!(interface("10.0.0.1", 0).contains(ip("192.168.0.1")));
    }

    #[test]
    fn no_host_may_have_the_network_s_own_addresses() {
        for (text, len, error) in [
            ("10.0.0.1", 33, AddressError::PrefixLength),
            ("2001:db8::1", 129, AddressError::PrefixLength),
            ("0.0.0.0", 8, AddressError::NotUnicast),
            ("10.0.1.0", 24, AddressError::NotUnicast),
            ("10.0.1.255", 24, AddressError::NotUnicast),
            ("224.0.0.1", 24, AddressError::NotUnicast),
            ("255.255.255.255", 32, AddressError::NotUnicast),
            ("ff02::1", 64, AddressError::NotUnicast),
        ] {
            assert_eq!(InterfaceAddress::new(ip(text), len), Err(error), "{text}/{len}");
        }
    }

    #[test]
    fn martians_are_known_by_their_addresses() {
        for text in
            ["0.1.2.3", "127.0.0.1", "224.0.0.1", "250.1.1.1", "255.255.255.255", "::", "::1"]
        {
            assert!(is_martian_source(ip(text), false), "{text}");
        }
        for text in ["ff02::1", "::ffff:10.0.0.1"] {
            assert!(is_martian_source(ip(text), true), "{text}");
        }
        for text in ["127.0.0.1", "::1"] {
            assert!(is_martian_destination(ip(text), false), "{text}");
            assert!(!is_martian_source(ip(text), true), "{text}");
        }
        for text in
            ["10.0.0.1", "192.168.1.1", "169.254.1.1", "223.255.255.1", "fe80::1", "2001:db8::1"]
        {
            assert!(!is_martian_source(ip(text), false), "{text}");
        }
        assert!(!is_martian_destination(ip("255.255.255.255"), false));
    }

    proptest! {
        #[test]
        fn a_network_contains_exactly_what_shares_its_prefix(a: u32, b: u32, len in 0u8..=32) {
            let (x, y) = (Ipv4Addr::from_bits(a), Ipv4Addr::from_bits(b));
            if let Ok(address) = InterfaceAddress::new(x.into(), len) {
                let shared = (a ^ b).leading_zeros() >= u32::from(len);
                prop_assert_eq!(address.contains(y.into()), shared);
            }
        }
    }
}
