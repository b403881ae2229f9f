//! Where sockets are, and how they are found by their addresses.

use std::net::SocketAddr;

use causeway_core::error::CommandError;
use causeway_core::port::{SocketId, Transport};
use causeway_core::time::Instant;

use super::end::{End, EndId, Holder, Role, Told};
use super::{SocketModel, rule};

impl SocketModel {
    /// Input: the stack has opened what was asked for.
    pub(super) fn opened(
        &mut self,
        at: Instant,
        id: EndId,
        (socket, local): (SocketId, SocketAddr),
    ) {
        let end = &self.ends[id.0];
        let (host, asked, role, sock) = (end.host, end.local, end.role, end.sock);
        if end.is_known || end.told != Told::Opening {
            let told = end.told;
            self.broken(at, host, &rule::ORDER, format!("{sock:?} is opened, and is {told:?}"));
        }
        let right = asked.is_none_or(|asked| {
            let ip = asked.ip().is_unspecified() || asked.ip() == local.ip();
            let open = self.facts.hosts[host].ports.contains(&local.port());
            ip && if asked.port() == 0 { open } else { asked.port() == local.port() }
        });
        if !right {
            let words = format!("{sock:?} is at {local}, and {asked:?} was asked for");
            self.broken(at, host, &rule::LOCAL, words);
        }
        self.ends[id.0].local = Some(local);
        self.name(id, socket);
        match role {
            Role::Caller => self.is_calling(at, id, local),
            Role::Listener | Role::Datagrams => {
                let (end, step) = (&mut self.ends[id.0], self.step);
                (end.told, end.open_at) = (Told::Open, Some((at, step)));
                // Those that named no port are found by the one that they have.
                if asked.is_some_and(|asked| asked.port() == 0) {
                    self.bound.entry((host, local.port())).or_default().push(id);
                }
                if self.is_taken(&self.ends[id.0]) {
                    let words = format!("{sock:?} has {local}, which another has");
                    self.broken(at, host, &rule::IN_USE, words);
                }
            }
            Role::Child => {}
        }
        self.tell(id);
    }

    /// Input: the caller has its port.
    fn is_calling(&mut self, at: Instant, id: EndId, local: SocketAddr) {
        let End { host, transport, remote, sock, .. } = self.ends[id.0];
        let Some(remote) = remote else { return };
        let before = self.callers.entry((transport, local, remote)).or_default();
        before.push(id);
        let lives = |other: &EndId| {
            let other = &self.ends[other.0];
            let open = matches!(other.told, Told::Opening | Told::Open);
            other.host == host && other.is_known && open && other.holder == Holder::Program
        };
        if before[..before.len() - 1].iter().any(lives) {
            let words = format!("{sock:?} is from {local} to {remote}, as another is");
            self.broken(at, host, &rule::TUPLE, words);
        }
        if transport != Transport::Tcp {
            self.bound.entry((host, local.port())).or_default().push(id);
        }
    }

    /// Input: the stack refuses to open it.
    pub(super) fn failed(&mut self, at: Instant, id: EndId, error: CommandError) {
        let end = &self.ends[id.0];
        let (host, sock) = (end.host, end.sock);
        let weather = self.facts.weather;
        let facts = &self.facts.hosts[host];
        let broken = match error {
            CommandError::AddressInUse => (end.role == Role::Caller || !self.may_be_taken(end))
                .then_some((&rule::IN_USE, "nobody has its address")),
            CommandError::PortsExhausted => {
                let ports = usize::from(facts.ports.end() - facts.ports.start()) + 1;
                let to = end.remote.map(|remote| (host, end.transport, remote));
                let used = to.map_or(usize::MAX, |to| self.called.get(&to).copied().unwrap_or(0));
                // What is UDP on the wire shares its ports, whatever the peer.
                let shared = end.transport != Transport::Tcp;
                let others = || self.ends.iter().filter(|end| end.transport != Transport::Tcp);
                let others = if shared { others().count() } else { 0 };
                let used = used.saturating_add(others);
                (used <= ports).then_some((&rule::LIMIT, "there are more ports"))
            }
            CommandError::LimitReached => {
                let full = self.hosts[host].streams > facts.streams_max;
                (!full && !weather.no_rings).then_some((&rule::LIMIT, "there are rings"))
            }
            CommandError::WrongState | CommandError::UnknownSocket | CommandError::TimedOut => {
                Some((&rule::ORDER, "it is about to be opened"))
            }
            CommandError::AddressNotAvailable
            | CommandError::NoRoute
            | CommandError::InvalidArgument
            | CommandError::Unsupported
            | CommandError::MtuTooSmall => None,
        };
        if let Some((rule, words)) = broken {
            let words = format!("{sock:?} is refused for {error:?}, and {words}");
            self.broken(at, host, rule, words);
        }
        self.ends[id.0].told = Told::Failed(error);
        self.tell(id);
    }

    /// Getter: whoever was called from there may have been called by these.
    pub(super) fn callers_of(
        &self,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Vec<EndId> {
        let callers = self.callers.get(&(transport, remote, local)).into_iter().flatten();
        let connected = |id: &&EndId| self.ends[id.0].open_at.is_some();
        callers.filter(connected).copied().collect()
    }
}
