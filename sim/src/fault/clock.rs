//! What is so for a while with a host's clocks: as data, and as text.

use causeway_core::time::Duration;

use super::text::{exact, number, span};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockTrouble {
    /// The monotonic clock, by which the host's stack and its programs live, runs so many parts per million fast, or slow where it is
    /// negative. What it gained or lost stays.
    Rate(i32),
    /// The wall clock of the host's programs is so many nanoseconds ahead of where it was, or behind where it is negative, and goes back
    /// when that ends.
    WallStep(i64),
}

impl ClockTrouble {
    /// Most parts per million: a hundredth. Oscillators are wrong by some fifty, and by some hundred while a daemon corrects them.
    pub const PPM_MAX: i32 = 10_000;
    /// Furthest step of a wall clock, in nanoseconds: some thirty years.
    pub const STEP_MAX: i64 = 1_000_000_000_000_000_000;

    /// The verb of a plan's line, and what stands behind the time.
    pub(super) fn words(self) -> (&'static str, String) {
        match self {
            Self::Rate(ppm) => ("clock-rate", format!(" {ppm:+}ppm")),
            Self::WallStep(by) => {
                let sign = if by < 0 { '-' } else { '+' };
                ("wall-step", format!(" {sign}{}", exact(Duration::from_nanos(by.unsigned_abs()))))
            }
        }
    }

    /// What a line says; `None` where it is not about a clock.
    pub(super) fn parse(verb: &str, rest: &[&str]) -> Option<Result<Self, String>> {
        Some(match (verb, rest) {
            ("clock-rate", [rate]) => parse_rate(rate).map(Self::Rate),
            ("wall-step", [by]) => parse_step(by).map(Self::WallStep),
            _ => return None,
        })
    }
}

fn parse_rate(text: &str) -> Result<i32, String> {
    let ppm = text.strip_suffix("ppm");
    let ppm = ppm.ok_or_else(|| format!("expected a rate like `+300ppm`, found `{text}`"))?;
    let most = ClockTrouble::PPM_MAX;
    match number::<i32>(ppm)? {
        0 => Err("a clock that runs at 0ppm is right".to_owned()),
        ppm if ppm.abs() > most => Err(format!("a clock is wrong by {most}ppm at most")),
        ppm => Ok(ppm),
    }
}

fn parse_step(text: &str) -> Result<i64, String> {
    let expected = || format!("expected a step like `-5s` or `+5s`, found `{text}`");
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Err(expected()),
    };
    let nanos = i64::try_from(span(rest)?.as_nanos()).unwrap_or(i64::MAX);
    match nanos {
        0 => Err("a step of no time is none".to_owned()),
        nanos if nanos > ClockTrouble::STEP_MAX => Err("a step is at most 1000000000s".to_owned()),
        nanos => Ok(sign * nanos),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any of them.
    pub fn any_trouble() -> impl Strategy<Value = ClockTrouble> {
        let rate = 1..=ClockTrouble::PPM_MAX;
        let step = 1..=ClockTrouble::STEP_MAX;
        prop_oneof![
            (rate, any::<bool>()).prop_map(|(n, fast)| ClockTrouble::Rate(if fast {
                n
            } else {
                -n
            })),
            (step, any::<bool>()).prop_map(|(n, ahead)| ClockTrouble::WallStep(if ahead {
                n
            } else {
                -n
            })),
        ]
    }

    #[test]
    fn what_no_clock_does_is_told() {
        let error = |verb, word| {
            ClockTrouble::parse(verb, &[word]).expect("it is about a clock").expect_err(word)
        };
        assert_eq!(error("clock-rate", "+300"), "expected a rate like `+300ppm`, found `+300`");
        assert_eq!(error("clock-rate", "0ppm"), "a clock that runs at 0ppm is right");
        assert_eq!(error("clock-rate", "-10001ppm"), "a clock is wrong by 10000ppm at most");
        assert_eq!(error("clock-rate", "fastppm"), "expected a number in range, found `fast`");
        assert_eq!(error("wall-step", "5s"), "expected a step like `-5s` or `+5s`, found `5s`");
        assert_eq!(error("wall-step", "-0s"), "a step of no time is none");
        assert_eq!(error("wall-step", "+1000000001s"), "a step is at most 1000000000s");
        assert!(ClockTrouble::parse("clock-rate", &[]).is_none());
        let slow = ClockTrouble::parse("clock-rate", &["-300ppm"]);
        assert_eq!(slow, Some(Ok(ClockTrouble::Rate(-300))));
    }
}
