//! Completions: the daemon answers and reports.

use std::net::SocketAddr;

use causeway_core::port::{ChannelId, Completion, SocketId, SocketInfo, StreamId};
use causeway_core::socket::INFO_WORDS;
use causeway_core::time::Duration;

use super::ProtoError;
use super::codes::{command_error, command_error_code, end_reason, end_reason_code};
use super::datagram;
use super::fields::{Head, LOCAL_V6, NO_SLOT, REMOTE_V6, narrow, narrow16, pack_ip, unpack_ip};
use crate::ring::Entry;

const FAILED: u8 = 1;
const LISTENING: u8 = 2;
const CONNECTING: u8 = 3;
const CONNECTED: u8 = 4;
const INCOMING: u8 = 5;
const READY: u8 = 6;
const MESSAGE: u8 = 7;
const PEER_CLOSED: u8 = 8;
const ENDED: u8 = 9;
const ECHO_REPLY: u8 = 10;
const INFO: u8 = 11;
const INFO_REST: u8 = 12;
const BOUND: u8 = 13;
const DATAGRAM: u8 = 14;
const DATAGRAM_REFUSED: u8 = 15;
const URGENT: u8 = 16;
const LAST_INFO: u8 = 17;

/// The urgent byte is in the low eight bits beside this one.
const URGENT_BYTE: u16 = 1 << 8;

/// Words of figures in one entry, behind the head and the tag.
const WORDS_EACH: usize = 6;
/// Most entries that a completion takes: those of the figures.
const ENTRIES_MAX: usize = INFO_WORDS.div_ceil(WORDS_EACH);

/// A completion as the entries that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedCompletion(Entries);

#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for a moment, and nearly always has one entry"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entries {
    One(Entry),
    Figures([Entry; ENTRIES_MAX]),
}

impl EncodedCompletion {
    /// Getter: the entries, to be pushed next to each other.
    pub fn entries(&self) -> &[Entry] {
        match &self.0 {
            Entries::One(entry) => std::slice::from_ref(entry),
            Entries::Figures(entries) => entries,
        }
    }
}

/// A completion and the stream slot that its entry carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedCompletion {
    /// The stream that it is about, where the daemon said so.
    pub slot: Option<u32>,
    /// What happened.
    pub completion: Completion,
}

/// Command: a completion as entries. `slot` is the stream of the socket that it is about, if it has one;
/// for completions with a [`StreamId`] that one counts.
pub fn encode_completion(completion: &Completion, slot: Option<u32>) -> EncodedCompletion {
    let head = |kind| Head::new(kind, slot.unwrap_or(NO_SLOT));
    let about = |kind, socket: SocketId, last: u64| {
        [head(kind).pack(), 0, socket.to_bits(), last, 0, 0, 0, 0]
    };
    let entry = match *completion {
        Completion::Failed { tag, error } => {
            [head(FAILED).pack(), tag, u64::from(command_error_code(error)), 0, 0, 0, 0, 0]
        }
        Completion::Listening { tag, socket, local } => {
            with_local(head(LISTENING), tag, socket, local)
        }
        Completion::Connecting { tag, socket, stream, local } => {
            with_local(Head::new(CONNECTING, stream.slot), tag, socket, local)
        }
        Completion::Bound { tag, socket, stream, local } => {
            with_local(Head::new(BOUND, stream.slot), tag, socket, local)
        }
        Completion::Datagram { socket, offset, len, remote } => {
            datagram::encode_arrival(head(DATAGRAM), socket, (offset, len), remote)
        }
        Completion::DatagramRefused { socket, reason } => {
            about(DATAGRAM_REFUSED, socket, u64::from(end_reason_code(reason)))
        }
        Completion::Connected { socket } => about(CONNECTED, socket, 0),
        Completion::Incoming { listener, socket, stream, local, remote } => {
            incoming(stream.slot, [listener, socket], local, remote)
        }
        Completion::Ready { socket } => about(READY, socket, 0),
        Completion::Message { socket, offset, len } => {
            [head(MESSAGE).pack(), 0, socket.to_bits(), offset, u64::from(len), 0, 0, 0]
        }
        Completion::PeerClosed { socket } => about(PEER_CLOSED, socket, 0),
        Completion::Urgent { socket, offset, byte } => {
            let head = head(URGENT).small(byte.map_or(0, |byte| URGENT_BYTE | u16::from(byte)));
            [head.pack(), 0, socket.to_bits(), offset, 0, 0, 0, 0]
        }
        Completion::LastInfo { socket, ref info } => {
            return info_entries(head(LAST_INFO), socket.to_bits(), info);
        }
        Completion::Ended { socket, reason } => {
            about(ENDED, socket, u64::from(end_reason_code(reason)))
        }
        Completion::EchoReply { tag, sequence, len, rtt, ttl } => {
            let head = head(ECHO_REPLY).small(sequence).pack();
            [head, tag, u64::from(len), rtt.as_nanos(), u64::from(ttl), 0, 0, 0]
        }
        Completion::Info { tag, ref info } => return info_entries(head(INFO), tag, info),
    };
    EncodedCompletion(Entries::One(entry))
}

