//! What one end of a connection may be told, by what the other may have done.

use causeway_core::port::Transport;
use causeway_core::time::Instant;

use super::SocketModel;
use super::end::{End, EndId, Holder, Role, Told};

impl SocketModel {
    /// Getter: who may be the peer. Of a caller: those that came of its call, as far as anybody knows.
    pub(super) fn peers(&self, end: &End) -> impl Iterator<Item = &End> {
        end.peers.iter().map(|peer| &self.ends[peer.0])
    }

    /// Getter: some peer may have done it.
    pub(super) fn may(&self, end: &End, did: impl Fn(&End) -> bool) -> bool {
        !self.is_paired(end) || self.peers(end).any(did)
    }

    /// Command: whoever cannot have done it is no peer. False: nobody can have.
    pub(super) fn narrow(&mut self, id: EndId, did: impl Fn(&End) -> bool) -> bool {
        let end = &self.ends[id.0];
        if !self.may(end, &did) {
            return false;
        }
        if end.role == Role::Child && end.peers.len() > 1 {
            let mut peers = end.peers.clone();
            peers.retain(|peer| did(&self.ends[peer.0]));
            self.ends[id.0].peers = peers;
        }
        true
    }

    /// Getter: a segment with RST, or a packet of Machnet's, may have come.
    pub(super) fn may_be_reset(&self, now: Instant, id: EndId) -> bool {
        let end = &self.ends[id.0];
        if !self.is_paired(end) {
            return true;
        }
        // Of a call of which nothing came, the answer was lost before rings were found, say: whatever follows finds nobody.
        let is_its = |peer: &End| peer.role == Role::Caller || peer.peers.len() < 2;
        let mut sure = self.peers(end).filter(|peer| is_its(peer)).peekable();
        sure.peek().is_none() || sure.any(|peer| self.may_have_reset(now, peer, end))
    }

    fn may_have_reset(&self, now: Instant, peer: &End, end: &End) -> bool {
        if peer.role == Role::Child && self.may_have_begun_late(end, peer) {
            // Its SYN,ACK was a cookie: what came back with it first found nobody, or was not the first of its segments; and what
            // followed found the next listener, or was.
            return true;
        }
        match peer.holder {
            Holder::Aborted { .. } | Holder::Crashed { .. } => true,
            Holder::Program | Holder::Listener => match peer.told {
                Told::Ended(_) | Told::Failed(_) => true,
                // Its handshake was not done.
                Told::Opening => true,
                Told::Open => peer.is_read_shut && peer.is_write_shut,
            },
            Holder::Closed { .. } if matches!(peer.told, Told::Ended(_)) => true,
            Holder::Closed { at, step, .. } => {
                // What comes for nobody is answered so, and what stays without an answer is given up after a while: at once, where
                // the neighbour is silent.
                // A flow that is closed ends with RST behind its last message.
                let flow = end.transport == Transport::Machnet;
                // One that came only when its caller was gone was refused at first, for want of rings, say.
                self.facts.weather.is_rough
                    || end.role == Role::Child && end.opened.1 >= step
                    // What refused it at first has reset it after it was closed.
                    || end.role == Role::Child && self.may_have_begun_late(peer, end)
                    || flow && peer.messages.len() == end.parcels_told
                    || peer.has_options
                    || end.has_sent_beyond(peer)
                    || end.is_write_shut && end.is_peer_closed
                    || now >= at + self.facts.hosts[peer.host].linger
            }
        }
    }

    /// Getter: what the caller sent may have found nobody before `child` began.
    fn may_have_begun_late(&self, caller: &End, child: &End) -> bool {
        !self.has_listened_until(caller, child.opened.1) || self.may_have_cookie(caller)
    }

    /// Getter: the caller's port was another's before, which may be answered still, and a SYN in the window of that answer
    /// is refused (RFC 9293 3.10.7.4).
    pub(super) fn has_predecessor(&self, caller: &End) -> bool {
        let Some((local, remote)) = caller.local.zip(caller.remote) else { return false };
        // Of one that was closed before the stack answered, nobody knows whom it called.
        if self.unheard.contains(&(caller.host, local.port())) {
            return true;
        }
        let before = self.callers.get(&(caller.transport, local, remote)).into_iter().flatten();
        before.map(|id| &self.ends[id.0]).any(|end| end.opened.1 < caller.opened.1)
    }

