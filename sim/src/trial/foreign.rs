//! Hosts that are not Causeway, with their ends of flows.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use causeway_core::rng::Stream;
use causeway_core::time::Instant;

use super::host::{Counted, ENTITY_HOST, Ports};
use crate::fault::Event;
use crate::nic::NicPort;
use crate::peer::{PeerConfig, SmolHost, TextbookHost};
use crate::scenario::{HostSpec, Scenario, StackKind};
use crate::workload::{Ledger, Part, SharedLedger, Side, Violation, foreign_signature};
use crate::world::{HostEngine, World};

/// Command: which flows have an end that is not Causeway.
pub(super) fn tell(ledger: &mut Ledger, scenario: &Scenario) {
    for (flow, about) in scenario.flows.iter().enumerate() {
        let stacks = [about.from, about.to].map(|host| scenario.hosts[host].stack);
        if let Some(stack) = stacks.into_iter().find_map(StackKind::foreign) {
            ledger.set_foreign(flow, stack);
        }
    }
}

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
    let config = PeerConfig {
        nic: spec.nics[0].clone(),
        address: addresses.next().expect("the scenario was checked to give it one"),
        gateway: gateways.find_map(v4),
        // Less than Causeway has: between 16 KiB, with which no window is scaled, and 128 KiB as they are drawn.
        buffers: [spec.ring_bytes / 4, spec.ring_bytes / 8],
        keepalive: spec.config.tcp().keepalive(),
    };
    let host_seed = Stream::new(counted.seed, ENTITY_HOST).at(index as u64);
    let ends = ends_on(scenario, index, ledger);
    let (host, port): (Box<dyn HostEngine>, Rc<NicPort>) = match spec.stack {
        StackKind::Causeway => unreachable!("it is no foreign stack"),
        StackKind::Textbook => {
            let (mut host, port) = TextbookHost::new(config, host_seed);
            ends.into_iter().for_each(|(part, side, at)| host.add(part, side, at));
            (Box::new(host), port)
        }
        StackKind::Smoltcp => {
            let (mut host, port) = SmolHost::new(config, host_seed);
            ends.into_iter().for_each(|(part, side, at)| host.add(part, side, at));
            (Box::new(host), port)
        }
    };
    let id = world.add_host(&spec.name, host, Arc::default());
    world.set_late(id, counted.dice(&spec.name, index as u64 * 16, Event::Late));
    vec![port]
}

/// The ends of flows that are on a host, each with its side and when it begins.
fn ends_on(scenario: &Scenario, index: usize, ledger: &SharedLedger) -> Vec<(Part, Side, Instant)> {
    let mut ends = Vec::new();
    for (flow, about) in scenario.flows.iter().enumerate() {
        let part = || Part::new(flow, about, ledger);
        if about.to == index {
            ends.push((part(), Side::Server, Instant::ZERO));
        }
        if about.from == index {
            ends.push((part(), Side::Client, about.starts_at));
        }
    }
    ends
}

/// Output: what a panic is called, by its place: one of the smoltcp crate is that crate's, wherever its source lies.
pub(super) fn panic_signature(place: &str) -> String {
    match place.find("smoltcp-") {
        Some(at) => foreign_signature(Some("smoltcp"), &format!("O13.{}", &place[at..])),
        None => format!("O13.{place}"),
    }
}

/// Output: the first foreign stack of a scenario, and the scenario with Causeway in place of all of them.
pub(super) fn replaced(scenario: &Scenario) -> Option<(&'static str, Scenario)> {
    let stack = scenario.hosts.iter().find_map(|host| host.stack.foreign())?;
    // A program is somebody's own: it runs once.
    if !scenario.programs.is_empty() {
        return None;
    }
    let mut scenario = scenario.clone();
    scenario.hosts.iter_mut().for_each(|host| host.stack = StackKind::Causeway);
    Some((stack, scenario))
}

/// Output: what is wrong with a case, by what is wrong with a foreign stack in it, and by what is wrong with Causeway in its place.
pub(super) fn compare(
    stack: &str,
    with_it: Option<Violation>,
    replaced: Option<Violation>,
) -> Option<Violation> {
    match (with_it, replaced) {
        (None, None) => None,
        (Some(mut violation), replaced) => {
            let other = replaced.map_or_else(
                || "nothing is wrong".to_owned(),
                |other| format!("{} at {} s: {}", other.signature, other.at, other.words),
            );
            violation.words += &format!("; with Causeway in place of {stack}: {other}");
            Some(violation)
        }
        (None, Some(other)) => {
            let signature =
                foreign_signature(Some(stack), &format!("replaced.{}", other.signature));
            let words = format!(
                "with Causeway in place of {stack}, with which nothing is wrong: {}",
                other.words
            );
            Some(Violation { signature, at: other.at, words })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_named_where_causeway_in_its_place_fails_too() {
        let violation = |words: &str| Violation {
            signature: "O7.unfinished".to_owned(),
            at: Instant::ZERO,
            words: words.to_owned(),
        };
        let said = |first: Option<&str>, second: Option<&str>| {
            let found = compare("textbook", first.map(violation), second.map(violation))?;
            Some(format!("{}: {}", found.signature, found.words))
        };
        assert_eq!(said(None, None), None);
        let alone = "O7.unfinished: x; with Causeway in place of textbook: nothing is wrong";
        assert_eq!(said(Some("x"), None).as_deref(), Some(alone));
        let both =
            "O7.unfinished: x; with Causeway in place of textbook: O7.unfinished at 0.000000 s: y";
        assert_eq!(said(Some("x"), Some("y")).as_deref(), Some(both));
        let ours = "O5.textbook.replaced.O7.unfinished: with Causeway in place of textbook, with which \
                    nothing is wrong: y";
        assert_eq!(said(None, Some("y")).as_deref(), Some(ours));
    }

    #[test]
    fn a_panic_of_another_stack_is_called_so() {
        let place = "/home/x/registry/src/y/smoltcp-0.14.0/src/wire/tcp.rs:5";
        assert_eq!(panic_signature(place), "O5.smoltcp.O13.smoltcp-0.14.0/src/wire/tcp.rs:5");
        assert_eq!(panic_signature("core/src/tcp/a.rs:5"), "O13.core/src/tcp/a.rs:5");
    }

    #[test]
    fn a_case_with_programs_is_not_run_again_with_causeway() {
        let text = |program: &str| {
            format!(
                "host = [{{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
                 {{ name = \"b\", stack = \"smoltcp\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }}]\n\
                 link = [{{ between = [\"a\", \"b\"] }}]\n{program}"
            )
        };
        let parse = |program: &str| Scenario::parse("case", &text(program)).expect("it is one");
        let (stack, other) = replaced(&parse("")).expect("b is another stack");
        assert_eq!(stack, "smoltcp");
        assert!(other.hosts.iter().all(|host| host.stack == StackKind::Causeway));
        let program = "program = [{ host = \"a\", name = \"p\", kind = \"closure\" }]\n";
        assert!(replaced(&parse(program)).is_none());
    }
}
