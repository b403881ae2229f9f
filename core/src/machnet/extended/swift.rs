//! Congestion control by delay: Swift (Kumar et al., SIGCOMM 2020), in integers.
//!
//! What a round trip may take is the same number for all flows over a link, as published: were it counted from the least round trip that a flow
//! has seen, one that comes late, and never sees the queue empty, would have a greater one than those before it, and leave them nothing. But
//! over a long way light alone takes longer than that. So a flow whose least round trip is above the target counts from it, and makes sure
//! from time to time that it is the way and not the queue: it sends next to nothing for a few round trips, and its own part of the queue is gone.

use serde::{Deserialize, Serialize};

use crate::machnet::config::Delays;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// A window of one packet.
const ONE: u32 = 1 << 16;
/// The widest and the narrowest window.
const WIDEST: u32 = 256 * ONE;
const NARROWEST: u32 = ONE / 1_024;
/// Timeouts in a row that make the window the narrowest.
const TIMEOUTS_MAX: u8 = 3;
/// The least round trip is that of the last two such periods.
const PERIOD: Duration = Duration::from_secs(30);
/// Round trips for which a flow looks how long the way is; so many apart packets leave meanwhile. Flows that came at once look about at
/// once, and then even their last packets are too many for a queue to stay.
const LOOK_TRIPS: u64 = 6;
const LOOK_GAP_TRIPS: u64 = 4;
/// The first look is so many round trips after the beginning, and each further one twice as long after the one before, within bounds.
const LOOK_WAIT_TRIPS: u64 = 64;
const LOOK_WAIT_MIN: Duration = Duration::from_millis(10);
const LOOK_WAIT_MAX: Duration = Duration::from_secs(60);
/// Of a window of 100 packets, and of a tenth of one: the reciprocal of the square root, with [`ROOT_BITS`] behind the point.
const ROOT_OF_MANY: u64 = (1 << ROOT_BITS) / 10;
const ROOT_OF_FEW: u64 = 207_243;
const ROOT_BITS: u32 = 16;

/// A look at the empty way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    until: Instant,
    gap: Duration,
}

/// The window of one flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::machnet) struct Swift {
    /// In packets, with 16 bits behind the point.
    window: u32,
    /// It was never made smaller.
    starting: bool,
    decreased_at: Option<Instant>,
    timeouts: u8,
    /// Least round trips of this period and the one before; zero for none.
    least: [Duration; 2],
    least_since: Instant,
    /// When the next look at the empty way is, how long after that the one behind it, and until when one goes on.
    look_at: Instant,
    look_wait: Duration,
    look: Option<Look>,
    /// Routers on the way.
    hops: u8,
    /// While some, packets below this number belong to a loss that was answered.
    recover: Option<u32>,
    /// The window before that, and packets sent again since, less those for which that was needless.
    prior: u32,
    again: u16,
}

impl Swift {
    /// A flow begins with so many packets.
    pub(in crate::machnet) fn new(packets: u8) -> Self {
        let window = u32::from(packets) * ONE;
        Self {
            window,
            starting: true,
            decreased_at: None,
            timeouts: 0,
            least: [Duration::ZERO; 2],
            least_since: Instant::ZERO,
            look_at: Instant::ZERO,
            look_wait: LOOK_WAIT_MIN,
            look: None,
            hops: 0,
            recover: None,
            prior: window,
            again: 0,
        }
    }

    /// Getter: whole packets that may be in the network; at least one.
    pub(in crate::machnet) fn packets(&self) -> u16 {
        let packets = (self.window / ONE).max(1) as u16;
        if self.look.is_some() { 1 } else { packets }
    }

    /// Getter: the window in packets of `payload` bytes, as bytes.
    pub(in crate::machnet) fn bytes(&self, payload: u16) -> u32 {
        (u64::from(self.window) * u64::from(payload) / u64::from(ONE)) as u32
    }

    /// Getter: it grows by what is acknowledged.
    pub(in crate::machnet) const fn is_starting(&self) -> bool {
        self.starting
    }

