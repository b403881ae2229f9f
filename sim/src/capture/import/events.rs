//! Everything that happened to frames, and what the frames were.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::exchange::{Exchanges, Utterance};
use super::super::units::Unit;
use super::super::{Connections, Parcel, Segment, Spot};
use super::Kinds;
use super::clock::Clock;
use super::differences::{Change, changes, ecn};
use super::matching::Lane;
use super::points::Point;
use super::turns::Talk;
use crate::packet::Flags;

/// Which frame of its direction, as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Of {
    Unit(usize),
    Parcel(usize),
}

/// Something that happened to a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Of which direction.
    pub(super) lane: usize,
    pub(super) of: Of,
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
    pub(super) exchanges: Exchanges,
    /// When each of them began, by the common clock.
    pub(super) begins: Vec<i64>,
    /// What each datagram that was sent is, by direction.
    pub(super) utterances: [Vec<Utterance>; 2],
    /// As `packets`.
    pub(super) parcels: [Vec<(u32, u64)>; 2],
    /// By direction: so many bytes are what its path carries, as its host was told.
    pub(super) path: [Option<u16>; 2],
    /// Times that a host was told of something that this case cannot tell it.
    pub(super) untold: u64,
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
    /// Its first packet of all, and the last.
    from: i64,
    until: i64,
}

impl Covered {
    fn of(point: &Point<'_>, at: impl Fn(u64) -> i64) -> Self {
        let mut covered = Self { since: HashMap::new(), from: i64::MAX, until: i64::MIN };
        for parcel in &point.parcels {
            covered.saw(at(parcel.frame.at));
        }
        for unit in &point.units {
            let now = at(unit.frame.at);
            covered.saw(now);
            if let Some(segment) = &unit.segment {
                let since = covered.since.entry(ends(segment)).or_insert(Some(now));
                if segment.tcp.flags.has(Flags::SYN) {
                    *since = None;
                }
            }
        }
        covered
    }

    /// Input: something was captured.
    fn saw(&mut self, now: i64) {
        self.from = self.from.min(now);
        self.until = self.until.max(now);
    }

    /// Getter: a datagram that would have come at `at` would have been captured.
    const fn was_on(&self, at: i64) -> bool {
        self.from <= at && at <= self.until
    }

    /// Getter: a segment that would have come at `at` would have been captured.
    fn has(&self, at: i64, segment: &Segment) -> bool {
        let since = self.since.get(&ends(segment));
        at <= self.until && since.is_none_or(|since| since.is_none_or(|since| at >= since))
    }
}

