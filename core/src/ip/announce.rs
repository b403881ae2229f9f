//! IPv4 addresses asked for before they are used, said aloud when they come into use, and defended (RFC 5227).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::autoconf::AddressState;
use crate::nic::MacAddr;
use crate::planted::{self, Bug};
use crate::rng::Stream;
use crate::time::{Duration, Instant};
use crate::wire::{ArpOperation, ArpPacket};

/// The first probe waits for a random part of this: hosts that are switched on together do not ask together (RFC 5227 §1.1
/// PROBE_WAIT).
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// Probes of an address, and the least and the most time between two (RFC 5227 §1.1 PROBE_NUM, PROBE_MIN, PROBE_MAX).
const PROBES: u8 = 3;
const PROBE_MIN: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(2);
/// How long objections to the last probe are waited for (RFC 5227 §1.1 ANNOUNCE_WAIT).
const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
/// Announcements of an address, and the time between them (RFC 5227 §1.1 ANNOUNCE_NUM, ANNOUNCE_INTERVAL).
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// An address is defended at most so often (RFC 5227 §1.1 DEFEND_INTERVAL): two hosts that both defend must not flood the
/// link.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How the addresses of an interface come into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// At once, in silence.
    Silent,
    /// At once, and everybody is told (RFC 5227 §2.3).
    Announced,
    /// Once everybody was asked and nobody has objected (RFC 5227 §2.1); then everybody is told.
    Probed,
}

/// What is to be broadcast, or has become of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimAction {
    /// Ask, from no address, who has this one (RFC 5227 §2.1.1).
    Probe(Ipv4Addr),
    /// Say that it is ours (RFC 5227 §2.3, §2.4).
    Announce(Ipv4Addr),
    /// It may be used from now on, or may not: somebody else has it.
    State(Ipv4Addr, AddressState),
}

#[derive(Clone, Copy, Debug)]
struct Claimed {
    address: Ipv4Addr,
    /// Tentative, preferred or duplicate.
    state: AddressState,
    /// Probes and announcements that are still due, and when the next one is; `None`: at once.
    probes: u8,
    announcements: u8,
    at: Option<Instant>,
    defended_at: Option<Instant>,
}

impl Claimed {
    const fn waits(&self) -> bool {
        matches!(self.state, AddressState::Tentative) || self.announcements > 0
    }
}

/// The IPv4 addresses of one interface. It does no I/O: [`Announcer::poll_action`] says what is to be broadcast, and told.
#[derive(Debug)]
pub struct Announcer {
    addresses: Vec<Claimed>,
    random: Stream,
    due: VecDeque<ClaimAction>,
}

impl Announcer {
    /// The announcer of these addresses, which come into use as `claim` says. `random` is for delays.
    pub fn new(addresses: impl Iterator<Item = Ipv4Addr>, claim: Claim, random: Stream) -> Self {
        let probed = claim == Claim::Probed && !planted::is(Bug::Ipv4Unprobed);
        let announced = claim != Claim::Silent && !planted::is(Bug::UnannouncedAddress);
        let claimed = |address| Claimed {
            address,
            state: if probed { AddressState::Tentative } else { AddressState::Preferred },
            probes: if probed { PROBES } else { 0 },
            announcements: if announced { ANNOUNCEMENTS } else { 0 },
            at: None,
            defended_at: None,
        };
        Self { addresses: addresses.map(claimed).collect(), random, due: VecDeque::new() }
    }

    /// Getter: whether `address`, one of this interface's, may be used (yet). `None` for another one.
    pub fn state_of(&self, address: Ipv4Addr) -> Option<AddressState> {
        self.addresses.iter().find(|own| own.address == address).map(|own| own.state)
    }

