//! Neighbours: who waits for one, what is asked, and what becomes of the answers.

use core::net::{IpAddr, Ipv4Addr};

use super::composition::Stack;
use super::config::StackConfig;
use super::replies::{LinkTarget, Reply};
use super::routing::Hop;
use super::sock::Socket;
use crate::event::DropReason;
use crate::ip::neighbor::{Lookup, NeighborConfig, NeighborKey, NeighborTable, Solicit};
use crate::nic::{IfIndex, MacAddr, Medium};
use crate::port::{AppPort, SocketId};
use crate::time::Instant;
use crate::wire::{ARP_LEN, ArpOperation, ArpPacket, EtherType};

impl Stack {
    pub(super) fn neighbor_table(config: &StackConfig, seed: u64) -> NeighborTable {
        let neighbors = NeighborConfig::builder().entries_max(config.neighbors_max()).build();
        NeighborTable::new(neighbors.unwrap_or_default(), seed)
    }

    /// Looks the next hop up. On links without neighbours everybody is reached by no address at all.
    pub(super) fn look_up(&mut self, now: Instant, interface: IfIndex, address: IpAddr) -> Lookup {
        if self.links[interface.index()].medium == Medium::Ip {
            return Lookup::Resolved(MacAddr::default());
        }
        let lookup = self.neighbors.lookup(now, NeighborKey { interface, address });
        if lookup == Lookup::Failed {
            self.handle_silent_router(now, interface, address);
        }
        self.queue_solicits();
        lookup
    }

    /// The station that a reply goes to. A question is asked on behalf of a reply only while replies may wait for the
    /// answer: whoever sends from addresses where nobody is must not fill the table that our own connections need.
    pub(super) fn look_up_for_reply(
        &mut self,
        now: Instant,
        interface: IfIndex,
        address: IpAddr,
    ) -> Lookup {
        let known = self.neighbors.contains(&NeighborKey { interface, address });
        let asks = self.links[interface.index()].medium == Medium::Ethernet && !known;
        if asks && !self.replies.may_park() {
            return Lookup::Failed;
        }
        self.look_up(now, interface, address)
    }

    /// The station that a socket's packets go to. `None`: the socket waits for its neighbour, or has ended because
    /// it does not answer.
    pub(super) fn resolve_for<P: AppPort>(
        &mut self,
        now: Instant,
        id: SocketId,
        port: &mut P,
    ) -> Option<MacAddr> {
        let mut socket = self.sockets.get(id)?;
        if socket.route_epoch != self.routing.epoch() {
            self.look_for_a_way(id);
            socket = self.sockets.get(id)?;
        }
        let key = socket.neighbor();
        if let Some(station) = self.neighbors.lookup_again(&key) {
            return Some(station);
        }
        let NeighborKey { interface, address } = key;
        match self.look_up(now, interface, address) {
            Lookup::Resolved(station) => {
                // On links without neighbours everybody is known, and nobody in question.
                if self.links[interface.index()].medium == Medium::Ethernet
                    && let Some(progress) = self.sockets.get(id).and_then(Socket::progress)
                {
                    self.neighbors.witness(now, &key, id, progress);
                }
                return Some(station);
            }
            Lookup::Pending => {
                if !self.neighbors.park(NeighborKey { interface, address }, id) {
                    self.retry_later(now, id);
                }
            }
            Lookup::Failed => self.handle_silent_neighbor(now, id, port),
        }
        None
    }

    /// Routes have changed since the socket looked: redirects and default routers of IPv6. It stays on its interface.
    fn look_for_a_way(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get(id) else { return };
        let (remote, interface) = (socket.tuple.remote.address.ip(), socket.interface);
        let hop = self.next_hop_on(remote, Some(interface));
        let hop = hop.filter(|hop| remote.is_ipv6() && hop.interface == interface);
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.route_epoch = self.routing.epoch();
        if let Some(hop) = hop {
            socket.next_hop = hop.address.into();
        }
    }

