//! Machnet: the rules of its upstream profile, and which flows speak the other one.

use std::net::{IpAddr, SocketAddr};

use causeway_core::time::{Duration, Instant};

use super::amplification::{self, Stranger};
use super::connection::unwrap;
use super::host::HostRules;
use super::machnet_extended::{Extended, judge_ack};
use super::ranges::Received;
use super::registry::{
    MACHNET_ACK, MACHNET_ACK_BACK, MACHNET_FORM, MACHNET_ORDER, MACHNET_RST, MACHNET_SAME,
    MACHNET_SAME_ACKS, MACHNET_SYN, MACHNET_TIMEOUT, MACHNET_WINDOW,
};
use super::report::{Report, Scene};
use super::table::{Key, Table};
use crate::packet::{Ip, Machnet, MachnetKind, PayloadSum, Udp};

/// Headers of a packet over IPv4 and IPv6.
const HEADERS: [usize; 2] = [20 + 8 + 54, 40 + 8 + 54];
/// The cut is the protocol's, whatever the link carries.
const PACKET_BYTES_MAX: usize = 1_500;
/// Packets under way.
const WINDOW: i64 = 32;
/// What DATA has for an acknowledgement.
const NO_ACK: u32 = u32::MAX;
/// Acknowledgements of one number while nothing may be under way, without a pause.
const SAME_ACKS_MAX: u32 = 2;
const REPEAT_PAUSE: Duration = Duration::from_millis(998);
const TICK: Duration = Duration::from_millis(2);
const RING: usize = 64;

/// A packet that was sent: its number, and what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Packet {
    number: i64,
    flags: u8,
    len: usize,
    sum: PayloadSum,
}

/// One end of a flow.
#[derive(Debug)]
struct Flow {
    ends: (SocketAddr, SocketAddr),
    heard: Instant,
    open: bool,
    active: bool,
    iss: u32,
    /// The next number that was not used, as an offset from the SYN's.
    next: i64,
    una: i64,
    packets: [Packet; RING],
    /// The last packet of a message was sent.
    whole: bool,
    /// SYNs that reached the host.
    candidate: Option<u32>,
    irs: Option<u32>,
    rcv: Received,
    told: i64,
    repeats: u32,
    repeated_at: Instant,
    gone: bool,
    spoken_to: Option<Instant>,
    tried: Option<(i64, Instant, u32)>,
    stranger: Stranger,
    /// What the host offered in its SYN or SYN-ACK, and a SYN that reached it: payload bytes of a packet.
    offered: Option<u16>,
    asked: Option<u16>,
    /// The ends agreed on the extended profile.
    extended: Option<Box<Extended>>,
}

/// All flows that are watched.
#[derive(Debug)]
pub(super) struct Flows {
    flows: Table<Flow>,
}

/// A packet of a frame, and whose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) at: Instant,
    pub(super) number: usize,
    pub(super) host: &'a HostRules,
    pub(super) ip: &'a Ip,
    pub(super) udp: &'a Udp,
    pub(super) machnet: &'a Machnet,
    pub(super) sum: PayloadSum,
    /// What is behind Machnet's header.
    pub(super) body: &'a [u8],
}

impl Seen<'_> {
    fn headers(&self) -> usize {
        HEADERS[usize::from(!self.ip.is_v4())]
    }

    fn payload(&self) -> usize {
        self.ip.total_len().saturating_sub(self.headers() + self.ip.options_len)
    }

    fn payload_max(&self) -> usize {
        PACKET_BYTES_MAX - self.headers()
    }
}

impl Flows {
    pub(super) fn new() -> Self {
        Self { flows: Table::new() }
    }

    fn flow(
        &mut self,
        host: usize,
        local: (IpAddr, u16),
        remote: (IpAddr, u16),
        at: Instant,
    ) -> Option<&mut Flow> {
        let key = Key::new(host, local, remote);
        let make = || Flow::new((SocketAddr::from(local), SocketAddr::from(remote)), at);
        let over = |flow: &Flow| at.saturating_since(flow.heard) > Duration::from_secs(120);
        self.flows.entry_or_insert(&key, make, over)
    }

    /// Input: a host sends a packet.
    pub(super) fn sent(&mut self, seen: &Seen<'_>, out: &mut Report) {
        let local = (seen.ip.source, seen.udp.source_port);
        let remote = (seen.ip.destination, seen.udp.destination_port);
        let Some(flow) = self.flow(seen.number, local, remote, seen.at) else { return };
        flow.heard = seen.at;
        let scene = Scene { host: seen.number, at: seen.at, ends: Some(flow.ends) };
        match &flow.extended {
            Some(extended) if seen.machnet.is_extended() => {
                extended.judge_form(seen, &scene, out);
            }
            Some(_) | None => judge_form(seen, &scene, out),
        }
        flow.sent(seen, &scene, out);
        amplification::sent(&mut flow.stranger, seen.ip.total_len(), seen.host, &scene, out);
    }

