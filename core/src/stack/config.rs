//! What a stack is told once: addresses, routes, limits, secrets. Every value is checked by [`StackConfigBuilder::build`].

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use causeway_checksum::Implementation;

use crate::ip::autoconf::DAD_TRANSMITS_MAX;
use crate::ip::{InterfaceAddress, Ipv6Mode, Route, RouteError};
use crate::nic::{INTERFACES_MAX, IfIndex};
use crate::{machnet, tcp};

/// Why a configuration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigError {
    /// More interfaces than [`INTERFACES_MAX`] leaves beside the loopback.
    InterfacesMax,
    /// As many NICs must be given as interfaces are configured.
    InterfaceCount,
    /// An interface address is a loopback address: those belong to the built-in loopback.
    LoopbackAddress,
    /// The same address twice.
    AddressTwice,
    /// A route through an interface that does not exist.
    RouteInterface,
    /// A route that the routing table refuses.
    Route(RouteError),
    /// Too many peers whose UDP checksums may be wrong, or one that cannot be a host's address.
    BadChecksumPeers,
    /// A limit outside its documented range.
    Limit,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::InterfacesMax => "too many interfaces",
            Self::InterfaceCount => "the number of NICs is not the number of interfaces",
            Self::LoopbackAddress => "a loopback address cannot be an interface's",
            Self::AddressTwice => "an interface address is there twice",
            Self::RouteInterface => "a route names an interface that does not exist",
            Self::Route(RouteError::PrefixLength) => "a route's prefix is longer than its address",
            Self::Route(RouteError::HostBits) => "a route's destination has bits behind its prefix",
            Self::Route(RouteError::Family) => "a route's addresses are of different families",
            Self::Route(RouteError::Mapped) => "an IPv4 route is written as IPv6",
            Self::Route(RouteError::Exists) => "two routes have the same prefix",
            Self::Route(RouteError::Full) => "there are too many routes",
            Self::BadChecksumPeers => {
                "the peers whose UDP checksums may be wrong are too many, or one is no host's address"
            }
            Self::Limit => "a limit is out of range",
        })
    }
}

impl core::error::Error for ConfigError {}

/// A checked configuration. Made by [`StackConfig::builder`].
#[derive(Clone, Debug)]
pub struct StackConfig {
    interfaces: Vec<Vec<InterfaceAddress>>,
    /// Of each interface, as far as one was set.
    vlans: Vec<Option<u16>>,
    routes: Vec<Route>,
    sockets_max: u32,
    sockets_per_channel_max: u32,
    backlog_max: u32,
    time_wait_max: u32,
    neighbors_max: u32,
    pings_max: u32,
    replies_max: u32,
    resets_per_second: u32,
    icmp_errors_per_second: u32,
    challenges_per_second: u32,
    syn_cookies: bool,
    echo_replies_per_second: u32,
    reassembly_bytes_max: u32,
    tcp_mem: u64,
    unreachables: bool,
    echo_groups: bool,
    /// What was asked for of each interface.
    ipv6: Vec<Ipv6Mode>,
    /// Of each interface: whether IPv4 addresses are asked for first.
    probes: Vec<bool>,
    announce_addresses: bool,
    dad_transmits: u8,
    stable_secret: [u8; 16],
    accept_bad_udp_checksum: Vec<Ipv4Addr>,
    events_max: u32,
    checksum: Implementation,
    seed: u64,
    secret: [u8; 16],
    tcp: tcp::Config,
    machnet: machnet::Config,
    /// The same over IPv6.
    machnet_v6: machnet::Config,
}

/// So many applications can each have all the echo requests under way that one may have.
const PINGS_SHARE: u32 = 4;

/// Collects the settings of a [`StackConfig`]. Every setting has a default; an engine without an interface still
/// serves flows between its own processes once it has an address.
#[derive(Clone, Debug)]
pub struct StackConfigBuilder(StackConfig);

