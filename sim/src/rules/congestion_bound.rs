//! Bounds on what is under way that hold for every congestion control.

use super::connection::{End, Segment, unwrap};
use super::host::HostRules;
use super::registry::{TCP_FLIGHT, TCP_INITIAL_WINDOW};
use super::report::{Report, Scene};

/// RFC 6928 2.
const INITIAL_SEGMENTS: i64 = 10;
const INITIAL_BYTES: i64 = 14_600;
/// Limited transmit (RFC 3042), a tail loss probe (RFC 8985 7), and a probe of the MTU (RFC 4821 7) go beyond the window.
const BEYOND_SEGMENTS: i64 = 10;

/// What has let more out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flight {
    /// The highest right edge of a SACK block.
    sacked: i64,
    /// Segments that acknowledged nothing new.
    duplicates: i64,
    /// The highest acknowledgement of what had not left yet: what lies in a transmit ring was sent, as far as the host knows.
    ahead: i64,
    /// Bytes that were sent again: what is lost is not under way (RFC 6675 4).
    resent: i64,
}

/// Input: the host sends `segment`, which is no RST.
#[inline]
pub(super) fn sent(
    end: &mut End,
    segment: &Segment<'_>,
    host: &HostRules,
    scene: &Scene,
    out: &mut Report,
) {
    if segment.end <= end.snd.max {
        end.flight.resent += segment.payload;
        return;
    }
    if segment.payload == 0 {
        return;
    }
    let mss = i64::from(end.agreed.peer_mss.min(host.mss(segment.ip.is_v4()))).max(536);
    let initial = (INITIAL_SEGMENTS * mss).min(INITIAL_BYTES.max(2 * mss));
    let Flight { sacked, duplicates, ahead, resent } = end.flight;
    let acknowledged = (end.snd.una.max(ahead.min(end.snd.max)) - 1).max(0);
    // Offset 1 is the first byte.
    let under_way = segment.from + segment.payload - 1 - acknowledged;
    if acknowledged == 0 && sacked == 0 && duplicates == 0 {
        if under_way > initial + mss {
            let words = format!("{under_way} bytes are under way, {initial} may be");
            out.broken(TCP_INITIAL_WINDOW, scene, words);
        }
        return;
    }
    // What is told by SACK has left the path, and lets the window grow as well (as on Linux, which counts what is delivered).
    let told = 2 * (sacked - end.snd.una).max(0) + duplicates * mss + resent;
    let most = initial + acknowledged + told + BEYOND_SEGMENTS * mss;
    if under_way > most {
        let words = format!(
            "{under_way} bytes are under way, {acknowledged} were acknowledged, so that {most} may be"
        );
        out.broken(TCP_FLIGHT, scene, words);
    }
}

/// Input: `segment` reached the host.
#[inline]
pub(super) fn received(end: &mut End, segment: &Segment<'_>) {
    let Some(ack) = segment.ack else { return };
    if ack > end.snd.max {
        end.flight.ahead = end.flight.ahead.max(ack);
    }
    for &(_, right) in segment.tcp.options.sack.as_slice() {
        let right = unwrap(right, end.iss, ack);
        if right <= end.snd.max {
            end.flight.sacked = end.flight.sacked.max(right);
        }
    }
    if ack <= end.snd.una && segment.is_bare() {
        end.flight.duplicates += 1;
    }
}
