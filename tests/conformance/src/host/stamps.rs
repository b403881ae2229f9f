//! SO_TIMESTAMPING: when the last byte of a send left, and when the peer had it, told by the error queue.

use std::collections::VecDeque;

use causeway_core::time::Instant;

use super::call::{ControlMessage, Received, Reply};
use super::errno::Errno;
use super::errors::QueuedError;
use super::file::{File, Role};
use super::host::Host;

/// SOF_TIMESTAMPING_*: what is stamped, and how it is told.
const TX_SOFTWARE: u32 = 1 << 1;
const SOFTWARE: u32 = 1 << 4;
const OPT_ID: u32 = 1 << 7;
const TX_SCHED: u32 = 1 << 8;
const TX_ACK: u32 = 1 << 9;
const OPT_TSONLY: u32 = 1 << 11;
/// The flags that there are.
const MASK: u32 = (1 << 12) - 1;
/// SCM_TSTAMP_*.
const SENT: u32 = 0;
const SCHEDULED: u32 = 1;
const ACKED: u32 = 2;
/// Bytes of `struct scm_timestamping`: three times, of which the first is ours.
const TIMES_LEN: usize = 48;

/// A send whose last byte is to be stamped.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    end: u64,
    flags: u32,
}

/// What one TCP socket stamps.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamps {
    flags: u32,
    /// Offset of the byte that counts as 0.
    base: u64,
    unsent: VecDeque<Wanted>,
    unacked: VecDeque<Wanted>,
    done: VecDeque<(Instant, u32, u64)>,
    /// How many stamps there were, told or not.
    queued: u64,
}

impl Stamps {
    /// Input: a call sent what ends at `end` of the stream; `own` flags came with it.
    pub(super) fn sent(&mut self, end: u64, own: u32) {
        let flags = self.flags | own;
        if flags & (TX_SOFTWARE | TX_SCHED | TX_ACK) != 0 {
            self.unsent.push_back(Wanted { end, flags });
        }
    }

    fn is_waiting(&self) -> bool {
        !self.unsent.is_empty() || !self.unacked.is_empty()
    }

    /// Input: by `now` everything below `sent` has left, and the peer has everything below `released`.
    fn advance(&mut self, now: Instant, sent: u64, released: u64) {
        let before = self.done.len();
        while let Some(wanted) = self.unsent.front().copied().filter(|w| w.end <= sent) {
            self.unsent.pop_front();
            for (flag, kind) in [(TX_SCHED, SCHEDULED), (TX_SOFTWARE, SENT)] {
                if wanted.flags & flag != 0 {
                    self.done.push_back((now, kind, wanted.end));
                }
            }
            self.unacked.push_back(wanted);
        }
        while let Some(wanted) = self.unacked.front().copied().filter(|w| w.end <= released) {
            self.unacked.pop_front();
            if wanted.flags & TX_ACK != 0 {
                self.done.push_back((now, ACKED, wanted.end));
            }
        }
        self.queued += (self.done.len() - before) as u64;
    }

    /// Getter: how many stamps there were.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// Getter: something was not told.
    pub(super) fn is_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Output: what recvmsg(MSG_ERRQUEUE) gives: the time, and what it is the time of.
    pub(super) fn pop(&mut self, v6: bool) -> Option<Reply> {
        let (at, kind, end) = self.done.pop_front()?;
        let key = if self.flags & OPT_ID != 0 { end - 1 - self.base.min(end - 1) } else { 0 };
        let mut control = Vec::new();
        if self.flags & SOFTWARE != 0 {
            let nanos = at.as_nanos();
            let mut data = (nanos / 1_000_000_000).to_ne_bytes().to_vec();
            data.extend((nanos % 1_000_000_000).to_ne_bytes());
            data.resize(TIMES_LEN, 0);
            let (level, kind) = (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING);
            control.push(ControlMessage { level, kind, data });
        }
        control.push(QueuedError::of_stamp(kind, key as u32, v6).control());
        // Without OPT_TSONLY the segment comes along, for which nobody has room.
        let truncated = if self.flags & OPT_TSONLY != 0 { 0 } else { libc::MSG_TRUNC };
        let flags = libc::MSG_ERRQUEUE | truncated;
        Some(Reply::Received(0, Received { flags, control, ..Received::default() }))
    }
}

impl Host {
    /// setsockopt(SO_TIMESTAMPING).
    pub(super) fn set_stamps(&mut self, fd: i32, value: i32) -> Result<(), Errno> {
        let flags = value.cast_unsigned();
        let stream = match self.tcp(fd)?.role {
            Role::Stream { socket } => self.endpoints.get(&socket).map(|e| e.stream),
            Role::Fresh | Role::Listener { .. } => None,
        };
        let begins = flags & OPT_ID != 0 && self.tcp(fd)?.stamps.flags & OPT_ID == 0;
        // Bytes are counted from what the peer has: without a connection there is no such thing.
        if flags & !MASK != 0 || (begins && stream.is_none()) {
            return Err(Errno::EINVAL);
        }
        let released = stream.map_or(0, |stream| {
            let rings = self.machine.engine.port_mut().rings(stream);
            rings.tx_end() - rings.tx_queued()
        });
        let stamps = &mut self.tcp(fd)?.stamps;
        stamps.flags = flags;
        if begins {
            stamps.base = released;
        }
        Ok(())
    }

    /// Takes note of what has left by now, and of what the peer has.
    pub(super) fn stamp(&mut self) {
        let now = self.now();
        for index in 0..self.files.len() {
            let Some(File::Tcp(tcp)) = self.files[index].as_ref() else { continue };
            let Role::Stream { socket } = tcp.role else { continue };
            if !tcp.stamps.is_waiting() {
                continue;
            }
            let Some(stream) = self.endpoints.get(&socket).map(|e| e.stream) else { continue };
            let unsent = self.info(socket).map_or(0, |info| u64::from(info.notsent_bytes));
            let rings = self.machine.engine.port_mut().rings(stream);
            let (end, queued) = (rings.tx_end(), rings.tx_queued());
            if let Some(File::Tcp(tcp)) = self.files[index].as_mut() {
                tcp.stamps.advance(now, end - unsent, end - queued);
            }
        }
    }
}
