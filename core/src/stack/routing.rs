//! Which interface a packet leaves by, to whom on that link, and from which address.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use super::composition::Stack;
use super::config::{ConfigError, ROUTES_MAX, StackConfig};
use crate::ip::{InterfaceAddress, Route, RouteTable, SourceCandidate, select_source};
use crate::nic::IfIndex;

/// The first step of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) interface: IfIndex,
    /// Whose link-layer address the frame carries.
    pub(super) address: IpAddr,
    /// The address that the route prefers to send from.
    pub(super) source: Option<IpAddr>,
}

/// Our addresses and the routes, fixed for the stack's life.
#[derive(Debug)]
pub(super) struct Routing {
    /// Sorted.
    local: Vec<IpAddr>,
    /// The broadcast addresses of our networks, sorted.
    broadcasts: Vec<IpAddr>,
    /// Addresses of each interface; the loopback has none of its own here.
    addresses: Vec<Vec<InterfaceAddress>>,
    routes: RouteTable,
}

impl Routing {
    pub(super) fn new(config: &StackConfig) -> Result<Self, ConfigError> {
        let mut routes = RouteTable::new(ROUTES_MAX, config.seed());
        for (interface, addresses) in (1..).map(IfIndex).zip(config.interfaces()) {
            for address in addresses {
                let connected = Route {
                    destination: address.network(),
                    prefix_len: address.prefix_len(),
                    gateway: None,
                    interface,
                    // In IPv6 the destination is looked at again (RFC 6724).
                    source: Some(address.addr()).filter(IpAddr::is_ipv4),
                };
                // Two addresses in one network share its route; the first is the one to send from.
                match routes.insert(connected) {
                    Ok(()) | Err(crate::ip::RouteError::Exists) => {}
                    Err(error) => return Err(ConfigError::Route(error)),
                }
            }
        }
        for route in config.routes() {
            routes.insert(*route).map_err(ConfigError::Route)?;
        }
        let addresses: Vec<_> =
            core::iter::once(Vec::new()).chain(config.interfaces().iter().cloned()).collect();
        let mut local: Vec<IpAddr> =
            addresses.iter().flatten().map(InterfaceAddress::addr).collect();
        local.sort_unstable();
        let mut broadcasts: Vec<IpAddr> = addresses
            .iter()
            .flatten()
            .filter_map(InterfaceAddress::broadcast)
            .map(IpAddr::V4)
            .collect();
        broadcasts.sort_unstable();
        Ok(Self { local, broadcasts, addresses, routes })
    }

    /// One of our addresses, the loopback's (127/8, `::1`) included.
    pub(super) fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.local.binary_search(&address).is_ok()
    }

    /// True for the broadcast address of one of our networks (RFC 1122 §3.3.6).
    pub(super) fn is_directed_broadcast(&self, address: IpAddr) -> bool {
        self.broadcasts.binary_search(&address).is_ok()
    }

    pub(super) fn addresses(&self, interface: IfIndex) -> &[InterfaceAddress] {
        self.addresses.get(interface.index()).map_or(&[], Vec::as_slice)
    }
}

/// The address names somebody only together with a link: link-local hosts and groups (RFC 4007 §4).
pub(super) const fn is_link_scoped(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.is_multicast()
}

impl Stack {
    /// Getter: true for addresses of this host, those of its loopback included.
    pub fn is_local(&self, address: IpAddr) -> bool {
        self.routing.is_local(address)
    }

    /// The way to `remote`. To ourselves it is the loopback.
    pub(super) fn next_hop(&self, remote: IpAddr) -> Option<Hop> {
        if self.is_local(remote) {
            let source = Some(remote);
            return Some(Hop { interface: IfIndex::LOOPBACK, address: remote, source });
        }
        let hit = self.routing.routes.lookup(remote)?;
        Some(Hop { interface: hit.interface, address: hit.next_hop, source: hit.source })
    }

    /// The way to `remote`, which is on `link` if its address alone does not say where it is (RFC 4007 §6).
    pub(super) fn next_hop_on(&self, remote: IpAddr, link: Option<IfIndex>) -> Option<Hop> {
        match (remote, link) {
            (IpAddr::V6(v6), Some(interface)) if is_link_scoped(v6) && !self.is_local(remote) => {
                Some(Hop { interface, address: remote, source: None })
            }
            (IpAddr::V4(_) | IpAddr::V6(_), _) => self.next_hop(remote),
        }
    }

    /// The address to send from: what the route prefers, else one in the next hop's network, else the interface's first.
    /// In IPv6 it is what RFC 6724 makes of `remote`.
    pub(super) fn source_for(&self, hop: Hop, remote: IpAddr) -> Option<IpAddr> {
        let addresses = self.routing.addresses(hop.interface);
        if let (IpAddr::V6(remote), None) = (remote, hop.source) {
            let candidates = addresses.iter().filter_map(|own| match own.addr() {
                IpAddr::V6(address) => {
                    let prefix_len = own.prefix_len();
                    Some(SourceCandidate { address, prefix_len, deprecated: false })
                }
                IpAddr::V4(_) => None,
            });
            return select_source(candidates, remote).map(IpAddr::V6);
        }
        let of_family =
            || addresses.iter().filter(|own| own.addr().is_ipv4() == hop.address.is_ipv4());
        hop.source
            .or_else(|| of_family().find(|own| own.contains(hop.address)).map(|own| own.addr()))
            .or_else(|| of_family().next().map(InterfaceAddress::addr))
    }
}