impl StackConfig {
    /// A builder with every default, and the given keys.
    ///
    /// `seed` addresses all random numbers that need not be secret. `secret` keys initial sequence numbers,
    /// timestamp offsets and hash tables: from the operating system's generator in production, constant in tests.
    pub fn builder(seed: u64, secret: [u8; 16]) -> StackConfigBuilder {
        StackConfigBuilder(Self {
            interfaces: Vec::new(),
            vlans: Vec::new(),
            routes: Vec::new(),
            sockets_max: 65_536,
            sockets_per_channel_max: SOCKETS_MAX_MAX,
            backlog_max: 4_096,
            time_wait_max: 16_384,
            neighbors_max: 1_024,
            pings_max: 64,
            replies_max: 256,
            resets_per_second: 1_000,
            icmp_errors_per_second: 1_000,
            challenges_per_second: 1_000,
            syn_cookies: true,
            echo_replies_per_second: 10_000,
            reassembly_bytes_max: 4 << 20,
            tcp_mem: 1 << 30,
            unreachables: true,
            echo_groups: false,
            ipv6: Vec::new(),
            probes: Vec::new(),
            announce_addresses: false,
            dad_transmits: 1,
            stable_secret: secret,
            accept_bad_udp_checksum: Vec::new(),
            events_max: 0,
            checksum: Implementation::detect(),
            seed,
            secret,
            tcp: tcp::Config::default(),
            machnet: machnet::Config::default(),
            machnet_v6: machnet::Config::default().over_ipv6(),
        })
    }

    /// Getter: addresses of each interface; interface 1 is the first.
    pub fn interfaces(&self) -> &[Vec<InterfaceAddress>] {
        &self.interfaces
    }
    /// Getter: the addresses of an interface; the loopback has none of its own.
    pub fn addresses(&self, interface: IfIndex) -> &[InterfaceAddress] {
        let own = interface.index().checked_sub(1).and_then(|at| self.interfaces.get(at));
        own.map_or(&[], Vec::as_slice)
    }
    /// Getter: the VLAN of an interface, if it is one's.
    pub fn vlan(&self, interface: IfIndex) -> Option<u16> {
        let index = interface.index().checked_sub(1)?;
        self.vlans.get(index).copied().flatten()
    }
    /// Getter: routes besides those of the interfaces' own prefixes.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
    /// Getter: most sockets.
    pub const fn sockets_max(&self) -> u32 {
        self.sockets_max
    }
    /// Getter: most sockets of one channel.
    pub const fn sockets_per_channel_max(&self) -> u32 {
        self.sockets_per_channel_max
    }
    /// Getter: most that a listener's backlog can be.
    pub const fn backlog_max(&self) -> u32 {
        self.backlog_max
    }
    /// Getter: most connections in TIME-WAIT.
    pub const fn time_wait_max(&self) -> u32 {
        self.time_wait_max
    }
    /// Getter: most neighbour entries.
    pub const fn neighbors_max(&self) -> u32 {
        self.neighbors_max
    }
    /// Getter: most echo requests that wait for their reply.
    pub const fn pings_max(&self) -> u32 {
        self.pings_max
    }
    /// Getter: most of them that are of one application: a quarter, at least one.
    pub const fn pings_per_channel_max(&self) -> u32 {
        self.pings_max.div_ceil(PINGS_SHARE)
    }
    /// Getter: most replies without a socket that wait for transmission.
    pub const fn replies_max(&self) -> u32 {
        self.replies_max
    }
    /// Getter: most RST segments a second for segments without a socket.
    pub const fn resets_per_second(&self) -> u32 {
        self.resets_per_second
    }
    /// Getter: most ICMP errors a second.
    pub const fn icmp_errors_per_second(&self) -> u32 {
        self.icmp_errors_per_second
    }
    /// Getter: challenge acknowledgements a second, about.
    pub const fn challenges_per_second(&self) -> u32 {
        self.challenges_per_second
    }
    pub(super) const fn set_challenges_per_second(&mut self, n: u32) {
        self.challenges_per_second = n;
    }
    pub(super) const fn set_machnet(&mut self, config: machnet::Config) {
        self.machnet = config;
        self.machnet_v6 = config.over_ipv6();
    }
    pub(super) const fn set_sockets_per_channel_max(&mut self, n: u32) {
        self.sockets_per_channel_max = n;
    }
    pub(super) const fn set_syn_cookies(&mut self, on: bool) {
        self.syn_cookies = on;
    }
    /// Getter: whether full listeners answer with SYN cookies.
    pub const fn syn_cookies(&self) -> bool {
        self.syn_cookies
    }
    /// Getter: most echo replies a second.
    pub const fn echo_replies_per_second(&self) -> u32 {
        self.echo_replies_per_second
    }
    /// Getter: most bytes that are kept of datagrams whose other fragments are missing.
    pub const fn reassembly_bytes_max(&self) -> u32 {
        self.reassembly_bytes_max
    }
    /// Getter: most bytes of received data that all connections together hold above their floors.
    pub const fn tcp_mem(&self) -> u64 {
        self.tcp_mem
    }

