//! What is lost: RACK's rule (RFC 8985 §6), with packets for segments and numbered transmissions for the order of their departures.
//!
//! A packet is lost when one that left later has arrived, and the time is over in which the network's reordering could still
//! bring it. How long that is, is measured: by how much late packets came late, and originals that arrived after all.
//! There is no DSACK in this protocol; that an acknowledgement comes sooner after a repetition than any round trip took says the same.

use serde::{Deserialize, Serialize};

use crate::time::{Duration, Instant};

/// Later transmissions that make waiting for a packet unreasonable while no reordering is known (RFC 5681 §3.2's three duplicates).
const OVERTAKEN_BY: u64 = 3;
/// Recoveries without a late packet after which the reordering window is halved (RFC 8985 §6.2 step 4); below an
/// eighth of the least round trip it is forgotten.
const LATE_PERSIST: u8 = 16;
/// The least round trip is that of the last two such periods.
const MIN_RTT_PERIOD: Duration = Duration::from_secs(30);

/// The latest transmission of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// Its number among all transmissions.
    pub(super) order: u64,
    pub(super) at: Instant,
    /// When the one before it left.
    pub(super) before: Option<Instant>,
}

/// What the news that a packet arrived means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Sent once; it took so long.
    Once(Duration),
    /// The last repetition, as far as is known.
    Again,
    /// A transmission before the last: the last was needless.
    Earlier,
}

/// What is known of the path, and of what arrived over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rack {
    /// The number of the latest transmission that arrived, plus one; 0 for none (RACK.xmit_ts, RACK.end_seq).
    newest: u64,
    /// Its round trip (RACK.rtt).
    rtt: Duration,
    /// One past the highest packet that arrived (RACK.fack).
    fack: Option<u32>,
    /// Least round trips of this period and the one before; zero for none.
    min_rtt: [Duration; 2],
    min_rtt_since: Instant,
    /// By how much packets came late, the most of late; zero while no reordering is known.
    late: Duration,
    persist: u8,
    /// The acknowledgement that is looked at left when a packet that we sent at this moment would have been with the peer. Known of
    /// peers that echo our clock.
    echoed_at: Option<Instant>,
}

/// Clocks on the wire tick in microseconds.
const TICK: Duration = Duration::from_micros(1);

impl Rack {
    /// Input: packet `seqno`, last sent as `sent` says, arrived (RACK_update, §6.2 steps 1 to 3).
    pub(super) fn arrived(&mut self, now: Instant, seqno: u32, sent: &Sent) -> Arrival {
        let rtt = now.saturating_since(sent.at);
        let sooner = match self.echoed_at {
            Some(echoed_at) => echoed_at + TICK < sent.at,
            None => rtt < self.min_rtt(),
        };
        if let Some(before) = sent.before
            && sooner
        {
            let took = now.saturating_since(before);
            self.came_late(took.saturating_sub(self.rtt.max(self.min_rtt())));
            // What was taken for an answer to other repetitions may have been to originals too.
            self.newest = 0;
            return Arrival::Earlier;
        }
        if self.fack.is_some_and(|fack| seqno.wrapping_sub(fack).cast_signed() < 0) {
            if sent.before.is_none() {
                self.came_late(rtt.saturating_sub(self.rtt));
            }
        } else {
            self.fack = Some(seqno.wrapping_add(1));
        }
        if sent.order >= self.newest {
            self.newest = sent.order + 1;
            self.rtt = rtt;
        }
        if sent.before.is_some() {
            return Arrival::Again;
        }
        // Without the time for which the acknowledgement was held back, where that is known.
        let network = self.echoed_at.map_or(rtt, |at| now.saturating_since(at).min(rtt));
        self.sample(now, network);
        Arrival::Once(rtt)
    }

    /// Input: an acknowledgement that is looked at from now on; see the field.
    pub(super) const fn told(&mut self, echoed_at: Option<Instant>) {
        self.echoed_at = echoed_at;
    }

    /// Input: something that left as number `order` has arrived.
    pub(super) fn overtaken_by(&mut self, order: u64) {
        self.newest = self.newest.max(order + 1);
    }

