//! What programs call.

use std::net::SocketAddr;

use causeway_core::port::{SocketOption, Transport};
use causeway_core::time::Instant;

use super::end::{End, EndId, Holder, Role, Told};
use super::rule::{self, Rule};
use super::{Call, SocketModel};
use crate::polled::{NetError, Sock};

/// What is wrong with a call's result.
type Wrong = Option<(&'static Rule, String)>;

fn wrong(rule: &'static Rule, words: impl Into<String>) -> Wrong {
    Some((rule, words.into()))
}

impl SocketModel {
    /// Input: a program has called, and has its result.
    pub fn called(&mut self, at: Instant, host: usize, app: u32, call: &Call) {
        if self.is_over || !self.facts.hosts[host].is_seen {
            return;
        }
        self.step += 1;
        if let Some((rule, words)) = self.judge(at, host, app, call) {
            self.broken(at, host, rule, format!("{call:?}: {words}"));
        }
    }

    fn judge(&mut self, at: Instant, host: usize, app: u32, call: &Call) -> Wrong {
        let who = (host, app);
        match *call {
            Call::Listen { .. } | Call::Bind { .. } | Call::Connect { .. } => {
                self.open(at, who, call);
                None
            }
            Call::TakeReady { result } => self.take_ready(who, result),
            Call::Accept { sock, result } => {
                let kind = |end: &End| end.role == Role::Listener;
                self.on(who, (sock, result.err()), kind, |m, id| m.accept(id, result))
            }
            Call::Send { sock, len, result } => {
                let named = (sock, result.err());
                self.on(who, named, End::is_stream, |m, id| m.send(id, len, result))
            }
            Call::Recv { sock, len, result } => {
                let named = (sock, result.err());
                self.on(who, named, End::is_stream, |m, id| m.recv(id, len, result))
            }
            Call::SendParcel { sock, len, to, result } => {
                let named = (sock, result.err());
                self.on(who, named, End::has_parcels, |m, id| m.send_parcel(id, (len, to), result))
            }
            Call::RecvParcel { sock, result } => {
                let named = (sock, result.err());
                self.on(who, named, End::has_parcels, |m, id| m.recv_parcel(id, result))
            }
            Call::ShutdownWrite { sock, result } => {
                let named = (sock, result.err());
                self.on(who, named, End::is_stream, |m, id| m.shutdown_write(id, result))
            }
            Call::ShutdownRead { sock, result } => {
                let named = (sock, result.err());
                self.on(who, named, End::is_stream, |m, id| m.shutdown_read(id, result))
            }
            Call::SetOption { sock, option, result } => {
                let named = (sock, result.err());
                self.on(who, named, |_| true, |m, id| m.set_option(id, option, result))
            }
            Call::Close { sock, abort, result } => {
                let named = (sock, result.err());
                self.on(who, named, |_| true, |m, id| m.close(at, id, abort, result))
            }
        }
    }

    /// A call that makes a handle.
    fn open(&mut self, at: Instant, who: (usize, u32), call: &Call) {
        match *call {
            Call::Listen { sock, transport, local, backlog } => {
                let id = self.begin(at, who, sock, (transport, Role::Listener), Some(local));
                self.ends[id.0].backlog = backlog;
            }
            Call::Bind { sock, local } => {
                self.begin(at, who, sock, (Transport::Udp, Role::Datagrams), Some(local));
            }
            Call::Connect { sock, transport, local, remote } => {
                let local = local.map(|ip| SocketAddr::new(ip, 0));
                let id = self.begin(at, who, sock, (transport, Role::Caller), local);
                self.ends[id.0].remote = Some(remote);
                self.hosts[who.0].streams += 1;
                *self.called.entry((who.0, transport, remote)).or_default() += 1;
            }
            Call::Accept { .. }
            | Call::Send { .. }
            | Call::Recv { .. }
            | Call::SendParcel { .. }
            | Call::RecvParcel { .. }
            | Call::ShutdownWrite { .. }
            | Call::ShutdownRead { .. }
            | Call::SetOption { .. }
            | Call::Close { .. }
            | Call::TakeReady { .. } => {}
        }
    }

    fn begin(
        &mut self,
        at: Instant,
        (host, app): (usize, u32),
        sock: Sock,
        role: (Transport, Role),
        local: Option<SocketAddr>,
    ) -> EndId {
        let mut end = End::new((host, app, sock), role, (at, self.step));
        end.local = local;
        let id = self.insert(at, end);
        if let Some(local) = local.filter(|local| local.port() > 0) {
            self.bound.entry((host, local.port())).or_default().push(id);
        }
        id
    }

    /// A call on a handle, which has to be one of the kind.
    fn on(
        &mut self,
        (host, app): (usize, u32),
        (sock, error): (Sock, Option<NetError>),
        kind: impl FnOnce(&End) -> bool,
        act: impl FnOnce(&mut Self, EndId) -> Wrong,
    ) -> Wrong {
        let bad = error == Some(NetError::BadSocket);
        match self.end_of(host, app, sock) {
            None if bad => None,
            None => wrong(&rule::HANDLE, "the program has no such socket"),
            Some(id) if !kind(&self.ends[id.0]) => {
                if bad {
                    None
                } else {
                    wrong(&rule::KIND, "the socket is of another kind")
                }
            }
            Some(_) if bad => wrong(&rule::HANDLE, "the program has this socket"),
            Some(id) => act(self, id),
        }
    }

    fn take_ready(&mut self, (host, app): (usize, u32), result: Option<Sock>) -> Wrong {
        let Some(sock) = result else {
            let left = *self.news_of(host, app);
            return (left > 0).then(|| (&rule::NEWS, format!("{left} sockets have news")));
        };
        // A connection that waits to be accepted has news too.
        let id = self.hosts[host].by_sock.get(sock.index as usize).copied().flatten();
        let id = id.filter(|id| {
            let end = &self.ends[id.0];
            end.sock == sock && end.app == app && end.has_news && end.holder.gone().is_none()
        });
        let Some(id) = id else { return wrong(&rule::NEWS, "it has no news") };
        self.untell(id);
        None
    }

    fn accept(&mut self, id: EndId, result: Result<Sock, NetError>) -> Wrong {
        let listener = &mut self.ends[id.0];
        let told = listener.told;
        match (listener.queue.pop_front(), result) {
            (Some(first), Ok(sock)) if self.ends[first.0].sock == sock => {
                self.ends[first.0].holder = Holder::Program;
                None
            }
            (Some(first), _) => {
                let sock = self.ends[first.0].sock;
                wrong(&rule::ACCEPT, format!("{sock:?} came first"))
            }
            (None, Ok(_)) => wrong(&rule::ACCEPT, "nobody waits"),
            (None, Err(error)) => says(told, error),
        }
    }

    fn send(&mut self, id: EndId, len: usize, result: Result<usize, NetError>) -> Wrong {
        let end = &self.ends[id.0];
        match result {
            Err(NetError::Shut) if end.told == Told::Open && end.is_write_shut => None,
            _ if end.told == Told::Open && end.is_write_shut => {
                wrong(&rule::SHUT, "nothing more was to be sent")
            }
            Err(error) if end.told != Told::Open => says(end.told, error),
            Err(NetError::WouldBlock) => {
                let full = end.written >= self.facts.hosts[end.host].ring_bytes && len > 0;
                if full { None } else { wrong(&rule::ROOM, "there is room") }
            }
            Err(_) => wrong(&rule::STATE, "it is open"),
            Ok(_) if end.told != Told::Open => wrong(&rule::STATE, "it is not open"),
            Ok(count) if count > len || (count == 0 && len > 0) => {
                wrong(&rule::COUNT, format!("{count} of {len} bytes"))
            }
            Ok(count) => {
                self.ends[id.0].written += count as u64;
                if self.has_room(&self.ends[id.0]) {
                    None
                } else {
                    wrong(&rule::ROOM, "that is more than the rings hold")
                }
            }
        }
    }

    /// Getter: what was written and not read fits into both rings, or its reader is gone.
    fn has_room(&self, end: &End) -> bool {
        let ring = |end: &End| self.facts.hosts[end.host].ring_bytes;
        let fits = |peer: &End| {
            let held = ring(end) + ring(peer);
            peer.holder.gone().is_some() || end.written <= peer.read + held
        };
        end.written <= ring(end) || self.may(end, fits)
    }

    fn recv(&mut self, id: EndId, len: usize, result: Result<usize, NetError>) -> Wrong {
        let end = &self.ends[id.0];
        match result {
            Ok(count) if count > len => wrong(&rule::COUNT, format!("{count} of {len} bytes")),
            Ok(0) if len == 0 => None,
            Ok(0) => self.end_of_stream(id),
            Ok(_) if end.saw_end => wrong(&rule::EOF, "the stream had ended"),
            Ok(_) if end.open_at.is_none() => wrong(&rule::STATE, "it is not open"),
            Ok(count) => {
                self.ends[id.0].read += count as u64;
                let read = self.ends[id.0].read;
                if self.narrow(id, |peer| peer.written >= read) {
                    None
                } else {
                    wrong(&rule::BYTES, format!("{read} bytes are more than were written"))
                }
            }
            Err(_) if end.is_peer_closed => wrong(&rule::EOF, "FIN has come"),
            Err(error) => says(end.told, error),
        }
    }

    fn end_of_stream(&mut self, id: EndId) -> Wrong {
        let end = &mut self.ends[id.0];
        end.saw_end = true;
        let read = end.read;
        if !end.is_peer_closed {
            return wrong(&rule::EOF, "FIN has not come");
        }
        if self.narrow(id, |peer| peer.has_finished() && peer.written == read) {
            None
        } else {
            wrong(&rule::EOF, format!("{read} bytes are not all that was written"))
        }
    }

    fn send_parcel(
        &mut self,
        id: EndId,
        (len, to): (usize, Option<SocketAddr>),
        result: Result<(), NetError>,
    ) -> Wrong {
        let end = &self.ends[id.0];
        let ring = self.facts.hosts[end.host].ring_bytes;
        match result {
            Err(NetError::TooLong) if end.told == Told::Open && len as u64 > ring => None,
            Err(NetError::WouldBlock) if end.told == Told::Open => None,
            Err(error) if end.told != Told::Open => says(end.told, error),
            Err(_) => wrong(&rule::STATE, "it is open"),
            Ok(()) if end.told != Told::Open => wrong(&rule::STATE, "it is not open"),
            Ok(()) if len as u64 > ring => wrong(&rule::COUNT, "that is more than a ring holds"),
            Ok(()) => {
                self.parcel_sent(id, len as u32, to);
                None
            }
        }
    }

    fn parcel_sent(&mut self, id: EndId, len: u32, to: Option<SocketAddr>) {
        let End { host, transport, local, .. } = self.ends[id.0];
        if transport == Transport::Machnet {
            return self.ends[id.0].messages.push(len);
        }
        let there = to.and_then(|to| Some((*self.owners.get(&to.ip())?, to.port())));
        let here = local.map(|local| (host, local.port()));
        if let (Some(here), Some(there)) = (here, there) {
            self.datagrams.entry([here, there]).or_default().insert(len);
        }
    }

    fn recv_parcel(
        &mut self,
        id: EndId,
        result: Result<(usize, Option<SocketAddr>), NetError>,
    ) -> Wrong {
        let end = &mut self.ends[id.0];
        let rule = if end.transport == Transport::Udp { &rule::DATAGRAM } else { &rule::MESSAGE };
        let waits = end.parcels_told > end.parcels_read;
        let (len, from) = match result {
            Ok(parcel) if waits => parcel,
            Ok(_) => return wrong(rule, "none was told of"),
            Err(_) if waits => return wrong(rule, "one waits"),
            Err(error) => return says(end.told, error),
        };
        let index = end.parcels_read;
        end.parcels_read += 1;
        let right = if end.transport == Transport::Udp {
            self.was_sent(id, len as u32, from)
        } else {
            self.narrow(id, |peer| peer.messages.get(index) == Some(&(len as u32)))
        };
        if right { None } else { wrong(rule, format!("number {index} was not sent so")) }
    }

    /// Getter: a datagram may come from there.
    fn was_sent(&self, id: EndId, len: u32, from: Option<SocketAddr>) -> bool {
        let End { host, local, .. } = self.ends[id.0];
        let Some((from, local)) = from.zip(local) else { return false };
        let Some(sender) = self.owners.get(&from.ip()).copied() else { return true };
        let way = [(sender, from.port()), (host, local.port())];
        let sent = self.datagrams.get(&way).is_some_and(|lens| lens.contains(&len));
        // Machnet's packets are datagrams, and find whoever has the port.
        let there = self.bound.get(&(sender, from.port())).into_iter().flatten();
        let flow = |id: &EndId| self.ends[id.0].transport == Transport::Machnet;
        let unheard = self.unheard.contains(&(sender, from.port()));
        sent || unheard
            || there.into_iter().any(flow)
            || self.facts.weather.is_forged
            || !self.facts.hosts[sender].is_seen
    }

    fn shutdown_write(&mut self, id: EndId, result: Result<(), NetError>) -> Wrong {
        let end = &mut self.ends[id.0];
        match result {
            Ok(()) if end.told == Told::Open && !end.is_write_shut => {
                end.is_write_shut = true;
                None
            }
            Err(NetError::Shut) if end.told == Told::Open && end.is_write_shut => None,
            Ok(()) if end.told == Told::Open => wrong(&rule::SHUT, "it was shut"),
            Ok(()) => wrong(&rule::STATE, "it is not open"),
            Err(_) if end.told == Told::Open => wrong(&rule::STATE, "it is open"),
            Err(error) => says(end.told, error),
        }
    }

    fn shutdown_read(&mut self, id: EndId, result: Result<(), NetError>) -> Wrong {
        let wrong = self.command(id, result);
        self.ends[id.0].is_read_shut |= result.is_ok();
        wrong
    }

    /// A command to a socket that the stack knows.
    fn command(&self, id: EndId, result: Result<(), NetError>) -> Wrong {
        let end = &self.ends[id.0];
        match result {
            Ok(()) if end.is_known => None,
            Ok(()) => wrong(&rule::STATE, "the stack does not know it"),
            Err(_) if end.is_known => wrong(&rule::STATE, "the stack knows it"),
            Err(error) => says(end.told, error),
        }
    }

    fn set_option(
        &mut self,
        id: EndId,
        option: SocketOption,
        result: Result<(), NetError>,
    ) -> Wrong {
        let wrong = self.command(id, result);
        let abrupt = matches!(
            option,
            SocketOption::Linger(_)
                | SocketOption::UserTimeout(_)
                | SocketOption::KeepAlive(_)
                | SocketOption::KeepIdle(_)
                | SocketOption::KeepInterval(_)
                | SocketOption::KeepCount(_)
                | SocketOption::SynCount(_)
        );
        self.ends[id.0].has_options |= abrupt && result.is_ok();
        wrong
    }

    fn close(
        &mut self,
        at: Instant,
        id: EndId,
        abort: bool,
        result: Result<(), NetError>,
    ) -> Wrong {
        if let Err(error) = result {
            return wrong(&rule::STATE, format!("a socket can be closed, whatever {error:?}"));
        }
        self.untell(id);
        let end = &mut self.ends[id.0];
        let (step, answered) = (self.step, end.told != Told::Opening || end.is_known);
        // A call that is given up before it is connected tells the peer nothing, and is none that was closed in order.
        let open = end.open_at.is_some();
        end.holder = if abort || !open {
            Holder::Aborted { at, step, answered }
        } else {
            Holder::Closed { at, step, answered }
        };
        // Nobody will ever accept those that wait.
        for waiting in std::mem::take(&mut end.queue) {
            self.untell(waiting);
            self.ends[waiting.0].holder = Holder::Aborted { at, step, answered: true };
        }
        None
    }
}

/// The result of a call that cannot go on.
fn says(told: Told, error: NetError) -> Wrong {
    let due = told.refusal();
    if error == due { None } else { wrong(&rule::STATE, format!("due is {due:?}")) }
}
