//! Hosts that are not Causeway, with their ends of flows.

use std::net::IpAddr;
use std::sync::Arc;

use causeway_core::rng::Stream;
use causeway_core::time::Instant;

use super::host::{Counted, ENTITY_HOST, Ports};
use crate::fault::Event;
use crate::peer::{TextbookConfig, TextbookHost};
use crate::scenario::{HostSpec, Scenario};
use crate::workload::{Part, SharedLedger, Side};
use crate::world::World;

/// Command: adds the host; the scenario was checked to ask nothing of it that it does not have.
pub(super) fn add_host(
    world: &mut World,
    scenario: &Scenario,
    (index, spec): (usize, &HostSpec),
    counted: &Counted<'_>,
    ledger: &SharedLedger,
) -> Ports {
    let v4 = |address: IpAddr| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let addresses = spec.config.interfaces().iter().flat_map(|i| i.addresses());
    let mut addresses = addresses.filter_map(|a| v4(a.addr()).map(|v4| (v4, a.prefix_len())));
    let mut gateways = spec.config.routes().iter().filter_map(|route| route.gateway());
    let config = TextbookConfig {
        nic: spec.nics[0].clone(),
        address: addresses.next().expect("the scenario was checked to give it one"),
        gateway: gateways.find_map(v4),
    };
    let host_seed = Stream::new(counted.seed, ENTITY_HOST).at(index as u64);
    let (mut host, port) = TextbookHost::new(config, host_seed);
    for (flow, about) in scenario.flows.iter().enumerate() {
        let part = || Part::new(flow, about, ledger);
        if about.to == index {
            host.add(part(), Side::Server, Instant::ZERO);
        }
        if about.from == index {
            host.add(part(), Side::Client, about.starts_at);
        }
    }
    let id = world.add_host(&spec.name, Box::new(host), Arc::default());
    world.set_late(id, counted.dice(&spec.name, index as u64 * 16, Event::Late));
    vec![port]
}
