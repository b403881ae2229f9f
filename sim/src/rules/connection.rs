//! One end of a TCP connection, as far as its own host's frames tell: what it has sent, and what has reached it.
//!
//! Nothing is taken from what the other host sent: between the two there may be anything.

use std::net::SocketAddr;

use causeway_core::time::{Duration, Instant};

use super::ack_bound::Owed;
use super::amplification::Stranger;
use super::congestion_bound::Flight;
use super::ecn::Marks;
use super::host::HostRules;
use super::ranges::Received;
use super::replies::Replies;
use super::report::Scene;
use super::sack::Told;
use super::same_bytes::Sums;
use super::stamps::Stamps;
use super::timeout::Tries;
use super::window::Edges;
use crate::packet::{Flags, Ip, PayloadSum, Tcp};

/// Most earlier answers to SYNs that are remembered.
const ANSWERS_MAX: usize = 8;

/// Whether something holds, as far as can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tri {
    #[default]
    No,
    /// Frames differ in it, and it is not known which the host believes.
    Maybe,
    Yes,
}

impl Tri {
    pub(super) const fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Another frame says `holds`.
    pub(super) fn joined(self, holds: bool) -> Self {
        if self == Self::of(holds) { self } else { Self::Maybe }
    }

    /// This, and what the host itself offered.
    pub(super) const fn and(self, offered: bool) -> Self {
        if offered { self } else { Self::No }
    }
}

/// What a SYN that reached the host offers; several with one number are taken together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) isn: u32,
    pub(super) timestamps: Tri,
    pub(super) sack: Tri,
    pub(super) scaled: Tri,
    pub(super) scale: u8,
    /// 0: none was announced.
    pub(super) mss: u16,
    pub(super) ecn: Tri,
    pub(super) payload: i64,
    /// It came more than once.
    pub(super) again: bool,
    /// The TSvals that it came with.
    pub(super) stamps: Stamps,
}

/// What both SYNs say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agreed {
    pub(super) timestamps: Tri,
    pub(super) sack: Tri,
    pub(super) scaled: Tri,
    /// Shift of the windows that the peer tells.
    pub(super) peer_shift: u8,
    /// Shift of the windows that the host tells.
    pub(super) own_shift: u8,
    pub(super) peer_mss: u16,
    pub(super) ecn: Tri,
}

/// What the host's own SYN says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) mss: Option<u16>,
    pub(super) scale: Option<u8>,
    pub(super) sack: bool,
    pub(super) timestamps: bool,
}

