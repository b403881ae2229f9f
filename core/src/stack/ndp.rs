//! Neighbour discovery between frames and the neighbour table (RFC 4861): who is asked, who is answered, what is heard.

use core::net::{IpAddr, Ipv6Addr};

use super::composition::Stack;
use super::replies::{LinkTarget, Reply};
use super::routing::Hop;
use super::rx::Packet;
use crate::event::DropReason;
use crate::ip::neighbor::{Heard, NeighborKey};
use crate::ip::{ALL_NODES, Solicit, group_station, solicited_node};
use crate::nic::{Frame, IfIndex, MacAddr, Medium};
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ndp::{
    NDP_HOP_LIMIT, NEIGHBOR_MESSAGE_LEN, NdpMessage, emit_neighbor_advert, emit_neighbor_solicit,
};
use crate::wire::{ETHERNET_HEADER_LEN, EtherType, Icmpv6Header, IpProtocol};

/// A message of ours: who to, on which station, and where on the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Discovery {
    pub(super) interface: IfIndex,
    pub(super) target: LinkTarget,
    pub(super) src: Ipv6Addr,
    pub(super) dst: Ipv6Addr,
}

impl Stack {
    /// Input: an ICMPv6 message that is neither echo nor error. `body` is what follows its header.
    pub(super) fn handle_ndp<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        header: &Icmpv6Header,
        body: &[u8],
    ) -> Result<(), DropReason> {
        let Ok(message) = NdpMessage::parse(header, body) else {
            self.stats.icmp_ignored += 1;
            return Ok(());
        };
        // RFC 4861 §6.1, §7.1, §8.1: what came through a router is none of the link's.
        if packet.ttl != NDP_HOP_LIMIT {
            return Err(DropReason::Martian);
        }
        if self.links[packet.interface.index()].medium != Medium::Ethernet {
            return Ok(());
        }
        // A link that gives our own frames back says nothing about others (RFC 4862 §5.4.3).
        let ours = self.links[packet.interface.index()].mac;
        if frame.segment(0).get(6..12) == Some(&ours.0) {
            return Ok(());
        }
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (packet.src, packet.dst) else {
            return Err(DropReason::Protocol);
        };
        match message {
            NdpMessage::NeighborSolicit { target, source } => {
                self.handle_neighbor_solicit(packet, src, dst, target, source)
            }
            NdpMessage::NeighborAdvert { target, solicited, overrides, mac, router: _ } => {
                let heard = Heard { mac, solicited, overrides };
                self.handle_neighbor_advert(packet, dst, target, heard)
            }
            // For routers, and for hosts that ask them.
            NdpMessage::RouterSolicit
            | NdpMessage::RouterAdvert(_)
            | NdpMessage::Redirect { .. } => {
                self.stats.icmp_ignored += 1;
                Ok(())
            }
        }
    }

    /// RFC 4861 §7.2.3: somebody asks for one of our addresses.
    fn handle_neighbor_solicit(
        &mut self,
        packet: &Packet,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        target: Ipv6Addr,
        source: Option<MacAddr>,
    ) -> Result<(), DropReason> {
        let probe = src.is_unspecified();
        // RFC 4861 §7.1.1: one that checks its own address asks the group, and has no station to answer yet.
        if target.is_multicast() || (probe && (source.is_some() || dst != solicited_node(target))) {
            return Err(DropReason::Malformed);
        }
        let interface = packet.interface;
        if !self.has_address(interface, IpAddr::V6(target)) {
            return Err(DropReason::NotOurs);
        }
        if let Some(mac) = source.filter(|_| !probe) {
            let key = NeighborKey { interface, address: packet.src };
            self.neighbors.handle_heard(packet.now, key, mac, false, true);
            self.replies.unpark(interface, packet.src);
        }
        let (dst, target_station) = match (probe, source) {
            (true, _) => (ALL_NODES, LinkTarget::Station(group_station(ALL_NODES))),
            (false, Some(mac)) => (src, LinkTarget::Station(mac)),
            (false, None) => (src, LinkTarget::Neighbor(packet.src)),
        };
        let to = Discovery { interface, target: target_station, src: target, dst };
        let mac = self.links[interface.index()].mac;
        self.queue_discovery(to, |out| {
            emit_neighbor_advert(out, to.src, to.dst, target, mac, !probe)
        });
        self.queue_solicits();
        Ok(())
    }

    /// RFC 4861 §7.2.5: somebody says who has an address.
    fn handle_neighbor_advert(
        &mut self,
        packet: &Packet,
        dst: Ipv6Addr,
        target: Ipv6Addr,
        heard: Heard,
    ) -> Result<(), DropReason> {
        if target.is_multicast() || (dst.is_multicast() && heard.solicited) {
            return Err(DropReason::Malformed);
        }
        let (interface, address) = (packet.interface, IpAddr::V6(target));
        if self.has_address(interface, address) {
            self.stats.address_conflicts += 1;
            return Ok(());
        }
        let key = NeighborKey { interface, address };
        self.neighbors.handle_advertised(packet.now, key, heard);
        self.replies.unpark(interface, address);
        self.queue_solicits();
        Ok(())
    }

    /// Asks who has an address: all who might, or the one station that had it last.
    pub(super) fn queue_neighbor_solicit(&mut self, solicit: Solicit, target: Ipv6Addr) {
        let Solicit { interface, unicast, .. } = solicit;
        let hop = Hop { interface, address: IpAddr::V6(target), source: None };
        let Some(IpAddr::V6(src)) = self.source_for(hop, IpAddr::V6(target)) else { return };
        let group = solicited_node(target);
        let (dst, station) = match unicast {
            Some(station) => (target, station),
            None => (group, group_station(group)),
        };
        let to = Discovery { interface, target: LinkTarget::Station(station), src, dst };
        let mac = self.links[interface.index()].mac;
        self.queue_discovery(to, |out| emit_neighbor_solicit(out, src, dst, target, Some(mac)));
    }

    /// Queues what `emit` writes, with its IPv6 header, in a buffer that nobody's echo requests use up.
    pub(super) fn queue_discovery(&mut self, to: Discovery, emit: impl Fn(&mut [u8]) -> usize) {
        let Some(mut bytes) = self.replies.buffer_for_arp() else {
            self.stats.replies_lost += 1;
            return;
        };
        bytes.resize(IPV6_HEADER_LEN + NEIGHBOR_MESSAGE_LEN, 0);
        let len = emit(&mut bytes[IPV6_HEADER_LEN..]);
        bytes.truncate(IPV6_HEADER_LEN + len);
        let header = Ipv6Header::new(to.src, to.dst, IpProtocol::ICMPV6, len as u16);
        Ipv6Header { hop_limit: NDP_HOP_LIMIT, ..header }.emit(&mut bytes);
        let reply = Reply { target: to.target, ether_type: EtherType::IPV6, bytes };
        self.replies.push(to.interface, reply);
    }

    /// An address of ours on this link.
    pub(super) fn has_address(&self, interface: IfIndex, address: IpAddr) -> bool {
        self.routing.addresses(interface).iter().any(|own| own.addr() == address)
    }

    /// We are in this group on this link: all hosts', or the one of an address of ours (RFC 4291 §2.8).
    pub(super) fn listens_to(&self, interface: IfIndex, group: Ipv6Addr) -> bool {
        let mut own = self.routing.addresses(interface).iter().filter_map(|own| match own.addr() {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        });
        if group == ALL_NODES {
            own.next().is_some()
        } else {
            own.any(|address| solicited_node(address) == group)
        }
    }
}

const _: () = assert!(ETHERNET_HEADER_LEN == 14, "the source station is at 6");
