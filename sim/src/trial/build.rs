//! From a scenario to a world.

use std::sync::Arc;

use causeway_core::nic::IfIndex;
use causeway_core::rng::Stream;
use causeway_core::time::Instant;
use causeway_server::config::{ConfigError, Prefixed, RouteConfig};
use causeway_server::stack_builder;

use super::excuse::excuses;
use crate::fault::{Dice, Event, FaultPlan, FaultSource, PlanError};
use crate::nic::NicFaults;
use crate::polled::{MakeStack, PolledConfig, PolledHost, PortFaults};
use crate::relay::{Route, Router, RouterPort, Switch};
use crate::scenario::{HostFaults, HostSpec, LinkEnd, RouterSpec, Scenario};
use crate::workload::{Ledger, SharedLedger, programs};
use crate::world::{End, HostId, RelayId, UnknownTarget, World, WorldConfig};

/// The random streams of hosts, and of what is counted on them, begin here.
const ENTITY_HOST: u64 = 0x0300_0000;
const ENTITY_COUNTED: u64 = 0x0400_0000;

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The text is no case.
    #[error("{0}")]
    Case(#[from] PlanError),
    /// The scenario is wrong.
    #[error("{0}")]
    Scenario(#[from] ConfigError),
    /// The plan names something that is not there.
    #[error("{0}")]
    Target(#[from] UnknownTarget),
    /// A host's stack refuses its configuration.
    #[error("host {host}: {cause}")]
    Stack {
        /// Whose.
        host: String,
        /// Why.
        cause: causeway_core::stack::ConfigError,
    },
    /// Decisions about single frames beside probabilities: which of them would hold?
    #[error(
        "the plan decides about frames or counts, and the scenario has a [fault]; remove one of them"
    )]
    Ambiguous,
}

/// Events that a host's log keeps between two iterations of its loop, where somebody wants them.
const EVENTS_MAX: u32 = 4_096;

/// A world with its flows.
pub(super) struct Built {
    pub(super) world: World,
    pub(super) ledger: SharedLedger,
}

/// What hosts are given beside their settings: where decisions about what is counted come from, and room for events.
struct Counted<'a> {
    seed: u64,
    faults: HostFaults,
    /// Those of the plan; `None` where they are drawn.
    plan: Option<std::collections::BTreeMap<(&'a str, Event), crate::fault::Counted>>,
    /// Of each host's log.
    events_max: u32,
}

impl Counted<'_> {
    /// The dice of `event` at `target`, which is the `entity`-th of its kind.
    fn dice(&self, target: &str, entity: u64, event: Event) -> Dice {
        if let Some(plan) = &self.plan {
            return Dice::planned(plan.get(&(target, event)).cloned().unwrap_or_default());
        }
        let HostFaults { late_ppm, late_max, short_burst_ppm, no_buffer_ppm, .. } = self.faults;
        let (ppm, values) = match event {
            Event::Late => (late_ppm, late_max.as_nanos()),
            Event::ShortBurst => (short_burst_ppm, 8),
            Event::NoBuffer => (no_buffer_ppm, 1),
            Event::NoRings => (self.faults.no_rings_ppm, 1),
            Event::NoMemory => (self.faults.no_memory_ppm, 1),
        };
        Dice::drawn(self.seed, ENTITY_COUNTED + entity * 16 + event as u64, ppm, values)
    }
}

/// Command: a world in which nothing has happened yet. `events`: hosts tell what happens inside of them.
pub(super) fn build(
    scenario: &Scenario,
    plan: &FaultPlan,
    seed: u64,
    events: bool,
) -> Result<Built, TrialError> {
    let decides = !plan.frames().is_empty() || !plan.counted().is_empty();
    let draws = scenario.draws;
    if decides && draws {
        return Err(TrialError::Ambiguous);
    }
    let mut config = WorldConfig::new(seed);
    config.poll_interval = scenario.rules.poll_interval;
    config.end_at = Instant::from_nanos(u64::MAX);
    let mut world = World::new(config);
    let ledger = Ledger::shared(scenario.flows.len(), excuses(scenario, plan));
    let counted = Counted {
        seed,
        faults: scenario.faults.host,
        plan: (!draws).then(|| plan.counted()),
        events_max: if events { EVENTS_MAX } else { 0 },
    };
    let mut nics = Vec::with_capacity(scenario.hosts.len());
    for (index, spec) in scenario.hosts.iter().enumerate() {
        nics.push(add_host(&mut world, scenario, (index, spec), &counted, &ledger)?);
    }
    let (switches, routers) = add_relays(&mut world, scenario);
    let source = if draws {
        FaultSource::Drawn(scenario.faults.link)
    } else {
        FaultSource::Planned(plan.clone())
    };
    for link in &scenario.links {
        let ends = link.ends.map(|end| match end {
            LinkEnd::Host(host, nic) => {
                End::Nic { host: HostId(host), nic: nics[host][nic].clone() }
            }
            LinkEnd::Switch(at) => End::Relay(switches[at]),
            LinkEnd::Router(at, _) => End::Relay(routers[at]),
        });
        world.connect_ends(ends, link.names.clone(), link.physics, [&source; 2]);
    }
    world.add_spans(plan)?;
    world.heal_at(scenario.rules.heal_at);
    Ok(Built { world, ledger })
}

