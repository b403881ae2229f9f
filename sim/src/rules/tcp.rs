//! TCP segments: where they belong, and the rules in their turn.

use std::net::SocketAddr;

use causeway_core::time::{Duration, Instant};

use super::connection::{End, Segment, Tri, unwrap};
use super::host::HostRules;
use super::ranges::Arrival;
use super::registry::TCP_NO_CONNECTION;
use super::report::{Report, Scene};
use super::table::{Key, Table};
use super::{
    ack_bound, amplification, congestion_bound, ecn, header, replies, sack, same_bytes, sequence,
    stamps, timeout, window,
};
use crate::packet::{Flags, Icmp, Ip, PayloadSum, Quote, Tcp};

/// Paths of less are not believed (RFC 1191 3; RFC 8201 4).
const PATH_MTU_LEAST_V4: usize = 576;
const PATH_MTU_LEAST_V6: usize = 1_280;
/// More may be tried after five minutes, and no earlier (RFC 1191 6.3).
const PATH_MTU_STAYS: Duration = Duration::from_secs(300);

/// All ends of connections that are watched.
#[derive(Debug)]
pub(super) struct Connections {
    ends: Table<End>,
}

/// A TCP segment of a frame, and whose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) at: Instant,
    pub(super) number: usize,
    pub(super) host: &'a HostRules,
    pub(super) ip: &'a Ip,
    pub(super) tcp: &'a Tcp,
    pub(super) sum: PayloadSum,
}

impl Seen<'_> {
    fn payload(&self) -> i64 {
        (self.ip.end - self.ip.payload_at - self.tcp.header_len) as i64
    }
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { ends: Table::new() }
    }

    fn end(
        &mut self,
        host: usize,
        local: (std::net::IpAddr, u16),
        remote: (std::net::IpAddr, u16),
        at: Instant,
    ) -> Option<&mut End> {
        let key = Key::new(host, local, remote);
        let foreign = self.ends.overflowed;
        let make = || End::new((SocketAddr::from(local), SocketAddr::from(remote)), foreign, at);
        self.ends.entry_or_insert(&key, make, |end| end.is_over(at))
    }

    /// Input: a host sends a segment.
    pub(super) fn sent(&mut self, seen: &Seen<'_>, out: &mut Report) {
        let Seen { at, number, host, ip, tcp, .. } = *seen;
        let local = (ip.source, tcp.source_port);
        let remote = (ip.destination, tcp.destination_port);
        let Some(end) = self.end(number, local, remote, at) else { return };
        let scene = end.scene(number, at);
        header::judge(tcp, ip, host, &scene, out);
        if tcp.flags.has(Flags::SYN) {
            end.syn_sent(tcp, host, &scene, out);
        }
        amplification::sent(&mut end.stranger, ip.total_len(), host, &scene, out);
        ack_bound::overdue(end, host, &scene, out);
        if tcp.flags.has(Flags::RST) {
            ack_bound::sent(end, true);
            let segment = end.outgoing(at, (ip, tcp), seen.payload(), seen.sum);
            ecn::sent(end, &segment, host, &scene, out);
            return replies::reset_sent(end, tcp, host, &scene, out);
        }
        if !tcp.flags.has(Flags::SYN) {
            end.cookie_used(tcp);
        }
        end.snd.has_reset = false;
        if !end.open {
            if !end.foreign {
                let words = format!("flags {:#04x}, no SYN was sent", tcp.flags.0);
                out.broken(TCP_NO_CONNECTION, &scene, words);
                end.foreign = true;
            }
            return;
        }
        if tcp.flags.has(Flags::ACK) {
            end.settle(tcp.ack);
        }
        let segment = end.outgoing(at, (ip, tcp), seen.payload(), seen.sum);
        judge(end, &segment, host, &scene, out);
    }

    /// Input: a segment with right checksums reached a host whose address it is for.
    pub(super) fn received(&mut self, seen: &Seen<'_>, out: &mut Report) {
        let Seen { at, number, host, ip, tcp, .. } = *seen;
        let local = (ip.destination, tcp.destination_port);
        let remote = (ip.source, tcp.source_port);
        let Some(end) = self.end(number, local, remote, at) else { return };
        let scene = end.scene(number, at);
        ack_bound::overdue(end, host, &scene, out);
        end.heard = at;
        end.spoken_to = Some(at);
        end.stranger.received(ip.total_len());
        end.replies.received(tcp, seen.payload(), at);
        if tcp.flags.has(Flags::SYN) && !tcp.flags.has(Flags::RST) {
            if end.time_wait.is_some() {
                end.stamps.syn_in_time_wait(tcp);
            }
            end.syn_received(tcp, seen.payload());
        }
        if !end.open {
            if !end.candidates.is_empty() {
                end.early_received(tcp, seen.payload());
            }
            return;
        }
        let Some(segment) = end.incoming(at, (ip, tcp), seen.payload()) else { return };
        take(end, &segment, host);
    }

    /// Input: an ICMP error about a packet of a host reached it.
    pub(super) fn error_received(
        &mut self,
        (number, host): (usize, &HostRules),
        icmp: &Icmp,
        quote: &Quote,
        at: Instant,
    ) {
        let Some((local, remote)) = quote.ports else { return };
        let (local, remote) = ((quote.ip.source, local), (quote.ip.destination, remote));
        let Some(end) = self.ends.get(&Key::new(number, local, remote)) else { return };
        end.spoken_to = Some(at);
        let (Some(mtu), Some(seq)) = (icmp.too_big(), quote.seq) else { return };
        // No link of IPv6 carries less: such a message must be discarded (RFC 8201 4).
        if !icmp.v4 && (mtu as usize) < PATH_MTU_LEAST_V6 {
            return;
        }
        let mtu = (mtu as usize).max(PATH_MTU_LEAST_V4);
        // Credible: about something under way that is too long for it (RFC 5927 7.2).
        let under_way = unwrap(seq, end.iss, end.snd.max);
        let credible = end.is_established()
            && (end.snd.una..end.snd.max).contains(&under_way)
            && quote.total_len > mtu
            && host.path_mtu_discovery
            && !host.mtu_probing;
        if credible && end.path.is_none_or(|(known, ..)| mtu < known) {
            end.path = Some((mtu, at + host.settles_in(), at + PATH_MTU_STAYS));
        }
    }

    /// Input: a first fragment of a segment reached a host: what it carries cannot be told.
    pub(super) fn fragment_received(
        &mut self,
        host: usize,
        local: (std::net::IpAddr, u16),
        remote: (std::net::IpAddr, u16),
    ) {
        if let Some(end) = self.ends.get(&Key::new(host, local, remote)) {
            end.blind = true;
        }
    }

    /// Command: the host forgets all.
    pub(super) fn forget(&mut self, host: usize) {
        self.ends.forget(host);
    }

    /// Command: judges what is overdue at the end of a run.
    pub(super) fn finish(&mut self, at: Instant, hosts: &[HostRules], out: &mut Report) {
        for (number, end) in self.ends.iter_mut() {
            let scene = end.scene(number, at);
            if let Some(host) = hosts.get(number) {
                ack_bound::overdue(end, host, &scene, out);
            }
        }
    }
}