    /// Getter: whether ICMP errors are sent.
    pub const fn unreachables(&self) -> bool {
        self.unreachables
    }
    /// Getter: IPv6 on the interface with this index; the loopback's addresses need none of it.
    pub fn ipv6_mode(&self, index: usize) -> Ipv6Mode {
        let at = index.checked_sub(1);
        let asked = at.and_then(|at| self.ipv6.get(at)).copied().unwrap_or_default();
        let has_address = at
            .and_then(|at| self.interfaces.get(at))
            .is_some_and(|addresses| addresses.iter().any(|address| address.addr().is_ipv6()));
        if asked == Ipv6Mode::Off && has_address { Ipv6Mode::Static } else { asked }
    }
    /// Getter: whether the IPv4 addresses of an interface are asked for before they are used.
    pub fn probe_addresses(&self, interface: IfIndex) -> bool {
        let at = interface.index().checked_sub(1);
        at.and_then(|at| self.probes.get(at)).copied().unwrap_or_default()
    }
    /// Getter: whether IPv4 addresses are announced at the start.
    pub const fn announce_addresses(&self) -> bool {
        self.announce_addresses
    }
    /// Getter: how often an IPv6 address is asked for before it is used.
    pub const fn dad_transmits(&self) -> u8 {
        self.dad_transmits
    }
    /// Getter: the key of the interface identifiers of IPv6.
    pub const fn stable_secret(&self) -> &[u8; 16] {
        &self.stable_secret
    }
    /// Getter: whether an echo request to a group is answered.
    pub const fn echo_groups(&self) -> bool {
        self.echo_groups
    }
    /// Getter: the peers whose wrong UDP checksums are overlooked, sorted.
    pub fn accept_bad_udp_checksum(&self) -> &[Ipv4Addr] {
        &self.accept_bad_udp_checksum
    }
    /// Getter: most events kept, 0 when none are.
    pub const fn events_max(&self) -> u32 {
        self.events_max
    }
    /// Getter: the code that computes checksums.
    pub const fn checksum(&self) -> Implementation {
        self.checksum
    }
    /// Getter: the seed of random numbers that are no secret.
    pub const fn seed(&self) -> u64 {
        self.seed
    }
    /// Getter: the key of everything a peer must not guess.
    pub const fn secret(&self) -> &[u8; 16] {
        &self.secret
    }
    /// Getter: settings of TCP connections.
    pub const fn tcp(&self) -> &tcp::Config {
        &self.tcp
    }
    /// Getter: settings of Machnet flows to `peer`: they depend on the family.
    pub const fn machnet_for(&self, peer: IpAddr) -> &machnet::Config {
        match peer {
            IpAddr::V4(_) => &self.machnet,
            IpAddr::V6(_) => &self.machnet_v6,
        }
    }
    /// Getter: settings of Machnet flows.
    pub const fn machnet(&self) -> &machnet::Config {
        &self.machnet
    }
}

