//! IP packets by themselves.

use std::net::IpAddr;

use super::host::HostRules;
use super::registry::{
    ICMP_CHECKSUM, IP_CHECKSUM, IP_FRAGMENT, IP_HEADER, IP_IDENTIFICATION, IP_MTU, IP_SOURCE,
    TCP_CHECKSUM, TCP_DONT_FRAGMENT, TCP_FRAGMENT, UDP_CHECKSUM,
};
use super::report::{Report, Scene};
use crate::packet::{Checksums, Ip, Transport, Udp, Verdict};

/// Below, packets may have to be cut on the way (RFC 1191 3: a path of less than this is not believed).
const ALWAYS_WHOLE: usize = 576;
/// What every link carries in one piece (RFC 791 3.2): it is never cut.
const NEVER_CUT: usize = 68;
/// Datagrams whose identifications are remembered.
const REMEMBERED: usize = 16;
const TCP: u8 = 6;

/// A packet that may be cut.
#[derive(Clone, Copy, Debug)]
struct Identified {
    destination: IpAddr,
    protocol: u8,
    identification: u32,
    /// Of a segment: what is sent again may have its identification again, it is the same.
    seq: Option<u32>,
}

impl Identified {
    /// Pieces of both could be put together.
    fn clashes(self, other: &Self) -> bool {
        (self.destination, self.protocol) == (other.destination, other.protocol)
            && self.identification == other.identification
            && (self.seq.is_none() || self.seq != other.seq)
    }
}

/// What a host's packets leave behind.
#[derive(Debug, Default)]
pub(super) struct Sent {
    identifications: [Option<Identified>; REMEMBERED],
    next: usize,
}

/// Input: a host sends a packet.
#[inline]
pub(super) fn sent(
    state: &mut Sent,
    (ip, transport): (&Ip, &Transport),
    checksums: &Checksums,
    host: &HostRules,
    scene: &Scene,
    out: &mut Report,
) {
    if ip.reserved_flag || ip.hops == 0 {
        let words = format!("hops {}, reserved flag {}", ip.hops, ip.reserved_flag);
        out.broken(IP_HEADER, scene, words);
    }
    if !host.owns(ip.source) && !may_be_source(ip, host) {
        out.broken(IP_SOURCE, scene, format!("from {} to {}", ip.source, ip.destination));
    }
    if ip.total_len() > usize::from(host.mtu) {
        let words = format!("{} bytes, the MTU is {}", ip.total_len(), host.mtu);
        out.broken(IP_MTU, scene, words);
    }
    if !host.checksums_by_nic {
        judge_checksums(transport, checksums, scene, out);
    }
    if ip.protocol == TCP {
        judge_tcp(ip, host, scene, out);
    }
    judge_fragment(ip, scene, out);
    // Machnet has one identification for all, as upstream; it is never cut.
    let machnet = matches!(transport, Transport::Udp(Udp { machnet: Some(_), .. }));
    let whole = ip.dont_fragment || machnet || !ip.is_v4() || ip.total_len() <= NEVER_CUT;
    if !whole && ip.fragment.is_none_or(|fragment| fragment.offset == 0) {
        let seq = if let Transport::Tcp(tcp) = transport { Some(tcp.seq) } else { None };
        let (destination, protocol, identification) =
            (ip.destination, ip.protocol, ip.identification);
        let this = Identified { destination, protocol, identification, seq };
        if state.identifications.iter().flatten().any(|other| this.clashes(other)) {
            let words = format!("{identification:#06x} again, to {destination}");
            out.broken(IP_IDENTIFICATION, scene, words);
        }
        state.identifications[state.next % REMEMBERED] = Some(this);
        state.next += 1;
    }
}

/// Link-local addresses, and none while one is asked for, belong to everybody.
fn may_be_source(ip: &Ip, host: &HostRules) -> bool {
    match ip.source {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => {
            host.autoconfigured || address.is_unicast_link_local() || address.is_unspecified()
        }
    }
}

fn judge_checksums(transport: &Transport, sums: &Checksums, scene: &Scene, out: &mut Report) {
    if sums.ip == Verdict::Wrong {
        out.broken(IP_CHECKSUM, scene, "wrong".to_owned());
    }
    let rule = match transport {
        Transport::Tcp(_) => TCP_CHECKSUM,
        Transport::Udp(_) => UDP_CHECKSUM,
        Transport::Icmp(_) => ICMP_CHECKSUM,
        Transport::LaterFragment | Transport::Other => return,
    };
    match sums.transport {
        Verdict::Wrong => out.broken(rule, scene, "wrong".to_owned()),
        Verdict::Omitted => out.broken(rule, scene, "absent".to_owned()),
        Verdict::Right | Verdict::Absent => {}
    }
}

fn judge_tcp(ip: &Ip, host: &HostRules, scene: &Scene, out: &mut Report) {
    if ip.fragment.is_some() {
        out.broken(TCP_FRAGMENT, scene, format!("{:?}", ip.fragment));
    }
    if host.path_mtu_discovery && !ip.dont_fragment && ip.total_len() > ALWAYS_WHOLE {
        out.broken(TCP_DONT_FRAGMENT, scene, format!("{} bytes without DF", ip.total_len()));
    }
}

fn judge_fragment(ip: &Ip, scene: &Scene, out: &mut Report) {
    let Some(fragment) = ip.fragment else { return };
    let len = ip.end - ip.payload_at;
    let ragged = fragment.more && !len.is_multiple_of(8);
    if ragged || fragment.offset as usize + len > usize::from(u16::MAX) {
        out.broken(IP_FRAGMENT, scene, format!("{fragment:?} with {len} bytes"));
    }
}
