//! Which profile of Machnet the hosts of a case offer, and the settings of the extended one.

use super::draw::Draw;

/// The part of the draws.
const PART: u64 = 90;

/// Who offers the extended profile.
#[derive(Clone, Copy, Debug)]
enum Who {
    All,
    Nobody,
    /// Each host by itself: with the others it speaks upstream's.
    Some,
}

/// The profiles of a case.
pub(super) struct Profiles {
    draw: Draw,
    who: Who,
}

impl Profiles {
    /// That of the case of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, PART);
        let who = draw.of(&[Who::All, Who::All, Who::All, Who::Nobody, Who::Some]);
        Self { draw, who }
    }

    /// Output: the key `machnet` of the next host. `has_channels`: its messages are short.
    pub(super) fn host(&mut self, has_channels: bool) -> String {
        let draw = &mut self.draw;
        let offers = match self.who {
            Who::All => true,
            Who::Nobody => false,
            Who::Some => draw.chance(50),
        };
        let messages = if has_channels { ", msg_max = 16384" } else { "" };
        let mut keys = format!("{messages}, extended = {offers}");
        for (percent, key, low, high) in [
            (20, "ack_delay_us", 1, 5_000),
            (20, "keepalive_ms", 100, 2_000),
            // Longer than a packet takes on the slowest links.
            (100, "target_us", 150_000, 1_000_000),
        ] {
            let (drawn, value) = (draw.chance(percent), draw.magnitude(low, high));
            if drawn && offers {
                keys += &format!(", {key} = {value}");
            }
        }
        format!(", machnet = {{ syn_attempts_max = 16, retries_max = 64{keys} }}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_offer_the_profile_all_none_or_some() {
        let of = |seed| {
            let mut profiles = Profiles::new(seed);
            let offers = [0, 1].map(|_| profiles.host(false).contains("extended = true"));
            assert_eq!(offers, {
                let mut again = Profiles::new(seed);
                [0, 1].map(|_| again.host(true).contains("extended = true"))
            });
            offers
        };
        let drawn: Vec<_> = (0..200).map(of).collect();
        for wanted in [[true, true], [false, false], [true, false], [false, true]] {
            assert!(drawn.contains(&wanted), "{wanted:?}");
        }
    }
}
