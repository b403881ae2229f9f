//! What recovery keeps while data is in flight, and only then: the records of what was sent, and the state of each method.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::prr::Prr;
use super::rack::Rack;
use super::rate::Rate;
use super::sent::{Marks, Sent, SentQueue};
use super::timers::{OFF, RecoveryTimers};
use super::tlp::Tlp;
use super::undo::Undo;
use crate::planted::{self, Bug};
use crate::tcp::assembler::Assembler;
use crate::tcp::burst::Burst;
use crate::time::{Duration, Instant};

/// The sender's half of a connection that has something in flight, or had a moment ago. Positions are stream offsets; FIN takes
/// the one behind the last byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Flight {
    pub(in crate::tcp) sent: SentQueue,
    /// The ranges that records marked SACKED cover: what a block brings news of is found without walking records.
    pub(in crate::tcp) sacked: Assembler,
    /// Where records begin that are lost and not sent again since, ascending. Some may be delivered meanwhile.
    pub(in crate::tcp) lost: VecDeque<u64>,
    /// Where the first and the last begin of the lost ones that congestion control was not told of.
    pub(in crate::tcp) untold: Option<(u64, u64)>,
    /// Where records begin that were sent again, in the order in which that happened. Some may be delivered meanwhile.
    pub(in crate::tcp) again: VecDeque<u64>,
    /// `snd_una` and `snd_max`.
    pub(in crate::tcp) una: u64,
    pub(in crate::tcp) max: u64,
    /// One past the highest position delivered (RACK.fack).
    pub(in crate::tcp) fack: u64,
    /// `snd_max` when recovery began, or when the last one did (RecoveryPoint of RFC 6675).
    pub(in crate::tcp) recover: u64,
    /// A loss was treated, in the window that ends at `recover`.
    pub(in crate::tcp) treated: bool,
    /// Positions of records marked SACKED, LOST, RETRANS.
    pub(in crate::tcp) sacked_bytes: u32,
    pub(in crate::tcp) lost_bytes: u32,
    pub(in crate::tcp) retrans_bytes: u32,
    /// Segments of records marked SACKED.
    pub(in crate::tcp) sacked_segments: u32,
    /// Without selective acknowledgements: duplicates, each of which says that a segment left the network.
    pub(in crate::tcp) dup_acks: u16,
    /// F-RTO is undecided (RFC 5682).
    pub(in crate::tcp) frto: bool,
    /// F-RTO step 2: new data goes before retransmissions until the next acknowledgement.
    pub(in crate::tcp) prefer_new: bool,
    pub(in crate::tcp) rack: Rack,
    pub(in crate::tcp) tlp: Tlp,
    pub(in crate::tcp) prr: Prr,
    pub(in crate::tcp) undo: Undo,
    pub(in crate::tcp) rate: Rate,
    pub(in crate::tcp) timers: RecoveryTimers,
    pub(in crate::tcp) burst: Burst,
    /// Where records end that were not sent (MSG_EOR), ascending.
    pub(in crate::tcp) records: VecDeque<u64>,
    /// How long something was in flight, and since when it is; `OFF`: nothing is.
    pub(in crate::tcp) busy: Duration,
    pub(in crate::tcp) busy_since: Instant,
}