    /// Input: a packet with a right checksum reached a host whose address it is for.
    pub(super) fn received(&mut self, seen: &Seen<'_>) {
        let local = (seen.ip.destination, seen.udp.destination_port);
        let remote = (seen.ip.source, seen.udp.source_port);
        if let Some(flow) = self.flow(seen.number, local, remote, seen.at) {
            flow.received(seen);
        }
    }

    /// Command: the host forgets all.
    pub(super) fn forget(&mut self, host: usize) {
        self.flows.forget(host);
    }
}

fn judge_form(seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
    let Machnet { kind, message_flags, bitmap, bitmap_count, ack, .. } = *seen.machnet;
    let len = seen.payload();
    let place = message_flags & (Machnet::MORE | Machnet::LAST);
    let right = match kind {
        MachnetKind::Data => {
            let full = place == Machnet::LAST || len == seen.payload_max();
            message_flags < 8
                && matches!(place, Machnet::MORE | Machnet::LAST)
                && full
                && len <= seen.payload_max()
                && ack == NO_ACK
        }
        MachnetKind::Ack => {
            let held = seen.machnet.held();
            let hidden = bitmap.iter().any(|word| word >> 8 != 0) || held & 1 != 0;
            len == 0
                && message_flags == 0
                && !hidden
                && u32::from(bitmap_count) == held.count_ones()
        }
        MachnetKind::Syn | MachnetKind::SynAck | MachnetKind::Rst => {
            len == 0 && message_flags == 0 && bitmap_count == 0
        }
        MachnetKind::Unknown(_) => false,
    };
    if !right {
        let words =
            format!("{kind:?} with flags {message_flags:#x}, {len} bytes, count {bitmap_count}");
        out.broken(MACHNET_FORM, scene, words);
    }
}

impl Flow {
    fn new(ends: (SocketAddr, SocketAddr), at: Instant) -> Self {
        Self {
            ends,
            heard: at,
            open: false,
            active: false,
            iss: 0,
            next: 0,
            una: 0,
            packets: [Packet::default(); RING],
            whole: true,
            candidate: None,
            irs: None,
            rcv: Received::default(),
            told: 0,
            repeats: 0,
            repeated_at: at,
            gone: false,
            spoken_to: None,
            tried: None,
            stranger: Stranger::default(),
            offered: None,
            asked: None,
            extended: None,
        }
    }

    fn sent(&mut self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        let machnet = seen.machnet;
        let opens = matches!(machnet.kind, MachnetKind::Syn | MachnetKind::SynAck);
        if self.gone && !opens {
            if machnet.kind != MachnetKind::Rst {
                out.broken(MACHNET_RST, scene, format!("{:?} after RST", machnet.kind));
            }
            return;
        }
        match machnet.kind {
            MachnetKind::Ack | MachnetKind::Data if self.extended.is_some() => {
                self.extended_sent(seen, scene, out);
            }
            MachnetKind::Rst if self.extended.is_some() || machnet.is_extended() => {
                self.extended_rst_sent(machnet, scene, out);
            }
            MachnetKind::Syn => self.syn_sent(seen, scene, out),
            MachnetKind::SynAck => self.syn_ack_sent(seen, scene, out),
            MachnetKind::Ack => self.ack_sent(seen, scene, out),
            MachnetKind::Data => self.data_sent(seen, scene, out),
            MachnetKind::Rst => self.rst_sent(machnet, scene, out),
            MachnetKind::Unknown(_) => {}
        }
    }

    fn reopen(&mut self, iss: u32, active: bool, at: Instant) {
        let (candidate, stranger, asked) = (self.candidate, self.stranger, self.asked);
        *self = Self::new(self.ends, at);
        (self.open, self.active, self.iss, self.next) = (true, active, iss, 1);
        (self.candidate, self.stranger, self.asked) = (candidate, stranger, asked);
    }

    /// Both ends have made an offer, if these are two.
    fn agree(&mut self, theirs: Option<u16>) {
        let agreed = self.offered.zip(theirs).map(|(ours, theirs)| ours.min(theirs));
        self.extended = agreed.map(|payload| Box::new(Extended::new(payload.into())));
    }

    fn extended_sent(&mut self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        let (Some(irs), Some(extended)) = (self.irs, &mut self.extended) else { return };
        judge_ack(seen, irs, (&self.rcv, &mut self.told), scene, out);
        if seen.machnet.kind == MachnetKind::Data {
            let number = unwrap(seen.machnet.seq, self.iss, self.next);
            self.next = extended.data_sent(number, (self.next, self.una), seen, scene, out);
        }
    }

