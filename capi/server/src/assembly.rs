//! From a configuration to an engine: interfaces opened, stack built.

use std::fs::File;
use std::io::{self, Read};

use causeway_backends::loopback::LoopbackConfig;
use causeway_backends::packet::PacketConfig;
use causeway_backends::tap::TapConfig;
use causeway_backends::{AnyNic, Loopback, OpenError, Packet, Tap};
use causeway_core::engine::Engine;
use causeway_core::ip::Route;
use causeway_core::nic::{IfIndex, Nic};
use causeway_core::stack::{ConfigError, StackConfig, StackConfigBuilder};

use crate::config::{Backend, Config, InterfaceConfig};
use crate::engine_loop::{EngineLoop, Settings};
use crate::links::EngineLinks;
use crate::port::{Bells, ChannelPort, PortConfig};
use crate::tenants::Tenants;

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// An interface cannot be opened.
    #[error("interface {name}: {cause}")]
    Interface {
        /// Its name in the configuration.
        name: String,
        /// What the backend says.
        cause: OpenError,
    },
    /// The stack refuses the configuration.
    #[error("the stack refuses the configuration")]
    Stack(#[from] ConfigError),
    /// The operating system refuses a descriptor or random numbers.
    #[error("the system refuses")]
    System(#[from] io::Error),
}

/// Command: opens the configured interfaces and builds the engine's loop, on the thread that will run it.
pub(crate) fn engine_loop(
    config: &Config,
    links: EngineLinks,
) -> Result<EngineLoop, AssemblyError> {
    let mut nics = Vec::new();
    for interface in config.interfaces() {
        nics.push(open(interface)?);
    }
    let channel = config.channel();
    let bounds = PortConfig {
        channels_max: channel.channels_max(),
        commands_per_step: channel.commands_per_step(),
        rx_window_bytes: channel.rx_window_bytes(),
    };
    let port = ChannelPort::new(bounds, Bells::epoll()?);
    let engine = Engine::new(stack_config(config)?, nics, port)?;
    let waiting = Settings::of(config).waiting;
    let names = config.interfaces().iter().map(|i| i.name().to_owned()).collect();
    let tenants = Tenants::new(config.tenants());
    Ok(EngineLoop::new(engine, links, waiting, names).of_tenants(tenants))
}

fn open(interface: &InterfaceConfig) -> Result<AnyNic, AssemblyError> {
    let refused = |cause: OpenError| {
        let name = interface.name().to_owned();
        AssemblyError::Interface { name, cause }
    };
    let nic: AnyNic = match interface.backend() {
        Backend::Loopback => {
            let settings = LoopbackConfig { mtu: interface.mtu(), ..LoopbackConfig::default() };
            Loopback::new(&settings).into()
        }
        Backend::Simulated => unreachable!("the daemon's file names no such backend"),
        Backend::Tap => {
            let mut settings = TapConfig::new(interface.device());
            settings.mac = Some(interface.mac());
            settings.mtu = Some(interface.mtu());
            Tap::open(&settings).map_err(|cause| refused(cause.into()))?.into()
        }
        Backend::Packet => {
            let settings = packet_config(interface);
            Packet::open(&settings).map_err(|cause| refused(cause.into()))?.into()
        }
    };
    let nic = match interface.fault() {
        Some(fault) => nic.with_faults(fault.seed(), fault.profile(), fault.profile()),
        None => nic,
    };
    tracing::info!(
        interface = interface.name(),
        backend = ?interface.backend(),
        mac = %nic.caps().mac,
        mtu = nic.caps().mtu,
        faults = interface.fault().is_some(),
        "opened"
    );
    Ok(nic)
}

fn packet_config(interface: &InterfaceConfig) -> PacketConfig {
    let options = interface.packet().expect("an interface of this backend has its options");
    PacketConfig {
        mac: options.mac(),
        mtu: options.mtu(),
        promiscuous: options.promiscuous(),
        offload: options.offload(),
        qdisc_bypass: options.qdisc_bypass(),
        ring_bytes: options.ring_bytes(),
        ..PacketConfig::new(interface.device())
    }
}

/// What the stack is told. Its keys come from the operating system's generator.
fn stack_config(config: &Config) -> Result<StackConfig, AssemblyError> {
    let mut entropy = [0_u8; 24];
    File::open("/dev/urandom")?.read_exact(&mut entropy)?;
    let (mut seed, mut secret) = ([0; 8], [0; 16]);
    seed.copy_from_slice(&entropy[..8]);
    secret.copy_from_slice(&entropy[8..]);
    let events = Settings::of(config).events_max;
    let mut builder = stack_builder(config, u64::from_le_bytes(seed), secret).events_max(events);
    if let Some(machine) = machine_secret(MACHINE_ID) {
        builder = builder.stable_secret(machine);
    }
    Ok(builder.build()?)
}

/// Getter: what a stack of this configuration is told, with random numbers from `seed` and keys from `secret`.
pub fn stack_builder(config: &Config, seed: u64, secret: [u8; 16]) -> StackConfigBuilder {
    let mut builder = StackConfig::builder(seed, secret)
        .tcp(*config.tcp())
        .machnet(*config.machnet())
        .accept_bad_udp_checksum(config.accept_bad_udp_checksum())
        .sockets_per_channel_max(config.channel().sockets_per_channel_max())
        .checksum(causeway_checksum::Implementation::detect())
        .announce_addresses(true);
    for interface in config.interfaces() {
        builder = builder
            .interface(interface.addresses())
            .ipv6(interface.ipv6())
            .probe_addresses(interface.probe_addresses());
        if let Some(id) = interface.vlan() {
            builder = builder.vlan(id);
        }
    }
    for route in config.routes() {
        let destination = route.destination();
        builder = builder.route(Route {
            destination: destination.address,
            prefix_len: destination.prefix_len,
            gateway: route.gateway(),
            interface: interface_index(route.interface()),
            source: None,
        });
    }
    builder
}

/// What names the machine at every start, and nobody outside learns (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

/// A key for the identifiers of IPv6 addresses that is the same at each start (RFC 7217 §5). `None` where the machine has no
/// name: its addresses change with each start then.
fn machine_secret(path: &str) -> Option<[u8; 16]> {
    let text = std::fs::read_to_string(path).ok()?;
    u128::from_str_radix(text.trim(), 16).ok().filter(|id| *id != 0).map(u128::to_be_bytes)
}

/// Interface 0 is the engine's loopback.
fn interface_index(position: usize) -> IfIndex {
    IfIndex(u8::try_from(position + 1).expect("the configuration has at most seven interfaces"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn a_machine_has_one_key_for_its_addresses_or_none() {
        let path = std::env::temp_dir().join(format!("causeway-machine-{}", std::process::id()));
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            machine_secret(path.to_str().unwrap())
        };
        assert_eq!(of("000102030405060708090a0b0c0d0e0f\n").map(|key| key[15]), Some(15));
        assert_eq!(of("uninitialized\n"), None);
        assert_eq!(of(""), None);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(machine_secret("/nonexistent"), None);
    }

    #[test]
    fn an_error_says_its_cause_once() {
        let error = AssemblyError::from(ConfigError::Limit);
        let chain: Vec<String> =
            std::iter::successors(Some(&error as &dyn Error), |e| (*e).source())
                .map(ToString::to_string)
                .collect();
        assert_eq!(chain, ["the stack refuses the configuration", "a limit is out of range"]);
    }
}
