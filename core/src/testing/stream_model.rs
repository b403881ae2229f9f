//! The receiving side as a child would write it: a byte for each offset, and what came first stays.

use alloc::collections::BTreeMap;

/// A stream as far as it has come.
#[derive(Clone, Debug, Default)]
pub struct StreamModel {
    bytes: BTreeMap<u64, u8>,
    /// The first offset that is missing.
    pub edge: u64,
    /// Where the stream ends, once a FIN in its turn has said so, or one beyond a gap that contradicts nothing.
    pub fin: Option<u64>,
}

impl StreamModel {
    /// Input: text from offset `start` on, of which the window takes what lies below `limit`, and whether a FIN stands behind it.
    pub fn take(&mut self, start: i64, text: &[u8], limit: u64, fin: bool) {
        if self.is_whole() {
            return;
        }
        let end = u64::try_from(start + text.len() as i64).ok().filter(|_| fin);
        // In its turn: nothing is missing in front of it.
        let in_turn = |end: &u64| start <= self.edge as i64 && *end >= self.edge && *end <= limit;
        if let Some(end) = end.filter(in_turn) {
            self.bytes.split_off(&end);
            self.fin = Some(end);
        }
        for (at, byte) in (start..).zip(text) {
            let Ok(at) = u64::try_from(at) else { continue };
            if at < self.edge || at >= limit || self.fin.is_some_and(|end| at >= end) {
                continue;
            }
            self.bytes.entry(at).or_insert(*byte);
        }
        while self.bytes.contains_key(&self.edge) {
            self.edge += 1;
        }
        let stored_end = self.bytes.last_key_value().map_or(0, |(at, _)| at + 1);
        if self.fin.is_none() {
            self.fin = end.filter(|end| *end >= stored_end);
        }
    }

    /// Getter: everything was received, the FIN included.
    pub fn is_whole(&self) -> bool {
        self.fin == Some(self.edge)
    }

    /// Getter: `stored`, which begins with the stream, is the same as far as it is in order.
    pub fn agrees(&self, stored: &[u8]) -> bool {
        let in_order = self.bytes.range(..self.edge).map(|(_, byte)| byte);
        stored.iter().take(self.edge as usize).eq(in_order)
    }
}
