//! Who is where: what taps need to call hosts and directions by their names.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::scenario::{LinkEnd, LinkSpec, Scenario};
use crate::tap::DirectionId;
use crate::trace::CaptureSide;
use crate::world::HostId;

/// One direction of a link.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    /// `a->b`, as plans have it.
    pub(super) name: String,
    /// The places of its ends among [`Topology::nodes`].
    pub(super) nodes: [usize; 2],
    /// Its ends with their NICs: `a.eth0`, and of a switch the port to a: `s:a`.
    pub(super) ports: [String; 2],
    /// Line rate in bit/s.
    pub(super) rate_bps: u64,
}

/// Hosts, switches, routers and what is between them.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    /// Hosts in the order of their ids, then switches, then routers.
    pub(super) nodes: Vec<String>,
    /// How many of them are hosts.
    pub(super) hosts: usize,
    /// In the order of ids.
    pub(super) directions: Vec<Direction>,
    /// Whose addresses are whose.
    pub(super) addresses: BTreeMap<IpAddr, usize>,
}

impl Topology {
    /// That of the world which a scenario becomes.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let hosts = scenario.hosts.iter().map(|host| host.name.clone());
        let nodes = hosts.chain(scenario.switches.iter().map(|switch| switch.name.clone()));
        let nodes = nodes.chain(scenario.routers.iter().map(|router| router.name.clone()));
        let mut addresses = BTreeMap::new();
        for (index, host) in scenario.hosts.iter().enumerate() {
            for address in host.config.interfaces().iter().flat_map(|i| i.addresses()) {
                addresses.entry(address.addr()).or_insert(index);
            }
        }
        // Links become directions in their order, the one from the first end first.
        let directions = scenario.links.iter().flat_map(|link| {
            [0, 1].map(|from| Direction {
                name: link.names[from].clone(),
                nodes: [from, 1 - from].map(|end| node(scenario, link.ends[end])),
                ports: [from, 1 - from].map(|end| port(scenario, link, end)),
                rate_bps: link.physics[from].rate_bps,
            })
        });
        Self {
            nodes: nodes.collect(),
            hosts: scenario.hosts.len(),
            directions: directions.collect(),
            addresses,
        }
    }

    /// Getter: a direction.
    pub(super) fn direction(&self, id: DirectionId) -> &Direction {
        &self.directions[id.0]
    }

    /// Getter: the name of a direction's begin (0) or end (1): a host or a switch.
    pub(super) fn end(&self, id: DirectionId, end: usize) -> &str {
        &self.nodes[self.direction(id).nodes[end]]
    }

    /// Getter: a host sends on the direction.
    pub(super) fn is_sent_by_host(&self, id: DirectionId) -> bool {
        self.direction(id).nodes[0] < self.hosts
    }

    /// Getter: a host receives on the direction.
    pub(super) fn is_received_by_host(&self, id: DirectionId) -> bool {
        self.direction(id).nodes[1] < self.hosts
    }

    /// Getter: a host's name.
    pub(super) fn host(&self, id: HostId) -> &str {
        &self.nodes[id.0]
    }

    /// Getter: an end of a connection, by its host's name where it has one.
    pub(super) fn socket_name(&self, end: SocketAddr) -> String {
        match self.addresses.get(&end.ip()) {
            Some(host) => format!("{}:{}", self.nodes[*host], end.port()),
            None => end.to_string(),
        }
    }

    /// Getter: what a capture has to know.
    pub(super) fn capture_sides(&self) -> Vec<CaptureSide> {
        let side = |direction: &Direction| {
            let [from, to] = direction.ports.clone();
            CaptureSide { name: direction.name.clone(), from, to, rate_bps: direction.rate_bps }
        };
        self.directions.iter().map(side).collect()
    }
}

fn node(scenario: &Scenario, end: LinkEnd) -> usize {
    match end {
        LinkEnd::Host(host, _) => host,
        LinkEnd::Switch(switch) => scenario.hosts.len() + switch,
        LinkEnd::Router(router, _) => scenario.hosts.len() + scenario.switches.len() + router,
    }
}

fn port(scenario: &Scenario, link: &LinkSpec, end: usize) -> String {
    match link.ends[end] {
        LinkEnd::Host(host, nic) => {
            let spec = &scenario.hosts[host];
            format!("{}.{}", spec.name, spec.config.interfaces()[nic].name())
        }
        LinkEnd::Router(router, nic) => {
            let spec = &scenario.routers[router];
            format!("{}.{}", spec.name, spec.config.interfaces()[nic].name())
        }
        // Its ports are told apart by who is there.
        LinkEnd::Switch(switch) => {
            let other = match link.ends[1 - end] {
                LinkEnd::Host(host, _) => &scenario.hosts[host].name,
                LinkEnd::Switch(other) => &scenario.switches[other].name,
                LinkEnd::Router(router, _) => &scenario.routers[router].name,
            };
            format!("{}:{other}", scenario.switches[switch].name)
        }
    }
}
