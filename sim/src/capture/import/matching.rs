//! Which frame that arrived is which one that was sent.

use std::collections::HashMap;
use std::hash::{Hash, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use super::super::units::Unit;
use super::super::{Parcel, Segment};
use super::clock::Clock;
use super::differences::alike;
use super::points::Point;
use crate::packet::Flags;

/// Of a header what says nothing of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct More {
    window: u16,
    stamps: Option<(u32, u32)>,
    /// A sum of the selective acknowledgements.
    sack: u64,
    id: u32,
}

/// What two captures of a segment have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    source: SocketAddr,
    destination: SocketAddr,
    seq: u32,
    len: u32,
    flags: u8,
    /// Acknowledgement; none where a middlebox may have changed it.
    ack: Option<u32>,
    /// The same.
    more: Option<More>,
}

impl Key {
    /// All that a network leaves alone. What NICs make of bursts has other flags and, without `with_id`, identifications.
    pub(super) fn whole(segment: &Segment, with_id: bool) -> Self {
        let tcp = &segment.tcp;
        let id = if with_id { segment.id } else { 0 };
        let blocks = tcp.options.sack.as_slice().iter();
        let sack = blocks.fold(0, |sum: u64, (left, right)| {
            sum.rotate_left(13) ^ (u64::from(*left) << 32 | u64::from(*right))
        });
        Self {
            flags: tcp.flags.0 & !(Flags::PSH.0 | Flags::CWR.0 | Flags::ECE.0),
            more: Some(More { window: tcp.window, stamps: tcp.options.timestamps, sack, id }),
            ..Self::acknowledging(segment)
        }
    }

    /// The places in both streams.
    fn acknowledging(segment: &Segment) -> Self {
        Self { ack: Some(segment.tcp.ack), ..Self::place(segment) }
    }

    /// The place in the sender's stream alone.
    fn place(segment: &Segment) -> Self {
        let tcp = &segment.tcp;
        Self {
            source: segment.source,
            destination: segment.destination,
            seq: tcp.seq,
            len: segment.payload_len,
            flags: tcp.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0),
            ack: None,
            more: None,
        }
    }

    /// Getter: from whom, and to whom.
    pub(super) fn addresses(&self) -> (IpAddr, IpAddr) {
        (self.source.ip(), self.destination.ip())
    }
}

/// What two captures of a datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ParcelKey {
    source: SocketAddr,
    destination: SocketAddr,
    id: u32,
    end: usize,
    /// Of the bytes that every capture keeps.
    bytes: u64,
}

impl ParcelKey {
    pub(super) fn of(parcel: &Parcel<'_>) -> Self {
        let datagram = &parcel.datagram;
        let mut hash = std::hash::DefaultHasher::new();
        hash.write(parcel.telling());
        let (source, destination) = (datagram.source, datagram.destination);
        Self { source, destination, id: datagram.id, end: datagram.end, bytes: hash.finish() }
    }

    /// Getter: from whom, and to whom.
    pub(super) fn addresses(&self) -> (IpAddr, IpAddr) {
        (self.source.ip(), self.destination.ip())
    }
}

/// Something at one end, by the common clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<U> {
    pub(super) at: i64,
    pub(super) unit: U,
}

/// What went from one host to the other: units of segments, or datagrams.
#[derive(Clone, Debug)]
pub(super) struct Lane<U> {
    /// As its host sent it.
    pub(super) sent: Vec<Seen<U>>,
    /// As the other one received it.
    pub(super) received: Vec<Seen<U>>,
    /// For each that was sent: those that arrived, in order.
    pub(super) arrivals: Vec<Vec<usize>>,
    /// Of those that arrived: it is known what they are.
    pub(super) explained: Vec<bool>,
}

/// Candidates that are looked at for one frame.
const NEAR: usize = 64;
/// Beyond the least delay a clock may seem to run back by so much.
const SLACK: i64 = 50_000;
/// A frame whose bytes alone say what it is arrives so long after it was sent at most.
const LOOSE: i64 = 2_000_000_000;