impl StackConfigBuilder {
    /// The next interface and its addresses with their prefix lengths: the first call describes interface 1.
    #[must_use]
    pub fn interface(mut self, addresses: &[InterfaceAddress]) -> Self {
        self.0.interfaces.push(addresses.to_vec());
        self.0.ipv6.push(Ipv6Mode::Off);
        self.0.probes.push(false);
        self
    }
    /// IPv6 on the interface that the last call of [`Self::interface`] described. Default: [`Ipv6Mode::Static`] if it has an IPv6
    /// address, which is also the least then, else [`Ipv6Mode::Off`].
    #[must_use]
    pub fn ipv6(mut self, mode: Ipv6Mode) -> Self {
        if let Some(last) = self.0.ipv6.last_mut() {
            *last = mode;
        }
        self
    }
    /// Whether each IPv4 address of the interface that the last call of [`Self::interface`] described is asked for on the link before
    /// it is used, three times within four to seven seconds, and not used if somebody else has it (RFC 5227 §2.1). It is announced
    /// then in any case. Default false, as Linux does it: it is used at once. Without effect where there are no stations.
    #[must_use]
    pub fn probe_addresses(mut self, on: bool) -> Self {
        if let Some(last) = self.0.probes.last_mut() {
            *last = on;
        }
        self
    }
    /// Whether IPv4 addresses are announced at the start, twice (RFC 5227 §2.3): who knew them with another station learns of
    /// this one. Default false. They are defended in any case.
    #[must_use]
    pub const fn announce_addresses(mut self, on: bool) -> Self {
        self.0.announce_addresses = on;
        self
    }
    /// How often an IPv6 address is asked for, a second apart, before it is used (RFC 4862 §5.1). Default 1; 0 to 10; 0 uses
    /// addresses at once, and notices nobody who has them.
    #[must_use]
    pub const fn dad_transmits(mut self, n: u8) -> Self {
        self.0.dad_transmits = n;
        self
    }
    /// The key of the interface identifiers of IPv6 (RFC 7217 §5). With the same key a host has the same addresses after each
    /// start. Default: the stack's secret.
    #[must_use]
    pub const fn stable_secret(mut self, secret: [u8; 16]) -> Self {
        self.0.stable_secret = secret;
        self
    }
    /// The interface of the last call of [`Self::interface`] is in this VLAN (IEEE 802.1Q): its frames carry the tag, and those
    /// that come without it, or with another, are dropped. 1 to 4094; no VLAN by default: then frames without a tag and those
    /// whose tag is a priority only are taken.
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.0.vlans.resize(self.0.interfaces.len(), None);
        match self.0.vlans.last_mut() {
            Some(last) => *last = Some(id),
            // Refused by `build`: there is no interface that it could be the VLAN of.
            None => self.0.vlans.push(Some(0)),
        }
        self
    }
    /// One more route; the interfaces' own prefixes need none.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.0.routes.push(route);
        self
    }
    /// Most sockets: listeners, connections (TIME-WAIT included) and flows. Default 65,536; 1 to 2^24. Memory is taken as it is needed.
    #[must_use]
    pub const fn sockets_max(mut self, n: u32) -> Self {
        self.0.sockets_max = n;
        self
    }
    /// Most sockets of one channel, counted as in [`Self::sockets_max`], of which it should be a fraction where channels
    /// must not be able to starve each other. Default 2^24: no limit besides `sockets_max`; 1 to 2^24.
    #[must_use]
    pub const fn sockets_per_channel_max(mut self, n: u32) -> Self {
        self.0.sockets_per_channel_max = n;
        self
    }
    /// Most that the backlog of one listener can be, whatever the application asks. Default 4,096; 1 to 2^20.
    #[must_use]
    pub const fn backlog_max(mut self, n: u32) -> Self {
        self.0.backlog_max = n;
        self
    }
    /// Most connections in TIME-WAIT; beyond, the oldest is forgotten early. Default 16,384; 1 to 2^24. Fewer save
    /// memory and weaken the protection that RFC 9293 §3.6.1 gives against old duplicates.
    #[must_use]
    pub const fn time_wait_max(mut self, n: u32) -> Self {
        self.0.time_wait_max = n;
        self
    }
    /// Most neighbour entries on all interfaces. Default 1,024; 8 to 65,536.
    #[must_use]
    pub const fn neighbors_max(mut self, n: u32) -> Self {
        self.0.neighbors_max = n;
        self
    }
    /// Most echo requests of all applications under way, of one application a quarter of them
    /// ([`StackConfig::pings_per_channel_max`]). Default 64; 1 to 4,096.
    #[must_use]
    pub const fn pings_max(mut self, n: u32) -> Self {
        self.0.pings_max = n;
        self
    }
    /// Most replies without a socket (RST, echo reply, ARP) that wait for transmission. Default 256; 8 to 65,536.
    #[must_use]
    pub const fn replies_max(mut self, n: u32) -> Self {
        self.0.replies_max = n;
        self
    }
    /// Most RST segments a second for segments of no connection, on average: each takes a random share, so that nobody can
    /// count what others were sent. Default 1,000; up to 1,000,000; 0 for none at all.
    #[must_use]
    pub const fn resets_per_second(mut self, n: u32) -> Self {
        self.0.resets_per_second = n;
        self
    }
    /// Most ICMP errors a second (RFC 1812 §4.3.2.8, RFC 4443 §2.4 f), on average and uncountable like resets. Default
    /// 1,000; up to 1,000,000; 0 for none at all.
    #[must_use]
    pub const fn icmp_errors_per_second(mut self, n: u32) -> Self {
        self.0.icmp_errors_per_second = n;
        self
    }
    /// Challenge acknowledgements of all connections together in a second (RFC 5961 §7; tcp_challenge_ack_limit); the exact
    /// number is drawn anew each second, from half to one and a half times this one. Default 1,000; up to 1,000,000.
    #[must_use]
    pub const fn challenges_per_second(mut self, n: u32) -> Self {
        self.0.challenges_per_second = n;
        self
    }
    /// Whether a listener with one more half-open connection than its backlog answers further SYNs with a cookie and keeps
    /// nothing (tcp_syncookies, RFC 4987 §3.6). Default true; false drops them.
    #[must_use]
    pub const fn syn_cookies(mut self, on: bool) -> Self {
        self.0.syn_cookies = on;
        self
    }
    /// Most echo replies a second, in a bucket of their own: whoever pings does not use up the errors, nor the other way
    /// round. Default 10,000; up to 10,000,000; 0 for none at all (RFC 1122 §3.2.2.6 wants them).
    #[must_use]
    pub const fn echo_replies_per_second(mut self, n: u32) -> Self {
        self.0.echo_replies_per_second = n;
        self
    }
    /// Most bytes that are kept of datagrams whose other fragments are missing, records included; one sender gets a quarter
    /// at most. Default 4 MiB (Linux's `ipfrag_high_thresh`); up to 1 GiB; 0 for none: fragments are dropped. Taken as it is
    /// needed. One whole datagram of the longest kind needs 64 KiB of a sender's quarter.
    #[must_use]
    pub const fn reassembly_bytes_max(mut self, n: u32) -> Self {
        self.0.reassembly_bytes_max = n;
        self
    }
    /// Most bytes of received data that all connections together hold: what applications have not read, and what lies beyond gaps
    /// (tcp_mem, but in bytes). Each connection's first few (tcp_rmem's least, [`tcp::ConfigBuilder::tcp_rmem`]) do not count. Default
    /// 1 GiB, at least 64 KiB. Before it is reached, those that hold most are told smaller windows, and take no more.
    #[must_use]
    pub const fn tcp_mem(mut self, bytes: u64) -> Self {
        self.0.tcp_mem = bytes;
        self
    }

    /// Whether ICMP errors are sent: port and protocol unreachable, time exceeded, parameter problem (RFC 1122 §3.2.2,
    /// §4.1.3.1). Default true.
    #[must_use]
    pub const fn unreachables(mut self, on: bool) -> Self {
        self.0.unreachables = on;
        self
    }
    /// Whether an echo request to an IPv6 group of ours is answered (RFC 4443 §4.2 lets a host choose). Default false: one
    /// packet would draw answers from all hosts of a link.
    #[must_use]
    pub const fn echo_groups(mut self, on: bool) -> Self {
        self.0.echo_groups = on;
        self
    }
    /// Peers whose datagrams are taken although their UDP checksum is wrong, as those of upstream Machnet on some NICs
    /// are; each is counted in [`super::Stats::udp_checksums_overlooked`]. Default none; up to
    /// [`BAD_CHECKSUM_PEERS_MAX`] unicast addresses. What else damages their datagrams on the way is not noticed then.
    #[must_use]
    pub fn accept_bad_udp_checksum(mut self, peers: &[Ipv4Addr]) -> Self {
        self.0.accept_bad_udp_checksum = peers.to_vec();
        self.0.accept_bad_udp_checksum.sort_unstable();
        self.0.accept_bad_udp_checksum.dedup();
        self
    }
    /// Most events kept between two calls of `poll_event`. Default 0: no events; up to 2^20.
    #[must_use]
    pub const fn events_max(mut self, n: u32) -> Self {
        self.0.events_max = n;
        self
    }
    /// The code that computes checksums. Default: the fastest the build knows.
    #[must_use]
    pub const fn checksum(mut self, implementation: Implementation) -> Self {
        self.0.checksum = implementation;
        self
    }
    /// Settings of TCP connections, checked by their own builder.
    #[must_use]
    pub fn tcp(mut self, config: tcp::Config) -> Self {
        self.0.tcp = config;
        self
    }
    /// Settings of Machnet flows, checked by their own builder.
    #[must_use]
    pub fn machnet(mut self, config: machnet::Config) -> Self {
        self.0.machnet = config;
        self.0.machnet_v6 = config.over_ipv6();
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// The first reason found why this cannot be a stack's configuration.
    pub fn build(self) -> Result<StackConfig, ConfigError> {
        let mut config = self.0;
        config.machnet = config.machnet.summed_by(config.checksum);
        config.machnet_v6 = config.machnet_v6.summed_by(config.checksum);
        if config.interfaces.len() >= INTERFACES_MAX {
            return Err(ConfigError::InterfacesMax);
        }
        check_addresses(&config.interfaces)?;
        if config.vlans.iter().flatten().any(|id| !(1..=4_094).contains(id)) {
            return Err(ConfigError::Limit);
        }
        for route in &config.routes {
            if !(1..=config.interfaces.len()).contains(&route.interface.index()) {
                return Err(ConfigError::RouteInterface);
            }
        }
        if config.tcp_mem < 64 << 10 {
            return Err(ConfigError::Limit);
        }
        let ranges = [
            (config.sockets_max, 1, SOCKETS_MAX_MAX),
            (config.sockets_per_channel_max, 1, SOCKETS_MAX_MAX),
            (config.backlog_max, 1, 1 << 20),
            (config.time_wait_max, 1, 1 << 24),
            (config.neighbors_max, 8, 65_536),
            (config.pings_max, 1, 4_096),
            (config.replies_max, 8, 65_536),
            (config.resets_per_second, 0, 1_000_000),
            (config.icmp_errors_per_second, 0, 1_000_000),
            (config.challenges_per_second, 0, 1_000_000),
            (config.echo_replies_per_second, 0, 10_000_000),
            (config.reassembly_bytes_max, 0, 1 << 30),
            (u32::from(config.dad_transmits), 0, u32::from(DAD_TRANSMITS_MAX)),
            (config.events_max, 0, 1 << 20),
        ];
        let peers = &config.accept_bad_udp_checksum;
        let is_host = |peer: &Ipv4Addr| {
            !(peer.is_unspecified() || peer.is_multicast() || peer.is_broadcast())
        };
        if peers.len() > BAD_CHECKSUM_PEERS_MAX || !peers.iter().all(is_host) {
            return Err(ConfigError::BadChecksumPeers);
        }
        if ranges.iter().any(|(value, min, max)| value < min || value > max) {
            return Err(ConfigError::Limit);
        }
        Ok(config)
    }
}

