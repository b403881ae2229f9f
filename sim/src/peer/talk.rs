//! What a peer does over its connection: one end of a flow of the scenario.

use causeway_core::error::EndReason;
use causeway_core::time::Instant;

use crate::content;
use crate::polled::NetError;
use crate::scenario::FlowKind;
use crate::workload::{Part, Side};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// No handshake was completed.
    Opening,
    Open,
    Over(EndReason),
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Bytes(usize),
    Later,
    End,
}

/// A connection of any stack.
pub(super) trait Connection {
    /// Getter: how far it is.
    fn status(&mut self) -> Status;
    /// Command: takes what there is room for, and returns how much that is.
    fn write(&mut self, bytes: &[u8]) -> usize;
    /// Output: what has come.
    fn read(&mut self, bytes: &mut [u8]) -> Read;
    /// Command: FIN after the last byte.
    fn shutdown(&mut self);
    /// Command: the program is done with it.
    fn close(&mut self, now: Instant);
}

/// Bytes that are moved at a time.
const PIECE: usize = 4_096;

/// One end of a flow.
#[derive(Debug)]
pub(super) struct Talk {
    part: Part,
    side: Side,
    sent: u64,
    received: u64,
    shut: bool,
    pub(super) over: bool,
    /// What is being moved.
    piece: Vec<u8>,
}

impl Talk {
    pub(super) const fn new(part: Part, side: Side) -> Self {
        Self { part, side, sent: 0, received: 0, shut: false, over: false, piece: Vec::new() }
    }

    /// Bytes that this end sends in all, or receives.
    fn all(&self, sends: bool) -> u64 {
        let spec = &self.part.spec;
        let bytes =
            if (self.side == Side::Client) == sends { spec.bytes } else { spec.reply_bytes };
        bytes * if spec.kind == FlowKind::Request { spec.count } else { 1 }
    }

    /// Bytes of one round.
    fn round(&self, sends: bool) -> u64 {
        let spec = &self.part.spec;
        if spec.kind == FlowKind::Stream {
            return u64::MAX;
        }
        if (self.side == Side::Client) == sends { spec.bytes } else { spec.reply_bytes }
    }

    /// The content of what this end sends, or receives, at `offset` of all of it: flow, message, and the offset in that.
    fn content(&self, sends: bool, offset: u64) -> (u64, u64, u64) {
        let flow = 2 * self.part.flow as u64 + u64::from((self.side == Side::Client) != sends);
        let flow = if self.part.spec.kind == FlowKind::Stream { flow ^ 1 } else { flow };
        let round = self.round(sends);
        (flow, offset / round, offset % round)
    }

    /// How much of what it sends may be sent by now: a request waits for the answer to the last one, an answer for its request.
    fn may_send(&self) -> u64 {
        let whole = self.received / self.round(false);
        match (self.part.spec.kind, self.side) {
            (FlowKind::Stream, _) => self.all(true),
            (_, Side::Client) => ((whole + 1) * self.round(true)).min(self.all(true)),
            (_, Side::Server) => whole * self.round(true),
        }
    }

    /// Input: the time, or news of its connection. True when something was done.
    pub(super) fn poll(&mut self, now: Instant, connection: &mut dyn Connection) -> bool {
        if self.over {
            return false;
        }
        match connection.status() {
            Status::Opening => return false,
            Status::Open => {}
            Status::Over(reason) => {
                self.failed(now, reason, connection);
                return true;
            }
        }
        let before = (self.sent, self.received, self.shut);
        let ended = self.receive(now, connection);
        self.send(connection);
        if ended || self.is_satisfied() {
            self.finish(now, connection);
        }
        self.over || before != (self.sent, self.received, self.shut)
    }

    /// Getter: it is the side that ends a conversation, and that is over.
    fn is_satisfied(&self) -> bool {
        let is_asker = self.part.spec.kind == FlowKind::Request && self.side == Side::Client;
        is_asker && self.received == self.all(false)
    }

    /// True at the end of what comes.
    fn receive(&mut self, now: Instant, connection: &mut dyn Connection) -> bool {
        self.piece.resize(PIECE, 0);
        loop {
            let count = match connection.read(&mut self.piece) {
                Read::Bytes(count) => count,
                Read::Later => return false,
                Read::End => return true,
            };
            let wrong = self.check(&self.piece[..count]);
            self.received += count as u64;
            let mut ledger = self.part.ledger.borrow_mut();
            ledger.received(now, self.part.flow, self.side, count as u64, wrong);
        }
    }

    /// The offset of the first wrong byte.
    fn check(&self, bytes: &[u8]) -> Option<u64> {
        let mut done = 0;
        while done < bytes.len() {
            let (flow, message, offset) = self.content(false, self.received + done as u64);
            let left = self.round(false) - offset;
            let len = (bytes.len() - done).min(usize::try_from(left).unwrap_or(usize::MAX));
            if let Some(at) = content::mismatch(flow, message, offset, &bytes[done..done + len]) {
                return Some(offset + at as u64);
            }
            done += len;
        }
        None
    }

    fn send(&mut self, connection: &mut dyn Connection) {
        self.piece.resize(PIECE, 0);
        while self.sent < self.may_send() {
            let (flow, message, offset) = self.content(true, self.sent);
            let left = (self.round(true) - offset).min(self.may_send() - self.sent);
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            content::fill(flow, message, offset, &mut self.piece[..len]);
            let count = connection.write(&self.piece[..len]);
            self.sent += count as u64;
            if count < len {
                return;
            }
        }
        let done = self.part.spec.kind == FlowKind::Stream && self.sent == self.all(true);
        if done && !self.shut {
            self.shut = true;
            connection.shutdown();
        }
    }

    fn finish(&mut self, now: Instant, connection: &mut dyn Connection) {
        let due = self.all(false);
        // A stream's other direction may still have to be sent.
        let sends = self.sent < self.all(true) && self.received == due;
        if sends && self.part.spec.kind == FlowKind::Stream {
            return;
        }
        self.over = true;
        let mut ledger = self.part.ledger.borrow_mut();
        if self.received == due {
            ledger.done(self.part.flow, self.side);
        } else {
            ledger.short(now, self.part.flow, self.side, self.received, due);
        }
        drop(ledger);
        connection.close(now);
    }

    fn failed(&mut self, now: Instant, reason: EndReason, connection: &mut dyn Connection) {
        self.over = true;
        let mut ledger = self.part.ledger.borrow_mut();
        ledger.failed(now, self.part.flow, self.side, NetError::Ended(reason));
        drop(ledger);
        connection.close(now);
    }

    /// Input: the host was restarted.
    pub(super) fn lost(&mut self) {
        self.over = true;
        self.part.ledger.borrow_mut().lost(self.part.flow, self.side);
    }
}
