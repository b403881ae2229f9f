//! A segment for the captured host becomes one for our stack.

use std::net::{IpAddr, SocketAddr};

use super::script::{Arrival, Script};
use super::station::STATION;
use crate::link::repair;
use crate::packet::Flags;

/// What is known of our stack's end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ours {
    /// Its end, once it has sent or was called.
    pub(super) local: Option<SocketAddr>,
    /// The number of the first byte of its stream, once it has sent a SYN.
    pub(super) first: Option<u32>,
    /// How far it has sent; a FIN counts as a byte.
    pub(super) sent: i64,
    /// Its first timestamp and its last.
    pub(super) stamps: Option<(u32, u32)>,
}

/// What was done to a segment beside new numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bent {
    /// What it acknowledged, where our stack has not sent so much.
    pub(super) owed: Option<i64>,
}

/// Milliseconds: the clock of our stack's timestamps, and the usual ones of others, in ticks a second.
const OURS_HZ: u64 = 1_000;
const USUAL_HZ: [u64; 4] = [100, 250, 1_000, 1_000_000];

/// How many ticks a second the captured host's timestamps had.
pub(super) fn ticks(script: &Script) -> u64 {
    let Some((first, since, last, at)) = script.stamps else { return OURS_HZ };
    let nanos = at - since;
    // Less does not tell them apart.
    if nanos < 100_000_000 {
        return OURS_HZ;
    }
    let hz = u128::from(last.wrapping_sub(first)) * 1_000_000_000 / u128::from(nanos);
    let hz = u64::try_from(hz).unwrap_or(u64::MAX);
    USUAL_HZ
        .into_iter()
        .min_by_key(|usual| {
            let (low, high) = (hz.min(*usual).max(1), hz.max(*usual));
            high * 100 / low
        })
        .unwrap_or(OURS_HZ)
}

/// The frame for our stack; `None` before there is anything that it could be about.
pub(super) fn frame(
    arrival: &Arrival<'_>,
    script: &Script,
    ours: &Ours,
    mac: [u8; 6],
) -> Option<(Vec<u8>, Bent)> {
    let segment = &arrival.segment;
    let local = ours.local.unwrap_or(script.local);
    let header =
        arrival.frame.bytes.get(segment.tcp_at..segment.tcp_at + segment.tcp.header_len)?;
    let mut tcp = header.to_vec();
    tcp[2..4].copy_from_slice(&local.port().to_be_bytes());
    tcp[4..8].copy_from_slice(&segment.tcp.seq.to_be_bytes());
    tcp[13] = segment.tcp.flags.0;
    let mut bent = Bent::default();
    if segment.tcp.flags.has(Flags::ACK) {
        // A reset for what our stack never sent says nothing to it.
        let (first, ack) = (ours.first?, arrival.ack?);
        if ack > ours.sent {
            bent.owed = Some(ack);
        }
        let number = first.wrapping_add(ack.min(ours.sent) as u32);
        tcp[8..12].copy_from_slice(&number.to_be_bytes());
    }
    options(&mut tcp, arrival, script, ours);
    let mut bytes = [mac, STATION].concat();
    let len = tcp.len() + segment.payload_len as usize;
    network(&mut bytes, arrival, (segment.source, local), len)?;
    bytes.extend(tcp);
    let payload_end = segment.end().min(arrival.frame.bytes.len());
    bytes.extend(arrival.frame.bytes.get(segment.payload_at..payload_end).unwrap_or_default());
    // What was not kept is zeros: nobody reads it.
    let end = bytes.len() + segment.end() - payload_end.max(segment.payload_at);
    bytes.resize(end, 0);
    repair(&mut bytes);
    if arrival.damaged {
        *bytes.last_mut()? ^= 0x01;
    }
    Some((bytes, bent))
}

/// EtherType and IP header, without options.
fn network(
    bytes: &mut Vec<u8>,
    arrival: &Arrival<'_>,
    (from, to): (SocketAddr, SocketAddr),
    len: usize,
) -> Option<()> {
    let header = arrival.frame.bytes;
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            bytes.extend([0x08, 0x00, 0x45, *header.get(1)?]);
            bytes.extend(u16::try_from(len + 20).ok()?.to_be_bytes());
            bytes.extend(header.get(4..6)?);
            bytes.extend([header.get(6)? & 0x40, 0, *header.get(8)?, 6, 0, 0]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            bytes.extend([0x86, 0xdd]);
            bytes.extend(header.get(..4)?);
            bytes.extend(u16::try_from(len).ok()?.to_be_bytes());
            bytes.extend([6, *header.get(7)?]);
            bytes.extend(from.octets());
            bytes.extend(to.octets());
        }
        _ => return None,
    }
    Some(())
}

/// Selective acknowledgements and echoes of timestamps.
fn options(tcp: &mut [u8], arrival: &Arrival<'_>, script: &Script, ours: &Ours) {
    let mut at = 20;
    while let Some(&kind) = tcp.get(at) {
        let len = match kind {
            0 => return,
            1 => 1,
            _ => match tcp.get(at + 1) {
                Some(len) if *len >= 2 && at + usize::from(*len) <= tcp.len() => usize::from(*len),
                _ => return,
            },
        };
        let option = &mut tcp[at..at + len];
        match (kind, len) {
            (8, 10) => stamp(option, script, ours),
            (5, 10 | 18 | 26 | 34) => blocks(option, arrival, ours),
            _ => {}
        }
        at += len;
    }
}

/// The echo of a timestamp: so far behind our stack's first one as the captured host's was behind its own; nothing that it has not sent.
fn stamp(option: &mut [u8], script: &Script, ours: &Ours) {
    let Some((theirs, ..)) = script.stamps else { return };
    let Some((first, last)) = ours.stamps else { return };
    let echo = u32::from_be_bytes([option[6], option[7], option[8], option[9]]);
    let passed = echo.wrapping_sub(theirs);
    // Before the first there is none: of a SYN without ACK it is zero.
    if passed > u32::MAX / 2 {
        return;
    }
    let passed = u64::from(passed) * OURS_HZ / ticks(script).max(1);
    let behind = passed.min(u64::from(last.wrapping_sub(first)));
    let echo = first.wrapping_add(behind as u32);
    option[6..10].copy_from_slice(&echo.to_be_bytes());
}

/// Blocks of what our stack has not sent are taken out; without one the option is no-operations.
fn blocks(option: &mut [u8], arrival: &Arrival<'_>, ours: &Ours) {
    let Some(first) = ours.first else { return option.fill(1) };
    let known = |(left, right): &(i64, i64)| *left >= 0 && right > left && *right <= ours.sent;
    let blocks: Vec<(i64, i64)> =
        arrival.sack.iter().flatten().filter(|b| known(b)).copied().collect();
    let len = 2 + 8 * blocks.len();
    let room = option.len();
    if blocks.is_empty() || len > room {
        return option.fill(1);
    }
    option[1] = len as u8;
    for (place, (left, right)) in option[2..].chunks_exact_mut(8).zip(&blocks) {
        place[..4].copy_from_slice(&first.wrapping_add(*left as u32).to_be_bytes());
        place[4..].copy_from_slice(&first.wrapping_add(*right as u32).to_be_bytes());
    }
    option[len..].fill(1);
}
