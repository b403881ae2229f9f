//! What a host is configured to do: what its frames are held against.

use std::net::IpAddr;

use causeway_core::time::{Duration, Instant};

use crate::packet::{Network, Packet};

/// Until address resolution gives up (RFC 4861 10: three attempts, a second apart).
pub(super) const RESOLUTION: Duration = Duration::from_secs(3);

/// What a host is configured to do. [`HostRules::new`] has the stack's defaults.
#[derive(Clone, Debug)]
pub struct HostRules {
    /// Its addresses, on all interfaces.
    pub addresses: Vec<IpAddr>,
    /// It makes IPv6 addresses of its own (RFC 4862): IPv6 sources are not judged.
    pub autoconfigured: bool,
    /// Its station, where it has one only.
    pub mac: Option<[u8; 6]>,
    /// Its stations, on all interfaces: what is for another one does not reach it. Empty where they are not known.
    pub stations: Vec<[u8; 6]>,
    /// Its link's MTU in bytes.
    pub mtu: u16,
    /// The NIC computes checksums behind the place where frames are seen: they are not judged.
    pub checksums_by_nic: bool,
    /// TCP over IPv4 discovers the path's MTU: packets have DF.
    pub path_mtu_discovery: bool,
    /// It looks for a greater path MTU by probes (RFC 4821), so that "too big" is not the last word.
    pub mtu_probing: bool,
    /// SYNs announce all that the link carries: no TCP_MAXSEG.
    pub full_mss: bool,
    /// First retransmission timeout.
    pub rto_initial: Duration,
    /// Least retransmission timeout.
    pub rto_min: Duration,
    /// Greatest retransmission timeout.
    pub rto_max: Duration,
    /// Longest delay of an acknowledgement.
    pub ack_delay_max: Duration,
    /// How long what is due at once may take: the host's loop, and a transmit ring full of other frames.
    pub answer_max: Duration,
    /// Time spent in TIME-WAIT.
    pub time_wait: Duration,
    /// SYNs carry data without a cookie.
    pub fast_open_without_cookie: bool,
    /// Some connection uses keepalive: probes of a closed window cannot be told from it.
    pub keepalive: bool,
    /// Some connection uses DCTCP: every packet may be ECN-capable, and ECE follows each mark.
    pub dctcp: bool,
    /// Least time between challenge acknowledgements of a connection.
    pub challenge_interval: Duration,
    /// Most ICMP errors a second.
    pub icmp_errors_per_second: u32,
    /// Bytes that a stranger may be sent beyond three times what it sent: SYN,ACKs that are sent again.
    pub stranger_bytes: u64,
    /// Machnet: least and greatest timeout, and that of the handshake.
    pub machnet_rto: (Duration, Duration),
    /// See [`HostRules::machnet_rto`].
    pub machnet_syn_rto: Duration,
    /// Added to every deadline: pauses, slow loops, coarse timers.
    pub slack: Duration,
    /// When it last asked for a neighbour's address: what it has for that one waits.
    pub asked: Option<Instant>,
}

impl HostRules {
    /// A host with these addresses and the stack's defaults.
    pub const fn new(addresses: Vec<IpAddr>) -> Self {
        Self {
            addresses,
            autoconfigured: false,
            mac: None,
            stations: Vec::new(),
            mtu: 1_500,
            checksums_by_nic: false,
            path_mtu_discovery: true,
            mtu_probing: false,
            full_mss: true,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            ack_delay_max: Duration::from_millis(500),
            answer_max: Duration::from_millis(10),
            time_wait: Duration::from_secs(60),
            fast_open_without_cookie: false,
            keepalive: false,
            dctcp: false,
            challenge_interval: Duration::from_millis(500),
            icmp_errors_per_second: 1_000,
            stranger_bytes: 1_000,
            machnet_rto: (Duration::from_millis(20), Duration::from_secs(3)),
            machnet_syn_rto: Duration::from_secs(1),
            slack: Duration::ZERO,
            asked: None,
        }
    }

    /// Getter: after so long the host has seen what lies in its receive ring.
    pub(super) fn settles_in(&self) -> Duration {
        self.answer_max + self.slack
    }

    /// Getter: what was due at `due` may have waited for a neighbour's address.
    pub(super) fn held_up(&self, due: Instant) -> bool {
        self.asked.is_some_and(|asked| asked + RESOLUTION >= due && asked <= due + RESOLUTION)
    }

    /// Getter: the host does not listen to a frame that reached it. A packet for an address of the host is for another station, as a switch does not
    /// know better or somebody changed it; or it comes from a group, which sends nothing (IEEE 802.3 3.2.3).
    pub(super) fn is_unheard(&self, packet: &Packet<'_>) -> bool {
        if packet.link.source[0] & 1 != 0 {
            return true;
        }
        let Network::Ip(ip, _) = &packet.network else { return false };
        let known = !self.stations.is_empty() && self.owns(ip.destination);
        known && !self.stations.contains(&packet.link.destination)
    }

    /// Getter: the address is the host's.
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Getter: the greatest MSS that a SYN may announce.
    pub(super) fn mss(&self, v4: bool) -> u16 {
        self.mtu.saturating_sub(if v4 { 40 } else { 60 })
    }
}
