//! What is known of paths that carry less than their first link: a bounded table by destination that forgets
//! (RFC 1191 §6.3, RFC 8201 §5.3).

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// The least that an IPv4 path is believed to carry, whatever a router says (Linux's `min_pmtu`): less is the wish of an
/// attacker rather than of a link.
pub const PMTU_MIN_V4: u16 = 552;
/// The least that an IPv6 path carries (RFC 8200 §5).
pub const PMTU_MIN_V6: u16 = 1_280;
/// What was learned is forgotten after this long, so that a path that has grown is used again (RFC 1191 §6.3).
pub const PMTU_LIFETIME: Duration = Duration::from_secs(600);
/// Most destinations that something is known of.
pub const PMTU_ENTRIES_MAX: usize = 1_024;

/// Sizes of links in use, for routers that do not say theirs (RFC 1191 §7.1).
const PLATEAUS: [u16; 10] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    mtu: u16,
    forgotten_at: Instant,
}

/// The table. Empty, it costs a lookup one comparison; every operation else is logarithmic.
#[derive(Debug, Default)]
pub struct PathMtus {
    entries: BTreeMap<IpAddr, Entry>,
    by_age: BTreeSet<(Instant, IpAddr)>,
}

impl PathMtus {
    /// An empty table.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), by_age: BTreeSet::new() }
    }

    /// Getter: how many destinations something is known of.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Getter: nothing is known of any path.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Getter: the largest datagram, in bytes, that goes to `destination` in one piece by a first link that carries
    /// `link_mtu`. Forgets what is too old.
    #[inline]
    pub fn mtu(
        &mut self,
        now: Instant,
        destination: impl FnOnce() -> IpAddr,
        link_mtu: u16,
    ) -> u16 {
        if self.entries.is_empty() {
            return link_mtu;
        }
        self.forget_old(now);
        let known = self.entries.get(&destination()).filter(|_| !planted::is(Bug::PmtuOfNobody));
        known.map_or(link_mtu, |entry| entry.mtu.min(link_mtu))
    }

    /// Getter: like [`PathMtus::mtu`], and forgets nothing.
    pub fn peek(&self, now: Instant, destination: IpAddr, link_mtu: u16) -> u16 {
        let entry = self.entries.get(&destination).filter(|entry| entry.forgotten_at > now);
        entry.map_or(link_mtu, |entry| entry.mtu.min(link_mtu))
    }

    /// Input: a router says that `destination` can be sent datagrams of `mtu` bytes only; 0 from routers older than
    /// RFC 1191, which `quoted_len`, the length of the datagram that it dropped, makes up for. `current` is what the path
    /// is thought to carry. Returns what it carries from now on, or `None` when that is no less: the path has not shrunk,
    /// and growth is never believed (RFC 8201 §4).
    pub fn learn(
        &mut self,
        now: Instant,
        destination: IpAddr,
        mtu: u32,
        quoted_len: u32,
        current: u16,
    ) -> Option<u16> {
        let said = if mtu == 0 { plateau_below(quoted_len) } else { mtu };
        // RFC 5927 §7.2: a datagram that fits was not dropped for its size.
        if said >= quoted_len && !planted::is(Bug::PmtuGrows) {
            return None;
        }
        let least = match destination {
            IpAddr::V4(_) => PMTU_MIN_V4,
            // RFC 8201 §4: a smaller one is not to be believed at all.
            IpAddr::V6(_) if planted::is(Bug::PmtuBelow1280) => 68,
            IpAddr::V6(_) if said < u32::from(PMTU_MIN_V6) => return None,
            IpAddr::V6(_) => PMTU_MIN_V6,
        };
        let least = if planted::is(Bug::PmtuWithoutFloor) { 68 } else { least };
        let mtu = u16::try_from(said).unwrap_or(u16::MAX).max(least);
        if mtu >= current {
            return None;
        }
        self.forget_old(now);
        self.forget(destination);
        if self.entries.len() >= PMTU_ENTRIES_MAX {
            self.forget_oldest();
        }
        let forgotten_at = now + PMTU_LIFETIME;
        self.entries.insert(destination, Entry { mtu, forgotten_at });
        self.by_age.insert((forgotten_at, destination));
        Some(mtu)
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .by_age
            .first()
            .is_some_and(|(at, _)| *at <= now && !planted::is(Bug::PmtuForEver))
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, destination)) = self.by_age.pop_first() {
            self.entries.remove(&destination);
        }
    }

    fn forget(&mut self, destination: IpAddr) {
        if let Some(entry) = self.entries.remove(&destination) {
            self.by_age.remove(&(entry.forgotten_at, destination));
        }
    }
}

