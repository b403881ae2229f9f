//! The neighbour table.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use hashbrown::HashTable;

use super::config::NeighborConfig;
use crate::ip::address::is_group_or_broadcast;
use crate::keyed_hash::KeyedHash;
use crate::nic::{INTERFACES_MAX, IfIndex, MacAddr};
use crate::planted::{self, Bug};
use crate::port::SocketId;
use crate::socket::ReadyQueue;
use crate::time::{Duration, Instant};
use crate::wheel::TimerWheel;
use crate::wire::{ArpOperation, ArpPacket};

/// Time between two requests for one neighbour (RFC 1122 §2.3.2.1: at most one a second).
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// Requests without an answer before a neighbour is given up (RFC 4861 MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT).
const REQUESTS_MAX: u8 = 3;
/// How long an address of IPv6 in use goes unconfirmed before its station is asked (RFC 4861 DELAY_FIRST_PROBE_TIME).
const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);
/// How long the verdict stands before the next lookup asks again.
const FAILED_HOLD: Duration = Duration::from_secs(1);
/// Most entries that are looked at to find one to evict.
const EVICTION_LOOKS_MAX: u32 = 64;

/// Who: an address on a link. The same address on two links is two neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeighborKey {
    /// The link.
    pub interface: IfIndex,
    /// The next hop: of either family, one host's.
    pub address: IpAddr,
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// Send to this address.
    Resolved(MacAddr),
    /// It is being asked for: park, or try again later.
    Pending,
    /// It does not answer.
    Failed,
}

/// A request to be sent: who has `target`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicit {
    /// From which interface.
    pub interface: IfIndex,
    /// The address that is asked for.
    pub target: IpAddr,
    /// Ask this station only, to confirm what we know; `None`: ask all (broadcast; the solicited-node group
    /// in IPv6).
    pub unicast: Option<MacAddr>,
}

/// What an ARP packet leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArpOutcome {
    /// The answer to be sent to its `target_mac`.
    pub reply: Option<ArpPacket>,
    /// The sender claims an address of ours (RFC 5227 §2.4).
    pub conflict: bool,
}

/// What a neighbour advertisement says of its target (RFC 4861 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The target's station; where it is left out, the known one is meant.
    pub mac: Option<MacAddr>,
    /// It answers a solicitation.
    pub solicited: bool,
    /// It replaces what is known.
    pub overrides: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asked `requests` times, everybody; nothing known.
    Incomplete { requests: u8 },
    /// Answered not long ago.
    Reachable { mac: MacAddr },
    /// Known, but not confirmed lately. The next use asks.
    Stale { mac: MacAddr },
    /// In use, and about to be asked (RFC 4861 §7.3.2; IPv6 only).
    Delay { mac: MacAddr },
    /// In use while it is asked, alone, for the `requests`th time.
    Probe { mac: MacAddr, requests: u8 },
    /// Did not answer.
    Failed,
    /// From the configuration.
    Permanent { mac: MacAddr },
}

#[derive(Debug)]
struct Entry {
    key: NeighborKey,
    state: State,
    /// Looked up since the hand of the clock came by.
    used: bool,
    asked_at: Option<Instant>,
    /// Who has used it first since it was asked or is about to be, and where what it had sent by then ended.
    witness: Option<(SocketId, u32)>,
    waiters: Vec<SocketId>,
}

/// Neighbours of all interfaces. Every method costs O(1), lookups without an allocation.
///
/// Call order: any. After each `handle_*` and `lookup`, drain [`NeighborTable::poll_request`] and
/// [`NeighborTable::poll_woken`], and be back by [`NeighborTable::poll_timeout`].
#[derive(Debug)]
pub struct NeighborTable {
    config: NeighborConfig,
    hash: KeyedHash,
    index: HashTable<u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    timers: TimerWheel,
    requests: ReadyQueue,
    woken: VecDeque<SocketId>,
    /// Entries that are incomplete.
    open: u32,
    /// Where the search for an entry to evict goes on.
    hand: u32,
    /// Where the last look-up found its entry.
    recent: u32,
    /// Changes whenever an entry comes, goes or changes its state.
    epoch: u32,
    /// By interface: what routers have said of how long IPv6 neighbours are trusted, and of the time between solicitations.
    advised: [Option<(Duration, Duration)>; INTERFACES_MAX],
}

