//! What a client remembers of servers for Fast Open (RFC 7413 §4.1.3): cookies, segment sizes, and what went wrong.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use super::fast_open::{FastOpenLesson, FastOpenOffer};
use super::options::MSS_DEFAULT;
use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};
use crate::wire::tcp::FastOpenCookie;

/// Most servers that something is remembered of; the one that was spoken to longest ago goes first.
pub const FAST_OPEN_SERVERS_MAX: usize = 1_024;
/// After the second SYN with data that was lost, none is sent for this long, and twice as long after each further one.
const PAUSE_S: u64 = 60;
/// Doublings of the pause.
const LOSSES_MAX: u32 = 8;

#[derive(Clone, Copy, Debug)]
struct Server {
    cookie: Option<FastOpenCookie>,
    mss: u16,
    losses: u32,
    lost_at: Instant,
    serial: u64,
    /// Kinds of the option that it was asked by in vain: the next try is by the other one, once (Linux's try_exp).
    tries: u8,
}

/// The cache of one host. Bounded; every operation is logarithmic, and none happens without Fast Open.
#[derive(Debug, Default)]
pub struct FastOpenCache {
    servers: BTreeMap<IpAddr, Server>,
    by_age: BTreeSet<(u64, IpAddr)>,
    serial: u64,
}

impl FastOpenCache {
    /// An empty cache.
    pub const fn new() -> Self {
        Self { servers: BTreeMap::new(), by_age: BTreeSet::new(), serial: 0 }
    }

    /// Getter: what to try with `server`. `cookieless`: data is sent without a cookie, too.
    pub fn offer(&self, now: Instant, server: IpAddr, cookieless: bool) -> FastOpenOffer {
        let known = self.servers.get(&server);
        if known.is_some_and(|known| known.is_paused(now)) {
            return FastOpenOffer::Nothing;
        }
        let mss = known.map_or(MSS_DEFAULT, |known| known.mss);
        match known.and_then(|known| known.cookie) {
            Some(cookie) => FastOpenOffer::Data(Some(cookie), mss),
            None if cookieless => FastOpenOffer::Data(None, mss),
            None => FastOpenOffer::Ask(known.is_some_and(|known| known.tries == 1)),
        }
    }

    /// Input: what an open has taught about `server`.
    pub fn learn(&mut self, now: Instant, server: IpAddr, lesson: FastOpenLesson) {
        let before = self.servers.remove(&server);
        if let Some(before) = before {
            self.by_age.remove(&(before.serial, server));
        } else if self.servers.len() >= FAST_OPEN_SERVERS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.servers.remove(&oldest);
        }
        self.serial += 1;
        let losses = before.map_or(0, |before| before.losses);
        let tries = before.map_or(0, |before| before.tries);
        let known = Server {
            cookie: lesson
                .cookie
                .or(before.and_then(|before| before.cookie))
                .filter(|_| !planted::is(Bug::CookieForgotten)),
            mss: lesson.mss,
            losses: if lesson.lost { (losses + 1).min(LOSSES_MAX) } else { 0 },
            lost_at: now,
            serial: self.serial,
            tries: lesson.in_vain.map_or(0, |experimental| 1 + u8::from(experimental)).max(tries),
        };
        self.servers.insert(server, known);
        self.by_age.insert((self.serial, server));
    }
}

impl Server {
    fn is_paused(&self, now: Instant) -> bool {
        let pause = Duration::from_secs(PAUSE_S << self.losses);
        self.losses > 1 && now.saturating_since(self.lost_at) < pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));

    fn lesson(cookie: Option<FastOpenCookie>, lost: bool) -> FastOpenLesson {
        FastOpenLesson { cookie, mss: 1_400, lost, in_vain: None }
    }

    #[test]
    fn a_cookie_stays_until_another_comes() {
        let mut cache = FastOpenCache::new();
        assert_eq!(cache.offer(Instant::ZERO, SERVER, false), FastOpenOffer::Ask(false));
        assert_eq!(cache.offer(Instant::ZERO, SERVER, true), FastOpenOffer::Data(None, 536));
        let cookie = FastOpenCookie::new(&[1, 2, 3, 4], false);
        cache.learn(Instant::ZERO, SERVER, lesson(cookie, false));
        cache.learn(Instant::ZERO, SERVER, lesson(None, false));
        assert_eq!(cache.offer(Instant::ZERO, SERVER, false), FastOpenOffer::Data(cookie, 1_400));
    }

    #[test]
    fn a_server_that_does_not_know_one_option_is_asked_by_the_other_once() {
        let mut cache = FastOpenCache::new();
        for experimental in [false, true, false, false] {
            let offer = cache.offer(Instant::ZERO, SERVER, false);
            assert_eq!(offer, FastOpenOffer::Ask(experimental));
            let lesson = FastOpenLesson { in_vain: Some(experimental), ..lesson(None, false) };
            cache.learn(Instant::ZERO, SERVER, lesson);
        }
    }

    #[test]
    fn after_two_losses_nothing_is_tried_for_a_while() {
        let mut cache = FastOpenCache::new();
        let at = |s: u64| Instant::ZERO + Duration::from_secs(s);
        cache.learn(at(0), SERVER, lesson(FastOpenCookie::new(&[1; 8], false), true));
        assert_ne!(cache.offer(at(1), SERVER, false), FastOpenOffer::Nothing, "once is chance");
        cache.learn(at(2), SERVER, lesson(None, true));
        assert_eq!(cache.offer(at(241), SERVER, false), FastOpenOffer::Nothing);
        assert_ne!(cache.offer(at(242), SERVER, false), FastOpenOffer::Nothing);
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_whom_it_spoke_to_longest_ago() {
        let mut cache = FastOpenCache::new();
        let host = |n: u32| IpAddr::V4(core::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
        let cookie = FastOpenCookie::new(&[1; 8], false);
        for n in 0..FAST_OPEN_SERVERS_MAX as u32 {
            cache.learn(Instant::ZERO, host(n), lesson(cookie, false));
        }
        cache.learn(Instant::ZERO, host(0), lesson(cookie, false));
        cache.learn(Instant::ZERO, host(9_999), lesson(cookie, false));
        assert_eq!(cache.offer(Instant::ZERO, host(1), false), FastOpenOffer::Ask(false));
        assert_ne!(cache.offer(Instant::ZERO, host(0), false), FastOpenOffer::Ask(false));
        assert_eq!((cache.servers.len(), cache.by_age.len()), (1_024, 1_024));
    }
}
