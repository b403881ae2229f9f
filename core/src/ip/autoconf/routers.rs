//! What routers have said of the link: who they are, which prefixes are on it (RFC 4861 §5.1, §6.3).

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use crate::time::Instant;

/// Most default routers that are remembered (RFC 4861 §6.3.4 asks for two at least).
const ROUTERS_MAX: usize = 8;
/// Most prefixes that are remembered.
const PREFIXES_MAX: usize = 16;

/// A prefix whose addresses are on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OnLink {
    prefix: Ipv6Addr,
    prefix_len: u8,
    /// `None`: for ever.
    until: Option<Instant>,
}

/// The lists.
#[derive(Debug, Default)]
pub(super) struct Routers {
    /// The first one is in use.
    routers: Vec<(Ipv6Addr, Instant)>,
    prefixes: Vec<OnLink>,
}

impl Routers {
    /// `router` serves until then, `None` no longer. True when the list has changed.
    pub(super) fn set_router(&mut self, router: Ipv6Addr, until: Option<Instant>) -> bool {
        let at = self.routers.iter().position(|(known, _)| *known == router);
        match (at, until) {
            (Some(at), Some(until)) => {
                self.routers[at].1 = until;
                false
            }
            (Some(at), None) => {
                self.routers.remove(at);
                true
            }
            (None, Some(until)) if self.routers.len() < ROUTERS_MAX => {
                self.routers.push((router, until));
                true
            }
            (None, _) => false,
        }
    }

    /// The router does not answer: another one, if there is one, is tried first from now on (RFC 4861 §6.3.6).
    pub(super) fn demote(&mut self, router: Ipv6Addr) -> bool {
        let is_first = self.routers.first().is_some_and(|(first, _)| *first == router);
        if !is_first || self.routers.len() < 2 {
            return false;
        }
        self.routers.rotate_left(1);
        true
    }

    /// The prefix is on the link until then. True when the list has changed.
    pub(super) fn set_prefix(
        &mut self,
        prefix: Ipv6Addr,
        prefix_len: u8,
        until: Option<Instant>,
    ) -> bool {
        let same = |known: &OnLink| (known.prefix, known.prefix_len) == (prefix, prefix_len);
        if let Some(known) = self.prefixes.iter_mut().find(|known| same(known)) {
            known.until = until;
            return false;
        }
        let room = self.prefixes.len() < PREFIXES_MAX;
        if room {
            self.prefixes.push(OnLink { prefix, prefix_len, until });
        }
        room
    }

    /// The prefix is on the link no longer.
    pub(super) fn remove_prefix(&mut self, prefix: Ipv6Addr, prefix_len: u8) -> bool {
        let before = self.prefixes.len();
        self.prefixes.retain(|known| (known.prefix, known.prefix_len) != (prefix, prefix_len));
        self.prefixes.len() != before
    }

    /// Forgets what is over at `now`. True when that was something.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.routers.len() + self.prefixes.len();
        self.routers.retain(|(_, until)| *until > now);
        self.prefixes.retain(|known| known.until.is_none_or(|until| until > now));
        self.routers.len() + self.prefixes.len() != before
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let routers = self.routers.iter().map(|(_, until)| *until);
        routers.chain(self.prefixes.iter().filter_map(|known| known.until)).min()
    }

    /// The router to send to, if there is one.
    pub(super) fn first(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|(router, _)| *router)
    }

    /// Prefixes on the link.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = (Ipv6Addr, u8)> + '_ {
        self.prefixes.iter().map(|known| (known.prefix, known.prefix_len))
    }
}
