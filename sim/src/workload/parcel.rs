//! Messages and datagrams.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use causeway_core::port::Transport;
use causeway_core::time::{Duration, Instant};

use super::ledger::Side;
use super::{Part, retry_at, wait_again};
use crate::content;
use crate::polled::{Net, NetError, Program, Sock, State};
use crate::scenario::FlowKind;

/// Between two datagrams.
const DATAGRAM_PAUSE: Duration = Duration::from_millis(1);

impl Part {
    fn transport(&self) -> Transport {
        if self.spec.kind == FlowKind::Message { Transport::Machnet } else { Transport::Udp }
    }
}

/// The bytes of message `index`; the first eight of a datagram say which it is.
fn fill(part: &Part, reply: bool, index: u64, bytes: &mut Vec<u8>) {
    let len = if reply { part.spec.reply_bytes } else { part.spec.bytes };
    bytes.resize(len as usize, 0);
    content::fill(2 * part.flow as u64 + u64::from(reply), index, 0, bytes);
    if part.transport() == Transport::Udp && bytes.len() >= 8 {
        bytes[..8].copy_from_slice(&index.to_le_bytes());
    }
}

/// What is wrong with a message that should be the `index`-th.
fn judge(part: &Part, reply: bool, index: u64, bytes: &[u8]) -> Option<String> {
    let due = if reply { part.spec.reply_bytes } else { part.spec.bytes };
    if bytes.len() as u64 != due {
        return Some(format!("{} bytes as message {index} of {due}", bytes.len()));
    }
    let skip = if part.transport() == Transport::Udp { bytes.len().min(8) } else { 0 };
    let flow = 2 * part.flow as u64 + u64::from(reply);
    let wrong = content::mismatch(flow, index, skip as u64, &bytes[skip..])?;
    Some(format!("message {index} with byte {} wrong", skip + wrong))
}

/// Who asks, or sends.
pub(super) struct Asker {
    part: Part,
    sock: Option<Sock>,
    sent: u64,
    answered: u64,
    buffer: Vec<u8>,
    next_at: Instant,
}

impl Asker {
    pub(super) fn new(part: Part) -> Self {
        let buffer = Vec::new();
        Self { part, sock: None, sent: 0, answered: 0, buffer, next_at: Instant::ZERO }
    }

    fn open(&mut self, net: &mut Net<'_>) -> Sock {
        let (transport, server) = (self.part.transport(), self.part.server);
        *self.sock.get_or_insert_with(|| match transport {
            Transport::Udp => net.bind_udp(any_of(server)),
            Transport::Machnet | Transport::Tcp => net.connect(transport, None, server),
        })
    }

