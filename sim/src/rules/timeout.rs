//! Timers that can be told from outside: what is sent again although nothing was heard since it was last sent.
//!
//! The first repetition in silence may be a tail loss probe (RFC 8985 7); from the second on it is a timeout. Whatever came shortly
//! before may not have been looked at yet, so silence begins a while later. Only lower bounds are judged: hosts may be late.

use causeway_core::time::{Duration, Instant};

use super::connection::{End, Segment};
use super::host::HostRules;
use super::registry::{TCP_PROBE_PACE, TCP_RTO, TCP_RTO_BURST, TCP_SYN_RTO};
use super::report::{Report, Scene};
use crate::packet::Flags;

/// Clocks of timers have whole milliseconds.
const TICK: Duration = Duration::from_millis(2);
/// Most doublings that matter.
const DOUBLINGS_MAX: u32 = 16;

/// How often the lowest byte, or the SYN, was sent in silence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    /// The number that is tried; 0 for the SYN.
    lowest: i64,
    last: Option<Instant>,
    /// Repetitions in silence.
    silent: u32,
    interval: Duration,
    /// Bytes that were sent again meanwhile.
    others: i64,
    /// The SYN was asked for again: its timer cannot be told from the answer.
    asked: bool,
    probe: Option<Instant>,
    probes: u32,
    /// What was sent last may have waited for a neighbour's address.
    held_up: bool,
}

impl Tries {
    /// The number `lowest` is sent at `at`.
    fn first(lowest: i64, at: Instant, host: &HostRules) -> Self {
        Self { lowest, last: Some(at), held_up: host.held_up(at), ..Self::default() }
    }

    /// Getter: what left at `last` may have waited for a neighbour's address since it was due.
    fn is_held_up(&self, last: Instant, host: &HostRules) -> bool {
        self.held_up || host.held_up(last)
    }
}

fn doubled(least: Duration, times: u32, most: Duration) -> Duration {
    least.saturating_mul(1 << times.min(DOUBLINGS_MAX)).min(most)
}

/// Nothing that came can have had to do with what was sent after `last`.
fn is_silent(end: &End, last: Instant, host: &HostRules) -> bool {
    end.spoken_to.is_none_or(|heard| heard + host.settles_in() < last)
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
    if segment.has(Flags::SYN) {
        return syn_sent(end, segment.at, host, scene, out);
    }
    if segment.is_bare() {
        if segment.seq < end.snd.una && end.edges.peer_closed && !host.keepalive {
            probe_sent(end, segment.at, host, scene, out);
        }
        return;
    }
    end.tries.probes = 0;
    if segment.end > end.snd.max {
        // New, and the lowest only where nothing else is outstanding.
        if segment.seq <= end.snd.una {
            end.tries = Tries::first(end.snd.una, segment.at, host);
        }
        return;
    }
    again(end, segment, host, scene, out);
}

fn again(end: &mut End, segment: &Segment<'_>, host: &HostRules, scene: &Scene, out: &mut Report) {
    let una = end.snd.una;
    let covers = segment.seq <= una && una < segment.end;
    let tries = end.tries;
    let silent = tries.last.filter(|last| tries.lowest == una && is_silent(end, *last, host));
    if !covers {
        if silent.is_some() && tries.silent >= 1 {
            end.tries.others += segment.payload;
            if end.tries.others > 2 * end.snd.longest {
                let words = format!("{} bytes more after a timeout", end.tries.others);
                out.broken(TCP_RTO_BURST, scene, words);
            }
        }
        return;
    }
    let Some(last) = silent else {
        end.tries = Tries::first(una, segment.at, host);
        return;
    };
    let interval = segment.at.saturating_since(last);
    let count = tries.silent + 1;
    if count >= 2 {
        let least = doubled(host.rto_min, count - 2, host.rto_max);
        // Of two timeouts the later one takes twice as long, but for lateness of the first.
        let late = tries.interval.as_nanos() / 8 + 2 * host.slack.as_nanos() + 20_000_000;
        let twice = Duration::from_nanos((2 * tries.interval.as_nanos()).saturating_sub(late));
        let least = if count >= 3 { least.max(twice.min(host.rto_max)) } else { least };
        if interval + TICK + host.slack < least && !tries.is_held_up(last, host) {
            let words =
                format!("offset {una} again after {interval}, try {count}, at least {least}");
            out.broken(TCP_RTO, scene, words);
        }
    }
    end.tries = Tries { silent: count, interval, ..Tries::first(una, segment.at, host) };
}

fn syn_sent(end: &mut End, at: Instant, host: &HostRules, scene: &Scene, out: &mut Report) {
    let tries = &mut end.tries;
    let Some(last) = tries.last else {
        *tries = Tries { last: Some(at), held_up: host.held_up(at), ..*tries };
        return;
    };
    tries.asked |= end.spoken_to.is_some();
    if !tries.asked {
        let interval = at.saturating_since(last);
        let least = doubled(host.rto_initial, tries.silent, host.rto_max);
        // What a full transmit ring holds up is late by that much more.
        if interval + TICK + host.slack + host.slack < least && !tries.is_held_up(last, host) {
            let words = format!("again after {interval}, at least {least}");
            out.broken(TCP_SYN_RTO, scene, words);
        }
        tries.silent += 1;
    }
    *tries = Tries { last: Some(at), held_up: host.held_up(at), ..*tries };
}

fn probe_sent(end: &mut End, at: Instant, host: &HostRules, scene: &Scene, out: &mut Report) {
    let tries = &mut end.tries;
    if let Some(last) = tries.probe.filter(|_| tries.probes > 0) {
        let interval = at.saturating_since(last);
        let least = doubled(host.rto_min, tries.probes - 1, host.rto_max);
        if interval + TICK + host.slack < least && !tries.is_held_up(last, host) {
            let words = format!("probe {} after {interval}, at least {least}", tries.probes + 1);
            out.broken(TCP_PROBE_PACE, scene, words);
        }
    }
    (tries.probe, tries.held_up) = (Some(at), host.held_up(at));
    tries.probes += 1;
}

/// Input: something of the connection reached the host.
#[inline]
pub(super) fn received(end: &mut End) {
    if !end.edges.peer_closed {
        end.tries.probes = 0;
    }
}
