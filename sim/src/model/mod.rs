//! Oracle O3: a small reference of the socket interface as programs of polled hosts use it.
//!
//! It sees each call with its result, and each thing that a program is told, of all hosts of a run. A step is legal if some state of the
//! reference allows it: it knows both ends of a connection by their addresses, and keeps of a connection that came to a listener everybody
//! who may have begun it; whoever cannot have done what was seen is left out, and where nobody remains a rule is broken. What the network
//! may do besides ([`Weather`]) is allowed for where a rule depends on it, and nowhere else.
//!
//! [`RULES`] has each rule with its source. `tests` tells for each a story that breaks it, and one beside it that does not.

mod call;
mod calls;
mod end;
mod facts;
mod pair;
mod place;
mod rule;
#[cfg(test)]
mod tests;
mod told;
mod told_end;

pub use call::Call;
pub use facts::{Facts, HostFacts, Weather};
pub use rule::{RULES, Rule};

use std::net::{IpAddr, SocketAddr};

use causeway_core::port::{SocketId, Transport};
use causeway_core::time::Instant;
use foldhash::fast::FixedState;

use crate::polled::Sock;
use crate::workload::Violation;
use end::{End, EndId, Holder};

/// The sockets of a host.
#[derive(Debug, Default)]
struct HostState {
    /// By the index of the handle.
    by_sock: Vec<Option<EndId>>,
    /// By the index of the stack's id.
    by_id: Vec<Option<EndId>>,
    /// Of each program: sockets with news that it was not told of.
    news: Vec<usize>,
    /// Connections and flows that were ever asked for or came.
    streams: usize,
}

type HashMap<K, V> = hashbrown::HashMap<K, V, FixedState>;
type HashSet<T> = hashbrown::HashSet<T, FixedState>;

/// Two ends, as the one who calls sees them.
type Ends = (Transport, SocketAddr, SocketAddr);
/// Who sent to whom, by host and port.
type Way = [(usize, u16); 2];

/// See the module.
#[derive(Debug)]
pub struct SocketModel {
    facts: Facts,
    /// The host that has an address.
    owners: HashMap<IpAddr, usize>,
    ends: Vec<End>,
    hosts: Vec<HostState>,
    /// Sockets that have a port of their own, by host and port.
    bound: HashMap<(usize, u16), Vec<EndId>>,
    /// Who called from where whom.
    callers: HashMap<Ends, Vec<EndId>>,
    /// How often somebody was called by a host.
    called: HashMap<(usize, Transport, SocketAddr), usize>,
    /// The lengths of datagrams.
    datagrams: HashMap<Way, HashSet<u32>>,
    /// Where calls began, by host and port, that were given up before their programs heard of it: a SYN leaves all the same.
    unheard: HashSet<(usize, u16)>,
    step: u64,
    is_over: bool,
    violation: Option<Violation>,
}

impl SocketModel {
    /// The model of a run that has not begun.
    pub fn new(facts: Facts) -> Self {
        let addresses = |(host, facts): (usize, &HostFacts)| {
            facts.addresses.iter().map(move |address| (*address, host)).collect::<Vec<_>>()
        };
        let owners = facts.hosts.iter().enumerate().flat_map(addresses).collect();
        let hosts = facts.hosts.iter().map(|_| HostState::default()).collect();
        Self {
            facts,
            owners,
            ends: Vec::new(),
            hosts,
            bound: HashMap::default(),
            callers: HashMap::default(),
            called: HashMap::default(),
            datagrams: HashMap::default(),
            unheard: HashSet::default(),
            step: 0,
            is_over: false,
            violation: None,
        }
    }

    /// Getter: the first rule that was broken.
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Command: the run is over, and whatever its programs are told from here on is nobody's concern.
    pub fn finish(&mut self) {
        self.is_over = true;
    }

    /// Input: a host was switched off, with all that it had.
    pub fn restarted(&mut self, at: Instant, host: usize) {
        self.step += 1;
        let crashed = Holder::Crashed { at, step: self.step };
        for end in self.ends.iter_mut().filter(|end| end.host == host) {
            if end.holder.gone().is_none() {
                end.holder = crashed;
            }
        }
        let streams = self.hosts[host].streams;
        self.hosts[host] = HostState { streams, ..HostState::default() };
    }

    fn broken(&mut self, at: Instant, host: usize, rule: &'static Rule, words: String) {
        let Rule { id, source, words: meaning } = rule;
        let words = format!("host {host}: {words} [{source}: {meaning}]");
        let signature = (*id).to_owned();
        self.violation.get_or_insert(Violation { signature, at, words });
    }

    /// Getter: what one end is told says something of the other, which is seen.
    fn is_paired(&self, end: &End) -> bool {
        let owner = end.remote.and_then(|remote| self.owners.get(&remote.ip()));
        !self.facts.weather.is_forged && owner.is_some_and(|host| self.facts.hosts[*host].is_seen)
    }

    fn end_of(&self, host: usize, app: u32, sock: Sock) -> Option<EndId> {
        let id = (*self.hosts[host].by_sock.get(sock.index as usize)?)?;
        let end = &self.ends[id.0];
        (end.sock == sock && end.app == app && end.holder == Holder::Program).then_some(id)
    }

    fn end_by_id(&self, host: usize, id: SocketId) -> Option<EndId> {
        let found = (*self.hosts[host].by_id.get(id.index as usize)?)?;
        let end = &self.ends[found.0];
        (end.id == Some(id) && end.is_known && end.holder.gone().is_none()).then_some(found)
    }

    /// A new socket with a handle.
    fn insert(&mut self, at: Instant, end: End) -> EndId {
        let id = EndId(self.ends.len());
        let (host, sock) = (end.host, end.sock);
        if let Some(other) = self.hosts[host].by_sock.get(sock.index as usize).copied().flatten()
            && self.ends[other.0].holder.gone().is_none()
        {
            self.broken(at, host, &rule::HANDLE, format!("{sock:?} means another socket still"));
        }
        put(&mut self.hosts[host].by_sock, sock.index, id);
        self.ends.push(end);
        id
    }

    /// The stack knows the socket by a number.
    fn name(&mut self, end: EndId, id: SocketId) {
        let host = self.ends[end.0].host;
        self.ends[end.0].id = Some(id);
        self.ends[end.0].is_known = true;
        put(&mut self.hosts[host].by_id, id.index, end);
    }

    fn tell(&mut self, end: EndId) {
        let End { host, app, .. } = self.ends[end.0];
        if !std::mem::replace(&mut self.ends[end.0].has_news, true) {
            *self.news_of(host, app) += 1;
        }
    }

    fn untell(&mut self, end: EndId) {
        let End { host, app, .. } = self.ends[end.0];
        if std::mem::replace(&mut self.ends[end.0].has_news, false) {
            *self.news_of(host, app) -= 1;
        }
    }

    fn news_of(&mut self, host: usize, app: u32) -> &mut usize {
        let news = &mut self.hosts[host].news;
        if news.len() <= app as usize {
            news.resize(app as usize + 1, 0);
        }
        &mut news[app as usize]
    }
}

fn put(list: &mut Vec<Option<EndId>>, index: u32, id: EndId) {
    let index = index as usize;
    if list.len() <= index {
        list.resize(index + 1, None);
    }
    list[index] = Some(id);
}
