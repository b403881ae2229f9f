//! Messages into packets: number, length and CRC around them, several short ones in one packet.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::machnet::message::{Fragment, SendQueue};
use crate::machnet::tx_window::{Framing, PACKED};
use crate::planted::{self, Bug};
use crate::wire::machnet::MsgFlags;

/// Bytes of number and length.
pub(in crate::machnet) const PREFIX_LEN: usize = 8;
/// Bytes of the CRC behind a message.
pub(in crate::machnet) const CRC_LEN: usize = 4;
/// Most messages in a packet.
pub(in crate::machnet) const PACKED_MAX: usize = 64;
/// Most bytes in front of the bytes of messages: number, count, and the lengths.
pub const PREFIX_LEN_MAX: usize = PREFIX_LEN + 2 * PACKED_MAX;

/// What goes in front of the bytes of messages in the packet that leaves now. No part of the flow's state.
#[derive(Clone, Debug)]
pub(in crate::machnet) struct Prefix([u8; PREFIX_LEN_MAX]);

impl Default for Prefix {
    fn default() -> Self {
        Self([0; PREFIX_LEN_MAX])
    }
}

impl PartialEq for Prefix {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Prefix {}

impl Prefix {
    pub(in crate::machnet) fn first(&self, len: u8) -> &[u8] {
        &self.0[..usize::from(len).min(PREFIX_LEN_MAX)]
    }
}

/// The messages that leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::machnet) struct Outbound {
    /// Of the next message.
    id: u32,
    /// The CRC of what left of the message in progress.
    pub(in crate::machnet) crc: u32,
    /// Lengths of the messages in packed packets that are outstanding.
    lengths: VecDeque<u16>,
    /// How many lengths were dropped before those.
    dropped: u32,
    #[serde(skip)]
    pub(in crate::machnet) prefix: Prefix,
}

impl Outbound {
    /// Cuts off what the next packet carries: at most `payload` bytes, of messages none beyond `end`. `None` when there is no message, or the
    /// window does not take the packet.
    pub(in crate::machnet) fn cut(
        &mut self,
        queue: &mut SendQueue,
        payload: u16,
        end: u64,
    ) -> Option<(Fragment, Framing)> {
        let front = queue.front()?;
        if front.cut == 0
            && let Some(packed) = self.pack(queue, payload, end)
        {
            return Some(packed);
        }
        let (body, last) = share(front.len, front.cut, payload);
        let after = queue.next_offset().checked_add(u64::from(body))?;
        if after > end && body > 0 {
            return None;
        }
        let first = front.cut == 0;
        let framing = Framing { id: self.id, length: front.len, ..Framing::default() };
        self.id = self.id.wrapping_add(u32::from(first));
        let place = MsgFlags::place(first, last);
        let fragment = queue.take(1, u32::from(body), place);
        Some((fragment, if first { framing } else { Framing::default() }))
    }

    /// Getter: there is a message, and the window that ends at `end` takes its next packet.
    pub(in crate::machnet) fn fits(&self, queue: &SendQueue, payload: u16, end: u64) -> bool {
        queue.front().is_some_and(|front| {
            let (body, _) = share(front.len, front.cut, payload);
            body == 0 || queue.next_offset().saturating_add(u64::from(body)) <= end
        })
    }

    /// As many whole messages as fit, if that is more than one.
    fn pack(
        &mut self,
        queue: &mut SendQueue,
        payload: u16,
        end: u64,
    ) -> Option<(Fragment, Framing)> {
        let room = usize::from(payload) - PREFIX_LEN - CRC_LEN;
        let window = end.saturating_sub(queue.next_offset());
        let (mut count, mut bytes) = (0, 0);
        for len in queue.lengths().take(PACKED_MAX) {
            let total = bytes + len as usize;
            if total + 2 * (count + 1) > room || total as u64 > window {
                break;
            }
            (count, bytes) = (count + 1, total);
        }
        if count < 2 {
            return None;
        }
        let lengths_at = self.dropped.wrapping_add(self.lengths.len() as u32);
        // None is longer than the packet.
        self.lengths.extend(queue.lengths().take(count).map(|len| len as u16));
        let length = PACKED | count as u32;
        let framing = Framing { id: self.id, length, lengths_at, crc: 0 };
        self.id = self.id.wrapping_add(count as u32);
        let fragment = queue.take(count, bytes as u32, MsgFlags::place(true, true));
        Some((fragment, framing))
    }

    /// Writes what goes in front of a packet; returns its length.
    pub(in crate::machnet) fn put_prefix(&mut self, flags: MsgFlags, framing: &Framing) -> u8 {
        if !flags.contains(MsgFlags::FIRST) {
            return 0;
        }
        let out = &mut self.prefix.0;
        out[..4].copy_from_slice(&framing.id.to_be_bytes());
        out[4..PREFIX_LEN].copy_from_slice(&framing.length.to_be_bytes());
        let count = framing.packed() as usize;
        let from = framing.lengths_at.wrapping_sub(self.dropped) as usize;
        let lengths = self.lengths.range(from.min(self.lengths.len())..).take(count);
        for (to, len) in out[PREFIX_LEN..].as_chunks_mut::<2>().0.iter_mut().zip(lengths) {
            *to = (len ^ u16::from(planted::is(Bug::MachnetLengthsOff))).to_be_bytes();
        }
        (PREFIX_LEN + 2 * count) as u8
    }

    /// Input: packets with so many lengths are acknowledged.
    pub(in crate::machnet) fn drop_lengths(&mut self, count: u32) {
        let count = (count as usize).min(self.lengths.len());
        self.lengths.drain(..count);
        self.dropped = self.dropped.wrapping_add(count as u32);
    }

