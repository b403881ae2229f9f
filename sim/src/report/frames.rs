//! Single frames, for the page to draw between their hosts: the first ones of a run, and the last ones.

use std::collections::{BTreeMap, VecDeque};

use causeway_core::time::Instant;

use crate::tap::DirectionId;

/// What became of a frame when it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameFate {
    /// Its number in its direction; none where the queue was full.
    pub number: Option<u64>,
    /// Nothing arrives.
    pub lost: bool,
    /// What happened to it; empty for nothing.
    pub words: String,
}

/// How a frame is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Nothing happened to it.
    Plain = 0,
    /// It arrives, and not as it should.
    Struck = 1,
    /// It is lost.
    Lost = 2,
    /// A second copy, the second part, or what somebody else sent behind it.
    Extra = 3,
}

/// A frame on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameMark {
    /// When it was sent.
    pub sent_at: Instant,
    /// When it arrived.
    pub arrived_at: Option<Instant>,
    /// Where.
    pub direction: DirectionId,
    /// Its number in its direction; 0 where it has none.
    pub number: u64,
    /// How it is drawn.
    pub kind: FrameKind,
    /// What it is, and what became of it.
    pub words: String,
}

/// Keeps the first and the last frames of a run: at most [`FrameLog::EACH_MAX`] of both.
#[derive(Debug, Default)]
pub struct FrameLog {
    first: Vec<FrameMark>,
    last: VecDeque<FrameMark>,
    /// Frames in all.
    seen: u64,
    /// Those that have not arrived: their places in the order of all.
    under_way: BTreeMap<(DirectionId, u64), u64>,
    /// Those that may arrive again: when they were sent.
    struck: BTreeMap<(DirectionId, u64), Instant>,
}

impl FrameLog {
    /// The most frames of the begin, and of the end.
    pub const EACH_MAX: usize = 3_000;

    /// Input: a frame goes onto a link.
    pub fn sent(&mut self, (at, direction): (Instant, DirectionId), fate: &FrameFate, words: &str) {
        let FrameFate { number, lost, words: what } = fate;
        let kind = match (lost, what.is_empty()) {
            (true, _) => FrameKind::Lost,
            (false, true) => FrameKind::Plain,
            (false, false) => FrameKind::Struck,
        };
        if let Some(number) = number.filter(|_| !lost) {
            self.under_way.insert((direction, number), self.seen);
            if kind == FrameKind::Struck {
                self.struck.insert((direction, number), at);
            }
        }
        let words = if what.is_empty() { words.to_owned() } else { format!("{words}  {what}") };
        let number = number.unwrap_or(0);
        self.push(FrameMark { sent_at: at, arrived_at: None, direction, number, kind, words });
    }

    /// Input: a frame, or a copy of it, is at the end of a link. `words` is what it is then: only needed where something happened to it.
    pub fn arrived(
        &mut self,
        (at, direction): (Instant, DirectionId),
        number: u64,
        ring_full: bool,
        words: &str,
    ) {
        let key = (direction, number);
        if let Some(place) = self.under_way.remove(&key) {
            if let Some(mark) = self.place_mut(place) {
                mark.arrived_at = Some(at);
                if ring_full {
                    mark.kind = FrameKind::Lost;
                    mark.words.push_str("  LOST: the receive ring is full");
                }
            }
        } else if let Some(&sent_at) = self.struck.get(&key) {
            let (arrived_at, kind) = (Some(at), FrameKind::Extra);
            let words = format!("{words}  arrives besides");
            self.push(FrameMark { sent_at, arrived_at, direction, number, kind, words });
        }
    }

    fn push(&mut self, mark: FrameMark) {
        self.seen += 1;
        if self.first.len() < Self::EACH_MAX {
            self.first.push(mark);
            return;
        }
        if self.last.len() == Self::EACH_MAX {
            self.last.pop_front();
        }
        self.last.push_back(mark);
    }

    fn place_mut(&mut self, place: u64) -> Option<&mut FrameMark> {
        let index = usize::try_from(place).ok()?;
        if index < Self::EACH_MAX {
            return self.first.get_mut(index);
        }
        let oldest = self.seen - self.last.len() as u64;
        self.last.get_mut(usize::try_from(place.checked_sub(oldest)?).ok()?)
    }

    /// Getter: what is kept, in the order in which it was seen.
    pub fn marks(&self) -> impl Iterator<Item = &FrameMark> {
        self.first.iter().chain(&self.last)
    }

    /// Getter: frames between the first and the last ones that were kept.
    pub fn left_out(&self) -> u64 {
        self.seen - (self.first.len() + self.last.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: DirectionId = DirectionId(0);

    fn at(nanos: u64) -> (Instant, DirectionId) {
        (Instant::from_nanos(nanos), THERE)
    }

    fn fate(number: u64, lost: bool, words: &str) -> FrameFate {
        FrameFate { number: Some(number), lost, words: words.to_owned() }
    }

    #[test]
    fn the_first_and_the_last_frames_are_kept_and_know_when_they_arrived() {
        let mut log = FrameLog::default();
        let all = 3 * FrameLog::EACH_MAX as u64;
        for number in 1..=all {
            log.sent(at(number * 10), &fate(number, false, ""), "x");
            if number > 1 {
                log.arrived(at(number * 10 + 1), number - 1, false, "");
            }
        }
        let marks: Vec<_> = log.marks().collect();
        let numbers: Vec<u64> = [0, 2_999, 3_000, 5_999].map(|place| marks[place].number).into();
        assert_eq!(numbers, [1, 3_000, 6_001, 9_000]);
        assert_eq!(log.left_out(), 3_000);
        assert_eq!(marks[5_998].arrived_at, Some(Instant::from_nanos(90_001)));
        assert_eq!(marks[5_999].arrived_at, None);
    }

    #[test]
    fn a_copy_is_a_frame_of_its_own_and_a_full_ring_loses() {
        let mut log = FrameLog::default();
        log.sent(at(10), &fate(1, false, "duplicate after 5ns"), "x");
        log.arrived(at(20), 1, false, "x");
        log.arrived(at(25), 1, true, "x");
        log.sent(at(30), &fate(2, true, "LOST: drop"), "y");
        log.sent(at(40), &fate(3, false, ""), "z");
        log.arrived(at(50), 3, true, "z");
        let kinds: Vec<FrameKind> = log.marks().map(|mark| mark.kind).collect();
        assert_eq!(kinds, [FrameKind::Struck, FrameKind::Extra, FrameKind::Lost, FrameKind::Lost]);
        let words: Vec<&str> = log.marks().map(|mark| mark.words.as_str()).collect();
        assert_eq!(words[0], "x  duplicate after 5ns");
        assert_eq!(words[3], "z  LOST: the receive ring is full");
    }
}
