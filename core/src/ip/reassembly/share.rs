//! Who uses how much of the memory for fragments, whose datagrams are the oldest, and whose time is over.

use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;
use core::net::IpAddr;

use super::FragmentKey;
use crate::time::Instant;

/// One sender's datagrams.
#[derive(Debug, Default)]
struct Share {
    cost: usize,
    /// Oldest first.
    datagrams: BTreeSet<(u64, FragmentKey)>,
}

/// Heavier senders are greater, and of those that are as heavy the one with the oldest datagram.
type Rank = (usize, Reverse<u64>);

impl Share {
    /// `None` for a sender without a datagram.
    fn rank(&self) -> Option<Rank> {
        self.datagrams.first().map(|(serial, _)| (self.cost, Reverse(*serial)))
    }
}

/// The accounts. Every operation is logarithmic.
#[derive(Debug)]
pub(super) struct Shares {
    total: usize,
    senders: BTreeMap<IpAddr, Share>,
    by_cost: BTreeSet<(Rank, IpAddr)>,
    deadlines: BTreeSet<(Instant, FragmentKey)>,
}

impl Shares {
    pub(super) const fn new() -> Self {
        Self {
            total: 0,
            senders: BTreeMap::new(),
            by_cost: BTreeSet::new(),
            deadlines: BTreeSet::new(),
        }
    }

    pub(super) const fn total(&self) -> usize {
        self.total
    }

    pub(super) fn of(&self, sender: IpAddr) -> usize {
        self.senders.get(&sender).map_or(0, |share| share.cost)
    }

    pub(super) fn oldest_of(&self, sender: IpAddr) -> Option<FragmentKey> {
        self.senders.get(&sender)?.datagrams.first().map(|(_, key)| *key)
    }

    pub(super) fn oldest_of_heaviest(&self) -> Option<FragmentKey> {
        self.oldest_of(self.by_cost.last()?.1)
    }

    #[inline]
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn expired(&self, now: Instant) -> Option<FragmentKey> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    pub(super) fn enter(&mut self, key: FragmentKey, serial: u64, deadline: Instant, cost: usize) {
        self.deadlines.insert((deadline, key));
        self.total += cost;
        self.update(key.src, |share| {
            share.datagrams.insert((serial, key));
            share.cost += cost;
        });
    }

    pub(super) fn leave(&mut self, key: FragmentKey, serial: u64, deadline: Instant, cost: usize) {
        self.deadlines.remove(&(deadline, key));
        self.total -= cost;
        self.update(key.src, |share| {
            share.datagrams.remove(&(serial, key));
            share.cost -= cost;
        });
    }

    /// A datagram of `sender` costs `new` instead of `old`.
    pub(super) fn change(&mut self, sender: IpAddr, old: usize, new: usize) {
        self.total = self.total + new - old;
        self.update(sender, |share| share.cost = share.cost + new - old);
    }

    fn update(&mut self, sender: IpAddr, change: impl FnOnce(&mut Share)) {
        let share = self.senders.entry(sender).or_default();
        if let Some(rank) = share.rank() {
            self.by_cost.remove(&(rank, sender));
        }
        change(share);
        match share.rank() {
            Some(rank) => {
                self.by_cost.insert((rank, sender));
            }
            None => {
                self.senders.remove(&sender);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
            && self.senders.is_empty()
            && self.by_cost.is_empty()
            && self.deadlines.is_empty()
    }
}
