//! The stack: every table in one place, and nothing else. What happens is in the other files of this module.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::autoconf::autoconf_deadline;
use super::channels::Channels;
use super::config::{ConfigError, StackConfig};
use super::event_log::EventLog;
use super::lookup::Demux;
use super::ping::Pings;
use super::recent::Recent;
use super::replies::{RateLimit, Replies};
use super::routing::Routing;
use super::sock::{Kind, Sockets};
use super::stats::Stats;
use super::way::Way;
use crate::event::Stamped;
use crate::ip::neighbor::NeighborTable;
use crate::ip::{Announcer, Identifications, Ipv6Interface, PathMtus, Reassembly};
use crate::keyed_hash::KeyedHash;
use crate::nic::{INTERFACES_MAX, IfIndex, MacAddr, Medium, NicCaps};
use crate::port::SocketId;
use crate::rng::Stream;
use crate::socket::{EphemeralPorts, PortSequence, ReadyQueue, Table};
use crate::tcp::congestion::CongestionFigures;
use crate::tcp::{ChallengeBudget, FastOpenCache, ReceiveMemory, SharedConfig};
use crate::time::{Duration, Instant};
use crate::wheel::TimerWheel;

/// What the stack needs to know of an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) medium: Medium,
    pub(super) mac: MacAddr,
    pub(super) mtu: u16,
    /// The VLAN that its frames are tagged with.
    pub(super) vlan: Option<u16>,
}

/// TCP, Machnet and IP over a number of interfaces, without any I/O of its own.
///
/// Call order: [`Stack::handle_command`] and [`Stack::handle_rx`] as things arrive, [`Stack::handle_timeout`] at
/// [`Stack::poll_timeout`], and after each of them [`Stack::poll_transmit`] for every interface until it is idle.
/// [`crate::engine::Engine::step`] does all this.
#[derive(Debug)]
pub struct Stack {
    pub(super) config: StackConfig,
    /// The settings of TCP connections without options of their own.
    pub(super) tcp_config: SharedConfig,
    pub(super) links: Vec<Link>,
    pub(super) routing: Routing,
    pub(super) neighbors: NeighborTable,
    /// One for each interface.
    pub(super) ipv6: Vec<Ipv6Interface>,
    /// One for each interface.
    pub(super) announcers: Vec<Announcer>,
    /// The earliest deadline of those.
    pub(super) autoconf_at: Option<Instant>,
    pub(super) sockets: Sockets,
    pub(super) channels: Channels,
    pub(super) tcp: Demux,
    pub(super) recent: Recent,
    pub(super) way: Way,
    pub(super) machnet: Demux,
    pub(super) flow_labels: KeyedHash,
    pub(super) udp: Demux,
    pub(super) ports: EphemeralPorts,
    pub(super) time_wait_reuse: Option<Duration>,
    pub(super) port_sequence: PortSequence,
    /// For what a peer need not be unable to guess: source ports are chosen with it, keyed by the secret.
    pub(super) random: Stream,
    pub(super) wheel: TimerWheel,
    pub(super) ready: [ReadyQueue; INTERFACES_MAX],
    /// In the order in which they began to wait; some have left already.
    pub(super) time_wait: VecDeque<SocketId>,
    pub(super) replies: Replies,
    /// Of RST and ICMP errors.
    /// Of RST segments for nobody's, of ICMP errors, and of echo replies: whoever uses up one leaves the others.
    pub(super) reset_rate: RateLimit,
    pub(super) error_rate: RateLimit,
    /// What these two are drawn from.
    pub(super) reply_random: Stream,
    pub(super) challenges: ChallengeBudget,
    pub(super) echo_rate: RateLimit,
    pub(super) paths: PathMtus,
    pub(super) reassembly: Reassembly,
    pub(super) receive_memory: ReceiveMemory,
    /// What is known of servers for Fast Open.
    pub(super) fast_open: FastOpenCache,
    pub(super) identifications: Identifications,
    pub(super) pings: Pings,
    pub(super) events: EventLog,
    pub(super) stats: Stats,
}

impl Stack {
    /// A stack over interfaces with these capabilities: `caps[0]` is the loopback, the others are as many as `config`
    /// has interfaces.
    ///
    /// # Errors
    /// [`ConfigError::InterfaceCount`] when they are not; [`ConfigError::Route`] for routes that exclude each other.
    pub fn new(config: StackConfig, caps: &[NicCaps]) -> Result<Self, ConfigError> {
        if caps.len() != config.interfaces().len() + 1 {
            return Err(ConfigError::InterfaceCount);
        }
        let link = |(index, caps): (usize, &NicCaps)| Link {
            medium: caps.medium,
            mac: caps.mac,
            mtu: caps.mtu,
            vlan: config.vlan(IfIndex(index as u8)),
        };
        let [low, high] = secret_words(config.secret());
        let seed = config.seed();
        let ipv6 = Self::ipv6_interfaces(&config, caps);
        let mut routing = Routing::new(&config)?;
        for (index, interface) in ipv6.iter().enumerate() {
            routing.renew(IfIndex(index as u8), interface);
        }
        let announcers = Self::ipv4_announcers(&config, caps);
        for (index, announcer) in announcers.iter().enumerate() {
            let interface = IfIndex(index as u8);
            routing.renew_ipv4(interface, config.addresses(interface), announcer);
        }
        Ok(Self {
            links: caps.iter().enumerate().map(link).collect(),
            autoconf_at: autoconf_deadline(&ipv6, &announcers),
            ipv6,
            announcers,
            routing,
            neighbors: Self::neighbor_table(&config, low),
            sockets: Table::new(config.sockets_max()),
            channels: Channels::new(seed),
            tcp: Demux::new(low),
            recent: Recent::NONE,
            way: Way::NONE,
            machnet: Demux::new(high),
            flow_labels: KeyedHash::new(low ^ high, 0x666c_6f77),
            udp: Demux::new(low.rotate_left(29) ^ high),
            ports: EphemeralPorts::default(),
            time_wait_reuse: None,
            port_sequence: PortSequence::new(high ^ low.rotate_left(13)),
            random: Stream::new(low ^ high.rotate_left(32), 0x706f_7274),
            wheel: TimerWheel::new(),
            ready: Default::default(),
            time_wait: VecDeque::new(),
            replies: Replies::new(config.replies_max()),
            reset_rate: RateLimit::new(config.resets_per_second()),
            error_rate: RateLimit::new(config.icmp_errors_per_second()),
            reply_random: Stream::new(high ^ low.rotate_left(48), 0x7265_706c),
            challenges: ChallengeBudget::new(
                config.challenges_per_second(),
                Stream::new(high ^ low.rotate_left(32), 0x6368_616c),
            ),
            echo_rate: RateLimit::new(config.echo_replies_per_second()),
            paths: PathMtus::new(),
            fast_open: FastOpenCache::new(),
            receive_memory: ReceiveMemory::new(config.tcp_mem()),
            reassembly: Reassembly::new(config.reassembly_bytes_max() as usize),
            identifications: Identifications::new(low.rotate_left(17) ^ high),
            pings: Pings::new(config.pings_max(), config.pings_per_channel_max()),
            events: EventLog::new(config.events_max()),
            stats: Stats::default(),
            tcp_config: config.tcp().into(),
            config,
        })
    }

