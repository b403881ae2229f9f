//! Oracles O4, O10 and O11: the rules of the wire, each with the clause that it stands in ([`RULES`]).
//!
//! [`WireRules`] is told what each host's NIC sends, before any fault, and what reaches it, after every fault. A host is judged by
//! these two alone, so that switches, routers and middleboxes between hosts may do what they like. The rules are sound: whoever breaks
//! one has a bug. They are not complete: what a host knows at a moment is bounded by what has reached it, and where frames leave
//! several possibilities all of them are granted.
//!
//! Cost: one look-up by hash for a frame, and a constant number of comparisons; sums of a retransmission are found by bisection.

mod ack_bound;
mod amplification;
mod calm;
mod congestion_bound;
mod connection;
mod ecn;
mod handshake;
mod header;
mod host;
mod icmp;
mod ip;
mod machnet;
mod machnet_extended;
mod neighbor;
mod ranges;
mod registry;
mod replies;
mod report;
mod sack;
mod same_bytes;
mod sequence;
mod stamps;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod timeout;
mod window;

use std::net::IpAddr;

use causeway_core::time::{Duration, Instant};

pub use calm::Calm;
pub use host::HostRules;
pub use registry::{RULES, Rule};
pub use report::Violation;
use report::{Report, Scene};

use crate::packet::{Checksums, Ip, Network, Packet, ParseError, Transport};

/// What is known of a host beside its connections.
#[derive(Debug, Default)]
struct State {
    sent: ip::Sent,
    messages: icmp::Messages,
    asked: neighbor::Asked,
}

/// The judge of a run.
///
/// Call [`WireRules::sent`] and [`WireRules::received`] in the order of time, and [`WireRules::finish`] once at the end.
#[derive(Debug)]
pub struct WireRules {
    hosts: Vec<HostRules>,
    states: Vec<State>,
    connections: tcp::Connections,
    flows: machnet::Flows,
    calm: Option<calm::Judge>,
    report: Report,
}

impl WireRules {
    /// A judge of these hosts, who go by their place.
    pub fn new(hosts: Vec<HostRules>) -> Self {
        let states = hosts.iter().map(|_| State::default()).collect();
        Self {
            hosts,
            states,
            connections: tcp::Connections::new(),
            flows: machnet::Flows::new(),
            calm: None,
            report: Report::default(),
        }
    }

    /// Command: hosts and network do nothing wrong that [`WireRules::disturbed`] does not tell: what must not happen then is judged, too.
    pub fn expect_calm(&mut self, network: Calm) {
        let mut judge = calm::Judge::new(network);
        self.hosts.iter().for_each(|host| judge.settles_in(host.settles_in()));
        self.calm = Some(judge);
    }

    /// Command: from now on what is under way may be anything, under checksums that fit: no calm is expected any more.
    pub fn end_calm(&mut self) {
        self.calm = None;
    }

    /// Input: something happens to a frame on its way, before it is told to be sent. `by_fault`: not a queue that is full.
    pub fn disturbed(&mut self, at: Instant, packet: Option<&Packet<'_>>, by_fault: bool) {
        if let Some(calm) = &mut self.calm {
            calm.disturbed(packet, at, by_fault);
        }
    }

    /// Input: `host` hands `packet` to its NIC; no fault has touched it.
    #[inline]
    pub fn sent(&mut self, at: Instant, host: usize, packet: &Packet<'_>) {
        self.sent_with(at, host, packet, &packet.checksums());
    }

    /// Input: as [`WireRules::sent`], where the packet's checksums are known already.
    pub fn sent_with(
        &mut self,
        at: Instant,
        host: usize,
        packet: &Packet<'_>,
        checksums: &Checksums,
    ) {
        let Some(rules) = self.hosts.get_mut(host) else { return };
        let (state, out) = (&mut self.states[host], &mut self.report);
        if neighbor::asks(packet) {
            rules.asked = Some(at);
        }
        let rules = &*rules;
        if let Some(calm) = &mut self.calm {
            calm.sent(at, (host, rules), packet, out);
        }
        let scene = Scene { host, at, ends: None };
        let (ip, transport) = match &packet.network {
            Network::Ip(ip, transport) => (ip, transport),
            Network::Arp(arp) => {
                return state.asked.arp_sent(arp, &packet.link, rules, &scene, out);
            }
            Network::Other(_) => return,
        };
        ip::sent(&mut state.sent, (ip, transport), checksums, rules, &scene, out);
        if is_part(ip) {
            return;
        }
        match transport {
            Transport::Tcp(tcp) => {
                let sum = checksums.payload;
                self.connections
                    .sent(&tcp::Seen { at, number: host, host: rules, ip, tcp, sum }, out);
            }
            Transport::Udp(udp) => {
                if usize::from(udp.len) != ip.end - ip.payload_at {
                    let words = format!("{} bytes of UDP in {}", udp.len, ip.end - ip.payload_at);
                    out.broken(registry::FRAME_MALFORMED, &scene, words);
                }
                if let Some(machnet) = &udp.machnet {
                    let sum = checksums.payload;
                    let number = host;
                    let body = packet.payload();
                    let seen =
                        machnet::Seen { at, number, host: rules, ip, udp, machnet, sum, body };
                    self.flows.sent(&seen, out);
                }
            }
            Transport::Icmp(icmp) if icmp.is_discovery() => {
                state.asked.discovery_sent(ip, icmp, rules, &scene, out);
            }
            Transport::Icmp(icmp) => {
                state.messages.sent(ip, icmp, packet.payload(), rules, &scene, out);
            }
            Transport::LaterFragment | Transport::Other => {}
        }
    }

