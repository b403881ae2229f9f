//! Neighbour Discovery messages (RFC 4861 §4, RFC 8106): what follows the ICMPv6 header.

use core::net::Ipv6Addr;

use super::WireError;
use super::icmpv4::ICMP_HEADER_LEN;
use super::icmpv6::Icmpv6Header;
use crate::nic::MacAddr;
use crate::planted::{self, Bug};

/// Every message of neighbour discovery has this hop limit, and none that came through a router can (RFC 4861 §3.1).
pub const NDP_HOP_LIMIT: u8 = 255;

/// ICMPv6 types.
const ROUTER_SOLICIT: u8 = 133;
const ROUTER_ADVERT: u8 = 134;
const NEIGHBOR_SOLICIT: u8 = 135;
const NEIGHBOR_ADVERT: u8 = 136;
const REDIRECT: u8 = 137;

/// Option types.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
const RDNSS: u8 = 25;

/// Flags of a neighbour advertisement, in the four bytes behind the checksum.
const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;

/// Bytes of a link-layer address option.
const LINK_LAYER_LEN: usize = 8;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NdpMessage<'a> {
    /// Routers are to speak up. For routers only.
    RouterSolicit,
    /// A router, and what it knows of the link.
    RouterAdvert(RouterAdvert<'a>),
    /// Who has `target`?
    NeighborSolicit {
        /// The address in question.
        target: Ipv6Addr,
        /// The sender's link-layer address.
        source: Option<MacAddr>,
    },
    /// This station has `target`.
    NeighborAdvert {
        /// It is a router.
        router: bool,
        /// It answers a solicitation.
        solicited: bool,
        /// It replaces what is known.
        overrides: bool,
        /// The address in question.
        target: Ipv6Addr,
        /// Its link-layer address.
        mac: Option<MacAddr>,
    },
    /// For `destination` there is a better first hop.
    Redirect {
        /// The better one: a router's link-local address, or the destination itself.
        target: Ipv6Addr,
        /// Who is reached that way.
        destination: Ipv6Addr,
        /// The target's link-layer address.
        mac: Option<MacAddr>,
    },
}

/// A router advertisement (RFC 4861 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvert<'a> {
    /// The hop limit to send with; 0: not said.
    pub hop_limit: u8,
    /// How long it is a default router, in seconds; 0: it is none.
    pub lifetime_s: u16,
    /// How long a neighbour that has answered is trusted, in milliseconds; 0: not said.
    pub reachable_ms: u32,
    /// Between two solicitations, in milliseconds; 0: not said.
    pub retrans_ms: u32,
    /// The options.
    pub options: NdpOptions<'a>,
}

/// One prefix of the link (RFC 4861 §4.6.2). Lifetimes are in seconds; all ones is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixInfo {
    /// The prefix; bits behind its length mean nothing.
    pub prefix: Ipv6Addr,
    /// Its length in bits.
    pub prefix_len: u8,
    /// Its addresses are on the link (L).
    pub on_link: bool,
    /// Hosts may make addresses of it (A).
    pub autonomous: bool,
    /// How long it is valid.
    pub valid_s: u32,
    /// How long its addresses are preferred.
    pub preferred_s: u32,
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NdpOption<'a> {
    /// The sender's link-layer address.
    SourceLinkLayer(MacAddr),
    /// The target's link-layer address.
    TargetLinkLayer(MacAddr),
    /// A prefix.
    Prefix(PrefixInfo),
    /// The link's MTU.
    Mtu(u32),
    /// Name servers (RFC 8106 §5.1): how long they serve, and 16 bytes for each.
    Rdnss {
        /// Seconds; all ones is for ever, 0 no longer.
        lifetime_s: u32,
        /// Their addresses.
        servers: &'a [u8],
    },
    /// Something else, or a known option in a shape that it cannot have.
    Other,
}

/// The options of a message, whose lengths have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NdpOptions<'a>(&'a [u8]);