impl NeighborTable {
    /// An empty table. `seed` must be secret from peers, and may be the stack's one.
    pub fn new(config: NeighborConfig, seed: u64) -> Self {
        Self {
            config,
            hash: KeyedHash::new(seed, 0x6e65_6967),
            index: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            timers: TimerWheel::new(),
            requests: ReadyQueue::new(),
            woken: VecDeque::new(),
            open: 0,
            hand: 0,
            recent: 0,
            epoch: 0,
            advised: [None; INTERFACES_MAX],
        }
    }

    /// Command: IPv6 neighbours on `interface` are trusted for so long, `None` as configured, and asked so often from now on
    /// (RFC 4861 §6.3.4).
    pub fn advise(&mut self, interface: IfIndex, reachable: Option<Duration>, retrans: Duration) {
        if let Some(advised) = self.advised.get_mut(interface.index()) {
            *advised = Some((reachable.unwrap_or(self.config.reachable_time), retrans));
        }
    }

    /// Getter: how long an answer of this neighbour is trusted, and how long one is waited for.
    fn times(&self, key: &NeighborKey) -> (Duration, Duration) {
        let advised = self.advised.get(key.interface.index()).copied().flatten();
        let usual = (self.config.reachable_time, REQUEST_INTERVAL);
        advised.filter(|_| key.address.is_ipv6()).unwrap_or(usual)
    }

    /// Getter: how many neighbours are known or asked for.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Getter: true when there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Command: the link-layer address to send to. Begins to ask when it is not known, or not confirmed
    /// lately. `key.address` is one host's: groups and broadcasts map to group addresses and are nobody's
    /// neighbours. `Pending` with the table full of open questions leaves no entry to park on.
    pub fn lookup(&mut self, now: Instant, key: NeighborKey) -> Lookup {
        let Some(slot) = self.recall(&key) else {
            if let Some(slot) = self.create(key, State::Incomplete { requests: 1 }) {
                self.ask(now, slot, State::Incomplete { requests: 1 });
            }
            return Lookup::Pending;
        };
        let entry = self.entry_mut(slot);
        entry.used = true;
        match entry.state {
            State::Reachable { mac }
            | State::Delay { mac }
            | State::Probe { mac, .. }
            | State::Permanent { mac } => Lookup::Resolved(mac),
            State::Stale { mac } if key.address.is_ipv6() => {
                self.enter(now, slot, State::Delay { mac });
                Lookup::Resolved(mac)
            }
            State::Stale { mac } => {
                // An entry may turn stale sooner than a second after it was asked for: peers say so.
                let asks = planted::is(Bug::AsksEachTime);
                if asks || entry.asked_at.is_none_or(|at| at + REQUEST_INTERVAL <= now) {
                    self.ask(now, slot, State::Probe { mac, requests: 1 });
                }
                Lookup::Resolved(mac)
            }
            State::Incomplete { .. } => Lookup::Pending,
            State::Failed => Lookup::Failed,
        }
    }

    /// Command: the address of the neighbour that was looked up last, when it is `key` and needs no confirmation: what
    /// [`NeighborTable::lookup`] would answer, with nothing to drain after it. `None`: look up.
    #[inline]
    pub fn lookup_again(&mut self, key: &NeighborKey) -> Option<MacAddr> {
        let entry = self.entries.get_mut(self.recent as usize)?.as_mut()?;
        match entry.state {
            State::Reachable { mac } | State::Permanent { mac } if entry.key == *key => {
                entry.used = true;
                Some(mac)
            }
            State::Reachable { .. }
            | State::Permanent { .. }
            | State::Delay { .. }
            | State::Probe { .. }
            | State::Stale { .. }
            | State::Incomplete { .. }
            | State::Failed => None,
        }
    }