/// What the host has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sender {
    /// The next number that was never sent, as an offset from the SYN.
    pub(super) max: i64,
    /// The highest acknowledgement that reached the host.
    pub(super) una: i64,
    /// An acknowledgement that the host has taken for certain, and one that it will have taken at that time.
    pub(super) una_taken: i64,
    una_next: Option<(i64, Instant)>,
    /// When something was sent last.
    pub(super) sent_at: Instant,
    /// The number of the FIN.
    pub(super) fin: Option<i64>,
    /// The host ended the connection by RST.
    pub(super) aborted: bool,
    /// A RST left behind all that was sent, and nothing since.
    pub(super) has_reset: bool,
    /// The last acknowledgement that was sent.
    pub(super) ack: Option<i64>,
    /// Something else than SYN was sent.
    pub(super) spoken: bool,
    /// Data or FIN was sent on its own.
    pub(super) data: bool,
    /// The SYN had Fast Open, the host's or the peer's.
    pub(super) fast_open: bool,
    /// Something was dropped while it waited for a neighbour's address, where nobody saw it.
    pub(super) unseen: bool,
    /// The longest payload.
    pub(super) longest: i64,
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    pub(super) ends: (SocketAddr, SocketAddr),
    /// A SYN was sent.
    pub(super) open: bool,
    /// The first SYN was without ACK.
    pub(super) active: bool,
    /// The connection may have begun before it was watched.
    pub(super) foreign: bool,
    /// The host may have received more than was seen.
    pub(super) blind: bool,
    pub(super) iss: u32,
    pub(super) irs: Option<u32>,
    /// What SYN,ACKs began with before: cookies, maybe, which stay good.
    pub(super) answers: Vec<u32>,
    pub(super) candidates: Vec<Candidate>,
    /// What reached the host before its SYN,ACK left: first number, and how many. Of somebody who guesses.
    pub(super) early: Vec<(u32, i64)>,
    /// The host has shown which SYN it believes.
    pub(super) settled: bool,
    pub(super) offered: Offered,
    pub(super) agreed: Agreed,
    pub(super) snd: Sender,
    pub(super) rcv: Received,
    /// The number of the peer's FIN, where one reached the host.
    pub(super) peer_fin: Option<i64>,
    /// A RST reached the host.
    pub(super) peer_reset: bool,
    /// When something of the connection last reached the host.
    pub(super) heard: Instant,
    /// The same, of what came since the connection began.
    pub(super) spoken_to: Option<Instant>,
    /// When the host acknowledged the peer's FIN after its own was acknowledged, not having sent it afterwards.
    pub(super) time_wait: Option<Instant>,
    /// When the host sent its own FIN first, the peer's not being acknowledged yet.
    pub(super) closes_first: bool,
    pub(super) edges: Edges,
    pub(super) stamps: Stamps,
    pub(super) sums: Sums,
    pub(super) tries: Tries,
    pub(super) flight: Flight,
    pub(super) owed: Owed,
    pub(super) replies: Replies,
    pub(super) marks: Marks,
    pub(super) told: Told,
    pub(super) stranger: Stranger,
    /// What the path is said to carry, in bytes, from when on the host knows it, and until when it may not try more (RFC 1191 6.3).
    pub(super) path: Option<(usize, Instant, Instant)>,
}

/// A segment with its place in the sequence spaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) at: Instant,
    pub(super) ip: &'a Ip,
    pub(super) tcp: &'a Tcp,
    /// Offset from the SYN that begins its sender's numbers.
    pub(super) seq: i64,
    /// Of the first byte of payload.
    pub(super) from: i64,
    /// Bytes of payload.
    pub(super) payload: i64,
    /// One past its last number.
    pub(super) end: i64,
    /// What it acknowledges, as an offset from the other SYN.
    pub(super) ack: Option<i64>,
    pub(super) sum: PayloadSum,
}

/// The place of `number`, which is near `near`, in a space that begins with `first`.
#[inline]
pub(super) const fn unwrap(number: u32, first: u32, near: i64) -> i64 {
    let distance = number.wrapping_sub(first).wrapping_sub(near as u32);
    near + distance.cast_signed() as i64
}

impl Segment<'_> {
    #[inline]
    pub(super) fn has(&self, flags: Flags) -> bool {
        self.tcp.flags.has(flags)
    }

    /// Getter: it has no sequence number of its own.
    #[inline]
    pub(super) const fn is_bare(&self) -> bool {
        self.end == self.seq
    }
}

impl End {
    pub(super) fn new(ends: (SocketAddr, SocketAddr), foreign: bool, at: Instant) -> Self {
        Self {
            ends,
            open: false,
            active: false,
            foreign,
            blind: false,
            iss: 0,
            irs: None,
            answers: Vec::new(),
            candidates: Vec::new(),
            early: Vec::new(),
            settled: false,
            offered: Offered::default(),
            agreed: Agreed::default(),
            snd: Sender::default(),
            rcv: Received::default(),
            peer_fin: None,
            peer_reset: false,
            heard: at,
            spoken_to: None,
            time_wait: None,
            closes_first: false,
            edges: Edges::default(),
            stamps: Stamps::default(),
            sums: Sums::default(),
            tries: Tries::default(),
            flight: Flight::default(),
            owed: Owed::default(),
            replies: Replies::default(),
            marks: Marks::default(),
            told: Told::default(),
            stranger: Stranger::default(),
            path: None,
        }
    }