impl<'a> NdpMessage<'a> {
    /// Input: the message of an ICMPv6 header and what follows it. Options must not have length 0 nor run over the end
    /// (RFC 4861 §6.1, §7.1, §8.1). `Unsupported` for other types. Hop limit and addresses are the caller's to check.
    pub fn parse(header: &Icmpv6Header, body: &'a [u8]) -> Result<Self, WireError> {
        let Icmpv6Header::Other { kind, code, rest } = *header else {
            return Err(WireError::Unsupported);
        };
        let fixed = match kind {
            ROUTER_SOLICIT => 0,
            ROUTER_ADVERT => 8,
            NEIGHBOR_SOLICIT | NEIGHBOR_ADVERT => 16,
            REDIRECT => 32,
            _ => return Err(WireError::Unsupported),
        };
        let (fields, options) = body.split_at_checked(fixed).ok_or(WireError::Truncated)?;
        let options = NdpOptions::parse(options)?;
        if code != 0 {
            return Err(WireError::Malformed);
        }
        let mac = |wanted: fn(NdpOption<'a>) -> Option<MacAddr>| options.iter().find_map(wanted);
        let source = |option| match option {
            NdpOption::SourceLinkLayer(mac) => Some(mac),
            _ => None,
        };
        let target_mac = |option| match option {
            NdpOption::TargetLinkLayer(mac) => Some(mac),
            _ => None,
        };
        Ok(match kind {
            ROUTER_SOLICIT => Self::RouterSolicit,
            ROUTER_ADVERT => Self::RouterAdvert(RouterAdvert {
                hop_limit: (rest >> 24) as u8,
                lifetime_s: rest as u16,
                reachable_ms: number(fields, 0)?,
                retrans_ms: number(fields, 4)?,
                options,
            }),
            NEIGHBOR_SOLICIT => {
                Self::NeighborSolicit { target: address(fields, 0)?, source: mac(source) }
            }
            NEIGHBOR_ADVERT => Self::NeighborAdvert {
                router: rest & ROUTER != 0,
                solicited: rest & SOLICITED != 0,
                overrides: rest & OVERRIDE != 0,
                target: address(fields, 0)?,
                mac: mac(target_mac),
            },
            _ => Self::Redirect {
                target: address(fields, 0)?,
                destination: address(fields, 16)?,
                mac: mac(target_mac),
            },
        })
    }
}

/// The number at `at`.
fn number(bytes: &[u8], at: usize) -> Result<u32, WireError> {
    let octets = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    octets.map(|octets| u32::from_be_bytes(*octets)).ok_or(WireError::Truncated)
}

/// The address at `at`.
fn address(bytes: &[u8], at: usize) -> Result<Ipv6Addr, WireError> {
    let octets = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>());
    octets.map(|octets| Ipv6Addr::from(*octets)).ok_or(WireError::Truncated)
}

impl<'a> NdpOptions<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if rest.get(1) == Some(&0) && planted::is(Bug::EmptyNdpOption) {
                break;
            }
            let (_, behind) = Self::split(rest).ok_or(WireError::Malformed)?;
            rest = behind;
        }
        Ok(Self(bytes))
    }

    /// The first option, and the rest. `None` when its length is 0 or more than there is.
    fn split(bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let units = usize::from(*bytes.get(1)?);
        if units == 0 { None } else { bytes.split_at_checked(units * 8) }
    }

    /// Getter: the options in their order.
    pub fn iter(&self) -> impl Iterator<Item = NdpOption<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (option, behind) = Self::split(rest)?;
            rest = behind;
            Some(NdpOption::parse(option))
        })
    }
}

impl<'a> NdpOption<'a> {
    /// An option of the length that it states.
    fn parse(bytes: &'a [u8]) -> Self {
        let be32 = |at: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
            field.map_or(0, |field| u32::from_be_bytes(*field))
        };
        match (bytes[0], bytes.len()) {
            (kind @ (SOURCE_LINK_LAYER | TARGET_LINK_LAYER), LINK_LAYER_LEN) => {
                let mac = MacAddr([bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]);
                if mac.is_multicast() || mac == MacAddr::default() {
                    Self::Other
                } else if kind == SOURCE_LINK_LAYER {
                    Self::SourceLinkLayer(mac)
                } else {
                    Self::TargetLinkLayer(mac)
                }
            }
            (PREFIX, 32) => {
                let Ok(prefix) = address(bytes, 16) else { return Self::Other };
                let prefix_len = bytes[2];
                if prefix_len > 128 {
                    return Self::Other;
                }
                let (on_link, autonomous) = (bytes[3] & 0x80 != 0, bytes[3] & 0x40 != 0);
                let (valid_s, preferred_s) = (be32(4), be32(8));
                let info =
                    PrefixInfo { prefix, prefix_len, on_link, autonomous, valid_s, preferred_s };
                Self::Prefix(info)
            }
            (MTU, 8) => Self::Mtu(be32(4)),
            (RDNSS, len) if len >= 24 && len % 16 == 8 => {
                Self::Rdnss { lifetime_s: be32(4), servers: &bytes[8..] }
            }
            _ => Self::Other,
        }
    }
}

