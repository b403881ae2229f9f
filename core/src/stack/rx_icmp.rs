//! ICMP for IPv4: echo in both directions. Errors are counted and change nothing yet: a transport may act on them only
//! after checking them against what is in flight (RFC 5927).

use super::composition::Stack;
use super::datagram::Datagram;
use super::payload::Payload;
use super::rx::Packet;
use crate::event::DropReason;
use crate::nic::Frame;
use crate::port::{AppPort, Completion};
use crate::wire::IpProtocol;
use crate::wire::icmpv4::{CODE_PORT_UNREACHABLE, ICMP_HEADER_LEN, Icmpv4Header};
use crate::wire::ipv4::IPV4_HEADER_LEN;

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
        let reply = Datagram::answer(packet, IpProtocol::ICMP);
        bytes.resize(IPV4_HEADER_LEN, 0);
        for slice in Payload::of(frame, packet.at, packet.len).slices() {
            bytes.extend_from_slice(slice);
        }
        match Icmpv4Header::parse(&bytes[IPV4_HEADER_LEN..]) {
            Ok((Icmpv4Header::EchoRequest { identifier, sequence }, _)) => {
                // RFC 1122 §3.2.2.6: the data comes back as it came, from the address that was asked.
                Icmpv4Header::EchoReply { identifier, sequence }
                    .emit(&mut bytes[IPV4_HEADER_LEN..]);
                if self.send_ip(&reply, bytes) {
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

    pub(super) fn finish_ping<P: AppPort>(
        &mut self,
        packet: &Packet,
        identifier: u16,
        sequence: u16,
        len: usize,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let Some(ping) = self.pings.finish(identifier, sequence, packet.src) else {
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
        self.send_ip(&Datagram::answer(packet, IpProtocol::ICMP), bytes);
    }
}
