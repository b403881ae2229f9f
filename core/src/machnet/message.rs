//! Messages and packets: cutting what is sent, framing what is received.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::packet::SendError;
use crate::wire::machnet::MsgFlags;

/// Messages delivered and not consumed beyond which no packet is taken: tiny messages must not
/// make the news for the application grow with the ring's bytes.
const UNREAD_MAX: u32 = 4_096;
/// Most messages in one packet, in the extended profile: by so many less one the unread ones may be more.
const PACKET_MESSAGES_MAX: u32 = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Queued {
    len: u32,
    message: u64,
}

/// One packet's share of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) offset: u64,
    pub(super) len: u16,
    pub(super) flags: MsgFlags,
    /// The message that ends with it or goes on after it.
    pub(super) message: u64,
}

/// The first message of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) len: u32,
    /// Bytes of it that are in packets already.
    pub(super) cut: u32,
}

/// Messages not yet cut into packets. The bytes stay in the TX ring; only lengths and ids are here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SendQueue {
    messages: VecDeque<Queued>,
    /// Bytes of the first message that are packets already.
    cut: u32,
    /// Where the next packet begins.
    next: u64,
    /// Where the next message has to begin.
    end: u64,
}

impl SendQueue {
    pub(super) const fn new() -> Self {
        Self { messages: VecDeque::new(), cut: 0, next: 0, end: 0 }
    }

    pub(super) fn push(
        &mut self,
        config: &Config,
        offset: u64,
        len: u32,
        message: u64,
        tx_end: u64,
    ) -> Result<(), SendError> {
        if len == 0 || len > config.msg_max {
            return Err(SendError::Length);
        }
        if offset != self.end {
            return Err(SendError::NotContiguous);
        }
        let Some(end) = offset.checked_add(u64::from(len)).filter(|end| *end <= tx_end) else {
            return Err(SendError::BeyondRing);
        };
        if self.messages.len() >= config.messages_queued_max as usize {
            return Err(SendError::QueueFull);
        }
        self.messages.push_back(Queued { len, message });
        self.end = end;
        Ok(())
    }

    /// Cuts off the next packet: full but for the last of a message.
    pub(super) fn pop(&mut self, config: &Config) -> Option<Fragment> {
        let front = self.messages.front()?;
        let left = front.len - self.cut;
        let len = left.min(u32::from(config.payload_max));
        let last = len == left;
        let fragment = Fragment {
            offset: self.next,
            len: len as u16,
            flags: MsgFlags::place(self.cut == 0, last),
            message: front.message,
        };
        self.next += u64::from(len);
        self.cut += len;
        if last {
            self.messages.pop_front();
            self.cut = 0;
        }
        Some(fragment)
    }

    /// The first message, of which a part may have left.
    pub(super) fn front(&self) -> Option<Front> {
        self.messages.front().map(|message| Front { len: message.len, cut: self.cut })
    }

    /// How long the messages are.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u32> + '_ {
        self.messages.iter().map(|message| message.len)
    }

    /// Takes the next `len` bytes, which `flags` says to be where in the first of the first `count` messages, or all of several. The
    /// caller has looked at them.
    pub(super) fn take(&mut self, count: usize, len: u32, flags: MsgFlags) -> Fragment {
        let offset = self.next;
        self.next += u64::from(len);
        let message = self.messages.get(count - 1).map_or(0, |last| last.message);
        if flags.contains(MsgFlags::LAST) {
            self.messages.drain(..count.min(self.messages.len()));
            self.cut = 0;
        } else {
            self.cut += len;
        }
        // No packet has more.
        Fragment { offset, len: len as u16, flags, message }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.cut = 0;
        self.end = self.next;
    }

    /// Gives back the room of messages that were sent.
    pub(super) fn shrink(&mut self) {
        self.messages.shrink_to_fit();
    }

    /// Where the first byte lies that is not in a packet yet.
    pub(super) const fn next_offset(&self) -> u64 {
        self.next
    }

    /// Consistency of a state read back.
    pub(super) fn is_valid(&self, config: &Config) -> bool {
        self.front().is_none_or(|front| front.cut < front.len)
            && self.cut.is_multiple_of(u32::from(config.payload_max))
            && self.is_valid_extended(config)
    }

    /// Consistency of that of a flow in the extended profile: all of a message may have left but its CRC.
    pub(super) fn is_valid_extended(&self, config: &Config) -> bool {
        let Self { messages, cut, next, end } = self;
        let total: u64 = messages.iter().map(|m| u64::from(m.len)).sum();
        messages.len() <= config.messages_queued_max as usize
            && messages.iter().all(|m| (1..=config.msg_max).contains(&m.len))
            && messages.front().map_or(*cut == 0, |m| *cut <= m.len)
            && next.checked_add(total).and_then(|sum| sum.checked_sub(u64::from(*cut)))
                == Some(*end)
    }
}

/// The peer broke the framing, or the message grew longer than `msg_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FramingError;

/// The message that is being received: always the bytes `start .. next` of the RX stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Assembly {
    /// Where the unfinished message began, or the next one will.
    start: u64,
    /// Where the payload of the next packet in order goes.
    next: u64,
    /// A first packet came and its last did not.
    open: bool,
    /// Upper bound of the delivered messages up to `mark` that are not consumed, and of those after it.
    unread: [u32; 2],
    mark: u64,
}

