//! ICMP for IPv6 (RFC 4443): echo and errors. The checksum covers a pseudo-header, unlike IPv4's.

use core::net::{IpAddr, Ipv6Addr};

use super::checksum::{combine, finish, pseudo_header, sum, verify};
use super::field::{be16, be32, fixed};
use super::icmpv4::ICMP_HEADER_LEN;
use super::{IpProtocol, WireError};

/// Code of [`Icmpv6Header::Unreachable`]: nothing listens on that port.
pub const CODE_PORT_UNREACHABLE: u8 = 4;

/// Code of [`Icmpv6Header::ParameterProblem`]: a first fragment without all headers (RFC 7112 §5, RFC 8200 §4.5).
pub const CODE_HEADERS_IN_PIECES: u8 = 3;

/// The header of an ICMPv6 message. The bytes behind it are the echoed data or the message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv6Header {
    /// To be returned with the same data (RFC 4443 §4.1).
    EchoRequest {
        /// Tells the senders of requests apart.
        identifier: u16,
        /// Tells the requests of one sender apart.
        sequence: u16,
    },
    /// Answer to a request (RFC 4443 §4.2).
    EchoReply {
        /// From the request.
        identifier: u16,
        /// From the request.
        sequence: u16,
    },
    /// The quoted packet could not be delivered (RFC 4443 §3.1).
    Unreachable {
        /// Why.
        code: u8,
    },
    /// The quoted packet is longer than a link on its way carries (RFC 4443 §3.2).
    PacketTooBig {
        /// That link's MTU in bytes.
        mtu: u32,
    },
    /// The quoted packet died on its way (RFC 4443 §3.3).
    TimeExceeded {
        /// 0: its hop limit; 1: its reassembly.
        code: u8,
    },
    /// The quoted packet was not understood (RFC 4443 §3.4).
    ParameterProblem {
        /// 0: a field has a wrong value; 1: unknown next header; 2: unknown option; 3: a first fragment without all headers.
        code: u8,
        /// What is wrong, from the start of the quoted packet.
        pointer: u32,
    },
    /// Another message.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes that depend on the type.
        rest: u32,
    },
}

impl Icmpv6Header {
    /// Input: checks the checksum of a whole message and takes its header apart; the payload begins at
    /// the returned length.
    pub fn parse(message: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> Result<(Self, usize), WireError> {
        fixed::<ICMP_HEADER_LEN>(message).ok_or(WireError::Truncated)?;
        verify(IpAddr::V6(src), IpAddr::V6(dst), IpProtocol::ICMPV6, message)?;
        Ok((Self::parse_summed(message)?, ICMP_HEADER_LEN))
    }

    /// Input: the header of a message whose checksum was found right already, in a chain of segments, say. `bytes` is its
    /// beginning.
    pub fn parse_summed(bytes: &[u8]) -> Result<Self, WireError> {
        let h: &[u8; ICMP_HEADER_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        let (identifier, sequence) = (be16(h, 4), be16(h, 6));
        Ok(match (h[0], h[1]) {
            (128, 0) => Self::EchoRequest { identifier, sequence },
            (129, 0) => Self::EchoReply { identifier, sequence },
            (1, code) => Self::Unreachable { code },
            (2, _) => Self::PacketTooBig { mtu: be32(h, 4) },
            (3, code) => Self::TimeExceeded { code },
            (4, code) => Self::ParameterProblem { code, pointer: be32(h, 4) },
            (kind, code) => Self::Other { kind, code, rest: be32(h, 4) },
        })
    }

    /// Getter: the four bytes that depend on the type.
    pub const fn rest(&self) -> u32 {
        match *self {
            Self::EchoRequest { identifier, sequence }
            | Self::EchoReply { identifier, sequence } => {
                (identifier as u32) << 16 | sequence as u32
            }
            Self::Unreachable { .. } | Self::TimeExceeded { .. } => 0,
            Self::PacketTooBig { mtu } => mtu,
            Self::ParameterProblem { pointer, .. } => pointer,
            Self::Other { rest, .. } => rest,
        }
    }

    /// Output: completes `message`, whose payload lies behind the first [`ICMP_HEADER_LEN`] bytes already,
    /// with header and checksum. Returns the header's length, or 0 when there is no room.
    pub fn emit(&self, message: &mut [u8], src: Ipv6Addr, dst: Ipv6Addr) -> usize {
        let len = message.len();
        let (src, dst) = (IpAddr::V6(src), IpAddr::V6(dst));
        let Some(pseudo) = pseudo_header(src, dst, IpProtocol::ICMPV6, len) else { return 0 };
        let Some(h) = message.first_chunk_mut::<ICMP_HEADER_LEN>() else { return 0 };
        let (kind, code) = match *self {
            Self::EchoRequest { .. } => (128, 0),
            Self::EchoReply { .. } => (129, 0),
            Self::Unreachable { code } => (1, code),
            Self::PacketTooBig { .. } => (2, 0),
            Self::TimeExceeded { code } => (3, code),
            Self::ParameterProblem { code, .. } => (4, code),
            Self::Other { kind, code, .. } => (kind, code),
        };
        h[0] = kind;
        h[1] = code;
        h[2..4].fill(0);
        h[4..8].copy_from_slice(&self.rest().to_be_bytes());
        let checksum = finish(combine(pseudo, sum(message), false));
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        ICMP_HEADER_LEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back_under_the_same_addresses_only(
            identifier: u16, sequence: u16, kind in 0u8..6, src: [u8; 16], dst: [u8; 16],
            payload in proptest::collection::vec(any::<u8>(), 0..70),
        ) {
            let number = u32::from(identifier) << 16 | u32::from(sequence);
            let code = identifier as u8;
            let header = match kind {
                0 => Icmpv6Header::EchoReply { identifier, sequence },
                1 => Icmpv6Header::EchoRequest { identifier, sequence },
                2 => Icmpv6Header::Unreachable { code },
                3 => Icmpv6Header::PacketTooBig { mtu: number },
                4 => Icmpv6Header::TimeExceeded { code },
                _ => Icmpv6Header::ParameterProblem { code, pointer: number },
            };
            let (src, dst) = (Ipv6Addr::from(src), Ipv6Addr::from(dst));
            let mut message = alloc::vec![0u8; 8];
            message.extend_from_slice(&payload);
            prop_assert_eq!(header.emit(&mut message, src, dst), 8);
            prop_assert_eq!(Icmpv6Header::parse(&message, src, dst), Ok((header, 8)));
            let other = Ipv6Addr::from(u128::from(dst) ^ 1);
            prop_assert_eq!(Icmpv6Header::parse(&message, src, other), Err(WireError::Checksum));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Icmpv6Header::parse(&bytes, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        }
    }
}
