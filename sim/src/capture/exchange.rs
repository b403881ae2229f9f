//! Conversations over UDP, Machnet's among them, and what of them each datagram is.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::{Datagram, Role};
use crate::packet::{Machnet, MachnetKind};

/// What one end sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Voice {
    /// Datagrams; of Machnet packets of messages, each once.
    pub(super) count: u64,
    /// Their payload.
    pub(super) bytes: u64,
    /// Machnet: messages that it sent whole.
    pub(super) messages: u64,
    /// The longest IP packet.
    pub(super) packet_max: u32,
    /// The number of its first packet of a message.
    first: Option<u32>,
    /// One past the highest place.
    next: i64,
}

/// A conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    /// Who begins.
    pub(super) client: SocketAddr,
    /// Who is called.
    pub(super) server: SocketAddr,
    pub(super) is_machnet: bool,
    /// It speaks Machnet's extended profile.
    pub(super) is_extended: bool,
    /// Its client's voice and its server's.
    pub(super) voices: [Voice; 2],
}

/// What a datagram says. Places count from the first packet of a message that its sender sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is none of Machnet's.
    Datagram,
    /// The packet of a message at this place.
    Packet(i64),
    /// All packets of the peer below this place have arrived.
    Ack(i64),
    /// It begins a flow, or answers that.
    Begin,
    /// The flow is gone.
    Reset,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Utterance {
    /// Which of [`Exchanges::all`].
    pub(super) exchange: usize,
    pub(super) from: Role,
    pub(super) said: Said,
}

/// All conversations. The datagrams have to be given in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchanges {
    all: Vec<Exchange>,
    /// The one between two ends, the lower one first.
    by_ends: HashMap<(SocketAddr, SocketAddr), usize>,
}

impl Exchanges {
    /// Getter: the conversations, in order of their first datagrams.
    pub(super) fn all(&self) -> &[Exchange] {
        &self.all
    }

    /// Input: a datagram that somebody sent.
    pub(super) fn take(&mut self, datagram: &Datagram) -> Utterance {
        let (a, b) = (datagram.source, datagram.destination);
        let exchange = *self.by_ends.entry((a.min(b), a.max(b))).or_insert_with(|| {
            // Who answers begins nothing.
            let answers =
                datagram.machnet.is_some_and(|machnet| machnet.kind == MachnetKind::SynAck);
            let (client, server) = if answers { (b, a) } else { (a, b) };
            let is_machnet = datagram.machnet.is_some();
            let voices = Default::default();
            self.all.push(Exchange { client, server, is_machnet, is_extended: false, voices });
            self.all.len() - 1
        });
        let Exchange { client, is_machnet, is_extended, voices: [first, second], .. } =
            &mut self.all[exchange];
        let from = if a == *client { Role::Client } else { Role::Server };
        let (own, other) = if from == Role::Client { (first, second) } else { (second, first) };
        own.packet_max = own.packet_max.max(datagram.end as u32);
        let said = match datagram.machnet.filter(|_| *is_machnet) {
            Some(machnet) => {
                *is_extended |= machnet.is_extended();
                own.packet(&machnet, other, datagram)
            }
            None => {
                own.count += 1;
                own.bytes += u64::from(datagram.payload_len);
                Said::Datagram
            }
        };
        Utterance { exchange, from, said }
    }
}

impl Exchange {
    /// Getter: what an end sent.
    pub(super) const fn voice(&self, role: Role) -> &Voice {
        &self.voices[role as usize]
    }
}

impl Voice {
    /// The distance of a packet's number from the first one.
    fn place(&self, number: u32) -> i64 {
        let first = self.first.unwrap_or(number);
        let expected = first.wrapping_add(self.next as u32);
        self.next + i64::from(number.wrapping_sub(expected).cast_signed())
    }

    /// Input: a packet of Machnet that it sent.
    fn packet(&mut self, machnet: &Machnet, other: &Self, datagram: &Datagram) -> Said {
        match machnet.kind {
            MachnetKind::Data => {
                self.first.get_or_insert(machnet.seq);
                let place = self.place(machnet.seq);
                if place >= self.next {
                    self.next = place + 1;
                    self.count += 1;
                    self.bytes += u64::from(datagram.payload_len);
                    self.messages += datagram.messages;
                }
                Said::Packet(place)
            }
            MachnetKind::Ack => Said::Ack(other.place(machnet.ack)),
            MachnetKind::Syn | MachnetKind::SynAck => Said::Begin,
            MachnetKind::Rst => Said::Reset,
            // It means nothing to anybody.
            MachnetKind::Unknown(_) => Said::Datagram,
        }
    }
}
