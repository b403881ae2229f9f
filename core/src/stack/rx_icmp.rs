//! ICMP for IPv4: echo in both directions. Errors are counted and change nothing yet: a transport may act on them only
//! after checking them against what is in flight (RFC 5927).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use super::composition::Stack;
use super::payload::Payload;
use super::replies::{LinkTarget, Reply};
use super::routing::Hop;
use super::rx::Packet;
use crate::event::DropReason;
use crate::nic::Frame;
use crate::port::{AppPort, Completion};
use crate::wire::IpProtocol;
use crate::wire::ethernet::EtherType;
use crate::wire::icmpv4::{CODE_PORT_UNREACHABLE, ICMP_HEADER_LEN, Icmpv4Header};
use crate::wire::ipv4::{IPV4_HEADER_LEN, Ipv4Header};

impl Stack {
    pub(super) fn handle_icmp<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        // A message is looked at in the buffer in which its reply would leave.
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.replies_lost += 1;
            return Err(DropReason::Limit);
        };
        bytes.resize(IPV4_HEADER_LEN, 0);
        for slice in Payload::of(frame, packet.at, packet.len).slices() {
            bytes.extend_from_slice(slice);
        }
        match Icmpv4Header::parse(&bytes[IPV4_HEADER_LEN..]) {
            Ok((Icmpv4Header::EchoRequest { identifier, sequence }, _)) => {
                // RFC 1122 §3.2.2.6: the data comes back as it came, from the address that was asked.
                Icmpv4Header::EchoReply { identifier, sequence }
                    .emit(&mut bytes[IPV4_HEADER_LEN..]);
                if self.send_ipv4(packet.dst, packet.src, IpProtocol::ICMP, bytes) {
                    self.stats.echo_replies_out += 1;
                }
                Ok(())
            }
            Ok((Icmpv4Header::EchoReply { identifier, sequence }, header_len)) => {
                let len = bytes.len() - IPV4_HEADER_LEN - header_len;
                self.replies.discard(bytes);
                self.finish_ping(packet, identifier, sequence, len, port)
            }
            Ok((
                Icmpv4Header::Unreachable { .. }
                | Icmpv4Header::TimeExceeded { .. }
                | Icmpv4Header::Other { .. },
                _,
            )) => {
                self.replies.discard(bytes);
                self.stats.icmp_ignored += 1;
                Ok(())
            }
            Err(error) => {
                self.replies.discard(bytes);
                Err(error.into())
            }
        }
    }

    fn finish_ping<P: AppPort>(
        &mut self,
        packet: &Packet,
        identifier: u16,
        sequence: u16,
        len: usize,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let from = IpAddr::V4(packet.src);
        let Some(ping) = self.pings.finish(identifier, sequence, from) else {
            return Err(DropReason::NoSocket);
        };
        let reply = Completion::EchoReply {
            tag: ping.tag,
            sequence,
            len: u16::try_from(len).unwrap_or(u16::MAX),
            rtt: packet.now.saturating_since(ping.sent_at),
            ttl: packet.ttl,
        };
        port.complete(ping.channel, reply);
        Ok(())
    }

    /// Queues ICMP port unreachable about a datagram for a port that nobody has (RFC 1122 §4.1.3.1). It quotes the IP header
    /// and eight bytes behind it (RFC 792).
    pub(super) fn reply_port_unreachable<F: Frame>(&mut self, frame: &F, packet: &Packet) {
        if !self.config.unreachables() || !self.rate.allow(packet.now) {
            return;
        }
        let quoted = (packet.at - packet.ip_at) + packet.len.min(8);
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.replies_lost += 1;
            return;
        };
        bytes.resize(IPV4_HEADER_LEN + ICMP_HEADER_LEN, 0);
        for slice in Payload::of(frame, packet.ip_at, quoted).slices() {
            bytes.extend_from_slice(slice);
        }
        Icmpv4Header::Unreachable { code: CODE_PORT_UNREACHABLE, next_hop_mtu: 0 }
            .emit(&mut bytes[IPV4_HEADER_LEN..]);
        self.send_ipv4(packet.dst, packet.src, IpProtocol::ICMP, bytes);
    }

    /// Queues a datagram made of `parts`. False when there was no room or no route.
    pub(super) fn reply_ipv4(
        &mut self,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        protocol: IpProtocol,
        parts: &[&[u8]],
    ) -> bool {
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.replies_lost += 1;
            return false;
        };
        bytes.resize(IPV4_HEADER_LEN, 0);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        self.send_ipv4(src, dst, protocol, bytes)
    }

    /// Queues the datagram in `bytes`, whose first 20 bytes are for its header. It goes through routing like
    /// everything else. False when there is no route or it is too long for the link.
    pub(super) fn send_ipv4(
        &mut self,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        protocol: IpProtocol,
        mut bytes: Vec<u8>,
    ) -> bool {
        let fits = |hop: &Hop| bytes.len() <= usize::from(self.links[hop.interface.index()].mtu);
        let Some(hop) = self.next_hop(IpAddr::V4(dst)).filter(fits) else {
            self.replies.discard(bytes);
            self.stats.replies_lost += 1;
            return false;
        };
        let payload_len = (bytes.len() - IPV4_HEADER_LEN) as u16;
        Ipv4Header::new(src, dst, protocol, payload_len).emit(&mut bytes);
        let target = LinkTarget::Neighbor(hop.address);
        self.replies.push(hop.interface, Reply { target, ether_type: EtherType::IPV4, bytes });
        true
    }
}
