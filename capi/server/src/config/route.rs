//! `[[route]]`: networks beyond the interfaces' own.

use std::net::IpAddr;

use causeway_core::ip::{InterfaceAddress, is_group_or_broadcast, is_martian_destination};
use serde::Deserialize;
use toml::Spanned;

use super::check::{Prefixed, address, prefixed};
use super::error::{ConfigError, Source};
use super::interface::InterfaceConfig;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    destination: Spanned<String>,
    gateway: Option<Spanned<String>>,
    interface: Option<Spanned<String>>,
}

/// Where packets to one network go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    destination: Prefixed,
    gateway: Option<IpAddr>,
    interface: usize,
}

impl RouteConfig {
    /// Getter: the network.
    pub fn destination(&self) -> Prefixed {
        self.destination
    }

    /// Getter: the next hop; `None` where the network is on the link.
    pub fn gateway(&self) -> Option<IpAddr> {
        self.gateway
    }

    /// Getter: the position of the interface in [`super::Config::interfaces`].
    pub fn interface(&self) -> usize {
        self.interface
    }
}

const ROUTES_MAX: usize = 1024;

/// All routes, against the interfaces that they use.
pub(super) fn build_all(
    source: &Source<'_>,
    raw: Vec<RawRoute>,
    interfaces: &[InterfaceConfig],
) -> Result<Vec<RouteConfig>, ConfigError> {
    let mut built: Vec<RouteConfig> = Vec::new();
    for raw in raw {
        let span = raw.destination.span();
        if built.len() == ROUTES_MAX {
            let advice = format!("configure at most {ROUTES_MAX}");
            return Err(source.error("route.destination", span, "too many routes", advice));
        }
        let route = raw.build(source, interfaces)?;
        if built.iter().any(|other| other.destination == route.destination) {
            return Err(source.error(
                "route.destination",
                span,
                "another route has the same destination",
                "keep one of them",
            ));
        }
        built.push(route);
    }
    Ok(built)
}

impl RawRoute {
    fn build(
        self,
        source: &Source<'_>,
        interfaces: &[InterfaceConfig],
    ) -> Result<RouteConfig, ConfigError> {
        let destination = network(source, &self.destination)?;
        let gateway =
            self.gateway.as_ref().map(|text| address(source, "route.gateway", text)).transpose()?;
        refuse_own_network(source, &self.destination, destination, interfaces)?;
        if let (Some(gateway), Some(text)) = (gateway, &self.gateway) {
            if gateway.is_ipv4() != destination.address.is_ipv4() {
                let problem = format!("{gateway} is of another family than the destination");
                let advice = "give a router of the same";
                return Err(source.error("route.gateway", text.span(), problem, advice));
            }
            check_gateway(source, gateway, text, interfaces)?;
        }
        let interface = match (&self.interface, gateway, &self.gateway) {
            (Some(name), _, _) => named(source, name, interfaces)?,
            (None, Some(gateway), Some(text)) => reaching(source, gateway, text, interfaces)?,
            (None, _, _) => {
                return Err(source.error(
                    "route.interface",
                    self.destination.span(),
                    "is missing, and so is a gateway",
                    "give one of them or both",
                ));
            }
        };
        Ok(RouteConfig { destination, gateway, interface })
    }
}

/// A network: its host bits are zero, because a set one is a typing error that would route elsewhere.
fn network(source: &Source<'_>, text: &Spanned<String>) -> Result<Prefixed, ConfigError> {
    const KEY: &str = "route.destination";
    let parsed = prefixed(source, KEY, text)?;
    let host_bits = match parsed.address {
        IpAddr::V4(a) => u128::from(u32::from(a)) << 96,
        IpAddr::V6(a) => u128::from(a),
    }
    .checked_shl(u32::from(parsed.prefix_len))
    .unwrap_or(0);
    if host_bits != 0 {
        let problem = format!("{} has bits beyond its prefix", text.get_ref());
        return Err(source.error(KEY, text.span(), problem, "write the network, like 10.0.2.0/24"));
    }
    // Groups are not served (and what is behind them is reserved, RFC 1112 §4); 127/8 never leaves a host (RFC 1122 §3.2.1.3).
    if is_group_or_broadcast(parsed.address) || parsed.address.is_loopback() {
        let problem = format!("{} holds no address that a route can lead to", text.get_ref());
        return Err(source.error(KEY, text.span(), problem, "give a network of unicast addresses"));
    }
    Ok(parsed)
}

/// The stack makes these routes itself, and a destination has one route.
fn refuse_own_network(
    source: &Source<'_>,
    text: &Spanned<String>,
    destination: Prefixed,
    interfaces: &[InterfaceConfig],
) -> Result<(), ConfigError> {
    let Prefixed { address, prefix_len } = destination;
    let is_own = |i: &&InterfaceConfig| {
        i.addresses().iter().any(|a| a.network() == address && a.prefix_len() == prefix_len)
    };
    let Some(interface) = interfaces.iter().find(is_own) else { return Ok(()) };
    let problem = format!(
        "{} is the network of {:?}, which is reached without a route",
        text.get_ref(),
        interface.name()
    );
    Err(source.error("route.destination", text.span(), problem, "remove this route"))
}

/// A gateway is another host: neither we nor a group, nor all hosts of one of our networks.
fn check_gateway(
    source: &Source<'_>,
    gateway: IpAddr,
    text: &Spanned<String>,
    interfaces: &[InterfaceConfig],
) -> Result<(), ConfigError> {
    const KEY: &str = "route.gateway";
    let ours = || interfaces.iter().flat_map(InterfaceConfig::addresses);
    if ours().any(|own| own.addr() == gateway) {
        let problem = format!("{gateway} is our own address");
        return Err(source.error(KEY, text.span(), problem, "give the router's"));
    }
    let is_host = |prefix_len| InterfaceAddress::new(gateway, prefix_len).is_ok();
    let is_martian = is_group_or_broadcast(gateway) || is_martian_destination(gateway, false);
    if is_martian || ours().any(|own| own.contains(gateway) && !is_host(own.prefix_len())) {
        let problem = format!("{gateway} cannot be one host's");
        return Err(source.error(KEY, text.span(), problem, "give the router's address"));
    }
    Ok(())
}

fn named(
    source: &Source<'_>,
    name: &Spanned<String>,
    interfaces: &[InterfaceConfig],
) -> Result<usize, ConfigError> {
    interfaces.iter().position(|i| i.name() == name.get_ref()).ok_or_else(|| {
        let known: Vec<String> = interfaces.iter().map(|i| format!("{:?}", i.name())).collect();
        source.error(
            "route.interface",
            name.span(),
            format!("there is no interface {:?}", name.get_ref()),
            format!("give {}", known.join(" or ")),
        )
    })
}

fn reaching(
    source: &Source<'_>,
    gateway: IpAddr,
    text: &Spanned<String>,
    interfaces: &[InterfaceConfig],
) -> Result<usize, ConfigError> {
    let reaches = |i: &InterfaceConfig| i.addresses().iter().any(|a| a.contains(gateway));
    interfaces.iter().position(reaches).ok_or_else(|| {
        source.error(
            "route.gateway",
            text.span(),
            format!("{gateway} is in no interface's network"),
            "correct it, or name the interface",
        )
    })
}
