//! The chain of extension headers behind a fixed IPv6 header (RFC 8200 §4), walked as a destination does it: in whatever
//! order they come, and no further than a bound.

use super::IpProtocol;
use super::ipv6::IPV6_HEADER_LEN;
use crate::planted::{self, Bug};

/// Most extension headers that one packet may have. RFC 8504 §5.3 lets a host set such a limit: a longer chain has no
/// honest use, and costs its receiver time.
pub const EXTENSION_HEADERS_MAX: usize = 8;
/// Most options that one hop-by-hop or destination options header may have, padding included (RFC 8504 §5.3).
pub const EXTENSION_OPTIONS_MAX: usize = 16;
/// Bytes of a fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// Hop-by-hop options (RFC 8200 §4.3); stands behind the fixed header only.
pub const HOP_BY_HOP: IpProtocol = IpProtocol(0);
/// Routing header (RFC 8200 §4.4).
pub const ROUTING: IpProtocol = IpProtocol(43);
/// Fragment header (RFC 8200 §4.5).
pub const FRAGMENT: IpProtocol = IpProtocol(44);
/// Nothing follows (RFC 8200 §4.7).
pub const NO_NEXT_HEADER: IpProtocol = IpProtocol(59);
/// Destination options (RFC 8200 §4.6).
pub const DESTINATION_OPTIONS: IpProtocol = IpProtocol(60);

/// Padding of one byte, and the option of several (RFC 8200 §4.2).
const PAD1: u8 = 0;
const PADN: u8 = 1;
/// A router is to look at the packet (RFC 2711): nothing to do for a host.
const ROUTER_ALERT: u8 = 5;

/// A fragment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Fragment {
    /// What the fragmentable part begins with.
    pub next_header: IpProtocol,
    /// Where the piece belongs, in bytes.
    pub offset: u16,
    /// It is not the last piece.
    pub more: bool,
    /// Names the datagram together with source and destination.
    pub identification: u32,
}

impl Ipv6Fragment {
    /// Input: the header at the front of `bytes`; `None` when it is cut short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let h = bytes.first_chunk::<FRAGMENT_HEADER_LEN>()?;
        let field = u16::from_be_bytes([h[2], h[3]]);
        Some(Self {
            next_header: IpProtocol(h[0]),
            offset: field & !0b111,
            more: field & 1 != 0,
            identification: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        })
    }

    /// Output: writes the header to the front of `out`, returns its length, or 0 when there is no room.
    pub fn emit(&self, out: &mut [u8]) -> usize {
        let Some(out) = out.first_chunk_mut::<FRAGMENT_HEADER_LEN>() else { return 0 };
        let field = (self.offset & !0b111) | u16::from(self.more);
        out[0] = self.next_header.0;
        out[1] = 0;
        out[2..4].copy_from_slice(&field.to_be_bytes());
        out[4..8].copy_from_slice(&self.identification.to_be_bytes());
        FRAGMENT_HEADER_LEN
    }

    /// Getter: the datagram is whole all the same: handled by itself, whatever other fragments there are (RFC 6946).
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Where a chain leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionEnd {
    /// To a header that is none of the extension headers: the upper layer's, known here or not.
    Upper {
        /// Its protocol.
        protocol: IpProtocol,
        /// Where it begins, from the start of the packet.
        at: usize,
        /// Where the field is that names it: what a parameter problem points at.
        named_at: usize,
    },
    /// To a fragment header that is not atomic: what is behind it waits for the other pieces.
    Fragment {
        /// The header.
        header: Ipv6Fragment,
        /// Where the piece begins, from the start of the packet.
        at: usize,
        /// Where the field is that names the fragment header: a datagram put together again replaces it.
        named_at: usize,
    },
    /// Nowhere (RFC 8200 §4.7).
    Nothing,
}

