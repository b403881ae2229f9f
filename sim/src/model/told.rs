//! What programs are told.

use std::net::SocketAddr;

use causeway_core::port::{Completion, SocketId, Transport};
use causeway_core::time::Instant;

use super::end::{End, EndId, Holder, Role, Told};
use super::{SocketModel, rule};
use crate::polled::Sock;

impl SocketModel {
    /// Input: a program was told something. `child` is the handle that an incoming connection was given.
    pub fn told(
        &mut self,
        at: Instant,
        host: usize,
        app: u32,
        completion: &Completion,
        child: Option<Sock>,
    ) {
        if self.is_over || !self.facts.hosts[host].is_seen {
            return;
        }
        self.step += 1;
        match *completion {
            Completion::Failed { tag, error } => {
                let asked = self.asked(host, app, tag);
                match asked.map(|id| (id, &self.ends[id.0])) {
                    Some((id, end)) if end.told == Told::Opening && !end.is_known => {
                        self.failed(at, id, error);
                    }
                    // A command that crossed its end, say.
                    Some((id, _)) => self.tell(id),
                    None => {}
                }
            }
            Completion::Listening { tag, socket, local }
            | Completion::Connecting { tag, socket, local, .. }
            | Completion::Bound { tag, socket, local, .. } => match self.asked(host, app, tag) {
                Some(id) => self.opened(at, id, (socket, local)),
                None => _ = self.unheard.insert((host, local.port())),
            },
            Completion::Connected { socket } => self.news(at, host, socket, Self::connected),
            Completion::Incoming { listener, socket, local, remote, .. } => {
                if let Some(listener) = self.end_by_id(host, listener) {
                    self.incoming(at, listener, (socket, child), (local, remote));
                }
            }
            Completion::Ready { socket } => self.news(at, host, socket, |_, _, _| {}),
            Completion::Message { socket, .. } | Completion::Datagram { socket, .. } => {
                self.news(at, host, socket, |model, _, id| model.ends[id.0].parcels_told += 1);
            }
            Completion::PeerClosed { socket } => self.news(at, host, socket, Self::peer_closed),
            Completion::LastInfo { socket, .. }
            | Completion::DatagramRefused { socket, .. }
            | Completion::Urgent { socket, .. } => self.news(at, host, socket, |_, _, _| {}),
            Completion::Ended { socket, reason } => {
                self.news(at, host, socket, |model, at, id| model.ended(at, id, reason));
            }
            Completion::Info { tag, .. } => {
                if let Some(id) = self.asked(host, app, tag) {
                    self.tell(id);
                }
            }
            Completion::EchoReply { .. } => {}
        }
    }

    fn asked(&self, host: usize, app: u32, tag: u64) -> Option<EndId> {
        self.end_of(host, app, Sock { index: tag as u32, generation: (tag >> 32) as u32 })
    }

    /// News of a socket that somebody has.
    fn news(
        &mut self,
        at: Instant,
        host: usize,
        socket: SocketId,
        learn: impl FnOnce(&mut Self, Instant, EndId),
    ) {
        let known = self.hosts[host].by_id.get(socket.index as usize).copied().flatten();
        let Some(id) = known.filter(|id| self.ends[id.0].id == Some(socket)) else { return };
        let end = &self.ends[id.0];
        if end.holder.gone().is_some() {
            return;
        }
        if !end.is_known {
            let words = format!("{:?} is {:?}, and news come of it", end.sock, end.told);
            return self.broken(at, host, &rule::ORDER, words);
        }
        learn(self, at, id);
        self.ends[id.0].tell_at(at);
        self.tell(id);
    }

    fn connected(&mut self, at: Instant, id: EndId) {
        let end = &self.ends[id.0];
        let (host, sock) = (end.host, end.sock);
        if end.role != Role::Caller || end.told != Told::Opening {
            let words = format!("{sock:?} is {:?}, and is connected", end.told);
            self.broken(at, host, &rule::ORDER, words);
        } else if !self.may_have_listened(end) {
            let words = format!("{sock:?} is connected to {:?}, where nobody listened", end.remote);
            self.broken(at, host, &rule::CONNECTED, words);
        }
        let (end, step) = (&mut self.ends[id.0], self.step);
        (end.told, end.open_at) = (Told::Open, Some((at, step)));
    }

    fn incoming(
        &mut self,
        at: Instant,
        listener: EndId,
        (socket, sock): (SocketId, Option<Sock>),
        (local, remote): (SocketAddr, SocketAddr),
    ) {
        let End { host, app, transport, backlog, sock: at_sock, .. } = self.ends[listener.0];
        let Some(sock) = sock else {
            let words = format!("{at_sock:?} received a connection that nobody can accept");
            return self.broken(at, host, &rule::ACCEPT, words);
        };
        let opened = (at, self.step);
        let mut child = End::new((host, app, sock), (transport, Role::Child), opened);
        (child.local, child.remote) = (Some(local), Some(remote));
        (child.told, child.open_at) = (Told::Open, Some(opened));
        child.holder = Holder::Listener;
        child.has_options = self.ends[listener.0].has_options;
        child.peers = self.callers_of(transport, local, remote);
        if child.peers.is_empty() && self.is_paired(&child) {
            let words = format!("{at_sock:?} received what {remote} never connected to {local}");
            self.broken(at, host, &rule::INCOMING, words);
        }
        let callers = child.peers.clone();
        let id = self.insert(at, child);
        self.name(id, socket);
        self.hosts[host].streams += 1;
        for caller in callers {
            self.ends[caller.0].peers.push(id);
        }
        let queue = &mut self.ends[listener.0].queue;
        queue.push_back(id);
        let waiting = queue.len() as u64;
        let most = match transport {
            Transport::Tcp => u64::from(backlog) + 1,
            Transport::Udp | Transport::Machnet => u64::from(backlog).max(1),
        };
        if waiting > most {
            let words = format!("{waiting} wait at {at_sock:?}, whose backlog is {backlog}");
            self.broken(at, host, &rule::BACKLOG, words);
        }
        self.ends[listener.0].tell_at(at);
        self.tell(listener);
    }

    fn peer_closed(&mut self, at: Instant, id: EndId) {
        let end = &self.ends[id.0];
        let (host, sock) = (end.host, end.sock);
        if end.told != Told::Open || end.is_peer_closed {
            let words = format!("{sock:?} is {:?}, and its peer closes it", end.told);
            self.broken(at, host, &rule::ORDER, words);
        } else if !self.narrow(id, End::has_finished) {
            let words = format!("{sock:?} has the peer's FIN, and the peer has not closed it");
            self.broken(at, host, &rule::FIN, words);
        }
        self.ends[id.0].is_peer_closed = true;
    }
}
