//! HyStart++ (RFC 9406): leaves the initial slow start when the round trip grows, before a queue overflows.

use serde::{Deserialize, Serialize};

use super::sample::AckSample;
use crate::planted::{self, Bug};
use crate::tcp::seq::SeqNumber;

/// MIN_RTT_THRESH and MAX_RTT_THRESH in microseconds (RFC 9406 §4.3).
const RTT_THRESH_US: (u32, u32) = (4_000, 16_000);
/// MIN_RTT_DIVISOR.
const MIN_RTT_DIVISOR: u32 = 8;
/// N_RTT_SAMPLE: round-trip samples a round that count.
const N_RTT_SAMPLE: u8 = 8;
/// CSS_GROWTH_DIVISOR: conservative slow start grows by a quarter.
const CSS_GROWTH_DIVISOR: u32 = 4;
/// CSS_ROUNDS: rounds of it until slow start is over.
const CSS_ROUNDS: u8 = 5;
/// No sample yet.
const INFINITE: u32 = u32::MAX;

/// The variables of RFC 9406 §4.2. Round trips in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HyStart {
    /// The round ends when this is acknowledged; none is on before the first acknowledgement.
    window_end: Option<SeqNumber>,
    last_round_min_rtt: u32,
    current_round_min_rtt: u32,
    rtt_sample_count: u8,
    /// [`INFINITE`] outside of conservative slow start.
    css_baseline_min_rtt: u32,
    css_rounds: u8,
}

impl Default for HyStart {
    fn default() -> Self {
        Self {
            window_end: None,
            last_round_min_rtt: INFINITE,
            current_round_min_rtt: INFINITE,
            rtt_sample_count: 0,
            css_baseline_min_rtt: INFINITE,
            css_rounds: 0,
        }
    }
}

impl HyStart {
    /// Input: an acknowledgement in the initial slow start.
    pub(super) fn on_ack(&mut self, ack: &AckSample) {
        let window_end = *self.window_end.get_or_insert(ack.snd_max);
        if let Some(rtt) = ack.rtt {
            let us = u32::try_from(rtt.as_micros()).unwrap_or(INFINITE - 1);
            self.current_round_min_rtt = self.current_round_min_rtt.min(us);
            self.rtt_sample_count = self.rtt_sample_count.saturating_add(ack.acks.min(255) as u8);
            self.look();
        }
        if ack.snd_una >= window_end {
            self.end_round(ack.snd_max);
        }
    }

    /// RFC 9406 §4.2: has the least round trip of this round grown over that of the last one?
    fn look(&mut self) {
        if self.rtt_sample_count < N_RTT_SAMPLE || planted::is(Bug::NoHystart) {
            return;
        }
        if self.in_css() {
            if self.current_round_min_rtt < self.css_baseline_min_rtt {
                // The growth was jitter: back to slow start.
                self.css_baseline_min_rtt = INFINITE;
            }
        } else if self.last_round_min_rtt != INFINITE {
            let (min, max) = RTT_THRESH_US;
            let threshold = (self.last_round_min_rtt / MIN_RTT_DIVISOR).clamp(min, max);
            if self.current_round_min_rtt >= self.last_round_min_rtt.saturating_add(threshold) {
                self.css_baseline_min_rtt = self.current_round_min_rtt;
                self.css_rounds = 0;
            }
        }
    }

    fn end_round(&mut self, snd_max: SeqNumber) {
        if self.in_css() {
            self.css_rounds = self.css_rounds.saturating_add(1);
        }
        self.window_end = Some(snd_max);
        self.last_round_min_rtt = self.current_round_min_rtt;
        self.current_round_min_rtt = INFINITE;
        self.rtt_sample_count = 0;
    }

    const fn in_css(&self) -> bool {
        self.css_baseline_min_rtt != INFINITE
    }

    /// Getter: the window grows by the bytes acknowledged divided by this.
    pub(super) const fn growth_divisor(&self) -> u32 {
        if self.in_css() { CSS_GROWTH_DIVISOR } else { 1 }
    }

    /// Getter: slow start is over.
    pub(super) const fn is_over(&self) -> bool {
        self.in_css() && self.css_rounds >= CSS_ROUNDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::testing::{MSS, ack};
    use crate::time::Duration;

    /// Ten segments are out.
    fn begun() -> HyStart {
        HyStart { window_end: Some(SeqNumber(10 * MSS)), ..HyStart::default() }
    }

    /// A round of ten segments whose round trips all take `us`.
    fn round(hystart: &mut HyStart, una: &mut u32, us: u64) {
        let end = *una + 20 * MSS;
        for _ in 0..10 {
            *una += MSS;
            hystart.on_ack(&AckSample {
                rtt: Some(Duration::from_micros(us)),
                snd_una: SeqNumber(*una),
                snd_max: SeqNumber(end),
                ..ack(MSS)
            });
        }
    }

    #[test]
    fn a_round_trip_that_grows_by_an_eighth_slows_the_growth_and_five_rounds_later_ends_it() {
        let (mut hystart, mut una) = (begun(), 0);
        round(&mut hystart, &mut una, 80_000);
        round(&mut hystart, &mut una, 89_999);
        assert_eq!(hystart.growth_divisor(), 1, "one microsecond short of an eighth");
        let (mut hystart, mut una) = (begun(), 0);
        round(&mut hystart, &mut una, 80_000);
        round(&mut hystart, &mut una, 90_000);
        assert_eq!(hystart.growth_divisor(), 4);
        for _ in 0..4 {
            assert!(!hystart.is_over());
            round(&mut hystart, &mut una, 90_000);
        }
        assert!(hystart.is_over());
    }

    #[test]
    fn a_round_trip_that_falls_again_was_jitter() {
        let (mut hystart, mut una) = (begun(), 0);
        for us in [80_000, 95_000, 80_000] {
            round(&mut hystart, &mut una, us);
        }
        assert_eq!(hystart.growth_divisor(), 1);
        assert!(!hystart.is_over());
    }

    #[test]
    fn the_threshold_is_between_four_and_sixteen_milliseconds() {
        let divisor = |before: u64, after: u64| {
            let (mut hystart, mut una) = (begun(), 0);
            round(&mut hystart, &mut una, before);
            round(&mut hystart, &mut una, after);
            hystart.growth_divisor()
        };
        assert_eq!((divisor(1_000, 4_999), divisor(1_000, 5_000)), (1, 4));
        assert_eq!((divisor(400_000, 415_999), divisor(400_000, 416_000)), (1, 4));
    }

    #[test]
    fn seven_samples_say_nothing() {
        let mut hystart = HyStart { last_round_min_rtt: 10_000, ..HyStart::default() };
        let slow =
            AckSample { rtt: Some(Duration::from_millis(90)), snd_max: SeqNumber(9), ..ack(1) };
        for _ in 0..7 {
            hystart.on_ack(&slow);
        }
        assert_eq!(hystart.growth_divisor(), 1);
        hystart.on_ack(&slow);
        assert_eq!(hystart.growth_divisor(), 4);
    }
}
