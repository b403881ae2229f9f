//! The machine of one interface.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use super::address::{AddressState, Origin, OwnAddress};
use super::config::{DAD_TRANSMITS_MAX, Ipv6Config, Ipv6Mode};
use super::iid::stable_address;
use super::routers::Routers;
use crate::ip::address::{InterfaceAddress, network_of};
use crate::ip::multicast::{ALL_NODES, solicited_node};
use crate::nic::MacAddr;
use crate::planted::{self, Bug};
use crate::rng::Stream;
use crate::time::{Duration, Instant};
use crate::wire::TTL_DEFAULT;
use crate::wire::ndp::{NdpOption, PrefixInfo, RouterAdvert};

/// Between two solicitations, and after the last of duplicate address detection (RFC 4861 RETRANS_TIMER), unless a router says
/// otherwise; what a router may say, in milliseconds.
const RETRANS_TIMER: Duration = Duration::from_secs(1);
const RETRANS_MS: core::ops::RangeInclusive<u32> = 100..=60_000;
/// For how long a router may have neighbours trusted, in milliseconds (RFC 4861 §6.2.1).
const REACHABLE_MS: core::ops::RangeInclusive<u32> = 1_000..=3_600_000;
/// A smaller hop limit gets packets nowhere, and is what somebody says who wants just that.
const HOP_LIMIT_MIN: u8 = 32;
/// The first message of an interface waits for a random part of this (RFC 4861 MAX_RTR_SOLICITATION_DELAY), and so does an
/// address that an advertisement made, because other hosts heard it at the same moment (RFC 4862 §5.4.2).
const DELAY_MAX: Duration = Duration::from_secs(1);
/// Router solicitations, and the time between them (RFC 4861 §10).
const ROUTER_SOLICITATIONS: u8 = 3;
const ROUTER_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// Identifiers tried anew because others had them (RFC 7217 IDGEN_RETRIES).
const IDGEN_RETRIES: u8 = 3;
/// Most addresses made of advertised prefixes (as Linux's `max_addresses`).
const PREFIX_ADDRESSES_MAX: usize = 16;
/// A lifetime that nobody who is not authenticated can cut below this (RFC 4862 §5.5.3 e).
const LIFETIME_KEPT: Duration = Duration::from_secs(2 * 60 * 60);
/// The least MTU of IPv6 (RFC 8200 §5).
const MTU_MIN: u32 = 1_280;
/// Most actions that wait to be taken.
const ACTIONS_MAX: usize = 256;
/// The network of link-local addresses.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);

/// What is to be sent, or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the group of `target`, from no address, whether somebody has it (RFC 4862 §5.4.2).
    Probe(Ipv6Addr),
    /// Ask for routers.
    SolicitRouters,
    /// Report that this group is listened to, from now on or still (RFC 3810).
    Report(Ipv6Addr),
    /// Report, because somebody asked, that this group is listened to.
    Listens(Ipv6Addr),
    /// Report that it is not any more.
    Leave(Ipv6Addr),
    /// An address has another state now.
    State(Ipv6Addr, AddressState),
    /// An address is none of ours any more.
    Gone(Ipv6Addr),
    /// A name server (RFC 8106) and how long it serves, in seconds.
    Resolver(Ipv6Addr, u32),
}

/// IPv6 on one interface.
///
/// Call order: `handle_timeout` once at the start and at each [`Ipv6Interface::poll_timeout`]; after it and each other `handle_*`,
/// [`Ipv6Interface::poll_action`] until there is none, and [`Ipv6Interface::take_changed`].
#[derive(Debug)]
pub struct Ipv6Interface {
    config: Ipv6Config,
    mac: MacAddr,
    link_mtu: u16,
    /// There is somebody to ask: an Ethernet, and something configured.
    is_active: bool,
    started: bool,
    random: Stream,
    addresses: Vec<OwnAddress>,
    routers: Routers,
    solicitations: u8,
    solicit_at: Option<Instant>,
    report_at: Option<Instant>,
    /// The report that is due answers a query.
    queried: bool,
    hop_limit: u8,
    /// What routers have said of neighbours, and what was drawn from it.
    reachable_ms: u32,
    reachable_time: Option<Duration>,
    retrans_timer: Duration,
    mtu: u16,
    actions: VecDeque<Action>,
    changed: bool,
}

