//! Whether the hosts of a scenario can reach each other at all: a flow between hosts without a link is never done, and proves nothing.

use std::net::IpAddr;

use crate::scenario::{FlowSpec, LinkEnd, Scenario};

/// Getter: every flow's client has an address of the server's version where a cable leads to the server's address.
pub(super) fn reaches(scenario: &Scenario) -> bool {
    let islands = islands(scenario);
    scenario
        .flows
        .iter()
        .all(|flow| flow.from == flow.to || reaches_server(scenario, &islands, flow))
}

fn reaches_server(scenario: &Scenario, islands: &[Vec<LinkEnd>], flow: &FlowSpec) -> bool {
    let server = flow.server.ip();
    let [from, to] = [flow.from, flow.to].map(|host| scenario.hosts[host].config.interfaces());
    let theirs = to.iter().position(|i| i.addresses().iter().any(|a| a.addr() == server));
    let Some(theirs) = theirs.map(|nic| LinkEnd::Host(flow.to, nic)) else { return false };
    from.iter().enumerate().any(|(nic, interface)| {
        let ours = LinkEnd::Host(flow.from, nic);
        let linked = islands.iter().any(|i| i.contains(&ours) && i.contains(&theirs));
        let mut own = interface.addresses().iter().map(|own| own.addr());
        let client = own.find(|own| own.is_ipv6() == server.is_ipv6());
        linked
            && knows_way(scenario, flow.from, server)
            && client.is_some_and(|client| knows_way(scenario, flow.to, client))
    })
}

/// The ends of links, those together that frames can go between.
fn islands(scenario: &Scenario) -> Vec<Vec<LinkEnd>> {
    let mut islands: Vec<Vec<LinkEnd>> = Vec::new();
    for link in &scenario.links {
        let ends = link.ends.map(LinkEnd::whole);
        let touches = |island: &Vec<LinkEnd>| ends.iter().any(|end| island.contains(end));
        let (touched, mut rest): (Vec<_>, Vec<_>) = islands.into_iter().partition(touches);
        let mut island: Vec<LinkEnd> = touched.into_iter().flatten().collect();
        island.extend(ends);
        rest.push(island);
        islands = rest;
    }
    islands
}

/// The host knows a way to the address: it is a neighbour's, or there is some route.
fn knows_way(scenario: &Scenario, host: usize, to: IpAddr) -> bool {
    let config = &scenario.hosts[host].config;
    let neighbor = config.interfaces().iter().flat_map(|i| i.addresses()).any(|a| a.contains(to));
    neighbor || config.routes().iter().any(|r| r.destination().address.is_ipv4() == to.is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::draw;

    fn is_reachable(text: &str) -> bool {
        reaches(&Scenario::parse("x.toml", text).expect("it is right"))
    }

    #[test]
    fn every_flow_that_is_drawn_can_be_done() {
        for seed in 0..500 {
            assert!(is_reachable(&draw(seed).scenario), "{seed}");
        }
    }

    #[test]
    fn without_a_link_or_an_address_nobody_is_reached() {
        let text = "host = [\n\
            { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\", \"fd00::1/64\"] }] },\n\
            { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\", \"fd00::2/64\"] }] },\n\
            ]\nswitch = [{ name = \"s\" }, { name = \"t\" }]\n\
            link = [\n{ between = [\"a\", \"s\"] },\n{ between = [\"b\", \"t\"] },\n{ between = [\"s\", \"t\"] },\n]\n\
            flow = [{ kind = \"stream\", from = \"a\", to = \"b\", ipv6 = true }]\n";
        assert!(is_reachable(text));
        for gone in
            ["{ between = [\"a\", \"s\"] },", "{ between = [\"s\", \"t\"] },", ", \"fd00::1/64\""]
        {
            assert!(!is_reachable(&text.replace(gone, "")), "{gone}");
        }
        let loopback = text.replace("from = \"a\"", "from = \"b\"").replace(", \"fd00::1/64\"", "");
        assert!(is_reachable(&loopback));
    }
}
