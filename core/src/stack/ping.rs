//! Echo requests that wait for their reply. All wait equally long, so the oldest ends first.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::port::ChannelId;
use crate::time::{Duration, Instant};

/// An echo request is given up after this long.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// One echo request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ping {
    pub(super) channel: ChannelId,
    pub(super) tag: u64,
    pub(super) remote: IpAddr,
    pub(super) sequence: u16,
    pub(super) sent_at: Instant,
}

/// The bounded table. A request's ICMP identifier is its slot's number.
#[derive(Debug)]
pub(super) struct Pings {
    slots: Vec<(u32, Option<Ping>)>,
    free: Vec<u16>,
    /// Slot, its generation, and when the request in it is given up; in order of time. At most two a slot: those of
    /// answered requests are swept out when there are more.
    deadlines: VecDeque<(Instant, u16, u32)>,
    /// How many of each channel are under way. Channels without any are not in it.
    shares: HashMap<ChannelId, u32, FixedState>,
    per_channel_max: u32,
}

impl Pings {
    /// A table for `pings_max` requests, of one channel `per_channel_max` of them: who floods a silent host leaves
    /// room for everybody else.
    pub(super) fn new(pings_max: u32, per_channel_max: u32) -> Self {
        let count = u16::try_from(pings_max).unwrap_or(u16::MAX);
        // Its order decides nothing, so neither does its seed.
        let shares = HashMap::with_capacity_and_hasher(count.into(), FixedState::default());
        Self {
            shares,
            per_channel_max,
            slots: (0..count).map(|_| (0, None)).collect(),
            free: (0..count).rev().collect(),
            deadlines: VecDeque::with_capacity(2 * usize::from(count)),
        }
    }

    /// Returns the identifier for the request, or `None` when too many are under way, in all or of its channel.
    pub(super) fn begin(&mut self, now: Instant, ping: Ping) -> Option<u16> {
        let share = self.shares.get(&ping.channel).copied().unwrap_or(0);
        if share >= self.per_channel_max {
            return None;
        }
        let ident = self.free.pop()?;
        self.shares.insert(ping.channel, share + 1);
        if self.deadlines.len() >= 2 * self.slots.len() {
            let slots = &self.slots;
            self.deadlines.retain(|&(_, ident, generation)| {
                let (current, slot) = &slots[usize::from(ident)];
                *current == generation && slot.is_some()
            });
        }
        let (generation, slot) = &mut self.slots[usize::from(ident)];
        *generation = generation.wrapping_add(1);
        *slot = Some(ping);
        self.deadlines.push_back((now + PING_TIMEOUT, ident, *generation));
        Some(ident)
    }

    /// The request that a reply answers.
    pub(super) fn finish(&mut self, ident: u16, sequence: u16, from: IpAddr) -> Option<Ping> {
        let (_, slot) = self.slots.get_mut(usize::from(ident))?;
        let ping = slot.take_if(|ping| ping.sequence == sequence && ping.remote == from)?;
        self.give_back(ident, ping.channel);
        Some(ping)
    }

    fn give_back(&mut self, ident: u16, channel: ChannelId) {
        self.free.push(ident);
        let Some(share) = self.shares.get_mut(&channel) else { return };
        *share -= 1;
        if *share == 0 {
            self.shares.remove(&channel);
        }
    }

    /// Forgets the requests of a channel that is gone, so that one that comes and goes takes no more than its share.
    pub(super) fn forget_channel(&mut self, channel: ChannelId) {
        if !self.shares.contains_key(&channel) {
            return;
        }
        for ident in (0..).take(self.slots.len()) {
            let (_, slot) = &mut self.slots[usize::from(ident)];
            if slot.take_if(|ping| ping.channel == channel).is_some() {
                self.give_back(ident, channel);
            }
        }
    }

    /// The next request whose time is over at `now`.
    #[inline]
    pub(super) fn poll_expired(&mut self, now: Instant) -> Option<Ping> {
        while let Some(&(at, ident, generation)) = self.deadlines.front() {
            let (current, slot) = &mut self.slots[usize::from(ident)];
            let stale = *current != generation || slot.is_none();
            if !stale && at > now {
                return None;
            }
            self.deadlines.pop_front();
            if !stale && let Some(ping) = slot.take() {
                self.give_back(ident, ping.channel);
                return Some(ping);
            }
        }
        None
    }

