//! Pacing: when the next segment may leave, so that a window is spread over a round trip instead of sent as a burst.
//!
//! What leaves at one moment is a quantum, whether the NIC cuts it into segments or this host does: timers that are coarser than the
//! spacing of segments cost no rate, as long as they are finer than the spacing of quanta.
//!
//! On for algorithms that need it, and where a greatest rate was set (SO_MAX_PACING_RATE) or the configuration says so.

use serde::{Deserialize, Serialize};

use super::congestion::Sent;
use super::connection::Connection;
use super::seq::SeqNumber;
use crate::planted::{self, Bug};
use crate::port::StreamIo;
use crate::time::{Duration, Instant};

/// No greatest rate.
pub(in crate::tcp) const RATE_UNLIMITED: u64 = u64::MAX;
/// The rate in percent of a window a round trip, as in Linux (tcp_pacing_ss_ratio, tcp_pacing_ca_ratio): enough to grow.
const SLOW_START_PERCENT: u64 = 200;
const AVOIDANCE_PERCENT: u64 = 120;
/// A quantum is what is sent in a 1024th of a second (sk_pacing_shift of Linux), at least two segments and at most what
/// one super-segment holds.
const QUANTUM_SHIFT: u32 = 10;
const QUANTUM_MAX: u32 = 65_535;

/// Bytes that may leave at once at `rate` bytes a second.
pub(in crate::tcp) fn quantum(rate: u64, mss: u32) -> u32 {
    if planted::is(Bug::GreatQuantum) {
        return QUANTUM_MAX;
    }
    let bytes = rate >> QUANTUM_SHIFT;
    let bytes = if bytes < QUANTUM_MAX as u64 { bytes as u32 } else { QUANTUM_MAX };
    if bytes < 2 * mss { 2 * mss } else { bytes }
}

/// The release times of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tcp) struct Pacing {
    /// Bytes a second; 0 while nothing is known that a rate could be made of.
    rate: u64,
    rate_max: u64,
    /// Nothing leaves before.
    release: Instant,
    /// When the last quantum began to leave, and the bytes that have left of it since.
    began: Instant,
    gone: u32,
    /// So many nanoseconds it was late, as far as they are not made up for.
    late: u64,
}

impl Pacing {
    pub(in crate::tcp) const fn new(rate_max: u64) -> Self {
        let release = Instant::ZERO;
        Self { rate: 0, rate_max, release, began: release, gone: 0, late: 0 }
    }

    /// Command: the greatest rate, in bytes a second.
    pub(in crate::tcp) fn set_rate_max(&mut self, rate_max: u64) {
        self.rate_max = rate_max;
        self.rate = self.rate.min(rate_max);
    }

    /// Getter: bytes a second; 0 while none is known.
    pub(in crate::tcp) const fn rate(&self) -> u64 {
        self.rate
    }

    /// Input: the algorithm's own rate.
    pub(in crate::tcp) fn set_rate(&mut self, rate: u64) {
        self.rate = rate.min(self.rate_max);
    }

    /// Input: the window and the round trip, for algorithms without a rate of their own.
    pub(in crate::tcp) fn follow_window(&mut self, cwnd: u32, ssthresh: u32, srtt: Duration) {
        let percent = if cwnd < ssthresh / 2 { SLOW_START_PERCENT } else { AVOIDANCE_PERCENT };
        let us = srtt.as_micros();
        let rate = match us {
            0 => self.rate_max,
            us => u64::from(cwnd) * percent * 10_000 / us,
        };
        self.set_rate(if rate == RATE_UNLIMITED { 0 } else { rate });
    }

    /// Getter: when the next segment of `mss` bytes may leave, if not `now`.
    pub(in crate::tcp) fn held_until(&self, now: Instant, mss: u32) -> Option<Instant> {
        let one_by_one = planted::is(Bug::PacedOneByOne);
        let goes_on = self.began == now
            && self.gone.saturating_add(mss) <= quantum(self.rate, mss)
            && !one_by_one;
        let held = self.release > now && !goes_on;
        (held && !planted::is(Bug::Unpaced)).then_some(self.release)
    }

    /// Input: `len` bytes leave.
    pub(in crate::tcp) fn on_sent(&mut self, now: Instant, len: u32) {
        if self.rate == 0 {
            return;
        }
        if self.began != now {
            self.late = now.saturating_since(self.release).as_nanos();
            self.release = self.release.max(now);
            (self.began, self.gone) = (now, 0);
        }
        self.gone = self.gone.saturating_add(len);
        let span = u64::from(len) * 1_000_000_000 / self.rate;
        // Who comes late, because timers are coarse, gets at most half of the delay back: a credit without bound would
        // end in a burst.
        let back = self.late.min(span / 2);
        self.late -= back;
        self.release += Duration::from_nanos(span - back);
    }
}

impl Connection {
    /// Follows the settings: whether it is paced, and the greatest rate (SO_MAX_PACING_RATE).
    pub(in crate::tcp) fn follow_pacing_setting(&mut self) {
        let rate_max = self.config.max_pacing_rate;
        if self.config.pacing || rate_max != RATE_UNLIMITED {
            self.congestion.pace(rate_max);
        }
    }

