//! A production host: the engine, the channel server's port and the attach of the daemon, over a simulated NIC.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use causeway_channel::handshake::Hello;
use causeway_channel::{Doorbells, Geometry, Grant};
use causeway_core::engine::{Engine, Progress};
use causeway_core::event::Stamped;
use causeway_core::ip::InterfaceAddress;
use causeway_core::port::ChannelId;
use causeway_core::rng::Stream;
use causeway_core::stack::{ConfigError, StackConfig};
use causeway_core::time::Instant;
use causeway_core::{machnet, tcp};
use causeway_server::attach::Attach;
use causeway_server::port::{BellQueue, ChannelPort, Peer, PortConfig, Slots, TenantId};

use crate::guest::{AttachRequest, Bells, GuestId, HostBell};
use crate::nic::{NicConfig, NicPort, SimNic};
use crate::world::HostEngine;

/// Channels of one host at a time.
const CHANNELS_MAX: u32 = 256;

/// A host's configuration: what the daemon's file would say.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its interface's addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// Its NIC.
    pub nic: NicConfig,
    /// TCP's settings.
    pub tcp: tcp::Config,
    /// Machnet's settings.
    pub machnet: machnet::Config,
    /// The sizes of each channel.
    pub geometry: Geometry,
    /// Bytes that may lie in one connection's RX ring.
    pub rx_window_bytes: u64,
    /// Most events between two steps; 0 for none. What the report is drawn from.
    pub events_max: u32,
}

/// Why a host cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Its stack's configuration is refused.
    #[error("the stack refuses its configuration: {0}")]
    Config(#[from] ConfigError),
}

/// A simulated host.
pub struct Host {
    engine: Engine<SimNic, ChannelPort>,
    attach: Attach,
    bells: Arc<BellQueue>,
    channels: Vec<(GuestId, ChannelId)>,
}

impl Host {
    /// A host whose random numbers and secrets come from `seed`, and the link-facing half of its NIC.
    /// `bells` are those given to [`crate::world::World::add_host`] with it.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn new(
        config: &HostConfig,
        seed: u64,
        bells: &Arc<Bells>,
    ) -> Result<(Self, Rc<NicPort>), HostError> {
        let stream = Stream::new(seed, 0);
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&stream.at(1).to_le_bytes());
        secret[8..].copy_from_slice(&stream.at(2).to_le_bytes());
        let stack = StackConfig::builder(stream.at(0), secret)
            .interface(&config.addresses)
            .events_max(config.events_max)
            .tcp(config.tcp)
            .machnet(config.machnet)
            .checksum(causeway_checksum::Implementation::detect())
            .build()?;
        let (nic, nic_port) = SimNic::new(&config.nic);
        let queue = BellQueue::new(Arc::new(HostBell::new(Arc::clone(bells))));
        let port_config = PortConfig {
            channels_max: CHANNELS_MAX,
            commands_per_step: 64,
            rx_window_bytes: config.rx_window_bytes,
        };
        let port =
            ChannelPort::new(port_config, causeway_server::port::Bells::queue(Arc::clone(&queue)));
        let engine = Engine::new(stack, vec![nic], port)?;
        let attach = Attach::new(config.geometry, Slots::new(CHANNELS_MAX));
        Ok((Self { engine, attach, bells: queue, channels: Vec::new() }, nic_port))
    }

    /// Getter: the engine.
    pub fn engine(&self) -> &Engine<SimNic, ChannelPort> {
        &self.engine
    }
}

impl HostEngine for Host {
    fn step(&mut self, now: Instant) -> Option<Instant> {
        let Progress { work: _, next } = self.engine.step(now);
        while self.engine.port_mut().poll_eviction().is_some() {}
        let next = next.map(|(at, _)| at);
        if next.is_some_and(|at| at <= now) {
            return next;
        }
        // As the daemon's loop: arm the doorbells before sleeping, and do not sleep if something came meanwhile.
        if self.engine.port_mut().prepare_sleep() { next } else { Some(now) }
    }

    fn poll_event(&mut self) -> Option<Stamped> {
        self.engine.stack_mut().poll_event()
    }

    fn attach(&mut self, request: AttachRequest) -> Result<Grant, String> {
        let AttachRequest { guest, process, token, app } = request;
        // The daemon keeps this for its log; a real process id would differ from run to run.
        let peer = Peer { pid: process, uid: 0, gid: 0, tenant: TenantId::default() };
        let bells = &self.bells;
        let make = |channel: ChannelId, _lanes: u32| {
            Ok::<_, io::Error>(Doorbells::simulated(app, token, vec![bells.bell(channel.index)]))
        };
        let hello = Hello::ours().encode();
        let granted = self.attach.grant(peer, &hello, make).map_err(|error| error.to_string())?;
        let id = granted.id();
        for part in granted.parts {
            self.engine.port_mut().attach(part).map_err(|error| error.to_string())?;
        }
        self.channels.push((guest, id));
        Ok(granted.grant)
    }

    fn detach_channel(&mut self, guest: GuestId, channel: ChannelId) {
        let before = self.channels.len();
        self.channels.retain(|&one| one != (guest, channel));
        if self.channels.len() < before {
            self.engine.port_mut().detach(channel);
        }
    }

    fn detach(&mut self, guest: GuestId) {
        let port = self.engine.port_mut();
        self.channels.retain(|&(owner, channel)| {
            if owner == guest {
                port.detach(channel);
            }
            owner != guest
        });
    }
}