fn with_local(head: Head, tag: u64, socket: SocketId, local: SocketAddr) -> Entry {
    let (ip, v6) = pack_ip(local.ip());
    let head = head.small(local.port()).flags(if v6 { LOCAL_V6 } else { 0 });
    [head.pack(), tag, socket.to_bits(), ip[0], ip[1], 0, 0, 0]
}

fn incoming(slot: u32, ids: [SocketId; 2], local: SocketAddr, remote: SocketAddr) -> Entry {
    let (here, here_v6) = pack_ip(local.ip());
    let (there, there_v6) = pack_ip(remote.ip());
    let flags = if here_v6 { LOCAL_V6 } else { 0 } | if there_v6 { REMOTE_V6 } else { 0 };
    let head = Head::new(INCOMING, slot).small(local.port()).flags(flags).pack();
    let [listener, socket] = ids.map(SocketId::to_bits);
    [head, listener, socket, here[0], here[1], there[0], there[1], u64::from(remote.port())]
}

/// The figures, six words an entry. `about`: a tag, or a socket.
fn info_entries(head: Head, about: u64, info: &SocketInfo) -> EncodedCompletion {
    let mut entries = [[0; 8]; ENTRIES_MAX];
    let words = info.to_words();
    for (index, (entry, words)) in entries.iter_mut().zip(words.chunks(WORDS_EACH)).enumerate() {
        let kind = if index == 0 { head.kind } else { INFO_REST };
        entry[0] = Head { kind, ..head }.small(index as u16).pack();
        entry[1] = about;
        entry[2..2 + words.len()].copy_from_slice(words);
    }
    EncodedCompletion(Entries::Figures(entries))
}

/// Decodes one lane's completions; holds the beginning of one that takes several entries.
#[derive(Debug, Default)]
pub struct CompletionDecoder {
    part: Option<Part>,
}

/// Figures of which some entries have come.
#[derive(Debug)]
struct Part {
    /// Of the first entry: the kind, and the tag or the socket.
    kind: u8,
    about: u64,
    entries: u16,
    words: [u64; ENTRIES_MAX * WORDS_EACH],
}

impl Part {
    /// Input: the next entry; `Some` with the last.
    fn take(&mut self, head: Head, entry: &Entry) -> Result<Option<Completion>, ProtoError> {
        if entry[1] != self.about || head.small != self.entries {
            return Err(ProtoError::Half);
        }
        let at = usize::from(self.entries) * WORDS_EACH;
        self.words[at..at + WORDS_EACH].copy_from_slice(&entry[2..]);
        self.entries += 1;
        if usize::from(self.entries) < ENTRIES_MAX {
            return Ok(None);
        }
        let (words, rest) = self.words.split_first_chunk().ok_or(ProtoError::Half)?;
        zero_from_words(rest)?;
        let info = Box::new(SocketInfo::from_words(words));
        Ok(Some(match self.kind {
            LAST_INFO => Completion::LastInfo { socket: SocketId::from_bits(self.about), info },
            _ => Completion::Info { tag: self.about, info },
        }))
    }
}

