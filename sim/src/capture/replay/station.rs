//! Whoever the stack asks for an address gets an answer: everybody is at one station.

use std::net::{IpAddr, Ipv6Addr};

use crate::link::repair;
use crate::packet::{Arp, Icmp, Network, Packet, Transport};

/// The station of everybody else.
pub(super) const STATION: [u8; 6] = [0x02, 0x70, 0, 0, 0, 1];

/// The answer to a question for an address (RFC 826, RFC 4861 7.2.4); `own` are the addresses of whoever asks.
pub(super) fn answer(packet: &Packet<'_>, own: &[IpAddr]) -> Option<Vec<u8>> {
    let asker = packet.link.source;
    match &packet.network {
        Network::Arp(arp) if arp.operation == Arp::REQUEST => {
            if own.contains(&IpAddr::V4(arp.target)) || arp.is_probe() {
                return None;
            }
            let mut bytes = [asker, STATION].concat();
            bytes.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, Arp::REPLY as u8]);
            bytes.extend(STATION);
            bytes.extend(arp.target.octets());
            bytes.extend(asker);
            bytes.extend(arp.sender.octets());
            Some(bytes)
        }
        Network::Ip(ip, Transport::Icmp(icmp)) if icmp.kind == Icmp::SOLICITATION && !icmp.v4 => {
            let (target, IpAddr::V6(source)) = (icmp.target?, ip.source) else { return None };
            // Somebody asks whether an address is free.
            if source.is_unspecified() || own.contains(&IpAddr::V6(target)) {
                return None;
            }
            Some(advertisement(asker, target, source))
        }
        Network::Arp(_) | Network::Ip(..) | Network::Other(_) => None,
    }
}

/// Solicited, overriding, with the station in its option.
fn advertisement(asker: [u8; 6], target: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let mut bytes = [asker, STATION].concat();
    bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    bytes.extend(target.octets());
    bytes.extend(to.octets());
    bytes.extend([Icmp::ADVERTISEMENT, 0, 0, 0, 0x60, 0, 0, 0]);
    bytes.extend(target.octets());
    bytes.extend([2, 1]);
    bytes.extend(STATION);
    repair(&mut bytes);
    bytes
}
