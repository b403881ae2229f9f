//! ICMP for IPv4: echo in both directions, and errors about what we sent.

use alloc::vec::Vec;

use super::composition::Stack;
use super::datagram::Datagram;
use super::icmp_in::{About, News};
use super::payload::Payload;
use super::rx::Packet;
use crate::event::DropReason;
use crate::nic::Frame;
use crate::planted::{self, Bug};
use crate::port::{AppPort, Completion};
use crate::time::Instant;
use crate::wire::icmpv4::{ICMP_HEADER_LEN, Icmpv4Header, QuotedPacket};
use crate::wire::ipv4::IPV4_HEADER_LEN;
use crate::wire::{IpProtocol, WireError};

impl Stack {
    pub(super) fn handle_icmp<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let message = Payload::of(frame, packet.at, packet.len);
        if self.sum(&message) != 0xffff && !planted::is(Bug::IcmpSumUnchecked) {
            return Err(WireError::Checksum.into());
        }
        let contiguous = packet.contiguous(frame);
        let header = Icmpv4Header::parse_summed(contiguous)?;
        match header {
            Icmpv4Header::EchoRequest { identifier, sequence } => {
                let reply = Icmpv4Header::EchoReply { identifier, sequence };
                self.reply_echo(&message, reply, packet)
            }
            Icmpv4Header::EchoReply { identifier, sequence } => {
                let len = message.len().saturating_sub(ICMP_HEADER_LEN);
                self.finish_ping(packet, identifier, sequence, len, port)
            }
            Icmpv4Header::Unreachable { .. }
            | Icmpv4Header::TimeExceeded { .. }
            | Icmpv4Header::ParameterProblem { .. }
            | Icmpv4Header::Other { .. } => {
                let quoted = QuotedPacket::parse(&contiguous[ICMP_HEADER_LEN..]);
                // What this stack has no use for (redirects: RFC 1122 §3.2.2.2 lets a host ignore them where it has no
                // reason to trust them; source quench: RFC 6633) is counted.
                let (Some(news), Ok(quoted)) = (News::of_icmpv4(header), quoted) else {
                    self.stats.icmp_ignored += 1;
                    return Ok(());
                };
                self.handle_icmp_news(packet.now, news, &About::from(quoted), port);
                Ok(())
            }
        }
    }

    /// RFC 1122 §3.2.2.6: the data comes back as it came, from the address that was asked.
    fn reply_echo(
        &mut self,
        message: &Payload<'_>,
        reply: Icmpv4Header,
        packet: &Packet,
    ) -> Result<(), DropReason> {
        let mut bytes = self.echo_bytes(message, IPV4_HEADER_LEN, packet.now)?;
        reply.emit(&mut bytes[IPV4_HEADER_LEN..]);
        if self.send_ip_or_pieces(packet.now, &Datagram::answer(packet, IpProtocol::ICMP), bytes) {
            self.stats.echo_replies_out += 1;
        }
        Ok(())
    }

    /// The message behind room for an IP header of `room` bytes, if the limit on echo replies allows another one.
    pub(super) fn echo_bytes(
        &mut self,
        message: &Payload<'_>,
        room: usize,
        now: Instant,
    ) -> Result<Vec<u8>, DropReason> {
        if !self.echo_rate.allow(now) {
            self.stats.echo_replies_limited += 1;
            return Err(DropReason::Limit);
        }
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.replies_lost += 1;
            return Err(DropReason::Limit);
        };
        bytes.resize(room, 0);
        for slice in message.slices() {
            bytes.extend_from_slice(slice);
        }
        if planted::is(Bug::EchoCutShort) {
            bytes.pop();
        }
        Ok(bytes)
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
}
