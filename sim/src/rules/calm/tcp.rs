//! TCP on a calm network.

use std::collections::VecDeque;
use std::net::SocketAddr;

use causeway_core::time::{Duration, Instant};

use super::super::connection::unwrap;
use super::super::registry::{CALM_RESET, CALM_RETRANSMISSION, CALM_SACK, CALM_TAKEN_TWICE};
use super::super::report::{Report, Scene};
use super::Seen;
use crate::packet::{Flags, Ip, Tcp};

/// Round trips are rounded.
const TICK: Duration = Duration::from_millis(1);
/// Most pieces that are remembered of one direction; beyond that the connection is not judged.
const PIECES_MAX: usize = 1 << 16;
/// What is quiet for so long is over.
const QUIET: Duration = Duration::from_secs(300);

/// What was sent at once, as offsets from the SYN.
#[derive(Clone, Copy, Debug)]
struct Piece {
    end: i64,
    sent_at: Instant,
    again: bool,
    arrived_at: Option<Instant>,
}

/// What one end sends.
#[derive(Debug, Default)]
struct Way {
    open: bool,
    iss: u32,
    /// The window scale of its SYN.
    scale: Option<u8>,
    sack: bool,
    /// The next number that was never sent.
    max: i64,
    /// What the peer has acknowledged, when it was sent and when it came.
    told: i64,
    una: i64,
    /// Up to where the peer's window reaches, as this end knows.
    edge: i64,
    /// Up to where it reached the peer.
    arrived: i64,
    pieces: VecDeque<Piece>,
    /// So many of the pieces, the first ones, have reached the peer.
    pieces_arrived: usize,
    least_rtt: Option<Duration>,
    /// What this end has received twice, and when the second copy came: it has to say so.
    twice: Option<(i64, i64, Instant)>,
    fin: bool,
}

/// How far a connection is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Calm,
    /// Something was sent again with good reason: copies are answered.
    Late,
    Disturbed,
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Pair {
    ways: [Way; 2],
    mood: Mood,
    heard: Instant,
}

/// Source and destination.
pub(super) fn ends(ip: &Ip, tcp: &Tcp) -> (SocketAddr, SocketAddr) {
    let source = SocketAddr::new(ip.source, tcp.source_port);
    (source, SocketAddr::new(ip.destination, tcp.destination_port))
}

impl Pair {
    /// Input: something happened to one of its frames.
    pub(super) fn disturbed(&mut self, at: Instant) {
        (self.mood, self.heard) = (Mood::Disturbed, at);
        for way in &mut self.ways {
            (way.pieces, way.pieces_arrived) = (VecDeque::new(), 0);
        }
    }

    /// Getter: nothing more is expected of it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.saturating_since(self.heard) > QUIET
    }

    /// Input: an end sends a segment; `first` says which.
    pub(super) fn sent(
        &mut self,
        first: bool,
        seen: &Seen<'_>,
        (tcp, payload): (&Tcp, i64),
        scene: &Scene,
        out: &mut Report,
    ) {
        self.heard = seen.at;
        if tcp.flags.has(Flags::SYN) && self.begins(first, tcp) {
            return self.open(first, seen, tcp);
        }
        if self.mood == Mood::Disturbed {
            return;
        }
        self.judge_copy_told(first, seen, tcp, scene, out);
        let [a, b] = &mut self.ways;
        let (way, back) = if first { (a, b) } else { (b, a) };
        if self.mood == Mood::Calm && tcp.flags.has(Flags::RST) {
            out.broken(CALM_RESET, scene, format!("RST at {}", tcp.seq));
            self.mood = Mood::Disturbed;
            return;
        }
        if tcp.flags.has(Flags::ACK) && back.open {
            back.told = back.told.max(unwrap(tcp.ack, back.iss, back.max));
        }
        if self.mood == Mood::Calm && !tcp.options.sack.is_empty() {
            let words = format!("{:?}, and what came was in order", tcp.options.sack.as_slice());
            out.broken(CALM_SACK, scene, words);
        }
        if !way.open {
            return;
        }
        way.fin |= tcp.flags.has(Flags::FIN);
        let numbers = if tcp.flags.has(Flags::SYN) { 1 } else { payload };
        let from = unwrap(tcp.seq, way.iss, way.max);
        let end = from + numbers + i64::from(tcp.flags.has(Flags::FIN));
        if from < way.max && end > from && self.mood == Mood::Calm {
            // It may have waited in a ring while its acknowledgement came.
            let late = end <= way.una;
            self.mood = if late { Mood::Late } else { way.sent_again(from, seen, scene, out) };
        }
        way.push(from, end, seen.at);
        if way.pieces.len() > PIECES_MAX {
            self.mood = Mood::Disturbed;
        }
    }

    /// A SYN that begins anew.
    fn begins(&self, first: bool, tcp: &Tcp) -> bool {
        let way = &self.ways[usize::from(!first)];
        !way.open || way.iss != tcp.seq
    }

    fn open(&mut self, first: bool, seen: &Seen<'_>, tcp: &Tcp) {
        if !tcp.flags.has(Flags::ACK) {
            // What happened to a SYN before it was sent lies in the same instant.
            let mood = if self.heard == seen.at { self.mood } else { Mood::Calm };
            *self = Self { mood, heard: seen.at, ..Self::default() };
        }
        let [a, b] = &mut self.ways;
        let (way, back) = if first { (a, b) } else { (b, a) };
        *way = Way {
            open: true,
            iss: tcp.seq,
            scale: tcp.options.window_scale,
            sack: tcp.options.sack_permitted,
            edge: i64::MAX,
            ..Way::default()
        };
        if tcp.flags.has(Flags::ACK) && back.open {
            back.told = back.told.max(unwrap(tcp.ack, back.iss, back.max));
        }
        way.push(0, 1, seen.at);
    }

    /// Whoever received a copy of what it had taken says so (RFC 2883); whoever does not had not taken the first one.
    fn judge_copy_told(
        &mut self,
        first: bool,
        seen: &Seen<'_>,
        tcp: &Tcp,
        scene: &Scene,
        out: &mut Report,
    ) {
        let [a, b] = &mut self.ways;
        let (way, back) = if first { (a, b) } else { (b, a) };
        let Some((from, end, came_at)) = way.twice else { return };
        let below = |left: u32| left.wrapping_sub(tcp.ack).cast_signed() < 0;
        let told = tcp.options.sack.as_slice().first().is_some_and(|block| below(block.0));
        let closing = way.fin || back.fin || tcp.flags.has(Flags::RST);
        if told || closing || self.mood == Mood::Disturbed {
            way.twice = None;
        } else if seen.at > came_at + seen.settles_in && !seen.held_up(came_at) {
            way.twice = None;
            let words = format!("{from} .. {end} came for the second time at {came_at}");
            out.broken(CALM_TAKEN_TWICE, scene, words);
        }
    }

    /// Input: a whole segment reached an end; `first` says whether the first end sent it.
    pub(super) fn received(&mut self, first: bool, seen: &Seen<'_>, tcp: &Tcp, payload: i64) {
        if self.mood == Mood::Disturbed {
            return;
        }
        let [a, b] = &mut self.ways;
        let (way, back) = if first { (a, b) } else { (b, a) };
        if !way.open {
            return;
        }
        let numbers = if tcp.flags.has(Flags::SYN) { 1 } else { payload };
        let from = unwrap(tcp.seq, way.iss, way.arrived);
        let end = from + numbers + i64::from(tcp.flags.has(Flags::FIN));
        if from > way.arrived {
            // What lay between went astray where nobody looks.
            return self.disturbed(seen.at);
        }
        let sack = way.sack && back.sack && !tcp.flags.has(Flags::SYN) && payload > 1;
        if sack && end > from && end <= way.arrived && back.twice.is_none() && !way.fin {
            back.twice = Some((from, end, seen.at));
        }
        way.arrive(end, seen.at);
        if tcp.flags.has(Flags::ACK) && back.open {
            let shift = match (way.scale, back.scale) {
                (Some(shift), Some(_)) if !tcp.flags.has(Flags::SYN) => shift.min(14),
                _ => 0,
            };
            let ack = unwrap(tcp.ack, back.iss, back.max);
            back.edge = ack + (i64::from(tcp.window) << shift);
            back.acknowledged(ack, seen.at);
        }
    }
}