/// Both directions: what the host at the first point sent, and what the other one did.
pub(super) fn lanes<'a>(points: &[Point<'a>; 2], clock: &Clock) -> [Lane<Unit<'a>>; 2] {
    let with_id = !points.iter().any(|point| point.has_parts);
    [0, 1].map(|from| {
        let mut lane = split(points, clock, from);
        let rounds = Rounds::new(clock);
        let by = |key: fn(&Segment) -> Key| move |unit: &Unit<'a>| unit.segment.as_ref().map(key);
        let whole = |unit: &Unit<'a>| Some(Key::whole(unit.segment.as_ref()?, with_id));
        rounds.by_key(&mut lane, whole, true);
        rounds.by_key(&mut lane, by(Key::acknowledging), false);
        rounds.by_key(&mut lane, by(Key::place), false);
        rounds.by_bytes(&mut lane);
        lane
    })
}

/// The same of datagrams.
pub(super) fn roads<'a>(points: &[Point<'a>; 2], clock: &Clock) -> [Lane<Parcel<'a>>; 2] {
    [0, 1].map(|from| {
        let to = 1 - from;
        let is_its = |parcel: &&Parcel<'a>| {
            let Parcel { datagram, .. } = parcel;
            clock.host(datagram.source.ip()) == Some(from)
                && clock.host(datagram.destination.ip()) == Some(to)
        };
        let seen = |point: usize| {
            let at = move |parcel: &Parcel<'a>| Seen {
                at: clock.at(point, parcel.frame.at),
                unit: *parcel,
            };
            points[point].parcels.iter().filter(is_its).map(at).collect::<Vec<_>>()
        };
        let mut lane = Lane::new(seen(from), seen(to));
        Rounds::new(clock).by_key(&mut lane, |parcel| Some(ParcelKey::of(parcel)), true);
        lane
    })
}

impl<U> Lane<U> {
    /// Nothing is known yet of what arrived.
    fn new(sent: Vec<Seen<U>>, received: Vec<Seen<U>>) -> Self {
        let (arrivals, explained) = (vec![Vec::new(); sent.len()], vec![false; received.len()]);
        Self { sent, received, arrivals, explained }
    }
}

fn split<'a>(points: &[Point<'a>; 2], clock: &Clock, from: usize) -> Lane<Unit<'a>> {
    let to = 1 - from;
    let ends = |unit: &Unit<'a>| {
        let segment = unit.segment.as_ref()?;
        Some((clock.host(segment.source.ip()), clock.host(segment.destination.ip())))
    };
    let seen = |point: usize| {
        move |unit: &Unit<'a>| Seen { at: clock.at(point, unit.frame.at), unit: *unit }
    };
    let is_sent = |unit: &&Unit<'a>| ends(unit) == Some((Some(from), Some(to)));
    // What was damaged may have lost its addresses.
    let is_received = |unit: &&Unit<'a>| match ends(unit) {
        None => true,
        Some((source, destination)) => source != Some(to) && (source, destination) != (None, None),
    };
    let sent = points[from].units.iter().filter(is_sent).map(seen(from)).collect();
    let received = points[to].units.iter().filter(is_received).map(seen(to)).collect();
    Lane::new(sent, received)
}

/// How one is found for the other.
struct Rounds {
    delay: i64,
}

/// The delays of frames of which there was no doubt, by when they arrived.
struct Usual(Vec<(i64, i64)>);

impl Usual {
    fn of<U>(lane: &Lane<U>, delay: i64) -> Self {
        let mut known: Vec<(i64, i64)> = Vec::new();
        for (sent, arrivals) in lane.sent.iter().zip(&lane.arrivals) {
            if let [only] = arrivals[..] {
                let at = lane.received[only].at;
                known.push((at, at - sent.at));
            }
        }
        known.sort_unstable();
        known.insert(0, (i64::MIN, delay));
        Self(known)
    }

    /// How long what arrived at `at` was under way, most likely.
    fn at(&self, at: i64) -> i64 {
        let behind = self.0.partition_point(|(known, _)| *known <= at);
        self.0.get(behind.saturating_sub(1)).map_or(0, |(_, delay)| *delay)
    }
}

impl Rounds {
    fn new(clock: &Clock) -> Self {
        Self { delay: clock.delay.min(i64::MAX as u64 / 4) as i64 }
    }

