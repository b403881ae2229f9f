//! The clocks of both ends, in microseconds modulo 2^32: round trips, and whether a packet comes from somebody who sees the flow.

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// What was said longer ago is not believed to be still under way: 67 s. With [`AHEAD_US_MAX`], a value that somebody guesses is right with a
/// probability of 1/51 at most.
const AGE_US_MAX: u32 = 1 << 26;
/// By how much an echo may be ahead of us at least: a peer adds the time for which it had a value, by its own clock, which may run faster.
const AHEAD_US_MIN: u64 = 1 << 16;
/// And at most: 17 s, after hours.
const AHEAD_US_MAX: u64 = 1 << 24;
/// By how much more for each time so long for which nothing was heard: two clocks are not further apart than 1,000 ppm.
const DRIFT: u64 = 1 << 10;

/// Our clock, and the peer's as far as we know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::machnet) struct Clock {
    /// What our clock showed when the flow began.
    start: u32,
    begun: Instant,
    /// The newest value of the peer, and when it came.
    heard: Option<(u32, Instant)>,
    /// By how many microseconds the echo that came with it was ahead of us: as long as nothing of ours arrives, the next is by as much.
    lead: u32,
    /// The peer has told us a value of ours.
    echoed: bool,
}

/// What a good echo says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machnet) struct Echo {
    /// How long the network took, both ways together. `None` where nothing can be said.
    pub(in crate::machnet) rtt: Option<Duration>,
}

impl Clock {
    pub(in crate::machnet) const fn new(start: u32, begun: Instant) -> Self {
        Self { start, begun, heard: None, lead: 0, echoed: false }
    }

    /// Getter: the field of a packet that leaves now.
    pub(in crate::machnet) fn field(&self, now: Instant) -> u64 {
        u64::from(self.reading(now)) << 32 | u64::from(self.echo(now))
    }

    /// Getter: what a packet's field says, unless it is none that the peer could have sent.
    pub(in crate::machnet) fn judge(&self, now: Instant, field: u64) -> Option<Echo> {
        let echo = field as u32;
        let age = self.reading(now).wrapping_sub(echo);
        let old = now.saturating_since(self.begun).as_micros();
        let oldest = u64::from(AGE_US_MAX).min(old) as u32;
        if age <= oldest {
            return Some(Echo { rtt: Some(Duration::from_micros(age.into())) });
        }
        let ahead = u64::from(echo.wrapping_sub(self.reading(now))) <= self.ahead_max(now);
        // Who has heard nothing of us yet has nothing to tell.
        let silent = echo == 0 && !self.echoed;
        let good = ahead || silent || planted::is(Bug::MachnetEchoUnchecked);
        good.then_some(Echo { rtt: None })
    }

    /// Input: a packet of the peer with this field, which is good. False for one that a later one overtook: it says nothing of the time
    /// since.
    pub(in crate::machnet) fn hear(&mut self, now: Instant, field: u64) -> bool {
        let value = (field >> 32) as u32;
        self.echoed |= field as u32 != 0;
        // What is earlier by more, or after so long, is later by what the clock has gone round since.
        let late = self.heard.is_some_and(|(newest, at)| {
            let behind = newest.wrapping_sub(value);
            let since = now.saturating_since(at).as_micros();
            (1..AGE_US_MAX).contains(&behind) && since < AGE_US_MAX.into()
        });
        if !late {
            self.heard = Some((value, now));
            let ahead = (field as u32).wrapping_sub(self.reading(now)).cast_signed();
            self.lead = ahead.max(0).cast_unsigned();
        }
        !late
    }

    /// By how much an echo may be ahead. The peer has held a value at most since it sent what we heard last, or what that echoed since then too.
    fn ahead_max(&self, now: Instant) -> u64 {
        let since = now.saturating_since(self.heard.map_or(self.begun, |(_, at)| at));
        (AHEAD_US_MIN + u64::from(self.lead) + since.as_micros() / DRIFT).min(AHEAD_US_MAX)
    }

    /// What our clock shows.
    fn reading(&self, now: Instant) -> u32 {
        self.start.wrapping_add(now.saturating_since(self.begun).as_micros() as u32)
    }