    /// Getter: the configuration.
    pub const fn config(&self) -> &StackConfig {
        &self.config
    }

    /// Command: other settings for the TCP sockets that are opened from now on; those that exist keep theirs.
    pub fn set_tcp_config(&mut self, config: crate::tcp::Config) {
        self.tcp_config = (&config).into();
    }

    /// Command: other settings for the Machnet flows that are opened from now on; those that exist keep theirs.
    pub const fn set_machnet_config(&mut self, config: crate::machnet::Config) {
        self.config.set_machnet(config);
    }

    /// Command: most sockets of one channel from now on; who has more keeps them ([`StackConfig::sockets_per_channel_max`]).
    pub const fn set_sockets_per_channel_max(&mut self, n: u32) {
        self.config.set_sockets_per_channel_max(n);
    }

    /// Command: room for so many events from now on, none where nobody wants them ([`StackConfig::events_max`]). Those that wait are
    /// forgotten.
    pub fn set_events_max(&mut self, n: u32) {
        self.events = EventLog::new(n);
    }

    /// Command: whether half-open connections beyond a listener's backlog get cookies ([`StackConfig::syn_cookies`]).
    pub const fn set_syn_cookies(&mut self, on: bool) {
        self.config.set_syn_cookies(on);
    }

    /// Command: another number of challenge acknowledgements a second ([`StackConfig::challenges_per_second`]).
    pub const fn set_challenges_per_second(&mut self, n: u32) {
        self.config.set_challenges_per_second(n);
        self.challenges.set_per_second(n);
    }

    /// Command: the ports that sockets without one get from now on. Default 32768 to 60999.
    pub const fn set_ephemeral_ports(&mut self, ports: EphemeralPorts) {
        self.ports = ports;
    }

    /// Command: how long after its beginning TIME-WAIT gives way to a connection that is opened here from the same port to the same
    /// peer, from now on. Only where both ends had timestamps, and the next one goes on with them: what may still come of the
    /// old one is told by its timestamp (RFC 6191 §2; Linux's tcp_tw_reuse and tcp_tw_reuse_delay). Zero is for a
    /// port that was bound: the next one takes it over at once, beyond the numbers of the old one, and echoes nothing of it. Default
    /// `None`: never.
    pub const fn set_time_wait_reuse(&mut self, after: Option<Duration>) {
        self.time_wait_reuse = after;
    }

    /// Getter: the congestion control of a connection and what it tells of itself; of a listener, what its connections begin
    /// with. `None` for other sockets, and for one that is gone.
    pub fn congestion_figures(&self, id: SocketId) -> Option<CongestionFigures> {
        match &self.sockets.get(id)?.kind {
            Kind::Tcp { connection, .. } => Some(connection.congestion_figures()),
            Kind::Listener(listener) => {
                Some(CongestionFigures::of_fresh(listener.config.congestion()))
            }
            Kind::Udp(_) | Kind::Machnet { .. } => None,
        }
    }

    /// Getter: the counters.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Getter: how many sockets exist, connections in TIME-WAIT included.
    pub const fn socket_count(&self) -> usize {
        self.sockets.len()
    }

    /// Getter: how many neighbours something is known of.
    pub fn neighbor_count(&self) -> usize {
        self.neighbors.len()
    }

    /// Getter: how many destinations' path MTUs are known.
    pub fn path_mtu_count(&self) -> usize {
        self.paths.len()
    }

    /// Getter: bytes that are charged for datagrams whose other fragments are missing.
    pub const fn reassembly_bytes(&self) -> usize {
        self.reassembly.cost()
    }

    /// Output: the next event, if the configuration asks for events.
    pub fn poll_event(&mut self) -> Option<Stamped> {
        self.events.pop()
    }

    /// Getter: events that found the log full.
    pub const fn events_lost(&self) -> u64 {
        self.events.lost()
    }
}

/// The secret as two seeds.
fn secret_words(secret: &[u8; 16]) -> [u64; 2] {
    let all = u128::from_le_bytes(*secret);
    [all as u64, (all >> 64) as u64]
}