/// Why a packet goes no further than its extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionError {
    /// A header is cut short, or its options run over its end.
    Truncated,
    /// More headers or options than the limits allow.
    TooMany,
    /// An option of type 01 that is not known: discarded without a word (RFC 8200 §4.2).
    Discard,
    /// ICMPv6 parameter problem is to be sent (RFC 4443 §3.4).
    ParameterProblem {
        /// 0: a field has a wrong value; 1: unknown next header; 2: unknown option.
        code: u8,
        /// What is wrong, from the start of the packet.
        pointer: u32,
        /// Also where the packet went to a group (options of type 10).
        to_groups: bool,
    },
}

/// Getter: there is a fragment header, be it an atomic one, in the chain of `packet`, which ends where the chain does.
pub fn has_fragment_header(packet: &[u8]) -> bool {
    let Some(first) = packet.get(6) else { return false };
    let (mut protocol, mut at) = (IpProtocol(*first), IPV6_HEADER_LEN);
    for _ in 0..EXTENSION_HEADERS_MAX {
        if protocol == FRAGMENT {
            return true;
        }
        let Some([next, units, ..]) = packet.get(at..) else { return false };
        (protocol, at) = (IpProtocol(*next), at + 8 * (1 + usize::from(*units)));
    }
    false
}

/// Input: walks the chain of `packet`, which begins with the fixed header and may be cut anywhere behind it. `first` is
/// that header's next header.
pub fn walk_extensions(packet: &[u8], first: IpProtocol) -> Result<ExtensionEnd, ExtensionError> {
    let (mut protocol, mut at, mut named_at) = (first, IPV6_HEADER_LEN, 6);
    for index in 0..=EXTENSION_HEADERS_MAX {
        match protocol {
            HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING | FRAGMENT => {}
            NO_NEXT_HEADER => return Ok(ExtensionEnd::Nothing),
            _ => return Ok(ExtensionEnd::Upper { protocol, at, named_at }),
        }
        if index == EXTENSION_HEADERS_MAX || (index > 0 && planted::is(Bug::OneExtension)) {
            break;
        }
        if protocol == FRAGMENT {
            let header = packet.get(at..).and_then(Ipv6Fragment::parse);
            let header = header.ok_or(ExtensionError::Truncated)?;
            if !header.is_atomic() || planted::is(Bug::AtomicFragmentsWait) {
                let at = at + FRAGMENT_HEADER_LEN;
                return Ok(ExtensionEnd::Fragment { header, at, named_at });
            }
            (protocol, named_at, at) = (header.next_header, at, at + FRAGMENT_HEADER_LEN);
            continue;
        }
        // RFC 8200 §4.3: anywhere else the value 0 is no next header at all.
        if protocol == HOP_BY_HOP && index > 0 {
            return Err(problem(1, named_at));
        }
        let header = extension_header(packet, at)?;
        match protocol {
            ROUTING => check_routing(header, at)?,
            _ => check_options(header, at)?,
        }
        (protocol, named_at, at) = (IpProtocol(header[0]), at, at + header.len());
    }
    Err(ExtensionError::TooMany)
}

/// Input: what the packet carries, and where that begins, whatever the headers in between say: for packets that are
/// refused or quoted. `None` where a header is cut short, behind a fragment that is not the first, and beyond the bound.
pub fn find_upper(packet: &[u8], first: IpProtocol) -> Option<(IpProtocol, usize)> {
    let (mut protocol, mut at) = (first, IPV6_HEADER_LEN);
    for _ in 0..=EXTENSION_HEADERS_MAX {
        match protocol {
            HOP_BY_HOP | DESTINATION_OPTIONS | ROUTING => {
                let header = extension_header(packet, at).ok()?;
                (protocol, at) = (IpProtocol(header[0]), at + header.len());
            }
            FRAGMENT => {
                let header = packet.get(at..).and_then(Ipv6Fragment::parse)?;
                if header.offset != 0 {
                    return None;
                }
                (protocol, at) = (header.next_header, at + FRAGMENT_HEADER_LEN);
            }
            _ => return Some((protocol, at)),
        }
    }
    None
}

