//! Oracle O10: what must not happen while the network does nothing wrong.
//!
//! Each connection and flow is judged until something happens to one of its frames. What is sent again is excused where its
//! acknowledgement is late for a reason that can be seen: it waits in a queue, or its host may still wait before it answers. A pair of
//! ends with such an excuse is not judged any further: what follows answers copies.

mod machnet;
mod tcp;

use causeway_core::time::{Duration, Instant};

use super::host::{HostRules, RESOLUTION};
use super::registry::{CALM_CHECKSUM, CALM_ERROR, RuleId};
use super::report::{Report, Scene};
use super::table::{Key, Table};
use super::{is_part, neighbor};
use crate::packet::{Checksums, Icmp, Network, Packet, Quote, Transport};

/// What calm networks are told from others by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calm {
    /// Links carry less than hosts know: routers say so.
    pub narrow: bool,
}

/// A packet, by whom and when.
#[derive(Clone, Copy)]
struct Seen<'a> {
    at: Instant,
    host: &'a HostRules,
    /// Any host has seen what lies in its receive ring after so long.
    settles_in: Duration,
    /// When somebody last asked for a neighbour's address: answers may wait for it.
    asked: Option<Instant>,
    /// Something else than a packet of a connection was lost.
    lost: bool,
}

/// The judge.
#[derive(Debug)]
pub(super) struct Judge {
    network: Calm,
    /// Some frame was changed, held back, or swallowed.
    altered: bool,
    /// Something was lost that belongs to no connection or flow.
    lost: bool,
    asked: Option<Instant>,
    settles_in: Duration,
    connections: Table<tcp::Pair>,
    flows: Table<machnet::Pair>,
}

impl Judge {
    pub(super) fn new(network: Calm) -> Self {
        Self {
            network,
            altered: false,
            lost: false,
            asked: None,
            settles_in: Duration::ZERO,
            connections: Table::new(),
            flows: Table::new(),
        }
    }

    /// Command: some host takes so long to see what has come.
    pub(super) fn settles_in(&mut self, span: Duration) {
        self.settles_in = self.settles_in.max(span);
    }