    /// Getter: a listener for the caller's connection may have been there at some time since it was asked for.
    pub(super) fn may_have_listened(&self, caller: &End) -> bool {
        !self.is_paired(caller)
            || self.listeners(caller).any(|listener| {
                listener.holder.gone().is_none_or(|(_, step)| step >= caller.opened.1)
            })
    }

    /// Getter: a listener for the caller's connection was there all the time since it was asked for.
    pub(super) fn has_listened(&self, caller: &End) -> bool {
        self.is_paired(caller)
            && self.listeners(caller).any(|listener| {
                let before = listener.open_at.is_some_and(|(_, step)| step <= caller.opened.1);
                before && listener.holder == Holder::Program && listener.told == Told::Open
            })
    }

    /// Getter: more have called than may wait: what completes a handshake that was not written down may find no room, and what comes behind it
    /// nobody, however calm the weather is.
    fn may_have_cookie(&self, caller: &End) -> bool {
        let remote = caller.remote.unwrap_or((std::net::Ipv4Addr::UNSPECIFIED, 0).into());
        let called = self.called.get(&(caller.host, caller.transport, remote)).copied();
        let few = |listener: &End| called.unwrap_or(0) > listener.backlog as usize;
        self.listeners(caller).any(few)
    }

    /// Getter: one listener for the caller's connection was there from when it was asked for to then, and none went: another at that port has
    /// sent no cookies.
    fn has_listened_until(&self, caller: &End, until: u64) -> bool {
        let asked = caller.opened.1;
        let went = self.listeners(caller).any(|listener| {
            listener.holder.gone().is_some_and(|(_, at)| (asked..until).contains(&at))
        });
        let stayed = self.listeners(caller).any(|listener| {
            let before = listener.open_at.is_some_and(|(_, step)| step <= asked);
            before && listener.holder.gone().is_none_or(|(_, at)| at >= until)
        });
        stayed && !went
    }

    fn listeners(&self, caller: &End) -> impl Iterator<Item = &End> {
        let remote = caller.remote;
        let owner = remote.and_then(|remote| self.owners.get(&remote.ip()).copied());
        let port = remote.map_or(0, |remote| remote.port());
        let bound = owner.and_then(|host| self.bound.get(&(host, port)));
        let transport = caller.transport;
        bound.into_iter().flatten().map(|id| &self.ends[id.0]).filter(move |end| {
            let at = end.local.zip(remote).is_some_and(|(local, remote)| {
                let any = local.ip().is_unspecified() && local.is_ipv4() == remote.is_ipv4();
                any || local.ip() == remote.ip()
            });
            end.role == Role::Listener && end.transport == transport && at
        })
    }

    /// Getter: a socket that was there before `end` may have kept its address from it.
    pub(super) fn may_be_taken(&self, end: &End) -> bool {
        self.rivals(end).any(|other| {
            let shared = other.transport != Transport::Tcp;
            // What waits to be sent keeps a port a little longer; and what was closed before the stack had answered, until it has.
            other.opened.1 < end.opened.1
                && other.holder.gone().is_none_or(|(_, step)| {
                    let late = matches!(
                        other.holder,
                        Holder::Closed { answered: false, .. }
                            | Holder::Aborted { answered: false, .. }
                    );
                    step > end.opened.1 || late || shared
                })
        })
    }

    /// Getter: a socket that has the address of `end`, and had it before. Programs share what several of one may have.
    pub(super) fn is_taken(&self, end: &End) -> bool {
        self.rivals(end).any(|other| {
            let same = other.local == end.local;
            other.role == end.role
                && other.transport == end.transport
                && other.opened.1 < end.opened.1
                && other.told == Told::Open
                && other.holder == Holder::Program
                && (same || other.app != end.app)
        })
    }

    /// Others with the port of `end` whose addresses overlap with its own. Machnet is UDP on the wire.
    fn rivals<'a>(&'a self, end: &'a End) -> impl Iterator<Item = &'a End> {
        let local = end.local;
        let port = local.map_or(0, |local| local.port());
        let bound = self.bound.get(&(end.host, port)).into_iter().flatten();
        bound.map(|id| &self.ends[id.0]).filter(move |other| {
            let tcp = |end: &End| end.transport == Transport::Tcp;
            let overlap = other.local.zip(local).is_some_and(|(other, local)| {
                let any = other.ip().is_unspecified() || local.ip().is_unspecified();
                other.is_ipv4() == local.is_ipv4() && (any || other.ip() == local.ip())
            });
            other.opened != end.opened && tcp(other) == tcp(end) && overlap
        })
    }
}
