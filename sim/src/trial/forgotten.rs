//! Connections of which one end was forgotten.

use crate::scenario::Scenario;
use crate::world::{Described, HostId};

/// Getter: a flow has a connection at one of its hosts only, which waits for its peer. The end that is left learns of that when it sends
/// something, and not before (RFC 9293 §3.5.1).
pub(super) fn is_half_open(
    scenario: &Scenario,
    flow: usize,
    sockets: &[(HostId, Described)],
) -> bool {
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
    match (client, served) {
        (Some((_, left)), None) | (None, Some((_, left))) => left.is_waiting,
        _ => false,
    }
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
}
