//! Connections by host and four-tuple.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Most connections that are watched at a time; those beyond are not judged.
const WATCHED_MAX: usize = 1 << 18;
/// The first sweep for those that are over.
const SWEEP_FIRST: usize = 1 << 14;

/// An end of a connection: whose, from where, to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    local: u128,
    remote: u128,
    ports: u32,
    host: u32,
}

impl Key {
    #[inline]
    pub(super) fn new(host: usize, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        let ports = u32::from(local.1) << 16 | u32::from(remote.1);
        Self { local: number(local.0), remote: number(remote.0), ports, host: host as u32 }
    }

    /// Both ends in an order that does not depend on who speaks, and whether the first one is the source.
    #[inline]
    pub(super) fn between(source: (IpAddr, u16), destination: (IpAddr, u16)) -> (Self, bool) {
        let (from, to) = (number(source.0), number(destination.0));
        let first = (from, source.1) <= (to, destination.1);
        let ends = [(from, source.1), (to, destination.1)];
        let [(local, low), (remote, high)] = if first { ends } else { [ends[1], ends[0]] };
        (Self { local, remote, ports: u32::from(low) << 16 | u32::from(high), host: 0 }, first)
    }
}

/// IPv4 addresses as IPv4-mapped ones.
#[inline]
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => 0xffff_0000_0000 | u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.local as u64 ^ (self.local >> 64) as u64);
        state.write_u64(self.remote as u64 ^ ((self.remote >> 64) as u64).rotate_left(32));
        state.write_u64(u64::from(self.ports) << 32 | u64::from(self.host));
    }
}

/// Slots that are found by key. Which are forgotten depends on their content only.
#[derive(Debug)]
pub(super) struct Table<T> {
    slots: HashMap<Key, u32, FixedState>,
    values: Vec<(Key, T)>,
    last: Option<(Key, u32)>,
    sweep_at: usize,
    /// Some had no room: what is made from now on may have begun before.
    pub(super) overflowed: bool,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self {
            slots: HashMap::with_hasher(FixedState::with_seed(4)),
            values: Vec::new(),
            last: None,
            sweep_at: SWEEP_FIRST,
            overflowed: false,
        }
    }

    #[inline]
    fn slot(&mut self, key: &Key) -> Option<u32> {
        if let Some((last, slot)) = self.last
            && last == *key
        {
            return Some(slot);
        }
        let slot = *self.slots.get(key)?;
        self.last = Some((*key, slot));
        Some(slot)
    }

    #[inline]
    pub(super) fn get(&mut self, key: &Key) -> Option<&mut T> {
        let slot = self.slot(key)?;
        self.values.get_mut(slot as usize).map(|(_, value)| value)
    }

    /// The value of `key`, made if need be; `None` where there is no room. `over` says of which nothing more is expected.
    #[inline]
    pub(super) fn entry_or_insert(
        &mut self,
        key: &Key,
        make: impl FnOnce() -> T,
        over: impl Fn(&T) -> bool,
    ) -> Option<&mut T> {
        if self.slot(key).is_none() && !self.insert(key, make, over) {
            return None;
        }
        self.get(key)
    }

    #[cold]
    fn insert(&mut self, key: &Key, make: impl FnOnce() -> T, over: impl Fn(&T) -> bool) -> bool {
        if self.values.len() >= self.sweep_at {
            self.retain(|_, value| !over(value));
            self.sweep_at = (self.values.len() * 2).max(SWEEP_FIRST);
        }
        if self.values.len() >= WATCHED_MAX {
            self.overflowed = true;
            return false;
        }
        self.slots.insert(*key, self.values.len() as u32);
        self.values.push((*key, make()));
        true
    }

    /// Forgets those of which `keep` says false.
    pub(super) fn retain(&mut self, keep: impl Fn(&Key, &T) -> bool) {
        self.last = None;
        self.values.retain(|(key, value)| keep(key, value));
        self.slots.clear();
        for (slot, (key, _)) in self.values.iter().enumerate() {
            self.slots.insert(*key, slot as u32);
        }
    }

    /// Forgets all of a host.
    pub(super) fn forget(&mut self, host: usize) {
        self.retain(|key, _| key.host != host as u32);
    }

    /// Getter: all of them, in the order in which they were made.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        self.values.iter_mut().map(|(key, value)| (key.host as usize, value))
    }
}