impl Ipv6Interface {
    /// The interface with this station's address (all zero where there are no stations) and MTU. `seed` is for delays.
    ///
    /// A link that carries less than 1280 bytes is none for IPv6 (RFC 8200 §5): it has no address there, whatever is configured.
    pub fn new(
        config: Ipv6Config,
        mac: MacAddr,
        link_mtu: u16,
        addresses: &[InterfaceAddress],
        seed: u64,
    ) -> Self {
        let carries = u32::from(link_mtu) >= MTU_MIN || planted::is(Bug::NarrowLinkSpeaksIpv6);
        let is_active = carries && config.mode != Ipv6Mode::Off && mac != MacAddr::default();
        let entity = mac.0.iter().fold(0x6970_7636, |sum, byte| sum << 8 | u64::from(*byte));
        let mut interface = Self {
            config,
            mac,
            link_mtu,
            is_active,
            started: !is_active,
            random: Stream::new(seed, entity),
            addresses: Vec::new(),
            routers: Routers::default(),
            solicitations: 0,
            solicit_at: None,
            report_at: None,
            queried: false,
            hop_limit: TTL_DEFAULT,
            reachable_ms: 0,
            reachable_time: None,
            retrans_timer: RETRANS_TIMER,
            mtu: link_mtu,
            actions: VecDeque::new(),
            changed: false,
        };
        if is_active {
            let own = stable_address(&config.secret, LINK_LOCAL, mac, 0);
            interface.add(own, 64, Origin::LinkLocal);
        }
        for own in addresses.iter().filter(|_| carries) {
            if let IpAddr::V6(address) = own.addr() {
                interface.add(address, own.prefix_len(), Origin::Configured);
            }
        }
        interface
    }

    /// Getter: the addresses, those that cannot be used (yet) included.
    pub fn addresses(&self) -> &[OwnAddress] {
        &self.addresses
    }

    /// Getter: the state of an address of ours.
    pub fn state_of(&self, address: Ipv6Addr) -> Option<AddressState> {
        self.addresses.iter().find(|own| own.address == address).map(|own| own.state)
    }

    /// Getter: whether what is sent to this group is for us (RFC 4291 §2.8).
    pub fn listens_to(&self, group: Ipv6Addr) -> bool {
        if group == ALL_NODES {
            return self.is_active;
        }
        self.is_active && self.addresses.iter().any(|own| solicited_node(own.address) == group)
    }

    /// Getter: the default router in use.
    pub fn router(&self) -> Option<Ipv6Addr> {
        self.routers.first()
    }

