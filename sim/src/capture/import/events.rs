//! Everything that happened to frames, and what the frames were.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::{Connections, Segment, Spot};
use super::Kinds;
use super::clock::Clock;
use super::differences::{Change, changes};
use super::matching::Lane;
use super::points::Point;
use super::turns::Talk;
use crate::packet::Flags;

/// Something that happened to a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Of which direction.
    pub(super) lane: usize,
    /// Which of its frames, as they were sent.
    pub(super) unit: usize,
    pub(super) change: Change,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) connections: Connections,
    /// How the ends of each connection took turns.
    pub(super) talks: Vec<Talk>,
    /// What each frame that was sent is, by direction.
    pub(super) spots: [Vec<Spot>; 2],
    /// Which packet of its file each of them is, and when it was captured there.
    pub(super) packets: [Vec<(u32, u64)>; 2],
    pub(super) events: Vec<Event>,
    /// Frames that arrived and that nobody sent.
    pub(super) appeared: u64,
    /// Frames that were sent while the other capture had not begun, or was over.
    pub(super) beyond: u64,
    pub(super) kinds: Kinds,
}

type Ends = (SocketAddr, SocketAddr);

fn ends(segment: &Segment) -> Ends {
    let (a, b) = (segment.source, segment.destination);
    (a.min(b), a.max(b))
}

/// From when until when a point was captured at, as far as its packets tell.
struct Covered {
    /// By connection: its first packet, where the SYN is missing.
    since: HashMap<Ends, Option<i64>>,
    until: i64,
}

impl Covered {
    fn of(point: &Point<'_>, at: impl Fn(u64) -> i64) -> Self {
        let mut covered = Self { since: HashMap::new(), until: i64::MIN };
        for unit in &point.units {
            let now = at(unit.frame.at);
            covered.until = covered.until.max(now);
            if let Some(segment) = &unit.segment {
                let since = covered.since.entry(ends(segment)).or_insert(Some(now));
                if segment.tcp.flags.has(Flags::SYN) {
                    *since = None;
                }
            }
        }
        covered
    }

    /// Getter: what would have come at `at` would have been captured.
    fn has(&self, at: i64, segment: &Segment) -> bool {
        let since = self.since.get(&ends(segment));
        at <= self.until && since.is_none_or(|since| since.is_none_or(|since| at >= since))
    }
}

impl Observed {
    pub(super) fn of(points: &[Point<'_>; 2], clock: &Clock, lanes: &[Lane<'_>; 2]) -> Self {
        let mut observed = Self::default();
        observed.connect(lanes);
        for (number, lane) in lanes.iter().enumerate() {
            let receiver = 1 - number;
            let covered = Covered::of(&points[receiver], |at| clock.at(receiver, at));
            observed.compare(number, lane, clock, &covered);
        }
        observed
            .events
            .sort_by_key(|event| (lanes[event.lane].sent[event.unit].at, event.lane, event.unit));
        for event in &observed.events {
            *observed.kinds.entry(event.change.word()).or_default() += 1;
        }
        observed
    }

