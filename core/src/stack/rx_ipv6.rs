//! IPv6 packets: who may talk to whom, the chain of extension headers, and the protocol behind it.

use core::net::IpAddr;

use super::composition::Stack;
use super::icmp_out::Complaint;
use super::rx::Packet;
use crate::event::DropReason;
use crate::ip::{is_martian_destination, is_martian_source};
use crate::nic::{Frame, IfIndex, RxChecksum};
use crate::port::AppPort;
use crate::time::Instant;
use crate::wire::IpProtocol;
use crate::wire::ipv6::{IPV6_HEADER_LEN, Ipv6Header};
use crate::wire::ipv6_ext::{ExtensionEnd, ExtensionError, walk_extensions};

impl Stack {
    pub(super) fn handle_ipv6<F: Frame, P: AppPort>(
        &mut self,
        now: Instant,
        interface: IfIndex,
        frame: &F,
        ip_at: usize,
        group: bool,
        port: &mut P,
    ) -> Result<(), DropReason> {
        let head = &frame.segment(0)[ip_at..];
        let (ip, at) = Ipv6Header::parse_prefix(head, frame.len() - ip_at)?;
        if frame.meta().rx_checksum == RxChecksum::Bad {
            return Err(DropReason::Checksum);
        }
        self.check_addresses_v6(interface, &ip, group)?;
        let mut packet = Packet {
            now,
            interface,
            src: IpAddr::V6(ip.src),
            dst: IpAddr::V6(ip.dst),
            ttl: ip.hop_limit,
            ecn: ip.traffic_class & 0b11,
            ip_at,
            at: ip_at + at,
            len: usize::from(ip.payload_len),
            verified: frame.meta().rx_checksum == RxChecksum::Verified,
            gso_size: frame.meta().offload.joined_size(),
        };
        if is_upper_layer(ip.next_header) {
            return self.handle_ipv6_payload(frame, &packet, ip.next_header, port);
        }
        let whole = &head[..head.len().min(IPV6_HEADER_LEN + packet.len)];
        match walk_extensions(whole, ip.next_header) {
            Ok(ExtensionEnd::Upper { protocol, at, named_at }) => {
                let skipped = at - IPV6_HEADER_LEN;
                let fixed = packet;
                (packet.at, packet.len) = (packet.at + skipped, packet.len - skipped);
                if is_upper_layer(protocol) {
                    return self.handle_ipv6_payload(frame, &packet, protocol, port);
                }
                let complaint = Complaint::ProtocolUnreachable { at: named_at as u16 };
                self.complain(frame, &fixed, ip.next_header, complaint);
                Err(DropReason::Protocol)
            }
            Ok(ExtensionEnd::Fragment { header, at, .. }) => {
                let skipped = at - IPV6_HEADER_LEN;
                (packet.at, packet.len) = (packet.at + skipped, packet.len - skipped);
                self.handle_fragment_v6(frame, &packet, whole, header, port)
            }
            Ok(ExtensionEnd::Nothing) => Ok(()),
            Err(error) => Err(self.refuse_extension(frame, &packet, whole, &ip, error)),
        }
    }

    /// What is behind the headers. `packet.at` says where it begins.
    pub(super) fn handle_ipv6_payload<F: Frame, P: AppPort>(
        &mut self,
        frame: &F,
        packet: &Packet,
        protocol: IpProtocol,
        port: &mut P,
    ) -> Result<(), DropReason> {
        if protocol == IpProtocol::ICMPV6 {
            return self.handle_icmpv6(frame, packet, port);
        }
        // RFC 9293 MUST-57: TCP has no groups; nor have sockets here. Nobody sends from no address but ICMPv6.
        let IpAddr::V6(dst) = packet.dst else { return Err(DropReason::Protocol) };
        if dst.is_multicast() {
            return Err(DropReason::NotOurs);
        }
        if packet.src.is_unspecified() {
            return Err(DropReason::Martian);
        }
        if protocol == IpProtocol::TCP {
            self.handle_tcp(frame, packet, port)
        } else {
            self.handle_udp(frame, packet, port)
        }
    }

    /// The sender is told what was wrong, where RFC 8200 §4.2 says so. No error is about an error: the chain is looked
    /// through for one.
    fn refuse_extension<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        whole: &[u8],
        ip: &Ipv6Header,
        error: ExtensionError,
    ) -> DropReason {
        match error {
            ExtensionError::Truncated => DropReason::Malformed,
            ExtensionError::TooMany => DropReason::Limit,
            ExtensionError::Discard => DropReason::Protocol,
            ExtensionError::ParameterProblem { code, pointer, to_groups } => {
                let at = pointer as u16;
                let complaint = match code {
                    1 => Complaint::ProtocolUnreachable { at },
                    2 => Complaint::UnknownOption { at, to_groups },
                    _ => Complaint::ParameterProblem { at },
                };
                let upper = crate::wire::ipv6_ext::find_upper(whole, ip.next_header);
                let (protocol, at) = upper.unwrap_or((ip.next_header, IPV6_HEADER_LEN));
                let skipped = (at - IPV6_HEADER_LEN).min(packet.len);
                let mut upper = *packet;
                (upper.at, upper.len) = (packet.at + skipped, packet.len - skipped);
                self.complain(frame, &upper, protocol, complaint);
                DropReason::Protocol
            }
        }
    }

    /// RFC 4291 §2.5 and §2.7: which sources and destinations may appear on a link.
    fn check_addresses_v6(
        &self,
        interface: IfIndex,
        ip: &Ipv6Header,
        group: bool,
    ) -> Result<(), DropReason> {
        let loopback = interface == IfIndex::LOOPBACK;
        let (src, dst) = (IpAddr::V6(ip.src), IpAddr::V6(ip.dst));
        if is_martian_destination(dst, loopback) {
            return Err(DropReason::Martian);
        }
        // Duplicate address detection and listener reports come from no address (RFC 4862 §5.4, RFC 3810 §5.2.13): what
        // is not ICMPv6 is refused once that is known. Nobody else on a link has an address of ours.
        let nobody = ip.src.is_unspecified() && !loopback;
        if !nobody && (is_martian_source(src, loopback) || loopback != self.is_local(src)) {
            return Err(DropReason::Martian);
        }
        if ip.dst.is_multicast() {
            let listens = !loopback && self.listens_to(interface, ip.dst);
            return if listens { Ok(()) } else { Err(DropReason::NotOurs) };
        }
        if group || !self.is_local(dst) { Err(DropReason::NotOurs) } else { Ok(()) }
    }
}

/// Protocols that are spoken here over IPv6.
pub(super) const fn is_upper_layer(protocol: IpProtocol) -> bool {
    matches!(protocol, IpProtocol::TCP | IpProtocol::UDP | IpProtocol::ICMPV6)
}
