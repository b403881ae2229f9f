//! What stands on the command line of a swarm, here and in `cargo xtask campaign`, which has this file as a module of its own.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

/// Seeds from the first to before the second, as `A..B`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends = text.split_once("..");
        let ends = ends.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        let seeds = ends.filter(|seeds: &Range<u64>| seeds.start < seeds.end);
        seeds
            .map(Self)
            .ok_or_else(|| "give two numbers like 0..1000, the second beyond the first".to_owned())
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.0.start, self.0.end)
    }
}

/// A time with its unit: `90s`, `10m`, `2h`.
///
/// # Errors
/// It is none, in words.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number with a unit, like 90s, 10m or 2h".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let seconds = |text| time(text).map(|time| time.as_secs()).ok();
        assert_eq!(
            ["90s", "10m", "2h", "0s"].map(seconds),
            [Some(90), Some(600), Some(7_200), Some(0)]
        );
        assert_eq!(["", "s", "10", "1.5h", "-1s", "9999999999s"].map(seconds), [None; 6]);
    }

    #[test]
    fn seeds_are_two_numbers_in_order() {
        let seeds = |text: &str| text.parse().map(|Seeds(range)| range).ok();
        assert_eq!(seeds("7..9"), Some(7..9));
        assert_eq!(["9..9", "9..7", "7", "7..", "..9", "-1..9"].map(seeds), [const { None }; 6]);
        assert_eq!(Seeds(7..9).to_string(), "7..9");
    }
}
