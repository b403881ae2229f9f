//! What may go wrong in a NIC at a certain count, each on its own dice.

use causeway_core::nic::RxChecksum;

use crate::fault::{Counted, Dice, Event};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct NicFaults {
    /// A burst is taken in part only: the value is how many frames.
    pub short_burst: Dice,
    /// There is no buffer for a frame to send.
    pub no_buffer: Dice,
    /// A segment is joined although it differs in what a receiver may see.
    pub greedy_join: Dice,
    /// What its hardware does wrong between ring and wire.
    pub wire: WireFaults,
}

/// What is rolled where a NIC meets the wire.
#[derive(Clone, Debug, Default)]
pub struct WireFaults {
    /// A known checksum of which nothing is said.
    pub sum_unknown: Dice,
    /// A right one that is called wrong.
    pub sum_bad: Dice,
    /// A wrong one that is called right.
    pub sum_good: Dice,
    /// A super-segment is cut into shorter pieces: the value is by how many bytes.
    pub odd_cut: Dice,
}

impl NicFaults {
    /// The dice of each event.
    pub fn new(mut dice: impl FnMut(Event) -> Dice) -> Self {
        Self {
            short_burst: dice(Event::ShortBurst),
            no_buffer: dice(Event::NoBuffer),
            greedy_join: dice(Event::GreedyJoin),
            wire: WireFaults {
                sum_unknown: dice(Event::SumUnknown),
                sum_bad: dice(Event::SumBad),
                sum_good: dice(Event::SumGood),
                odd_cut: dice(Event::OddCut),
            },
        }
    }

    /// Command: nothing goes wrong any more, apart from the wire.
    pub(super) fn heal(&mut self) {
        self.short_burst.heal();
        self.no_buffer.heal();
        self.greedy_join.heal();
    }

    /// Output: what went wrong, apart from the wire.
    pub(super) fn decided(&self) -> [(Event, Counted); 3] {
        [
            (Event::ShortBurst, self.short_burst.decided().to_vec()),
            (Event::NoBuffer, self.no_buffer.decided().to_vec()),
            (Event::GreedyJoin, self.greedy_join.decided().to_vec()),
        ]
    }
}

impl WireFaults {
    /// Command: nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        let Self { sum_unknown, sum_bad, sum_good, odd_cut } = self;
        [sum_unknown, sum_bad, sum_good, odd_cut].into_iter().for_each(Dice::heal);
    }

    /// Output: what went wrong.
    pub(super) fn decided(&self) -> [(Event, Counted); 4] {
        [
            (Event::SumUnknown, self.sum_unknown.decided().to_vec()),
            (Event::SumBad, self.sum_bad.decided().to_vec()),
            (Event::SumGood, self.sum_good.decided().to_vec()),
            (Event::OddCut, self.odd_cut.decided().to_vec()),
        ]
    }

    /// Output: what the NIC says of a checksum that is `truth`. Only what can make a difference is rolled, and counted.
    pub(super) fn says(&mut self, truth: RxChecksum) -> RxChecksum {
        let lies = match truth {
            RxChecksum::Unknown => return truth,
            RxChecksum::Verified => (&mut self.sum_bad, RxChecksum::Bad),
            RxChecksum::Bad => (&mut self.sum_good, RxChecksum::Verified),
        };
        if self.sum_unknown.roll().is_some() {
            return RxChecksum::Unknown;
        }
        if lies.0.roll().is_some() { lies.1 } else { truth }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healed_dice_hit_no_more_and_what_they_hit_is_told() {
        let mut faults = NicFaults::new(|_| Dice::drawn(1, 2, 1_000_000, 3));
        fn all(faults: &mut NicFaults) -> [&mut Dice; 7] {
            let NicFaults { short_burst, no_buffer, greedy_join, wire } = faults;
            let WireFaults { sum_unknown, sum_bad, sum_good, odd_cut } = wire;
            [short_burst, no_buffer, greedy_join, sum_unknown, sum_bad, sum_good, odd_cut]
        }
        assert!(all(&mut faults).map(Dice::roll).iter().all(Option::is_some));
        faults.heal();
        let hits = all(&mut faults).map(|dice| dice.roll().is_some());
        assert_eq!(hits, [false, false, false, true, true, true, true], "the wire is its own");
        faults.wire.heal();
        assert!(all(&mut faults).map(Dice::roll).iter().all(Option::is_none));
        let told = |decided: &[(Event, Counted)]| -> Vec<_> {
            decided.iter().map(|(event, hits)| (*event, hits.len())).collect()
        };
        let [short, none, join] = [Event::ShortBurst, Event::NoBuffer, Event::GreedyJoin];
        assert_eq!(told(&faults.decided()), [(short, 1), (none, 1), (join, 1)]);
        let wire = [Event::SumUnknown, Event::SumBad, Event::SumGood, Event::OddCut];
        assert_eq!(told(&faults.wire.decided()), wire.map(|event| (event, 2)));
    }
}