    /// What was sent by both, in order of time.
    fn connect(&mut self, lanes: &[Lane<'_>; 2]) {
        let all = lanes.iter().enumerate().flat_map(|(number, lane)| {
            (0..lane.sent.len()).map(move |index| (lane.sent[index].at, number, index))
        });
        let mut all: Vec<(i64, usize, usize)> = all.collect();
        all.sort_unstable();
        for (at, number, index) in all {
            let Some(segment) = lanes[number].sent[index].unit.segment else { continue };
            let before = self.connections.all().len();
            let spot = self.connections.take(&segment);
            if self.connections.all().len() > before {
                self.talks.push(Talk::begin(at));
            }
            self.talks[spot.connection].take(&spot, segment.payload_len);
            // Every frame that was sent has a segment, so that places are the same in both.
            self.spots[number].push(spot);
            let frame = &lanes[number].sent[index].unit.frame;
            self.packets[number].push((frame.number, frame.at));
        }
    }

    fn compare(&mut self, number: usize, lane: &Lane<'_>, clock: &Clock, covered: &Covered) {
        let mut explained = lane.explained.clone();
        let splits = splits(lane, &mut explained);
        let late = overtaken(lane, clock);
        for (unit, arrivals) in lane.arrivals.iter().enumerate() {
            let mut tell = |change| self.events.push(Event { lane: number, unit, change });
            let sent = lane.sent[unit];
            let Some(&first) = arrivals.first() else {
                let arrives = sent.at.saturating_add(clock.delay.cast_signed());
                let was_there = |segment: Segment| covered.has(arrives, &segment);
                match splits.get(&unit) {
                    Some(at) => tell(Change::Split(*at)),
                    None if sent.unit.segment.is_some_and(was_there) => tell(Change::Drop),
                    None => self.beyond += 1,
                }
                continue;
            };
            let received = lane.received[first];
            changes(&sent.unit, &received.unit).into_iter().for_each(&mut tell);
            if let Some(by) = late.get(&unit) {
                tell(Change::Delay(*by));
            }
            for copy in &arrivals[1..] {
                let after = lane.received[*copy].at.saturating_sub(received.at).max(1);
                tell(Change::Duplicate(after.unsigned_abs()));
            }
        }
        self.appeared += explained.iter().filter(|known| !**known).count() as u64;
    }
}

/// Frames that did not arrive, but two halves of which did: how long the first half is.
fn splits(lane: &Lane<'_>, explained: &mut [bool]) -> HashMap<usize, u32> {
    let mut halves: HashMap<(SocketAddr, SocketAddr, u32), usize> = HashMap::new();
    for (index, seen) in lane.received.iter().enumerate() {
        if let Some(segment) = seen.unit.segment.as_ref().filter(|_| !explained[index]) {
            halves.insert((segment.source, segment.destination, segment.tcp.seq), index);
        }
    }
    let mut found = HashMap::new();
    for (unit, arrivals) in lane.arrivals.iter().enumerate() {
        let Some(whole) = lane.sent[unit].unit.segment.filter(|_| arrivals.is_empty()) else {
            continue;
        };
        let at =
            |offset: u32| (whole.source, whole.destination, whole.tcp.seq.wrapping_add(offset));
        let half = |offset| {
            let index = *halves.get(&at(offset))?;
            Some((index, lane.received[index].unit.segment?.payload_len))
        };
        if let Some((first, len)) = half(0).filter(|(_, len)| (1..whole.payload_len).contains(len))
            && let Some((second, rest)) = half(len)
            && len + rest == whole.payload_len
        {
            (explained[first], explained[second]) = (true, true);
            found.insert(unit, len);
        }
    }
    found
}

/// Frames that arrived behind others that were sent later, and how much later than these they were.
fn overtaken(lane: &Lane<'_>, clock: &Clock) -> HashMap<usize, u64> {
    let mut late = Vec::new();
    let mut least = usize::MAX;
    for (unit, arrivals) in lane.arrivals.iter().enumerate().rev() {
        if let Some(&first) = arrivals.first() {
            if first > least {
                late.push(unit);
            }
            least = least.min(first);
        }
    }
    let mut usual = clock.delay.cast_signed();
    let mut before: Option<i64> = None;
    let mut found = HashMap::new();
    for (unit, arrivals) in lane.arrivals.iter().enumerate() {
        let Some(&first) = arrivals.first() else { continue };
        let (sent, arrived) = (lane.sent[unit].at, lane.received[first].at);
        if late.last() == Some(&unit) {
            late.pop();
            let due = due(lane, (unit, sent + usual), before);
            found.insert(unit, arrived.saturating_sub(due).max(1).unsigned_abs());
        } else {
            usual = arrived.saturating_sub(sent);
            before = Some(arrived);
        }
    }
    found
}

/// When a frame would have arrived: as long after it was sent as the one before, or, in a train of frames, between its neighbours.
fn due(lane: &Lane<'_>, (unit, usual): (usize, i64), before: Option<i64>) -> i64 {
    let next = (unit + 1..lane.sent.len()).take(8).find_map(|next| {
        let first = *lane.arrivals[next].first()?;
        Some((lane.sent[next].at, lane.received[first].at))
    });
    match (before, next) {
        (Some(before), Some((sent, after))) if sent - lane.sent[unit].at < after - before => {
            usual.max(before + (after - before) / 2)
        }
        _ => usual,
    }
}
