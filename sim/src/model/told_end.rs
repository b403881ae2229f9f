//! What programs are told of the end of a connection.

use causeway_core::error::EndReason;
use causeway_core::port::Transport;
use causeway_core::time::Instant;

use super::SocketModel;
use super::end::{End, EndId, Holder, Role, Told};
use super::rule::{self, Rule};

impl SocketModel {
    /// Input: it is over.
    pub(super) fn ended(&mut self, at: Instant, id: EndId, reason: EndReason) {
        let end = &self.ends[id.0];
        let (host, sock) = (end.host, end.sock);
        let broken = match reason {
            EndReason::Closed => self.closed_wrongly(end),
            EndReason::Refused => self.refused_wrongly(end),
            EndReason::Reset => {
                (!self.may_be_reset(at, id)).then_some((&rule::RESET, "its peer holds it"))
            }
            EndReason::TimedOut => self.timed_out_wrongly(at, end),
            EndReason::Aborted => {
                let both = end.is_read_shut && end.is_write_shut;
                (!both).then_some((&rule::ABORTED, "its program did not abort it"))
            }
            EndReason::NoRoute | EndReason::HostUnreachable => self.unreachable_wrongly(at, end),
            EndReason::NoMemory => {
                let may = self.facts.weather.no_memory || end.transport == Transport::Machnet;
                (!may).then_some((&rule::LIMIT, "there is memory"))
            }
        };
        if let Some((rule, words)) = broken {
            let words = format!("{sock:?} is over for {reason:?}, and {words}");
            self.broken(at, host, rule, words);
        }
        let end = &mut self.ends[id.0];
        end.told = Told::Ended(reason);
        end.is_known = false;
    }

    fn closed_wrongly(&self, end: &End) -> Option<(&'static Rule, &'static str)> {
        if end.role == Role::Listener {
            return None;
        }
        if end.transport == Transport::Tcp {
            let both = end.is_write_shut && end.is_peer_closed;
            return (!both).then_some((&rule::CLOSED, "not both sides closed it"));
        }
        // Whoever has closed a flow has delivered what it sent.
        let whole = |peer: &End| {
            matches!(peer.holder, Holder::Closed { .. }) && peer.messages.len() == end.parcels_told
        };
        (!self.may(end, whole)).then_some((&rule::CLOSED, "not all of it came"))
    }

    fn refused_wrongly(&self, end: &End) -> Option<(&'static Rule, &'static str)> {
        if end.told != Told::Opening {
            return Some((&rule::ORDER, "it was open"));
        }
        let wrong = self.has_listened(end) && !self.has_predecessor(end);
        wrong.then_some((&rule::REFUSED, "somebody listens there"))
    }

    fn timed_out_wrongly(&self, at: Instant, end: &End) -> Option<(&'static Rule, &'static str)> {
        let facts = &self.facts.hosts[end.host];
        let (since, patience) = match end.told {
            Told::Opening => (end.opened.0, facts.connect_patience),
            _ => (end.told_before(at), facts.patience),
        };
        // Of Machnet's timers nothing is known here.
        let early = end.transport == Transport::Tcp && at < since + patience && !end.has_options;
        early.then_some((&rule::TIMED_OUT, "its time is not over"))
    }

    fn unreachable_wrongly(&self, at: Instant, end: &End) -> Option<(&'static Rule, &'static str)> {
        if end.told != Told::Opening {
            // Told in place of the time that is over.
            return self.timed_out_wrongly(at, end);
        }
        let calm = !self.facts.weather.is_rough && self.is_paired(end);
        calm.then_some((&rule::UNREACHABLE, "nothing is in the way"))
    }
}
