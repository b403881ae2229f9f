//! Whole datagrams that no socket sends: the IP header goes in front, routing says where, the replies' queue takes them.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::composition::Stack;
use super::replies::{LinkTarget, Reply};
use super::routing::Hop;
use super::rx::Packet;
use crate::ip::group_station;
use crate::nic::IfIndex;
use crate::wire::ethernet::EtherType;
use crate::wire::ipv4::{IPV4_HEADER_LEN, Ipv4Header};
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::{IpProtocol, TTL_DEFAULT};

/// What a datagram's header says. Source and destination are of one family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: IpProtocol,
    pub(super) hop_limit: u8,
    pub(super) traffic_class: u8,
    /// The link that the destination is on, where its address alone does not tell: link-local ones, groups.
    pub(super) link: Option<IfIndex>,
}

impl Datagram {
    /// The header of an answer to `packet`: from where it went to where it came from.
    pub(super) const fn answer(packet: &Packet, protocol: IpProtocol) -> Self {
        let (src, dst) = (packet.dst, packet.src);
        let link = Some(packet.interface);
        Self { src, dst, protocol, hop_limit: TTL_DEFAULT, traffic_class: 0, link }
    }

    /// Bytes that the IP header takes in front of the payload.
    pub(super) const fn header_len(&self) -> usize {
        ip_header_len(self.dst)
    }
}

/// Bytes of an IP header of ours towards `address`: no options, no extension headers.
pub(super) const fn ip_header_len(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    }
}

/// Bytes of the longest datagram to `address`, header included: 16 bits say the whole length in IPv4 (RFC 791 §3.1), the
/// payload's in IPv6 (RFC 8200 §3).
pub(super) const fn datagram_len_max(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => 65_535,
        IpAddr::V6(_) => IPV6_HEADER_LEN + 65_535,
    }
}

impl Stack {
    /// The header of an answer to `packet`, from an address of ours also where the packet went to a group. `None` when there
    /// is none to send from.
    pub(super) fn answer_from_own(
        &self,
        packet: &Packet,
        protocol: IpProtocol,
    ) -> Option<Datagram> {
        let mut answer = Datagram::answer(packet, protocol);
        if answer.src.is_multicast() {
            let hop = self.next_hop_on(answer.dst, answer.link)?;
            answer.src = self.source_for(hop, answer.dst)?;
        }
        Some(answer)
    }

    /// Queues a datagram made of `parts`. False when there was no room or no route.
    pub(super) fn send_datagram(&mut self, datagram: &Datagram, parts: &[&[u8]]) -> bool {
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.replies_lost += 1;
            return false;
        };
        bytes.resize(datagram.header_len(), 0);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        self.send_ip(datagram, bytes)
    }

    /// Queues the datagram in `bytes`, whose first [`Datagram::header_len`] bytes are for its header. It goes through
    /// routing like everything else. False when there is no route or it is too long for the link.
    pub(super) fn send_ip(&mut self, datagram: &Datagram, mut bytes: Vec<u8>) -> bool {
        let fits = |hop: &Hop| bytes.len() <= usize::from(self.links[hop.interface.index()].mtu);
        let hop = self.next_hop_on(datagram.dst, datagram.link);
        let (Some(hop), Some(ether_type)) = (hop.filter(fits), datagram.emit(&mut bytes)) else {
            self.replies.discard(bytes);
            self.stats.replies_lost += 1;
            return false;
        };
        let target = match hop.address {
            IpAddr::V6(group) if group.is_multicast() => LinkTarget::Station(group_station(group)),
            neighbor @ (IpAddr::V4(_) | IpAddr::V6(_)) => LinkTarget::Neighbor(neighbor),
        };
        self.replies.push(hop.interface, Reply { target, ether_type, piece_of: None, bytes });
        true
    }
}

impl Datagram {
    /// Writes the header. `None` when the addresses are of two families.
    fn emit(&self, bytes: &mut [u8]) -> Option<EtherType> {
        let payload_len = (bytes.len() - self.header_len()) as u16;
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let header = Ipv4Header::new(src, dst, self.protocol, payload_len);
                let traffic_class = self.traffic_class;
                Ipv4Header { ttl: self.hop_limit, traffic_class, ..header }.emit(bytes);
                Some(EtherType::IPV4)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let header = Ipv6Header::new(src, dst, self.protocol, payload_len);
                let traffic_class = self.traffic_class;
                Ipv6Header { hop_limit: self.hop_limit, traffic_class, ..header }.emit(bytes);
                Some(EtherType::IPV6)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }
}