/// The header at `at`, as long as its length field says.
fn extension_header(packet: &[u8], at: usize) -> Result<&[u8], ExtensionError> {
    let rest = packet.get(at..).ok_or(ExtensionError::Truncated)?;
    let units = rest.get(1).ok_or(ExtensionError::Truncated)?;
    rest.get(..(usize::from(*units) + 1) * 8).ok_or(ExtensionError::Truncated)
}

const fn problem(code: u8, pointer: usize) -> ExtensionError {
    ExtensionError::ParameterProblem { code, pointer: pointer as u32, to_groups: false }
}

/// RFC 8200 §4.4: no routing type is known here, type 0 least of all (RFC 5095): the header is passed over when it is
/// used up, else the packet goes no further.
fn check_routing(header: &[u8], at: usize) -> Result<(), ExtensionError> {
    if header[3] == 0 || planted::is(Bug::RoutingHeaders) {
        Ok(())
    } else {
        Err(problem(0, at + 2))
    }
}

/// RFC 8200 §4.2: what is to be done about an option that is not known is in its two highest bits.
fn check_options(header: &[u8], at: usize) -> Result<(), ExtensionError> {
    let mut position = 2;
    let most = if planted::is(Bug::EndlessChains) { 65_536 } else { EXTENSION_OPTIONS_MAX };
    for _ in 0..most {
        let Some(&kind) = header.get(position) else { return Ok(()) };
        if kind == PAD1 {
            position += 1;
            continue;
        }
        let len = header.get(position + 1).ok_or(ExtensionError::Truncated)?;
        let end = position + 2 + usize::from(*len);
        if end > header.len() {
            return Err(ExtensionError::Truncated);
        }
        match kind >> 6 {
            0b00 => {}
            _ if planted::is(Bug::ActionBitsIgnored) => {}
            _ if kind == PADN || kind == ROUTER_ALERT => {}
            0b01 => return Err(ExtensionError::Discard),
            action => {
                let pointer = (at + position) as u32;
                let to_groups = action == 0b10;
                return Err(ExtensionError::ParameterProblem { code: 2, pointer, to_groups });
            }
        }
        position = end;
    }
    if position >= header.len() { Ok(()) } else { Err(ExtensionError::TooMany) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const TCP: u8 = IpProtocol::TCP.0;

    /// A packet whose chain is `headers`: for each its own kind and the bytes behind its next header field.
    fn packet(headers: &[(IpProtocol, &[u8])]) -> Vec<u8> {
        let mut packet = vec![0; IPV6_HEADER_LEN];
        for (index, (_, rest)) in headers.iter().enumerate() {
            let next = headers.get(index + 1).map_or(TCP, |(kind, _)| kind.0);
            packet.push(next);
            packet.extend_from_slice(rest);
        }
        packet
    }

    fn walk(headers: &[(IpProtocol, &[u8])]) -> Result<ExtensionEnd, ExtensionError> {
        walk_extensions(&packet(headers), headers[0].0)
    }

    const PADDING: &[u8] = &[0, PADN, 4, 0, 0, 0, 0];
    const ATOMIC: &[u8] = &[0, 0, 0, 1, 2, 3, 4];

    #[test]
    fn a_chain_in_any_order_leads_to_the_upper_layer() {
        let used_up = [0, 0, 0, 0, 0, 0, 0].as_slice();
        let end = walk(&[
            (HOP_BY_HOP, PADDING),
            (FRAGMENT, ATOMIC),
            (DESTINATION_OPTIONS, PADDING),
            (ROUTING, used_up),
            (DESTINATION_OPTIONS, PADDING),
        ]);
        let (at, named_at) = (40 + 5 * 8, 40 + 4 * 8);
        let found = find_upper(&packet(&[(HOP_BY_HOP, PADDING), (FRAGMENT, ATOMIC)]), HOP_BY_HOP);
        assert_eq!(found, Some((IpProtocol::TCP, 40 + 2 * 8)));
        assert_eq!(end, Ok(ExtensionEnd::Upper { protocol: IpProtocol::TCP, at, named_at }));
    }

    #[test]
    fn a_fragment_that_is_not_atomic_ends_the_walk_and_no_next_header_leads_nowhere() {
        let end = walk(&[(FRAGMENT, &[0, 0, 0b1001, 0, 0, 0, 7])]);
        let Ok(ExtensionEnd::Fragment { header, at: 48, named_at: 6 }) = end else {
            panic!("{end:?}")
        };
        assert_eq!((header.offset, header.more, header.identification), (8, true, 7));
        let nothing = walk_extensions(&[0; 40], NO_NEXT_HEADER);
        assert_eq!(nothing, Ok(ExtensionEnd::Nothing));
    }

    #[test]
    fn what_is_unknown_is_treated_as_its_own_bits_say() {
        let option = |kind: u8| [0, kind, 4, 0, 0, 0, 0];
        let destination = |kind| walk(&[(DESTINATION_OPTIONS, &option(kind))]);
        assert!(destination(0x1e).is_ok(), "00: skipped");
        assert_eq!(destination(0x5e), Err(ExtensionError::Discard));
        let problem =
            |to_groups| ExtensionError::ParameterProblem { code: 2, pointer: 42, to_groups };
        assert_eq!(destination(0x9e), Err(problem(true)));
        assert_eq!(destination(0xde), Err(problem(false)));
    }

    #[test]
    fn source_routes_and_hop_by_hop_options_in_the_middle_are_parameter_problems() {
        let type_0 = [0, 0, 1, 0, 0, 0, 0].as_slice();
        let at =
            |code, pointer| ExtensionError::ParameterProblem { code, pointer, to_groups: false };
        assert_eq!(walk(&[(ROUTING, type_0)]), Err(at(0, 42)));
        let late = walk(&[(DESTINATION_OPTIONS, PADDING), (HOP_BY_HOP, PADDING)]);
        assert_eq!(late, Err(at(1, 40)));
    }

    #[test]
    fn chains_and_options_without_end_are_refused() {
        let long = [(DESTINATION_OPTIONS, PADDING); EXTENSION_HEADERS_MAX];
        assert!(walk(&long).is_ok());
        let longer = [(DESTINATION_OPTIONS, PADDING); EXTENSION_HEADERS_MAX + 1];
        assert_eq!(walk(&longer), Err(ExtensionError::TooMany));
        let mut options = vec![3];
        options.extend([PAD1; 30]);
        assert_eq!(walk(&[(DESTINATION_OPTIONS, &options)]), Err(ExtensionError::TooMany));
        let over = [0, PADN, 5, 0, 0, 0, 0].as_slice();
        assert_eq!(walk(&[(DESTINATION_OPTIONS, over)]), Err(ExtensionError::Truncated));
        assert_eq!(walk_extensions(&[0; 41], ROUTING), Err(ExtensionError::Truncated));
    }

    proptest! {
        #[test]
        fn no_chain_leads_beyond_its_packet_or_panics(
            bytes in proptest::collection::vec(any::<u8>(), 40..200), first in 0u8..70,
        ) {
            if let Ok(ExtensionEnd::Upper { at, named_at, .. } | ExtensionEnd::Fragment { at, named_at, .. })
                = walk_extensions(&bytes, IpProtocol(first))
            {
                prop_assert!(at <= bytes.len() && named_at < at);
            }
            if let Some((_, at)) = find_upper(&bytes, IpProtocol(first)) {
                prop_assert!(at <= bytes.len());
            }
        }

        #[test]
        fn a_fragment_header_is_parsed_back(
            next_header: u8, offset: u16, more: bool, identification: u32,
        ) {
            let offset = offset & !7;
            let header = Ipv6Fragment { next_header: IpProtocol(next_header), offset, more, identification };
            let mut bytes = [0xa5; 9];
            prop_assert_eq!(header.emit(&mut bytes), 8);
            prop_assert_eq!(Ipv6Fragment::parse(&bytes), Some(header));
        }
    }
}
