//! The error queue of a socket (MSG_ERRQUEUE): what ICMP said (IP_RECVERR), and which sends without copying are done
//! (MSG_ZEROCOPY).

use std::collections::VecDeque;
use std::net::SocketAddr;

use causeway_core::error::EndReason;

use super::call::{ControlMessage, Received, Reply};
use super::errno::Errno;

const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;
const ORIGIN_TIMESTAMPING: u8 = 4;
const ORIGIN_ZEROCOPY: u8 = 5;
/// The bytes were copied after all.
const CODE_COPIED: u8 = 1;

/// An entry of the queue: `struct sock_extended_err`, and whom the datagram was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueuedError {
    errno: i32,
    origin: u8,
    kind: u8,
    code: u8,
    info: u32,
    data: u32,
    v6: bool,
    peer: Option<SocketAddr>,
}

impl QueuedError {
    /// What ICMP said of a datagram for `peer`; `None` for what is no word of ICMP's.
    pub(super) fn of_icmp(reason: EndReason, errno: Errno, peer: SocketAddr) -> Option<Self> {
        let v6 = peer.is_ipv6();
        let (kind, code) = match (reason, v6) {
            (EndReason::Refused, false) => (3, 3),
            (EndReason::Refused, true) => (1, 4),
            (EndReason::HostUnreachable, false) => (3, 1),
            (EndReason::HostUnreachable, true) => (1, 3),
            (EndReason::NoRoute, false) => (3, 0),
            (EndReason::NoRoute, true) => (1, 0),
            (
                EndReason::Closed
                | EndReason::Reset
                | EndReason::TimedOut
                | EndReason::Aborted
                | EndReason::NoMemory,
                _,
            ) => return None,
        };
        let origin = if v6 { ORIGIN_ICMP6 } else { ORIGIN_ICMP };
        let peer = Some(peer);
        Some(Self { errno: errno.0, origin, kind, code, info: 0, data: 0, v6, peer })
    }

    /// What a time is the time of.
    pub(super) const fn of_stamp(kind: u32, key: u32, v6: bool) -> Self {
        Self {
            errno: libc::ENOMSG,
            origin: ORIGIN_TIMESTAMPING,
            kind: 0,
            code: 0,
            info: kind,
            data: key,
            v6,
            peer: None,
        }
    }

    /// `struct sock_extended_err` as ancillary data.
    pub(super) fn control(self) -> ControlMessage {
        let mut data = self.errno.to_ne_bytes().to_vec();
        data.extend([self.origin, self.kind, self.code, 0]);
        data.extend(self.info.to_ne_bytes());
        data.extend(self.data.to_ne_bytes());
        let (level, kind) = match self.v6 {
            false => (libc::IPPROTO_IP, libc::IP_RECVERR),
            true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        };
        ControlMessage { level, kind, data }
    }

    /// What recvmsg(MSG_ERRQUEUE) gives: no bytes, and the error beside them.
    pub(super) fn received(self) -> Reply {
        let received = Received {
            bytes: Vec::new(),
            from: self.peer,
            flags: libc::MSG_ERRQUEUE,
            control: vec![self.control()],
        };
        Reply::Received(0, received)
    }
}

/// Sends with MSG_ZEROCOPY: numbered from 0, and told in ranges once the peer has what they sent.
#[derive(Clone, Debug, Default)]
pub(super) struct ZeroCopies {
    next: u32,
    /// Where each that is not done ends in the stream.
    waiting: VecDeque<(u32, u64)>,
    /// First and last of each range that is done and was not told.
    done: VecDeque<(u32, u32)>,
    /// How many are done, told or not.
    released: u64,
}

impl ZeroCopies {
    /// Input: a call sent what ends at `end` of the stream.
    pub(super) fn sent(&mut self, end: u64) {
        self.waiting.push_back((self.next, end));
        self.next = self.next.wrapping_add(1);
    }

    /// Input: everything below `released` is acknowledged.
    pub(super) fn release(&mut self, released: u64) {
        while let Some((number, _)) =
            self.waiting.front().copied().filter(|(_, end)| *end <= released)
        {
            self.waiting.pop_front();
            self.released += 1;
            match self.done.back_mut() {
                Some((_, last)) if last.wrapping_add(1) == number => *last = number,
                _ => self.done.push_back((number, number)),
            }
        }
    }

    /// Getter: how many sends are done.
    pub(super) fn released(&self) -> u64 {
        self.released
    }

    /// Getter: something was not told.
    pub(super) fn is_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Output: the next range.
    pub(super) fn pop(&mut self, v6: bool) -> Option<QueuedError> {
        let (info, data) = self.done.pop_front()?;
        Some(QueuedError {
            errno: 0,
            origin: ORIGIN_ZEROCOPY,
            kind: 0,
            code: CODE_COPIED,
            info,
            data,
            v6,
            peer: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_that_are_done_one_after_the_other_are_told_as_one_range() {
        let mut copies = ZeroCopies::default();
        for end in [10, 20, 30] {
            copies.sent(end);
        }
        copies.release(9);
        assert!(!copies.is_done());
        copies.release(20);
        let told = |error: Option<QueuedError>| error.map(|e| (e.info, e.data));
        copies.sent(40);
        assert_eq!(told(copies.pop(false)), Some((0, 1)));
        assert_eq!(told(copies.pop(false)), None);
        copies.release(40);
        assert_eq!(told(copies.pop(false)), Some((2, 3)));
    }
}
