//! What a router tells the sender of a packet that it cannot pass on (RFC 792, RFC 1812 §4.3, RFC 4443).

use std::net::IpAddr;

use crate::link::repair;
use crate::packet::{Icmp, Ip, Network, Packet, Transport};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// An error about an IPv4 packet is this long at most (RFC 1812 §4.3.2.3).
const ERROR_MAX_V4: usize = 576;
/// An error about an IPv6 packet is this long at most (RFC 4443 §2.4 (c)).
const ERROR_MAX_V6: usize = 1_280;
const HOPS: u8 = 64;

/// Why a packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The next link carries so many bytes, and the packet may not be cut (RFC 1191 §4, RFC 8201).
    TooBig(u16),
    /// It has passed as many routers as it may.
    TimeExceeded,
    /// No route leads there.
    NoRoute,
}

impl Told {
    /// Type, code, and the four bytes that depend on them.
    const fn header(self, v4: bool) -> (u8, u8, u32) {
        match (self, v4) {
            (Self::TooBig(mtu), true) => (3, 4, mtu as u32),
            (Self::TooBig(mtu), false) => (2, 0, mtu as u32),
            (Self::TimeExceeded, true) => (11, 0, 0),
            (Self::TimeExceeded, false) => (3, 0, 0),
            (Self::NoRoute, true) => (3, 0, 0),
            (Self::NoRoute, false) => (1, 0, 0),
        }
    }
}

/// Output: the frame with which a router at `router` answers `frame`: back to the station that it came from. `None` for what deserves no
/// answer: no IP packet, an error, a part that is not the first, and what was not sent by one host to one (RFC 1122 §3.2.2, RFC 4443
/// §2.4 (e)).
pub fn error(frame: &[u8], router: IpAddr, told: Told) -> Option<Vec<u8>> {
    let packet = Packet::parse(frame).ok()?;
    let Network::Ip(ip, transport) = &packet.network else { return None };
    if router.is_ipv4() != ip.is_v4() || !deserves_answer(&packet, ip, transport) {
        return None;
    }
    let (header_len, most) = if ip.is_v4() { (20, ERROR_MAX_V4) } else { (40, ERROR_MAX_V6) };
    let quoted = ip.total_len().min(most - header_len - 8);
    let len = 8 + quoted;
    let mut bytes = Vec::with_capacity(ETHERNET + 4 + header_len + len);
    bytes.extend(packet.link.source);
    bytes.extend(packet.link.destination);
    match (router, ip.source) {
        (IpAddr::V4(router), IpAddr::V4(sender)) => {
            bytes.extend([0x08, 0x00, 0x45, 0]);
            bytes.extend((20 + len as u16).to_be_bytes());
            bytes.extend([0, 0, 0, 0, HOPS, 1, 0, 0]);
            bytes.extend(router.octets());
            bytes.extend(sender.octets());
        }
        (IpAddr::V6(router), IpAddr::V6(sender)) => {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend((len as u16).to_be_bytes());
            bytes.extend([58, HOPS]);
            bytes.extend(router.octets());
            bytes.extend(sender.octets());
        }
        (_, _) => return None,
    }
    let (kind, code, rest) = told.header(ip.is_v4());
    bytes.extend([kind, code, 0, 0]);
    bytes.extend(rest.to_be_bytes());
    bytes.extend(&frame[ip.at..ip.at + quoted]);
    repair(&mut bytes);
    // It goes back over the VLAN that the frame came by.
    if let Some(vlan) = packet.link.vlan {
        let [high, low] = vlan.to_be_bytes();
        bytes.splice(12..12, [0x81, 0x00, high, low]);
    }
    Some(bytes)
}

fn deserves_answer(packet: &Packet<'_>, ip: &Ip, transport: &Transport) -> bool {
    let one = |address: IpAddr| {
        let limited = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        !address.is_multicast() && !address.is_unspecified() && !address.is_loopback() && !limited
    };
    let is_error = matches!(transport, Transport::Icmp(icmp) if is_error(icmp));
    let later = ip.fragment.is_some_and(|fragment| fragment.offset > 0);
    let to_all = packet.link.destination[0] & 1 != 0;
    one(ip.source) && one(ip.destination) && !is_error && !later && !to_all
}

const fn is_error(icmp: &Icmp) -> bool {
    icmp.is_error() || !icmp.v4 && icmp.kind < 128
}
