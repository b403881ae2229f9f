//! RACK (RFC 8985 §6): a segment is lost when one that left sufficiently later has arrived.

use serde::{Deserialize, Serialize};

use super::flight::Flight;
use super::sent::{Marks, Sent, Stamp};
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// Recoveries for which a widened reordering window is kept (RFC 8985 §6.2 step 4).
const REO_WND_PERSIST: u8 = 16;
/// Segments selectively acknowledged that make waiting for stragglers unreasonable while no reordering is known.
pub(in crate::tcp) const DUP_THRESHOLD: u32 = 3;

/// RACK.* of RFC 8985 §5.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Rack {
    /// When the segment left that left last of all delivered ones (RACK.xmit_ts, and what RACK.end_seq is for).
    newest: Stamp,
    /// Its round trip (RACK.rtt).
    rtt: Duration,
    /// `snd_max` when a DSACK last widened the window (RACK.dsack_round).
    dsack_round: Option<u64>,
    /// RACK.reo_wnd_mult, at least 1.
    reo_wnd_mult: u8,
    /// RACK.reo_wnd_persist.
    reo_wnd_persist: u8,
    /// Originals below were judged: delivered, lost, or sent again.
    pub(in crate::tcp) judged: u64,
}

/// Marks of a record of which the original is not waited for.
const DECIDED: u16 = Marks::SACKED | Marks::LOST | Marks::RETRANS;
/// Most records looked at for the last of the stragglers.
const LOOKS_MAX: usize = 64;

/// What the reordering window depends on beside RACK's own state.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Path {
    pub(in crate::tcp) now: Instant,
    pub(in crate::tcp) min_rtt: Duration,
    pub(in crate::tcp) srtt: Duration,
    /// Reordering was seen on this connection.
    pub(in crate::tcp) reorders: bool,
    /// Recovery is on.
    pub(in crate::tcp) recovering: bool,
}

impl Rack {
    pub(in crate::tcp) fn new(una: u64) -> Self {
        Self {
            newest: Stamp::default(),
            rtt: Duration::ZERO,
            dsack_round: None,
            reo_wnd_mult: 1,
            reo_wnd_persist: 0,
            judged: una,
        }
    }

    /// Input: `sent` was delivered for certain, the newest by this acknowledgement (RACK_update, §6.2 step 2). `echo_older`: the
    /// timestamp that it echoes is older than the retransmission. `last`: when the last segment left of those that were delivered, by
    /// their sequence: RACK.rtt is its round trip, as the RFC goes through them in that order.
    #[inline]
    pub(in crate::tcp) fn delivered(
        &mut self,
        now: Instant,
        sent: &Sent,
        last: Instant,
        echo_older: bool,
    ) {
        if sent.marks.has(Marks::EVER) && echo_older {
            // It was the original that arrived, and when that left is forgotten.
            return;
        }
        self.rtt = now.saturating_since(last);
        if sent.stamp().is_after(self.newest) {
            self.newest = sent.stamp();
        }
    }

    /// Input: what was sent once and all in order was delivered in `rtt`. What left last of that matters once something is missing, and is
    /// known then.
    #[inline]
    pub(in crate::tcp) const fn took(&mut self, rtt: Duration) {
        self.rtt = rtt;
    }

    /// Input: a DSACK reports a retransmission of recovery as spurious: wait longer, once a round trip (§6.2 step 4).
    pub(in crate::tcp) fn duplicate(&mut self, una: u64, max: u64) {
        if self.dsack_round.is_some_and(|round| una >= round) {
            self.dsack_round = None;
        }
        if self.dsack_round.is_none() {
            self.dsack_round = Some(max);
            let more = u8::from(!planted::is(Bug::WindowNotWidened));
            self.reo_wnd_mult = self.reo_wnd_mult.saturating_add(more);
            self.reo_wnd_persist = REO_WND_PERSIST;
        }
    }

