//! What goes wrong around a scenario on paths and in NICs: what a transport hides from its programs.

use causeway_core::time::{Duration, Instant};
use toml::{Table, Value};

use super::draw::Draw;
use crate::fault::{Condition, Decision, FaultPlan, TcpOption};
use crate::scenario::{LinkEnd, Scenario};

/// The parts of the draws. Cases without a scenario draw other things from the same numbers.
const PART_RATES: u64 = 34;
const PART_SPANS: u64 = 35;

/// The interfaces of a scenario's routers without which another link leads to the same router: who uses no route through one has a default
/// route through the other.
pub(super) fn detours(scenario: &Scenario) -> Vec<String> {
    let joins = |router: usize, interface: usize| {
        scenario.links.iter().find_map(|link| match link.ends {
            [LinkEnd::Router(a, nic), LinkEnd::Router(b, _)] if (a, nic) == (router, interface) => {
                Some(b)
            }
            [LinkEnd::Router(b, _), LinkEnd::Router(a, nic)] if (a, nic) == (router, interface) => {
                Some(b)
            }
            _ => None,
        })
    };
    let mut found = Vec::new();
    for (router, spec) in scenario.routers.iter().enumerate() {
        let routes = spec.config.routes();
        let defaults = |v4: bool| {
            let is_it = move |net: &(std::net::IpAddr, u8)| net.1 == 0 && net.0.is_ipv4() == v4;
            let mut all = routes
                .iter()
                .map(|r| ((r.destination().address, r.destination().prefix_len), r.interface()));
            all.find(|(net, _)| is_it(net)).map(|(_, interface)| interface)
        };
        for (interface, about) in spec.config.interfaces().iter().enumerate() {
            let other = joins(router, interface);
            let beside = |default: Option<usize>| {
                default.is_some_and(|default| {
                    default != interface && other.is_some() && joins(router, default) == other
                })
            };
            let families: Vec<bool> =
                about.addresses().iter().map(|own| own.addr().is_ipv4()).collect();
            if families.iter().all(|v4| beside(defaults(*v4))) {
                found.push(format!("{}.{}", spec.name, about.name()));
            }
        }
    }
    found
}

/// Command: adds how often what else goes wrong, to a `[fault]`: on links, and where NICs do much for their stacks in them.
pub(super) fn add_rates(faults: &mut Table, seed: u64) {
    let mut draw = Draw::new(seed, PART_RATES);
    for (percent, key, most) in [
        (15, "hold_ppm", 100_000),
        (12, "header_ppm", 30_000),
        (10, "join_ppm", 500_000),
        (10, "thin_ppm", 700_000),
        (10, "divide_ppm", 200_000),
        (10, "split_ppm", 100_000),
        (10, "sum_unknown_ppm", 300_000),
        (10, "sum_bad_ppm", 50_000),
        (10, "odd_cut_ppm", 500_000),
        (10, "greedy_join_ppm", 500_000),
    ] {
        let (drawn, ppm) = (draw.chance(percent), draw.magnitude(most / 100, most));
        let (frames, micros) = (draw.magnitude(1, 100), draw.magnitude(10, 200_000));
        if !drawn {
            continue;
        }
        let mut set = |key: &str, value: u64| {
            faults.insert(key.to_owned(), Value::Integer(value.cast_signed()));
        };
        set(key, ppm);
        if key == "hold_ppm" {
            set("hold_frames_max", frames);
            set("hold_us_max", micros);
        }
    }
}

/// Command: adds what else is so for a while, in one case of four: directions that flap, receivers that renege, routes that change.
pub(super) fn draw_spans(
    plan: &mut FaultPlan,
    seed: u64,
    (directions, detours): (&[String], &[String]),
    heal_ms: u64,
) {
    let mut draw = Draw::new(seed, PART_SPANS);
    if !draw.chance(25) {
        return;
    }
    for _ in 0..draw.between(1, 2) {
        let one = |draw: &mut Draw, names: &[String]| {
            let index = draw.stream.below(names.len().max(1) as u64) as usize;
            names.get(index).cloned()
        };
        let (direction, detour) = (one(&mut draw, directions), one(&mut draw, detours));
        let begins_ms = draw.stream.below(heal_ms);
        let ends_ms = draw.between(begins_ms + 1, heal_ms);
        let told_ms = draw.between(begins_ms + 1, ends_ms);
        let part = |draw: &mut Draw| Duration::from_micros(draw.magnitude(100, 500_000));
        let flap = Condition::Flap { up: part(&mut draw), down: part(&mut draw) };
        let ahead = Condition::SackAhead(draw.magnitude(1, 100_000) as u32);
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let mut push = |target: Option<&String>, until_ms, condition| {
            let Some(target) = target.cloned() else { return };
            let (from, until) = (at(begins_ms), at(until_ms));
            plan.push(Decision::Span { target, from, until, condition });
        };
        match draw.stream.below(4) {
            0 | 1 if detour.is_some() => push(detour.as_ref(), ends_ms, Condition::NoRoute),
            0..=2 => push(direction.as_ref(), ends_ms, flap),
            _ => {
                // What was told is told no more some time later: to its sender the receiver reneges.
                push(direction.as_ref(), told_ms, ahead);
                push(direction.as_ref(), ends_ms, Condition::Stripped(TcpOption::Sack));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_does_without_a_link_only_where_another_leads_to_the_same_one() {
        let text = "host = [\n\
            { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.1.1/24\"] }] },\n\
            { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.2.1/24\"] }] },\n]\n\
            router = [\n\
            { name = \"r\", interface = [{ name = \"in\", addresses = [\"10.0.1.254/24\"] }, \
            { name = \"near\", addresses = [\"10.0.101.1/24\"] }, { name = \"far\", addresses = [\"10.0.102.1/24\"] }], \
            route = [{ destination = \"10.0.2.0/24\", gateway = \"10.0.101.2\" }, { destination = \"0.0.0.0/0\", gateway = \"10.0.102.2\" }] },\n\
            { name = \"q\", interface = [{ name = \"in\", addresses = [\"10.0.2.254/24\"] }, \
            { name = \"near\", addresses = [\"10.0.101.2/24\"] }, { name = \"far\", addresses = [\"10.0.102.2/24\"] }], \
            route = [{ destination = \"10.0.1.0/24\", gateway = \"10.0.101.1\" }] },\n]\n\
            link = [{ between = [\"a\", \"r.in\"] }, { between = [\"q.in\", \"b\"] }, \
            { between = [\"r.near\", \"q.near\"] }, { between = [\"q.far\", \"r.far\"] }]\n\
            flow = [{ kind = \"stream\", from = \"a\", to = \"b\" }]\n";
        let found = |text: &str| detours(&Scenario::parse("x", text).expect("it is right"));
        assert_eq!(found(text), ["r.near"], "q knows one way only");
        assert!(found(&text.replace("0.0.0.0/0\"", "10.0.3.0/24\"")).is_empty());
        assert!(found(&text.replace(", { between = [\"q.far\", \"r.far\"] }", "")).is_empty());
    }
}