    /// Those with equal keys; what has none is left. `copies`: more that arrive than were sent are copies.
    fn by_key<U, K: Eq + Hash>(
        &self,
        lane: &mut Lane<U>,
        key: impl Fn(&U) -> Option<K>,
        copies: bool,
    ) {
        let mut groups: HashMap<K, (Vec<usize>, Vec<usize>)> = HashMap::new();
        for (index, seen) in lane.sent.iter().enumerate() {
            if let Some(key) = key(&seen.unit).filter(|_| lane.arrivals[index].is_empty()) {
                groups.entry(key).or_default().0.push(index);
            }
        }
        for (index, seen) in lane.received.iter().enumerate() {
            if let Some(key) = key(&seen.unit).filter(|_| !lane.explained[index]) {
                groups.entry(key).or_default().1.push(index);
            }
        }
        let mut groups: Vec<(Vec<usize>, Vec<usize>)> = groups.into_values().collect();
        // In an order that does not depend on the hash.
        groups.sort_unstable();
        groups.retain(|(sent, received)| {
            let sole = sent.len() == 1 && received.len() == 1;
            if sole && self.is_possible(lane, sent[0], received[0]) {
                lane.arrivals[sent[0]].push(received[0]);
                lane.explained[received[0]] = true;
            }
            !sole && !sent.is_empty()
        });
        let usual = Usual::of(lane, self.delay);
        for (sent, received) in groups {
            for arrived in received {
                let wanted = lane.received[arrived].at - usual.at(lane.received[arrived].at);
                let found = self.nearest(lane, &sent, arrived, wanted, false);
                let copy = || self.nearest(lane, &sent, arrived, wanted, true);
                if let Some(index) = found.or_else(|| copies.then(copy).flatten()) {
                    lane.arrivals[index].push(arrived);
                    lane.explained[arrived] = true;
                }
            }
        }
    }

    fn is_possible<U>(&self, lane: &Lane<U>, sent: usize, arrived: usize) -> bool {
        let lasted = lane.received[arrived].at - lane.sent[sent].at;
        lasted >= self.delay - self.delay / 2 - SLACK
    }

    /// Of `sent` the one that left nearest to `wanted`; `again`: one that has arrived already.
    fn nearest<U>(
        &self,
        lane: &Lane<U>,
        sent: &[usize],
        arrived: usize,
        wanted: i64,
        again: bool,
    ) -> Option<usize> {
        let middle = sent.partition_point(|index| lane.sent[*index].at <= wanted);
        let from = middle.saturating_sub(NEAR);
        let near = &sent[from..(middle + NEAR).min(sent.len())];
        let fits = |index: &&usize| {
            lane.arrivals[**index].is_empty() != again && self.is_possible(lane, **index, arrived)
        };
        near.iter().filter(fits).min_by_key(|index| lane.sent[**index].at.abs_diff(wanted)).copied()
    }

    /// Those of which nothing but the bytes says what they are.
    fn by_bytes(&self, lane: &mut Lane<Unit<'_>>) {
        let left = |(index, arrivals): (usize, &Vec<usize>)| arrivals.is_empty().then_some(index);
        let sent: Vec<usize> = lane.arrivals.iter().enumerate().filter_map(left).collect();
        let usual = Usual::of(lane, self.delay);
        for arrived in 0..lane.received.len() {
            if lane.explained[arrived] {
                continue;
            }
            let received = lane.received[arrived];
            let wanted = received.at - usual.at(received.at);
            let middle = sent.partition_point(|index| lane.sent[*index].at <= wanted);
            let from = middle.saturating_sub(NEAR);
            let near = &sent[from..(middle + NEAR).min(sent.len())];
            let fits = |index: &&usize| {
                let one = lane.sent[**index];
                let late = received.at - one.at - self.delay;
                lane.arrivals[**index].is_empty()
                    && (-SLACK..LOOSE).contains(&late)
                    && alike(&one.unit, &received.unit)
            };
            let distance = |index: &&usize| lane.sent[**index].at.abs_diff(wanted);
            if let Some(index) = near.iter().filter(fits).min_by_key(distance).copied() {
                lane.arrivals[index].push(arrived);
                lane.explained[arrived] = true;
            }
        }
    }
}
