//! Packets that no socket sends: RST for nobody's segment, echo replies, ARP. Bounded, in pooled buffers.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::ops::Range;

use crate::nic::{INTERFACES_MAX, IfIndex, MacAddr};
use crate::planted::{self, Bug};
use crate::rng::Stream;
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
    /// The number of the datagram that this is a piece of, if it is one.
    pub(super) piece_of: Option<u32>,
    pub(super) bytes: Vec<u8>,
}

/// Most replies that wait for one neighbour (RFC 1122 §2.3.2.2 asks for at least one); the pieces of a datagram are one.
const PARKED_PER_NEIGHBOR_MAX: usize = 3;
/// Most that wait for neighbours in all, and no more than a quarter of all buffers.
const PARKED_MAX: usize = 64;

/// The bounded queues, one for each interface, and what waits for a neighbour.
#[derive(Debug)]
pub(super) struct Replies {
    queues: [VecDeque<Reply>; INTERFACES_MAX],
    /// What waits for its neighbour, sorted by interface and neighbour, those of one neighbour in order of arrival.
    parked: Vec<Parked>,
    parked_max: usize,
    pool: Vec<Vec<u8>>,
    /// Buffers that are out: queued, parked or being filled.
    taken: usize,
    replies_max: usize,
    /// Of `replies_max`, the buffers that only ARP gets: whoever fills the others cannot silence it.
    reserve: usize,
}

/// A reply that waits.
#[derive(Debug)]
struct Parked {
    interface: IfIndex,
    neighbor: IpAddr,
    reply: Reply,
}

impl Parked {
    fn key(&self) -> (usize, IpAddr) {
        (self.interface.index(), self.neighbor)
    }
}

impl Replies {
    pub(super) fn new(replies_max: u32) -> Self {
        let quarter = replies_max as usize / 4;
        let parked_max = quarter.min(PARKED_MAX);
        Self {
            queues: Default::default(),
            parked: Vec::with_capacity(parked_max),
            parked_max,
            reserve: quarter,
            pool: Vec::new(),
            taken: 0,
            replies_max: replies_max as usize,
        }
    }

    /// An empty buffer to fill, or `None` when all but those for ARP are out. It comes back by `push` and `done`, or by `discard`.
    pub(super) fn buffer(&mut self) -> Option<Vec<u8>> {
        self.take(self.replies_max - self.reserve)
    }

    /// Like [`Self::buffer`], for ARP: its reserve is used too.
    pub(super) fn buffer_for_arp(&mut self) -> Option<Vec<u8>> {
        self.take(self.replies_max)
    }

    fn take(&mut self, max: usize) -> Option<Vec<u8>> {
        if self.taken >= max {
            return None;
        }
        self.taken += 1;
        Some(self.pool.pop().unwrap_or_default())
    }

    pub(super) fn push(&mut self, interface: IfIndex, reply: Reply) {
        self.queues[interface.index()].push_back(reply);
    }

    #[inline]
    pub(super) fn has_some(&self, interface: IfIndex) -> bool {
        !self.queues[interface.index()].is_empty()
    }

    #[inline]
    pub(super) fn pop(&mut self, interface: IfIndex) -> Option<Reply> {
        self.queues[interface.index()].pop_front()
    }

    /// The frame could not be sent now: it stays first.
    pub(super) fn unpop(&mut self, interface: IfIndex, reply: Reply) {
        self.queues[interface.index()].push_front(reply);
    }

    /// Getter: there is room for one more reply that waits for a neighbour.
    pub(super) fn may_park(&self) -> bool {
        self.parked.len() < self.parked_max
    }

    /// `neighbor` is not resolved yet. False when too much waits already: the reply is dropped.
    pub(super) fn park(&mut self, interface: IfIndex, neighbor: IpAddr, reply: Reply) -> bool {
        let waiting = self.waiting_for(interface, neighbor);
        // A datagram of which some pieces are missing is of no use: what its first pieces found, the others find too.
        let last = self.parked[waiting.clone()].last().and_then(|parked| parked.reply.piece_of);
        let goes_on = last.is_some() && last == reply.piece_of;
        if planted::is(Bug::NothingWaits)
            || !self.may_park()
            || (waiting.len() >= PARKED_PER_NEIGHBOR_MAX && !goes_on)
        {
            self.discard(reply.bytes);
            return false;
        }
        self.parked.insert(waiting.end, Parked { interface, neighbor, reply });
        true
    }

    /// The neighbour has answered: what waits for it on this interface is queued again.
    pub(super) fn unpark(&mut self, interface: IfIndex, neighbor: IpAddr) {
        let waiting = self.waiting_for(interface, neighbor);
        self.requeue(waiting);
    }

    /// Everything that waits is queued again: it looks its neighbour up once more.
    pub(super) fn unpark_all(&mut self) {
        self.requeue(0..self.parked.len());
    }

    /// Where in `parked` those for this neighbour are, or would be.
    fn waiting_for(&self, interface: IfIndex, neighbor: IpAddr) -> Range<usize> {
        let key = (interface.index(), neighbor);
        let start = self.parked.partition_point(|parked| parked.key() < key);
        let count = self.parked[start..].partition_point(|parked| parked.key() == key);
        start..start + count
    }

    fn requeue(&mut self, waiting: Range<usize>) {
        let Self { parked, queues, .. } = self;
        for Parked { interface, reply, .. } in parked.drain(waiting) {
            queues[interface.index()].push_back(reply);
        }
    }

    /// Takes a buffer back.
    pub(super) fn discard(&mut self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.taken -= 1;
        self.pool.push(bytes);
    }
}

