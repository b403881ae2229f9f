//! Neighbour discovery between frames and the neighbour table (RFC 4861): who is asked, who is answered, what is heard.

use core::net::{IpAddr, Ipv6Addr};

use super::composition::Stack;
use super::replies::{LinkTarget, Reply};
use super::routing::Hop;
use super::rx::Packet;
use crate::event::DropReason;
use crate::ip::neighbor::{Heard, NeighborKey};
use crate::ip::{ALL_NODES, AddressState, Solicit, group_station, solicited_node};
use crate::nic::{Frame, IfIndex, MacAddr, Medium};
use crate::planted::{self, Bug};
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ipv6_ext::has_fragment_header;
use crate::wire::mld::MldQuery;
use crate::wire::ndp::{
    NDP_HOP_LIMIT, NEIGHBOR_MESSAGE_LEN, NdpMessage, emit_neighbor_advert, emit_neighbor_solicit,
};
use crate::wire::{ETHERNET_HEADER_LEN, EtherType, Icmpv6Header, IpProtocol, WireError};

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
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (packet.src, packet.dst) else {
            return Err(DropReason::Protocol);
        };
        let message = match NdpMessage::parse(header, body) {
            Ok(message) => message,
            Err(WireError::Unsupported) => {
                if let Ok(query) = MldQuery::parse(header, body) {
                    self.handle_mld_query(packet, src, query);
                } else {
                    self.stats.icmp_ignored += 1;
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // RFC 4861 §6.1, §7.1, §8.1: what came through a router is none of the link's.
        if packet.ttl != NDP_HOP_LIMIT && !planted::is(Bug::NdpThroughRouters) {
            return Err(DropReason::Martian);
        }
        // RFC 6980 §5: what does not fit into one packet is nobody's neighbour discovery.
        let headers = frame.segment(0).get(packet.ip_at..packet.at).unwrap_or(&[]);
        if has_fragment_header(headers) && !planted::is(Bug::NdpInPieces) {
            return Err(DropReason::Fragment);
        }
        if self.links[packet.interface.index()].medium != Medium::Ethernet {
            return Ok(());
        }
        // A link that gives our own frames back says nothing about others (RFC 4862 §5.4.3).
        let ours = self.links[packet.interface.index()].mac;
        if frame.segment(0).get(6..12) == Some(&ours.0) {
            return Ok(());
        }
        match message {
            NdpMessage::NeighborSolicit { target, source } => {
                self.handle_neighbor_solicit(packet, src, dst, target, source)
            }
            NdpMessage::NeighborAdvert { target, solicited, overrides, mac, router } => {
                let heard = Heard { mac, solicited, overrides };
                self.handle_neighbor_advert(packet, dst, target, heard, router)
            }
            NdpMessage::RouterAdvert(advert) => self.handle_router_advert(packet, src, &advert),
            NdpMessage::Redirect { target, destination, mac } => {
                self.handle_redirect(packet, src, target, destination, mac)
            }
            // For routers.
            NdpMessage::RouterSolicit => Ok(()),
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
        match self.ipv6[interface.index()].state_of(target) {
            Some(AddressState::Preferred | AddressState::Deprecated) => {}
            // RFC 4862 §5.4.3: another host checks the address that we check; whoever asks for it otherwise gets no answer yet.
            Some(AddressState::Tentative) => {
                if probe {
                    self.handle_ipv6_conflict(packet.now, interface, target);
                }
                return Ok(());
            }
            Some(AddressState::Duplicate) | None => return Err(DropReason::NotOurs),
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
        router: bool,
    ) -> Result<(), DropReason> {
        if target.is_multicast() || (dst.is_multicast() && heard.solicited) {
            return Err(DropReason::Malformed);
        }
        let (interface, address) = (packet.interface, IpAddr::V6(target));
        match self.ipv6[interface.index()].state_of(target) {
            Some(AddressState::Tentative) => {
                self.handle_ipv6_conflict(packet.now, interface, target);
                return Ok(());
            }
            Some(_) => {
                self.stats.address_conflicts += 1;
                return Ok(());
            }
            None => {}
        }
        let key = NeighborKey { interface, address };
        let believed = self.neighbors.handle_advertised(packet.now, key, heard);
        if !router && believed {
            self.ipv6[interface.index()].handle_no_router(target);
            self.settle_ipv6(packet.now, interface);
        }
        self.replies.unpark(interface, address);
        self.queue_solicits();
        Ok(())
    }

    /// Asks who has an address: all who might, or the one station that had it last.
    pub(super) fn queue_neighbor_solicit(&mut self, solicit: Solicit, target: Ipv6Addr) {
        let Solicit { interface, unicast, .. } = solicit;
        let hop = Hop { interface, address: IpAddr::V6(target), source: None };
        let Some(IpAddr::V6(src)) = self.source_for(hop, IpAddr::V6(target)) else { return };
        let asks_all = planted::is(Bug::AsksEverybody);
        let group = if asks_all { ALL_NODES } else { solicited_node(target) };
        let (dst, station) = match unicast {
            Some(station) => (target, station),
            None => (group, group_station(group)),
        };
        let to = Discovery { interface, target: LinkTarget::Station(station), src, dst };
        let mac = self.links[interface.index()].mac;
        self.queue_discovery(to, |out| emit_neighbor_solicit(out, src, dst, target, Some(mac)));
    }

    /// Queues a message of neighbour discovery that `emit` writes.
    pub(super) fn queue_discovery(&mut self, to: Discovery, emit: impl Fn(&mut [u8]) -> usize) {
        let header = (IpProtocol::ICMPV6, NDP_HOP_LIMIT);
        self.queue_on_link(to, header, NEIGHBOR_MESSAGE_LEN, emit);
    }

    /// Queues what `emit` writes into `room` bytes, with its IPv6 header, in a buffer that nobody's echo requests use up.
    pub(super) fn queue_on_link(
        &mut self,
        to: Discovery,
        (next_header, hop_limit): (IpProtocol, u8),
        room: usize,
        emit: impl Fn(&mut [u8]) -> usize,
    ) {
        let Some(mut bytes) = self.replies.buffer_for_arp() else {
            self.stats.replies_lost += 1;
            return;
        };
        bytes.resize(IPV6_HEADER_LEN + room, 0);
        let len = emit(&mut bytes[IPV6_HEADER_LEN..]);
        bytes.truncate(IPV6_HEADER_LEN + len);
        let header = Ipv6Header::new(to.src, to.dst, next_header, len as u16);
        Ipv6Header { hop_limit, ..header }.emit(&mut bytes);
        let (target, ether_type) = (to.target, EtherType::IPV6);
        let reply = Reply { target, ether_type, piece_of: None, bytes };
        self.replies.push(to.interface, reply);
    }

    /// We are in this group on this link (RFC 4291 §2.8).
    pub(super) fn listens_to(&self, interface: IfIndex, group: Ipv6Addr) -> bool {
        self.ipv6[interface.index()].listens_to(group)
    }
}

const _: () = assert!(ETHERNET_HEADER_LEN == 14, "the source station is at 6");
