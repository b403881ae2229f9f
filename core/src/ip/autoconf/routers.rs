//! What routers have said of the link: who they are, which prefixes are on it (RFC 4861 §5.1, §6.3).

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use crate::planted::{self, Bug};
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
    /// Those that were advertised last are last.
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
            (None, Some(until)) => {
                if self.routers.len() >= ROUTERS_MAX {
                    self.remove_soonest();
                }
                self.routers.push((router, until));
                true
            }
            (None, None) => false,
        }
    }

    /// Makes room, so that a real router gets in however many somebody has invented: of those that are not in use the one that
    /// would go first.
    fn remove_soonest(&mut self) {
        let others = self.routers.iter().enumerate().skip(1);
        if let Some((at, _)) = others.min_by_key(|(_, (_, until))| *until) {
            self.routers.remove(at);
        }
    }

    /// The router does not answer: another one, if there is one, is tried first from now on (RFC 4861 §6.3.6).
    pub(super) fn demote(&mut self, router: Ipv6Addr) -> bool {
        let is_first = self.routers.first().is_some_and(|(first, _)| *first == router);
        if !is_first || self.routers.len() < 2 || planted::is(Bug::OneRouter) {
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
        let known = self.prefixes.iter().position(same);
        // The one that nobody has spoken of for longest makes room: a list that is full must not keep real ones out.
        let full = self.prefixes.len() >= PREFIXES_MAX;
        if let Some(at) = known.or(full.then_some(0)) {
            self.prefixes.remove(at);
        }
        self.prefixes.push(OnLink { prefix, prefix_len, until });
        known.is_none()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn address(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n)
    }

    #[test]
    fn invented_routers_do_not_keep_a_real_one_out() {
        let mut routers = Routers::default();
        let after = |s: u64| Some(Instant::ZERO + Duration::from_secs(s));
        for n in 0..20 {
            assert!(routers.set_router(address(n), after(65_535)));
        }
        assert!(routers.set_router(address(99), after(1_800)));
        assert_eq!((routers.routers.len(), routers.first()), (ROUTERS_MAX, Some(address(0))));
        assert!(routers.routers.iter().any(|(router, _)| *router == address(99)));
    }

    #[test]
    fn of_too_many_prefixes_the_one_that_was_advertised_longest_ago_goes() {
        let mut routers = Routers::default();
        for n in 0..PREFIXES_MAX as u16 {
            assert!(routers.set_prefix(address(n), 64, None));
        }
        assert!(!routers.set_prefix(address(0), 64, None), "it was known");
        let until = Some(Instant::ZERO + Duration::from_secs(600));
        assert!(routers.set_prefix(address(99), 64, until));
        let known: Vec<_> = routers.prefixes().map(|(prefix, _)| prefix).collect();
        assert_eq!(known.len(), PREFIXES_MAX);
        assert!(known.contains(&address(0)) && known.contains(&address(99)));
        assert!(!known.contains(&address(1)));
    }
}