/// What one acknowledgement delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tcp) struct Delivery {
    /// Positions newly delivered, and the segments that they were.
    pub(in crate::tcp) bytes: u32,
    pub(in crate::tcp) segments: u32,
    /// Of what was newly delivered, the record that left last; `len` 0: nothing was.
    pub(in crate::tcp) newest: Sent,
    /// What RACK goes by (RFC 8985 §6.2 step 2): the same of what was delivered for certain as what left last, and when the last of
    /// that left, in the order of the stream, of what the number covers if it covers some.
    pub(in crate::tcp) certain: Sent,
    pub(in crate::tcp) certain_last: Instant,
    certain_by_number: bool,
    /// What is delivered this long after it was sent again was the original: nobody knows when that left.
    min_rtt: Duration,
    now: Instant,
    /// When the first and the last left of what was newly acknowledged, was never sent again and not selectively acknowledged
    /// before; and of what was newly selectively acknowledged.
    pub(in crate::tcp) acked: Option<(Instant, Instant)>,
    pub(in crate::tcp) sacked: Option<(Instant, Instant)>,
    /// Something was delivered that was sent more than once.
    pub(in crate::tcp) resent: bool,
    /// Something was delivered that was sent once, and before recovery began.
    pub(in crate::tcp) original: bool,
    /// The lowest position that was sent once and delivered behind later ones.
    pub(in crate::tcp) reordered: Option<u64>,
    /// Bytes of it that duplicate acknowledgements told of already, as far as can be known without SACK.
    pub(in crate::tcp) told: u32,
}

impl Delivery {
    /// Of an acknowledgement that arrives at `now`, on a path whose least round trip is `min_rtt`.
    pub(in crate::tcp) fn new(now: Instant, min_rtt: Duration) -> Self {
        Self { now, min_rtt, ..Self::default() }
    }

    /// Input: `record` was delivered; `by_number`: the acknowledgement number covers it.
    pub(super) fn ascertain(&mut self, record: &Sent, by_number: bool) {
        let resent = record.marks.has(Marks::EVER);
        let original = resent && self.now.saturating_since(record.xmit_time) < self.min_rtt;
        if original && !planted::is(Bug::DoubtHidesTheCertain) {
            return;
        }
        if self.certain.len == 0 || record.stamp().is_after(self.certain.stamp()) {
            self.certain = *record;
        }
        if by_number || !self.certain_by_number {
            self.certain_last = record.xmit_time;
        }
        self.certain_by_number |= by_number;
    }

    /// Getter: bytes that made progress with this acknowledgement, not with an earlier one: what a window grows by. An
    /// acknowledgement that comes after duplicates is of the one segment that was missing (Linux's tcp_remove_reno_sacks). `forward`:
    /// its number advanced, or what came out of order is progress as well (tcp_may_raise_cwnd).
    #[inline]
    pub(in crate::tcp) fn progress(&self, forward: bool, mss: u32) -> u32 {
        if forward { self.bytes.saturating_sub(self.told).max(self.bytes.min(mss)) } else { 0 }
    }

    /// Command: `told` segments were counted with duplicate acknowledgements.
    pub(in crate::tcp) fn count_without(&mut self, told: u32) {
        self.segments = self.segments.saturating_sub(told).max(self.segments.min(1));
    }

    /// `segments` of `record` ended in what was delivered of it.
    fn add(&mut self, record: &Sent, segments: u32) {
        self.bytes += record.len;
        self.segments += segments;
        if self.newest.len == 0 || record.stamp().is_after(self.newest.stamp()) {
            self.newest = *record;
        }
    }
}

fn widen(span: &mut Option<(Instant, Instant)>, at: Instant) {
    *span = Some((span.map_or(at, |(first, _)| first), at));
}

impl Flight {
    pub(in crate::tcp) fn new(una: u64) -> Self {
        Self {
            sent: SentQueue::default(),
            sacked: Assembler::new(),
            lost: VecDeque::new(),
            untold: None,
            again: VecDeque::new(),
            una,
            max: una,
            fack: una,
            recover: una,
            treated: false,
            sacked_bytes: 0,
            lost_bytes: 0,
            retrans_bytes: 0,
            sacked_segments: 0,
            dup_acks: 0,
            frto: false,
            prefer_new: false,
            rack: Rack::new(una),
            tlp: Tlp::default(),
            prr: Prr::default(),
            undo: Undo::default(),
            rate: Rate::default(),
            timers: RecoveryTimers::new(),
            burst: Burst::default(),
            records: VecDeque::new(),
            busy: Duration::ZERO,
            busy_since: OFF,
        }
    }

