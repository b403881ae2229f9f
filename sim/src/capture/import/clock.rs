//! Who captured where, and how the two clocks differ: from segments and datagrams that both have.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use super::ImportError;
use super::matching::{Key, ParcelKey};
use super::points::Point;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The addresses of the host at each point.
    pub(super) hosts: [Vec<IpAddr>; 2],
    /// What is to be added to the time of each point: nanoseconds since the first packet of either, by one clock.
    shift: [i128; 2],
    /// By how much the second point's clock is ahead.
    pub(super) ahead: i128,
    /// The least time from one host to the other, taken for the same in both directions.
    pub(super) delay: u64,
}

/// No time is further from the begin, 36 years, so that three of them have a sum.
const FAR: i64 = 1 << 60;

/// How much later the second point saw what it has in common with the first, from one address to another.
type Lags = BTreeMap<(IpAddr, IpAddr), Vec<i128>>;

impl Clock {
    /// Compares two points.
    ///
    /// For a packet from the first one's host the second one sees it later by the delay and by what its clock is ahead; for one of the other
    /// direction earlier by the delay. The least of the first and the greatest of the second are those of packets that waited nowhere.
    ///
    /// # Errors
    /// What `strangers` says, where they have nothing in common; [`ImportError::OneWay`].
    pub(super) fn of(
        points: &[Point<'_>; 2],
        strangers: impl Fn() -> ImportError,
    ) -> Result<Self, ImportError> {
        let lags = lags(points);
        if lags.is_empty() {
            return Err(strangers());
        }
        let mut votes: BTreeMap<IpAddr, i64> = BTreeMap::new();
        let mut best: Option<(usize, i128, i128)> = None;
        for ((x, y), there) in &lags {
            let Some(back) = lags.get(&(*y, *x)).filter(|_| x < y) else { continue };
            let (middle_there, middle_back) = (median(there), median(back));
            let count = there.len().min(back.len());
            let weight = count as i64;
            // Whoever's packets are late at the second point is at the first.
            let x_first = middle_there >= middle_back;
            *votes.entry(*x).or_default() += if x_first { weight } else { -weight };
            *votes.entry(*y).or_default() += if x_first { -weight } else { weight };
            let (from_first, from_second) = if x_first { (there, back) } else { (back, there) };
            let least = from_first.iter().min().copied().unwrap_or(0);
            let greatest = from_second.iter().max().copied().unwrap_or(0);
            if best.is_none_or(|(known, ..)| count > known) {
                best = Some((count, least, greatest));
            }
        }
        let Some((_, least, greatest)) = best else {
            let (from, to) = lags.keys().next().copied().ok_or_else(&strangers)?;
            return Err(ImportError::OneWay { from, to });
        };
        let ahead = (least + greatest) / 2;
        let delay = u64::try_from(((least - greatest) / 2).max(0)).unwrap_or(u64::MAX);
        let at = |point: &Point<'_>| {
            let units = point.units.first().map(|unit| unit.frame.at);
            let parcels = point.parcels.first().map(|parcel| parcel.frame.at);
            units.into_iter().chain(parcels).min().map(i128::from)
        };
        let first = [at(&points[0]), at(&points[1]).map(|at| at - ahead)];
        let begin = first.into_iter().flatten().min().unwrap_or(0);
        let of = |first: bool| {
            let on_it = votes.iter().filter(move |(_, vote)| (**vote > 0) == first);
            on_it.map(|(address, _)| *address).collect()
        };
        let shift = [-begin, -begin - ahead];
        Ok(Self { hosts: [of(true), of(false)], shift, ahead, delay })
    }

    /// Getter: a time of a point, in nanoseconds from the begin: within [`FAR`], whatever the capture says.
    pub(super) fn at(&self, point: usize, at: u64) -> i64 {
        let at = i128::from(at).saturating_add(self.shift[point]);
        at.clamp(-i128::from(FAR), i128::from(FAR)) as i64
    }

    /// Getter: at which point the host with this address is.
    pub(super) fn host(&self, address: IpAddr) -> Option<usize> {
        self.hosts.iter().position(|addresses| addresses.contains(&address))
    }
}

fn median(values: &[i128]) -> i128 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Of segments and datagrams that each point has exactly once.
fn lags(points: &[Point<'_>; 2]) -> Lags {
    let with_id = !points.iter().any(|point| point.has_parts);
    let segments =
        |point: &Point<'_>| {
            once(point.units.iter().filter_map(|unit| {
                Some((Key::whole(unit.segment.as_ref()?, with_id), unit.frame.at))
            }))
        };
    let parcels = |point: &Point<'_>| {
        once(point.parcels.iter().map(|parcel| (ParcelKey::of(parcel), parcel.frame.at)))
    };
    let mut lags = Lags::new();
    add(&mut lags, points.each_ref().map(segments), Key::addresses);
    add(&mut lags, points.each_ref().map(parcels), ParcelKey::addresses);
    lags
}

/// How often each was seen, and when first.
type Times<K> = HashMap<K, (u32, u64)>;

fn once<K: Eq + Hash>(seen: impl Iterator<Item = (K, u64)>) -> Times<K> {
    let mut times = Times::new();
    for (key, at) in seen {
        times.entry(key).or_insert((0, at)).0 += 1;
    }
    times
}

fn add<K: Eq + Hash>(
    lags: &mut Lags,
    [first, second]: [Times<K>; 2],
    addresses: fn(&K) -> (IpAddr, IpAddr),
) {
    for (key, (count, at)) in first {
        let Some((1, other)) = second.get(&key) else { continue };
        let (from, to) = addresses(&key);
        if count == 1 && from != to {
            lags.entry((from, to)).or_default().push(i128::from(*other) - i128::from(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_never_so_far_apart_that_their_differences_overflow() {
        let hosts = [Vec::new(), Vec::new()];
        let clock = Clock { hosts, shift: [0, -(1 << 100)], ahead: 0, delay: 0 };
        assert_eq!([clock.at(0, 7), clock.at(0, u64::MAX), clock.at(1, 0)], [7, FAR, -FAR]);
    }
}