    fn seen<'a>(&self, at: Instant, host: &'a HostRules) -> Seen<'a> {
        Seen { at, host, settles_in: self.settles_in, asked: self.asked, lost: self.lost }
    }

    /// Input: something happened to a frame on its way. `by_fault`: not a queue that was full.
    pub(super) fn disturbed(&mut self, packet: Option<&Packet<'_>>, at: Instant, by_fault: bool) {
        self.altered |= by_fault;
        let transport = packet.and_then(|packet| match &packet.network {
            Network::Ip(ip, transport) if !is_part(ip) => Some((ip, transport)),
            Network::Ip(..) | Network::Arp(_) | Network::Other(_) => None,
        });
        match transport {
            Some((ip, Transport::Tcp(tcp))) => {
                let source = (ip.source, tcp.source_port);
                let (key, _) = Key::between(source, (ip.destination, tcp.destination_port));
                let pair = self.connections.entry_or_insert(&key, Default::default, |_| false);
                pair.into_iter().for_each(|pair| pair.disturbed(at));
            }
            Some((ip, Transport::Udp(udp))) if udp.machnet.is_some() => {
                let source = (ip.source, udp.source_port);
                let (key, _) = Key::between(source, (ip.destination, udp.destination_port));
                let pair = self.flows.entry_or_insert(&key, Default::default, |_| false);
                pair.into_iter().for_each(machnet::Pair::disturbed);
            }
            Some(_) | None => self.lost = true,
        }
    }

    /// Input: a host sends a packet.
    pub(super) fn sent(
        &mut self,
        at: Instant,
        (number, host): (usize, &HostRules),
        packet: &Packet<'_>,
        out: &mut Report,
    ) {
        if neighbor::asks(packet) {
            self.asked = Some(at);
        }
        let seen = self.seen(at, host);
        let Network::Ip(ip, transport) = &packet.network else { return };
        match transport {
            Transport::Tcp(tcp) if !is_part(ip) => {
                let source = (ip.source, tcp.source_port);
                let (key, first) = Key::between(source, (ip.destination, tcp.destination_port));
                let over = |pair: &tcp::Pair| pair.is_over(at);
                let pair = self.connections.entry_or_insert(&key, Default::default, over);
                let payload = (ip.end - ip.payload_at - tcp.header_len) as i64;
                let scene = Scene { host: number, at, ends: Some(tcp::ends(ip, tcp)) };
                pair.into_iter().for_each(|p| p.sent(first, &seen, (tcp, payload), &scene, out));
            }
            Transport::Udp(udp) => {
                let Some(machnet) = udp.machnet.filter(|_| !is_part(ip)) else { return };
                let source = (ip.source, udp.source_port);
                let destination = (ip.destination, udp.destination_port);
                let (key, first) = Key::between(source, destination);
                let pair = self.flows.entry_or_insert(&key, Default::default, |_| false);
                let ends = (source.into(), destination.into());
                let scene = Scene { host: number, at, ends: Some(ends) };
                pair.into_iter().for_each(|p| p.sent(first, &seen, &machnet, &scene, out));
            }
            Transport::Icmp(icmp) => self.error(icmp, at, number, out),
            Transport::Tcp(_) | Transport::LaterFragment | Transport::Other => {}
        }
    }

    /// Input: a packet reached a host, whole or not.
    pub(super) fn received(
        &mut self,
        at: Instant,
        (number, host): (usize, &HostRules),
        (packet, checksums): (&Packet<'_>, &Checksums),
        out: &mut Report,
    ) {
        let Network::Ip(ip, transport) = &packet.network else { return };
        if !host.owns(ip.destination) {
            return;
        }
        if !checksums.right() {
            let scene = Scene { host: number, at, ends: None };
            self.unless_altered(CALM_CHECKSUM, &scene, format!("{checksums:?}"), out);
            return;
        }
        let seen = self.seen(at, host);
        match transport {
            Transport::Tcp(tcp) if !is_part(ip) => {
                let source = (ip.source, tcp.source_port);
                let (key, first) = Key::between(source, (ip.destination, tcp.destination_port));
                let payload = (ip.end - ip.payload_at - tcp.header_len) as i64;
                if let Some(pair) = self.connections.get(&key) {
                    pair.received(first, &seen, tcp, payload);
                }
            }
            Transport::Udp(udp) => {
                let Some(machnet) = udp.machnet.filter(|_| !is_part(ip)) else { return };
                let source = (ip.source, udp.source_port);
                let (key, first) = Key::between(source, (ip.destination, udp.destination_port));
                if let Some(pair) = self.flows.get(&key) {
                    pair.received(first, at, &machnet);
                }
            }
            Transport::Icmp(icmp) => self.error(icmp, at, number, out),
            Transport::Tcp(_) | Transport::LaterFragment | Transport::Other => {}
        }
    }

    /// An ICMP error is sent, or comes.
    fn error(&mut self, icmp: &Icmp, at: Instant, number: usize, out: &mut Report) {
        if !icmp.is_error() {
            return;
        }
        if let Some(Quote { ip, ports: Some((local, remote)), seq: Some(_), .. }) = &icmp.quote {
            // What it is about did not arrive.
            let (key, _) = Key::between((ip.source, *local), (ip.destination, *remote));
            self.connections.get(&key).into_iter().for_each(|pair| pair.disturbed(at));
        }
        if !self.is_excused(icmp) {
            let scene = Scene { host: number, at, ends: None };
            let words = format!("type {} code {}", icmp.kind, icmp.code);
            self.unless_altered(CALM_ERROR, &scene, words, out);
        }
    }

    fn is_excused(&self, icmp: &Icmp) -> bool {
        let told = icmp.too_big().is_some() && self.network.narrow;
        let is =
            |v4: (u8, u8), v6: (u8, u8)| (icmp.kind, icmp.code) == if icmp.v4 { v4 } else { v6 };
        // A program that reads datagrams may be done before the last of them comes.
        let port = is((3, 3), (1, 4));
        // Few fragments wait for a neighbour's address, and the rest of their datagram waits in vain.
        let reassembly = is((11, 1), (3, 1));
        told || port || reassembly || self.lost
    }

    fn unless_altered(&self, rule: RuleId, scene: &Scene, words: String, out: &mut Report) {
        if !self.altered {
            out.broken(rule, scene, words);
        }
    }
}

impl Seen<'_> {
    /// Getter: the host's answer to what came at `due` may wait for a neighbour's address.
    fn held_up(&self, due: Instant) -> bool {
        let waits = |asked: Instant| asked + RESOLUTION >= due && asked <= due + RESOLUTION;
        self.lost || self.asked.is_some_and(waits)
    }
}