    /// Getter: positions sent and not acknowledged.
    pub(in crate::tcp) fn outstanding(&self) -> u32 {
        (self.max - self.una) as u32
    }

    /// Getter: bytes in the network as far as is known (pipe of RFC 6675 §4).
    #[inline]
    pub(in crate::tcp) fn pipe(&self, mss: u32) -> u32 {
        let sacked = if planted::is(Bug::PipeCountsTheSacked) { 0 } else { self.sacked_bytes };
        let gone = sacked + self.lost_bytes;
        let dup_acks = if planted::is(Bug::NoLimitedTransmit) { 0 } else { self.dup_acks };
        let gone = gone.saturating_add(u32::from(dup_acks).saturating_mul(mss));
        (self.outstanding() + self.retrans_bytes).saturating_sub(gone)
    }

    /// Getter: nothing is out of the ordinary: an acknowledgement that makes progress needs no judgement.
    #[inline]
    pub(in crate::tcp) fn is_plain(&self) -> bool {
        let marked = self.sacked_bytes | self.lost_bytes | self.retrans_bytes;
        marked | u32::from(self.dup_acks) | u32::from(self.prr.is_of_echo()) == 0
            && !self.tlp.is_under_way()
    }

    /// Command: new data up to `end` leaves now.
    #[inline]
    pub(in crate::tcp) fn push(&mut self, now: Instant, end: u64, fin: bool) {
        let len = (end - self.max) as u32;
        let mut record = Sent { end, len, ..Sent::default() };
        if fin {
            record.marks.set(Marks::FIN);
        }
        let idle = self.max == self.una;
        if idle && self.busy_since == OFF {
            self.busy_since = now;
        }
        self.rate.stamp(now, idle, &mut record);
        self.sent.push(record);
        self.max = end;
    }

    /// Command: `mark` of what left last, [`Marks::PUSHED`] or [`Marks::BURST`].
    pub(in crate::tcp) fn mark_last(&mut self, mark: u16) {
        if let Some(record) =
            self.sent.len().checked_sub(1).and_then(|last| self.sent.get_mut(last))
        {
            record.marks.set(mark);
        }
    }

    /// Input: everything below `una` is acknowledged.
    #[inline]
    pub(in crate::tcp) fn acknowledge(&mut self, una: u64, mss: u32, delivery: &mut Delivery) {
        while let Some((record, left)) = self.sent.take_below(una) {
            if !record.marks.has(Marks::SACKED) {
                delivery.ascertain(&record, true);
                self.deliver(&record, record.segments_before(left, mss), delivery);
                if !record.marks.has(Marks::EVER) {
                    widen(&mut delivery.acked, record.xmit_time);
                }
            } else {
                self.sacked_bytes -= record.len;
                if planted::is(Bug::AckedStaysInFlight) && self.lost_bytes == 0 {
                    self.retrans_bytes += record.len;
                }
                self.sacked_segments = self.sacked_segments.saturating_sub(record.segments(mss));
            }
        }
        self.una = una;
        self.fack = self.fack.max(una);
        self.rack.judged = self.rack.judged.max(una);
        if !self.sacked.is_empty() {
            self.sacked.discard_below(una);
        }
        if self.sacked_bytes == 0 {
            self.sacked_segments = 0;
        }
        if self.lost_bytes == 0 && !self.lost.is_empty() {
            self.lost.clear();
        }
        if self.retrans_bytes == 0 && !self.again.is_empty() {
            self.again.clear();
        }
    }

    /// `record`, with which `segments` ended, was delivered, by whichever kind of acknowledgement.
    pub(in crate::tcp) fn deliver(
        &mut self,
        record: &Sent,
        segments: u32,
        delivery: &mut Delivery,
    ) {
        delivery.add(record, segments);
        if record.marks.has(Marks::LOST | Marks::RETRANS | Marks::EVER) {
            if record.marks.has(Marks::LOST) {
                self.lost_bytes -= record.len;
            }
            if record.marks.has(Marks::RETRANS) {
                self.retrans_bytes -= record.len;
            }
            delivery.resent |= record.marks.has(Marks::EVER);
        }
        if !record.marks.has(Marks::EVER) {
            delivery.original |= record.end <= self.recover;
            // RFC 8985 §6.2 step 3: it was overtaken.
            if record.end < self.fack {
                let start = record.start();
                delivery.reordered = Some(delivery.reordered.map_or(start, |r| r.min(start)));
            }
        }
    }