    /// Getter: how far apart packets leave; `None` where they leave as they may.
    pub(in crate::machnet) fn gap(&self, srtt: Duration) -> Option<Duration> {
        if let Some(look) = self.look {
            return Some(look.gap);
        }
        let apart = self.window < ONE && !planted::is(Bug::MachnetUnpaced);
        apart.then(|| {
            Duration::from_nanos(
                srtt.as_nanos().saturating_mul(ONE.into()) / u64::from(self.window),
            )
        })
    }

    /// Input: packets of the peer come with this time to live, which hosts begin with 64, or with more.
    pub(in crate::machnet) const fn note_ttl(&mut self, ttl: u8) {
        self.hops = 64u8.saturating_sub(ttl);
    }

    /// Getter: routers on the way.
    #[cfg(test)]
    pub(in crate::machnet) const fn hops(&self) -> u8 {
        self.hops
    }

    /// Getter: what a round trip may take.
    pub(in crate::machnet) fn target(&self, delays: &Delays) -> Duration {
        let flows = delays.flows.as_nanos();
        // One divided by the root of the window.
        let root = (u64::from(self.window) << ROOT_BITS).isqrt().max(1);
        let reciprocal = (1u64 << (2 * ROOT_BITS)) / root;
        let above = reciprocal.clamp(ROOT_OF_MANY, ROOT_OF_FEW) - ROOT_OF_MANY;
        let share = flows.saturating_mul(above) / (ROOT_OF_FEW - ROOT_OF_MANY);
        let hops = delays.hop.saturating_mul(self.hops.into());
        self.way(delays) + delays.target + hops + Duration::from_nanos(share)
    }

    /// What the target is counted from.
    fn way(&self, delays: &Delays) -> Duration {
        let least = self.least();
        if least < delays.target { Duration::ZERO } else { least }
    }

    /// A flow that believes its way to be long looks whether it is.
    fn look(&mut self, now: Instant, delay: Duration, delays: &Delays) {
        if self.look.is_some_and(|look| now >= look.until) {
            self.look = None;
            self.look_at = now + self.look_wait;
            self.look_wait = self.look_wait.saturating_mul(2).min(LOOK_WAIT_MAX);
        }
        let far = self.way(delays) > Duration::ZERO;
        if !far {
            self.look = None;
        } else if self.look_at == Instant::ZERO {
            self.look_wait =
                delay.saturating_mul(LOOK_WAIT_TRIPS).clamp(LOOK_WAIT_MIN, LOOK_WAIT_MAX);
            self.look_at = now + self.look_wait;
        } else if self.look.is_none() && now >= self.look_at {
            let until = now + delay.saturating_mul(LOOK_TRIPS);
            self.look = Some(Look { until, gap: delay.saturating_mul(LOOK_GAP_TRIPS) });
        }
    }

    /// Input: the handshake took so long.
    pub(in crate::machnet) fn on_handshake(&mut self, now: Instant, delay: Duration) {
        self.sample(now, delay);
    }

    /// Input: `acked` more packets have arrived, as an acknowledgement says that took `delay` on its way. `used`: the window was what
    /// held packets back.
    pub(in crate::machnet) fn on_ack(
        &mut self,
        now: Instant,
        acked: u16,
        delay: Duration,
        delays: &Delays,
        used: bool,
    ) {
        self.timeouts = 0;
        self.sample(now, delay);
        self.look(now, delay, delays);
        let target = self.target(delays);
        if delay >= target && !planted::is(Bug::MachnetDelayIgnored) {
            let (above, whole) = (delay.saturating_sub(target).as_nanos(), delay.as_nanos());
            // 0.8 of the part that is above.
            let part = u128::from(self.window) * 4 * u128::from(above) / (5 * u128::from(whole));
            self.decrease(now, delay, (part as u32).min(self.window / 2));
        } else if used {
            let acked = u32::from(acked);
            let by = if self.starting || self.window < ONE {
                acked * ONE
            } else {
                ((u64::from(acked) << 32) / u64::from(self.window)) as u32
            };
            self.window = self.window.saturating_add(by).min(WIDEST);
        }
    }

    /// Input: acknowledgements show a loss; numbers go on from `snd_nxt`.
    pub(in crate::machnet) fn on_loss(&mut self, now: Instant, srtt: Duration, snd_nxt: u32) {
        if self.recover.is_none() {
            (self.prior, self.again, self.recover) = (self.window, 0, Some(snd_nxt));
        }
        self.decrease(now, srtt, self.window / 2);
    }