    /// True when everything is answered.
    fn converse(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<bool, NetError> {
        loop {
            if self.sent == self.answered {
                if self.sent == self.part.spec.count {
                    return Ok(true);
                }
                fill(&self.part, false, self.sent, &mut self.buffer);
                net.send_parcel(sock, &self.buffer, None)?;
                self.sent += 1;
            }
            if self.part.spec.reply_bytes > 0 {
                net.recv_parcel(sock, &mut self.buffer)?;
                let wrong = judge(&self.part, true, self.answered, &self.buffer);
                let mut ledger = self.part.ledger.borrow_mut();
                let (flow, bytes) = (self.part.flow, self.buffer.len() as u64);
                ledger.received(net.now(), flow, Side::Client, bytes, None);
                if let Some(what) = wrong {
                    ledger.wrong_message(net.now(), flow, Side::Client, &what);
                }
            }
            self.answered += 1;
        }
    }

    /// True when everything was sent.
    fn cast(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<bool, NetError> {
        if net.now() >= self.next_at && self.sent < self.part.spec.count {
            fill(&self.part, false, self.sent, &mut self.buffer);
            net.send_parcel(sock, &self.buffer, Some(self.part.server))?;
            self.sent += 1;
            self.next_at = net.now() + DATAGRAM_PAUSE;
        }
        Ok(self.sent == self.part.spec.count)
    }
}

/// Any port of any address of the same version.
fn any_of(server: SocketAddr) -> SocketAddr {
    let address: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(address, 0)
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
        let sock = self.open(net);
        if net.state(sock) == Some(State::Opening) {
            return None;
        }
        let datagrams = self.part.transport() == Transport::Udp;
        let outcome = if datagrams { self.cast(net, sock) } else { self.converse(net, sock) };
        match outcome {
            Ok(false) | Err(NetError::WouldBlock) if datagrams => {
                return Some(self.next_at.max(net.now() + DATAGRAM_PAUSE));
            }
            Ok(false) | Err(NetError::WouldBlock) => return None,
            Ok(true) => {
                let mut ledger = self.part.ledger.borrow_mut();
                ledger.done(flow, Side::Client);
                if datagrams {
                    // What is lost nobody waits for.
                    ledger.done(flow, Side::Server);
                }
            }
            Err(error) => {
                self.part.ledger.borrow_mut().failed(net.now(), flow, Side::Client, error);
            }
        }
        let _ = net.close(sock);
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

/// Who answers, or receives.
pub(super) struct Answerer {
    part: Part,
    listener: Option<Sock>,
    sock: Option<Sock>,
    heard: u64,
    answered: u64,
    buffer: Vec<u8>,
}

impl Answerer {
    pub(super) fn new(part: Part) -> Self {
        let (listener, sock) = (None, None);
        Self { part, listener, sock, heard: 0, answered: 0, buffer: Vec::new() }
    }

    fn connection(&mut self, net: &mut Net<'_>) -> Option<Sock> {
        let (transport, server) = (self.part.transport(), self.part.server);
        if transport == Transport::Udp {
            return Some(*self.sock.get_or_insert_with(|| net.bind_udp(server)));
        }
        let listener = *self.listener.get_or_insert_with(|| net.listen(transport, server, 4));
        if self.sock.is_none() {
            self.sock = net.accept(listener).ok();
        }
        self.sock
    }

    fn hear(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<(), NetError> {
        net.recv_parcel(sock, &mut self.buffer)?;
        let index = match self.part.transport() {
            Transport::Udp => {
                let mut first = [0; 8];
                let len = self.buffer.len().min(8);
                first[..len].copy_from_slice(&self.buffer[..len]);
                if len == 8 { u64::from_le_bytes(first) } else { 0 }
            }
            Transport::Machnet | Transport::Tcp => self.heard,
        };
        let wrong = judge(&self.part, false, index, &self.buffer);
        let (flow, bytes) = (self.part.flow, self.buffer.len() as u64);
        let mut ledger = self.part.ledger.borrow_mut();
        ledger.received(net.now(), flow, Side::Server, bytes, None);
        if let Some(what) = wrong {
            ledger.wrong_message(net.now(), flow, Side::Server, &what);
        }
        self.heard += 1;
        Ok(())
    }

    /// True when there is no more to come.
    fn work(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<bool, NetError> {
        let replies = self.part.spec.reply_bytes > 0 && self.part.transport() != Transport::Udp;
        loop {
            if replies && self.answered < self.heard {
                fill(&self.part, true, self.answered, &mut self.buffer);
                net.send_parcel(sock, &self.buffer, None)?;
                self.answered += 1;
            } else {
                if self.heard == self.part.spec.count && self.part.transport() != Transport::Udp {
                    return Ok(true);
                }
                self.hear(net, sock)?;
            }
        }
    }
}

impl Program for Answerer {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        while net.take_ready().is_some() {}
        let flow = self.part.flow;
        let datagrams = self.part.transport() == Transport::Udp;
        if datagrams || self.sock.is_none() {
            wait_again(net, if datagrams { &mut self.sock } else { &mut self.listener });
        }
        let first = if datagrams { &mut self.sock } else { &mut self.listener };
        if let Some(at) = retry_at(net, first) {
            return Some(at);
        }
        let sock = self.connection(net)?;
        if !self.part.ledger.borrow().is_working(flow, Side::Server) {
            // The sender of datagrams was the last one to be waited for.
            let _ = net.close(sock);
            return None;
        }
        match self.work(net, sock) {
            Err(NetError::WouldBlock) => return None,
            Ok(_) => self.part.ledger.borrow_mut().done(flow, Side::Server),
            Err(error) => {
                self.part.ledger.borrow_mut().failed(net.now(), flow, Side::Server, error);
            }
        }
        let _ = net.close(sock);
        if let Some(listener) = self.listener {
            let _ = net.close(listener);
        }
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