    /// Getter: what ends at `end` may have been sent again; `resent`: some of what was just acknowledged was. A duplicate of what
    /// was sent once is the network's, and says nothing of our retransmissions (RFC 3708 §2).
    pub(super) fn may_be_resent(&self, end: u64, resent: bool) -> bool {
        if end <= self.una || planted::is(Bug::AnyDsackUndoes) {
            return resent || planted::is(Bug::AnyDsackUndoes);
        }
        let index = self.sent.index_of(end - 1);
        self.sent.get(index).is_some_and(|record| record.marks.has(Marks::EVER))
    }

    /// Command: whatever is in flight now belongs to a window of which a loss is treated.
    pub(in crate::tcp) fn treat(&mut self) {
        self.recover = self.max;
        self.treated = true;
    }

    /// Command: the last transmission of the record at `index` is lost.
    pub(in crate::tcp) fn mark_lost(&mut self, index: usize) {
        let Some(record) = self.sent.get_mut(index) else { return };
        let (start, len) = (record.start(), record.len);
        if record.marks.has(Marks::RETRANS) {
            record.marks.clear(Marks::RETRANS);
            self.retrans_bytes -= len;
        }
        if !record.marks.has(Marks::LOST) {
            record.marks.set(Marks::LOST);
            self.lost_bytes += len;
        }
        record.marks.clear(Marks::PROBE);
        record.marks.set(Marks::UNTOLD);
        let (low, high) = self.untold.unwrap_or((start, start));
        self.untold = Some((low.min(start), high.max(start)));
        self.rate.lost = self.rate.lost.wrapping_add(len);
        self.reserve();
        if let Err(at) = self.lost.binary_search(&start) {
            self.lost.insert(at, start);
        }
    }

    /// Command: the end and the length of each record that was marked lost since the last time, in the order of the stream.
    pub(in crate::tcp) fn tell_lost(&mut self, mut tell: impl FnMut(u64, u32)) {
        let Some((low, high)) = self.untold.take() else { return };
        let first = self.lost.partition_point(|start| *start < low);
        for start in self.lost.range(first..).take_while(|start| **start <= high) {
            let index = self.sent.index_of(*start);
            if let Some(record) = self.sent.get_mut(index)
                && record.marks.has(Marks::UNTOLD)
            {
                record.marks.clear(Marks::UNTOLD);
                tell(record.end, record.len);
            }
        }
    }

    /// Room in the queues of starts for as many as there may be records: allocated with the first loss, and not in the midst of one.
    fn reserve(&mut self) {
        let records = self.sent.capacity();
        if self.lost.capacity() < records {
            self.lost.reserve(records - self.lost.len());
            self.again.reserve(records.saturating_sub(self.again.len()));
        }
    }

    /// Getter: the index of the first record that is lost and not sent again since.
    pub(in crate::tcp) fn next_lost(&mut self) -> Option<usize> {
        while let Some(start) = self.lost.front().copied() {
            // A part of it may be acknowledged: then the rest begins at `una`.
            let index = self.sent.index_of(start.max(self.una));
            if self.sent.get(index).is_some_and(|r| {
                r.start() == start.max(self.una)
                    && r.marks.has(Marks::LOST)
                    && !r.marks.has(Marks::RETRANS | Marks::SACKED)
            }) {
                return Some(index);
            }
            self.lost.pop_front();
        }
        None
    }

