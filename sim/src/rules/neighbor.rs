//! ARP and neighbour discovery.

use std::net::IpAddr;

use causeway_core::time::{Duration, Instant};

use super::host::HostRules;
use super::registry::{ARP_PACE, ARP_REPLY, ND_FORM, ND_PACE, ND_REPLY, RuleId};
use super::report::{Report, Scene};
use crate::packet::{Arp, Icmp, Ip, Link, Network, Packet, Transport};

/// Addresses that are remembered.
const ASKED_MAX: usize = 256;
/// Once a second, but for clocks of whole milliseconds.
const PACE: Duration = Duration::from_millis(998);

/// What a host has asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    last: Vec<(IpAddr, Instant)>,
    next: usize,
}

/// Getter: the packet asks for a neighbour's address.
pub(super) const fn asks(packet: &Packet<'_>) -> bool {
    match &packet.network {
        Network::Arp(arp) => arp.operation == Arp::REQUEST,
        Network::Ip(_, Transport::Icmp(icmp)) => icmp.kind == Icmp::SOLICITATION && !icmp.v4,
        Network::Ip(..) | Network::Other(_) => false,
    }
}

impl Asked {
    fn ask(
        &mut self,
        target: IpAddr,
        (rule, slack): (RuleId, Duration),
        scene: &Scene,
        out: &mut Report,
    ) {
        if let Some((_, last)) = self.last.iter_mut().find(|(address, _)| *address == target) {
            let pause = scene.at.saturating_since(*last);
            if pause + slack < PACE {
                out.broken(rule, scene, format!("{target} again after {pause}"));
            }
            *last = scene.at;
        } else if self.last.len() < ASKED_MAX {
            self.last.push((target, scene.at));
        } else {
            self.last[self.next % ASKED_MAX] = (target, scene.at);
            self.next += 1;
        }
    }

    /// Input: the host sends an ARP packet.
    pub(super) fn arp_sent(
        &mut self,
        arp: &Arp,
        link: &Link,
        host: &HostRules,
        scene: &Scene,
        out: &mut Report,
    ) {
        let own = arp.is_probe() || host.owns(IpAddr::V4(arp.sender));
        let station =
            arp.sender_mac == link.source && host.mac.is_none_or(|mac| mac == arp.sender_mac);
        if !own || !station {
            let words = format!("{} is at {:02x?}, says the host", arp.sender, arp.sender_mac);
            out.broken(ARP_REPLY, scene, words);
        }
        if arp.operation == Arp::REQUEST && !arp.is_probe() && !arp.is_announcement() {
            self.ask(IpAddr::V4(arp.target), (ARP_PACE, host.slack), scene, out);
        }
    }

    /// Input: the host sends a message of neighbour discovery.
    pub(super) fn discovery_sent(
        &mut self,
        ip: &Ip,
        icmp: &Icmp,
        host: &HostRules,
        scene: &Scene,
        out: &mut Report,
    ) {
        if ip.hops != 255 || icmp.code != 0 {
            let words = format!("hop limit {}, code {}", ip.hops, icmp.code);
            out.broken(ND_FORM, scene, words);
        }
        let Some(target) = icmp.target else {
            if matches!(icmp.kind, Icmp::SOLICITATION | Icmp::ADVERTISEMENT) {
                out.broken(ND_FORM, scene, "no target".to_owned());
            }
            return;
        };
        if icmp.kind == Icmp::SOLICITATION {
            if !ip.source.is_unspecified() {
                self.ask(IpAddr::V6(target), (ND_PACE, host.slack), scene, out);
            }
            return;
        }
        let own = host.owns(IpAddr::V6(target)) || target.is_unicast_link_local();
        if !own && !host.autoconfigured {
            out.broken(ND_REPLY, scene, format!("about {target}"));
        }
    }
}
