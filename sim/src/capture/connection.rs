//! The connections of a capture, and what of them each segment is.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::frame::Segment;
use crate::packet::{Flags, TcpOptions};

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Who opened it.
    Client,
    /// Who was called.
    Server,
}

impl Role {
    /// Getter: the other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What an end's SYN said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Its options.
    pub options: TcpOptions,
    /// It asked for ECN, or granted it.
    pub ecn: bool,
}

/// What one end of a connection sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// The sequence number of the first byte of its stream.
    first: Option<u32>,
    /// What its SYN said, where the capture has it.
    pub opening: Option<Opening>,
    /// Bytes of its stream that it sent.
    pub sent: u64,
    /// Bytes of payload in all of its segments.
    pub seen: u64,
    /// It sent a FIN.
    pub finished: bool,
    /// It sent a RST.
    pub reset: bool,
    /// The longest payload of a segment.
    pub payload_max: u32,
    /// The longest IP packet, in bytes.
    pub packet_max: u32,
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opened it; where no SYN was seen, whoever has the higher port.
    pub client: SocketAddr,
    /// Who was called.
    pub server: SocketAddr,
    /// Its client's half and its server's.
    pub halves: [Half; 2],
}

/// What a segment is of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Which of [`Connections::all`].
    pub connection: usize,
    /// Who sent it.
    pub from: Role,
    /// Where its payload begins in the sender's stream; that of a SYN is -1.
    pub offset: i64,
    /// What it acknowledges of the other stream, where it does.
    pub ack: Option<i64>,
    /// It has bytes, or a FIN, that were not seen before.
    pub is_new: bool,
}

/// All connections of a capture. The segments have to be given in order of time.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    all: Vec<Connection>,
    /// The last one between two ends, the lower one first.
    by_ends: HashMap<(SocketAddr, SocketAddr), usize>,
}

/// The distance of a number from a stream's begin that lies nearest to `near`.
const fn unwrapped(number: u32, first: u32, near: u64) -> i64 {
    let expected = first.wrapping_add(near as u32);
    near.cast_signed().wrapping_add(number.wrapping_sub(expected).cast_signed() as i64)
}

impl Half {
    /// Getter: how long its stream is, where segments far from each other are no stream: numbers cost whoever made a file nothing.
    pub const fn len(&self) -> u64 {
        let missing_max = self.seen + (1 << 20);
        if self.sent <= self.seen + missing_max { self.sent } else { self.seen }
    }

    /// Getter: it sent nothing.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Getter: where `number` lies in its stream; the SYN's is -1.
    pub(crate) fn place(&self, number: u32) -> Option<i64> {
        Some(unwrapped(number, self.first?, self.sent))
    }
}

impl Connections {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Getter: the connections, in order of their first segments.
    pub fn all(&self) -> &[Connection] {
        &self.all
    }

    /// Getter: one of them.
    pub fn one(&self, index: usize) -> Option<&Connection> {
        self.all.get(index)
    }

    /// Input: a segment that somebody sent. What it is of its connection, which it may begin.
    pub fn take(&mut self, segment: &Segment) -> Spot {
        let connection = self.find(segment);
        let Connection { client, halves, .. } = &mut self.all[connection];
        let from = if segment.source == *client { Role::Client } else { Role::Server };
        let (head, tail) = halves.split_at_mut(1);
        let (own, other) = match from {
            Role::Client => (&mut head[0], &tail[0]),
            Role::Server => (&mut tail[0], &head[0]),
        };
        let (offset, is_new) = own.take(segment);
        let tcp = &segment.tcp;
        let acks = tcp.flags.has(Flags::ACK);
        let ack = if acks { other.place(tcp.ack) } else { None };
        Spot { connection, from, offset, ack, is_new }
    }