    /// Input: the retransmission timeout is over.
    pub(in crate::machnet) fn on_timeout(&mut self, now: Instant, snd_nxt: u32) {
        self.timeouts = self.timeouts.saturating_add(1);
        if self.recover.is_none() {
            (self.prior, self.again) = (self.window, 0);
        }
        self.recover = Some(snd_nxt);
        let by = if self.timeouts >= TIMEOUTS_MAX { self.window } else { self.window / 2 };
        self.decreased_at = None;
        self.decrease(now, Duration::ZERO, by);
    }

    /// Input: packets below `snd_una` are acknowledged. True when that ends a recovery.
    pub(in crate::machnet) fn on_progress(&mut self, snd_una: u32) -> bool {
        self.recover.take_if(|end| end.wrapping_sub(snd_una).cast_signed() <= 0).is_some()
    }

    /// Input: a packet was sent again.
    pub(in crate::machnet) const fn sent_again(&mut self) {
        self.again = self.again.saturating_add(1);
    }

    /// Input: for so many that was needless. When it was for all, nothing was lost.
    pub(in crate::machnet) fn on_needless(&mut self, packets: u16) {
        self.again = self.again.saturating_sub(packets);
        if self.again == 0 && self.recover.take().is_some() {
            self.window = self.window.max(self.prior);
        }
    }

    /// Once a round trip.
    fn decrease(&mut self, now: Instant, rtt: Duration, by: u32) {
        let again = self.decreased_at.is_none_or(|at| now.saturating_since(at) >= rtt);
        if again {
            self.window = (self.window - by).max(NARROWEST);
            self.starting = false;
            self.decreased_at = Some(now);
        }
    }

    fn least(&self) -> Duration {
        let [this, last] = self.least;
        if last == Duration::ZERO { this } else { this.min(last) }
    }

    fn sample(&mut self, now: Instant, delay: Duration) {
        let delay = delay.max(Duration::from_nanos(1));
        let [this, _] = self.least;
        if this == Duration::ZERO {
            (self.least, self.least_since) = ([delay, Duration::ZERO], now);
        } else if now.saturating_since(self.least_since) >= PERIOD {
            (self.least, self.least_since) = ([delay, this], now);
        } else {
            self.least[0] = this.min(delay);
        }
    }

