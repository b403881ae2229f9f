//! Addresses that come into use, and IPv6 ones and routes that come and go: what the machines of [`crate::ip::autoconf`] and [`crate::ip::announce`] want sent, and what their changes
//! mean to routing.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::composition::Stack;
use super::config::StackConfig;
use super::ndp::Discovery;
use super::replies::LinkTarget;
use super::rx::Packet;
use crate::event::{DropReason, Event};
use crate::ip::autoconf::Action;
use crate::ip::neighbor::{Heard, NeighborKey};
use crate::ip::{
    ALL_ROUTERS, AddressState, Announcer, Claim, ClaimAction, Ipv6Config, Ipv6Interface,
    group_station, solicited_node,
};
use crate::nic::{IfIndex, MacAddr, Medium, NicCaps};
use crate::planted::{self, Bug};
use crate::rng::Stream;
use crate::time::{Duration, Instant};
use crate::wire::ipv6_ext::HOP_BY_HOP;
use crate::wire::mld::{MLD_HOP_LIMIT, MLD_ROUTERS, MldQuery, MldRecord, emit_report, report_len};
use crate::wire::ndp::{NdpOption, RouterAdvert, emit_neighbor_solicit, emit_router_solicit};

impl Stack {
    /// The machines of all interfaces, the loopback's among them, which has nothing to do.
    pub(super) fn ipv6_interfaces(config: &StackConfig, caps: &[NicCaps]) -> Vec<Ipv6Interface> {
        let machine = |(index, caps): (usize, &NicCaps)| {
            let mode = config.ipv6_mode(index);
            let dad_transmits = config.dad_transmits();
            let secret = *config.stable_secret();
            let addresses = config.addresses(IfIndex(index as u8));
            let own = Ipv6Config { mode, dad_transmits, secret };
            Ipv6Interface::new(own, caps.mac, caps.mtu, addresses, config.seed())
        };
        caps.iter().enumerate().map(machine).collect()
    }

    /// The announcers of all interfaces: those without stations, like the loopback, ask and announce nothing.
    pub(super) fn ipv4_announcers(config: &StackConfig, caps: &[NicCaps]) -> Vec<Announcer> {
        let announcer = |(index, caps): (usize, &NicCaps)| {
            let ipv4 =
                config.addresses(IfIndex(index as u8)).iter().filter_map(|own| match own.addr() {
                    IpAddr::V4(v4) => Some(v4),
                    IpAddr::V6(_) => None,
                });
            let claim = match caps.medium {
                Medium::Ethernet if config.probe_addresses(IfIndex(index as u8)) => Claim::Probed,
                Medium::Ethernet if config.announce_addresses() => Claim::Announced,
                Medium::Ethernet | Medium::Ip => Claim::Silent,
            };
            let entity =
                caps.mac.0.iter().fold(0x6172_7070, |sum, byte| sum << 8 | u64::from(*byte));
            Announcer::new(ipv4, claim, Stream::new(config.seed(), entity))
        };
        caps.iter().enumerate().map(announcer).collect()
    }

    /// Serves what is due at [`Stack::autoconf_at`]. Returns how many deadlines that were: at most one a call.
    pub(super) fn handle_autoconf_timeouts(&mut self, now: Instant) -> u32 {
        for index in 1..self.ipv6.len() {
            self.announcers[index].handle_timeout(now);
            self.settle_ipv4(now, IfIndex(index as u8));
            self.ipv6[index].handle_timeout(now);
            self.settle_ipv6(now, IfIndex(index as u8));
        }
        1
    }

    /// To be called after every input to the announcer of `interface`.
    pub(super) fn settle_ipv4(&mut self, now: Instant, interface: IfIndex) {
        while let Some(action) = self.announcers[interface.index()].poll_action() {
            match action {
                ClaimAction::Probe(address) => {
                    self.queue_arp_claim(interface, Ipv4Addr::UNSPECIFIED, address);
                }
                ClaimAction::Announce(address) => self.queue_arp_claim(interface, address, address),
                ClaimAction::State(address, state) => {
                    self.stats.address_conflicts += u64::from(state == AddressState::Duplicate);
                    let configured = self.config.addresses(interface);
                    let announcer = &self.announcers[interface.index()];
                    self.routing.renew_ipv4(interface, configured, announcer);
                    let (address, state) = (IpAddr::V4(address), Some(state));
                    self.events.push(now, Event::Address { interface, address, state });
                }
            }
        }
        self.autoconf_at = autoconf_deadline(&self.ipv6, &self.announcers);
    }