    /// What the peer's clock showed when it sent what we heard, and the time since then.
    fn echo(&self, now: Instant) -> u32 {
        self.heard.map_or(0, |(value, at)| {
            value.wrapping_add(now.saturating_since(at).as_micros() as u32)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(us: u64) -> Instant {
        Instant::from_nanos(us * 1_000)
    }

    #[test]
    fn a_round_trip_is_the_time_in_the_network_however_long_an_answer_was_held_back() {
        let (mut a, mut b) = (Clock::new(u32::MAX - 100, at(50)), Clock::new(7, at(60)));
        let question = a.field(at(100));
        assert_eq!(b.judge(at(130), question), Some(Echo { rtt: None }), "the first one echoes 0");
        b.hear(at(130), question);
        let answer = b.field(at(5_130));
        assert_eq!(a.judge(at(5_150), answer), Some(Echo { rtt: Some(Duration::from_micros(50)) }));
        a.hear(at(5_150), answer);
        b.hear(at(5_200), a.field(at(5_170)));
        assert!(b.judge(at(5_201), u64::from(b.reading(at(5_000)))).is_some());
        assert_eq!(b.judge(at(5_201), 0), None, "nobody begins anew");
    }

    #[test]
    fn what_was_never_sent_or_too_long_ago_is_not_believed() {
        let clock = Clock { echoed: true, ..Clock::new(1_000_000, at(0)) };
        let later = 3 * u64::from(AGE_US_MAX);
        let ahead = (AHEAD_US_MIN + later / DRIFT) as u32;
        let reading = clock.reading(at(later));
        let good = |echo: u32| clock.judge(at(later), echo.into()).is_some();
        assert!(good(reading) && good(reading - AGE_US_MAX) && !good(reading - AGE_US_MAX - 1));
        assert!(good(reading + ahead) && !good(reading + ahead + 1));
        let young = |echo: u32| clock.judge(at(5), echo.into()).is_some();
        assert!(young(1_000_000) && !young(999_999), "before the handshake");
    }

    #[test]
    fn an_overtaken_packet_does_not_turn_the_clock_back() {
        let mut clock = Clock::new(0, at(0));
        assert!(clock.hear(at(100), 500 << 32));
        assert!(!clock.hear(at(120), 490 << 32));
        assert_eq!(clock.field(at(130)) as u32, 530);
        assert!(clock.hear(at(140), 560 << 32), "in its turn");
        assert!(clock.hear(at(140), 560 << 32), "in the same microsecond");
        assert_eq!(clock.field(at(140)) as u32, 560);
    }

    #[test]
    fn nothing_counts_as_overtaken_after_a_long_silence() {
        for minutes in [2, 30, 36, 60, 71, 72, 100] {
            let mut clock = Clock::new(0, at(0));
            clock.hear(at(0), 500 << 32);
            let since = minutes * 60_000_000;
            assert!(clock.hear(at(since), (500 + since) << 32), "{minutes} minutes");
            assert!(!clock.hear(at(since), (499 + since) << 32), "{minutes} minutes");
        }
    }

    #[test]
    fn a_peer_whose_clock_runs_faster_is_believed_however_long_it_held_a_value() {
        for (seconds, ppm) in [(660, 100), (3_600, 100), (3_600, 900), (14_400, 500)] {
            let mut clock = Clock::new(77, at(0));
            clock.hear(at(10), 77);
            let sent = clock.reading(at(20));
            // What the peer holds of us is as old as this when it speaks again; nothing of ours reaches it, and it speaks on.
            for more in [0, 20_000, 40_000, 1_000_000] {
                let held = seconds * 1_000_000 + more;
                let echo = sent.wrapping_add((held + held * ppm / 1_000_000) as u32);
                let (now, field) = (at(20 + held), (held << 32) | u64::from(echo));
                assert!(clock.judge(now, field).is_some(), "{seconds} s, {ppm} ppm, {more} us");
                clock.hear(now, field);
            }
            // Heard again, it is as close as before.
            let now = at(seconds * 1_000_000 + 2_000_000);
            let value = (seconds + 2) * 1_000_000;
            clock.hear(now, (value << 32) | u64::from(clock.reading(now)));
            let far = clock.reading(now).wrapping_add(AHEAD_US_MIN as u32 + 1);
            assert!(clock.judge(now, far.into()).is_none(), "{seconds} s, {ppm} ppm");
        }
    }

    proptest! {
        #[test]
        fn an_echo_that_is_drawn_at_random_is_seldom_good(seed: u64) {
            let mut rng = crate::rng::Stream::new(seed, 3);
            let clock = Clock { echoed: true, ..Clock::new(rng.next_u64() as u32, at(0)) };
            let now = at(1 << 40);
            let good = (0..4_096).filter(|_| clock.judge(now, rng.next_u64()).is_some()).count();
            prop_assert!(good < 130, "{} of 4,096", good);
        }
    }
}