impl Assembly {
    pub(super) const fn new() -> Self {
        Self { start: 0, next: 0, open: false, unread: [0; 2], mark: 0 }
    }

    pub(super) const fn next_offset(&self) -> u64 {
        self.next
    }

    /// Where the message in progress began, or the next one will.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// A message has begun, and its end did not come.
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// A message has begun and everything before it was consumed: no room will come from the application.
    pub(super) const fn is_alone(&self, rx_consumed: u64) -> bool {
        self.open && rx_consumed >= self.start
    }

    /// Checks a packet's place before its payload is stored.
    pub(super) fn check(
        &self,
        config: &Config,
        flags: MsgFlags,
        len: u16,
    ) -> Result<(), FramingError> {
        let total = self.next - self.start + u64::from(len);
        if flags.contains(MsgFlags::FIRST) == self.open || total > u64::from(config.msg_max) {
            return Err(FramingError);
        }
        Ok(())
    }

    /// Counts a checked packet in; a message that it completes as (offset, length). An empty message is nothing: our
    /// applications' messages have at least one byte.
    pub(super) fn push(&mut self, flags: MsgFlags, len: u16) -> Option<(u64, u32)> {
        self.next += u64::from(len);
        self.open = !flags.contains(MsgFlags::LAST);
        if self.open {
            return None;
        }
        let start = core::mem::replace(&mut self.start, self.next);
        // At most `msg_max`, as `check` saw.
        let len = (self.next - start) as u32;
        if len == 0 {
            return None;
        }
        self.unread[1] += 1;
        Some((start, len))
    }

    /// True when the application has so many messages to take that no further one is accepted.
    pub(super) fn is_crowded(&mut self, rx_consumed: u64) -> bool {
        if rx_consumed >= self.mark {
            self.unread = [self.unread[1], 0];
            self.mark = self.start;
            if rx_consumed >= self.mark {
                self.unread = [0; 2];
            }
        }
        self.unread[0] + self.unread[1] >= UNREAD_MAX
    }

    /// Consistency of a state read back.
    pub(super) fn is_valid(&self, config: &Config) -> bool {
        let Self { start, next, open, unread, mark } = self;
        start <= next
            && next - start <= u64::from(config.msg_max)
            && (*open || start == next)
            && mark <= start
            && unread.iter().all(|n| *n <= UNREAD_MAX + PACKET_MESSAGES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_into_full_packets_and_a_last_one() {
        let config = Config::default();
        let mut queue = SendQueue::new();
        queue.push(&config, 0, 2 * 1418 + 5, 7, 9_000).unwrap();
        queue.push(&config, 2_841, 1, 8, 9_000).unwrap();
        let cut: std::vec::Vec<_> = core::iter::from_fn(|| queue.pop(&config))
            .map(|f| (f.offset, f.len, f.flags.to_wire(), f.message))
            .collect();
        assert_eq!(cut, [(0, 1418, 3, 7), (1418, 1418, 2, 7), (2836, 5, 4, 7), (2841, 1, 5, 8)]);
    }

    #[test]
    fn a_message_that_the_application_cannot_mean_is_refused() {
        let config = Config::builder().messages_queued_max(1).msg_max(100).build().unwrap();
        let mut queue = SendQueue::new();
        assert_eq!(queue.push(&config, 0, 0, 1, 100), Err(SendError::Length));
        assert_eq!(queue.push(&config, 0, 101, 1, 500), Err(SendError::Length));
        assert_eq!(queue.push(&config, 1, 9, 1, 100), Err(SendError::NotContiguous));
        assert_eq!(queue.push(&config, 0, 9, 1, 8), Err(SendError::BeyondRing));
        assert_eq!(queue.push(&config, 0, 9, 1, 9), Ok(()));
        assert_eq!(queue.push(&config, 9, 9, 1, 99), Err(SendError::QueueFull));
    }

    #[test]
    fn broken_framing_and_endless_messages_are_found() {
        let config = Config::builder().msg_max(2_000).build().unwrap();
        let mut assembly = Assembly::new();
        let first = MsgFlags::place(true, false);
        let middle = MsgFlags::place(false, false);
        assert_eq!(assembly.check(&config, middle, 1), Err(FramingError));
        assert_eq!(assembly.check(&config, first, 1418), Ok(()));
        assert_eq!(assembly.push(first, 1418), None);
        assert_eq!(assembly.check(&config, first, 1), Err(FramingError));
        assert_eq!(assembly.check(&config, middle, 583), Err(FramingError));
        assert_eq!(assembly.check(&config, middle, 582), Ok(()));
    }

    #[test]
    fn unread_messages_are_bounded_and_consuming_them_makes_room() {
        let mut assembly = Assembly::new();
        let mut delivered = 0;
        while !assembly.is_crowded(0) {
            assembly.push(MsgFlags::place(true, true), 1);
            delivered += 1;
        }
        assert_eq!(delivered, UNREAD_MAX);
        assert!(!assembly.is_crowded(u64::from(delivered)));
    }
}