    /// Gives back room. The caller knows that nothing is outstanding.
    pub(in crate::machnet) fn rest(&mut self) {
        self.lengths.shrink_to_fit();
    }

    /// Consistency of a state read back: exactly those lengths are kept that `needed` says, as (where, how many).
    pub(in crate::machnet) fn is_valid(&self, needed: impl Iterator<Item = (u32, u32)>) -> bool {
        let mut at = self.dropped;
        for (from, count) in needed {
            if from != at || count as usize > PACKED_MAX {
                return false;
            }
            at = at.wrapping_add(count);
        }
        at.wrapping_sub(self.dropped) as usize == self.lengths.len()
    }
}

/// How many bytes of a message of `len` bytes, of which `cut` have left, the next packet carries; and whether it is the last.
fn share(len: u32, cut: u32, payload: u16) -> (u16, bool) {
    let prefix = if cut == 0 { PREFIX_LEN as u16 } else { 0 };
    let (left, room) = (len - cut, payload - prefix);
    let body = left.min(u32::from(room)) as u16;
    // A CRC that does not fit is a packet of its own.
    (body, u32::from(body) == left && room - body >= CRC_LEN as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machnet::Config;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn queue(lengths: &[u32]) -> SendQueue {
        let (config, mut queue, mut offset) = (Config::default(), SendQueue::new(), 0);
        for (n, len) in lengths.iter().enumerate() {
            queue.push(&config, offset, *len, n as u64 + 1, u64::MAX).unwrap();
            offset += u64::from(*len);
        }
        queue
    }

    fn cut_all(lengths: &[u32], payload: u16, end: u64) -> (Outbound, Vec<(Fragment, Framing)>) {
        let (mut out, mut queue) = (Outbound::default(), queue(lengths));
        let cut = core::iter::from_fn(|| out.cut(&mut queue, payload, end)).collect();
        (out, cut)
    }

    #[test]
    fn the_crc_is_never_cut_and_is_a_packet_of_its_own_where_it_does_not_fit() {
        let shapes = |len| {
            let (_, cut) = cut_all(&[len], 1_000, u64::MAX);
            cut.into_iter().map(|(f, _)| (f.len, f.flags.to_wire())).collect::<Vec<_>>()
        };
        assert_eq!(shapes(988), [(988, 5)]);
        assert_eq!(shapes(989), [(989, 3), (0, 4)]);
        assert_eq!(shapes(992), [(992, 3), (0, 4)]);
        assert_eq!(shapes(993), [(992, 3), (1, 4)]);
        assert_eq!(shapes(1_988), [(992, 3), (996, 4)]);
        assert_eq!(shapes(1_989), [(992, 3), (997, 2), (0, 4)]);
    }

    #[test]
    fn short_messages_share_a_packet_and_their_lengths_stay_until_they_are_acknowledged() {
        let (mut out, cut) = cut_all(&[10, 20, 30, 2_000, 5], 1_000, u64::MAX);
        let ids: Vec<_> = cut.iter().map(|(f, g)| (g.id, g.length, f.len, f.message)).collect();
        assert_eq!(ids[0], (0, PACKED | 3, 60, 3));
        assert_eq!((ids[1].0, ids[1].1, ids[1].3), (3, 2_000, 4));
        assert_eq!(ids.last().map(|last| (last.0, last.1, last.2)), Some((4, 5, 5)), "alone");
        let (fragment, framing) = &cut[0];
        let len = out.put_prefix(fragment.flags, framing);
        let expected = [0, 0, 0, 0, 0x80, 0, 0, 3, 0, 10, 0, 20, 0, 30];
        assert_eq!(out.prefix.first(len), expected);
        let needed = [(0, 3)];
        assert!(out.is_valid(needed.into_iter()) && !out.is_valid([(0, 2)].into_iter()));
        out.drop_lengths(3);
        assert!(out.is_valid([].into_iter()) && !out.is_valid(needed.into_iter()));
    }

    #[test]
    fn what_the_window_does_not_take_waits() {
        let (_, cut) = cut_all(&[10, 20, 30], 1_000, 31);
        assert_eq!(cut.len(), 1, "two in one");
        assert_eq!(cut[0].0.len, 30);
        assert_eq!(cut_all(&[2_000], 1_000, 991).1.len(), 0);
        assert_eq!(cut_all(&[2_000], 1_000, 992).1.len(), 1);
        assert_eq!(cut_all(&[992], 1_000, 992).1.len(), 2, "the CRC is no byte of a message");
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_packet_and_none_is_too_long(
            lengths in prop::collection::vec(1u32..3_000, 1..100), payload in 512u16..2_000,
        ) {
            let (mut out, cut) = cut_all(&lengths, payload, u64::MAX);
            let (mut at, mut messages) = (0, 0);
            for (fragment, framing) in &cut {
                prop_assert_eq!(fragment.offset, at);
                at += u64::from(fragment.len);
                let last = fragment.flags.contains(MsgFlags::LAST);
                let prefix = out.put_prefix(fragment.flags, framing);
                let total = usize::from(prefix) + usize::from(fragment.len) + if last { 4 } else { 0 };
                prop_assert!(total <= usize::from(payload));
                messages += match framing.packed() { 0 => u32::from(last), count => count };
            }
            prop_assert_eq!(at, lengths.iter().map(|len| u64::from(*len)).sum::<u64>());
            prop_assert_eq!(messages as usize, lengths.len());
        }
    }
}