/// Both directions, of segments and of datagrams.
pub(super) type Lanes<'a> = ([Lane<Unit<'a>>; 2], [Lane<Parcel<'a>>; 2]);

impl Observed {
    pub(super) fn of(points: &[Point<'_>; 2], clock: &Clock, all: &Lanes<'_>) -> Self {
        let (lanes, roads) = all;
        let mut observed = Self::default();
        observed.connect(lanes);
        observed.converse(roads);
        for (number, (lane, road)) in lanes.iter().zip(roads).enumerate() {
            let receiver = 1 - number;
            let covered = Covered::of(&points[receiver], |at| clock.at(receiver, at));
            observed.compare(number, lane, clock, &covered);
            observed.compare_parcels(number, road, clock, &covered);
        }
        for (host, point) in points.iter().enumerate() {
            observed.hear(host, point, clock, &lanes[1 - host]);
        }
        let at = |event: &Event| match event.of {
            Of::Unit(index) => lanes[event.lane].sent[index].at,
            Of::Parcel(index) => roads[event.lane].sent[index].at,
        };
        observed.events.sort_by_key(|event| (at(event), event.lane, event.of));
        for event in &observed.events {
            *observed.kinds.entry(event.change.word()).or_default() += 1;
        }
        observed
    }

    /// Datagrams that were sent by both, in order of time.
    fn converse(&mut self, roads: &[Lane<Parcel<'_>>; 2]) {
        for (at, number, index) in in_order(roads) {
            let Parcel { frame, datagram } = &roads[number].sent[index].unit;
            let said = self.exchanges.take(datagram);
            if self.exchanges.all().len() > self.begins.len() {
                self.begins.push(at);
            }
            self.utterances[number].push(said);
            self.parcels[number].push((frame.number, frame.at));
        }
    }

    /// What ICMP told a host, that at this point. `back` is what its peer sent.
    fn hear(&mut self, host: usize, point: &Point<'_>, clock: &Clock, back: &Lane<Unit<'_>>) {
        // By connection: when which frame of the peer arrived.
        let mut arrived: HashMap<Ends, Vec<(i64, usize)>> = HashMap::new();
        for (unit, arrivals) in back.arrivals.iter().enumerate() {
            let (Some(&first), Some(segment)) = (arrivals.first(), back.sent[unit].unit.segment)
            else {
                continue;
            };
            let at = back.received[first].at;
            arrived.entry(ends(&segment)).or_default().push((at, unit));
        }
        arrived.values_mut().for_each(|times| times.sort_unstable());
        for notice in &point.notices {
            let report = notice.report;
            if clock.host(report.source.ip()) != Some(host) {
                continue;
            }
            if let Some(mtu) = report.too_big {
                let known = &mut self.path[host];
                *known = Some(known.map_or(mtu, |known| known.min(mtu)));
                continue;
            }
            let key =
                (report.source.min(report.destination), report.source.max(report.destination));
            let times = arrived.get(&key).map(Vec::as_slice).unwrap_or_default();
            let before = times.partition_point(|(at, _)| *at <= clock.at(host, notice.at));
            let place = self.connections.place(report.source, report.destination, report.seq);
            match (before.checked_sub(1).map(|last| times[last].1), place) {
                (Some(unit), Some(place)) => {
                    let change = Change::Unreachable(place);
                    self.events.push(Event { lane: 1 - host, of: Of::Unit(unit), change });
                }
                _ => self.untold += 1,
            }
        }
    }

    /// What was sent by both, in order of time.
    fn connect(&mut self, lanes: &[Lane<Unit<'_>>; 2]) {
        for (at, number, index) in in_order(lanes) {
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

    fn compare(&mut self, number: usize, lane: &Lane<Unit<'_>>, clock: &Clock, covered: &Covered) {
        let mut explained = lane.explained.clone();
        let splits = splits(lane, &mut explained);
        let late = overtaken(lane, clock);
        for (unit, arrivals) in lane.arrivals.iter().enumerate() {
            let of = Of::Unit(unit);
            let mut tell = |change| self.events.push(Event { lane: number, of, change });
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
            timing(lane, &late, unit, arrivals).for_each(tell);
        }
        self.appeared += explained.iter().filter(|known| !**known).count() as u64;
    }

    fn compare_parcels(
        &mut self,
        number: usize,
        road: &Lane<Parcel<'_>>,
        clock: &Clock,
        covered: &Covered,
    ) {
        let late = overtaken(road, clock);
        for (parcel, arrivals) in road.arrivals.iter().enumerate() {
            let of = Of::Parcel(parcel);
            let mut tell = |change| self.events.push(Event { lane: number, of, change });
            let sent = road.sent[parcel];
            let Some(&first) = arrivals.first() else {
                let arrives = sent.at.saturating_add(clock.delay.cast_signed());
                if covered.was_on(arrives) {
                    tell(Change::Drop);
                } else {
                    self.beyond += 1;
                }
                continue;
            };
            let received = road.received[first].unit.datagram;
            ecn(sent.unit.datagram.ecn, received.ecn).into_iter().for_each(&mut tell);
            timing(road, &late, parcel, arrivals).for_each(tell);
        }
        self.appeared += road.explained.iter().filter(|known| !**known).count() as u64;
    }
}

/// What both sent, in order of time: when, in which direction, and which it was there.
fn in_order<U>(lanes: &[Lane<U>; 2]) -> Vec<(i64, usize, usize)> {
    let all = lanes.iter().enumerate().flat_map(|(number, lane)| {
        (0..lane.sent.len()).map(move |index| (lane.sent[index].at, number, index))
    });
    let mut all: Vec<(i64, usize, usize)> = all.collect();
    all.sort_unstable();
    all
}

/// That a frame came late, and its copies.
fn timing<'a, U>(
    lane: &'a Lane<U>,
    late: &'a HashMap<usize, u64>,
    index: usize,
    arrivals: &'a [usize],
) -> impl Iterator<Item = Change> + 'a {
    let first = arrivals.first().map_or(0, |first| lane.received[*first].at);
    let copies = arrivals.iter().skip(1).map(move |copy| {
        let after = lane.received[*copy].at.saturating_sub(first).max(1);
        Change::Duplicate(after.unsigned_abs())
    });
    late.get(&index).map(|by| Change::Delay(*by)).into_iter().chain(copies)
}

/// Frames that did not arrive, but two halves of which did: how long the first half is.
fn splits(lane: &Lane<Unit<'_>>, explained: &mut [bool]) -> HashMap<usize, u32> {
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
fn overtaken<U>(lane: &Lane<U>, clock: &Clock) -> HashMap<usize, u64> {
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
fn due<U>(lane: &Lane<U>, (unit, usual): (usize, i64), before: Option<i64>) -> i64 {
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