impl Way {
    fn push(&mut self, from: i64, end: i64, at: Instant) {
        if end > self.max {
            let piece = Piece { end, sent_at: at, again: from < self.max, arrived_at: None };
            self.pieces.push_back(piece);
            self.pieces_arrived += usize::from(end <= self.arrived);
            self.max = end;
        }
    }

    fn arrive(&mut self, end: i64, at: Instant) {
        if end <= self.arrived {
            return;
        }
        while let Some(piece) = self.pieces.get_mut(self.pieces_arrived)
            && piece.end <= end
        {
            piece.arrived_at = Some(at);
            self.pieces_arrived += 1;
        }
        self.arrived = end;
    }

    fn acknowledged(&mut self, ack: i64, at: Instant) {
        self.una = self.una.max(ack);
        while let Some(piece) = self.pieces.front().filter(|piece| piece.end <= ack).copied() {
            self.pieces.pop_front();
            self.pieces_arrived = self.pieces_arrived.saturating_sub(1);
            if !piece.again {
                let rtt = at.saturating_since(piece.sent_at);
                self.least_rtt = Some(self.least_rtt.map_or(rtt, |least| least.min(rtt)));
            }
        }
    }

    /// What `from` lies in is sent again.
    fn sent_again(&self, from: i64, seen: &Seen<'_>, scene: &Scene, out: &mut Report) -> Mood {
        let at = self.pieces.partition_point(|piece| piece.end <= from.max(self.una));
        let Some(piece) = self.pieces.get(at) else { return Mood::Calm };
        if piece.end > self.edge {
            // The window is closed, and is probed.
            return Mood::Calm;
        }
        // Timers run since the oldest of what is under way was sent, or since later.
        let oldest = self.pieces.front().map_or(piece.sent_at, |piece| piece.sent_at);
        let age = seen.at.saturating_since(oldest);
        // A probe waits for two round trips (RFC 8985 7.2), and a timeout no less than its least (RFC 6298 2.4).
        let timer = match self.least_rtt {
            Some(rtt) => seen.host.rto_min.min(rtt.saturating_mul(2)),
            None => seen.host.rto_initial,
        };
        // What waited in a ring left later than its timers began.
        if age + TICK + TICK + seen.host.slack < timer {
            let words = format!("{from} .. {} again after {age}, at least {timer}", piece.end);
            out.broken(CALM_RETRANSMISSION, scene, words);
        }
        let answered = seen.host.ack_delay_max + seen.settles_in + seen.settles_in;
        if let Some(arrived_at) = piece.arrived_at
            && self.told < piece.end
            && seen.at > arrived_at + answered
            && !seen.held_up(arrived_at)
        {
            let words =
                format!("{from} .. {} again, its peer has it since {arrived_at}", piece.end);
            out.broken(CALM_RETRANSMISSION, scene, words);
        }
        Mood::Late
    }
}
