//! ICMP for IPv4 (RFC 792): echo, and the errors that concern transports.

use core::net::Ipv4Addr;

use super::checksum::{finish, sum};
use super::field::{array, be16, be32, fixed};
use super::{IpProtocol, WireError};

/// Bytes of the ICMP header, the four that depend on the type included.
pub const ICMP_HEADER_LEN: usize = 8;

/// Code of [`Icmpv4Header::Unreachable`]: nothing speaks that protocol here.
pub const CODE_PROTOCOL_UNREACHABLE: u8 = 2;
/// Code of [`Icmpv4Header::Unreachable`]: nothing listens on that port.
pub const CODE_PORT_UNREACHABLE: u8 = 3;
/// Code of [`Icmpv4Header::TimeExceeded`]: fragments were missing (RFC 1122 §3.2.2.4).
pub const CODE_REASSEMBLY: u8 = 1;
/// Code of [`Icmpv4Header::Unreachable`]: fragmentation needed and DF set (RFC 1191).
pub const CODE_FRAGMENTATION_NEEDED: u8 = 4;

/// The header of an ICMP message. The bytes behind it are the echoed data or the quoted packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmpv4Header {
    /// "Ping": to be returned with the same data.
    EchoRequest {
        /// Tells the senders of requests apart.
        identifier: u16,
        /// Tells the requests of one sender apart.
        sequence: u16,
    },
    /// Answer to a request.
    EchoReply {
        /// From the request.
        identifier: u16,
        /// From the request.
        sequence: u16,
    },
    /// The quoted packet could not be delivered.
    Unreachable {
        /// Why (RFC 792, RFC 1122 §3.2.2.1).
        code: u8,
        /// With [`CODE_FRAGMENTATION_NEEDED`], the next hop's MTU, 0 from routers older than RFC 1191.
        next_hop_mtu: u16,
    },
    /// The quoted packet died on its way.
    TimeExceeded {
        /// 0: its time to live; 1: its reassembly.
        code: u8,
    },
    /// A field of the quoted packet's header cannot be (RFC 792, RFC 1122 §3.2.2.5).
    ParameterProblem {
        /// 0: `pointer` says where; 1: an option is missing.
        code: u8,
        /// The byte of the quoted packet that is wrong.
        pointer: u8,
    },
    /// Another message, for which this stack has no use.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The four bytes that depend on the type.
        rest: u32,
    },
}

impl Icmpv4Header {
    /// Input: checks the checksum of a whole message and takes its header apart; the payload begins at
    /// the returned length.
    pub fn parse(message: &[u8]) -> Result<(Self, usize), WireError> {
        fixed::<ICMP_HEADER_LEN>(message).ok_or(WireError::Truncated)?;
        if sum(message) != 0xffff {
            return Err(WireError::Checksum);
        }
        Ok((Self::parse_summed(message)?, ICMP_HEADER_LEN))
    }

    /// Input: the header of a message whose checksum was found right already, in a chain of segments, say. `bytes` is its
    /// beginning.
    pub fn parse_summed(bytes: &[u8]) -> Result<Self, WireError> {
        let h: &[u8; ICMP_HEADER_LEN] = fixed(bytes).ok_or(WireError::Truncated)?;
        let (identifier, sequence) = (be16(h, 4), be16(h, 6));
        Ok(match (h[0], h[1]) {
            (8, 0) => Self::EchoRequest { identifier, sequence },
            (0, 0) => Self::EchoReply { identifier, sequence },
            (3, code) => {
                let is_mtu = code == CODE_FRAGMENTATION_NEEDED;
                Self::Unreachable { code, next_hop_mtu: if is_mtu { sequence } else { 0 } }
            }
            (11, code) => Self::TimeExceeded { code },
            (12, code) => Self::ParameterProblem { code, pointer: h[4] },
            (kind, code) => Self::Other { kind, code, rest: be32(h, 4) },
        })
    }

    /// Output: completes `message`, whose payload lies behind the first [`ICMP_HEADER_LEN`] bytes already,
    /// with header and checksum. Returns the header's length, or 0 when there is no room.
    pub fn emit(&self, message: &mut [u8]) -> usize {
        let Some(h) = message.first_chunk_mut::<ICMP_HEADER_LEN>() else { return 0 };
        let (kind, code, rest) = match *self {
            Self::EchoRequest { identifier, sequence } => (8, 0, pair(identifier, sequence)),
            Self::EchoReply { identifier, sequence } => (0, 0, pair(identifier, sequence)),
            Self::Unreachable { code, next_hop_mtu } => (3, code, pair(0, next_hop_mtu)),
            Self::TimeExceeded { code } => (11, code, 0),
            Self::ParameterProblem { code, pointer } => (12, code, u32::from(pointer) << 24),
            Self::Other { kind, code, rest } => (kind, code, rest),
        };
        h[0] = kind;
        h[1] = code;
        h[2..4].fill(0);
        h[4..8].copy_from_slice(&rest.to_be_bytes());
        let checksum = finish(sum(message));
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        ICMP_HEADER_LEN
    }

    /// Getter: true for errors, about which no error may be sent (RFC 1122 §3.2.2).
    pub const fn is_error(&self) -> bool {
        match self {
            Self::EchoRequest { .. } | Self::EchoReply { .. } => false,
            Self::Unreachable { .. }
            | Self::TimeExceeded { .. }
            | Self::ParameterProblem { .. } => true,
            // Source quench, redirect.
            Self::Other { kind, .. } => matches!(*kind, 4 | 5),
        }
    }
}

