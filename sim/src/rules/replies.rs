//! What answers something: RST, and acknowledgements that say nothing new.

use causeway_core::time::{Duration, Instant};

use super::connection::{End, Segment};
use super::host::HostRules;
use super::registry::{TCP_ACK_LOOP, TCP_CHALLENGES, TCP_RST_SEQ, TCP_RST_UNASKED};
use super::report::{Report, Scene};
use crate::packet::{Flags, SackBlocks, Tcp};

/// Segments that are remembered.
const RECENT_MAX: usize = 16;
/// Most answers that are remembered to be owed.
const ASKED_MAX: u32 = 4_096;
/// Clocks have whole milliseconds.
const TICK: Duration = Duration::from_millis(2);

/// A segment that may be answered.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    at: Instant,
    seq: u32,
    len: u32,
    ack: Option<u32>,
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    ack: i64,
    window: u16,
    sack: SackBlocks,
    echo: bool,
}

/// What has asked for answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Replies {
    recent: [Recent; RECENT_MAX],
    count: usize,
    /// RSTs that may be sent.
    resets: u32,
    /// Duplicates that data and FIN have asked for, and when they last did.
    by_data: u32,
    by_data_at: Instant,
    /// Those that something else has asked for.
    by_others: u32,
    /// When such were last answered.
    challenged: [Option<Instant>; 2],
    said: Option<Said>,
}

impl Replies {
    /// A connection may end by one RST.
    pub(super) fn opened(&mut self) {
        self.resets = self.resets.saturating_add(1);
        self.said = None;
    }

    /// Input: `tcp` reached the host.
    #[inline]
    pub(super) fn received(&mut self, tcp: &Tcp, payload: i64, at: Instant) {
        if tcp.flags.has(Flags::RST) {
            self.by_others = 1;
            return;
        }
        let controls = u32::from(tcp.flags.has(Flags::SYN)) + u32::from(tcp.flags.has(Flags::FIN));
        let ack = tcp.flags.has(Flags::ACK).then_some(tcp.ack);
        let len = payload as u32 + controls;
        self.recent[self.count % RECENT_MAX] = Recent { at, seq: tcp.seq, len, ack };
        self.count += 1;
        self.resets = self.resets.saturating_add(1);
        if payload > 0 || tcp.flags.has(Flags::FIN) {
            self.by_data = (self.by_data + 1).min(ASKED_MAX);
            self.by_data_at = at;
        }
        if tcp.flags.has(Flags::SYN) {
            self.by_others = (self.by_others + 1).min(ASKED_MAX);
        }
    }

    /// Input: an empty segment reached the host, that may have to be answered.
    fn asked(&mut self) {
        self.by_others = (self.by_others + 1).min(ASKED_MAX);
    }

    /// Getter: `tcp`, a RST, answers something. `held_up`: so may it have done long ago.
    fn answers(&self, tcp: &Tcp, settled: Instant, held_up: bool) -> bool {
        let fits = |recent: &Recent| match recent.ack {
            Some(ack) => tcp.seq == ack,
            None => {
                let end = recent.seq.wrapping_add(recent.len);
                // A connection whose SYN,ACK was held up may have taken the SYN alone.
                let taken = tcp.ack == end || held_up && tcp.ack == recent.seq.wrapping_add(1);
                tcp.seq == 0 && tcp.flags.has(Flags::ACK) && taken
            }
        };
        let known = &self.recent[..self.count.min(RECENT_MAX)];
        // More came of late than is remembered.
        let of_late = || known.iter().all(|recent| recent.at > settled);
        let forgotten = self.count > RECENT_MAX && (held_up || of_late());
        forgotten || known.iter().any(fits)
    }
}

/// Input: the host sends a RST.
pub(super) fn reset_sent(
    end: &mut End,
    tcp: &Tcp,
    host: &HostRules,
    scene: &Scene,
    out: &mut Report,
) {
    let settled =
        Instant::from_nanos(scene.at.as_nanos().saturating_sub(host.settles_in().as_nanos()));
    let next = end.iss.wrapping_add(end.snd.max as u32);
    let ends_connection = end.open && tcp.seq == next;
    let held_up = host.held_up(scene.at);
    // Of a connection that is not known, nobody knows the next number.
    let unknown = end.foreign && !end.open;
    if !ends_connection && !unknown && !end.replies.answers(tcp, settled, held_up) {
        let words = format!("RST at {}, and nothing that came asks for it", tcp.seq);
        out.broken(TCP_RST_SEQ, scene, words);
    }
    if end.replies.resets == 0 {
        out.broken(TCP_RST_UNASKED, scene, "a RST for nothing, or for a RST".to_owned());
    }
    end.replies.resets = end.replies.resets.saturating_sub(1);
    end.snd.has_reset |= ends_connection;
    // Before it has spoken, a connection may answer with RST and stay.
    end.snd.aborted |= end.open && end.snd.data && end.snd.una > 0 && !end.snd.fast_open;
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
    let Some(ack) = segment.ack.filter(|_| !segment.has(Flags::SYN)) else { return };
    let tcp = segment.tcp;
    let echo = segment.has(Flags::ECE);
    let said = Said { ack, window: tcp.window, sack: tcp.options.sack, echo };
    let before = end.replies.said.replace(said);
    let replies = &mut end.replies;
    let repeats = before.is_some_and(|before| {
        let Said { ack, window, sack, echo } = before;
        // With fewer bytes promised nothing is new either.
        ack == said.ack && window >= said.window && sack == said.sack && echo == said.echo
    });
    if !repeats {
        let answered = replies.by_data_at + host.settles_in() < segment.at;
        if answered && !host.held_up(replies.by_data_at) {
            replies.by_data = 0;
        }
        return;
    }
    if !segment.is_bare() || segment.seq != end.snd.max || end.blind {
        return;
    }
    if replies.by_data > 0 {
        replies.by_data -= 1;
        return;
    }
    if replies.by_others == 0 {
        let words = format!("offset {ack} is acknowledged again, and nobody asked");
        out.broken(TCP_ACK_LOOP, scene, words);
        return;
    }
    replies.by_others -= 1;
    let [older, newer] = replies.challenged;
    replies.challenged = [newer, Some(segment.at)];
    let late = segment.at + TICK + host.slack;
    if older.is_some_and(|older| older + host.challenge_interval > late) {
        let words = format!("three within {}", host.challenge_interval);
        out.broken(TCP_CHALLENGES, scene, words);
    }
}

/// Input: `segment`, which has no payload, reached the host; `before` was acknowledged until then.
#[inline]
pub(super) fn bare_received(end: &mut End, segment: &Segment<'_>, before: i64) {
    let in_order = segment.seq == end.rcv.edge;
    let acks = segment.ack.is_some_and(|ack| before <= ack && ack <= end.snd.max);
    let stamped = segment.tcp.options.timestamps.map(|(value, _)| value);
    let fresh = stamped.is_none() || stamped == end.stamps.newest;
    if !(in_order && acks && fresh) {
        end.replies.asked();
    }
}
