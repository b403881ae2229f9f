//! Which interface a packet leaves by, to whom on that link, and from which address.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use super::composition::Stack;
use super::config::{ConfigError, ROUTES_MAX, StackConfig};
use crate::ip::{
    AddressState, Announcer, InterfaceAddress, Ipv6Interface, Route, RouteTable, SourceCandidate,
    select_source,
};
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

/// Our addresses and the routes. Those of the configuration are fixed for the stack's life; those of IPv6 come and go.
///
#[derive(Debug)]
pub(super) struct Routing {
    /// Sorted.
    local: Vec<IpAddr>,
    /// The broadcast addresses of our networks, sorted.
    broadcasts: Vec<IpAddr>,
    /// Addresses of each interface; the loopback has none of its own here.
    addresses: Vec<Vec<InterfaceAddress>>,
    routes: RouteTable,
    /// Routes that were learned, and through which interface.
    learned: Vec<Route>,
    /// Routes of redirects, the oldest first.
    redirected: VecDeque<Route>,
    /// Counts changes: whoever remembers a way looks again when it is another.
    epoch: u16,
}

/// Most redirects that are remembered.
const REDIRECTS_MAX: usize = 64;

impl Routing {
    pub(super) fn new(config: &StackConfig) -> Result<Self, ConfigError> {
        let mut routes = RouteTable::new(ROUTES_MAX, config.seed());
        for (interface, addresses) in (1..).map(IfIndex).zip(config.interfaces()) {
            // Those of IPv6 follow when their addresses may be used.
            for address in addresses.iter().filter(|address| address.addr().is_ipv4()) {
                let connected = Route {
                    destination: address.network(),
                    prefix_len: address.prefix_len(),
                    gateway: None,
                    interface,
                    source: Some(address.addr()),
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
        let mut broadcasts: Vec<IpAddr> = addresses
            .iter()
            .flatten()
            .filter_map(InterfaceAddress::broadcast)
            .map(IpAddr::V4)
            .collect();
        broadcasts.sort_unstable();
        let (local, learned, redirected) = (Vec::new(), Vec::new(), VecDeque::new());
        let mut routing =
            Self { local, broadcasts, addresses, routes, learned, redirected, epoch: 0 };
        routing.collect_local();
        Ok(routing)
    }

    /// Getter: counts the changes of addresses and routes.
    pub(super) const fn epoch(&self) -> u16 {
        self.epoch
    }

    /// The addresses of IPv6 on `interface` that may be used, and the routes that go with them, are others now.
    pub(super) fn renew(&mut self, interface: IfIndex, ipv6: &Ipv6Interface) {
        self.epoch = self.epoch.wrapping_add(1);
        if let Some(own) = self.addresses.get_mut(interface.index()) {
            own.retain(|address| address.addr().is_ipv4());
            let usable = ipv6.addresses().iter().filter(|own| own.is_assigned());
            own.extend(usable.filter_map(|own| {
                InterfaceAddress::new(own.address().into(), own.prefix_len()).ok()
            }));
        }
        self.collect_local();
        while let Some(redirect) = self.redirected.pop_front() {
            self.routes.remove(redirect.destination, redirect.prefix_len);
        }
        for index in (0..self.learned.len()).rev() {
            if self.learned[index].interface == interface {
                let route = self.learned.swap_remove(index);
                self.routes.remove(route.destination, route.prefix_len);
            }
        }
        let anywhere = (Ipv6Addr::UNSPECIFIED, 0);
        let default = ipv6.router().map(|router| (anywhere, Some(router)));
        for ((prefix, prefix_len), gateway) in ipv6.on_link().map(|net| (net, None)).chain(default)
        {
            let gateway = gateway.map(IpAddr::V6);
            let destination = IpAddr::V6(prefix);
            // In IPv6 the destination is looked at for the source (RFC 6724).
            let route = Route { destination, prefix_len, gateway, interface, source: None };
            // What the configuration says goes first.
            if self.routes.insert(route).is_ok() {
                self.learned.push(route);
            }
        }
    }

    /// Of the IPv4 addresses that `interface` was given, others may be used now (RFC 5227 §2.1). Their routes stay: who may not send
    /// from an address finds no source, or another one.
    pub(super) fn renew_ipv4(
        &mut self,
        interface: IfIndex,
        configured: &[InterfaceAddress],
        announcer: &Announcer,
    ) {
        self.epoch = self.epoch.wrapping_add(1);
        if let Some(own) = self.addresses.get_mut(interface.index()) {
            let usable = configured.iter().copied().filter(|given| match given.addr() {
                IpAddr::V4(v4) => announcer.state_of(v4) == Some(AddressState::Preferred),
                IpAddr::V6(_) => false,
            });
            own.retain(|address| address.addr().is_ipv6());
            own.splice(0..0, usable);
        }
        self.collect_local();
    }

    /// `neighbor` does not answer: what was redirected to it goes the usual way again (RFC 4861 §7.3.3).
    pub(super) fn forget_redirects(&mut self, interface: IfIndex, neighbor: IpAddr) {
        let through = |route: &Route| {
            route.interface == interface && route.gateway.unwrap_or(route.destination) == neighbor
        };
        if !self.redirected.iter().any(through) {
            return;
        }
        for route in self.redirected.iter().filter(|route| through(route)) {
            self.routes.remove(route.destination, route.prefix_len);
        }
        self.redirected.retain(|route| !through(route));
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// A router says that `destination` is better reached by `gateway`, or is on the link.
    pub(super) fn redirect(
        &mut self,
        interface: IfIndex,
        destination: Ipv6Addr,
        gateway: Option<Ipv6Addr>,
    ) {
        let destination = IpAddr::V6(destination);
        let gateway = gateway.map(IpAddr::V6);
        let route = Route { destination, prefix_len: 128, gateway, interface, source: None };
        if let Some(at) = self.redirected.iter().position(|old| old.destination == destination) {
            self.redirected.remove(at);
            self.routes.remove(destination, 128);
        }
        if self.redirected.len() >= REDIRECTS_MAX
            && let Some(oldest) = self.redirected.pop_front()
        {
            self.routes.remove(oldest.destination, oldest.prefix_len);
        }
        if self.routes.insert(route).is_ok() {
            self.redirected.push_back(route);
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    fn collect_local(&mut self) {
        self.local.clear();
        self.local.extend(self.addresses.iter().flatten().map(InterfaceAddress::addr));
        self.local.sort_unstable();
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
                    let state = self.ipv6[hop.interface.index()].state_of(address);
                    let deprecated = state == Some(AddressState::Deprecated);
                    Some(SourceCandidate { address, prefix_len, deprecated })
                }
                IpAddr::V4(_) => None,
            });
            return select_source(candidates, remote).map(IpAddr::V6);
        }
        let of_family =
            || addresses.iter().filter(|own| own.addr().is_ipv4() == hop.address.is_ipv4());
        hop.source
            .filter(|source| self.is_local(*source))
            .or_else(|| of_family().find(|own| own.contains(hop.address)).map(|own| own.addr()))
            .or_else(|| of_family().next().map(InterfaceAddress::addr))
    }
}
