//! IPv4 addresses said aloud: announcements when they come into use, and in defence (RFC 5227 §2.3, §2.4).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use crate::planted::{self, Bug};
use crate::time::{Duration, Instant};

/// Announcements of an address, and the time between them (RFC 5227 §1.1 ANNOUNCE_NUM, ANNOUNCE_INTERVAL).
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// An address is defended at most so often (RFC 5227 §1.1 DEFEND_INTERVAL): two hosts that both defend must not flood the
/// link.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
struct Announced {
    address: Ipv4Addr,
    /// Announcements that are still due, and when the next one is; `None`: at once.
    left: u8,
    at: Option<Instant>,
    defended_at: Option<Instant>,
}

/// The IPv4 addresses of one interface. It does no I/O: [`Announcer::poll_announcement`] says what is to be broadcast.
#[derive(Debug)]
pub struct Announcer {
    addresses: Vec<Announced>,
    due: VecDeque<Ipv4Addr>,
}

impl Announcer {
    /// The announcer of these addresses. Without `announces` it only defends them.
    pub fn new(addresses: impl Iterator<Item = Ipv4Addr>, announces: bool) -> Self {
        let announces = announces && !planted::is(Bug::UnannouncedAddress);
        let left = if announces { ANNOUNCEMENTS } else { 0 };
        let announced = |address| Announced { address, left, at: None, defended_at: None };
        Self { addresses: addresses.map(announced).collect(), due: VecDeque::new() }
    }

    /// Output: when `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.addresses.iter().filter(|own| own.left > 0);
        waiting.map(|own| own.at.unwrap_or(Instant::ZERO)).min()
    }

    /// Input: time has come to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        for own in &mut self.addresses {
            if own.left > 0 && own.at.is_none_or(|at| at <= now) {
                own.left -= 1;
                own.at = Some(now + ANNOUNCE_INTERVAL);
                self.due.push_back(own.address);
            }
        }
    }

    /// Input: another station claims `address`. It is defended, unless that was done not long ago: RFC 5227 §2.4 c, because
    /// a server that gives its address up helps nobody.
    pub fn handle_conflict(&mut self, now: Instant, address: Ipv4Addr) {
        let Some(own) = self.addresses.iter_mut().find(|own| own.address == address) else {
            return;
        };
        let defends = !planted::is(Bug::UndefendedAddress);
        if defends && own.defended_at.is_none_or(|at| at + DEFEND_INTERVAL <= now) {
            own.defended_at = Some(now).filter(|_| !planted::is(Bug::EndlessDefence));
            self.due.push_back(address);
        }
    }

    /// Output: an address to be announced now.
    pub fn poll_announcement(&mut self) -> Option<Ipv4Addr> {
        self.due.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn secs(n: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(n)
    }

    #[test]
    fn an_address_is_announced_twice_two_seconds_apart_or_not_at_all() {
        let mut announcer = Announcer::new([OURS].into_iter(), true);
        assert_eq!(announcer.poll_timeout(), Some(Instant::ZERO));
        announcer.handle_timeout(secs(5));
        assert_eq!(
            (announcer.poll_announcement(), announcer.poll_announcement()),
            (Some(OURS), None)
        );
        assert_eq!(announcer.poll_timeout(), Some(secs(7)));
        announcer.handle_timeout(secs(6));
        assert_eq!(announcer.poll_announcement(), None);
        announcer.handle_timeout(secs(7));
        assert_eq!(announcer.poll_announcement(), Some(OURS));
        assert_eq!(announcer.poll_timeout(), None);
        assert_eq!(Announcer::new([OURS].into_iter(), false).poll_timeout(), None);
    }

    #[test]
    fn an_address_is_defended_once_in_ten_seconds() {
        let mut announcer = Announcer::new([OURS].into_iter(), false);
        let mut defended = |second| {
            announcer.handle_conflict(secs(second), OURS);
            announcer.handle_conflict(secs(second), Ipv4Addr::new(10, 0, 0, 2));
            announcer.poll_announcement().is_some()
        };
        assert_eq!(
            [1, 2, 10, 11, 12, 21].map(&mut defended),
            [true, false, false, true, false, true]
        );
    }
}