    /// Input: a recovery ended: after enough of them without a DSACK the window is narrow again.
    pub(in crate::tcp) fn recovered(&mut self) {
        self.reo_wnd_persist = self.reo_wnd_persist.saturating_sub(1);
        if self.reo_wnd_persist == 0 {
            self.reo_wnd_mult = 1;
        }
    }

    /// Getter: RACK.reo_wnd (RACK_update_reo_wnd).
    fn reo_wnd(&self, path: &Path, sacked_segments: u32) -> Duration {
        if !path.reorders && (path.recovering || sacked_segments >= DUP_THRESHOLD) {
            return Duration::ZERO;
        }
        let none = planted::is(Bug::NoReorderingWindow);
        let quarters = if none { 0 } else { path.min_rtt.as_nanos() / 4 };
        Duration::from_nanos(quarters.saturating_mul(u64::from(self.reo_wnd_mult))).min(path.srtt)
    }

    /// Getter: when `sent` counts as lost; `None` while nothing that left after it was delivered.
    fn deadline(&self, sent: &Sent, reo_wnd: Duration) -> Option<Instant> {
        let early = planted::is(Bug::RackWithoutTime);
        let after = if early { Duration::ZERO } else { self.rtt + reo_wnd };
        self.newest.is_after(sent.stamp()).then(|| sent.xmit_time + after)
    }

    /// Getter: whether `sent` could have been acknowledged by now, if it was not lost (RACK_mark_losses_on_RTO, §6.3).
    pub(in crate::tcp) fn had_its_time(&self, sent: &Sent, now: Instant) -> bool {
        sent.xmit_time + self.rtt <= now
    }

    pub(in crate::tcp) fn is_valid(&self, una: u64, max: u64) -> bool {
        self.reo_wnd_mult > 0 && self.judged >= una && self.judged <= max
    }
}

impl Flight {
    /// Command: what was taken for the delivery of retransmissions was the originals', of which nobody knows when they left. RACK goes by
    /// what the peer holds and was sent once: the last of it in the stream left last.
    pub(super) fn go_by_originals(&mut self) {
        let held =
            |record: &&Sent| record.marks.has(Marks::SACKED) && !record.marks.has(Marks::EVER);
        self.rack.newest = self.sent.iter().rev().find(held).map(Sent::stamp).unwrap_or_default();
    }

    /// Command: finds what is lost by now (RACK_detect_loss, §6.2 step 5). Returns when to look again: stragglers have until then.
    ///
    /// Originals left in the order of the stream and retransmissions in the order of `again`, so each is judged once, and the
    /// first that may still arrive ends the search.
    pub(in crate::tcp) fn detect_loss(&mut self, path: &Path) -> Option<Instant> {
        let reo_wnd = self.rack.reo_wnd(path, self.sacked_segments);
        let originals = self.judge_originals(path, reo_wnd);
        let again = self.judge_retransmissions(path, reo_wnd);
        // One look for all stragglers, when the last of them has had its time.
        let last = match (originals, again) {
            (false, false) => return None,
            (true, false) => self.last_original(),
            (false, true) => self.last_retransmission(),
            (true, true) => self.last_original().max(self.last_retransmission()),
        };
        Some((last + (self.rack.rtt + reo_wnd)).max(path.now + Duration::from_nanos(1)))
    }

    /// When the last one left of the originals that are waited for; with the newest delivered one at the latest.
    fn last_original(&self) -> Instant {
        let latest = self.sent.iter().rev().take(LOOKS_MAX);
        self.last_of(latest.filter(|record| !record.marks.has(DECIDED)))
    }

    /// The same of the retransmissions.
    fn last_retransmission(&self) -> Instant {
        let latest = self.again.iter().rev().take(LOOKS_MAX);
        let records = latest.filter_map(|start| self.sent.get(self.sent.index_of(*start)));
        self.last_of(records.filter(|record| record.marks.has(Marks::RETRANS)))
    }

