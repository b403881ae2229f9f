//! What the model of the socket interface is told of a run before it begins.

use causeway_core::time::Duration;

use crate::fault::{Condition, Decision, Event, Fault, FaultPlan};
use crate::model::{Facts, HostFacts, Weather};
use crate::scenario::{HostSpec, PortKind, Scenario, StackKind};

/// What is left of a closed connection is given up after so many timeouts (tcp_orphan_retries of Linux), or in FIN-WAIT-2 after this.
const ORPHAN_TIMEOUTS: u64 = 8;
const FIN_WAIT2: Duration = Duration::from_secs(60);

/// Getter: what the model knows of a run.
pub(super) fn facts(scenario: &Scenario, plan: &FaultPlan) -> Facts {
    let host = |(index, spec): (usize, &HostSpec)| {
        let addresses = spec.config.interfaces().iter().flat_map(|i| i.addresses());
        let guests = scenario.programs.iter().any(|program| program.host == index);
        let tcp = spec.config.tcp();
        let [rto_initial, rto_min, _] = tcp.rto();
        // One retransmission is the least that can be configured; probes of a connection that is idle have times of their own.
        let thrice = |rto: Duration| Duration::from_nanos(3 * rto.as_nanos());
        let patience = if tcp.keepalive() { Duration::ZERO } else { thrice(rto_min) };
        let orphan = Duration::from_nanos(rto_min.as_nanos() << ORPHAN_TIMEOUTS);
        HostFacts {
            is_seen: spec.stack == StackKind::Causeway && spec.port == PortKind::Polled && !guests,
            addresses: addresses.map(|address| address.addr()).collect(),
            ring_bytes: spec.ring_bytes as u64,
            streams_max: spec.streams_max,
            ports: spec.ports().range(),
            connect_patience: thrice(rto_initial),
            patience,
            linger: orphan.min(FIN_WAIT2),
        }
    };
    let hosts = scenario.hosts.iter().enumerate().map(host).collect();
    Facts { hosts, weather: weather(scenario, plan) }
}

fn weather(scenario: &Scenario, plan: &FaultPlan) -> Weather {
    let (link, host) = (&scenario.faults.link, &scenario.faults.host);
    let mut weather = Weather {
        is_rough: scenario.draws || !plan.is_empty(),
        is_forged: link.repaired_ppm > 0
            || link.forge_ppm > 0
            || link.path.header_repaired_ppm > 0
            || link.path.storm_ppm > 0
            || host.nic.sum_good_ppm > 0,
        no_rings: host.no_rings_ppm > 0,
        no_memory: host.no_memory_ppm > 0,
    };
    for decision in plan.decisions() {
        match decision {
            Decision::Frame {
                fault: Fault::Forge(_) | Fault::Corrupt { repaired: true, .. },
                ..
            }
            | Decision::Counted { event: Event::SumGood, .. }
            | Decision::Span { condition: Condition::AckAhead(_), .. } => weather.is_forged = true,
            Decision::Counted { event: Event::NoRings, .. } => weather.no_rings = true,
            Decision::Counted { event: Event::NoMemory, .. } => weather.no_memory = true,
            _ => {}
        }
    }
    weather
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "host = [\n\
        { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
        { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }], stack = \"textbook\" },\n\
        ]\nlink = [{ between = [\"a\", \"b\"] }]\n\
        flow = [{ kind = \"stream\", from = \"a\", to = \"b\" }]\n";

    fn of(more: &str, plan: &str) -> Facts {
        let scenario = Scenario::parse("x", &format!("{SCENARIO}{more}")).expect("it is right");
        let plan = format!("causeway fault plan 2\n{plan}");
        facts(&scenario, &plan.parse().expect("it is right"))
    }

    #[test]
    fn the_weather_is_what_the_plan_or_the_draws_say() {
        let none = Weather::default();
        assert_eq!(of("", "").weather, none);
        let rough = Weather { is_rough: true, ..none };
        assert_eq!(of("", "pause a 1s..2s\n").weather, rough);
        assert_eq!(of("fault = { loss_ppm = 5 }\n", "").weather, rough);
        let forged = Weather { is_forged: true, ..rough };
        for line in ["forge a->b 3 rst 0\n", "corrupt a->b 3 byte 9 xor 0x1 repaired\n"] {
            assert_eq!(of("", line).weather, forged, "{line}");
        }
        assert_eq!(of("fault = { forge_ppm = 5 }\n", "").weather, forged);
        assert_eq!(of("", "corrupt a->b 3 byte 9 xor 0x1\n").weather, rough);
        assert!(of("", "no-rings a 3\n").weather.no_rings);
        assert!(of("fault = { no_memory_ppm = 5 }\n", "").weather.no_memory);
    }

    #[test]
    fn a_host_with_another_stack_is_not_seen_and_timers_say_how_patient_one_is() {
        let facts = of("", "");
        assert_eq!([facts.hosts[0].is_seen, facts.hosts[1].is_seen], [true, false]);
        // A second, and two (RFC 6298 2.1, 5.5).
        assert_eq!(facts.hosts[0].connect_patience, Duration::from_secs(3));
        assert_eq!(facts.hosts[0].patience, Duration::from_millis(600));
        assert!(facts.hosts[0].linger < Duration::from_secs(60));
    }
}
