//! Completions: the daemon answers and reports.

use std::net::SocketAddr;

use causeway_core::port::{ChannelId, Completion, SocketId, SocketInfo, StreamId};
use causeway_core::time::Duration;

use super::ProtoError;
use super::codes::{command_error, command_error_code, end_reason, end_reason_code};
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

/// A completion as the one or two entries that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedCompletion {
    entries: [Entry; 2],
    len: usize,
}

impl EncodedCompletion {
    /// Getter: the entries, to be pushed next to each other.
    pub fn entries(&self) -> &[Entry] {
        &self.entries[..self.len]
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
        Completion::Connected { socket } => about(CONNECTED, socket, 0),
        Completion::Incoming { listener, socket, stream, local, remote } => {
            incoming(stream.slot, [listener, socket], local, remote)
        }
        Completion::Ready { socket } => about(READY, socket, 0),
        Completion::Message { socket, offset, len } => {
            [head(MESSAGE).pack(), 0, socket.to_bits(), offset, u64::from(len), 0, 0, 0]
        }
        Completion::PeerClosed { socket } => about(PEER_CLOSED, socket, 0),
        Completion::Ended { socket, reason } => {
            about(ENDED, socket, u64::from(end_reason_code(reason)))
        }
        Completion::EchoReply { tag, sequence, len, rtt, ttl } => {
            let head = head(ECHO_REPLY).small(sequence).pack();
            [head, tag, u64::from(len), rtt.as_nanos(), u64::from(ttl), 0, 0, 0]
        }
        Completion::Info { tag, info } => return info_entries(head(INFO), tag, &info),
    };
    EncodedCompletion { entries: [entry, [0; 8]], len: 1 }
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

fn info_entries(head: Head, tag: u64, info: &SocketInfo) -> EncodedCompletion {
    let SocketInfo {
        srtt,
        rttvar,
        cwnd_bytes,
        ssthresh_bytes,
        retransmits,
        bytes_sent,
        bytes_acked,
        bytes_received,
        message_acked,
    } = *info;
    let windows = u64::from(cwnd_bytes) | u64::from(ssthresh_bytes) << 32;
    let (srtt, rttvar) = (srtt.as_nanos(), rttvar.as_nanos());
    let first = [head.pack(), tag, srtt, rttvar, windows, retransmits, bytes_sent, bytes_acked];
    let rest = Head { kind: INFO_REST, ..head }.pack();
    let second = [rest, tag, bytes_received, message_acked, 0, 0, 0, 0];
    EncodedCompletion { entries: [first, second], len: 2 }
}

/// Decodes one lane's completions; holds the first half of one that takes two entries.
#[derive(Debug, Default)]
pub struct CompletionDecoder {
    half: Option<Entry>,
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
        let completion = match (self.half.take(), head.kind) {
            (None, INFO) => {
                self.half = Some(*entry);
                return Ok(None);
            }
            (Some(first), INFO_REST) => info(&first, entry)?,
            (Some(_), _) | (None, INFO_REST) => return Err(ProtoError::Half),
            (None, _) => decode_one(head, entry, channel)?,
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

fn info(first: &Entry, second: &Entry) -> Result<Completion, ProtoError> {
    let [_, tag, srtt, rttvar, windows, retransmits, bytes_sent, bytes_acked] = *first;
    if second[1] != tag {
        return Err(ProtoError::Half);
    }
    let info = SocketInfo {
        srtt: Duration::from_nanos(srtt),
        rttvar: Duration::from_nanos(rttvar),
        cwnd_bytes: windows as u32,
        ssthresh_bytes: (windows >> 32) as u32,
        retransmits,
        bytes_sent,
        bytes_acked,
        bytes_received: second[2],
        message_acked: second[3],
    };
    Ok(Completion::Info { tag, info })
}