    /// Output: when `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.addresses.iter().filter(|own| own.waits());
        waiting.map(|own| own.at.unwrap_or(Instant::ZERO)).min()
    }

    /// Input: time has come to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Self { addresses, random, due } = self;
        for own in addresses.iter_mut().filter(|own| own.waits()) {
            if own.at.is_none_or(|at| at <= now) {
                own.go_on(now, random, due);
            }
        }
    }

    /// Input: an ARP packet from another station than `our_mac`. An address that is still being asked for is given up if somebody
    /// has it, or asks for it as well (RFC 5227 §2.1.1). Returns whether one was.
    pub fn handle_arp(&mut self, packet: &ArpPacket, our_mac: MacAddr) -> bool {
        let ArpPacket { operation, sender_mac, sender_ip, target_ip, .. } = *packet;
        if sender_mac == our_mac || planted::is(Bug::Ipv4DuplicateUsed) {
            return false;
        }
        let is_probe = operation == ArpOperation::Request && sender_ip.is_unspecified();
        let wanted = if is_probe { target_ip } else { sender_ip };
        let asked =
            |own: &&mut Claimed| own.address == wanted && own.state == AddressState::Tentative;
        let Some(own) = self.addresses.iter_mut().find(asked) else { return false };
        own.state = AddressState::Duplicate;
        (own.probes, own.announcements, own.at) = (0, 0, None);
        self.due.push_back(ClaimAction::State(own.address, own.state));
        true
    }

    /// Input: another station claims `address`, which is in use here. It is defended, unless that was done not long ago: RFC 5227
    /// §2.4 c, because a server that gives its address up helps nobody.
    pub fn handle_conflict(&mut self, now: Instant, address: Ipv4Addr) {
        let in_use =
            |own: &&mut Claimed| own.address == address && own.state == AddressState::Preferred;
        let Some(own) = self.addresses.iter_mut().find(in_use) else { return };
        let defends = !planted::is(Bug::UndefendedAddress);
        if defends && own.defended_at.is_none_or(|at| at + DEFEND_INTERVAL <= now) {
            own.defended_at = Some(now).filter(|_| !planted::is(Bug::EndlessDefence));
            self.due.push_back(ClaimAction::Announce(address));
        }
    }

    /// Output: what is to be broadcast or told next.
    pub fn poll_action(&mut self) -> Option<ClaimAction> {
        self.due.pop_front()
    }
}

impl Claimed {
    /// The next step: first a wait, then the probes, another wait, and the announcements.
    fn go_on(&mut self, now: Instant, random: &mut Stream, due: &mut VecDeque<ClaimAction>) {
        let mut part_of = |span: Duration| Duration::from_nanos(random.below(span.as_nanos()));
        let pause = match (self.state, self.at) {
            (AddressState::Tentative, None) => part_of(PROBE_WAIT),
            (AddressState::Tentative, Some(_)) if self.probes > 0 => {
                self.probes -= 1;
                due.push_back(ClaimAction::Probe(self.address));
                let between = PROBE_MIN + part_of(PROBE_MAX.saturating_sub(PROBE_MIN));
                if self.probes > 0 { between } else { ANNOUNCE_WAIT }
            }
            (_, _) => {
                if self.state == AddressState::Tentative {
                    self.state = AddressState::Preferred;
                    due.push_back(ClaimAction::State(self.address, self.state));
                }
                if self.announcements > 0 {
                    self.announcements -= 1;
                    due.push_back(ClaimAction::Announce(self.address));
                }
                ANNOUNCE_INTERVAL
            }
        };
        self.at = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn claiming(claim: Claim) -> Announcer {
        Announcer::new([OURS].into_iter(), claim, Stream::new(1, 2))
    }

    fn secs(n: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(n)
    }

    #[test]
    fn an_address_is_announced_twice_two_seconds_apart_or_not_at_all() {
        let mut announcer = claiming(Claim::Announced);
        assert_eq!(announcer.poll_timeout(), Some(Instant::ZERO));
        announcer.handle_timeout(secs(5));
        let announced = Some(ClaimAction::Announce(OURS));
        assert_eq!((announcer.poll_action(), announcer.poll_action()), (announced, None));
        assert_eq!(announcer.poll_timeout(), Some(secs(7)));
        announcer.handle_timeout(secs(6));
        assert_eq!(announcer.poll_action(), None);
        announcer.handle_timeout(secs(7));
        assert_eq!(announcer.poll_action(), announced);
        assert_eq!(announcer.poll_timeout(), None);
        let silent = claiming(Claim::Silent);
        assert_eq!(silent.poll_timeout(), None);
    }

    /// What is done, and when, in nanoseconds, until nothing more is due.
    fn course(announcer: &mut Announcer) -> Vec<(u64, ClaimAction)> {
        let mut course = Vec::new();
        while let Some(at) = announcer.poll_timeout() {
            announcer.handle_timeout(at);
            while let Some(action) = announcer.poll_action() {
                course.push((at.as_nanos(), action));
            }
        }
        course
    }

    #[test]
    fn an_address_is_asked_for_three_times_before_it_is_used_and_announced() {
        let second = 1_000_000_000;
        let mut starts = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut announcer =
                Announcer::new([OURS].into_iter(), Claim::Probed, Stream::new(seed, 1));
            assert_eq!(announcer.state_of(OURS), Some(AddressState::Tentative));
            let course = course(&mut announcer);
            let (times, actions): (Vec<u64>, Vec<ClaimAction>) = course.into_iter().unzip();
            let (probe, announce) = (ClaimAction::Probe(OURS), ClaimAction::Announce(OURS));
            let used = ClaimAction::State(OURS, AddressState::Preferred);
            assert_eq!(actions, [probe, probe, probe, used, announce, announce]);
            assert!(times[0] < second);
            for pair in times[..3].windows(2) {
                assert!((second..2 * second).contains(&(pair[1] - pair[0])));
            }
            assert_eq!(times[3] - times[2], 2 * second);
            assert_eq!((times[4] - times[3], times[5] - times[4]), (0, 2 * second));
            assert_eq!(announcer.state_of(OURS), Some(AddressState::Preferred));
            starts.insert(times[0]);
        }
        assert!(starts.len() > 40, "hosts do not all ask at one moment");
    }

