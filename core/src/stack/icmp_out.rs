//! ICMP errors that go out, of either family: when one may be sent at all, and what it quotes (RFC 1122 §3.2.2, RFC 1812
//! §4.3.2, RFC 4443 §2.4).

use core::net::IpAddr;

use super::composition::Stack;
use super::payload::Payload;
use super::rx::Packet;
use crate::ip::is_group_or_broadcast;
use crate::nic::Frame;
use crate::planted::{self, Bug};
use crate::wire::IpProtocol;
use crate::wire::icmpv4::{
    CODE_PORT_UNREACHABLE, CODE_PROTOCOL_UNREACHABLE, CODE_REASSEMBLY, ICMP_HEADER_LEN,
    Icmpv4Header,
};
use crate::wire::icmpv6::{self, CODE_HEADERS_IN_PIECES, Icmpv6Header};

/// The longest error of IPv4, its IP header included (RFC 1812 §4.3.2.3).
const ERROR_BYTES_MAX_V4: usize = 576;
/// The longest error of IPv6, its IP header included: what every link carries (RFC 4443 §2.4 c).
const ERROR_BYTES_MAX_V6: usize = 1_280;

/// What is wrong with a packet that came for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Nobody has the port (RFC 1122 §4.1.3.1).
    PortUnreachable,
    /// Nobody speaks the protocol, whose number stands at this byte of the packet (RFC 1122 §3.2.2.1, RFC 4443 §3.4).
    ProtocolUnreachable { at: u16 },
    /// Some of its fragments did not come in time (RFC 791 §3.2, RFC 8200 §4.5).
    ReassemblyTimeExceeded,
    /// A header field or an option cannot be, at this byte of the packet.
    ParameterProblem { at: u16 },
    /// An option that is not known says that its sender is to be told, `to_groups` even where the packet went to a group
    /// (RFC 8200 §4.2).
    UnknownOption { at: u16, to_groups: bool },
    /// A first fragment of IPv6 does not hold all headers (RFC 7112 §5).
    HeadersInPieces,
}

impl Complaint {
    const fn icmpv4(self) -> Icmpv4Header {
        match self {
            Self::PortUnreachable => {
                Icmpv4Header::Unreachable { code: CODE_PORT_UNREACHABLE, next_hop_mtu: 0 }
            }
            Self::ProtocolUnreachable { .. } => {
                Icmpv4Header::Unreachable { code: CODE_PROTOCOL_UNREACHABLE, next_hop_mtu: 0 }
            }
            Self::ReassemblyTimeExceeded => Icmpv4Header::TimeExceeded { code: CODE_REASSEMBLY },
            // Of IPv6 alone.
            Self::HeadersInPieces => Icmpv4Header::ParameterProblem { code: 0, pointer: 0 },
            // The pointer has one byte: no IPv4 header is longer than 60.
            Self::ParameterProblem { at } | Self::UnknownOption { at, .. } => {
                Icmpv4Header::ParameterProblem { code: 0, pointer: at as u8 }
            }
        }
    }

    /// RFC 4443 §3.1, §3.3 and §3.4.
    fn icmpv6(self) -> Icmpv6Header {
        let problem =
            |code, at: u16| Icmpv6Header::ParameterProblem { code, pointer: u32::from(at) };
        match self {
            Self::PortUnreachable => {
                Icmpv6Header::Unreachable { code: icmpv6::CODE_PORT_UNREACHABLE }
            }
            Self::ReassemblyTimeExceeded => Icmpv6Header::TimeExceeded { code: CODE_REASSEMBLY },
            Self::ProtocolUnreachable { at } => problem(1, at),
            Self::ParameterProblem { at } => problem(0, at),
            Self::UnknownOption { at, .. } => problem(2, at),
            Self::HeadersInPieces => problem(CODE_HEADERS_IN_PIECES, 0),
        }
    }
}

impl Stack {
    /// Queues an error about the packet that begins at `packet.ip_at` in `frame` and carries `protocol`, unless none may be
    /// sent about it: never about an error, a group's or broadcast packet, one of a sender that is no single host
    /// (RFC 1122 §3.2.2; RFC 4443 §2.4 e), nor faster than the limit (RFC 1812 §4.3.2.8; RFC 4443 §2.4 f).
    pub(super) fn complain<F: Frame>(
        &mut self,
        frame: &F,
        packet: &Packet,
        protocol: IpProtocol,
        complaint: Complaint,
    ) {
        let single = |address: IpAddr| !address.is_unspecified() && !is_group_or_broadcast(address);
        // RFC 4443 §2.4 e.3: an option can ask for it.
        if matches!(complaint, Complaint::ProtocolUnreachable { .. })
            && planted::is(Bug::UnknownHeaderUntold)
        {
            return;
        }
        let to_groups = matches!(complaint, Complaint::UnknownOption { to_groups: true, .. });
        let is_error = is_icmp_error(protocol, packet.contiguous(frame));
        if !self.config.unreachables()
            || is_error
            || !single(packet.src)
            || !(single(packet.dst) || to_groups)
            || !(self.error_rate.allow_uncounted(packet.now, &mut self.reply_random)
                || planted::is(Bug::EndlessErrors))
        {
            return;
        }
        let Some(mut bytes) = self.replies.buffer() else {
            self.stats.replies_lost += 1;
            return;
        };
        let (protocol, bytes_max) = match packet.src {
            IpAddr::V4(_) => (IpProtocol::ICMP, ERROR_BYTES_MAX_V4),
            IpAddr::V6(_) => (IpProtocol::ICMPV6, ERROR_BYTES_MAX_V6),
        };
        let Some(error) = self.answer_from_own(packet, protocol) else {
            self.replies.discard(bytes);
            return;
        };
        let header_len = error.header_len() + ICMP_HEADER_LEN;
        bytes.resize(header_len, 0);
        let bytes_max = if planted::is(Bug::QuotesEverything) { 65_535 } else { bytes_max };
        let quoted = (packet.at - packet.ip_at + packet.len).min(bytes_max - header_len);
        for slice in Payload::of(frame, packet.ip_at, quoted).slices() {
            bytes.extend_from_slice(slice);
        }
        let message = &mut bytes[error.header_len()..];
        match (error.src, error.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => complaint.icmpv6().emit(message, src, dst),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => complaint.icmpv4().emit(message),
        };
        if self.send_ip(&error, bytes) {
            self.stats.icmp_errors_out += 1;
        }
    }
}

/// The message is an ICMP error itself, or too short to tell.
fn is_icmp_error(protocol: IpProtocol, message: &[u8]) -> bool {
    match protocol {
        IpProtocol::ICMP => Icmpv4Header::parse_summed(message).map_or(true, |h| h.is_error()),
        // RFC 4443 §2.1: errors have types below 128.
        IpProtocol::ICMPV6 => message.first().is_none_or(|kind| *kind < 128),
        _ => false,
    }
}
