//! Multicast Listener Discovery, version 2 (RFC 3810): reports of ours, and the queries that ask for them.

use core::net::Ipv6Addr;

use super::icmpv4::ICMP_HEADER_LEN;
use super::icmpv6::Icmpv6Header;
use super::{IpProtocol, WireError};

/// Where reports go: all routers that understand them.
pub const MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// Hop limit of every message (RFC 3810 §5).
pub const MLD_HOP_LIMIT: u8 = 1;

/// ICMPv6 types.
const QUERY: u8 = 130;
const REPORT_V2: u8 = 143;
/// Bytes of a record without sources.
const RECORD_LEN: usize = 20;

/// The hop-by-hop options header in front of every message: router alert (RFC 2711) and padding.
const ROUTER_ALERT: [u8; 8] = [IpProtocol::ICMPV6.0, 0, 5, 2, 0, 0, 1, 0];

/// What a record says of a group (RFC 3810 §5.2.12). We listen to every source or to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MldRecord {
    /// Answer to a query: we listen (MODE_IS_EXCLUDE, no sources).
    Listens,
    /// We begin to listen (CHANGE_TO_EXCLUDE_MODE, no sources).
    Begins,
    /// We cease to listen (CHANGE_TO_INCLUDE_MODE, no sources).
    Ceases,
}

/// A query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MldQuery {
    /// The group that it is about; unspecified: all.
    pub group: Ipv6Addr,
    /// Answer at a random moment within so many milliseconds.
    pub delay_ms_max: u32,
}

impl MldQuery {
    /// Input: the query of an ICMPv6 header and what follows it. `Unsupported` for other types.
    pub fn parse(header: &Icmpv6Header, body: &[u8]) -> Result<Self, WireError> {
        let Icmpv6Header::Other { kind: QUERY, rest, .. } = *header else {
            return Err(WireError::Unsupported);
        };
        let group = body.first_chunk::<16>().ok_or(WireError::Truncated)?;
        let code = rest >> 16;
        // RFC 3810 §5.1.3: from 32768 on the code is a floating-point number.
        let delay_ms_max = if code < 0x8000 {
            code
        } else {
            ((code & 0x0fff) | 0x1000) << (((code >> 12) & 0b111) + 3)
        };
        Ok(Self { group: Ipv6Addr::from(*group), delay_ms_max })
    }
}

/// Getter: bytes of the payload that [`emit_report`] writes for `records` records.
pub const fn report_len(records: usize) -> usize {
    ROUTER_ALERT.len() + ICMP_HEADER_LEN + records * RECORD_LEN
}

/// Output: the payload of an IPv6 packet from `src` to [`MLD_ROUTERS`] with a report: its next header is
/// [`super::ipv6_ext::HOP_BY_HOP`]. `out` is exactly [`report_len`] bytes long; nothing is written, and false returned, when it is not.
pub fn emit_report(out: &mut [u8], src: Ipv6Addr, records: &[(MldRecord, Ipv6Addr)]) -> bool {
    if out.len() != report_len(records.len()) {
        return false;
    }
    let (options, message) = out.split_at_mut(ROUTER_ALERT.len());
    options.copy_from_slice(&ROUTER_ALERT);
    for (record, (kind, group)) in
        message[ICMP_HEADER_LEN..].chunks_exact_mut(RECORD_LEN).zip(records)
    {
        let kind = match kind {
            MldRecord::Listens => 2,
            MldRecord::Begins => 4,
            MldRecord::Ceases => 3,
        };
        record[..4].copy_from_slice(&[kind, 0, 0, 0]);
        record[4..].copy_from_slice(&group.octets());
    }
    let rest = records.len() as u32;
    Icmpv6Header::Other { kind: REPORT_V2, code: 0, rest }.emit(message, src, MLD_ROUTERS);
    true
}

#[cfg(test)]
mod tests {
    use super::super::ipv6_ext::{ExtensionEnd, HOP_BY_HOP, walk_extensions};
    use super::*;
    use alloc::vec;

    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 9);
    const SRC: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    #[test]
    fn a_report_names_its_groups_behind_a_router_alert() {
        let mut packet = vec![0xa5; 40 + report_len(2)];
        let records = [(MldRecord::Begins, GROUP), (MldRecord::Ceases, SRC)];
        assert!(emit_report(&mut packet[40..], SRC, &records));
        assert!(!emit_report(&mut packet, SRC, &records));
        let end = walk_extensions(&packet, HOP_BY_HOP);
        let upper = ExtensionEnd::Upper { protocol: IpProtocol::ICMPV6, at: 48, named_at: 40 };
        assert_eq!(end, Ok(upper));
        let (header, len) = Icmpv6Header::parse(&packet[48..], SRC, MLD_ROUTERS).unwrap();
        assert_eq!(header, Icmpv6Header::Other { kind: 143, code: 0, rest: 2 });
        let body = &packet[48 + len..];
        assert_eq!((body[0], &body[4..20]), (4, &GROUP.octets()[..]));
        assert_eq!(body[20], 3);
    }

    #[test]
    fn a_query_s_delay_is_a_number_or_a_floating_point_one() {
        let mut body = [0; 20];
        body[..16].copy_from_slice(&GROUP.octets());
        let query =
            |rest| MldQuery::parse(&Icmpv6Header::Other { kind: QUERY, code: 0, rest }, &body);
        let of = |delay_ms_max| Ok(MldQuery { group: GROUP, delay_ms_max });
        assert_eq!(query(10_000 << 16), of(10_000));
        assert_eq!(query(0x8000 << 16), of(0x8000));
        assert_eq!(query(0xffff_0000), of(0x1fff << 10));
        let other = Icmpv6Header::EchoReply { identifier: 0, sequence: 0 };
        assert_eq!(MldQuery::parse(&other, &body), Err(WireError::Unsupported));
        let cut = Icmpv6Header::Other { kind: QUERY, code: 0, rest: 0 };
        assert_eq!(MldQuery::parse(&cut, &body[..15]), Err(WireError::Truncated));
    }
}