fn zero_from_words(rest: &[u64]) -> Result<(), ProtoError> {
    if rest.iter().all(|word| *word == 0) { Ok(()) } else { Err(ProtoError::Argument) }
}

impl CompletionDecoder {
    /// Input: the next entry. `Ok(None)`: the rest of it is in the next one. `channel` names the
    /// channel in stream ids.
    pub fn decode(
        &mut self,
        entry: &Entry,
        channel: ChannelId,
    ) -> Result<Option<DecodedCompletion>, ProtoError> {
        let head = Head::unpack(entry[0]);
        let mut part = match (self.part.take(), head.kind) {
            (None, kind @ (INFO | LAST_INFO)) => {
                let words = [0; ENTRIES_MAX * WORDS_EACH];
                Part { kind, about: entry[1], entries: 0, words }
            }
            (Some(part), INFO_REST) => part,
            (Some(_), _) | (None, INFO_REST) => return Err(ProtoError::Half),
            (None, _) => {
                let completion = decode_one(head, entry, channel)?;
                return Ok(Some(DecodedCompletion { slot: head.stream(), completion }));
            }
        };
        let Some(completion) = part.take(head, entry)? else {
            self.part = Some(part);
            return Ok(None);
        };
        Ok(Some(DecodedCompletion { slot: head.stream(), completion }))
    }
}

fn decode_one(head: Head, entry: &Entry, channel: ChannelId) -> Result<Completion, ProtoError> {
    let socket = SocketId::from_bits(entry[2]);
    let stream = StreamId { channel, slot: head.slot };
    let local = || {
        let ip = unpack_ip([entry[3], entry[4]], head.flags & LOCAL_V6 != 0)?;
        Ok(SocketAddr::new(ip, head.small))
    };
    let tag = entry[1];
    Ok(match head.kind {
        FAILED => Completion::Failed { tag, error: command_error(entry[2])? },
        LISTENING => Completion::Listening { tag, socket, local: local()? },
        CONNECTING => Completion::Connecting { tag, socket, stream, local: local()? },
        BOUND => Completion::Bound { tag, socket, stream, local: local()? },
        DATAGRAM => datagram::decode_arrival(head, entry)?,
        DATAGRAM_REFUSED => Completion::DatagramRefused { socket, reason: end_reason(entry[3])? },
        CONNECTED => Completion::Connected { socket },
        INCOMING => {
            let ip = unpack_ip([entry[5], entry[6]], head.flags & REMOTE_V6 != 0)?;
            let remote = SocketAddr::new(ip, narrow16(entry[7])?);
            let listener = SocketId::from_bits(entry[1]);
            Completion::Incoming { listener, socket, stream, local: local()?, remote }
        }
        READY => Completion::Ready { socket },
        MESSAGE => Completion::Message { socket, offset: entry[3], len: narrow(entry[4])? },
        PEER_CLOSED => Completion::PeerClosed { socket },
        URGENT => {
            let byte = (head.small & URGENT_BYTE != 0).then_some(head.small as u8);
            Completion::Urgent { socket, offset: entry[3], byte }
        }
        ENDED => Completion::Ended { socket, reason: end_reason(entry[3])? },
        ECHO_REPLY => Completion::EchoReply {
            tag,
            sequence: head.small,
            len: narrow16(entry[2])?,
            rtt: Duration::from_nanos(entry[3]),
            ttl: u8::try_from(entry[4]).map_err(|_| ProtoError::Argument)?,
        },
        _ => return Err(ProtoError::Kind),
    })
}