    /// The earliest deadline. It may belong to a request that was answered: then nothing happens at it.
    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, ..)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(sequence: u16) -> Ping {
        ping_of(0, sequence)
    }

    fn ping_of(channel: u32, sequence: u16) -> Ping {
        Ping {
            channel: ChannelId { index: channel, generation: 0 },
            tag: 7,
            remote: IpAddr::from([10, 0, 0, 2]),
            sequence,
            sent_at: Instant::ZERO,
        }
    }

    #[test]
    fn only_the_asked_host_and_the_asked_sequence_finish_a_ping_and_only_once() {
        let mut pings = Pings::new(4, 4);
        let ident = pings.begin(Instant::ZERO, ping(3)).unwrap();
        assert_eq!(pings.finish(ident, 3, IpAddr::from([10, 0, 0, 9])), None);
        assert_eq!(pings.finish(ident, 4, ping(0).remote), None);
        assert_eq!(pings.finish(9_999, 3, ping(0).remote), None);
        assert_eq!(pings.finish(ident, 3, ping(0).remote), Some(ping(3)));
        assert_eq!(pings.finish(ident, 3, ping(0).remote), None);
    }

    #[test]
    fn answered_pings_leave_no_growing_trace_and_unanswered_ones_among_them_still_expire() {
        let mut pings = Pings::new(4, 4);
        pings.begin(Instant::ZERO, ping(1)).unwrap();
        for _ in 0..10_000 {
            let ident = pings.begin(Instant::ZERO, ping(2)).unwrap();
            pings.finish(ident, 2, ping(0).remote).unwrap();
            assert!(pings.deadlines.len() <= 8);
        }
        let late = Instant::ZERO + PING_TIMEOUT;
        assert_eq!(pings.poll_expired(late), Some(ping(1)));
        assert_eq!(pings.poll_expired(late), None);
    }

    #[test]
    fn unanswered_pings_expire_and_give_their_slots_back() {
        let mut pings = Pings::new(2, 2);
        let first = pings.begin(Instant::ZERO, ping(1)).unwrap();
        pings.begin(Instant::from_nanos(10), ping(2)).unwrap();
        assert_eq!(pings.begin(Instant::ZERO, ping(3)), None);
        pings.finish(first, 1, ping(0).remote).unwrap();
        let late = Instant::from_nanos(20) + PING_TIMEOUT;
        assert_eq!(pings.poll_expired(Instant::from_nanos(20)), None);
        assert_eq!(pings.poll_expired(late), Some(ping(2)));
        assert_eq!(pings.poll_expired(late), None);
        assert_eq!(pings.poll_timeout(), None);
        assert!(pings.begin(late, ping(4)).is_some() && pings.begin(late, ping(5)).is_some());
    }

    #[test]
    fn one_channel_takes_its_share_and_leaves_the_rest_to_the_others() {
        let mut pings = Pings::new(8, 2);
        let now = Instant::ZERO;
        let first = pings.begin(now, ping(1)).unwrap();
        pings.begin(now, ping(2)).unwrap();
        assert_eq!(pings.begin(now, ping(3)), None, "its share is used up");
        for channel in 1..4 {
            assert!(pings.begin(now, ping_of(channel, 1)).is_some());
        }
        pings.finish(first, 1, ping(0).remote).unwrap();
        assert!(pings.begin(now, ping(4)).is_some(), "an answer gives a place back");
        assert_eq!(pings.begin(now, ping(5)), None);
        while pings.poll_expired(now + PING_TIMEOUT).is_some() {}
        assert!(pings.shares.is_empty(), "so does the time");
        assert_eq!(pings.free.len(), 8);
    }

    #[test]
    fn a_channel_that_is_gone_leaves_its_places() {
        let mut pings = Pings::new(4, 2);
        let now = Instant::ZERO;
        for channel in 0..10 {
            pings.begin(now, ping_of(channel, 1)).unwrap();
            pings.begin(now, ping_of(channel, 2)).unwrap();
            pings.forget_channel(ping_of(channel, 0).channel);
        }
        assert_eq!((pings.free.len(), pings.shares.len()), (4, 0));
        assert_eq!(pings.poll_expired(now + PING_TIMEOUT), None);
    }
}