/// The rules about what is sent on a connection.
#[inline]
fn judge(end: &mut End, segment: &Segment<'_>, host: &HostRules, scene: &Scene, out: &mut Report) {
    if !segment.has(Flags::SYN) {
        header::judge_agreed(end, segment, scene, out);
    }
    stamps::sent(end, segment, scene, out);
    ecn::sent(end, segment, host, scene, out);
    timeout::sent(end, segment, host, scene, out);
    congestion_bound::sent(end, segment, host, scene, out);
    replies::sent(end, segment, host, scene, out);
    sack::sent(end, segment, scene, out);
    sequence::sent(end, segment, host, scene, out);
    window::sent(end, segment, scene, out);
    same_bytes::sent(end, segment, scene, out);
    ack_bound::sent(end, segment.ack.is_some());
    sequence::note(end, segment);
}

/// What a segment that reached the host changes.
#[inline]
fn take(end: &mut End, segment: &Segment<'_>, host: &HostRules) {
    let before = end.snd.una;
    end.cookie_received(segment);
    if end.agreed.timestamps != Tri::No || segment.has(Flags::SYN) {
        end.stamps.received(segment.tcp, segment.seq);
    }
    congestion_bound::received(end, segment);
    if segment.is_bare() && !segment.has(Flags::RST) {
        replies::bare_received(end, segment, before);
    }
    let taken = segment.end > segment.seq && ack_bound::is_taken(end, segment, before);
    let arrival = if segment.has(Flags::RST) {
        Arrival::default()
    } else {
        end.rcv.insert(segment.seq, segment.end)
    };
    if segment.has(Flags::RST) {
        ack_bound::reset_received(end);
    } else if segment.end > segment.seq {
        ack_bound::received(end, segment, arrival, taken, host);
    }
    ecn::received(end, segment, arrival, taken);
    window::received(end, segment);
    sequence::received(end, segment, host);
    if end.snd.una > before {
        end.sums.acknowledged(end.snd.una);
    }
    if end.snd.una > 0 {
        end.stranger.prove();
    }
    timeout::received(end);
}