    /// To be called after every input to the machine of `interface`.
    pub(super) fn settle_ipv6(&mut self, now: Instant, interface: IfIndex) {
        let index = interface.index();
        if self.ipv6[index].take_changed() {
            self.routing.renew(interface, &self.ipv6[index]);
        }
        while let Some(action) = self.ipv6[index].poll_action() {
            self.perform(now, interface, action);
        }
        self.autoconf_at = autoconf_deadline(&self.ipv6, &self.announcers);
    }

    fn perform(&mut self, now: Instant, interface: IfIndex, action: Action) {
        match action {
            Action::Probe(target) => {
                let dst = solicited_node(target);
                let to = to_group(interface, Ipv6Addr::UNSPECIFIED, dst);
                self.queue_discovery(to, |out| {
                    emit_neighbor_solicit(out, to.src, dst, target, None)
                });
            }
            Action::SolicitRouters => {
                let src = self.link_local(interface);
                let to = to_group(interface, src, ALL_ROUTERS);
                let mac = self.links[interface.index()].mac;
                // RFC 4861 §4.1: no option where there is no source.
                let source = (!src.is_unspecified()).then_some(mac);
                self.queue_discovery(to, |out| emit_router_solicit(out, src, ALL_ROUTERS, source));
            }
            Action::Report(group) => self.queue_report(interface, MldRecord::Begins, group),
            Action::Listens(group) => self.queue_report(interface, MldRecord::Listens, group),
            Action::Leave(group) => self.queue_report(interface, MldRecord::Ceases, group),
            Action::State(address, state) => {
                self.stats.address_conflicts += u64::from(state == AddressState::Duplicate);
                let (address, state) = (IpAddr::V6(address), Some(state));
                self.events.push(now, Event::Address { interface, address, state });
            }
            Action::Gone(address) => {
                let address = IpAddr::V6(address);
                self.events.push(now, Event::Address { interface, address, state: None });
            }
            Action::Resolver(server, lifetime_s) => {
                self.events.push(now, Event::Resolver { interface, server, lifetime_s });
            }
        }
    }

    /// RFC 3810 §5.2.13: from the link-local address, or from none while there is none.
    fn queue_report(&mut self, interface: IfIndex, record: MldRecord, group: Ipv6Addr) {
        if planted::is(Bug::UnreportedGroups) {
            return;
        }
        let to = to_group(interface, self.link_local(interface), MLD_ROUTERS);
        self.queue_on_link(to, (HOP_BY_HOP, MLD_HOP_LIMIT), report_len(1), |out| {
            if emit_report(out, to.src, &[(record, group)]) { report_len(1) } else { 0 }
        });
    }

    /// The link-local address in use, or the unspecified one.
    fn link_local(&self, interface: IfIndex) -> Ipv6Addr {
        let own = self.ipv6[interface.index()].addresses().iter();
        let mut usable =
            own.filter(|own| own.is_assigned() && own.address().is_unicast_link_local());
        usable.next().map_or(Ipv6Addr::UNSPECIFIED, |own| own.address())
    }

    /// RFC 4862 §5.4.3, §5.4.4: somebody else has an address of ours, or asks for one that we ask for.
    pub(super) fn handle_ipv6_conflict(
        &mut self,
        now: Instant,
        interface: IfIndex,
        address: Ipv6Addr,
    ) {
        if self.ipv6[interface.index()].handle_conflict(now, address) {
            self.settle_ipv6(now, interface);
        }
    }

    /// RFC 4861 §6.1.2 and §6.3.4.
    pub(super) fn handle_router_advert(
        &mut self,
        packet: &Packet,
        src: Ipv6Addr,
        advert: &RouterAdvert<'_>,
    ) -> Result<(), DropReason> {
        if !src.is_unicast_link_local() && !planted::is(Bug::RoutersFromAfar) {
            return Err(DropReason::Martian);
        }
        let interface = packet.interface;
        let station = advert.options.iter().find_map(|option| match option {
            NdpOption::SourceLinkLayer(mac) => Some(mac),
            _ => None,
        });
        if let Some(mac) = station {
            let key = NeighborKey { interface, address: packet.src };
            self.neighbors.handle_heard(packet.now, key, mac, false, true);
        }
        let ipv6 = &mut self.ipv6[interface.index()];
        ipv6.handle_router_advert(packet.now, src, advert);
        self.neighbors.advise(interface, ipv6.reachable_time(), ipv6.retrans_timer());
        self.settle_ipv6(packet.now, interface);
        Ok(())
    }