/// The switches and the routers, each with its ports in the order in which its links are connected.
fn add_relays(world: &mut World, scenario: &Scenario) -> (Vec<RelayId>, Vec<RelayId>) {
    let ends = || scenario.links.iter().flat_map(|link| link.ends);
    let mut switches = Vec::with_capacity(scenario.switches.len());
    for (at, switch) in scenario.switches.iter().enumerate() {
        let ports = ends().filter(|end| *end == LinkEnd::Switch(at)).count();
        switches.push(world.add_relay(&switch.name, Box::new(Switch::new(ports))));
    }
    let mut routers = Vec::with_capacity(scenario.routers.len());
    for (at, spec) in scenario.routers.iter().enumerate() {
        let connected = ends().filter_map(|end| match end {
            LinkEnd::Router(router, nic) if router == at => Some(nic),
            LinkEnd::Router(..) | LinkEnd::Switch(_) | LinkEnd::Host(..) => None,
        });
        let nics: Vec<usize> = connected.collect();
        let router = Router::new(router_ports(at, spec, &nics), router_routes(spec, &nics));
        routers.push(world.add_relay(&spec.name, Box::new(router)));
    }
    (switches, routers)
}

fn router_ports(router: usize, spec: &RouterSpec, nics: &[usize]) -> Vec<RouterPort> {
    let port = |&nic: &usize| {
        let interface = &spec.config.interfaces()[nic];
        let addresses = interface.addresses().iter().map(|own| (own.addr(), own.prefix_len()));
        // Locally administered, and none of a host's.
        let mac = [0x02, 0x72, 0, router as u8, (router >> 8) as u8, nic as u8];
        RouterPort { mac, addresses: addresses.collect(), mtu: interface.mtu() }
    };
    nics.iter().map(port).collect()
}

/// Routes through interfaces that are connected.
fn router_routes(spec: &RouterSpec, nics: &[usize]) -> Vec<Route> {
    let route = |route: &RouteConfig| {
        let port = nics.iter().position(|nic| *nic == route.interface())?;
        let Prefixed { address, prefix_len } = route.destination();
        Some(Route { destination: address, prefix_len, gateway: route.gateway(), port })
    };
    spec.config.routes().iter().filter_map(route).collect()
}

type Ports = Vec<std::rc::Rc<crate::nic::NicPort>>;

fn add_host(
    world: &mut World,
    scenario: &Scenario,
    (index, spec): (usize, &HostSpec),
    counted: &Counted<'_>,
    ledger: &SharedLedger,
) -> Result<Ports, TrialError> {
    let entity = index as u64 * 16;
    let polled = PolledConfig {
        nics: spec.nics.clone(),
        ring_bytes: spec.ring_bytes,
        streams_max: spec.streams_max,
        granularity: spec.granularity,
    };
    let settings = spec.config.clone();
    let events_max = counted.events_max;
    let make: MakeStack =
        Box::new(move |seed, secret| stack_builder(&settings, seed, secret).events_max(events_max));
    let faults = PortFaults {
        stream: counted.dice(&spec.name, entity, Event::NoRings),
        memory: counted.dice(&spec.name, entity, Event::NoMemory),
    };
    let host_seed = Stream::new(counted.seed, ENTITY_HOST).at(index as u64);
    let built = PolledHost::new(&polled, make, host_seed, faults);
    let (mut host, ports) =
        built.map_err(|cause| TrialError::Stack { host: spec.name.clone(), cause })?;
    for nic in 0..spec.nics.len() {
        let target = format!("{}.eth{nic}", spec.name);
        let entity = entity + 1 + nic as u64;
        let faults = NicFaults {
            short_burst: counted.dice(&target, entity, Event::ShortBurst),
            no_buffer: counted.dice(&target, entity, Event::NoBuffer),
        };
        host.set_nic_faults(IfIndex(nic as u8 + 1), faults);
    }
    for (flow, about) in scenario.flows.iter().enumerate() {
        let [client, server] = programs(flow, about, ledger);
        if about.to == index {
            // A client that finds nobody is refused, as on any network.
            let before = about.starts_at.as_nanos().saturating_sub(1_000_000);
            host.add_program(server, Instant::from_nanos(before));
        }
        if about.from == index {
            host.add_program(client, about.starts_at);
        }
    }
    let id = world.add_host(&spec.name, Box::new(host), Arc::default());
    world.set_late(id, counted.dice(&spec.name, entity, Event::Late));
    Ok(ports)
}