/// The upper end of the range of `sockets_max`.
const SOCKETS_MAX_MAX: u32 = 1 << 24;
/// Most peers of [`StackConfigBuilder::accept_bad_udp_checksum`].
pub const BAD_CHECKSUM_PEERS_MAX: usize = 64;
/// Most routes, the interfaces' own prefixes included.
pub(super) const ROUTES_MAX: usize = 4_096;

fn check_addresses(interfaces: &[Vec<InterfaceAddress>]) -> Result<(), ConfigError> {
    let mut seen: Vec<IpAddr> = Vec::new();
    for address in interfaces.iter().flatten().map(InterfaceAddress::addr) {
        if address.is_loopback() {
            return Err(ConfigError::LoopbackAddress);
        }
        if seen.contains(&address) {
            return Err(ConfigError::AddressTwice);
        }
        seen.push(address);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str, prefix_len: u8) -> InterfaceAddress {
        InterfaceAddress::new(text.parse().unwrap(), prefix_len).unwrap()
    }

    fn builder() -> StackConfigBuilder {
        StackConfig::builder(1, [2; 16]).interface(&[address("10.0.0.1", 24)])
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused_with_its_reason() {
        let route = |interface| Route {
            destination: "0.0.0.0".parse().unwrap(),
            prefix_len: 0,
            gateway: Some("10.0.0.254".parse().unwrap()),
            interface: IfIndex(interface),
            source: None,
        };
        let error = |builder: StackConfigBuilder| builder.build().unwrap_err();
        assert!(builder().route(route(1)).build().is_ok());
        assert_eq!(error(builder().route(route(2))), ConfigError::RouteInterface);
        assert_eq!(error(builder().route(route(0))), ConfigError::RouteInterface);
        assert_eq!(error(builder().vlan(0)), ConfigError::Limit);
        assert_eq!(error(builder().vlan(4_095)), ConfigError::Limit);
        assert_eq!(builder().vlan(5).build().map(|c| c.vlan(IfIndex(1))), Ok(Some(5)));
        let twice = builder().interface(&[address("10.0.0.1", 16)]);
        assert_eq!(error(twice), ConfigError::AddressTwice);
        let loopback = builder().interface(&[address("127.0.0.1", 8)]);
        assert_eq!(error(loopback), ConfigError::LoopbackAddress);
        assert_eq!(error(builder().sockets_max(0)), ConfigError::Limit);
        assert_eq!(error(builder().sockets_per_channel_max(0)), ConfigError::Limit);
        let nobody = builder().accept_bad_udp_checksum(&[Ipv4Addr::BROADCAST]);
        assert_eq!(error(nobody), ConfigError::BadChecksumPeers);
        let many: Vec<_> = (1..66).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
        assert!(builder().accept_bad_udp_checksum(&many[1..]).build().is_ok());
        assert_eq!(error(builder().accept_bad_udp_checksum(&many)), ConfigError::BadChecksumPeers);
        let crowd = (1..8).fold(builder(), |b, i| b.interface(&[address("10.0.1.1", 24 + i)]));
        assert_eq!(error(crowd), ConfigError::InterfacesMax);
    }
}
