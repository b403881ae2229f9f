//! One leg: two hosts on one link, with what runs on them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use causeway_channel::Geometry;
use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::MacAddr;
use causeway_core::port::Transport;
use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};
use causeway_core::{machnet, tcp};

use super::programs;
use super::stream::{Received, receiver, sender};
use crate::fault::FaultSource;
use crate::guest::{Bells, Release};
use crate::host::{Host, HostConfig};
use crate::link::LinkConfig;
use crate::nic::NicConfig;
use crate::oracle::WireOracle;
use crate::tap::DirectionId;
use crate::world::{World, WorldConfig};

/// The client host.
pub const HOST_A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// The server host.
pub const HOST_B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A TCP stream from host a to host b.
#[derive(Clone, Copy, Debug)]
pub struct StreamSpec {
    /// The port on host b.
    pub port: u16,
    /// Which content.
    pub flow: u64,
    /// How much.
    pub bytes: u64,
}

/// A pair of C programs: the client on host a, the server on host b.
#[derive(Clone, Copy, Debug)]
pub struct MessageSpec {
    /// The port on host b.
    pub port: u16,
    /// Which content for requests; replies have the next one.
    pub flow: u64,
    /// Requests under way at a time.
    pub ahead: u32,
    /// The C library's: see [`crate::guest::Program::SharedObject`].
    pub release: Release,
}

/// What a leg consists of.
#[derive(Clone, Debug)]
pub struct LegSpec {
    /// A few words.
    pub name: String,
    /// A sentence.
    pub about: String,
    /// Both directions.
    pub link: LinkConfig,
    /// Both directions.
    pub faults: FaultSource,
    /// Slots of each NIC's transmit ring.
    pub tx_ring: usize,
    /// TCP streams.
    pub streams: Vec<StreamSpec>,
    /// Pairs of C programs.
    pub messages: Vec<MessageSpec>,
}

/// A leg ready to run.
pub struct Leg {
    /// Its world.
    pub world: World,
    /// The directions a to b, and b to a.
    pub directions: [DirectionId; 2],
    /// What the receiver of each stream saw.
    pub received: Vec<Received>,
    /// What the hosts sent.
    pub oracle: WireOracle,
}

/// Getter: a server's address on host b.
pub fn server(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(HOST_B), port)
}

/// The core's errors have no `std::error::Error`.
fn refused<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> anyhow::Result<T> {
    result.map_err(|why| anyhow::anyhow!("{what} refused: {why:?}"))
}

impl LegSpec {
    /// Command: hosts, link, guests and oracle under `seed`.
    ///
    /// # Errors
    /// A configuration is refused, or the system gives no threads.
    pub fn build(&self, seed: u64) -> anyhow::Result<Leg> {
        let mut config = WorldConfig::new(seed);
        config.end_at = Instant::ZERO + Duration::from_secs(600);
        let mut world = World::new(config);
        let mut ends = Vec::new();
        for (name, address) in [("a", HOST_A), ("b", HOST_B)] {
            let bells = Arc::<Bells>::default();
            let host_seed = Stream::new(seed, 0x0300_0000).at(u64::from(address.octets()[3]));
            let config = self.host_config(address)?;
            let (host, port) =
                Host::new(&config, host_seed, &bells).with_context(|| format!("host {name}"))?;
            ends.push((world.add_host(name, Box::new(host), bells), port));
        }
        let [a, b] = <[_; 2]>::try_from(ends).ok().context("two hosts were made")?;
        let (host_a, host_b) = (a.0, b.0);
        let (there, back) = world.connect(a, b, self.link, &self.faults);
        let oracle = WireOracle::default();
        world.add_tap(Box::new(oracle.clone()));
        let mut received = Vec::new();
        // Servers first: a client that finds nobody is refused, as on any network.
        let client_start = Instant::ZERO + Duration::from_millis(5);
        for spec in &self.streams {
            let log = Received::default();
            received.push(Arc::clone(&log));
            let at = server(spec.port);
            oracle.expect_to(Transport::Tcp, at, spec.flow, 0);
            let program = receiver(at, spec.flow, spec.bytes, log);
            world.add_guest(host_b, &format!("receiver {}", spec.port), Instant::ZERO, program)?;
            let program = sender(at, spec.flow, spec.bytes);
            world.add_guest(host_a, &format!("sender {}", spec.port), client_start, program)?;
        }
        for &MessageSpec { port, flow, ahead, release } in &self.messages {
            let count = programs::MESSAGES;
            oracle.expect_to(Transport::Machnet, server(port), flow, count);
            oracle.expect_from(Transport::Machnet, server(port), flow + 1, count);
            let (a, b) = (HOST_A.to_string(), HOST_B.to_string());
            let program = programs::server(&b, port, flow, count, release);
            world.add_guest(host_b, &format!("server.c {port}"), Instant::ZERO, program)?;
            let program = programs::client(&a, &b, port, flow, count, ahead, release);
            world.add_guest(host_a, &format!("client.c {port}"), client_start, program)?;
        }
        Ok(Leg { world, directions: [there, back], received, oracle })
    }

    fn host_config(&self, address: Ipv4Addr) -> anyhow::Result<HostConfig> {
        let mac = MacAddr([2, 0, 0, 0, 0, address.octets()[3]]);
        let geometry = Geometry::builder().build()?;
        // What a SYN promises, the channel backs.
        let tcp = tcp::Config::builder().rcv_wnd_initial(geometry.rx_floor_bytes());
        Ok(HostConfig {
            addresses: vec![refused("address", InterfaceAddress::new(IpAddr::V4(address), 24))?],
            nic: NicConfig { tx_ring: self.tx_ring, ..NicConfig::new(mac) },
            tcp: refused("TCP settings", tcp.build())?,
            machnet: refused("Machnet settings", machnet::Config::builder().build())?,
            geometry,
            rx_window_bytes: 4 << 20,
            events_max: 4_096,
        })
    }
}