    /// Queues what the neighbour table wants to ask, and the sockets that it woke.
    pub(super) fn queue_solicits(&mut self) {
        while let Some(solicit) = self.neighbors.poll_request() {
            self.queue_solicit(solicit);
        }
        while let Some(id) = self.neighbors.poll_woken() {
            if let Some(socket) = self.sockets.get(id) {
                self.ready[socket.interface.index()].push(id.index);
            }
        }
    }

    fn queue_solicit(&mut self, solicit: Solicit) {
        let Solicit { interface, target, unicast } = solicit;
        let target_ip = match target {
            IpAddr::V4(target_ip) => target_ip,
            IpAddr::V6(address) => return self.queue_neighbor_solicit(solicit, address),
        };
        let hop = Hop { interface, address: target, source: None };
        let Some(IpAddr::V4(sender_ip)) = self.source_for(hop, target) else { return };
        let station = unicast.unwrap_or(MacAddr::BROADCAST);
        self.queue_arp_request(interface, station, sender_ip, target_ip);
    }

    /// A request for an address of ours from itself, which all who know it take note of (RFC 5227 §2.3), or from no address,
    /// to which only who has it objects (RFC 5227 §2.1.1).
    pub(super) fn queue_arp_claim(
        &mut self,
        interface: IfIndex,
        sender_ip: Ipv4Addr,
        target_ip: Ipv4Addr,
    ) {
        self.queue_arp_request(interface, MacAddr::BROADCAST, sender_ip, target_ip);
    }

    fn queue_arp_request(
        &mut self,
        interface: IfIndex,
        station: MacAddr,
        sender_ip: Ipv4Addr,
        target_ip: Ipv4Addr,
    ) {
        let request = ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: self.links[interface.index()].mac,
            sender_ip,
            target_mac: MacAddr::default(),
            target_ip,
        };
        self.queue_arp(interface, station, &request);
    }

    fn queue_arp(&mut self, interface: IfIndex, station: MacAddr, packet: &ArpPacket) {
        let Some(mut bytes) = self.replies.buffer_for_arp() else {
            self.stats.replies_lost += 1;
            return;
        };
        bytes.resize(ARP_LEN, 0);
        packet.emit(&mut bytes);
        let target = LinkTarget::Station(station);
        let ether_type = EtherType::ARP;
        self.replies.push(interface, Reply { target, ether_type, piece_of: None, bytes });
    }

    pub(super) fn handle_arp(
        &mut self,
        now: Instant,
        interface: IfIndex,
        bytes: &[u8],
    ) -> Result<(), DropReason> {
        let (packet, _) = ArpPacket::parse(bytes)?;
        let addresses = self.routing.addresses(interface);
        let is_ours =
            |address: Ipv4Addr| addresses.iter().any(|own| own.addr() == IpAddr::V4(address));
        let our_mac = self.links[interface.index()].mac;
        let outcome = self.neighbors.handle_arp(now, interface, &packet, our_mac, is_ours);
        if outcome.conflict {
            self.stats.address_conflicts += 1;
            self.announcers[interface.index()].handle_conflict(now, packet.sender_ip);
        }
        let given_up = self.announcers[interface.index()].handle_arp(&packet, our_mac);
        if outcome.conflict || given_up {
            self.settle_ipv4(now, interface);
        }
        if let Some(reply) = outcome.reply {
            self.queue_arp(interface, reply.target_mac, &reply);
        }
        self.replies.unpark(interface, IpAddr::V4(packet.sender_ip));
        self.queue_solicits();
        Ok(())
    }

    /// Repeats requests and gives neighbours up. To be called at their deadline. Returns how many deadlines that
    /// were: at most one a call.
    pub(super) fn handle_neighbor_timeouts(&mut self, now: Instant) -> u32 {
        self.neighbors.handle_timeout(now);
        // What waits looks again: it waits on, or its neighbour is given up.
        self.replies.unpark_all();
        self.queue_solicits();
        1
    }
}
