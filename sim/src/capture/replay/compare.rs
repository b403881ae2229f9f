//! What two hosts sent in the same circumstances, side by side.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::super::Segment;
use crate::packet::{Flags, TcpOptions};

/// A segment that a host sent, with numbers that count from the begins of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Nanoseconds after the capture's first segment.
    pub at: u64,
    /// Which packet of the capture; 0 for one of our stack.
    pub number: u32,
    /// Control bits, without PSH.
    pub flags: u8,
    /// Where its payload begins; -1 for a SYN.
    pub offset: i64,
    /// Bytes of payload.
    pub len: u32,
    /// What it acknowledges.
    pub ack: Option<i64>,
    /// The window field.
    pub window: u16,
    /// Its options.
    pub options: TcpOptions,
}

impl Item {
    pub(super) const fn new(
        at: u64,
        number: u32,
        segment: &Segment,
        offset: i64,
        ack: Option<i64>,
    ) -> Self {
        let tcp = &segment.tcp;
        Self {
            at,
            number,
            flags: tcp.flags.0 & !Flags::PSH.0,
            offset,
            len: segment.payload_len,
            ack,
            window: tcp.window,
            options: tcp.options,
        }
    }

    /// Getter: it has nothing but an acknowledgement.
    pub const fn is_pure(&self) -> bool {
        let more = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0;
        self.len == 0 && self.flags & more == 0
    }

    /// Getter: the bits that make it what it is.
    const fn controls(&self) -> u8 {
        self.flags & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0)
    }

    /// Options that a SYN has in common with another: what they are, not what they say.
    const fn offers(&self) -> (Option<u16>, bool, bool, bool) {
        let options = &self.options;
        (
            options.mss,
            options.window_scale.is_some(),
            options.sack_permitted,
            options.timestamps.is_some(),
        )
    }
}

/// How much two segments have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sameness {
    /// Place, length, control bits and acknowledgement; of a SYN also its options.
    Same,
    /// Place, length and control bits, or what it acknowledges and nothing else.
    Similar,
    /// Only the captured host sent it.
    CapturedOnly,
    /// Only our stack sent it.
    OursOnly,
}

/// One line: what the captured host sent, what our stack sent, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// How they compare.
    pub sameness: Sameness,
    /// Of the captured host.
    pub captured: Option<Item>,
    /// Of our stack.
    pub ours: Option<Item>,
}

impl Line {
    /// Getter: when the first of the two was sent.
    pub fn at(&self) -> u64 {
        let times = [self.captured, self.ours].into_iter().flatten().map(|item| item.at);
        times.min().unwrap_or(0)
    }
}

/// Both in order of time.
pub(super) fn compare(captured: &[Item], ours: &[Item]) -> Vec<Line> {
    let mut pairs =
        Pairs { captured, ours, of: vec![None; captured.len()], taken: vec![false; ours.len()] };
    pairs.by(|item| Some((item.flags, item.offset, item.len, item.ack)));
    // Where both are at the same place with another acknowledgement.
    pairs.by(|item| (!item.is_pure()).then_some((item.controls(), item.offset, item.len)));
    pairs.by(|item| item.is_pure().then_some(item.ack));
    // One that carries data acknowledges as well.
    pairs.lines()
}

struct Pairs<'a> {
    captured: &'a [Item],
    ours: &'a [Item],
    of: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl Pairs<'_> {
    /// Pairs those of equal keys, in their order.
    fn by<K: Eq + Hash>(&mut self, key: impl Fn(&Item) -> Option<K>) {
        let mut waiting: HashMap<K, VecDeque<usize>> = HashMap::new();
        for (index, item) in self.ours.iter().enumerate() {
            if let Some(key) = key(item).filter(|_| !self.taken[index]) {
                waiting.entry(key).or_default().push_back(index);
            }
        }
        for (index, item) in self.captured.iter().enumerate() {
            if self.of[index].is_none()
                && let Some(key) = key(item)
                && let Some(found) = waiting.get_mut(&key).and_then(VecDeque::pop_front)
            {
                self.of[index] = Some(found);
                self.taken[found] = true;
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let pair = |(index, item): (usize, &Item)| {
            let ours = self.of[index].map(|at| self.ours[at]);
            let sameness = match &ours {
                None => Sameness::CapturedOnly,
                Some(ours) if is_same(item, ours) => Sameness::Same,
                Some(_) => Sameness::Similar,
            };
            Line { sameness, captured: Some(*item), ours }
        };
        let mut lines: Vec<Line> = self.captured.iter().enumerate().map(pair).collect();
        let single = |(index, item): (usize, &Item)| {
            let line = Line { sameness: Sameness::OursOnly, captured: None, ours: Some(*item) };
            (!self.taken[index]).then_some(line)
        };
        lines.extend(self.ours.iter().enumerate().filter_map(single));
        lines.sort_by_key(Line::at);
        lines
    }
}

fn is_same(a: &Item, b: &Item) -> bool {
    let equal = (a.flags, a.offset, a.len, a.ack) == (b.flags, b.offset, b.len, b.ack);
    equal && (a.flags & Flags::SYN.0 == 0 || a.offers() == b.offers())
}
