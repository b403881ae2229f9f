//! IPv6 groups that every host belongs to, and the stations that hear them.

use core::net::Ipv6Addr;

use crate::nic::MacAddr;

/// All hosts of a link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers of a link (RFC 4291 §2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Getter: the group that whoever has `address` listens to (RFC 4291 §2.7.1): it is asked there who that is.
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let low = address.to_bits() & 0x00ff_ffff;
    Ipv6Addr::from_bits(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).to_bits() | low)
}

/// Getter: the Ethernet group of an IPv6 group (RFC 2464 §7).
pub fn group_station(group: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = group.octets();
    MacAddr([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_stations_follow_from_addresses() {
        let address: Ipv6Addr = "2037::1:800:200e:8c6c".parse().unwrap();
        let group: Ipv6Addr = "ff02::1:ff0e:8c6c".parse().unwrap();
        assert_eq!(solicited_node(address), group);
        assert_eq!(group_station(group), MacAddr([0x33, 0x33, 0xff, 0x0e, 0x8c, 0x6c]));
    }
}