    /// Command: a connection begins with the host's number `iss`.
    pub(super) fn reopen(&mut self, iss: u32, active: bool, at: Instant) {
        let candidates = std::mem::take(&mut self.candidates);
        let early = std::mem::take(&mut self.early);
        let replies = std::mem::take(&mut self.replies);
        let stranger = self.stranger;
        let mut answers = std::mem::take(&mut self.answers);
        if self.open && !self.active && self.iss != iss {
            if answers.len() == ANSWERS_MAX {
                answers.remove(0);
            }
            answers.push(self.iss);
        }
        *self = Self::new(self.ends, false, at);
        self.answers = answers;
        (self.candidates, self.early, self.replies) = (candidates, early, replies);
        (self.open, self.active, self.iss) = (true, active, iss);
        self.stranger = stranger;
        if active {
            self.stranger.prove();
        }
        self.replies.opened();
    }

    pub(super) const fn scene(&self, host: usize, at: Instant) -> Scene {
        Scene { host, at, ends: Some(self.ends) }
    }

    /// Getter: nothing more is expected of it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let quiet = now.saturating_since(self.heard);
        let ended = !self.open || self.snd.aborted || self.peer_reset;
        let closed = self.snd.fin.is_some() && self.peer_fin.is_some();
        (ended && quiet > Duration::from_secs(30)) || (closed && quiet > Duration::from_secs(600))
    }

    /// Getter: neither side has begun to close, and the host has spoken beyond its SYN.
    pub(super) const fn is_established(&self) -> bool {
        self.open
            && self.snd.spoken
            && self.irs.is_some()
            && self.snd.fin.is_none()
            && self.peer_fin.is_none()
            && !self.snd.aborted
            && !self.peer_reset
            && !self.blind
    }

    /// Getter: `tcp`, which the host sends, in its place; only where a SYN was sent.
    #[inline]
    pub(super) fn outgoing<'a>(
        &self,
        at: Instant,
        (ip, tcp): (&'a Ip, &'a Tcp),
        payload: i64,
        sum: PayloadSum,
    ) -> Segment<'a> {
        let seq = unwrap(tcp.seq, self.iss, self.snd.max);
        let ack = match self.irs {
            Some(irs) if tcp.flags.has(Flags::ACK) => Some(unwrap(tcp.ack, irs, self.rcv.edge)),
            Some(_) | None => None,
        };
        place(at, (ip, tcp), seq, payload, ack, sum)
    }

    /// Getter: `tcp`, which reached the host, in its place; only where the peer's SYN is known.
    #[inline]
    pub(super) fn incoming<'a>(
        &self,
        at: Instant,
        (ip, tcp): (&'a Ip, &'a Tcp),
        payload: i64,
    ) -> Option<Segment<'a>> {
        let seq = unwrap(tcp.seq, self.irs?, self.rcv.edge);
        let acks = tcp.flags.has(Flags::ACK);
        let ack = acks.then(|| unwrap(tcp.ack, self.iss, self.snd.max));
        Some(place(at, (ip, tcp), seq, payload, ack, PayloadSum::default()))
    }

    /// Input: an acknowledgement reached the host that it cannot but take.
    pub(super) fn acknowledged(&mut self, ack: i64, at: Instant, host: &HostRules) {
        match self.snd.una_next {
            Some((next, taken_at)) if taken_at <= at => {
                self.snd.una_taken = self.snd.una_taken.max(next);
                self.snd.una_next = Some((ack, at + host.settles_in()));
            }
            Some(_) => {}
            None => self.snd.una_next = Some((ack, at + host.settles_in())),
        }
    }

    /// Getter: up to here the host knows that all was received.
    pub(super) fn known_acknowledged(&self, at: Instant) -> i64 {
        match self.snd.una_next {
            Some((next, taken_at)) if taken_at <= at => self.snd.una_taken.max(next),
            Some(_) | None => self.snd.una_taken,
        }
    }
}

#[inline]
fn place<'a>(
    at: Instant,
    (ip, tcp): (&'a Ip, &'a Tcp),
    seq: i64,
    payload: i64,
    ack: Option<i64>,
    sum: PayloadSum,
) -> Segment<'a> {
    let from = seq + i64::from(tcp.flags.has(Flags::SYN));
    let end = from + payload + i64::from(tcp.flags.has(Flags::FIN));
    Segment { at, ip, tcp, seq, from, payload, end, ack, sum }
}