    /// Getter: a segment must wait; then the timer that will ask again is set.
    #[inline]
    pub(in crate::tcp) fn is_held_by_pacing(&mut self, now: Instant) -> bool {
        let mss = self.options.mss();
        match self.congestion.pacing().and_then(|pacing| pacing.held_until(now, mss)) {
            None => false,
            Some(at) => {
                self.flight_or_new().timers.pacing = at;
                true
            }
        }
    }

    /// Getter: most bytes of one segment or super-segment.
    #[inline]
    pub(in crate::tcp) fn pacing_quantum(&self, mss: u32) -> u32 {
        match self.congestion.pacing() {
            Some(pacing) if pacing.rate() > 0 => {
                let quantum = quantum(pacing.rate(), mss);
                quantum - quantum % mss
            }
            Some(_) | None => u32::MAX,
        }
    }

    /// Input: `len` bytes leave, the sequence numbers `range.0` to `range.1`; before anything else counts them as sent.
    #[cold]
    pub(in crate::tcp) fn pacing_sent(
        &mut self,
        now: Instant,
        (seq, next): (SeqNumber, SeqNumber),
        len: u32,
        io: &impl StreamIo,
    ) {
        let mss = self.options.mss();
        let again = seq < self.snd.snd_max;
        let end = self.snd.offset_of(seq) + u64::from(len);
        // A peer that lets nothing more out measures itself, and not the path.
        let taken = next.distance_from(self.snd.snd_una).unsigned_abs();
        let shut = self.snd.snd_wnd.saturating_sub(taken) < mss;
        let shut = shut && !planted::is(Bug::WindowTakenForPath);
        let sent = Sent {
            now,
            seq,
            next,
            len,
            in_flight: self.pipe(mss),
            cwnd: self.congestion.cwnd(),
            mss,
            srtt: self.rtt.srtt(),
            again,
            more_waits: again || end < self.snd.end(io) && !shut,
        };
        self.congestion.on_sent(&sent);
    }

    /// Getter: the rate that segments are released at, in bytes a second; `None` where they are not paced.
    pub fn pacing_rate(&self) -> Option<u64> {
        self.congestion.pacing().map(Pacing::rate).filter(|rate| *rate > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1_000;

    fn paced(rate: u64) -> Pacing {
        let mut pacing = Pacing::new(RATE_UNLIMITED);
        pacing.set_rate(rate);
        pacing
    }

    #[test]
    fn a_segment_leaves_when_the_one_before_has_taken_its_time() {
        let mut pacing = paced(1_000_000);
        let start = Instant::from_nanos(5_000_000_000);
        pacing.on_sent(start, 2 * MSS);
        // The first was late without measure: half of its two milliseconds is forgiven.
        let next = start + Duration::from_millis(1);
        assert_eq!(pacing.held_until(start, MSS), Some(next));
        assert_eq!(pacing.held_until(next, MSS), None);
        pacing.on_sent(next, 2 * MSS);
        assert_eq!(pacing.held_until(next, MSS), Some(next + Duration::from_millis(2)));
    }

    #[test]
    fn a_timer_that_is_late_costs_no_rate_as_long_as_it_is_late_by_less_than_half_a_quantum() {
        let mut pacing = paced(1_000_000);
        let start = Instant::from_nanos(1);
        let mut now = start;
        for _ in 0..1_000 {
            pacing.on_sent(now, 2 * MSS);
            now = pacing.held_until(now, MSS).unwrap() + Duration::from_micros(300);
        }
        let rate = 2_000_000 * 1_000 / now.saturating_since(start).as_millis();
        assert!((990_000..=1_010_000).contains(&rate), "{rate}");
    }

    #[test]
    fn a_quantum_leaves_at_one_moment_in_segments_too_and_no_more() {
        let mut pacing = paced(10_240_000);
        let start = Instant::from_nanos(5_000_000_000);
        let mut now = start;
        for _ in 0..100 {
            let mut segments = 0;
            while pacing.held_until(now, MSS).is_none() {
                pacing.on_sent(now, MSS);
                segments += 1;
            }
            assert_eq!(segments, 10, "a millisecond of the rate, in whole segments");
            // A timer of a quarter of a millisecond.
            now = pacing.held_until(now, MSS).unwrap() + Duration::from_micros(250);
        }
        let rate = 1_000_000 * 1_000_000 / now.saturating_since(start).as_micros();
        assert!((10_100_000..=10_400_000).contains(&rate), "{rate}");
    }

    #[test]
    fn the_rate_is_twice_the_window_a_round_trip_in_slow_start_and_a_fifth_above_it_later() {
        let mut pacing = paced(0);
        let rtt = Duration::from_millis(100);
        pacing.follow_window(10_000, 1 << 30, rtt);
        assert_eq!(pacing.rate(), 200_000);
        pacing.follow_window(10_000, 10_000, rtt);
        assert_eq!(pacing.rate(), 120_000);
        pacing.set_rate_max(50_000);
        pacing.follow_window(10_000, 10_000, rtt);
        assert_eq!(pacing.rate(), 50_000);
    }

    #[test]
    fn a_quantum_is_a_millisecond_of_the_rate_but_two_segments_at_least() {
        assert_eq!(quantum(0, MSS), 2 * MSS);
        assert_eq!(quantum(10_240_000, MSS), 10_000);
        assert_eq!(quantum(u64::MAX, MSS), 65_535);
    }
}
