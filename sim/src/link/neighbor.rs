//! What misleads a host about where its neighbours are: ARP packets (RFC 826) and messages of neighbour discovery (RFC 4861 §4) that say
//! something else than their sender did, or that nobody sent.

use super::rewrite::repair;
use crate::fault::IP;

const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TAG: [u8; 2] = [0x81, 0x00];
/// Where an ARP packet over Ethernet names its sender's station, and how long it is.
const ARP_SENDER: usize = IP + 8;
const ARP_END: usize = IP + 28;
/// Where ICMPv6 begins behind an IPv6 header, and where the options of a solicitation or an advertisement of a neighbour do.
const ICMP: usize = IP + 40;
const OPTIONS: usize = ICMP + 24;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Getter: the frame asks for a neighbour's station, or says one: in a VLAN, too.
pub(super) fn is_resolution(frame: &[u8]) -> bool {
    let shift = if frame.get(12..14) == Some(&TAG) { 4 } else { 0 };
    let Some(kind) = frame.get(12 + shift..14 + shift) else { return false };
    if kind == ARP {
        return true;
    }
    let is_icmp = kind == IPV6 && frame.get(IP + shift + 6) == Some(&58);
    is_icmp && matches!(frame.get(ICMP + shift), Some(133..=137))
}

/// Command: what the frame says of its sender's station is that it is `station`. A probe (RFC 5227 §2.1.1) says nothing, and what has a
/// VLAN tag stays as it is.
pub(super) fn falsify(frame: &mut [u8], station: [u8; 6]) {
    match frame.get(12..14) {
        Some(kind)
            if kind == ARP
                && frame.len() >= ARP_END
                && frame[ARP_SENDER + 6..ARP_SENDER + 10] != [0; 4] =>
        {
            frame[ARP_SENDER..ARP_SENDER + 6].copy_from_slice(&station);
        }
        Some(kind) if kind == IPV6 && frame.get(IP + 6) == Some(&58) => {
            // The source of a solicitation, the target of an advertisement (RFC 4861 §4.6.1).
            let wanted = match frame.get(ICMP) {
                Some(&SOLICITATION) => 1,
                Some(&ADVERTISEMENT) => 2,
                _ => return,
            };
            let mut at = OPTIONS;
            while let Some(&[kind, len]) = frame.get(at..at + 2) {
                let next = at + usize::from(len) * 8;
                if len == 0 || next > frame.len() {
                    return;
                }
                if kind == wanted {
                    frame[at + 2..at + 8].copy_from_slice(&station);
                    repair(frame);
                    return;
                }
                at = next;
            }
        }
        _ => {}
    }
}