    /// Values that only a damaged state can hold.
    pub(in crate::machnet) fn is_valid(&self) -> bool {
        let range = NARROWEST..=WIDEST;
        range.contains(&self.window) && range.contains(&self.prior) && self.hops <= 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAYS: Delays = Delays {
        target: Duration::from_micros(300),
        hop: Duration::from_micros(10),
        flows: Duration::from_micros(200),
    };

    fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    fn at(n: u64) -> Instant {
        Instant::from_nanos(n * 1_000)
    }

    fn swift(window: u32) -> Swift {
        let mut swift = Swift::new(32);
        (swift.window, swift.starting) = (window, false);
        swift.sample(at(0), us(20));
        swift
    }

    #[test]
    fn the_target_grows_with_the_way_and_as_the_window_shrinks() {
        let target = |window: u32| swift(window).target(&DELAYS).as_micros();
        assert_eq!(target(256 * ONE), 300);
        assert_eq!(target(100 * ONE), 300);
        assert!((358..=360).contains(&target(ONE)), "{}", target(ONE));
        assert!((498..=500).contains(&target(ONE / 10)), "{}", target(ONE / 10));
        assert_eq!(target(NARROWEST), target(ONE / 10));
        let mut far = swift(256 * ONE);
        far.note_ttl(61);
        assert_eq!(far.target(&DELAYS).as_micros(), 330);
        far.note_ttl(255);
        assert_eq!(far.target(&DELAYS).as_micros(), 300, "it began with more than 64");
    }

    #[test]
    fn a_flow_counts_from_a_long_way_and_looks_whether_it_is_the_way_or_the_queue() {
        let mut far = swift(50 * ONE);
        far.least = [us(2_000), us(0)];
        assert!(far.target(&DELAYS) > us(2_300));
        let mut looks = 0;
        for ms in 1..1_000 {
            far.on_ack(at(ms * 1_000), 1, us(2_000), &DELAYS, true);
            looks += u32::from(far.packets() == 1);
        }
        assert!((30..60).contains(&looks), "{looks} ms of a second");
        while far.look.is_none() {
            far.on_ack(far.look_at, 1, us(2_000), &DELAYS, true);
        }
        assert_eq!(far.gap(us(2_000)), Some(us(8_000)));
        far.on_ack(far.look_at + us(2_000), 1, us(40), &DELAYS, true);
        assert!(far.packets() > 1 && far.target(&DELAYS) < us(320));
    }

    #[test]
    fn below_the_target_the_window_grows_by_one_packet_a_round_trip() {
        let mut swift = swift(20 * ONE);
        for _ in 0..20 {
            swift.on_ack(at(1), 1, us(100), &DELAYS, true);
        }
        assert!((20 * ONE + ONE * 95 / 100..=21 * ONE).contains(&swift.window));
        let before = swift.window;
        swift.on_ack(at(1), 9, us(100), &DELAYS, false);
        assert_eq!(swift.window, before, "what was not used says nothing");
        swift.window = ONE / 4;
        swift.on_ack(at(1), 1, us(100), &DELAYS, true);
        assert_eq!(swift.window, ONE + ONE / 4);
    }

    #[test]
    fn above_it_the_window_shrinks_once_a_round_trip_by_the_part_above_and_at_most_by_half() {
        let mut swift = swift(100 * ONE);
        // 100 us of 400 are above 300: 0.8 of a quarter.
        swift.on_ack(at(1_000), 1, us(400), &DELAYS, true);
        assert!((79 * ONE..=80 * ONE).contains(&swift.window), "{}", swift.window / ONE);
        let before = swift.window;
        swift.on_ack(at(1_399), 1, us(400), &DELAYS, true);
        assert_eq!(swift.window, before);
        swift.on_ack(at(20_000), 1, us(9_000), &DELAYS, true);
        assert_eq!(swift.window, before - before / 2);
    }

    #[test]
    fn the_start_ends_with_the_first_decrease() {
        let mut swift = Swift::new(32);
        swift.on_ack(at(1), 32, us(20), &DELAYS, true);
        assert_eq!((swift.packets(), swift.is_starting()), (64, true));
        swift.on_ack(at(2), 400, us(20), &DELAYS, true);
        assert_eq!(swift.packets(), 256);
        swift.on_loss(at(3), us(20), 9);
        assert_eq!((swift.packets(), swift.is_starting()), (128, false));
        swift.on_loss(at(4), us(20), 9);
        assert_eq!(swift.packets(), 128, "once a round trip");
        assert!(!swift.on_progress(8) && swift.on_progress(9));
    }

    #[test]
    fn the_third_timeout_in_a_row_leaves_the_least_and_packets_leave_one_by_one() {
        let mut swift = swift(64 * ONE);
        swift.on_timeout(at(1), 5);
        swift.on_timeout(at(2), 5);
        assert_eq!((swift.packets(), swift.gap(us(10))), (16, None));
        swift.on_timeout(at(3), 5);
        assert_eq!(swift.window, NARROWEST);
        assert_eq!(swift.gap(us(10)), Some(us(10_240)));
        assert!(swift.is_valid());
        swift.on_ack(at(4), 1, us(20), &DELAYS, true);
        assert_eq!((swift.packets(), swift.gap(us(10))), (1, None));
        assert_eq!(swift.bytes(1_000), 1_000);
    }

    #[test]
    fn a_loss_that_was_none_is_taken_back() {
        let mut swift = swift(64 * ONE);
        swift.on_loss(at(1), us(20), 9);
        swift.sent_again();
        swift.sent_again();
        swift.on_needless(1);
        assert_eq!(swift.packets(), 32);
        swift.on_needless(1);
        assert_eq!(swift.packets(), 64);
    }

    #[test]
    fn the_least_round_trip_is_that_of_the_last_minute() {
        let mut swift = swift(ONE);
        for s in 1..100 {
            swift.sample(at(s * 1_000_000), us(900));
        }
        assert_eq!(swift.least(), us(900));
    }
}