const fn pair(high: u16, low: u16) -> u32 {
    (high as u32) << 16 | low as u32
}

/// The beginning of the packet that an ICMP error is about: enough to find the socket that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedPacket {
    /// The packet's source: one of our addresses, if the error is honest.
    pub src: Ipv4Addr,
    /// The packet's destination.
    pub dst: Ipv4Addr,
    /// The transport.
    pub protocol: IpProtocol,
    /// The transport's source port.
    pub src_port: u16,
    /// The transport's destination port.
    pub dst_port: u16,
    /// The four bytes behind the ports: TCP's sequence number, to be checked against what is in
    /// flight (RFC 5927 §4.1).
    pub seq: u32,
    /// The length that the IP header says, that header included.
    pub total_len: u16,
}

impl QuotedPacket {
    /// Input: the payload of an ICMP error. Lengths and checksums inside are not checked: the quotation
    /// is cut short, and routers change what they forward.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let h: &[u8; 20] = fixed(payload).ok_or(WireError::Truncated)?;
        if h[0] >> 4 != 4 {
            return Err(WireError::Unsupported);
        }
        let header_len = usize::from(h[0] & 0x0f) * 4;
        if header_len < h.len() {
            return Err(WireError::Malformed);
        }
        // Ports stand in the first fragment only.
        if be16(h, 6) & 0x1fff != 0 {
            return Err(WireError::Unsupported);
        }
        let transport = payload.get(header_len..).ok_or(WireError::Truncated)?;
        let t: &[u8; 8] = fixed(transport).ok_or(WireError::Truncated)?;
        Ok(Self {
            src: Ipv4Addr::from_octets(array(h, 12)),
            dst: Ipv4Addr::from_octets(array(h, 16)),
            protocol: IpProtocol(h[9]),
            src_port: be16(t, 0),
            dst_port: be16(t, 2),
            seq: be32(t, 4),
            total_len: be16(h, 2),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ipv4Header;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_quotes_the_packet_that_it_is_about() {
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let mut message = [0u8; 8 + 28];
        // The quotation says 1,000 bytes and has 8.
        Ipv4Header::new(a, b, IpProtocol::TCP, 1_000).emit(&mut message[8..]);
        message[28..36].copy_from_slice(&[0x80, 1, 0, 80, 1, 2, 3, 4]);
        let error =
            Icmpv4Header::Unreachable { code: CODE_FRAGMENTATION_NEEDED, next_hop_mtu: 1400 };
        error.emit(&mut message);
        let (header, at) = Icmpv4Header::parse(&message).unwrap();
        assert_eq!(header, error);
        let quoted = QuotedPacket::parse(&message[at..]).unwrap();
        assert_eq!((quoted.src, quoted.dst, quoted.protocol), (a, b, IpProtocol::TCP));
        assert_eq!((quoted.src_port, quoted.dst_port, quoted.seq), (0x8001, 80, 0x0102_0304));
        assert_eq!(quoted.total_len, 1_020);
        assert_eq!(QuotedPacket::parse(&message[at..35]), Err(WireError::Truncated));
        message[at + 7] = 1;
        assert_eq!(QuotedPacket::parse(&message[at..]), Err(WireError::Unsupported));
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let mut message = [7u8; 40];
        Icmpv4Header::EchoRequest { identifier: 1, sequence: 2 }.emit(&mut message);
        message[39] ^= 1;
        assert_eq!(Icmpv4Header::parse(&message), Err(WireError::Checksum));
    }

    #[test]
    fn errors_are_told_from_queries() {
        assert!(Icmpv4Header::TimeExceeded { code: 0 }.is_error());
        assert!(Icmpv4Header::Other { kind: 5, code: 0, rest: 0 }.is_error());
        assert!(!Icmpv4Header::EchoReply { identifier: 0, sequence: 0 }.is_error());
        assert!(!Icmpv4Header::Other { kind: 13, code: 0, rest: 0 }.is_error());
    }

    fn headers() -> impl Strategy<Value = Icmpv4Header> {
        prop_oneof![
            any::<(u16, u16)>().prop_map(|(identifier, sequence)| Icmpv4Header::EchoRequest {
                identifier,
                sequence
            }),
            any::<(u16, u16)>().prop_map(|(identifier, sequence)| Icmpv4Header::EchoReply {
                identifier,
                sequence
            }),
            (0u8..16, any::<u16>()).prop_map(|(code, mtu)| Icmpv4Header::Unreachable {
                code,
                next_hop_mtu: if code == CODE_FRAGMENTATION_NEEDED { mtu } else { 0 },
            }),
            any::<u8>().prop_map(|code| Icmpv4Header::TimeExceeded { code }),
            any::<(u8, u8)>()
                .prop_map(|(code, pointer)| Icmpv4Header::ParameterProblem { code, pointer }),
            (13u8.., any::<(u8, u32)>()).prop_map(|(kind, (code, rest))| Icmpv4Header::Other {
                kind,
                code,
                rest
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(
            header in headers(), payload in proptest::collection::vec(any::<u8>(), 0..70),
        ) {
            let mut message = alloc::vec![0u8; 8];
            message.extend_from_slice(&payload);
            prop_assert_eq!(header.emit(&mut message), 8);
            prop_assert_eq!(Icmpv4Header::parse(&message), Ok((header, 8)));
            prop_assert_eq!(&message[8..], &payload[..]);
        }

        #[test]
        fn arbitrary_quotations_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = QuotedPacket::parse(&bytes);
            let _ = Icmpv4Header::parse(&bytes);
        }
    }
}
