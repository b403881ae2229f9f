//! Oracle O8 while a host runs: what it holds, against what its configuration lets it hold.

use super::host::PolledHost;
use super::host_port::HostPort;

/// Something that is held: how much, at most how much, and what it is.
type Bound = (u64, u64, &'static str);

/// Output: the first of `bounds` that is passed, in words.
fn passed(bounds: &[Bound]) -> Option<String> {
    let (held, most, what) = bounds.iter().find(|(held, most, _)| held > most)?;
    Some(format!("{held} {what}, and {most} are the most"))
}

impl<P: HostPort> PolledHost<P> {
    /// Output: what it holds beyond its bounds, in words. Looks at counters, not at sockets.
    pub(super) fn beyond_bounds(&self) -> Option<String> {
        let (stack, port) = (self.engine().stack(), self.engine().port().polled());
        let config = stack.config();
        let bounds = [
            (stack.socket_count() as u64, config.sockets_max().into(), "sockets"),
            (stack.neighbor_count() as u64, config.neighbors_max().into(), "neighbours"),
            (
                stack.reassembly_bytes() as u64,
                config.reassembly_bytes_max().into(),
                "bytes of fragments",
            ),
            (stack.receive_memory().held(), config.tcp_mem(), "bytes of received data"),
            (port.streams_open() as u64, port.streams_max as u64, "pairs of rings"),
        ];
        let rings = self.engine().nics().find_map(|nic| {
            let link = nic.port();
            passed(&[
                (link.rx_waiting() as u64, link.rx_ring() as u64, "frames in a receive ring"),
                (link.tx_held() as u64, link.tx_ring() as u64, "frames in a transmit ring"),
            ])
        });
        passed(&bounds).or(rings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bound_that_is_passed_is_named() {
        assert_eq!(passed(&[(5, 5, "sockets"), (0, 0, "neighbours")]), None);
        let words = passed(&[(5, 5, "sockets"), (7, 6, "neighbours"), (9, 1, "others")]);
        assert_eq!(words.as_deref(), Some("7 neighbours, and 6 are the most"));
    }
}
