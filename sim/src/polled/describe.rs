//! A polled host's sockets in words, and whether anything on it happens by itself.

use std::fmt::Write as _;
use std::net::SocketAddr;

use causeway_core::engine::Reason;
use causeway_core::time::{Duration, Instant};

use super::host::PolledHost;
use super::host_port::HostPort;
use super::socket::Socket;
use super::stream::Stream;
use crate::world::Described;

/// Neighbours are asked for and given up within seconds (RFC 4861 §10); what comes later is what is forgotten of them.
const RESOLUTION: Duration = Duration::from_secs(10);

/// Getter: nothing that a flow could wait for comes by `next`, the engine's own deadline, or by `sockets`, that of its sockets.
pub(super) fn brings_nothing(
    now: Instant,
    next: Option<(Instant, Reason)>,
    sockets: Option<Instant>,
) -> bool {
    sockets.is_none()
        && match next {
            None => true,
            Some((at, Reason::Neighbor)) => at > now + RESOLUTION,
            // A datagram is given up of which parts are missing: it will not come, whoever waits for it.
            Some((_, Reason::Reassembly)) => true,
            Some((_, Reason::Busy | Reason::NicFull | Reason::Socket | Reason::Ping)) => false,
        }
}

/// A program's socket, and what it and the stack still have to do with its rings.
fn describe(socket: &Socket, rings: Option<&Stream>, waits: &str) -> Described {
    let Socket { transport, listener, state, peer_closed, write_shut, local, remote, .. } = socket;
    let name = |end: &Option<SocketAddr>| end.map_or("nobody".to_owned(), |end| end.to_string());
    let mut words = format!("{transport:?} {} to {}, {state:?}", name(local), name(remote));
    if *listener {
        let _ = write!(words, ", a listener");
    }
    if let Some(Stream { tx_written, tx_released, rx_committed, rx_consumed, .. }) = rings {
        let _ = write!(
            words,
            ", {} bytes written and not acknowledged, {} received and not read",
            tx_written - tx_released,
            rx_committed - rx_consumed
        );
    }
    for (is_so, what) in [(*peer_closed, "the peer has closed"), (*write_shut, "it has closed")] {
        if is_so {
            let _ = write!(words, ", {what}");
        }
    }
    let port = |end: &Option<SocketAddr>| end.map_or(0, |end| end.port());
    let is_waiting = rings.is_none_or(|rings| rings.tx_written == rings.tx_released);
    let ports = [port(local), port(remote)];
    Described { ports, is_waiting, words: format!("{words}; {waits}") }
}

impl<P: HostPort> PolledHost<P> {
    /// Output: the sockets of its programs.
    pub(super) fn sockets_in_words(&self) -> Vec<Described> {
        let waits = self.deadline().map_or_else(
            || "no timer of the host runs".to_owned(),
            |(at, why)| format!("the host's next timer is for {why:?}, at {at} s"),
        );
        let port = self.engine().port().polled();
        let described = port.sockets.all().map(|socket| {
            let rings = socket.stream.and_then(|slot| port.streams.get(slot as usize)?.as_ref());
            describe(socket, rings, &waits)
        });
        described.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_flow_can_wait_for_keeps_a_host_from_rest() {
        let now = Instant::from_nanos(5_000_000_000);
        let soon = now + Duration::from_secs(1);
        assert!(brings_nothing(now, None, None));
        for (reason, rests) in [
            (Reason::Busy, false),
            (Reason::NicFull, false),
            (Reason::Socket, false),
            (Reason::Ping, false),
            (Reason::Neighbor, false),
            (Reason::Reassembly, true),
        ] {
            assert_eq!(brings_nothing(now, Some((soon, reason)), None), rests, "{reason:?}");
        }
        let later = now + Duration::from_secs(11);
        let forgets = Some((later, Reason::Neighbor));
        assert!(brings_nothing(now, forgets, None), "one is forgotten then");
        assert!(!brings_nothing(now, forgets, Some(later)), "a socket's deadline is behind it");
    }
}
