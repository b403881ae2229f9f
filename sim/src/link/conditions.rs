//! What is so for a while on a direction.

use causeway_core::time::{Duration, Instant};

use super::meddle::sack_ahead;
use super::neighbor::{falsify, is_resolution};
use super::rewrite::{ack_ahead, clamp_mss, set_ecn, set_window, strip};
use crate::fault::{Condition, IP, NeighborTrouble};

/// The conditions under which a direction carries its frames. Of two of a kind the one that began last counts.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Since when, and what.
    active: Vec<(Instant, Condition)>,
}

/// What conditions do to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes on, changed perhaps.
    Passes,
    /// It does not.
    Swallowed(Condition),
}

impl Conditions {
    /// Command: this begins.
    pub fn begin(&mut self, now: Instant, condition: Condition) {
        self.active.push((now, condition));
    }

    /// Command: this ends.
    pub fn end(&mut self, condition: Condition) {
        if let Some(at) = self.active.iter().position(|(_, one)| *one == condition) {
            self.active.remove(at);
        }
    }

    /// Getter: true when nothing is out of the ordinary.
    pub const fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Getter: the rate that holds instead of the link's.
    pub fn rate_bps(&self) -> Option<u64> {
        self.active.iter().rev().find_map(|(_, one)| match one {
            Condition::Rate(bps) => Some(*bps),
            _ => None,
        })
    }

    /// Getter: the propagation delay that holds instead of the link's.
    pub fn delay(&self) -> Option<Duration> {
        self.active.iter().rev().find_map(|(_, one)| match one {
            Condition::Latency(delay) => Some(*delay),
            _ => None,
        })
    }

    /// Getter: how much later a frame arrives than others do.
    pub fn late(&self, frame: &[u8]) -> Option<Duration> {
        let by = self.active.iter().rev().find_map(|(_, one)| match one {
            Condition::Neighbor(NeighborTrouble::Late(by)) => Some(*by),
            _ => None,
        });
        by.filter(|_| is_resolution(frame))
    }

    /// Command: does to a frame what the conditions say.
    pub fn apply(&self, now: Instant, frame: &mut [u8]) -> Passage {
        for &(since, condition) in &self.active {
            match condition {
                Condition::Partition => return Passage::Swallowed(condition),
                Condition::Flap { up, down } if is_down(now, since, up, down) => {
                    return Passage::Swallowed(condition);
                }
                Condition::Mtu { bytes, .. } if packet_len(frame) > usize::from(bytes) => {
                    return Passage::Swallowed(condition);
                }
                Condition::Neighbor(NeighborTrouble::Silent) if is_resolution(frame) => {
                    return Passage::Swallowed(condition);
                }
                Condition::Neighbor(NeighborTrouble::False(station)) => falsify(frame, station),
                Condition::Stripped(option) => strip(frame, option),
                Condition::MssClamp(mss) => clamp_mss(frame, mss),
                Condition::Window(window) => set_window(frame, window),
                Condition::AckAhead(bytes) => ack_ahead(frame, bytes),
                Condition::SackAhead(bytes) => sack_ahead(frame, bytes),
                Condition::Bleached => {
                    set_ecn(frame, 0);
                }
                _ => {}
            }
        }
        Passage::Passes
    }
}

/// A direction that flaps since `since` is in the second part of a period.
/// Getter: what a frame carries behind its Ethernet header, and the tag of its VLAN if it has one.
fn packet_len(frame: &[u8]) -> usize {
    let tag = if frame.get(12..IP) == Some(&[0x81, 0x00]) { 4 } else { 0 };
    frame.len().saturating_sub(IP + tag)
}

fn is_down(now: Instant, since: Instant, up: Duration, down: Duration) -> bool {
    let (up, down) = (u128::from(up.as_nanos()), u128::from(down.as_nanos()));
    u128::from(now.saturating_since(since).as_nanos()) % (up + down).max(1) >= up
}

#[cfg(test)]
mod tests {
    use super::super::rewrite::tests::segment;
    use super::*;
    use crate::fault::{Place, TcpOption};

    #[test]
    fn each_condition_does_what_it_says_while_it_lasts() {
        let syn = segment(false, Place::SYN);
        let data = segment(true, Place::ACK);
        let changing = [
            (Condition::Stripped(TcpOption::Timestamps), &data),
            (Condition::MssClamp(500), &syn),
            (Condition::Window(1), &data),
            (Condition::AckAhead(1), &data),
        ];
        for (condition, frame) in changing {
            let mut conditions = Conditions::default();
            conditions.begin(Instant::ZERO, condition);
            let mut changed = frame.clone();
            assert_eq!(conditions.apply(Instant::ZERO, &mut changed), Passage::Passes);
            assert_ne!(&changed, frame, "{condition:?}");
            conditions.end(condition);
            let mut same = frame.clone();
            conditions.apply(Instant::ZERO, &mut same);
            assert!(conditions.is_empty() && same == *frame);
        }
    }

    #[test]
    fn what_swallows_says_so_and_the_last_rate_counts() {
        let mut conditions = Conditions::default();
        let narrow = Condition::Mtu { bytes: 60, told: true };
        conditions.begin(Instant::ZERO, narrow);
        assert_eq!(conditions.apply(Instant::ZERO, &mut [0; 14 + 60]), Passage::Passes);
        let mut tagged = [0; 14 + 4 + 60];
        tagged[12] = 0x81;
        assert_eq!(conditions.apply(Instant::ZERO, &mut tagged), Passage::Passes);
        assert_eq!(conditions.apply(Instant::ZERO, &mut [0; 14 + 61]), Passage::Swallowed(narrow));
        conditions.begin(Instant::ZERO, Condition::Partition);
        assert_eq!(
            conditions.apply(Instant::ZERO, &mut [0; 60]),
            Passage::Swallowed(Condition::Partition)
        );
        conditions.begin(Instant::ZERO, Condition::Rate(5));
        conditions.begin(Instant::ZERO, Condition::Rate(6));
        assert_eq!(conditions.rate_bps(), Some(6));
        conditions.end(Condition::Rate(6));
        assert_eq!((conditions.rate_bps(), conditions.delay()), (Some(5), None));
    }

    #[test]
    fn what_flaps_is_up_first_and_down_then_again_and_again() {
        let ms = Duration::from_millis;
        let since = Instant::ZERO + ms(1_000);
        let mut conditions = Conditions::default();
        conditions.begin(since, Condition::Flap { up: ms(3), down: ms(2) });
        let passes = |at: &u64| conditions.apply(since + ms(*at), &mut [0; 60]) == Passage::Passes;
        assert_eq!((0..12).filter(passes).collect::<Vec<_>>(), [0, 1, 2, 5, 6, 7, 10, 11]);
    }
}