/// A bucket of tokens: `per_second` fit into it, and as many drip in each second, evenly.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: u32,
    /// What has dripped in, as time: a token is worth a second divided by `per_second`.
    credit: Duration,
    looked_at: Instant,
}

impl RateLimit {
    pub(super) const fn new(per_second: u32) -> Self {
        Self { per_second, credit: Duration::from_secs(1), looked_at: Instant::ZERO }
    }

    /// Takes one token; false when there is none.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        self.take(now, 1)
    }

    /// Takes one token on average, and nobody knows how many at a time: whoever counts what is left of a bucket that all peers
    /// share would learn what others were answered, and so which ports are open to them. False when there is none.
    pub(super) fn allow_uncounted(&mut self, now: Instant, random: &mut Stream) -> bool {
        self.take(now, random.below(3))
    }

    fn take(&mut self, now: Instant, tokens: u64) -> bool {
        if self.per_second == 0 {
            return false;
        }
        let second = Duration::from_secs(1).as_nanos();
        let elapsed = now.saturating_since(self.looked_at).as_nanos();
        let credit = self.credit.as_nanos().saturating_add(elapsed).min(second);
        let token = second / u64::from(self.per_second);
        let allowed = credit >= token;
        let taken = if allowed { token * tokens } else { 0 };
        self.credit = Duration::from_nanos(credit.saturating_sub(taken));
        self.looked_at = now;
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
        let target = LinkTarget::Neighbor(neighbor(last));
        Reply { target, ether_type: EtherType::IPV4, piece_of: None, bytes }
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
    fn the_last_buffers_are_for_arp_alone() {
        let mut replies = Replies::new(8);
        while replies.buffer().is_some() {}
        assert!(replies.buffer_for_arp().is_some() && replies.buffer_for_arp().is_some());
        assert!(replies.buffer_for_arp().is_none());
    }

    #[test]
    fn only_what_waits_for_the_neighbor_is_unparked_and_in_order() {
        let mut replies = Replies::new(64);
        for (last, mark) in [(9, 0), (1, 1), (2, 2), (1, 3)] {
            let mut reply = queue_for(&mut replies, last);
            reply.bytes.push(mark);
            assert!(replies.park(INTERFACE, neighbor(last), reply));
        }
        let queued = |replies: &mut Replies| {
            core::iter::from_fn(|| replies.pop(INTERFACE)).map(|reply| reply.bytes[0]).collect()
        };
        let mut unparked = |interface, last| -> Vec<u8> {
            replies.unpark(interface, neighbor(last));
            queued(&mut replies)
        };
        assert_eq!(unparked(IfIndex(2), 1), []);
        assert_eq!(unparked(INTERFACE, 1), [1, 3]);
        assert_eq!(unparked(INTERFACE, 1), []);
        replies.unpark_all();
        let rest: Vec<u8> = queued(&mut replies);
        assert_eq!(rest, [2, 0]);
    }

    #[test]
    fn few_replies_wait_for_one_neighbor_and_few_in_all_and_what_is_refused_is_given_back() {
        let mut replies = Replies::new(256);
        let parked = |replies: &mut Replies, last| {
            let reply = queue_for(replies, last);
            replies.park(INTERFACE, neighbor(last), reply)
        };
        assert_eq!((0..10).filter(|_| parked(&mut replies, 1)).count(), PARKED_PER_NEIGHBOR_MAX);
        let others = (2..200).filter(|&last| parked(&mut replies, last)).count();
        assert_eq!(others, PARKED_MAX - PARKED_PER_NEIGHBOR_MAX);
        assert_eq!(replies.taken, PARKED_MAX);
    }

    #[test]
    fn the_pieces_of_one_datagram_wait_together_and_those_of_one_too_many_not_at_all() {
        let mut replies = Replies::new(256);
        let mut parked = |piece_of, pieces: usize| {
            let park = |_: &usize| {
                let reply = Reply { piece_of, ..queue_for(&mut replies, 1) };
                replies.park(INTERFACE, neighbor(1), reply)
            };
            (0..pieces).filter(park).count()
        };
        assert_eq!(parked(None, 2), 2);
        assert_eq!(parked(Some(5), 45), 45);
        assert_eq!(parked(Some(6), 4), 0, "those of another");
        assert_eq!(parked(None, 1), 0);
        assert_eq!(replies.taken, 47);
    }

    #[test]
    fn a_burst_takes_the_whole_bucket_and_then_a_token_drips_in_at_a_time() {
        let mut limit = RateLimit::new(3);
        let start = Instant::from_nanos(5);
        assert_eq!((0..10).filter(|_| limit.allow(start)).count(), 3);
        let later = start + Duration::from_millis(334);
        assert_eq!((0..10).filter(|_| limit.allow(later)).count(), 1);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!((0..10).filter(|_| limit.allow(much_later)).count(), 3, "no more than it holds");
        assert!(!RateLimit::new(0).allow(later));
    }
    #[test]
    fn how_many_fit_into_a_bucket_that_all_peers_share_is_not_to_be_known() {
        let mut random = Stream::new(1, 2);
        let mut fit = || {
            let mut limit = RateLimit::new(100);
            (0..400).filter(|_| limit.allow_uncounted(Instant::ZERO, &mut random)).count()
        };
        let counts: std::collections::BTreeSet<usize> = (0..50).map(|_| fit()).collect();
        assert!(counts.len() > 5, "{counts:?}");
        let mean = counts.iter().sum::<usize>() / counts.len();
        assert!((85..=120).contains(&mean), "{mean} of 100");
    }
}