    #[test]
    fn who_has_an_address_or_asks_for_it_too_keeps_us_from_using_it_and_others_do_not() {
        let (ours, theirs) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 9]));
        let other = Ipv4Addr::new(10, 0, 0, 9);
        let nobody = Ipv4Addr::UNSPECIFIED;
        let packet = |operation, sender_mac, sender_ip, target_ip| ArpPacket {
            operation,
            sender_mac,
            sender_ip,
            target_mac: MacAddr::default(),
            target_ip,
        };
        let (request, reply) = (ArpOperation::Request, ArpOperation::Reply);
        let cases = [
            (packet(reply, theirs, OURS, nobody), true),
            (packet(request, theirs, OURS, other), true),
            (packet(request, theirs, nobody, OURS), true),
            (packet(request, theirs, nobody, other), false),
            (packet(request, theirs, other, OURS), false),
            (packet(reply, theirs, nobody, OURS), false),
            (packet(request, ours, nobody, OURS), false),
        ];
        for (packet, gives_up) in cases {
            let mut announcer = claiming(Claim::Probed);
            announcer.handle_timeout(secs(1));
            announcer.handle_timeout(secs(2));
            assert_eq!(announcer.poll_action(), Some(ClaimAction::Probe(OURS)));
            announcer.handle_arp(&packet, ours);
            // It is not defended: nothing of it is in use.
            announcer.handle_conflict(secs(2), OURS);
            let refused = ClaimAction::State(OURS, AddressState::Duplicate);
            assert_eq!(announcer.poll_action(), gives_up.then_some(refused), "{packet:?}");
            assert_eq!(course(&mut announcer).is_empty(), gives_up, "{packet:?}");
            announcer.handle_arp(&packet, ours);
            assert_eq!(announcer.poll_action(), None, "what is settled stays so");
        }
    }

    #[test]
    fn an_address_is_defended_once_in_ten_seconds() {
        let mut announcer = claiming(Claim::Silent);
        let mut defended = |second| {
            announcer.handle_conflict(secs(second), OURS);
            announcer.handle_conflict(secs(second), Ipv4Addr::new(10, 0, 0, 2));
            announcer.poll_action().is_some()
        };
        assert_eq!(
            [1, 2, 10, 11, 12, 21].map(&mut defended),
            [true, false, false, true, false, true]
        );
    }
}