    /// Getter: where the entry of `key` is, if it was looked up last and needs no confirmation.
    pub fn confirmed(&self, key: &NeighborKey) -> Option<u32> {
        let entry = self.entries.get(self.recent as usize)?.as_ref()?;
        let confirmed = matches!(entry.state, State::Reachable { .. } | State::Permanent { .. });
        (confirmed && entry.key == *key).then_some(self.recent)
    }

    /// Input: `socket` uses the neighbour; what it has sent ends at `sent`, of which its peer has acknowledged what ends at `acked`. When that is
    /// beyond what was sent when the question began, what is sent to this station arrives: a neighbour that is being asked, or about to be,
    /// is confirmed by that (RFC 4861 §7.3.1, RFC 1122 §2.3.2.1).
    pub fn witness(
        &mut self,
        now: Instant,
        key: &NeighborKey,
        socket: SocketId,
        (acked, sent): (u32, u32),
    ) {
        let Some(slot) = self.recall(key) else { return };
        let entry = self.entry_mut(slot);
        let (State::Delay { mac } | State::Probe { mac, .. }) = entry.state else { return };
        match entry.witness {
            None => entry.witness = Some((socket, sent)),
            Some((first, before))
                if first == socket && acked.wrapping_sub(before).cast_signed() > 0 =>
            {
                self.enter(now, slot, State::Reachable { mac });
            }
            Some(_) => {}
        }
    }

    /// Getter: as long as this stays the same, [`NeighborTable::lookup`] of a confirmed neighbour answers the same.
    #[inline]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Command: the neighbour that [`NeighborTable::confirmed`] found at `slot` is used again; no other epoch has begun since.
    #[inline]
    pub fn touch(&mut self, slot: u32) {
        if let Some(Some(entry)) = self.entries.get_mut(slot as usize) {
            entry.used = true;
        }
    }

    /// Getter: an entry for `key` exists, whatever its state.
    pub fn contains(&self, key: &NeighborKey) -> bool {
        self.find(key).is_some()
    }

    /// Command: `socket` wants to be woken when `key`, just looked up as pending, is resolved or given up.
    /// Returns false when nothing is pending or too many wait: then the socket's own timer must try again.
    pub fn park(&mut self, key: NeighborKey, socket: SocketId) -> bool {
        let waiters_max = self.config.waiters_max as usize;
        let Some(slot) = self.find(&key) else { return false };
        let entry = self.entry_mut(slot);
        let pending = matches!(entry.state, State::Incomplete { .. });
        if !pending || entry.waiters.len() >= waiters_max {
            return false;
        }
        entry.waiters.push(socket);
        true
    }

    /// Output: a socket that was parked and should look up again. It may be gone by now.
    pub fn poll_woken(&mut self) -> Option<SocketId> {
        self.woken.pop_front()
    }

    /// Output: the next request to be sent. One that is lost (no frame, say) is repeated by the timer.
    pub fn poll_request(&mut self) -> Option<Solicit> {
        while let Some(slot) = self.requests.pop() {
            let Some(entry) = self.entries.get(slot as usize).and_then(Option::as_ref) else {
                continue;
            };
            let unicast = match entry.state {
                State::Incomplete { .. } => None,
                State::Probe { mac, .. } => Some(mac).filter(|_| !planted::is(Bug::AsksAllAgain)),
                // Answered between the decision to ask and now.
                State::Reachable { .. }
                | State::Stale { .. }
                | State::Delay { .. }
                | State::Failed
                | State::Permanent { .. } => continue,
            };
            let NeighborKey { interface, address } = entry.key;
            return Some(Solicit { interface, target: address, unicast });
        }
        None
    }

