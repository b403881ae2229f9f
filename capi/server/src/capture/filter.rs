//! Which frames somebody wants to see.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// A protocol that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768; Machnet's packets are such datagrams.
    Udp,
    /// RFC 792.
    Icmp,
    /// RFC 4443.
    Icmp6,
    /// RFC 826.
    Arp,
}

/// What a frame must have; what is `None` it may have or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// An address at either end.
    pub host: Option<IpAddr>,
    /// A TCP or UDP port at either end.
    pub port: Option<u16>,
    /// The protocol.
    pub protocol: Option<Protocol>,
    /// The name of the interface.
    pub interface: Option<String>,
}

/// What of a frame can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    ends: Option<[IpAddr; 2]>,
    protocol: Option<Protocol>,
    ports: Option<[u16; 2]>,
}

impl Filter {
    /// Getter: it lets a frame through that begins with `head`, as Ethernet or as IP. Of a frame that is cut the rest is unknown.
    pub(super) fn matches(&self, ethernet: bool, head: &[u8]) -> bool {
        if self.host.is_none() && self.port.is_none() && self.protocol.is_none() {
            return true;
        }
        let facts = match ethernet {
            true => of_ethernet(head),
            false => of_ip(head),
        };
        let facts = facts.unwrap_or_default();
        self.host.is_none_or(|host| facts.ends.is_some_and(|ends| ends.contains(&host)))
            && self.port.is_none_or(|port| facts.ports.is_some_and(|ports| ports.contains(&port)))
            && self.protocol.is_none_or(|protocol| facts.protocol == Some(protocol))
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_ARP: u16 = 0x0806;

fn of_ethernet(frame: &[u8]) -> Option<Facts> {
    let tagged = half(frame, 12)? == ETHERTYPE_VLAN;
    let at = if tagged { 16 } else { 12 };
    let payload = frame.get(at + 2..)?;
    match half(frame, at)? {
        ETHERTYPE_ARP => {
            let address = |at: usize| {
                let octets = payload.get(at..)?.first_chunk::<4>()?;
                Some(IpAddr::V4(Ipv4Addr::from(*octets)))
            };
            let ends = address(14).zip(address(24)).map(|(sender, target)| [sender, target]);
            Some(Facts { ends, protocol: Some(Protocol::Arp), ports: None })
        }
        _ => of_ip(payload),
    }
}

fn of_ip(packet: &[u8]) -> Option<Facts> {
    match packet.first()? >> 4 {
        4 => {
            let address = |at: usize| packet.get(at..)?.first_chunk::<4>().copied();
            let ends = [address(12)?, address(16)?].map(|octets| Ipv4Addr::from(octets).into());
            let header = usize::from(packet[0] & 0xf) * 4;
            let first = half(packet, 6)? & 0x1fff == 0;
            let payload = packet.get(header..).filter(|_| first);
            Some(of_transport(ends, *packet.get(9)?, payload))
        }
        6 => {
            let address = |at: usize| packet.get(at..)?.first_chunk::<16>().copied();
            let ends = [address(8)?, address(24)?].map(|octets| Ipv6Addr::from(octets).into());
            let (next, payload) = behind_extensions(*packet.get(6)?, packet.get(40..)?);
            Some(of_transport(ends, next, payload))
        }
        _ => None,
    }
}

/// The upper layer of an IPv6 packet. Of a fragment that is not the first, only its protocol is known.
fn behind_extensions(mut next: u8, mut payload: &[u8]) -> (u8, Option<&[u8]>) {
    // Hop-by-hop options, routing, fragment, destination options (RFC 8200 §4.1): more than these few are nobody's.
    for _ in 0..8 {
        let len = match next {
            0 | 43 | 60 => payload.get(1).map(|words| (usize::from(*words) + 1) * 8),
            44 if half(payload, 2).is_some_and(|offset| offset >> 3 != 0) => {
                return (payload[0], None);
            }
            44 => Some(8),
            _ => return (next, Some(payload)),
        };
        let rest = len.and_then(|len| payload.get(len..));
        let (Some(rest), Some(after)) = (rest, payload.first()) else { return (next, None) };
        (next, payload) = (*after, rest);
    }
    (next, None)
}

fn of_transport(ends: [IpAddr; 2], number: u8, payload: Option<&[u8]>) -> Facts {
    let protocol = match number {
        6 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        1 => Some(Protocol::Icmp),
        58 => Some(Protocol::Icmp6),
        _ => None,
    };
    let has_ports = matches!(protocol, Some(Protocol::Tcp | Protocol::Udp));
    let payload = payload.filter(|_| has_ports);
    let ports = payload.and_then(|bytes| Some([half(bytes, 0)?, half(bytes, 2)?]));
    Facts { ends: Some(ends), protocol, ports }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, fragment: u16) -> Vec<u8> {
        let mut packet = vec![0x46, 0, 0, 44];
        packet.extend([0, 1]);
        packet.extend(fragment.to_be_bytes());
        packet.extend([64, protocol, 0, 0, 10, 0, 1, 5, 10, 0, 1, 6]);
        // An option, then ports.
        packet.extend([1, 1, 1, 0, 0x1b, 0x58, 0, 80]);
        packet
    }

    fn ethernet(kind: &[u8], payload: &[u8]) -> Vec<u8> {
        [&[0; 12], kind, payload].concat()
    }

    fn by(change: impl FnOnce(&mut Filter)) -> Filter {
        let mut filter = Filter::default();
        change(&mut filter);
        filter
    }

    #[test]
    fn each_part_of_a_filter_lets_through_what_has_it_and_nothing_else() {
        let tcp = ipv4(6, 0);
        let host = |text: &str| by(|f| f.host = Some(text.parse().unwrap()));
        let port = |port| by(|f| f.port = Some(port));
        let protocol = |protocol| by(|f| f.protocol = Some(protocol));
        for (filter, through) in [
            (Filter::default(), true),
            (host("10.0.1.5"), true),
            (host("10.0.1.6"), true),
            (host("10.0.1.7"), false),
            (port(7000), true),
            (port(80), true),
            (port(81), false),
            (protocol(Protocol::Tcp), true),
            (protocol(Protocol::Udp), false),
            (by(|f| (f.port, f.protocol) = (Some(80), Some(Protocol::Udp))), false),
        ] {
            assert_eq!(filter.matches(false, &tcp), through, "{filter:?}");
            let plain = ethernet(&[8, 0], &tcp);
            assert_eq!(filter.matches(true, &plain), through, "{filter:?}");
            let tagged = ethernet(&[0x81, 0, 0, 5, 8, 0], &tcp);
            assert_eq!(filter.matches(true, &tagged), through, "{filter:?}");
        }
        assert!(!port(80).matches(false, &ipv4(6, 5)), "a later fragment has no ports");
        assert!(host("10.0.1.5").matches(false, &ipv4(6, 5)));
        assert!(!port(80).matches(false, &ipv4(1, 0)), "ICMP has none");
    }

    #[test]
    fn arp_and_ipv6_are_seen_through_as_well_and_what_is_cut_is_unknown() {
        let mut arp = vec![0; 28];
        arp[14..18].copy_from_slice(&[10, 0, 1, 5]);
        let arp = ethernet(&[8, 6], &arp);
        let wanted =
            by(|f| (f.host, f.protocol) = (Some([10, 0, 1, 5].into()), Some(Protocol::Arp)));
        assert!(wanted.matches(true, &arp));
        let mut packet = vec![0x60, 0, 0, 0, 0, 16, 60, 64];
        packet.extend([[0; 15].as_slice(), &[1], &[0; 15], &[2]].concat());
        // Destination options, then UDP.
        packet.extend([17, 0, 0, 0, 0, 0, 0, 0, 0, 53, 0, 99]);
        let port = by(|f| (f.port, f.host) = (Some(53), Some("::2".parse().unwrap())));
        assert!(port.matches(false, &packet));
        for len in 0..packet.len() - 2 {
            assert!(!port.matches(false, &packet[..len]), "{len}");
        }
        assert!(by(|_| {}).matches(true, &[]), "without a wish everything is wanted");
        let endless = [[60].as_slice(), &[0; 7]].concat().repeat(20);
        let mut packet = packet[..40].to_vec();
        packet.extend(endless);
        assert!(!port.matches(false, &packet));
    }
}