/// Output: an answer that nobody asked for, to the receiver of `frame`: its sender is at a station that `value` names. `None` where
/// `frame` carries no IP.
pub(super) fn claim(frame: &[u8], value: u32) -> Option<Vec<u8>> {
    let [a, b, c, d] = value.to_be_bytes();
    // Locally administered (IEEE 802 8.2.2), and none of a host's or router's.
    let station = [0x02, 0x66, a, b, c, d];
    let receiver = frame.get(..6)?;
    if receiver[0] & 1 != 0 {
        return None;
    }
    let mut bytes = receiver.to_vec();
    bytes.extend(station);
    let kind = frame.get(12..14)?;
    if kind == IPV4 {
        let (source, destination) = (frame.get(IP + 12..IP + 16)?, frame.get(IP + 16..IP + 20)?);
        bytes.extend(ARP);
        // Ethernet, IPv4, addresses of 6 and 4 bytes, a reply.
        bytes.extend([0, 1, 8, 0, 6, 4, 0, 2]);
        bytes.extend(station);
        bytes.extend(source);
        bytes.extend(receiver);
        bytes.extend(destination);
        return Some(bytes);
    }
    if kind == IPV6 {
        let (source, destination) = (frame.get(IP + 8..IP + 24)?, frame.get(IP + 24..IP + 40)?);
        bytes.extend(IPV6);
        bytes.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
        bytes.extend(source);
        bytes.extend(destination);
        // Every other one claims to be an answer; all of them override what is known.
        let flags = if value.is_multiple_of(2) { 0x60 } else { 0x20 };
        bytes.extend([ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
        bytes.extend(source);
        bytes.extend([2, 1]);
        bytes.extend(station);
        repair(&mut bytes);
        return Some(bytes);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::{is_sound, tests::segment};
    use super::*;
    use crate::fault::Place;
    use crate::packet::{Arp, Network, Packet, Transport};

    const STATION: [u8; 6] = [2, 7, 7, 7, 7, 7];

    #[test]
    fn a_claim_says_that_the_sender_is_elsewhere() {
        let v4 = claim(&segment(false, Place::ACK), 0x0102_0304).expect("it carries IP");
        let packet = Packet::parse(&v4).expect("it can be read");
        let Network::Arp(arp) = &packet.network else { panic!("{packet:?}") };
        assert_eq!((arp.operation, arp.sender_mac), (Arp::REPLY, [2, 0x66, 1, 2, 3, 4]));
        assert_eq!((arp.sender.octets(), arp.target.octets()), ([10, 0, 0, 1], [10, 0, 0, 2]));
        let v6 = claim(&segment(true, Place::ACK), 5).expect("it carries IP");
        let packet = Packet::parse(&v6).expect("it can be read");
        let Network::Ip(ip, Transport::Icmp(icmp)) = &packet.network else { panic!("{packet:?}") };
        assert_eq!((icmp.kind, ip.hops, icmp.target.map(Into::into)), (136, 255, Some(ip.source)));
        assert!(is_sound(&v6) && is_resolution(&v4) && is_resolution(&v6));
        assert_eq!(claim(&v4, 5), None, "it carries no IP");
        let mut group = segment(false, Place::ACK);
        group[0] |= 1;
        assert_eq!(claim(&group, 5), None, "nobody answers a group");
    }

    #[test]
    fn what_a_host_says_of_itself_is_falsified_and_nothing_else() {
        let mut arp = claim(&segment(false, Place::ACK), 1).expect("it carries IP");
        let before = arp.clone();
        falsify(&mut arp, STATION);
        assert_eq!(arp[ARP_SENDER..ARP_SENDER + 6], STATION);
        assert_eq!((&arp[..ARP_SENDER], &arp[ARP_SENDER + 6..]), (&before[..22], &before[28..]));
        let mut advertised = claim(&segment(true, Place::ACK), 1).expect("it carries IP");
        falsify(&mut advertised, STATION);
        assert_eq!(advertised[advertised.len() - 6..], STATION);
        assert!(is_sound(&advertised));
        // A solicitation names its source's station in another option.
        let mut asked = claim(&segment(true, Place::ACK), 1).expect("it carries IP");
        asked[ICMP] = SOLICITATION;
        let before = asked.clone();
        falsify(&mut asked, STATION);
        assert_eq!(asked, before);
        let mut probe = before_probe();
        let before = probe.clone();
        falsify(&mut probe, STATION);
        assert_eq!(probe, before);
        let mut data = segment(true, Place::ACK);
        let before = data.clone();
        falsify(&mut data, STATION);
        assert!(data == before && !is_resolution(&data));
    }

    fn before_probe() -> Vec<u8> {
        let mut probe = claim(&segment(false, Place::ACK), 1).expect("it carries IP");
        probe[ARP_SENDER + 6..ARP_SENDER + 10].fill(0);
        probe
    }

    #[test]
    fn resolution_is_known_in_a_vlan_and_no_frame_is_too_short() {
        let mut tagged = claim(&segment(true, Place::ACK), 1).expect("it carries IP");
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        assert!(is_resolution(&tagged));
        for len in 0..tagged.len() {
            let mut short = tagged[..len].to_vec();
            let _ = (is_resolution(&short), claim(&short, 1));
            falsify(&mut short, STATION);
        }
    }
}
