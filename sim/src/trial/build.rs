//! From a scenario to a world.

use causeway_core::time::{Duration, Instant};
use causeway_server::config::{ConfigError, Prefixed, RouteConfig};

use super::excuse::program_excuses;
use super::foreign;
use super::host::{Counted, Ports, SharedModel, add_host};
use super::ipc;
use super::pardon::Pardons;
use super::programs::{Closures, add_programs};
use super::roster::Roster;
use super::strikes::Strikes;
use super::witness::facts;
use crate::fault::{ClockTrouble, Condition, FaultPlan, FaultSource, Live, PlanError};
use crate::model::SocketModel;
use crate::relay::{Route, Router, RouterPort, Switch};
use crate::scenario::{LinkEnd, RouterSpec, Scenario};
use crate::workload::{Ledger, SharedLedger};
use crate::world::{End, HostId, RelayId, UnknownTarget, World, WorldConfig};

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
    /// A program cannot be started.
    #[error("program {name}: {cause}")]
    Program {
        /// Which.
        name: String,
        /// Why.
        cause: String,
    },
    /// The plan is about channels that are not there.
    #[error("`{line}`: host {host} needs port = \"channel\", and no programs of its own")]
    NoChannels {
        /// The decision.
        line: String,
        /// The host.
        host: String,
    },
    /// Decisions about single frames beside probabilities: which of them would hold?
    #[error(
        "the plan decides about frames or counts, and the scenario has a [fault]; remove one of them"
    )]
    Ambiguous,
}

/// Events that a host's log keeps between two iterations of its loop, where somebody wants them.
const EVENTS_MAX: u32 = 4_096;

/// Servers begin so much before their clients, where all clocks are right.
const HEAD_START: Duration = Duration::from_millis(1);

/// Getter: how far the clocks of two hosts may be apart.
fn drift(plan: &FaultPlan) -> Duration {
    let parts = plan.spans().filter_map(|(_, from, until, condition)| match condition {
        Condition::Clock(ClockTrouble::Rate(ppm)) => {
            let lasts = u128::from(until.saturating_since(from).as_nanos());
            Some(lasts * u128::from(ppm.unsigned_abs()) / 1_000_000 + 1)
        }
        _ => None,
    });
    Duration::from_nanos(u64::try_from(parts.sum::<u128>()).unwrap_or(u64::MAX))
}

/// A world with its flows.
pub(super) struct Built {
    pub(super) world: World,
    pub(super) ledger: SharedLedger,
    pub(super) roster: Roster,
    pub(super) model: SharedModel,
}

/// Command: a world in which nothing has happened yet. `events`: hosts tell what happens inside of them. `live`: who decides about frames
/// in place of the plan.
pub(super) fn build(
    scenario: &Scenario,
    plan: &FaultPlan,
    seed: u64,
    closures: &Closures,
    events: bool,
    live: Option<&Live>,
) -> Result<Built, TrialError> {
    let decides = !plan.frames().is_empty() || !plan.counted().is_empty();
    let draws = scenario.draws;
    if decides && draws {
        return Err(TrialError::Ambiguous);
    }
    ipc::check(scenario, plan)?;
    let mut config = WorldConfig::new(seed);
    config.poll_interval = scenario.rules.poll_interval;
    config.end_at = Instant::from_nanos(u64::MAX);
    config.tells_ends = true;
    let mut world = World::new(config);
    let strikes = Strikes::new(scenario, plan);
    let ledger = Ledger::shared(scenario.flows.len(), Box::new(strikes.clone()));
    world.add_tap(Box::new(strikes.clone()));
    if let Some(pardons) = Pardons::new(scenario, &ledger) {
        world.add_tap(Box::new(pardons));
    }
    foreign::tell(&mut ledger.borrow_mut(), scenario);
    let model = SharedModel::new(SocketModel::new(facts(scenario, plan)).into());
    let counted = Counted {
        seed,
        faults: scenario.faults.host,
        plan: (!draws).then(|| plan.counted()),
        events_max: if events { EVENTS_MAX } else { 0 },
        head_start: HEAD_START + drift(plan),
        strikes: &strikes,
    };
    let mut nics = Vec::with_capacity(scenario.hosts.len());
    for (index, spec) in scenario.hosts.iter().enumerate() {
        nics.push(add_host(&mut world, scenario, (index, spec), &counted, &ledger, &model)?);
    }
    let (switches, routers) = add_relays(&mut world, scenario);
    let source = if let Some(live) = live {
        FaultSource::Live(live.clone())
    } else if draws {
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
    unplug(scenario, &nics);
    world.add_spans(plan)?;
    world.heal_at(scenario.rules.heal_at);
    let roster = add_programs(&mut world, scenario, closures, program_excuses(scenario, plan))?;
    world.add_tap(Box::new(roster.clone()));
    Ok(Built { world, ledger, roster, model })
}

/// NICs that nothing is linked to.
fn unplug(scenario: &Scenario, nics: &[Ports]) {
    for (host, ports) in nics.iter().enumerate() {
        for (nic, port) in ports.iter().enumerate() {
            let here = LinkEnd::Host(host, nic);
            if scenario.links.iter().all(|link| !link.ends.contains(&here)) {
                port.unplug();
            }
        }
    }
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
        let name = interface.name().to_owned();
        RouterPort { name, mac, addresses: addresses.collect(), mtu: interface.mtu() }
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