    /// Getter: networks that are reached without a router: prefix and length. Those of our own addresses are on the link whether or not we may
    /// send from them yet: what is for them goes to no router.
    pub fn on_link(&self) -> impl Iterator<Item = (Ipv6Addr, u8)> + '_ {
        let own = self.addresses.iter().filter(|own| !own.is_from_router());
        let own = own.map(|own| (prefix_of(own.address, own.prefix_len), own.prefix_len));
        own.chain(self.routers.prefixes())
    }

    /// Getter: the hop limit to send with.
    pub const fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// Getter: how long a neighbour that has answered is trusted (RFC 4861 §6.3.2); `None`: no router has said.
    pub const fn reachable_time(&self) -> Option<Duration> {
        self.reachable_time
    }

    /// Getter: the time between two solicitations (RFC 4861 §6.3.2).
    pub const fn retrans_timer(&self) -> Duration {
        self.retrans_timer
    }

    /// Getter: the largest IPv6 packet of the link in bytes.
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Output: what is to be sent or told next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Output: true, once, when addresses that can be used, routers or prefixes have changed.
    pub const fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.changed, false)
    }

    /// Output: when `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.started {
            return Some(Instant::ZERO);
        }
        let own = self.addresses.iter().filter_map(OwnAddress::deadline).min();
        [own, self.routers.deadline(), self.solicit_at, self.report_at].into_iter().flatten().min()
    }

    /// Input: time has come to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.started {
            self.start(now);
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        self.age_addresses(now);
        self.changed |= self.routers.expire(now);
        if due(self.solicit_at) {
            self.solicitations += 1;
            self.push(Action::SolicitRouters);
            let again = self.solicitations < ROUTER_SOLICITATIONS && !planted::is(Bug::AsksOnce);
            self.solicit_at = again.then(|| now + ROUTER_SOLICITATION_INTERVAL);
        }
        if due(self.report_at) {
            self.report_at = None;
            let queried = core::mem::take(&mut self.queried);
            let action = if queried { Action::Listens } else { Action::Report };
            for index in 0..self.addresses.len() {
                self.push(action(solicited_node(self.addresses[index].address)));
            }
        }
    }

    /// Input: somebody else uses, or is about to use, an address of ours. One that is in use stays: there is nothing in
    /// IPv6 to defend it with but an answer (RFC 4862 §5.4.5). Returns whether it is one of ours at all.
    pub fn handle_conflict(&mut self, now: Instant, address: Ipv6Addr) -> bool {
        let Some(index) = self.addresses.iter().position(|own| own.address == address) else {
            return false;
        };
        let OwnAddress { state, origin, attempt, .. } = self.addresses[index];
        if state != AddressState::Tentative || planted::is(Bug::DuplicateUsed) {
            return true;
        }
        self.push(Action::State(address, AddressState::Duplicate));
        if origin == Origin::Configured || attempt >= IDGEN_RETRIES {
            let own = &mut self.addresses[index];
            (own.state, own.ask_at) = (AddressState::Duplicate, None);
            return true;
        }
        // RFC 7217 §6: another identifier.
        self.push(Action::Leave(solicited_node(address)));
        let attempt = attempt + 1;
        let next = stable_address(&self.config.secret, address, self.mac, attempt);
        let own = &mut self.addresses[index];
        (own.address, own.attempt, own.asked) = (next, attempt, 0);
        own.ask_at = Some(now + self.retrans_timer);
        self.push(Action::Report(solicited_node(next)));
        true
    }

    /// Input: a router advertisement from `router`, a link-local address, with hop limit 255 (RFC 4861 §6.3.4). Ignored unless
    /// the interface is to listen to routers.
    pub fn handle_router_advert(
        &mut self,
        now: Instant,
        router: Ipv6Addr,
        advert: &RouterAdvert<'_>,
    ) {
        if !self.is_active || self.config.mode != Ipv6Mode::Auto {
            return;
        }
        if advert.hop_limit >= HOP_LIMIT_MIN {
            self.hop_limit = advert.hop_limit;
        }
        self.take_times(advert);
        let lifetime = Duration::from_secs(u64::from(advert.lifetime_s));
        let until = (advert.lifetime_s > 0).then(|| now + lifetime);
        self.changed |= self.routers.set_router(router, until);
        if until.is_some() {
            self.solicit_at = None;
        }
        for option in advert.options.iter() {
            match option {
                NdpOption::Prefix(info) => self.take_prefix(now, &info),
                NdpOption::Mtu(mtu)
                    if planted::is(Bug::AnyMtu)
                        || (MTU_MIN..=u32::from(self.link_mtu)).contains(&mtu) =>
                {
                    self.mtu = mtu as u16;
                }
                NdpOption::Rdnss { lifetime_s, servers } => {
                    for server in
                        servers.chunks_exact(16).filter(|_| !planted::is(Bug::NoResolvers))
                    {
                        let octets = server.first_chunk::<16>().copied().unwrap_or_default();
                        self.push(Action::Resolver(Ipv6Addr::from(octets), lifetime_s));
                    }
                }
                NdpOption::SourceLinkLayer(_)
                | NdpOption::TargetLinkLayer(_)
                | NdpOption::Mtu(_)
                | NdpOption::Other => {}
            }
        }
    }

    /// RFC 4861 §6.3.4: what the router says of neighbours. The time itself is drawn anew when its base changes (§6.3.2), so that
    /// not all hosts ask at one moment.
    fn take_times(&mut self, advert: &RouterAdvert<'_>) {
        let RouterAdvert { reachable_ms, retrans_ms, .. } = *advert;
        if REACHABLE_MS.contains(&reachable_ms) && reachable_ms != self.reachable_ms {
            self.reachable_ms = reachable_ms;
            let base = Duration::from_millis(u64::from(reachable_ms));
            self.reachable_time =
                Some(Duration::from_nanos(base.as_nanos() / 2) + self.delay(base));
        }
        if RETRANS_MS.contains(&retrans_ms) {
            self.retrans_timer = Duration::from_millis(u64::from(retrans_ms));
        }
    }

    /// Input: the default router does not answer. True when there is another one, which is in use from now on.
    pub fn handle_router_silent(&mut self, router: Ipv6Addr) -> bool {
        let demoted = self.routers.demote(router);
        self.changed |= demoted;
        demoted
    }

    /// Input: a station that was a router says that it is none (RFC 4861 §7.2.5).
    pub fn handle_no_router(&mut self, station: Ipv6Addr) {
        self.changed |= self.routers.set_router(station, None);
    }

    /// Input: a router asks which groups are listened to; `group` unspecified: all (RFC 3810 §6.1). The answer comes at a random
    /// moment within `delay_max`.
    pub fn handle_query(&mut self, now: Instant, group: Ipv6Addr, delay_max: Duration) {
        let concerned = group.is_unspecified() || (group != ALL_NODES && self.listens_to(group));
        if self.is_active && concerned {
            let at = now + self.delay(delay_max);
            self.queried |= self.report_at.is_none();
            self.report_at = Some(self.report_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    fn start(&mut self, now: Instant) {
        self.started = true;
        let first = now + self.delay(DELAY_MAX);
        for index in 0..self.addresses.len() {
            let own = &mut self.addresses[index];
            if own.state == AddressState::Tentative {
                own.ask_at = Some(first);
            }
            let group = solicited_node(own.address);
            self.push(Action::Report(group));
        }
        // RFC 3810 §9.1: a report may get lost, so it is sent twice.
        self.report_at = Some(now + self.delay(DELAY_MAX));
        if self.wants_routers() {
            self.solicit_at = Some(first);
        }
    }

    /// Routers are asked for, from a link-local address that is in use: their answers could not reach another.
    fn wants_routers(&self) -> bool {
        let has_link_local =
            |own: &OwnAddress| own.origin == Origin::LinkLocal && own.is_assigned();
        self.config.mode == Ipv6Mode::Auto && self.addresses.iter().any(has_link_local)
    }

    /// A new address: tentative first, unless nobody is to be asked.
    fn add(&mut self, address: Ipv6Addr, prefix_len: u8, origin: Origin) {
        let asks = self.is_active && self.config.dad_transmits > 0 && !planted::is(Bug::NoDad);
        let state = if asks { AddressState::Tentative } else { AddressState::Preferred };
        self.addresses.push(OwnAddress {
            address,
            prefix_len,
            state,
            origin,
            attempt: 0,
            asked: 0,
            ask_at: None,
            preferred_until: None,
            valid_until: None,
        });
        self.changed |= !asks;
    }

    fn age_addresses(&mut self, now: Instant) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let mut index = 0;
        while index < self.addresses.len() {
            let own = self.addresses[index];
            if due(own.valid_until) {
                self.addresses.remove(index);
                self.changed = true;
                self.push(Action::Leave(solicited_node(own.address)));
                self.push(Action::Gone(own.address));
                continue;
            }
            if due(own.ask_at) {
                self.ask_or_assign(now, index);
            }
            let own = &mut self.addresses[index];
            if own.state == AddressState::Preferred && due(own.preferred_until) {
                own.state = AddressState::Deprecated;
                let address = own.address;
                self.changed = true;
                self.push(Action::State(address, AddressState::Deprecated));
            }
            index += 1;
        }
    }

    /// RFC 4862 §5.4: asked often enough without an answer, the address is ours.
    fn ask_or_assign(&mut self, now: Instant, index: usize) {
        let transmits = self.config.dad_transmits.min(DAD_TRANSMITS_MAX);
        let own = &mut self.addresses[index];
        let address = own.address;
        if own.asked < transmits {
            own.asked += 1;
            own.ask_at = Some(now + self.retrans_timer);
            self.push(Action::Probe(address));
            return;
        }
        (own.state, own.ask_at) = (AddressState::Preferred, None);
        let is_link_local = own.origin == Origin::LinkLocal;
        self.changed = true;
        self.push(Action::State(address, AddressState::Preferred));
        if is_link_local && self.wants_routers() && self.solicitations == 0 {
            self.solicit_at = Some(now);
        }
    }

    /// RFC 4861 §6.3.4 for the link, RFC 4862 §5.5.3 for an address.
    fn take_prefix(&mut self, now: Instant, info: &PrefixInfo) {
        let prefix = prefix_of(info.prefix, info.prefix_len);
        if prefix.is_unicast_link_local() || prefix.is_multicast() || info.prefix_len == 0 {
            return;
        }
        if info.on_link || planted::is(Bug::PrefixOnLink) {
            self.changed |= if info.valid_s == 0 {
                self.routers.remove_prefix(prefix, info.prefix_len)
            } else {
                self.routers.set_prefix(prefix, info.prefix_len, lifetime(now, info.valid_s))
            };
        }
        let usable = info.autonomous && info.prefix_len == 64 && info.preferred_s <= info.valid_s;
        if usable {
            self.take_autonomous(now, prefix, info);
        }
    }

    fn take_autonomous(&mut self, now: Instant, prefix: Ipv6Addr, info: &PrefixInfo) {
        let made = |own: &OwnAddress| {
            own.is_from_router() && prefix_of(own.address, own.prefix_len) == prefix
        };
        if let Some(index) = self.addresses.iter().position(made) {
            return self.renew(now, index, info);
        }
        let count = self.addresses.iter().filter(|own| own.is_from_router()).count();
        if info.valid_s == 0 || count >= PREFIX_ADDRESSES_MAX {
            return;
        }
        let address = stable_address(&self.config.secret, prefix, self.mac, 0);
        self.add(address, info.prefix_len, Origin::Prefix);
        let delay = self.delay(DELAY_MAX);
        if let Some(own) = self.addresses.last_mut() {
            own.ask_at = (own.state == AddressState::Tentative).then(|| now + delay);
            let ages = !planted::is(Bug::PreferredForEver);
            own.preferred_until = lifetime(now, info.preferred_s).filter(|_| ages);
            own.valid_until = lifetime(now, info.valid_s);
        }
        self.push(Action::Report(solicited_node(address)));
    }

    /// RFC 4862 §5.5.3 e: a lifetime is prolonged at will, and cut to two hours at the least.
    fn renew(&mut self, now: Instant, index: usize, info: &PrefixInfo) {
        let own = &mut self.addresses[index];
        let advertised = lifetime(now, info.valid_s);
        let later = |a: Option<Instant>, b: Option<Instant>| match (a, b) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(a), Some(b)) => a > b,
        };
        let cuts = planted::is(Bug::LifetimesCut);
        let floor = Some(if cuts { now } else { now + LIFETIME_KEPT });
        if later(advertised, floor) || later(advertised, own.valid_until) {
            own.valid_until = advertised;
        } else if later(own.valid_until, floor) {
            own.valid_until = floor;
        }
        own.preferred_until = lifetime(now, info.preferred_s);
        let address = own.address;
        if own.state == AddressState::Deprecated && info.preferred_s > 0 {
            own.state = AddressState::Preferred;
            self.changed = true;
            self.push(Action::State(address, AddressState::Preferred));
        }
    }

    /// A random part of `max`.
    const fn delay(&mut self, max: Duration) -> Duration {
        Duration::from_nanos(self.random.below(max.as_nanos()))
    }

    fn push(&mut self, action: Action) {
        if self.is_active && self.actions.len() < ACTIONS_MAX {
            self.actions.push_back(action);
        }
    }
}

/// When a lifetime of `secs` seconds ends; all ones is never.
fn lifetime(now: Instant, secs: u32) -> Option<Instant> {
    (secs != u32::MAX).then(|| now + Duration::from_secs(u64::from(secs)))
}

fn prefix_of(address: Ipv6Addr, prefix_len: u8) -> Ipv6Addr {
    match network_of(IpAddr::V6(address), prefix_len) {
        IpAddr::V6(network) => network,
        IpAddr::V4(_) => address,
    }
}
