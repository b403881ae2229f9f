//! Connections of which one end was forgotten.

use crate::scenario::{Scenario, StackKind};
use crate::world::{Described, HostId};

/// The connection of a flow at its client and at its server, where there is one.
fn ends<'a>(
    scenario: &Scenario,
    flow: usize,
    sockets: &'a [(HostId, Described)],
) -> [Option<&'a Described>; 2] {
    let spec = &scenario.flows[flow];
    let server = spec.address(flow).port();
    let client = sockets.iter().find(|(host, socket)| {
        let [local, remote] = socket.ports;
        host.0 == spec.from && local != 0 && remote == server
    });
    let served = sockets.iter().find(|(host, socket)| {
        let [local, remote] = socket.ports;
        host.0 == spec.to && local == server && remote != 0
    });
    [client, served].map(|end| end.map(|(_, socket)| socket))
}

/// Getter: a flow has a connection at one of its hosts only, which waits for its peer. The end that is left learns of that when it sends
/// something, and not before (RFC 9293 §3.5.1).
pub(super) fn is_half_open(
    scenario: &Scenario,
    flow: usize,
    sockets: &[(HostId, Described)],
) -> bool {
    match ends(scenario, flow, sockets) {
        [Some(left), None] | [None, Some(left)] => left.is_waiting,
        _ => false,
    }
}

/// Getter: nothing is left to happen, and smoltcp's end of a flow has bytes to send. Whatever the reason, it lost its timer: there is one for as long as
/// something is not acknowledged (RFC 6298 5.1, RFC 9293 3.8.6.1).
pub(super) fn has_lost_its_timer(
    scenario: &Scenario,
    flow: usize,
    sockets: &[(HostId, Described)],
) -> bool {
    let spec = &scenario.flows[flow];
    let hosts = [spec.from, spec.to];
    let ends = ends(scenario, flow, sockets).into_iter().zip(hosts);
    let is_smol = |host: usize| scenario.hosts[host].stack == StackKind::Smoltcp;
    ends.into_iter().any(|(end, host)| is_smol(host) && end.is_some_and(|end| !end.is_waiting))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(host: usize, ports: [u16; 2]) -> (HostId, Described) {
        (HostId(host), Described { ports, is_waiting: true, words: String::new() })
    }

    #[test]
    fn a_listener_is_no_end_of_a_connection() {
        let scenario = "host = [\n\
            { name = \"a\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }] },\n\
            { name = \"b\", interface = [{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }] },\n]\n\
            link = [{ between = [\"a\", \"b\"] }]\n\
            flow = [{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 1 }]\n";
        let scenario = Scenario::parse("x", scenario).expect("it is right");
        let is_half_open = |sockets: &[_]| is_half_open(&scenario, 0, sockets);
        let (listener, client) = (socket(1, [10_000, 0]), socket(0, [3_333, 10_000]));
        let server = socket(1, [10_000, 3_333]);
        assert!(!is_half_open(std::slice::from_ref(&listener)), "there is no connection");
        assert!(is_half_open(&[listener.clone(), client.clone()]));
        assert!(is_half_open(&[listener.clone(), server.clone()]));
        let mut sends = client.clone();
        sends.1.is_waiting = false;
        assert!(!is_half_open(&[listener.clone(), sends]), "it is about to hear");
        assert!(!is_half_open(&[listener, client, server]));
        assert!(!is_half_open(&[socket(0, [3_333, 10_001])]), "another flow's");
    }

    #[test]
    fn only_smoltcp_with_bytes_to_send_has_lost_its_timer() {
        let scenario = |stack: &str| {
            let text = format!(
                "host = [\n\
                {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
                {{ name = \"b\", stack = \"{stack}\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }},\n]\n\
                link = [{{ between = [\"a\", \"b\"] }}]\n\
                flow = [{{ kind = \"stream\", from = \"a\", to = \"b\", bytes = 1 }}]\n"
            );
            Scenario::parse("x", &text).expect("it is right")
        };
        let smol = scenario("smoltcp");
        let (mut client, mut server) = (socket(0, [3_333, 10_000]), socket(1, [10_000, 3_333]));
        assert!(!has_lost_its_timer(&smol, 0, &[client.clone(), server.clone()]), "it waits");
        client.1.is_waiting = false;
        let sockets = [client.clone(), server.clone()];
        assert!(!has_lost_its_timer(&smol, 0, &sockets), "the other end is not smoltcp's");
        server.1.is_waiting = false;
        let sockets = [client, server];
        assert!(has_lost_its_timer(&smol, 0, &sockets));
        assert!(!has_lost_its_timer(&scenario("textbook"), 0, &sockets));
    }
}