    /// What nobody takes is answered by RST at the number that it expects, which may be an old one.
    fn extended_rst_sent(&mut self, machnet: &Machnet, scene: &Scene, out: &mut Report) {
        let number = unwrap(machnet.seq, self.iss, self.next);
        // What answers a SYN has the number of its acknowledgement, which has none.
        let about_syn = machnet.timestamp == 0;
        if self.extended.is_some() && number > self.next && !about_syn {
            let words = format!("RST with number {}, {} is next", machnet.seq, self.next);
            out.broken(MACHNET_RST, scene, words);
        }
        self.gone |= self.extended.is_some();
    }

    /// A packet of the extended profile, which acknowledges, has reached the host.
    fn extended_received(&mut self, machnet: &Machnet) {
        let ack = unwrap(machnet.ack, self.iss, self.next);
        if ack > self.next {
            return;
        }
        self.una = self.una.max(ack);
        self.stranger.prove();
        if let Some(extended) = &mut self.extended {
            extended.acknowledged((self.una, ack), machnet);
        }
    }

    fn syn_sent(&mut self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        if !self.open || !self.active || self.iss != seen.machnet.seq || self.gone {
            self.reopen(seen.machnet.seq, true, seen.at);
            self.stranger.prove();
        } else if self.irs.is_none() {
            self.judge_time(0, seen, seen.host.machnet_syn_rto, scene, out);
        }
        self.offered = seen.machnet.offer();
        self.tried = self.tried.or(Some((0, seen.at, 0)));
    }

    fn syn_ack_sent(&mut self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        // A host that has answered one SYN answers another one from there as it did.
        let known = [self.candidate, self.irs.filter(|_| self.open && !self.gone)];
        let mut known = known.into_iter().flatten();
        let asked = known.find(|isn| isn.wrapping_add(1) == seen.machnet.ack);
        let Some(isn) = asked else {
            let words = format!("SYN-ACK of {}, SYN was {:?}", seen.machnet.ack, self.candidate);
            return out.broken(MACHNET_SYN, scene, words);
        };
        // In the extended profile each flow has a number of its own.
        let again = self.irs == Some(isn) && self.iss == seen.machnet.seq;
        if !self.open || !again || self.gone {
            self.reopen(seen.machnet.seq, false, seen.at);
            self.irs = Some(isn);
            self.rcv = Received::begin(1);
            self.told = 1;
            self.offered = seen.machnet.offer();
            self.agree(self.asked);
            if self.offered.is_some() && self.asked.is_none() {
                let words = "SYN-ACK with an offer, the SYN had none".to_owned();
                out.broken(MACHNET_SYN, scene, words);
            }
        }
    }

    /// In silence the first repetition may be a probe; later ones wait, each twice as long.
    fn judge_time(
        &mut self,
        number: i64,
        seen: &Seen<'_>,
        least: Duration,
        scene: &Scene,
        out: &mut Report,
    ) {
        let settles = seen.host.settles_in();
        let silent = |last: Instant| self.spoken_to.is_none_or(|heard| heard + settles < last);
        match self.tried {
            Some((tried, last, times)) if tried == number && silent(last) => {
                let pause = seen.at.saturating_since(last);
                let doublings = if number == 0 { times } else { times.saturating_sub(1) };
                // The handshake's wait is doubled up to four times itself.
                let most = if number == 0 { 2 } else { 16 };
                let bound = least.saturating_mul(1 << doublings.min(most));
                let bound = bound.min(seen.host.machnet_rto.1.max(least));
                if (number == 0 || times >= 1) && pause + TICK + seen.host.slack < bound {
                    let words = format!("{number} again after {pause}, at least {bound}");
                    out.broken(MACHNET_TIMEOUT, scene, words);
                }
                self.tried = Some((number, seen.at, times + 1));
            }
            Some(_) | None => self.tried = Some((number, seen.at, 0)),
        }
    }

    fn ack_sent(&mut self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        let Some(irs) = self.irs.filter(|_| self.open) else {
            return out.broken(MACHNET_SYN, scene, "ACK before the handshake".to_owned());
        };
        let ack = unwrap(seen.machnet.ack, irs, self.rcv.edge);
        let held = seen.machnet.held();
        let mut bits = (1..32).filter(|bit| held >> bit & 1 != 0).map(|bit| ack + bit);
        if ack > self.rcv.edge || bits.any(|number| !self.rcv.holds(number, number + 1)) {
            let words = format!("{ack} and bits {held:#x}, {} was received", self.rcv.edge);
            out.broken(MACHNET_ACK, scene, words);
        }
        if ack < self.told {
            out.broken(MACHNET_ACK_BACK, scene, format!("{ack} after {}", self.told));
        }
        self.judge_repeats(ack, seen, scene, out);
        self.told = self.told.max(ack);
    }

