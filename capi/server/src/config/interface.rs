//! `[[interface]]`: the network interfaces.

use std::net::IpAddr;
use std::ops::Range;

use causeway_core::ip::{AddressError, InterfaceAddress, Ipv6Mode};
use causeway_core::nic::{INTERFACES_MAX, MacAddr};
use serde::Deserialize;
use toml::Spanned;

use super::check::{Integer, Prefixed, device_name, prefixed, word};
use super::error::{ConfigError, Source};
use super::fault::{FaultConfig, RawFault};
use super::packet::{PacketOptions, RawPacket};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawInterface {
    name: Spanned<String>,
    backend: Option<Spanned<String>>,
    device: Option<Spanned<String>>,
    mac: Option<Spanned<String>>,
    mtu: Option<Spanned<i128>>,
    vlan: Option<Spanned<i128>>,
    addresses: Spanned<Vec<Spanned<String>>>,
    ipv6: Option<Spanned<String>>,
    probe_addresses: Option<bool>,
    promiscuous: Option<Spanned<bool>>,
    offload: Option<Spanned<bool>>,
    qdisc_bypass: Option<Spanned<bool>>,
    ring_bytes: Option<Spanned<i128>>,
    fault: Option<RawFault>,
}

/// What carries an interface's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A Linux TAP device.
    Tap,
    /// An Ethernet device of the kernel, through a packet socket.
    Packet,
    /// Memory: what is sent comes back.
    Loopback,
    /// A link of the simulator.
    Simulated,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    name: String,
    backend: Backend,
    device: String,
    mac: MacAddr,
    mtu: u16,
    vlan: Option<u16>,
    addresses: Vec<InterfaceAddress>,
    ipv6: Ipv6Mode,
    probe_addresses: bool,
    packet: Option<PacketOptions>,
    fault: Option<FaultConfig>,
}

impl InterfaceConfig {
    /// Getter: the name that routes refer to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Getter: what carries the frames.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Getter: the kernel's name of the device, default the interface's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Getter: the Ethernet address, default `02:00:` and the first IPv4 address; of [`Backend::Packet`] see
    /// [`PacketOptions::mac`].
    pub fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Getter: the largest IP datagram in bytes, 576 to 9000, default 1500; of [`Backend::Packet`] see [`PacketOptions::mtu`].
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Getter: the VLAN that every frame is tagged with, 1 to 4094, if any.
    pub fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    /// Getter: the addresses that are ours, each with its network.
    pub fn addresses(&self) -> &[InterfaceAddress] {
        &self.addresses
    }

    /// Getter: where IPv6 addresses and routes come from; by default the configuration if it has an IPv6 address, else there
    /// is no IPv6.
    pub fn ipv6(&self) -> Ipv6Mode {
        self.ipv6
    }

    /// Getter: whether everybody on the link is asked for an IPv4 address before it is used, default false.
    pub fn probe_addresses(&self) -> bool {
        self.probe_addresses
    }

    /// Getter: how the device is used, of [`Backend::Packet`].
    pub fn packet(&self) -> Option<&PacketOptions> {
        self.packet.as_ref()
    }

    /// Getter: what the fault decorator does to the frames, if anything.
    pub fn fault(&self) -> Option<&FaultConfig> {
        self.fault.as_ref()
    }
}

/// RFC 791 asks every link to carry 576 bytes; 9000 is the customary jumbo size.
const MTU: Integer =
    Integer { key: "interface.mtu", default: 1500, range: 576..=9000, unit: "bytes" };
/// RFC 8200 §5 asks every link to carry this many bytes.
const MTU_MIN_V6: u16 = 1_280;
/// IEEE 802.1Q §9.6: 0 and 4095 name no VLAN.
const VLAN: Integer = Integer { key: "interface.vlan", default: 0, range: 1..=4_094, unit: "" };
const ADDRESSES_MAX: usize = 64;

/// All interfaces, checked against each other.
pub(super) fn build_all(
    source: &Source<'_>,
    raw: Vec<RawInterface>,
) -> Result<Vec<InterfaceConfig>, ConfigError> {
    // Interface 0 is the engine's own loopback.
    let most = INTERFACES_MAX - 1;
    if raw.is_empty() {
        return Err(source.error_overall(
            "interface",
            "there is none",
            "add an [[interface]] with name, backend and addresses",
        ));
    }
    let mut built: Vec<InterfaceConfig> = Vec::new();
    for raw in raw {
        let span = raw.name.span();
        let device = raw.device.as_ref().map_or_else(|| span.clone(), Spanned::span);
        let addresses = raw.addresses.clone();
        let interface = raw.build(source)?;
        if built.len() == most {
            let advice = format!("configure at most {most}");
            return Err(source.error("interface.name", span, "too many interfaces", advice));
        }
        if built.iter().any(|other| other.name == interface.name) {
            let problem = format!("{:?} is the name of another interface too", interface.name);
            return Err(source.error("interface.name", span, problem, "give each its own"));
        }
        refuse_shared_device(source, &interface, device, &built)?;
        for (address, text) in interface.addresses.iter().zip(addresses.get_ref()) {
            let taken = |other: &InterfaceConfig| {
                other.addresses.iter().any(|a| a.addr() == address.addr())
            };
            if let Some(other) = built.iter().find(|other| taken(other)) {
                let problem = format!("{} is an address of {:?} too", address.addr(), other.name);
                return Err(source.error(
                    "interface.addresses",
                    text.span(),
                    problem,
                    "list it once",
                ));
            }
        }
        refuse_shared_network(source, &interface, addresses.get_ref(), &built)?;
        built.push(interface);
    }
    Ok(built)
}