    /// Command: what is lost behind the record at `index` goes again with it, as far as both are less than a segment of `most` bytes
    /// and lie below `edge` (tcp_retrans_try_collapse).
    pub(in crate::tcp) fn join_lost(&mut self, index: usize, most: u32, edge: u64) {
        let settled = Marks::SACKED | Marks::RETRANS;
        while let (Some(record), Some(next)) = (self.sent.get(index), self.sent.get(index + 1)) {
            let is_free = next.marks.has(Marks::LOST) && !next.marks.has(settled);
            let fits = record.len.saturating_add(next.data()) <= most && next.end <= edge;
            let ends = record.marks.has(Marks::RECORD | Marks::FIN);
            if !is_free || !fits || ends || planted::is(Bug::ShortSegmentsStayShort) {
                return;
            }
            if let Some(next) = self.sent.join(index)
                && let Ok(at) = self.lost.binary_search(&next.start())
            {
                self.lost.remove(at);
            }
        }
    }

    /// Command: makes two records of the one at `index`; the queues of starts learn of the second.
    pub(in crate::tcp) fn split(&mut self, index: usize, at: u64) {
        let Some(marks) = self.sent.get(index).map(|r| r.marks) else { return };
        self.sent.split(index, at);
        if marks.has(Marks::RETRANS) {
            self.again.push_back(at);
        } else if marks.has(Marks::LOST)
            && let Err(place) = self.lost.binary_search(&at)
        {
            self.lost.insert(place, at);
        }
    }

    /// Command: the record at `index` is sent again now. Returns its length.
    pub(in crate::tcp) fn retransmitted(&mut self, now: Instant, index: usize) -> u32 {
        let Some(record) = self.sent.get_mut(index) else { return 0 };
        let (start, len) = (record.start(), record.len);
        self.rate.stamp(now, false, record);
        record.marks.set(Marks::EVER);
        if !record.marks.has(Marks::RETRANS) {
            record.marks.set(Marks::RETRANS);
            self.retrans_bytes += len;
        }
        record.marks.clear(Marks::UNTOLD | Marks::PROBE);
        self.again.push_back(start);
        if let Ok(at) = self.lost.binary_search(&start) {
            self.lost.remove(at);
        }
        len
    }

    /// Command: what was marked lost was not (RFC 4015).
    pub(in crate::tcp) fn unmark_lost(&mut self) {
        for record in self.sent.iter_mut() {
            record.marks.clear(Marks::LOST | Marks::UNTOLD);
        }
        self.untold = None;
        self.lost_bytes = 0;
        self.lost.clear();
        self.rack.judged = self.una;
    }

    /// Getter: whether what was read back is a flight of `una .. max` that this code could have made.
    pub(in crate::tcp) fn is_valid(&self, una: u64, max: u64) -> bool {
        let count = |mark: u16| {
            let marked = self.sent.iter().filter(|r| r.marks.has(mark));
            marked.map(|r| u64::from(r.len)).sum::<u64>()
        };
        let in_flight = |start: &u64| *start <= max;
        self.una == una
            && self.max == max
            && max - una <= 1 << 30
            && self.sent.is_valid(una, max)
            && self.sacked.is_ordered()
            && self.sacked.bytes() == u64::from(self.sacked_bytes)
            && self.sent.iter().all(|r| {
                let held = self.sacked.first_gap(r.start(), r.end).is_none();
                held == r.marks.has(Marks::SACKED)
                    && !(held && r.marks.has(Marks::LOST | Marks::RETRANS))
            })
            && count(Marks::SACKED) == u64::from(self.sacked_bytes)
            && count(Marks::LOST) == u64::from(self.lost_bytes)
            && count(Marks::RETRANS) == u64::from(self.retrans_bytes)
            && self.fack >= una
            && self.fack <= max
            && self.recover <= max
            && self.lost.iter().all(in_flight)
            && self.lost.iter().is_sorted()
            && self.again.iter().all(in_flight)
            && self.rack.is_valid(una, max)
            && self.rate.delivered < 1 << 62
            && self.has_valid_records()
    }
}