/// The next smaller size of a link than what did not fit.
fn plateau_below(len: u32) -> u32 {
    PLATEAUS.into_iter().map(u32::from).find(|plateau| *plateau < len).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    const START: Instant = Instant::from_nanos(5);

    #[test]
    fn a_path_shrinks_is_remembered_for_ten_minutes_and_never_grows_by_hearsay() {
        let mut paths = PathMtus::new();
        assert_eq!(paths.mtu(START, || V4, 1_500), 1_500);
        assert_eq!(paths.learn(START, V4, 1_400, 1_500, 1_500), Some(1_400));
        assert_eq!(paths.learn(START, V4, 1_450, 1_500, 1_400), None, "growth");
        assert_eq!(paths.mtu(START, || V4, 1_500), 1_400);
        assert_eq!(paths.mtu(START, || V4, 1_300), 1_300, "the first link is smaller still");
        assert_eq!(paths.mtu(START, || V6, 1_500), 1_500);
        let later = START + PMTU_LIFETIME;
        assert_eq!(paths.mtu(later, || V4, 1_500), 1_500);
        assert!(paths.is_empty() && paths.by_age.is_empty());
    }

    #[test]
    fn no_path_is_believed_to_carry_less_than_the_floor_of_its_family() {
        let mut paths = PathMtus::new();
        assert_eq!(paths.learn(START, V4, 68, 1_500, 1_500), Some(PMTU_MIN_V4));
        assert_eq!(paths.learn(START, V6, 1_279, 1_500, 1_500), None);
        assert_eq!(paths.learn(START, V6, 1_280, 1_500, 1_500), Some(PMTU_MIN_V6));
    }

    #[test]
    fn a_router_that_says_nothing_is_helped_by_the_table_of_link_sizes() {
        let mut paths = PathMtus::new();
        assert_eq!(paths.learn(START, V4, 0, 1_500, 1_500), Some(1_492));
        assert_eq!(paths.learn(START, V4, 0, 1_492, 1_492), Some(1_006));
    }

    #[test]
    fn a_datagram_that_would_have_fitted_is_no_reason() {
        let mut paths = PathMtus::new();
        assert_eq!(paths.learn(START, V4, 1_400, 1_400, 1_500), None);
        assert_eq!(paths.learn(START, V4, 1_400, 60, 1_500), None);
        assert!(paths.is_empty());
    }

    #[test]
    fn the_table_is_bounded_and_the_oldest_goes_first() {
        let mut paths = PathMtus::new();
        let host = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + n));
        let at = |n: u32| START + Duration::from_millis(u64::from(n));
        for n in 0..=PMTU_ENTRIES_MAX as u32 {
            assert!(paths.learn(at(n), host(n), 1_400, 1_500, 1_500).is_some());
        }
        assert_eq!((paths.len(), paths.by_age.len()), (PMTU_ENTRIES_MAX, PMTU_ENTRIES_MAX));
        assert_eq!(paths.mtu(at(2_000), || host(0), 1_500), 1_500);
        assert_eq!(paths.mtu(at(2_000), || host(1), 1_500), 1_400);
    }
}