/// Each interface's network is reached through it: one that two of them are in would be reached through either. Link-local
/// ones mean another network on each link (RFC 4007 §4).
fn refuse_shared_network(
    source: &Source<'_>,
    interface: &InterfaceConfig,
    texts: &[Spanned<String>],
    others: &[InterfaceConfig],
) -> Result<(), ConfigError> {
    let network = |a: &InterfaceAddress| (a.network(), a.prefix_len());
    let of_the_link =
        |a: &InterfaceAddress| matches!(a.addr(), IpAddr::V6(v6) if v6.is_unicast_link_local());
    for (address, text) in interface.addresses.iter().zip(texts) {
        let shares = |other: &&InterfaceConfig| {
            other.addresses.iter().any(|a| network(a) == network(address))
        };
        let Some(other) = others.iter().find(shares).filter(|_| !of_the_link(address)) else {
            continue;
        };
        let (network, bits) = network(address);
        let problem = format!("{network}/{bits} is the network of {:?} too", other.name);
        let advice = "give each interface networks of its own, or one interface both addresses";
        return Err(source.error("interface.addresses", text.span(), problem, advice));
    }
    Ok(())
}

/// The kernel gives a TAP to one opener, and what arrives at another device to each. A loopback has none, whatever it is called.
fn refuse_shared_device(
    source: &Source<'_>,
    interface: &InterfaceConfig,
    span: Range<usize>,
    others: &[InterfaceConfig],
) -> Result<(), ConfigError> {
    let device = |i: &InterfaceConfig| match i.backend {
        Backend::Tap | Backend::Packet => Some(i.device.clone()),
        Backend::Loopback | Backend::Simulated => None,
    };
    let Some(own) = device(interface) else { return Ok(()) };
    let Some(other) = others.iter().find(|other| device(other).as_ref() == Some(&own)) else {
        return Ok(());
    };
    let problem = format!("{own:?} is the device of {:?} too", other.name);
    Err(source.error("interface.device", span, problem, "give each its own"))
}

impl RawInterface {
    fn build(self, source: &Source<'_>) -> Result<InterfaceConfig, ConfigError> {
        let backend = self.backend(source)?;
        device_name(source, "interface.name", self.name.get_ref(), self.name.span())?;
        if let Some(device) = &self.device {
            device_name(source, "interface.device", device.get_ref(), device.span())?;
        }
        let addresses = addresses(source, &self.addresses)?;
        let mac = match &self.mac {
            Some(text) if backend == Backend::Loopback => {
                let advice = "remove it, or use the backend \"tap\" or \"packet\"";
                let problem = "a loopback has no address of its own";
                return Err(source.error("interface.mac", text.span(), problem, advice));
            }
            Some(text) => mac(source, text)?,
            None => mac_of(&addresses),
        };
        let mtu = MTU.check_u16(source, self.mtu.as_ref())?;
        let ipv6 = ipv6_mode(source, self.ipv6.as_ref(), &addresses)?;
        if let (true, Some(given)) = (ipv6 != Ipv6Mode::Off && mtu < MTU_MIN_V6, &self.mtu) {
            let problem = format!("{mtu} bytes are too few for IPv6");
            let advice = format!("give {MTU_MIN_V6} or more, or no IPv6 address");
            return Err(source.error("interface.mtu", given.span(), problem, advice));
        }
        let own = RawPacket {
            mac: self.mac.is_some().then_some(mac),
            mtu: self.mtu.is_some().then_some(mtu),
            promiscuous: self.promiscuous,
            offload: self.offload,
            qdisc_bypass: self.qdisc_bypass,
            ring_bytes: self.ring_bytes,
        };
        let packet = own.build(source, backend, self.fault.is_some())?;
        let name = self.name.into_inner();
        Ok(InterfaceConfig {
            device: self.device.map_or_else(|| name.clone(), Spanned::into_inner),
            name,
            backend,
            mac,
            mtu,
            vlan: match &self.vlan {
                Some(id) => Some(VLAN.check_u16(source, Some(id))?),
                None => None,
            },
            addresses,
            ipv6,
            probe_addresses: self.probe_addresses.unwrap_or(false),
            packet,
            fault: self.fault.map(|raw| raw.build(source)).transpose()?,
        })
    }
}

