//! A stream of bytes each way over one connection.

use causeway_core::port::Transport;
use causeway_core::time::Instant;

use super::ledger::Side;
use super::{Part, retry_at, wait_again};
use crate::content;
use crate::polled::{Net, NetError, Program, Sock, State};

/// One end.
pub(super) struct Stream {
    part: Part,
    side: Side,
    listener: Option<Sock>,
    sock: Option<Sock>,
    sent: u64,
    shut: bool,
    received: u64,
    ended: bool,
}

impl Stream {
    pub(super) fn new(part: Part, side: Side) -> Self {
        let (listener, sock) = (None, None);
        Self { part, side, listener, sock, sent: 0, shut: false, received: 0, ended: false }
    }

    fn to_send(&self) -> u64 {
        let spec = &self.part.spec;
        if self.side == Side::Client { spec.bytes } else { spec.reply_bytes }
    }

    fn to_receive(&self) -> u64 {
        let spec = &self.part.spec;
        if self.side == Side::Client { spec.reply_bytes } else { spec.bytes }
    }

    /// The content of what this end sends, or of what it receives.
    fn content(&self, sends: bool) -> u64 {
        2 * self.part.flow as u64 + u64::from((self.side == Side::Client) == sends)
    }

    /// The connection, once there is one.
    fn connection(&mut self, net: &mut Net<'_>) -> Option<Sock> {
        let server = self.part.server;
        if self.side == Side::Client {
            return Some(
                *self.sock.get_or_insert_with(|| net.connect(Transport::Tcp, None, server)),
            );
        }
        let listener = *self.listener.get_or_insert_with(|| net.listen(Transport::Tcp, server, 4));
        if self.sock.is_none() {
            self.sock = net.accept(listener).ok();
        }
        self.sock
    }

    fn send(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<(), NetError> {
        let (all, content) = (self.to_send(), self.content(true));
        while self.sent < all {
            let len = usize::try_from(all - self.sent).unwrap_or(usize::MAX);
            let fill = |offset, piece: &mut [u8]| content::fill(content, 0, offset, piece);
            self.sent += net.send_with(sock, len.min(self.part.spec.piece_bytes), fill)? as u64;
        }
        if !self.shut {
            net.shutdown_write(sock)?;
            self.shut = true;
        }
        Ok(())
    }

    fn receive(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<(), NetError> {
        let content = self.content(false);
        while !self.ended {
            let mut wrong = None;
            let check = |offset, piece: &[u8]| {
                let found = content::mismatch(content, 0, offset, piece);
                wrong = wrong.or(found.map(|at| offset + at as u64));
            };
            let count = net.recv_with(sock, self.part.spec.piece_bytes, check)?;
            if count == 0 {
                self.ended = true;
                break;
            }
            self.received += count as u64;
            let mut ledger = self.part.ledger.borrow_mut();
            ledger.received(net.now(), self.part.flow, self.side, count as u64, wrong);
        }
        Ok(())
    }

    fn work(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<(), NetError> {
        let sent = self.send(net, sock);
        self.receive(net, sock)?;
        sent
    }

    fn finish(&mut self, net: &mut Net<'_>, sock: Sock) {
        let _ = net.close(sock);
        if let Some(listener) = self.listener {
            let _ = net.close(listener);
        }
    }
}

impl Program for Stream {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        while net.take_ready().is_some() {}
        let (flow, side) = (self.part.flow, self.side);
        if !self.part.ledger.borrow().is_working(flow, side) {
            return None;
        }
        if self.sock.is_none() {
            wait_again(net, &mut self.listener);
        }
        let first = if side == Side::Client { &mut self.sock } else { &mut self.listener };
        if let Some(at) = retry_at(net, first) {
            return Some(at);
        }
        let sock = self.connection(net)?;
        if net.state(sock) == Some(State::Opening) {
            return None;
        }
        let outcome = self.work(net, sock);
        match outcome {
            Ok(()) if self.ended => {
                let (received, due) = (self.received, self.to_receive());
                let mut ledger = self.part.ledger.borrow_mut();
                if received == due {
                    ledger.done(flow, side);
                } else {
                    ledger.short(net.now(), flow, side, received, due);
                }
                drop(ledger);
                self.finish(net, sock);
            }
            Ok(()) | Err(NetError::WouldBlock) => {}
            Err(error) => {
                self.part.ledger.borrow_mut().failed(net.now(), flow, side, error);
                self.finish(net, sock);
            }
        }
        None
    }

    fn struck(&mut self) {
        self.part.ledger.borrow_mut().spoil(self.part.flow);
    }

    fn restarted(&mut self) {
        self.part.ledger.borrow_mut().lost(self.part.flow, self.side);
        (self.listener, self.sock) = (None, None);
    }

    fn daemon_restarted(&mut self) {
        self.part.ledger.borrow_mut().undelivered(self.part.flow, self.side);
    }
}