/// Bytes that [`emit_neighbor_solicit`] and [`emit_neighbor_advert`] write at most.
pub const NEIGHBOR_MESSAGE_LEN: usize = ICMP_HEADER_LEN + 16 + LINK_LAYER_LEN;

/// Output: a neighbour solicitation from `src` to `dst`, checksum included. `source` is left out where `src` is
/// unspecified (duplicate address detection). Returns its length, or 0 when there is no room.
pub fn emit_neighbor_solicit(
    out: &mut [u8],
    src: Ipv6Addr,
    dst: Ipv6Addr,
    target: Ipv6Addr,
    source: Option<MacAddr>,
) -> usize {
    let option = source.map(|mac| (SOURCE_LINK_LAYER, mac));
    let header = Icmpv6Header::Other { kind: NEIGHBOR_SOLICIT, code: 0, rest: 0 };
    emit(out, (src, dst), header, Some(target), option)
}

/// Output: a neighbour advertisement of ours: we are no router, and it overrides. Returns its length, or 0 when there is
/// no room.
pub fn emit_neighbor_advert(
    out: &mut [u8],
    src: Ipv6Addr,
    dst: Ipv6Addr,
    target: Ipv6Addr,
    mac: MacAddr,
    solicited: bool,
) -> usize {
    let rest = OVERRIDE | if solicited { SOLICITED } else { 0 };
    let header = Icmpv6Header::Other { kind: NEIGHBOR_ADVERT, code: 0, rest };
    emit(out, (src, dst), header, Some(target), Some((TARGET_LINK_LAYER, mac)))
}

/// Output: a router solicitation. `source` is left out where `src` is unspecified. Returns its length, or 0 when there
/// is no room.
pub fn emit_router_solicit(
    out: &mut [u8],
    src: Ipv6Addr,
    dst: Ipv6Addr,
    source: Option<MacAddr>,
) -> usize {
    let option = source.map(|mac| (SOURCE_LINK_LAYER, mac));
    let header = Icmpv6Header::Other { kind: ROUTER_SOLICIT, code: 0, rest: 0 };
    emit(out, (src, dst), header, None, option)
}