impl RawInterface {
    /// What carries the frames: the simulator where it is one that reads this, else what the document must say.
    fn backend(&self, source: &Source<'_>) -> Result<Backend, ConfigError> {
        const KEY: &str = "interface.backend";
        if source.simulated {
            let known = [("sim", Backend::Simulated)];
            return word(source, KEY, self.backend.as_ref(), Backend::Simulated, &known);
        }
        let Some(given) = &self.backend else {
            let advice = "add it; docs/configuration.md says how";
            return Err(source.error(KEY, self.name.span(), "is missing", advice));
        };
        let known =
            [("tap", Backend::Tap), ("packet", Backend::Packet), ("loopback", Backend::Loopback)];
        word(source, KEY, Some(given), Backend::Loopback, &known)
    }
}

fn addresses(
    source: &Source<'_>,
    list: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<InterfaceAddress>, ConfigError> {
    const KEY: &str = "interface.addresses";
    let count = list.get_ref().len();
    if count == 0 || count > ADDRESSES_MAX {
        let problem = format!("{count} addresses are listed");
        let advice = format!("list 1 to {ADDRESSES_MAX}");
        return Err(source.error(KEY, list.span(), problem, advice));
    }
    let mut parsed: Vec<InterfaceAddress> = Vec::with_capacity(count);
    for text in list.get_ref() {
        let Prefixed { address, prefix_len } = prefixed(source, KEY, text)?;
        let checked = InterfaceAddress::new(address, prefix_len);
        let Ok(address) = checked.and_then(refuse_loopback) else {
            let problem = format!("{address} cannot be one host's in a /{prefix_len}");
            return Err(source.error(KEY, text.span(), problem, "give a unicast address"));
        };
        if parsed.iter().any(|other| other.addr() == address.addr()) {
            let problem = format!("{} is listed twice", address.addr());
            return Err(source.error(KEY, text.span(), problem, "list it once"));
        }
        parsed.push(address);
    }
    Ok(parsed)
}

/// Where IPv6 comes from; addresses that are listed must be of use.
fn ipv6_mode(
    source: &Source<'_>,
    word_given: Option<&Spanned<String>>,
    addresses: &[InterfaceAddress],
) -> Result<Ipv6Mode, ConfigError> {
    let listed = addresses.iter().any(|address| address.addr().is_ipv6());
    let default = if listed { Ipv6Mode::Static } else { Ipv6Mode::Off };
    let modes = [("off", Ipv6Mode::Off), ("static", Ipv6Mode::Static), ("auto", Ipv6Mode::Auto)];
    let mode = word(source, "interface.ipv6", word_given, default, &modes)?;
    match word_given {
        Some(given) if mode == Ipv6Mode::Off && listed => {
            let problem = "there is an IPv6 address among the interface's addresses";
            let advice = "remove it, or write \"static\" or \"auto\"";
            Err(source.error("interface.ipv6", given.span(), problem, advice))
        }
        Some(_) | None => Ok(mode),
    }
}

/// 127.0.0.0/8 and ::1 never leave a host (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3).
fn refuse_loopback(address: InterfaceAddress) -> Result<InterfaceAddress, AddressError> {
    if address.addr().is_loopback() { Err(AddressError::NotUnicast) } else { Ok(address) }
}

fn mac(source: &Source<'_>, text: &Spanned<String>) -> Result<MacAddr, ConfigError> {
    let complain = |problem: String| {
        let advice = "write a unicast address like \"02:00:0a:00:01:05\"";
        source.error("interface.mac", text.span(), problem, advice)
    };
    let mut bytes = [0u8; 6];
    let mut parts = text.get_ref().split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2).unwrap_or("");
        *byte = u8::from_str_radix(part, 16)
            .map_err(|_| complain(format!("{:?} is not an Ethernet address", text.get_ref())))?;
    }
    let mac = MacAddr(bytes);
    if parts.next().is_some() || mac.is_multicast() || bytes == [0; 6] {
        return Err(complain(format!("{:?} is not a host's Ethernet address", text.get_ref())));
    }
    Ok(mac)
}

/// A locally administered address that says whose it is: `02:00:` and the first IPv4 address, or the
/// last four bytes of an IPv6 one.
fn mac_of(addresses: &[InterfaceAddress]) -> MacAddr {
    let first = addresses.iter().find(|a| a.addr().is_ipv4()).or(addresses.first());
    let tail = match first.map(|a| a.addr()) {
        Some(IpAddr::V4(a)) => a.octets(),
        Some(IpAddr::V6(a)) => {
            let o = a.octets();
            [o[12], o[13], o[14], o[15]]
        }
        None => [0, 0, 0, 1],
    };
    MacAddr([2, 0, tail[0], tail[1], tail[2], tail[3]])
}
