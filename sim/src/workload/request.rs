//! Requests and answers over one connection, one under way at a time.

use causeway_core::port::Transport;
use causeway_core::time::Instant;

use super::ledger::Side;
use super::{Part, retry_at, wait_again};
use crate::content;
use crate::polled::{Net, NetError, Program, Sock, State};

/// A transfer of known bytes that may stop anywhere.
#[derive(Clone, Copy, Debug, Default)]
struct Transfer {
    done: u64,
}

impl Transfer {
    /// True when all of `all` bytes are sent.
    fn send(
        &mut self,
        net: &mut Net<'_>,
        sock: Sock,
        all: u64,
        content: (u64, u64),
    ) -> Result<bool, NetError> {
        while self.done < all {
            let (begin, mut at) = (self.done, self.done);
            let len = usize::try_from(all - begin).unwrap_or(usize::MAX);
            let fill = |_, piece: &mut [u8]| {
                content::fill(content.0, content.1, at, piece);
                at += piece.len() as u64;
            };
            self.done += net.send_with(sock, len, fill)? as u64;
        }
        Ok(true)
    }

    /// True when all of `all` bytes came; the offset of a wrong one goes to `wrong`.
    fn receive(
        &mut self,
        net: &mut Net<'_>,
        sock: Sock,
        all: u64,
        content: (u64, u64),
        wrong: &mut Option<u64>,
    ) -> Result<bool, NetError> {
        while self.done < all {
            let mut at = self.done;
            let len = usize::try_from(all - self.done).unwrap_or(usize::MAX);
            let check = |_, piece: &[u8]| {
                let found = content::mismatch(content.0, content.1, at, piece);
                *wrong = wrong.or(found.map(|place| at + place as u64));
                at += piece.len() as u64;
            };
            let count = net.recv_with(sock, len, check)?;
            if count == 0 {
                return Ok(false);
            }
            self.done += count as u64;
        }
        Ok(true)
    }
}

/// Who asks.
pub(super) struct Asker {
    part: Part,
    sock: Option<Sock>,
    round: u64,
    asks: Transfer,
    hears: Transfer,
}

impl Asker {
    pub(super) fn new(part: Part) -> Self {
        Self { part, sock: None, round: 0, asks: Transfer::default(), hears: Transfer::default() }
    }

    /// True when every round is done.
    fn work(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<bool, NetError> {
        let (spec, flow) = (self.part.spec.clone(), self.part.flow as u64);
        while self.round < spec.count {
            let content = (2 * flow, self.round);
            self.asks.send(net, sock, spec.bytes, content)?;
            let mut wrong = None;
            let reply = (2 * flow + 1, self.round);
            let before = self.hears.done;
            let whole = self.hears.receive(net, sock, spec.reply_bytes, reply, &mut wrong);
            let bytes = self.hears.done - before;
            let mut ledger = self.part.ledger.borrow_mut();
            ledger.received(net.now(), self.part.flow, Side::Client, bytes, wrong);
            if !whole? {
                ledger.short(net.now(), self.part.flow, Side::Client, self.round, spec.count);
                return Ok(true);
            }
            self.round += 1;
            (self.asks, self.hears) = Default::default();
        }
        Ok(true)
    }
}

impl Program for Asker {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        while net.take_ready().is_some() {}
        let flow = self.part.flow;
        if !self.part.ledger.borrow().is_working(flow, Side::Client) {
            return None;
        }
        if let Some(at) = retry_at(net, &mut self.sock) {
            return Some(at);
        }
        let server = self.part.server;
        let sock = *self.sock.get_or_insert_with(|| net.connect(Transport::Tcp, None, server));
        if net.state(sock) == Some(State::Opening) {
            return None;
        }
        match self.work(net, sock) {
            Ok(_) => {
                self.part.ledger.borrow_mut().done(flow, Side::Client);
                let _ = net.close(sock);
            }
            Err(NetError::WouldBlock) => {}
            Err(error) => {
                self.part.ledger.borrow_mut().failed(net.now(), flow, Side::Client, error);
                let _ = net.close(sock);
            }
        }
        None
    }

    fn struck(&mut self) {
        self.part.ledger.borrow_mut().spoil(self.part.flow);
    }

    fn restarted(&mut self) {
        self.part.ledger.borrow_mut().lost(self.part.flow, Side::Client);
        self.sock = None;
    }

    fn daemon_restarted(&mut self) {
        self.part.ledger.borrow_mut().undelivered(self.part.flow, Side::Client);
    }
}

/// Who answers, until there is no more to answer.
pub(super) struct Answerer {
    part: Part,
    listener: Option<Sock>,
    sock: Option<Sock>,
    round: u64,
    hears: Transfer,
    answers: Transfer,
}

impl Answerer {
    pub(super) fn new(part: Part) -> Self {
        let (hears, answers) = Default::default();
        Self { part, listener: None, sock: None, round: 0, hears, answers }
    }

    /// True at the end of the stream.
    fn work(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<bool, NetError> {
        let (spec, flow) = (self.part.spec.clone(), self.part.flow as u64);
        loop {
            // After the last round the end is due: an empty transfer that nobody fills.
            let all = if self.round < spec.count { spec.bytes } else { 1 };
            let mut wrong = None;
            let before = self.hears.done;
            let whole = self.hears.receive(net, sock, all, (2 * flow, self.round), &mut wrong);
            let bytes = self.hears.done - before;
            self.part.ledger.borrow_mut().received(
                net.now(),
                self.part.flow,
                Side::Server,
                bytes,
                wrong,
            );
            if !whole? {
                if self.round < spec.count {
                    let (now, mut ledger) = (net.now(), self.part.ledger.borrow_mut());
                    ledger.short(now, self.part.flow, Side::Server, self.round, spec.count);
                }
                return Ok(true);
            }
            self.answers.send(net, sock, spec.reply_bytes, (2 * flow + 1, self.round))?;
            self.round += 1;
            (self.hears, self.answers) = Default::default();
        }
    }
}

impl Program for Answerer {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        while net.take_ready().is_some() {}
        let (flow, server) = (self.part.flow, self.part.server);
        if !self.part.ledger.borrow().is_working(flow, Side::Server) {
            return None;
        }
        if self.sock.is_none() {
            wait_again(net, &mut self.listener);
        }
        if let Some(at) = retry_at(net, &mut self.listener) {
            return Some(at);
        }
        let listener = *self.listener.get_or_insert_with(|| net.listen(Transport::Tcp, server, 4));
        if self.sock.is_none() {
            self.sock = net.accept(listener).ok();
        }
        let sock = self.sock?;
        let outcome = self.work(net, sock);
        match outcome {
            Err(NetError::WouldBlock) => return None,
            Ok(_) => self.part.ledger.borrow_mut().done(flow, Side::Server),
            Err(error) => {
                self.part.ledger.borrow_mut().failed(net.now(), flow, Side::Server, error);
            }
        }
        let _ = net.close(sock);
        let _ = net.close(listener);
        None
    }

    fn struck(&mut self) {
        self.part.ledger.borrow_mut().spoil(self.part.flow);
    }

    fn restarted(&mut self) {
        self.part.ledger.borrow_mut().lost(self.part.flow, Side::Server);
        (self.listener, self.sock) = (None, None);
    }

    fn daemon_restarted(&mut self) {
        self.part.ledger.borrow_mut().undelivered(self.part.flow, Side::Server);
    }
}