    fn judge_repeats(&mut self, ack: i64, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        let at = seen.at;
        if ack != self.told || self.repeats == 0 {
            (self.repeats, self.repeated_at) = (1, at);
            return;
        }
        // While something at or beyond what is acknowledged came, the peer has something under way.
        let ahead = self.rcv.edge > ack || !self.rcv.ranges.is_empty();
        if ahead {
            return;
        }
        self.repeats += 1;
        let pause = at.saturating_since(self.repeated_at);
        if self.repeats > SAME_ACKS_MAX && pause + seen.host.slack < REPEAT_PAUSE {
            let words = format!("{ack} for the {}. time, {pause} after the last", self.repeats);
            out.broken(MACHNET_SAME_ACKS, scene, words);
        }
        self.repeated_at = at;
    }

    fn data_sent(&mut self, seen: &Seen<'_>, scene: &Scene, out: &mut Report) {
        if self.irs.is_none() || !self.open {
            return out.broken(MACHNET_SYN, scene, "DATA before the handshake".to_owned());
        }
        let number = unwrap(seen.machnet.seq, self.iss, self.next);
        let flags = seen.machnet.message_flags;
        let packet = Packet { number, flags, len: seen.payload(), sum: seen.sum };
        let slot = number.rem_euclid(RING as i64) as usize;
        if number < self.next {
            // Numbers, flags and acknowledgement of a packet are in its sum.
            let before = self.packets[slot];
            if before.number == number && before != packet {
                out.broken(MACHNET_SAME, scene, format!("{before:?}, now {packet:?}"));
            }
            if number == self.una {
                self.judge_time(number, seen, seen.host.machnet_rto.0, scene, out);
            }
            return;
        }
        let begins = flags & Machnet::FIRST != 0;
        if number > self.next || begins != self.whole {
            let words = format!("{number} with flags {flags}, {} is next", self.next);
            out.broken(MACHNET_ORDER, scene, words);
        }
        if number >= self.una + WINDOW {
            let words = format!("{number}, and {} is acknowledged", self.una);
            out.broken(MACHNET_WINDOW, scene, words);
        }
        if number == self.una {
            self.tried = Some((number, seen.at, 0));
        }
        self.whole = flags & Machnet::LAST != 0;
        self.packets[slot] = packet;
        self.next = number + 1;
    }

    fn rst_sent(&mut self, machnet: &Machnet, scene: &Scene, out: &mut Report) {
        // It counts only at the number that the peer expects, which may not have received the last window.
        let number = unwrap(machnet.seq, self.iss, self.next);
        if self.open && !(self.next - WINDOW - 1..=self.next).contains(&number) {
            let words = format!("RST with number {}, {} is next", machnet.seq, self.next);
            out.broken(MACHNET_RST, scene, words);
        }
        self.gone = self.open;
    }

    fn received(&mut self, seen: &Seen<'_>) {
        let machnet = seen.machnet;
        self.heard = seen.at;
        self.spoken_to = Some(seen.at);
        self.stranger.received(seen.ip.total_len());
        match machnet.kind {
            MachnetKind::Syn => {
                self.candidate = Some(machnet.seq);
                self.asked = machnet.offer();
            }
            MachnetKind::SynAck => {
                let answers = machnet.ack == self.iss.wrapping_add(1);
                if self.open && self.active && self.irs.is_none() && answers {
                    self.irs = Some(machnet.seq);
                    self.rcv = Received::begin(1);
                    (self.una, self.told) = (1, 1);
                    self.agree(machnet.offer());
                }
            }
            MachnetKind::Ack if self.extended.is_some() => self.extended_received(machnet),
            MachnetKind::Ack => {
                let ack = unwrap(machnet.ack, self.iss, self.next);
                if self.open && ack <= self.next {
                    self.una = self.una.max(ack);
                    self.stranger.prove();
                }
            }
            MachnetKind::Data => {
                if let Some(irs) = self.irs {
                    // Only a peer that has the SYN-ACK sends data.
                    self.una = self.una.max(1);
                    self.stranger.prove();
                    let number = unwrap(machnet.seq, irs, self.rcv.edge);
                    self.rcv.insert(number, number + 1);
                    if self.extended.is_some() {
                        self.extended_received(machnet);
                    }
                }
            }
            MachnetKind::Rst | MachnetKind::Unknown(_) => {}
        }
    }
}
