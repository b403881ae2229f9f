//! Sequence and acknowledgement numbers: nothing unreceived is acknowledged, nothing goes back, FIN has one place.

use super::connection::{End, Segment};
use super::host::HostRules;
use super::registry::{
    TCP_ACK_BACK, TCP_ACK_UNRECEIVED, TCP_AFTER_RST, TCP_FIN, TCP_RESENT_ACKED, TCP_SEQ_BEYOND,
};
use super::report::{Report, Scene};
use crate::packet::Flags;

/// Input: the host sends `segment`, which is no RST.
#[inline]
pub(super) fn sent(
    end: &mut End,
    segment: &Segment<'_>,
    host: &HostRules,
    scene: &Scene,
    out: &mut Report,
) {
    if end.snd.aborted && !segment.has(Flags::SYN) {
        out.broken(TCP_AFTER_RST, scene, format!("flags {:#04x}", segment.tcp.flags.0));
    }
    // Little of what waits for a neighbour's address is kept (RFC 1122 2.3.2.2).
    let asked = host.asked.is_some_and(|asked| asked >= end.snd.sent_at);
    end.snd.unseen |= segment.seq > end.snd.max && (asked || host.held_up(segment.at));
    if segment.seq > end.snd.max && !end.snd.unseen {
        let words = format!("offset {}, and {} was sent so far", segment.seq, end.snd.max);
        out.broken(TCP_SEQ_BEYOND, scene, words);
    }
    judge_ack(end, segment, scene, out);
    judge_fin(end, segment, scene, out);
    let known = end.known_acknowledged(segment.at);
    if segment.payload > 0 && segment.end <= known && segment.payload > 1 {
        let words = format!("{} .. {} again, {known} is acknowledged", segment.seq, segment.end);
        out.broken(TCP_RESENT_ACKED, scene, words);
    }
}

fn judge_ack(end: &mut End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    let Some(ack) = segment.ack else {
        if segment.has(Flags::ACK) && !end.blind {
            end.blind = true;
            let words = format!("{} is acknowledged, and no SYN was received", segment.tcp.ack);
            out.broken(TCP_ACK_UNRECEIVED, scene, words);
        }
        return;
    };
    if ack > end.rcv.edge && !end.blind {
        let words = format!("offset {ack} is acknowledged, {} was received", end.rcv.edge);
        out.broken(TCP_ACK_UNRECEIVED, scene, words);
    }
    match end.snd.ack {
        Some(before) if ack < before => {
            out.broken(TCP_ACK_BACK, scene, format!("offset {ack} after {before}"));
        }
        Some(_) | None => end.snd.ack = Some(ack),
    }
}

fn judge_fin(end: &mut End, segment: &Segment<'_>, scene: &Scene, out: &mut Report) {
    let fin = segment.has(Flags::FIN).then_some(segment.end - 1);
    if fin.is_none() && end.snd.fin.is_none() {
        return;
    }
    let moved = end.snd.fin.zip(fin).is_some_and(|(before, now)| before != now);
    let numbers = i64::from(end.snd.fin.is_some() || end.snd.unseen);
    let early = fin.is_some_and(|fin| fin < end.snd.max - numbers);
    let place = end.snd.fin.or(fin).unwrap_or_default();
    let beyond = segment.from + segment.payload > place && segment.payload > 0;
    if moved || early || beyond || segment.seq > place + 1 {
        let words = format!(
            "{} .. {} with FIN {fin:?}, before that {:?} with {} sent",
            segment.seq, segment.end, end.snd.fin, end.snd.max
        );
        out.broken(TCP_FIN, scene, words);
    }
}

/// What the segment leaves behind, once every rule has seen it.
#[inline]
pub(super) fn note(end: &mut End, segment: &Segment<'_>) {
    let snd = &mut end.snd;
    snd.sent_at = segment.at;
    snd.max = snd.max.max(segment.end);
    snd.longest = snd.longest.max(segment.payload);
    if segment.has(Flags::SYN) {
        return;
    }
    snd.spoken = true;
    snd.data |= segment.end > segment.seq;
    let peer_closed = end.peer_fin.zip(segment.ack).is_some_and(|(fin, ack)| ack > fin);
    if segment.has(Flags::FIN) && snd.fin.is_none() {
        snd.fin = Some(segment.end - 1);
        end.closes_first = !peer_closed;
    }
    // Our FIN was acknowledged, and now the peer's is.
    let done = snd.fin.is_some_and(|fin| snd.una > fin);
    if end.closes_first && done && peer_closed && end.time_wait.is_none() {
        end.time_wait = Some(segment.at);
    }
}

/// Input: `segment`, with right checksums, reached the host.
pub(super) fn received(end: &mut End, segment: &Segment<'_>, host: &HostRules) {
    if segment.has(Flags::RST) {
        end.peer_reset |= !segment.has(Flags::SYN);
        return;
    }
    if let Some(ack) = segment.ack.filter(|ack| *ack <= end.snd.max) {
        end.snd.una = end.snd.una.max(ack);
        let stamped = segment.tcp.options.timestamps.map(|(value, _)| value);
        let fresh = stamped.is_none() || stamped == end.stamps.newest;
        // Neither stale nor out of the window: the host cannot but believe it.
        if fresh && segment.seq == end.rcv.edge && end.is_established() {
            end.acknowledged(ack, segment.at, host);
        }
    }
    if segment.has(Flags::FIN) && end.peer_fin.is_none_or(|fin| segment.end - 1 < fin) {
        end.peer_fin = Some(segment.end - 1);
    }
}
