//! Our stack, configured as far as the capture tells how the host was.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::rc::Rc;

use causeway_core::nic::MacAddr;
use causeway_core::time::{Duration, Instant};
use causeway_server::config::Config;
use causeway_server::config::document::{self, Interfaces, Routes, Settings, Source, Tcp};
use causeway_server::stack_builder;
use serde::Deserialize;

use super::ReplayError;
use super::player::Player;
use super::script::Scripts;
use crate::fault::Dice;
use crate::nic::{NicConfig, NicPort};
use crate::packet::Flags;
use crate::polled::{MakeStack, PolledConfig, PolledHost, PortFaults};
use crate::rules::HostRules;

#[derive(Deserialize)]
struct RawStandIn {
    interface: Interfaces,
    #[serde(default)]
    route: Routes,
    #[serde(default)]
    tcp: Tcp,
}

/// The stack's own station.
pub(super) const MAC: [u8; 6] = [0x02, 0x70, 0, 0, 0, 2];
/// IPv6 addresses are the host's after a while (RFC 4862 5.4).
const V6_BEGIN: Duration = Duration::from_secs(5);
const V4_BEGIN: Duration = Duration::from_millis(10);
/// Bytes of a connection's rings: what the host's windows were, within these.
const RING_BYTES: (u64, u64) = (256 << 10, 16 << 20);
/// What its random numbers come from.
const SEED: u64 = 1;

/// See the module.
pub(super) struct StandIn {
    pub(super) host: PolledHost,
    pub(super) port: Rc<NicPort>,
    pub(super) rules: HostRules,
    /// Of the capture's first segment.
    pub(super) begin: Instant,
    pub(super) mtu: u16,
}

impl StandIn {
    pub(super) fn new(
        name: &str,
        addresses: &[IpAddr],
        scripts: &Scripts<'_>,
    ) -> Result<Self, ReplayError> {
        let mtu = mtu(addresses, scripts);
        let config = config(name, addresses, scripts, mtu)?;
        let nic = NicConfig { mtu, ..NicConfig::new(MacAddr(MAC)) };
        let polled = PolledConfig {
            nics: vec![nic],
            ring_bytes: ring_bytes(scripts),
            streams_max: scripts.all.len() + 64,
            granularity: Duration::ZERO,
        };
        let make: MakeStack = Box::new(move |seed, secret| stack_builder(&config, seed, secret));
        let none = || Dice::planned(Vec::new());
        let faults = PortFaults { stream: none(), memory: none() };
        let (mut host, ports) =
            PolledHost::new(&polled, make, SEED, faults).map_err(ReplayError::Stack)?;
        let v6 = addresses.iter().any(IpAddr::is_ipv6);
        let begin = Instant::ZERO + if v6 { V6_BEGIN } else { V4_BEGIN };
        let listens_at = Instant::from_nanos(begin.as_nanos() - 1_000_000);
        host.add_program(Box::new(Player::new(begin, &scripts.all)), listens_at);
        let rules = HostRules { mtu, mac: Some(MAC), ..HostRules::new(addresses.to_vec()) };
        let rules = HostRules { slack: Duration::from_millis(1), ..rules };
        let [port] = <[Rc<NicPort>; 1]>::try_from(ports).unwrap_or_else(|mut ports| {
            // A host of one NIC has one.
            [ports.remove(0)]
        });
        Ok(Self { host, port, rules, begin, mtu })
    }
}

/// Twice of a window is not needed, less of one would lose what the peer was allowed to send.
fn ring_bytes(scripts: &Scripts<'_>) -> usize {
    let widest = |script: &super::script::Script| {
        let scale = script.own.opening.and_then(|opening| opening.options.window_scale);
        // The window of a SYN is not scaled (RFC 7323 2.2).
        let scaled = script.items.iter().filter(|item| item.flags & Flags::SYN.0 == 0);
        let field = scaled.map(|item| u64::from(item.window)).max().unwrap_or(0);
        field << scale.unwrap_or(0).min(14)
    };
    let widest = scripts.all.iter().map(widest).max().unwrap_or(0);
    let (least, most) = RING_BYTES;
    widest.clamp(least, most).next_power_of_two() as usize
}

/// What its link carries: from the MSS that the host announced, and from what arrived.
fn mtu(addresses: &[IpAddr], scripts: &Scripts<'_>) -> u16 {
    let headers = |ip: IpAddr| if ip.is_ipv6() { 60 } else { 40 };
    let announced = scripts.all.iter().filter_map(|script| {
        let mss = script.own.opening?.options.mss?;
        Some(usize::from(mss) + headers(script.local.ip()))
    });
    let arrived = scripts.arriving.iter().map(|arrival| {
        let segment = &arrival.segment;
        segment.tcp.header_len + segment.payload_len as usize + headers(segment.source.ip()) - 20
    });
    let least = if addresses.iter().any(IpAddr::is_ipv6) { 1_280 } else { 576 };
    announced.max().unwrap_or(1_500).max(arrived.max().unwrap_or(0)).clamp(least, 9_000) as u16
}

fn config(
    name: &str,
    addresses: &[IpAddr],
    scripts: &Scripts<'_>,
    mtu: u16,
) -> Result<Config, ReplayError> {
    let of = |v6: bool| addresses.iter().filter(move |ip| ip.is_ipv6() == v6);
    let v4 = of(false).map(|ip| format!("\"{ip}/32\""));
    let v6 = of(true).map(|ip| format!("\"{ip}/128\""));
    let listed: Vec<String> = v4.chain(v6).collect();
    let mut text = format!(
        "interface = [{{ name = \"eth0\", mtu = {mtu}, addresses = [{}] }}]\nroute = [",
        listed.join(", ")
    );
    for (v6, all) in [(false, "0.0.0.0/0"), (true, "::/0")] {
        if of(v6).next().is_some() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{{ destination = \"{all}\", interface = \"eth0\" }}, ");
        }
    }
    // An option counts as offered where one of the host's SYNs has it.
    let offers = |has: fn(&super::super::Opening) -> bool| {
        let mut openings = scripts.all.iter().filter_map(|script| script.own.opening.as_ref());
        openings.clone().next().is_none() || openings.any(has)
    };
    let sack = offers(|opening| opening.options.sack_permitted);
    let timestamps = offers(|opening| opening.options.timestamps.is_some());
    let scaling = offers(|opening| opening.options.window_scale.is_some());
    let asks =
        |script: &super::script::Script| script.own.opening.is_some_and(|opening| opening.ecn);
    let ecn = if scripts.all.iter().any(asks) { 1 } else { 2 };
    let _ = writeln!(
        text,
        "]\ntcp = {{ sack = {sack}, timestamps = {timestamps}, window_scaling = {scaling}, ecn = {ecn} }}"
    );
    let source = Source { file: name, text: &text, simulated: true };
    let raw: RawStandIn = toml::from_str(&text).map_err(|error| source.error_from_toml(&error))?;
    let settings = Settings { tcp: raw.tcp, ..Settings::default() };
    Ok(document::host(&source, raw.interface, raw.route, settings)?)
}