fn emit(
    out: &mut [u8],
    (src, dst): (Ipv6Addr, Ipv6Addr),
    header: Icmpv6Header,
    target: Option<Ipv6Addr>,
    option: Option<(u8, MacAddr)>,
) -> usize {
    let body_len = target.map_or(0, |_| 16);
    let len = ICMP_HEADER_LEN + body_len + option.map_or(0, |_| LINK_LAYER_LEN);
    let Some(message) = out.get_mut(..len) else { return 0 };
    let body = &mut message[ICMP_HEADER_LEN..];
    if let Some(target) = target {
        body[..16].copy_from_slice(&target.octets());
    }
    if let Some((kind, mac)) = option {
        let option = &mut body[body_len..];
        option[..2].copy_from_slice(&[kind, 1]);
        option[2..].copy_from_slice(&mac.0);
    }
    header.emit(message, src, dst);
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const SRC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const DST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    fn parse(message: &[u8]) -> Result<NdpMessage<'_>, WireError> {
        let (header, len) = Icmpv6Header::parse(message, SRC, DST)?;
        NdpMessage::parse(&header, &message[len..])
    }

    /// The header of a message of this type, for bodies without a checksum.
    fn header(kind: u8, rest: u32) -> Icmpv6Header {
        Icmpv6Header::Other { kind, code: 0, rest }
    }

    #[test]
    fn what_is_emitted_is_parsed_back() {
        let mut out = [0xa5; 64];
        let len = emit_neighbor_solicit(&mut out, SRC, DST, DST, Some(MAC));
        let solicit = NdpMessage::NeighborSolicit { target: DST, source: Some(MAC) };
        assert_eq!((len, parse(&out[..len])), (NEIGHBOR_MESSAGE_LEN, Ok(solicit)));
        let len = emit_neighbor_solicit(&mut out, SRC, DST, DST, None);
        let probe = NdpMessage::NeighborSolicit { target: DST, source: None };
        assert_eq!((len, parse(&out[..len])), (24, Ok(probe)));
        let len = emit_neighbor_advert(&mut out, SRC, DST, SRC, MAC, true);
        let advert = NdpMessage::NeighborAdvert {
            router: false,
            solicited: true,
            overrides: true,
            target: SRC,
            mac: Some(MAC),
        };
        assert_eq!(parse(&out[..len]), Ok(advert));
        let len = emit_router_solicit(&mut out, SRC, DST, Some(MAC));
        assert_eq!((len, parse(&out[..len])), (16, Ok(NdpMessage::RouterSolicit)));
        assert_eq!(emit_router_solicit(&mut out[..15], SRC, DST, Some(MAC)), 0);
    }

    #[test]
    fn an_option_of_length_zero_or_over_the_end_spoils_the_message() {
        let mut body = [0; 24];
        for (len, verdict) in [(1, true), (0, false), (2, false)] {
            body[16..18].copy_from_slice(&[99, len]);
            let parsed = NdpMessage::parse(&header(NEIGHBOR_SOLICIT, 0), &body);
            assert_eq!(parsed.is_ok(), verdict, "length {len}");
        }
        assert!(NdpMessage::parse(&header(NEIGHBOR_SOLICIT, 0), &body[..15]).is_err());
        assert!(NdpMessage::parse(&header(NEIGHBOR_SOLICIT, 0), &body[..17]).is_err());
        let wrong_code = Icmpv6Header::Other { kind: ROUTER_SOLICIT, code: 1, rest: 0 };
        assert_eq!(NdpMessage::parse(&wrong_code, &[]), Err(WireError::Malformed));
    }

    #[test]
    fn a_router_advertisement_gives_its_options_one_by_one() {
        let mut body: Vec<u8> = [0, 0, 0x75, 0x30, 0, 0, 3, 0xe8].into();
        body.extend([SOURCE_LINK_LAYER, 1, 2, 0, 0, 0, 0, 9]);
        body.extend([MTU, 1, 0, 0, 0, 0, 0x05, 0xdc]);
        body.extend([PREFIX, 4, 64, 0xc0, 0, 0, 1, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
        let prefix: Ipv6Addr = "2001:db8::".parse().unwrap();
        body.extend(prefix.octets());
        body.extend([RDNSS, 3, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        body.extend(SRC.octets());
        let parsed = NdpMessage::parse(&header(ROUTER_ADVERT, 64 << 24 | 1_800), &body);
        let Ok(NdpMessage::RouterAdvert(advert)) = parsed else { panic!("{parsed:?}") };
        assert_eq!((advert.hop_limit, advert.lifetime_s), (64, 1_800));
        assert_eq!((advert.reachable_ms, advert.retrans_ms), (30_000, 1_000));
        let info = PrefixInfo {
            prefix,
            prefix_len: 64,
            on_link: true,
            autonomous: true,
            valid_s: 256,
            preferred_s: 9,
        };
        let options: Vec<_> = advert.options.iter().collect();
        let servers = SRC.octets();
        let rdnss = NdpOption::Rdnss { lifetime_s: u32::MAX, servers: &servers };
        let expected = [
            NdpOption::SourceLinkLayer(MAC),
            NdpOption::Mtu(1_500),
            NdpOption::Prefix(info),
            rdnss,
        ];
        assert_eq!(options, expected);
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic_and_give_no_more_options_than_fit(
            kind in 130u8..140, rest: u32, body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(NdpMessage::RouterAdvert(advert)) = NdpMessage::parse(&header(kind, rest), &body) {
                prop_assert!(advert.options.iter().count() <= body.len() / 8);
            }
        }
    }
}
