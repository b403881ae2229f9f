//! The program that does what the captured host's programs did.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;

use causeway_core::port::Transport;
use causeway_core::time::{Duration, Instant};

use super::super::Role;
use super::script::{Deed, Script};
use crate::polled::{Net, NetError, Program, Sock, State};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Bytes that are moved at a time.
const PIECE: usize = 1 << 16;

/// One connection.
struct Part {
    script: Script,
    sock: Option<Sock>,
    /// Deeds that are done.
    done: usize,
    written: u64,
    /// How far it is to write, by now.
    wanted: u64,
    shut: Shut,
    over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shut {
    Open,
    Wanted,
    Done,
}

/// See the module.
pub(super) struct Player {
    begin: Instant,
    parts: Vec<Part>,
    listeners: BTreeMap<SocketAddr, Option<Sock>>,
    /// Connections that are awaited, by listener and peer, in order.
    awaited: BTreeMap<(SocketAddr, SocketAddr), VecDeque<usize>>,
    by_sock: BTreeMap<Sock, usize>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Player {
    /// Plays from `begin` on.
    pub(super) fn new(begin: Instant, scripts: &[Script]) -> Self {
        let mut player = Self {
            begin,
            parts: Vec::with_capacity(scripts.len()),
            listeners: BTreeMap::new(),
            awaited: BTreeMap::new(),
            by_sock: BTreeMap::new(),
            due: BinaryHeap::new(),
        };
        for (index, script) in scripts.iter().enumerate() {
            if script.role == Role::Server {
                player.listeners.insert(script.local, None);
                let waiting = player.awaited.entry((script.local, script.remote)).or_default();
                waiting.push_back(index);
            }
            player.due.extend(script.deeds.iter().map(|(at, _)| Reverse((*at, index))));
            player.parts.push(Part {
                script: script.clone(),
                sock: None,
                done: 0,
                written: 0,
                wanted: 0,
                shut: Shut::Open,
                over: false,
            });
        }
        player
    }

    fn accept(&mut self, net: &mut Net<'_>) {
        for (local, listener) in &mut self.listeners {
            let listener =
                *listener.get_or_insert_with(|| net.listen(Transport::Tcp, *local, BACKLOG));
            while let Ok(sock) = net.accept(listener) {
                let remote = net.remote(sock);
                let waiting = remote.and_then(|remote| self.awaited.get_mut(&(*local, remote)));
                match waiting.and_then(VecDeque::pop_front) {
                    Some(index) => {
                        self.parts[index].sock = Some(sock);
                        self.by_sock.insert(sock, index);
                    }
                    None => drop(net.abort(sock)),
                }
            }
        }
    }

    /// Connections whose deeds are due.
    fn act(&mut self, net: &mut Net<'_>, elapsed: u64) {
        while let Some(&Reverse((at, index))) = self.due.peek() {
            if at > elapsed {
                break;
            }
            self.due.pop();
            let part = &mut self.parts[index];
            while let Some((_, deed)) =
                part.script.deeds.get(part.done).filter(|(at, _)| *at <= elapsed)
            {
                part.done += 1;
                match *deed {
                    Deed::Connect => {
                        let (local, remote) = (part.script.local.ip(), part.script.remote);
                        let sock = net.connect(Transport::Tcp, Some(local), remote);
                        part.sock = Some(sock);
                        self.by_sock.insert(sock, index);
                    }
                    Deed::Write(until) => part.wanted = part.wanted.max(until),
                    Deed::Shut => part.shut = Shut::Wanted,
                    Deed::Abort => {
                        part.over = true;
                        if let Some(sock) = part.sock {
                            let _ = net.abort(sock);
                        }
                    }
                }
            }
            part.work(net);
        }
    }
}

impl Part {
    fn work(&mut self, net: &mut Net<'_>) {
        let Some(sock) = self.sock.filter(|_| !self.over) else { return };
        if net.state(sock) == Some(State::Opening) {
            return;
        }
        let ended = self.read(net, sock);
        match self.write(net, sock) {
            Ok(()) | Err(NetError::WouldBlock) => {}
            Err(_) => self.over = true,
        }
        let done = ended && self.shut == Shut::Done;
        if done || self.over {
            self.over = true;
            let _ = net.close(sock);
        }
    }

    /// True at the end of what the peer sends.
    fn read(&mut self, net: &mut Net<'_>, sock: Sock) -> bool {
        loop {
            match net.recv_with(sock, PIECE, |_, _| ()) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(NetError::WouldBlock) => return false,
                Err(_) => {
                    self.over = true;
                    return true;
                }
            }
        }
    }

    fn write(&mut self, net: &mut Net<'_>, sock: Sock) -> Result<(), NetError> {
        while self.written < self.wanted {
            let len = (self.wanted - self.written).min(PIECE as u64) as usize;
            let script = &self.script;
            self.written += net.send_with(sock, len, |at, piece| script.fill(at, piece))? as u64;
        }
        if self.shut == Shut::Wanted {
            net.shutdown_write(sock)?;
            self.shut = Shut::Done;
        }
        Ok(())
    }
}

impl Program for Player {
    fn poll(&mut self, net: &mut Net<'_>) -> Option<Instant> {
        let elapsed = net.now().saturating_since(self.begin).as_nanos();
        self.accept(net);
        self.act(net, elapsed);
        while let Some(sock) = net.take_ready() {
            if let Some(index) = self.by_sock.get(&sock).copied() {
                self.parts[index].work(net);
            }
        }
        let next = self.due.peek().map(|Reverse((at, _))| self.begin + Duration::from_nanos(*at));
        // Who was accepted just now has to be looked at.
        for index in self.fresh() {
            self.parts[index].work(net);
        }
        next
    }
}

impl Player {
    /// Connections that have something to do as soon as they are open.
    fn fresh(&self) -> Vec<usize> {
        let waiting = |part: &Part| {
            part.sock.is_some() && !part.over && (part.written < part.wanted || part.done == 0)
        };
        (0..self.parts.len()).filter(|index| waiting(&self.parts[*index])).collect()
    }
}
