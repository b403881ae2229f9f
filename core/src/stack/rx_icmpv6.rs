//! ICMP for IPv6: echo in both directions, errors about what we sent, and neighbour discovery.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::composition::Stack;
use super::icmp_in::{About, News};
use super::payload::Payload;
use super::rx::Packet;
use crate::event::DropReason;
use crate::nic::Frame;
use crate::planted::{self, Bug};
use crate::port::AppPort;
use crate::socket::FourTuple;
use crate::wire::icmpv4::ICMP_HEADER_LEN;
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ipv6_ext::find_upper;
use crate::wire::{Icmpv6Header, IpProtocol};

/// The longest message of neighbour discovery that is looked at: what every link carries.
const DISCOVERY_BYTES_MAX: usize = 1_280;

impl Stack {
    pub(super) fn handle_icmpv6<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let (IpAddr::V6(src), IpAddr::V6(dst)) = (packet.src, packet.dst) else {
            return Err(DropReason::Protocol);
        };
        let message = Payload::of(frame, packet.at, packet.len);
        if !packet.verified && !planted::is(Bug::Icmpv6SumUnchecked) {
            let sum = self.sum(&message);
            let protocol = IpProtocol::ICMPV6;
            crate::wire::checksum::verify_sum(
                packet.src,
                packet.dst,
                protocol,
                message.len(),
                sum,
            )?;
        }
        let contiguous = packet.contiguous(frame);
        let header = Icmpv6Header::parse_summed(contiguous)?;
        let unspecified = src.is_unspecified();
        match header {
            // RFC 4443 §2.2: there is nobody to answer to.
            Icmpv6Header::EchoRequest { .. } if unspecified => Err(DropReason::Martian),
            Icmpv6Header::EchoRequest { identifier, sequence } => {
                let reply = Icmpv6Header::EchoReply { identifier, sequence };
                self.reply_echo_v6(&message, reply, packet, src, dst)
            }
            Icmpv6Header::EchoReply { identifier, sequence } => {
                let len = message.len().saturating_sub(ICMP_HEADER_LEN);
                self.finish_ping(packet, identifier, sequence, len, port)
            }
            Icmpv6Header::Unreachable { .. }
            | Icmpv6Header::PacketTooBig { .. }
            | Icmpv6Header::TimeExceeded { .. }
            | Icmpv6Header::ParameterProblem { .. } => {
                let quoted = contiguous.get(ICMP_HEADER_LEN..).unwrap_or(&[]);
                let [kind, code, ..] = *contiguous else { return Err(DropReason::Malformed) };
                let news = News::of_icmpv6(kind, code, header.rest());
                let (Some(news), Some(about)) = (news, quoted_packet(quoted)) else {
                    self.stats.icmp_ignored += 1;
                    return Ok(());
                };
                self.handle_icmp_news(packet.now, news, &about, port);
                Ok(())
            }
            Icmpv6Header::Other { .. } => self.handle_discovery(frame, packet, &header, &message),
        }
    }

    /// RFC 4443 §4.2: the data comes back as it came, from the address that was asked; one of ours where a group was.
    fn reply_echo_v6(
        &mut self,
        message: &Payload<'_>,
        reply: Icmpv6Header,
        packet: &Packet,
        src: Ipv6Addr,
        dst: Ipv6Addr,
    ) -> Result<(), DropReason> {
        let answers = self.config.echo_groups() || planted::is(Bug::EchoesForGroups);
        if dst.is_multicast() && !answers {
            return Err(DropReason::NoSocket);
        }
        let answer = self.answer_from_own(packet, IpProtocol::ICMPV6);
        let answer = answer.ok_or(DropReason::NoSocket)?;
        let IpAddr::V6(own) = answer.src else { return Err(DropReason::Protocol) };
        let mut bytes = self.echo_bytes(message, IPV6_HEADER_LEN, packet.now)?;
        reply.emit(&mut bytes[IPV6_HEADER_LEN..], own, src);
        if self.send_ip_or_pieces(packet.now, &answer, bytes) {
            self.stats.echo_replies_out += 1;
        }
        Ok(())
    }

    /// Neighbour discovery, and what nobody here has a use for.
    fn handle_discovery<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        header: &Icmpv6Header,
        message: &Payload<'_>,
    ) -> Result<(), DropReason> {
        if message.len() > DISCOVERY_BYTES_MAX {
            return Err(DropReason::Limit);
        }
        if let [whole] = message.slices() {
            return self.handle_ndp(frame, packet, header, &whole[ICMP_HEADER_LEN..]);
        }
        // Spread over a chain: it is put together in a buffer of the replies'.
        let Some(mut bytes) = self.replies.buffer_for_arp() else {
            self.stats.replies_lost += 1;
            return Err(DropReason::Limit);
        };
        for slice in message.slices() {
            bytes.extend_from_slice(slice);
        }
        let body = bytes.get(ICMP_HEADER_LEN..).unwrap_or(&[]);
        let verdict = self.handle_ndp(frame, packet, header, body);
        self.replies.discard(bytes);
        verdict
    }
}

/// The packet that an error quotes, from its fixed header on. `None` where it does not get as far as its ports.
fn quoted_packet(quoted: &[u8]) -> Option<About> {
    let (ip, _) = Ipv6Header::parse_prefix(quoted, usize::MAX).ok()?;
    let (protocol, at) = find_upper(quoted, ip.next_header)?;
    let [a, b, c, d, rest @ ..] = quoted.get(at..)? else { return None };
    let local = SocketAddr::from((ip.src, u16::from_be_bytes([*a, *b])));
    let remote = SocketAddr::from((ip.dst, u16::from_be_bytes([*c, *d])));
    let rest = rest.first_chunk::<4>()?;
    Some(About {
        protocol,
        tuple: FourTuple::new(local, remote),
        rest: u32::from_be_bytes(*rest),
        len: u32::from(ip.payload_len) + IPV6_HEADER_LEN as u32,
    })
}