    /// RFC 4861 §8.1 and §8.3: only the router that a destination goes through may say that there is a better way.
    pub(super) fn handle_redirect(
        &mut self,
        packet: &Packet,
        src: Ipv6Addr,
        target: Ipv6Addr,
        destination: Ipv6Addr,
        mac: Option<MacAddr>,
    ) -> Result<(), DropReason> {
        let to_router = target.is_unicast_link_local();
        let shaped = src.is_unicast_link_local()
            && !destination.is_multicast()
            && !destination.is_unicast_link_local()
            && (to_router || target == destination);
        if !shaped {
            return Err(DropReason::Malformed);
        }
        let hop = self.next_hop(IpAddr::V6(destination));
        let from_its_router =
            hop.is_some_and(|hop| (hop.interface, hop.address) == (packet.interface, packet.src));
        if !from_its_router && !planted::is(Bug::RedirectsFromAnybody) {
            return Err(DropReason::Martian);
        }
        let interface = packet.interface;
        if let Some(mac) = mac {
            let key = NeighborKey { interface, address: IpAddr::V6(target) };
            let heard = Heard { mac: Some(mac), solicited: false, overrides: true };
            self.neighbors.handle_advertised(packet.now, key, heard);
            self.neighbors.handle_heard(packet.now, key, mac, false, true);
        }
        let gateway = to_router.then_some(target);
        self.routing.redirect(interface, destination, gateway);
        Ok(())
    }

    /// RFC 3810 §5.1.14: queries come from link-local addresses with hop limit 1.
    pub(super) fn handle_mld_query(&mut self, packet: &Packet, src: Ipv6Addr, query: MldQuery) {
        if packet.ttl != MLD_HOP_LIMIT || !src.is_unicast_link_local() {
            return;
        }
        let delay_max = Duration::from_millis(u64::from(query.delay_ms_max));
        self.ipv6[packet.interface.index()].handle_query(packet.now, query.group, delay_max);
        self.settle_ipv6(packet.now, packet.interface);
    }

    /// A next hop does not answer. Redirects to it are forgotten; if it is the default router, another one takes its place.
    pub(super) fn handle_silent_router(
        &mut self,
        now: Instant,
        interface: IfIndex,
        router: IpAddr,
    ) {
        if !planted::is(Bug::RedirectedForEver) {
            self.routing.forget_redirects(interface, router);
        }
        if let IpAddr::V6(router) = router
            && self.ipv6[interface.index()].handle_router_silent(router)
        {
            self.settle_ipv6(now, interface);
        }
    }

    /// An address that the configuration gives us, usable or still being asked for: it may be listened on.
    pub(super) fn is_ours_soon(&self, address: IpAddr) -> bool {
        let tentative = Some(AddressState::Tentative);
        match address {
            IpAddr::V4(v4) => self.announcers.iter().any(|own| own.state_of(v4) == tentative),
            IpAddr::V6(v6) => self.ipv6.iter().any(|own| own.state_of(v6) == tentative),
        }
    }

    /// Getter: IPv6 on `interface`: its addresses and their states. `None` for an interface that does not exist.
    pub fn ipv6(&self, interface: IfIndex) -> Option<&Ipv6Interface> {
        self.ipv6.get(interface.index())
    }
}

/// When the first of the machines has something to do.
pub(super) fn autoconf_deadline(ipv6: &[Ipv6Interface], ipv4: &[Announcer]) -> Option<Instant> {
    let ipv6 = ipv6.iter().filter_map(Ipv6Interface::poll_timeout);
    ipv6.chain(ipv4.iter().filter_map(Announcer::poll_timeout)).min()
}

/// A message to everybody in a group.
fn to_group(interface: IfIndex, src: Ipv6Addr, dst: Ipv6Addr) -> Discovery {
    let target = LinkTarget::Station(group_station(dst));
    Discovery { interface, target, src, dst }
}
