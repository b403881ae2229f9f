//! From the hosts of a scenario to hosts of its world.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use causeway_core::nic::IfIndex;
use causeway_core::rng::Stream;
use causeway_core::time::{Duration, Instant};
use causeway_server::port::PortConfig;
use causeway_server::stack_builder;

use super::build::TrialError;
use super::foreign;
use super::strikes::Strikes;
use crate::fault::{Dice, Event, IpcDice};
use crate::guest::Bells;
use crate::model::SocketModel;
use crate::nic::{NicFaults, NicPort};
use crate::polled::{
    HostPort, MakeStack, PolledConfig, PolledHost, PolledPort, PortFaults, ServedConfig,
    ServedPort, Witness,
};
use crate::scenario::{HostFaults, HostSpec, PortKind, Scenario, StackKind};
use crate::workload::{SharedLedger, programs};
use crate::world::{HostId, World};

/// The random streams of hosts, and of what is counted on them, begin here.
pub(super) const ENTITY_HOST: u64 = 0x0300_0000;
const ENTITY_COUNTED: u64 = 0x0400_0000;

/// What hosts are given beside their settings: where decisions about what is counted come from, and room for events.
pub(super) struct Counted<'a> {
    pub(super) seed: u64,
    pub(super) faults: HostFaults,
    /// Those of the plan; `None` where they are drawn.
    pub(super) plan: Option<BTreeMap<(&'a str, Event), crate::fault::Counted>>,
    /// Of each host's log.
    pub(super) events_max: u32,
    /// Servers begin so much before their clients.
    pub(super) head_start: Duration,
    /// Where what was decided is told.
    pub(super) strikes: &'a Strikes,
}

impl Counted<'_> {
    /// The dice of `event` at `target`, which is the `entity`-th of its kind.
    pub(super) fn dice(&self, target: &str, entity: u64, event: Event) -> Dice {
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
            Event::LateBell
            | Event::LostBell
            | Event::NoChannel
            | Event::Dies
            | Event::Hangs
            | Event::Scribbles => self.faults.ipc.of(event).unwrap_or_default(),
            Event::SumUnknown => (self.faults.nic.sum_unknown_ppm, 1),
            Event::SumBad => (self.faults.nic.sum_bad_ppm, 1),
            Event::SumGood => (self.faults.nic.sum_good_ppm, 1),
            Event::OddCut => (self.faults.nic.odd_cut_ppm, 500),
            Event::GreedyJoin => (self.faults.nic.greedy_join_ppm, 1),
        };
        Dice::drawn(self.seed, ENTITY_COUNTED + entity * 16 + event as u64, ppm, values)
    }
}

/// The model of the run's sockets, which all of its hosts feed.
pub(super) type SharedModel = Rc<RefCell<SocketModel>>;

/// The link-facing halves of a host's NICs.
pub(super) type Ports = Vec<Rc<NicPort>>;

/// Command: adds a host with the flows that begin or end on it. One with programs of its own serves channels.
pub(super) fn add_host(
    world: &mut World,
    scenario: &Scenario,
    (index, spec): (usize, &HostSpec),
    counted: &Counted<'_>,
    ledger: &SharedLedger,
    model: &SharedModel,
) -> Result<Ports, TrialError> {
    if spec.stack != StackKind::Causeway {
        return Ok(foreign::add_host(world, scenario, (index, spec), counted, ledger));
    }
    let entity = index as u64 * 16;
    let refused = &counted.strikes.counts(index).refused;
    let faults = PortFaults {
        stream: counted.dice(&spec.name, entity, Event::NoRings).telling(refused),
        memory: counted.dice(&spec.name, entity, Event::NoMemory).telling(refused),
    };
    let mut polled = PolledPort::new(spec.ring_bytes, spec.streams_max, faults);
    if spec.port == PortKind::Polled {
        polled.set_witness(Witness::new(SharedModel::clone(model), index));
    }
    let host = Furnished { scenario, index, spec, counted, ledger };
    let bells = Arc::<Bells>::default();
    let channels = spec.port == PortKind::Channel;
    let dice = |event| counted.dice(&spec.name, entity, event);
    let polled = if channels { polled.over_channels(IpcDice::new(dice)) } else { polled };
    let has_guests = scenario.programs.iter().any(|program| program.host == index);
    let (id, ports) = if channels || has_guests {
        let port = ServedPort::new(polled, served(spec, &bells));
        host.add(world, port, bells)?
    } else {
        host.add(world, polled, bells)?
    };
    world.set_late(id, counted.dice(&spec.name, entity, Event::Late));
    Ok(ports)
}

/// What the daemon of a host gives its programs.
fn served(spec: &HostSpec, bells: &Arc<Bells>) -> ServedConfig {
    let channel = spec.config.channel();
    let port = PortConfig {
        channels_max: channel.channels_max(),
        commands_per_step: channel.commands_per_step(),
        rx_window_bytes: channel.rx_window_bytes(),
    };
    ServedConfig { geometry: channel.geometry(), port, bells: Arc::clone(bells) }
}

/// A host, and what is done on it.
struct Furnished<'a> {
    scenario: &'a Scenario,
    index: usize,
    spec: &'a HostSpec,
    counted: &'a Counted<'a>,
    ledger: &'a SharedLedger,
}

impl Furnished<'_> {
    fn add<P: HostPort>(
        &self,
        world: &mut World,
        port: P,
        bells: Arc<Bells>,
    ) -> Result<(HostId, Ports), TrialError> {
        let Self { spec, counted, .. } = *self;
        let polled = PolledConfig {
            nics: spec.nics.clone(),
            ring_bytes: spec.ring_bytes,
            streams_max: spec.streams_max,
            granularity: spec.granularity,
        };
        let settings = spec.config.clone();
        let events_max = counted.events_max;
        let make: MakeStack = Box::new(move |seed, secret| {
            stack_builder(&settings, seed, secret).events_max(events_max)
        });
        let host_seed = Stream::new(counted.seed, ENTITY_HOST).at(self.index as u64);
        let built = PolledHost::with_port(&polled, make, host_seed, port);
        let (mut host, ports) =
            built.map_err(|cause| TrialError::Stack { host: spec.name.clone(), cause })?;
        host.set_ephemeral_ports(spec.ports());
        self.furnish(&mut host);
        Ok((world.add_host(&spec.name, Box::new(host), bells), ports))
    }

    /// Faults of its NICs, and ends of flows.
    fn furnish<P: HostPort>(&self, host: &mut PolledHost<P>) {
        let Self { scenario, index, spec, counted, ledger } = *self;
        let unsent = counted.strikes.counts(index).unsent;
        for nic in 0..spec.nics.len() {
            let target = format!("{}.eth{nic}", spec.name);
            let entity = index as u64 * 16 + 1 + nic as u64;
            let faults = NicFaults::new(|event| {
                let dice = counted.dice(&target, entity, event);
                match event {
                    Event::ShortBurst | Event::NoBuffer => dice.telling(&unsent),
                    _ => dice,
                }
            });
            host.set_nic_faults(IfIndex(nic as u8 + 1), faults);
        }
        for (flow, about) in scenario.flows.iter().enumerate() {
            let [client, server] = programs(flow, about, counted.seed, ledger);
            if about.to == index {
                // A client that finds nobody is refused, as on any network.
                let before =
                    about.starts_at.as_nanos().saturating_sub(counted.head_start.as_nanos());
                host.add_program(server, Instant::from_nanos(before));
            }
            if about.from == index {
                host.add_program(client, about.starts_at);
            }
        }
    }
}