    /// Output: when [`NeighborTable::handle_timeout`] has something to do; never too late, seldom too early.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Input: time has come to `now`: requests are repeated or given up, confirmations expire.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(slot) = self.timers.poll_expired(now) {
            match self.entry_mut(slot).state {
                State::Incomplete { requests } if requests < REQUESTS_MAX => {
                    self.ask(now, slot, State::Incomplete { requests: requests + 1 });
                }
                State::Incomplete { .. } => self.enter(now, slot, State::Failed),
                State::Delay { mac } if planted::is(Bug::NeverUnreachable) => {
                    self.enter(now, slot, State::Reachable { mac });
                }
                State::Delay { mac } => self.ask(now, slot, State::Probe { mac, requests: 1 }),
                State::Probe { mac, requests } if requests < REQUESTS_MAX => {
                    self.ask(now, slot, State::Probe { mac, requests: requests + 1 });
                }
                // The station that we knew is silent; perhaps another one has the address now.
                State::Probe { .. } => self.ask(now, slot, State::Incomplete { requests: 1 }),
                State::Reachable { mac } => self.enter(now, slot, State::Stale { mac }),
                State::Stale { .. } | State::Failed => self.remove(slot),
                State::Permanent { .. } => {}
            }
        }
    }

    /// Input: an ARP packet from `interface`, whose own address is `our_mac`; `is_ours` says which addresses
    /// are ours there. The order is RFC 826's: merge what is said about the sender if we know it, learn it
    /// if we are the target, then answer.
    pub fn handle_arp(
        &mut self,
        now: Instant,
        interface: IfIndex,
        packet: &ArpPacket,
        our_mac: MacAddr,
        is_ours: impl Fn(Ipv4Addr) -> bool,
    ) -> ArpOutcome {
        let ArpPacket { operation, sender_mac, sender_ip, target_mac: _, target_ip } = *packet;
        if sender_mac.is_multicast() || sender_mac == MacAddr::default() || sender_mac == our_mac {
            return ArpOutcome::default();
        }
        let conflict = is_ours(sender_ip);
        let target_is_ours = is_ours(target_ip);
        // A probe (RFC 5227 §2.1.1) is answered, but says nothing about its sender's address.
        let is_probe = sender_ip.is_unspecified();
        let address = IpAddr::V4(sender_ip);
        if !is_probe && is_group_or_broadcast(address) {
            return ArpOutcome::default();
        }
        let merges = target_is_ours || !planted::is(Bug::GratuitousIgnored);
        if !conflict && !is_probe && merges {
            let answers = operation == ArpOperation::Reply && target_is_ours;
            let key = NeighborKey { interface, address };
            let learn = target_is_ours || planted::is(Bug::LearnsFromAnybody);
            self.handle_heard(now, key, sender_mac, answers, learn);
        }
        let silent = planted::is(Bug::UnansweredRequests);
        let asks_us = operation == ArpOperation::Request && target_is_ours && !conflict && !silent;
        let reply = asks_us.then_some(ArpPacket {
            operation: ArpOperation::Reply,
            sender_mac: our_mac,
            sender_ip: target_ip,
            target_mac: sender_mac,
            target_ip: sender_ip,
        });
        ArpOutcome { reply, conflict }
    }

    /// Input: `key` was heard to have `mac`: the part of [`NeighborTable::handle_arp`] that neighbour
    /// discovery shares. `answers`: it was said to us, in answer to a request. `learn`: make an entry if
    /// there is none.
    ///
    /// An answer confirms only while a question is open, in IPv6 until its time for an answer is over (RFC 4861 §7.2.5, RetransTimer):
    /// nobody can keep a wrong entry alive by talking.
    pub fn handle_heard(
        &mut self,
        now: Instant,
        key: NeighborKey,
        mac: MacAddr,
        answers: bool,
        learn: bool,
    ) {
        let Some(slot) = self.find(&key) else {
            if learn && let Some(slot) = self.create(key, State::Stale { mac }) {
                self.enter(now, slot, State::Stale { mac });
            }
            return;
        };
        let asked = self.was_asked(now, slot);
        let next = match self.entry_mut(slot).state {
            State::Permanent { .. } => return,
            State::Reachable { mac: known } if known == mac => return,
            State::Incomplete { .. } | State::Delay { .. } | State::Probe { .. } if answers => {
                State::Reachable { mac }
            }
            State::Stale { .. } | State::Reachable { .. } | State::Failed if answers && asked => {
                State::Reachable { mac }
            }
            State::Delay { mac: known } | State::Probe { mac: known, .. } if known == mac => return,
            State::Incomplete { .. }
            | State::Delay { .. }
            | State::Probe { .. }
            | State::Reachable { .. }
            | State::Stale { .. }
            | State::Failed => State::Stale { mac },
        };
        self.enter(now, slot, next);
    }

    /// Input: a neighbour advertisement for `key` (RFC 4861 §7.2.5). It makes no entry: nobody asked. True when it is believed:
    /// the neighbour is known, and it is no other station that does not claim to know better.
    pub fn handle_advertised(&mut self, now: Instant, key: NeighborKey, heard: Heard) -> bool {
        let Some(slot) = self.find(&key) else { return false };
        let state = self.entry_mut(slot).state;
        let known = match state {
            State::Reachable { mac }
            | State::Stale { mac }
            | State::Delay { mac }
            | State::Probe { mac, .. } => Some(mac),
            State::Incomplete { .. } | State::Failed => None,
            State::Permanent { .. } => return true,
        };
        let Some(mac) = heard.mac.or(known) else { return false };
        match known {
            // Another station, which does not claim to know better: doubt is all it raises.
            Some(known)
                if known != mac && !heard.overrides && !planted::is(Bug::EveryAdvertOverrides) =>
            {
                if matches!(state, State::Reachable { .. }) {
                    self.enter(now, slot, State::Stale { mac: known });
                }
                false
            }
            Some(_) | None => {
                self.handle_heard(now, key, mac, heard.solicited, false);
                true
            }
        }
    }

    /// Command: `key` has `mac` for good; what is heard does not change it and nothing evicts it. Returns
    /// false when the table is full.
    pub fn insert_permanent(&mut self, key: NeighborKey, mac: MacAddr) -> bool {
        let state = State::Permanent { mac };
        let Some(slot) = self.find(&key).or_else(|| self.create(key, state)) else { return false };
        self.enter(Instant::ZERO, slot, state);
        true
    }

    /// A neighbour of IPv6 was solicited so lately that what it says may be the answer.
    fn was_asked(&self, now: Instant, slot: u32) -> bool {
        let entry = self.entries[slot as usize].as_ref().expect(LIVE);
        let (_, retrans) = self.times(&entry.key);
        let lately = entry.asked_at.is_some_and(|at| now < at + retrans);
        entry.key.address.is_ipv6() && lately && !planted::is(Bug::AnswersDoubted)
    }

    /// Sets a state in which a request is outstanding, and has it sent.
    fn ask(&mut self, now: Instant, slot: u32, state: State) {
        self.entry_mut(slot).asked_at = Some(now);
        self.enter(now, slot, state);
        self.requests.push(slot);
    }

    /// Sets a state and its timer. Who waited is woken unless the question is still open.
    fn enter(&mut self, now: Instant, slot: u32, state: State) {
        let (reachable, retrans) =
            self.times(&self.entries[slot as usize].as_ref().expect(LIVE).key);
        let after = match state {
            State::Incomplete { .. } | State::Probe { .. } => Some(retrans),
            State::Reachable { .. } => Some(reachable),
            State::Delay { .. } => Some(DELAY_FIRST_PROBE),
            State::Stale { .. } => Some(self.config.stale_time),
            State::Failed => Some(FAILED_HOLD),
            State::Permanent { .. } => None,
        };
        match after {
            Some(after) => self.timers.schedule(slot, now + after),
            None => {
                self.timers.cancel(slot);
            }
        }
        self.epoch = self.epoch.wrapping_add(1);
        let entry = self.entries[slot as usize].as_mut().expect(LIVE);
        let asked = matches!(entry.state, State::Incomplete { .. });
        entry.state = state;
        entry.witness = None;
        let asks = matches!(state, State::Incomplete { .. });
        self.open = self.open - u32::from(asked) + u32::from(asks);
        if !asks {
            self.woken.extend(entry.waiters.drain(..));
        }
    }

    fn find(&self, key: &NeighborKey) -> Option<u32> {
        let same =
            |&slot: &u32| self.entries[slot as usize].as_ref().is_some_and(|e| e.key == *key);
        self.index.find(hash(&self.hash, key), same).copied()
    }

    /// Like `find`: bursts go to one neighbour.
    #[inline]
    fn recall(&mut self, key: &NeighborKey) -> Option<u32> {
        if let Some(Some(entry)) = self.entries.get(self.recent as usize)
            && entry.key == *key
        {
            return Some(self.recent);
        }
        self.recent = self.find(key)?;
        Some(self.recent)
    }

    fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        self.entries[slot as usize].as_mut().expect(LIVE)
    }

    /// A new entry, in place of an old one when the table is full. The caller enters its state.
    fn create(&mut self, key: NeighborKey, state: State) -> Option<u32> {
        let asks = matches!(state, State::Incomplete { .. });
        // RFC 6583 §6.2: addresses that nobody may have leave room for those that are there.
        let open_max = (self.config.entries_max / 2).max(1);
        if asks && self.open >= open_max && !planted::is(Bug::StrangersFirst) {
            return None;
        }
        if self.len() >= self.config.entries_max as usize && !planted::is(Bug::EndlessNeighbours) {
            let victim = self.find_victim()?;
            self.remove(victim);
        }
        self.epoch = self.epoch.wrapping_add(1);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as u32
        });
        let entry =
            Entry { key, state, used: false, asked_at: None, witness: None, waiters: Vec::new() };
        self.entries[slot as usize] = Some(entry);
        self.open += u32::from(asks);
        let Self { index, entries, hash: keyed, .. } = self;
        index.insert_unique(hash(keyed, &key), slot, |&slot| {
            hash(keyed, &entries[slot as usize].as_ref().expect(LIVE).key)
        });
        Some(slot)
    }

    /// The clock algorithm: an entry that was used since the hand came by last gets a second chance. Open
    /// questions stay, so that each is asked at most once a second; they end by themselves within three.
    fn find_victim(&mut self) -> Option<u32> {
        for _ in 0..EVICTION_LOOKS_MAX.max(2) {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.entries.len() as u32;
            let Some(entry) = self.entries[slot as usize].as_mut() else { continue };
            match entry.state {
                State::Incomplete { .. } | State::Permanent { .. } => {}
                State::Reachable { .. }
                | State::Stale { .. }
                | State::Delay { .. }
                | State::Probe { .. }
                    if entry.used =>
                {
                    entry.used = false;
                }
                State::Reachable { .. }
                | State::Stale { .. }
                | State::Delay { .. }
                | State::Probe { .. }
                | State::Failed => return Some(slot),
            }
        }
        None
    }

    fn remove(&mut self, slot: u32) {
        self.epoch = self.epoch.wrapping_add(1);
        self.timers.cancel(slot);
        let Some(entry) = self.entries[slot as usize].take() else { return };
        self.open -= u32::from(matches!(entry.state, State::Incomplete { .. }));
        self.woken.extend(entry.waiters);
        let found = self.index.find_entry(hash(&self.hash, &entry.key), |&other| other == slot);
        if let Ok(found) = found {
            found.remove();
        }
        self.free.push(slot);
    }
}

const LIVE: &str = "slots in the index, the timers and the caller's hands are live";

fn hash(keyed: &KeyedHash, key: &NeighborKey) -> u64 {
    let (high, low) = match key.address {
        IpAddr::V4(v4) => (0, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => ((v6.to_bits() >> 64) as u64, v6.to_bits() as u64),
    };
    let family = u64::from(key.address.is_ipv4());
    keyed.words([high, low, u64::from(key.interface.0), family, 0, 0])
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
