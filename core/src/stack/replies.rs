//! Packets that no socket sends: RST for nobody's segment, echo replies, ARP. Bounded, in pooled buffers.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::nic::{INTERFACES_MAX, IfIndex, MacAddr};
use crate::time::{Duration, Instant};
use crate::wire::ethernet::EtherType;

/// Where a reply goes on its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkTarget {
    /// To this station (ARP).
    Station(MacAddr),
    /// To the neighbour with this address, once it is resolved.
    Neighbor(IpAddr),
}

/// A whole network-layer packet and its link-layer target.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) target: LinkTarget,
    pub(super) ether_type: EtherType,
    pub(super) bytes: Vec<u8>,
}

/// The bounded queues, one for each interface, and what waits for a neighbour.
#[derive(Debug)]
pub(super) struct Replies {
    queues: [VecDeque<Reply>; INTERFACES_MAX],
    parked: VecDeque<(IfIndex, Reply)>,
    pool: Vec<Vec<u8>>,
    /// Buffers that are out: queued, parked or being filled.
    taken: usize,
    replies_max: usize,
}

impl Replies {
    pub(super) fn new(replies_max: u32) -> Self {
        Self {
            queues: Default::default(),
            parked: VecDeque::new(),
            pool: Vec::new(),
            taken: 0,
            replies_max: replies_max as usize,
        }
    }

    /// An empty buffer to fill, or `None` when the limit is reached. It comes back by `push` and `done`, or by `discard`.
    pub(super) fn buffer(&mut self) -> Option<Vec<u8>> {
        if self.taken >= self.replies_max {
            return None;
        }
        self.taken += 1;
        Some(self.pool.pop().unwrap_or_default())
    }

    pub(super) fn push(&mut self, interface: IfIndex, reply: Reply) {
        self.queues[interface.index()].push_back(reply);
    }

    pub(super) fn pop(&mut self, interface: IfIndex) -> Option<Reply> {
        self.queues[interface.index()].pop_front()
    }

    /// The frame could not be sent now: it stays first.
    pub(super) fn unpop(&mut self, interface: IfIndex, reply: Reply) {
        self.queues[interface.index()].push_front(reply);
    }

    /// The neighbour is not resolved yet.
    pub(super) fn park(&mut self, interface: IfIndex, reply: Reply) {
        self.parked.push_back((interface, reply));
    }

    /// The neighbour has answered: what waits for it on this interface is queued again. Without a neighbour,
    /// everything that waits there is.
    pub(super) fn unpark(&mut self, interface: IfIndex, neighbor: Option<IpAddr>) {
        for _ in 0..self.parked.len() {
            let Some((parked_on, reply)) = self.parked.pop_front() else { break };
            let meant = neighbor.is_none_or(|n| reply.target == LinkTarget::Neighbor(n));
            if parked_on == interface && meant {
                self.push(interface, reply);
            } else {
                self.parked.push_back((parked_on, reply));
            }
        }
    }

    /// Takes a buffer back.
    pub(super) fn discard(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.taken -= 1;
        self.pool.push(bytes);
    }
}

/// A token bucket: at most `per_second` in any second, in a burst or spread out.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: u32,
    tokens: u32,
    refilled_at: Instant,
}

impl RateLimit {
    pub(super) const fn new(per_second: u32) -> Self {
        Self { per_second, tokens: per_second, refilled_at: Instant::ZERO }
    }

    /// Takes one token; false when there is none.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_since(self.refilled_at);
        if elapsed >= Duration::from_secs(1) {
            self.tokens = self.per_second;
            self.refilled_at = now;
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERFACE: IfIndex = IfIndex(1);

    fn neighbor(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn queue_for(replies: &mut Replies, last: u8) -> Reply {
        let bytes = replies.buffer().unwrap();
        Reply { target: LinkTarget::Neighbor(neighbor(last)), ether_type: EtherType::IPV4, bytes }
    }

    #[test]
    fn buffers_are_bounded_and_come_back() {
        let mut replies = Replies::new(2);
        let first = queue_for(&mut replies, 1);
        let second = replies.buffer().unwrap();
        assert!(replies.buffer().is_none());
        replies.discard(second);
        replies.push(INTERFACE, first);
        assert!(replies.buffer().is_some());
        assert!(replies.buffer().is_none(), "a queued reply still counts");
    }

    #[test]
    fn only_what_waits_for_the_neighbor_is_unparked() {
        let mut replies = Replies::new(8);
        for last in [1, 2, 1] {
            let reply = queue_for(&mut replies, last);
            replies.park(INTERFACE, reply);
        }
        let queued = |replies: &mut Replies| core::iter::from_fn(|| replies.pop(INTERFACE)).count();
        replies.unpark(IfIndex(2), Some(neighbor(1)));
        assert_eq!(queued(&mut replies), 0);
        replies.unpark(INTERFACE, Some(neighbor(1)));
        assert_eq!(queued(&mut replies), 2);
        replies.unpark(INTERFACE, None);
        assert_eq!(queued(&mut replies), 1);
    }

    #[test]
    fn no_more_than_the_rate_is_allowed_within_a_second() {
        let mut limit = RateLimit::new(3);
        let start = Instant::from_nanos(5);
        assert_eq!((0..10).filter(|_| limit.allow(start)).count(), 3);
        let later = start + Duration::from_millis(1_001);
        assert_eq!((0..10).filter(|_| limit.allow(later)).count(), 3);
        assert!(!RateLimit::new(0).allow(later));
    }
}