    /// Input: `host` hands a frame to its NIC that cannot be read.
    pub fn malformed(&mut self, at: Instant, host: usize, error: ParseError) {
        let scene = Scene { host, at, ends: None };
        self.report.broken(registry::FRAME_MALFORMED, &scene, error.to_string());
    }

    /// Input: the NIC of `host` hands `packet` to its stack, after every fault. Damaged packets are told from whole ones here.
    #[inline]
    pub fn received(&mut self, at: Instant, host: usize, packet: &Packet<'_>) {
        self.received_with(at, host, packet, &packet.checksums());
    }

    /// Input: as [`WireRules::received`], where the packet's checksums are known already.
    pub fn received_with(
        &mut self,
        at: Instant,
        host: usize,
        packet: &Packet<'_>,
        checksums: &Checksums,
    ) {
        let Some(rules) = self.hosts.get(host) else { return };
        if rules.is_unheard(packet) {
            return;
        }
        if let Some(calm) = &mut self.calm {
            calm.received(at, (host, rules), (packet, checksums), &mut self.report);
        }
        let Network::Ip(ip, transport) = &packet.network else { return };
        if !checksums.right() || !(rules.owns(ip.destination) || rules.autoconfigured) {
            return;
        }
        let state = &mut self.states[host];
        if is_part(ip) {
            state.messages.in_fragments = true;
            if let Transport::Tcp(tcp) = transport {
                let local = (ip.destination, tcp.destination_port);
                let remote = (ip.source, tcp.source_port);
                self.connections.fragment_received(host, local, remote);
            }
            return;
        }
        match transport {
            Transport::Tcp(tcp) => {
                let sum = checksums.payload;
                let seen = tcp::Seen { at, number: host, host: rules, ip, tcp, sum };
                self.connections.received(&seen, &mut self.report);
            }
            Transport::Udp(udp) => {
                if let Some(machnet) = &udp.machnet {
                    let sum = checksums.payload;
                    let number = host;
                    let body = packet.payload();
                    let seen =
                        machnet::Seen { at, number, host: rules, ip, udp, machnet, sum, body };
                    self.flows.received(&seen);
                }
            }
            Transport::Icmp(icmp) => {
                state.messages.received(ip, icmp, packet.payload());
                if let Some(quote) = &icmp.quote {
                    self.connections.error_received((host, rules), icmp, quote, at);
                }
            }
            Transport::LaterFragment | Transport::Other => {}
        }
    }

    /// Command: `host` has lost its state: it knows of no connection.
    pub fn restarted(&mut self, host: usize) {
        self.connections.forget(host);
        self.flows.forget(host);
        if let Some(state) = self.states.get_mut(host) {
            *state = State::default();
        }
    }

    /// Command: from now on `host` may be later by `slack` in everything: it is paused, slow, or its timers are coarse.
    pub fn slack(&mut self, host: usize, slack: Duration) {
        if let Some(rules) = self.hosts.get_mut(host) {
            rules.slack = slack;
            let settles_in = rules.settles_in();
            self.calm.iter_mut().for_each(|calm| calm.settles_in(settles_in));
        }
    }

    /// Command: `host` has one more address.
    pub fn address(&mut self, host: usize, address: IpAddr) {
        if let Some(rules) = self.hosts.get_mut(host)
            && !rules.owns(address)
        {
            rules.addresses.push(address);
        }
    }

    /// Command: the rule `id` of [`RULES`] is not judged: the scenario breaks what it rests on. False when there is none of that name.
    pub fn disable(&mut self, id: &str) -> bool {
        let rule = RULES.iter().find(|rule| rule.id == id);
        self.report.disabled.extend(rule.map(|rule| rule.id));
        rule.is_some()
    }

    /// Command: the run is over at `at`: what is overdue is judged.
    pub fn finish(&mut self, at: Instant) {
        self.connections.finish(at, &self.hosts, &mut self.report);
    }

    /// Getter: the first rules that were broken, sixteen at most, in the order of time.
    pub fn violations(&self) -> &[Violation] {
        &self.report.violations
    }

    /// Getter: how often rules were broken.
    pub fn violation_count(&self) -> u64 {
        self.report.count
    }
}

/// A fragment, and not all of a packet.
fn is_part(ip: &Ip) -> bool {
    ip.fragment.is_some_and(|fragment| fragment.offset > 0 || fragment.more)
}