    /// When that one of `records`, the latest first, left which is the first to have left before the newest delivered one.
    fn last_of<'a>(&self, mut records: impl Iterator<Item = &'a Sent>) -> Instant {
        let newest = self.rack.newest;
        let last = records.find(|record| newest.is_after(record.stamp()));
        let upper = planted::is(Bug::StragglersWaitLong);
        last.filter(|_| !upper).map_or(newest.xmit_time, |record| record.xmit_time)
    }

    fn judge_originals(&mut self, path: &Path, reo_wnd: Duration) -> bool {
        let mut index = self.sent.index_of(self.rack.judged.max(self.una));
        while let Some(record) = self.sent.get(index).copied() {
            if !record.marks.has(DECIDED) {
                match self.rack.deadline(&record, reo_wnd) {
                    None => return false,
                    Some(at) if at > path.now => return true,
                    Some(_) => self.mark_lost(index),
                }
            }
            self.rack.judged = record.end;
            index += 1;
        }
        false
    }

    /// Lost retransmissions are found like lost originals.
    fn judge_retransmissions(&mut self, path: &Path, reo_wnd: Duration) -> bool {
        while let Some(start) =
            self.again.front().copied().filter(|_| !planted::is(Bug::LostTwiceUnseen))
        {
            let index = self.sent.index_of(start.max(self.una));
            if let Some(record) =
                self.sent.get(index).filter(|r| r.marks.has(Marks::RETRANS)).copied()
            {
                match self.rack.deadline(&record, reo_wnd) {
                    None => return false,
                    Some(at) if at > path.now => return true,
                    Some(_) => self.mark_lost(index),
                }
            }
            self.again.pop_front();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::recovery::flight::Delivery;

    const MSS: u32 = 100;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn path(now: u64, reorders: bool) -> Path {
        let ms = Duration::from_millis;
        Path { now: at(now), min_rtt: ms(20), srtt: ms(20), reorders, recovering: false }
    }

    /// Ten segments, one a millisecond.
    fn flight() -> Flight {
        let mut flight = Flight::new(0);
        for i in 0..10 {
            flight.push(at(i), (i + 1) * 100, false);
        }
        flight
    }

    fn sack(flight: &mut Flight, now: u64, left: u64, right: u64) {
        let mut delivery = Delivery::default();
        flight.sack(left, right, MSS, &mut delivery);
        let last = delivery.newest.xmit_time;
        flight.rack.delivered(at(now), &delivery.newest, last, false);
    }

    #[test]
    fn a_segment_is_lost_a_reordering_window_after_one_that_left_later_arrived() {
        let mut flight = flight();
        sack(&mut flight, 21, 100, 200);
        let look = flight.detect_loss(&path(21, true)).unwrap();
        assert_eq!(flight.lost_bytes, 0);
        // 20 ms round trip and min_rtt / 4 after the straggler left.
        assert_eq!(look, at(20 + 5));
        assert_eq!(flight.detect_loss(&path(25, true)), None);
        assert_eq!(flight.lost_bytes, 100, "the first left at 0");
    }

    #[test]
    fn what_is_held_and_was_sent_once_still_tells_of_losses_when_retransmissions_tell_nothing() {
        let mut flight = flight();
        sack(&mut flight, 22, 300, 400);
        flight.mark_lost(0);
        flight.retransmitted(at(200), 0);
        flight.rack.newest = flight.sent.get(0).map(Sent::stamp).unwrap_or_default();
        flight.unmark_lost();
        flight.go_by_originals();
        assert_eq!(flight.rack.newest, flight.sent.get(3).map(Sent::stamp).unwrap_or_default());
        assert_eq!(flight.detect_loss(&path(250, true)), None);
        assert_eq!(
            flight.lost_bytes, 200,
            "1 and 2 left before it; 0 after it, again, and what is behind it too"
        );
    }

    #[test]
    fn without_known_reordering_three_segments_beyond_are_enough() {
        let mut flight = flight();
        sack(&mut flight, 22, 100, 300);
        assert!(flight.detect_loss(&path(22, false)).is_some());
        assert_eq!(flight.lost_bytes, 0);
        sack(&mut flight, 23, 300, 400);
        assert_eq!(flight.detect_loss(&path(23, false)), None);
        assert_eq!(flight.lost_bytes, 100);
    }

    #[test]
    fn a_lost_retransmission_is_found_by_what_left_after_it() {
        let mut flight = flight();
        sack(&mut flight, 23, 100, 400);
        flight.detect_loss(&path(23, false));
        let index = flight.next_lost().unwrap();
        flight.retransmitted(at(24), index);
        assert_eq!((flight.lost_bytes, flight.retrans_bytes), (100, 100));
        flight.push(at(25), 1_100, false);
        sack(&mut flight, 45, 1_000, 1_100);
        flight.detect_loss(&path(45, false));
        assert_eq!(flight.retrans_bytes, 0, "it left at 24, and what left at 25 is there");
        assert_eq!(flight.next_lost(), Some(0));
    }

    #[test]
    fn the_round_trip_is_that_of_the_last_segment_delivered_which_may_have_left_before_the_newest()
    {
        let mut rack = Rack::new(0);
        let sent = Sent { end: 100, len: 100, xmit_time: at(20), ..Sent::default() };
        rack.delivered(at(32), &sent, at(10), false);
        assert_eq!((rack.rtt, rack.newest), (Duration::from_millis(22), sent.stamp()));
    }

    #[test]
    fn duplicates_widen_the_window_once_a_round_trip_and_for_sixteen_recoveries() {
        let mut rack = Rack::new(0);
        rack.duplicate(100, 1_000);
        rack.duplicate(900, 1_500);
        assert_eq!(rack.reo_wnd_mult, 2);
        rack.duplicate(1_000, 2_000);
        assert_eq!(rack.reo_wnd_mult, 3);
        assert_eq!(rack.reo_wnd(&path(0, true), 9), Duration::from_millis(15));
        for _ in 0..15 {
            rack.recovered();
        }
        assert_eq!(rack.reo_wnd_mult, 3);
        rack.recovered();
        assert_eq!(rack.reo_wnd_mult, 1);
    }

    #[test]
    fn the_window_is_never_wider_than_a_round_trip() {
        let mut rack = Rack::new(0);
        for round in 0..100 {
            rack.duplicate(round, round);
        }
        assert_eq!(rack.reo_wnd(&path(0, true), 0), Duration::from_millis(20));
    }

    #[test]
    fn the_delivery_of_a_retransmission_that_came_too_soon_tells_nothing() {
        let resent = |end, left| {
            let mut sent = Sent { end, len: 100, xmit_time: at(left), ..Sent::default() };
            sent.marks.set(Marks::EVER);
            sent
        };
        let (old, new) = (resent(100, 10), resent(200, 30));
        let mut delivery = Delivery::new(at(40), Duration::from_millis(20));
        delivery.ascertain(&new, false);
        assert_eq!(delivery.certain.len, 0, "ten milliseconds are less than any round trip");
        delivery.ascertain(&old, false);
        assert_eq!((delivery.certain, delivery.certain_last), (old, at(10)), "and hide no other");
        let mut rack = Rack::new(0);
        rack.delivered(at(60), &new, at(30), true);
        assert_eq!(rack, Rack::new(0), "the echo is older");
        rack.delivered(at(60), &new, at(30), false);
        assert_eq!(rack.rtt, Duration::from_millis(30));
    }

    #[test]
    fn the_round_trip_is_of_the_last_that_the_number_covers_and_else_of_the_last_that_is_held() {
        let sent = |end, left| Sent { end, len: 100, xmit_time: at(left), ..Sent::default() };
        let mut delivery = Delivery::new(at(40), Duration::ZERO);
        delivery.ascertain(&sent(900, 9), false);
        assert_eq!(delivery.certain_last, at(9));
        delivery.ascertain(&sent(100, 2), true);
        delivery.ascertain(&sent(1_000, 12), false);
        assert_eq!((delivery.certain.end, delivery.certain_last), (1_000, at(2)));
    }
}