    /// Getter: what a segment that somebody received is of its connection; `None` where it has none.
    pub fn look(&self, segment: &Segment) -> Option<Spot> {
        let connection = *self.by_ends.get(&ends(segment))?;
        let Connection { client, halves: [a, b], .. } = self.all.get(connection)?;
        let from = if segment.source == *client { Role::Client } else { Role::Server };
        let (own, other) = if from == Role::Client { (a, b) } else { (b, a) };
        let tcp = &segment.tcp;
        let offset = own.place(tcp.seq)?;
        let ack = if tcp.flags.has(Flags::ACK) { other.place(tcp.ack) } else { None };
        Some(Spot { connection, from, offset, ack, is_new: false })
    }

    /// Getter: where `number` lies in the stream that `from` sends to `to`; `None` where no connection is between them.
    pub(crate) fn place(&self, from: SocketAddr, to: SocketAddr, number: u32) -> Option<i64> {
        let connection = self.all.get(*self.by_ends.get(&(from.min(to), from.max(to)))?)?;
        let role = if from == connection.client { Role::Client } else { Role::Server };
        connection.half(role).place(number)
    }

    /// The connection of a segment; a new one where it has none.
    fn find(&mut self, segment: &Segment) -> usize {
        let key = ends(segment);
        let flags = segment.tcp.flags;
        let opens = flags.has(Flags::SYN) && !flags.has(Flags::ACK);
        if let Some(&known) = self.by_ends.get(&key)
            && !(opens && self.all[known].is_another(segment))
        {
            return known;
        }
        let answers = flags.has(Flags::SYN) && flags.has(Flags::ACK);
        let higher = segment.source.port() >= segment.destination.port();
        let is_client = opens || !answers && higher;
        let (client, server) = if is_client {
            (segment.source, segment.destination)
        } else {
            (segment.destination, segment.source)
        };
        self.all.push(Connection { client, server, halves: [Half::default(); 2] });
        self.by_ends.insert(key, self.all.len() - 1);
        self.all.len() - 1
    }
}

fn ends(segment: &Segment) -> (SocketAddr, SocketAddr) {
    let (a, b) = (segment.source, segment.destination);
    (a.min(b), a.max(b))
}

impl Connection {
    /// Getter: what an end sent.
    pub const fn half(&self, role: Role) -> &Half {
        match role {
            Role::Client => &self.halves[0],
            Role::Server => &self.halves[1],
        }
    }

    /// Getter: a SYN without ACK that is not this connection's.
    fn is_another(&self, syn: &Segment) -> bool {
        let own = if syn.source == self.client { Role::Client } else { Role::Server };
        let first = syn.tcp.seq.wrapping_add(1);
        let half = self.half(own);
        match half.first {
            // Both ends may open at the same time (RFC 9293 3.5).
            None => half.opening.is_some(),
            Some(known) => known != first,
        }
    }
}

impl Half {
    /// Where the payload of a segment begins, and whether something of it is new.
    fn take(&mut self, segment: &Segment) -> (i64, bool) {
        let tcp = &segment.tcp;
        let syn = tcp.flags.has(Flags::SYN);
        if syn && self.opening.is_none() {
            let ecn = tcp.flags.has(Flags::ECE);
            self.opening = Some(Opening { options: tcp.options, ecn });
            self.first = Some(tcp.seq.wrapping_add(1));
        }
        if tcp.flags.has(Flags::RST) {
            self.reset = true;
            let offset = self.place(tcp.seq).unwrap_or(0);
            return (offset, true);
        }
        let first = *self.first.get_or_insert(tcp.seq);
        let offset = unwrapped(tcp.seq, first, self.sent);
        let payload = offset + i64::from(syn);
        let end = payload + i64::from(segment.payload_len);
        let fin = tcp.flags.has(Flags::FIN);
        let is_new =
            segment.payload_len > 0 && end > self.sent.cast_signed() || fin && !self.finished;
        // A number far from the stream is no part of it: a window is no longer.
        if segment.payload_len > 0 && end <= self.sent.cast_signed() + (1 << 30) {
            self.sent = self.sent.max(u64::try_from(end).unwrap_or(0));
        }
        self.seen += u64::from(segment.payload_len);
        self.finished |= fin;
        self.payload_max = self.payload_max.max(segment.payload_len);
        self.packet_max = self.packet_max.max(segment.packet_len() as u32);
        (offset, is_new)
    }
}
