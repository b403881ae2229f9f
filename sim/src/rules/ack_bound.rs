//! How long acknowledgements may wait.

use causeway_core::time::Instant;

use super::connection::{End, Segment, Tri};
use super::host::HostRules;
use super::ranges::Arrival;
use super::registry::{RuleId, TCP_ACK_AT_ONCE, TCP_ACK_DELAY};
use super::report::{Report, Scene};
use crate::packet::Flags;

/// What a receiver takes for a full segment, at least.
const SEGMENT_LEAST: i64 = 536;

/// What is due.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// By when the first data in order that nothing was sent after has to be acknowledged.
    delayed: Option<Instant>,
    at_once: Option<Instant>,
    /// The longest payload that came in order.
    longest: i64,
    /// Below, something came that the host may not have taken: it may have less than was seen.
    doubt: i64,
}

impl Owed {
    fn late(self, at: Instant) -> Option<(RuleId, Instant)> {
        let at_once = self.at_once.filter(|due| *due < at).map(|due| (TCP_ACK_AT_ONCE, due));
        let delayed = self.delayed.filter(|due| *due < at).map(|due| (TCP_ACK_DELAY, due));
        at_once.or(delayed)
    }
}

/// Judges what is overdue at `at`.
#[inline]
pub(super) fn overdue(end: &mut End, host: &HostRules, scene: &Scene, out: &mut Report) {
    let owed = &mut end.owed;
    if owed.delayed.is_none() && owed.at_once.is_none() {
        return;
    }
    // Slack may have been granted meanwhile.
    let Some((rule, due)) = owed.late(scene.at) else { return };
    if due + host.slack >= scene.at {
        return;
    }
    if host.held_up(due) {
        (owed.delayed, owed.at_once) = (None, None);
        return;
    }
    (owed.delayed, owed.at_once) = (None, None);
    let late = scene.at.saturating_since(due);
    out.broken(rule, scene, format!("due at {due} s, and not sent {late} later"));
}

/// Input: the host sends `segment`; of a RST, too.
#[inline]
pub(super) fn sent(end: &mut End, acks: bool) {
    if acks {
        (end.owed.delayed, end.owed.at_once) = (None, None);
    }
}

/// Input: a RST reached the host: it may have ended the connection, which owes nothing then.
pub(super) fn reset_received(end: &mut End) {
    (end.owed.delayed, end.owed.at_once) = (None, None);
}

/// Whether the host cannot but take `segment` as it is: established, in the window, fresh.
pub(super) fn is_taken(end: &End, segment: &Segment<'_>, before: i64) -> bool {
    let odd = Flags::SYN.0 | Flags::RST.0 | Flags::URG.0;
    let plain = segment.tcp.flags.0 & odd == 0 && segment.ip.options_len == 0;
    let acks = segment.ack.is_some_and(|ack| before <= ack && ack <= end.snd.max);
    let stamped = segment.tcp.options.timestamps.map(|(value, _)| value);
    let fresh = match end.agreed.timestamps {
        Tri::Yes => stamped.is_some() && stamped == end.stamps.newest,
        Tri::No => true,
        Tri::Maybe => false,
    };
    let inside = end.edges.told.is_some_and(|told| segment.end <= told);
    // An answer to what is out of the window shows no more than that a SYN was received.
    let shown = end.active || end.snd.data || end.snd.ack.is_some_and(|ack| ack > 1);
    plain && acks && fresh && inside && shown && end.is_established()
}

/// Input: `segment` did `arrival`; `taken`: the host cannot but have taken it.
#[inline]
pub(super) fn received(
    end: &mut End,
    segment: &Segment<'_>,
    arrival: Arrival,
    taken: bool,
    host: &HostRules,
) {
    let told = end.snd.ack.unwrap_or(end.rcv.edge);
    let owed = &mut end.owed;
    if !taken {
        owed.doubt = owed.doubt.max(segment.end);
        return;
    }
    let certain = segment.seq >= owed.doubt;
    let mut at_once = arrival.beyond || (arrival.filled && certain);
    if arrival.advanced {
        owed.longest = owed.longest.max(segment.payload);
        at_once |= certain && end.rcv.edge - told >= 2 * owed.longest.max(SEGMENT_LEAST);
        owed.delayed = owed.delayed.or(Some(segment.at + host.ack_delay_max));
    }
    if at_once {
        owed.at_once = owed.at_once.or(Some(segment.at + host.answer_max));
    }
}