    /// Input: a recovery ended. After enough of them without a late packet less time is given.
    pub(super) fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            let half = self.late.as_nanos() / 2;
            let counts = half > self.min_rtt().as_nanos() / 8;
            self.late = Duration::from_nanos(if counts { half } else { 0 });
            self.persist = LATE_PERSIST;
        }
    }

    /// Getter: when a packet that did not arrive counts as lost (RACK_detect_loss, §6.2 step 5); `None` while nothing that left
    /// after it arrived.
    pub(super) fn deadline(&self, sent: &Sent, srtt: Duration) -> Option<Instant> {
        let overtaken_by = self.newest.checked_sub(sent.order + 1).filter(|n| *n > 0)?;
        let wait = if !self.reorders() && overtaken_by >= OVERTAKEN_BY {
            Duration::ZERO
        } else {
            self.reordering_window(srtt)
        };
        Some(sent.at + (self.rtt + wait))
    }

    /// Getter: how long to wait for stragglers (RACK.reo_wnd): a quarter of the least round trip, or what was
    /// seen and a quarter; never more than a round trip.
    pub(super) fn reordering_window(&self, srtt: Duration) -> Duration {
        let quarter = self.min_rtt().as_nanos() / 4;
        let seen = self.late.as_nanos();
        Duration::from_nanos(quarter.max(seen.saturating_add(seen / 4))).min(srtt)
    }

    /// Getter: late packets were seen.
    pub(super) fn reorders(&self) -> bool {
        self.late > Duration::ZERO
    }

    /// Getter: the packet could have been acknowledged by now if it was not lost (RACK_mark_losses_on_RTO, §6.3).
    pub(super) fn had_its_time(&self, sent: &Sent, now: Instant, srtt: Duration) -> bool {
        sent.at + (self.rtt + self.reordering_window(srtt)) <= now
    }

    fn came_late(&mut self, by: Duration) {
        self.late = self.late.max(by).max(Duration::from_nanos(1));
        self.persist = LATE_PERSIST;
    }

    /// The least round trip; zero before the first.
    fn min_rtt(&self) -> Duration {
        let [this, last] = self.min_rtt;
        if last == Duration::ZERO { this } else { this.min(last) }
    }

    fn sample(&mut self, now: Instant, rtt: Duration) {
        let rtt = rtt.max(Duration::from_nanos(1));
        let [this, _] = self.min_rtt;
        if this == Duration::ZERO {
            (self.min_rtt, self.min_rtt_since) = ([rtt, Duration::ZERO], now);
        } else if now.saturating_since(self.min_rtt_since) >= MIN_RTT_PERIOD {
            (self.min_rtt, self.min_rtt_since) = ([rtt, this], now);
        } else {
            self.min_rtt[0] = this.min(rtt);
        }
    }

    /// Values that only a damaged state can hold; `order` is the number of the next transmission.
    pub(super) const fn is_valid(&self, order: u64) -> bool {
        let Self { newest, persist, .. } = self;
        *newest <= order && *persist <= LATE_PERSIST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRTT: Duration = Duration::from_micros(100);

    fn at(us: u64) -> Instant {
        Instant::from_nanos(us * 1_000)
    }

    fn sent(order: u64, us: u64) -> Sent {
        Sent { order, at: at(us), before: None }
    }

    /// Packets 0 to 9 left at 0 to 9 us; those in `arrive` arrived 100 us later, in that order.
    fn rack(arrive: &[u64]) -> Rack {
        let mut rack = Rack::default();
        for n in arrive {
            rack.arrived(at(100 + n), *n as u32, &sent(*n, *n));
        }
        assert!(rack.is_valid(10));
        rack
    }

    #[test]
    fn a_packet_that_three_overtook_is_lost_at_once_while_no_reordering_is_known() {
        assert_eq!(rack(&[0, 4]).deadline(&sent(1, 1), SRTT), Some(at(101)));
        assert_eq!(rack(&[0, 3]).deadline(&sent(1, 1), SRTT), Some(at(126)), "two did");
        assert_eq!(rack(&[0]).deadline(&sent(1, 1), SRTT), None, "nothing did");
    }

    #[test]
    fn a_packet_that_came_late_makes_others_be_waited_for_as_long() {
        let mut rack = rack(&[0, 5]);
        assert_eq!(
            rack.arrived(at(141), 1, &sent(1, 1)),
            Arrival::Once(Duration::from_micros(140))
        );
        assert_eq!(rack.reordering_window(SRTT), Duration::from_micros(50));
        assert_eq!(rack.deadline(&sent(2, 2), SRTT), Some(at(152)));
        assert_eq!(rack.reordering_window(Duration::from_micros(30)), Duration::from_micros(30));
        for _ in 0..200 {
            rack.recovered();
        }
        assert!(!rack.reorders(), "what was long ago is forgotten");
    }

    #[test]
    fn an_answer_that_comes_sooner_than_any_round_trip_is_to_the_original() {
        let mut rack = rack(&[0, 5]);
        let again = Sent { order: 10, at: at(120), before: Some(at(1)) };
        assert_eq!(rack.arrived(at(160), 1, &again), Arrival::Earlier);
        assert_eq!(rack.deadline(&sent(6, 6), SRTT), None, "the repetition has not arrived");
        assert_eq!(
            rack.reordering_window(SRTT),
            Duration::from_micros(59 + 14) + Duration::from_nanos(750)
        );
        assert_eq!(
            rack.arrived(at(220), 2, &Sent { order: 11, at: at(120), ..again }),
            Arrival::Again
        );
    }

    #[test]
    fn the_least_round_trip_is_that_of_the_last_minute() {
        let mut rack = rack(&[0]);
        let later = |s: u64| Instant::ZERO + Duration::from_secs(s);
        for s in 1..100 {
            rack.sample(later(s), Duration::from_millis(7));
        }
        assert_eq!(rack.min_rtt(), Duration::from_millis(7));
    }
}
