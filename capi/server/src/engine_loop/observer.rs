//! What the engine tells the operator.

use causeway_backends::{AnyNic, Losses};
use causeway_core::engine::Engine;
use causeway_core::event::Event;
use causeway_core::nic::Nic;
use causeway_core::stack::{Drops, Stats};
use causeway_core::time::{Duration, Instant};

use crate::port::ChannelPort;

/// How often counters and links are looked at, while the engine is awake.
const PERIOD: Duration = Duration::from_secs(10);

/// Turns events and counters into log messages.
#[derive(Debug)]
pub(super) struct Observer {
    names: Vec<String>,
    links: Vec<Option<bool>>,
    losses: Vec<Losses>,
    drops: Drops,
    /// The operator knows that wrong UDP checksums are being overlooked.
    overlooking_told: bool,
    next: Instant,
}

impl Observer {
    /// `names` are those of the interfaces, interface 1 first.
    pub(super) fn new(names: Vec<String>) -> Self {
        let links = vec![None; names.len()];
        let losses = vec![Losses::default(); names.len()];
        Self {
            names,
            links,
            losses,
            drops: Drops::default(),
            overlooking_told: false,
            next: Instant::ZERO,
        }
    }

    /// Getter: the names of the interfaces, interface 1 first.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Command: after a step.
    pub(super) fn observe(&mut self, now: Instant, engine: &mut Engine<AnyNic, ChannelPort>) {
        while let Some(stamped) = engine.stack_mut().poll_event() {
            log_event(&stamped.event);
        }
        let overlooked = engine.stack().stats().udp_checksums_overlooked;
        if self.begins_to_overlook(overlooked) {
            tracing::warn!(
                "a datagram with a wrong UDP checksum was taken, as machnet.accept_bad_udp_checksum \
                 says; from now on they are only counted"
            );
        }
        if now >= self.next {
            self.next = now + PERIOD;
            self.watch_links(engine);
            self.report_losses(engine);
            self.report_drops(engine.stack().stats());
        }
    }

    /// True once: when the count of overlooked checksums is no longer zero. One word for a peer that may send
    /// thousands a second.
    fn begins_to_overlook(&mut self, overlooked: u64) -> bool {
        overlooked > 0 && !std::mem::replace(&mut self.overlooking_told, true)
    }

    /// Command: when the engine ends. `sockets_left`: those that lived when it was told to.
    pub(super) fn finish(&mut self, engine: &Engine<AnyNic, ChannelPort>, sockets_left: u64) {
        let stats = engine.stack().stats();
        self.report_losses(engine);
        self.report_drops(stats);
        tracing::info!(
            rx_frames = stats.rx_frames,
            tx_frames = stats.tx_frames,
            sockets = stats.sockets_opened,
            sockets_left,
            dropped = stats.drops.total(),
            udp_checksums_overlooked = stats.udp_checksums_overlooked,
            "engine stopped"
        );
    }

    fn watch_links(&mut self, engine: &Engine<AnyNic, ChannelPort>) {
        for ((name, link), nic) in self.names.iter().zip(&mut self.links).zip(engine.nics()) {
            let up = nic.link_up();
            if link.replace(up) != Some(up) {
                let state = if up { "up" } else { "down" };
                tracing::info!(interface = %name, state, "link");
            }
        }
    }

    fn report_losses(&mut self, engine: &Engine<AnyNic, ChannelPort>) {
        for ((name, told), nic) in self.names.iter().zip(&mut self.losses).zip(engine.nics()) {
            let losses = nic.losses();
            if std::mem::replace(told, losses) != losses {
                let Losses { rx, tx } = losses;
                tracing::warn!(interface = %name, rx, tx, "the device lost frames (totals)");
            }
        }
    }

    fn report_drops(&mut self, stats: &Stats) {
        let Drops {
            malformed,
            checksum,
            not_ours,
            martian,
            protocol,
            no_socket,
            limit,
            fragment,
            blind,
        } = stats.drops;
        let before = std::mem::replace(&mut self.drops, stats.drops);
        let fresh = stats.drops.total() - before.total();
        // Other hosts' broadcasts and unknown protocols are daily life.
        let daily = not_ours - before.not_ours + protocol - before.protocol;
        if fresh > daily {
            tracing::warn!(
                malformed,
                checksum,
                not_ours,
                martian,
                protocol,
                no_socket,
                limit,
                fragment,
                blind,
                "received frames were dropped ({fresh} since the last report; totals by reason)"
            );
        } else if fresh > 0 {
            tracing::debug!(not_ours, protocol, "received frames for others were dropped");
        }
    }
}

/// Ends and retransmissions are for those who look for trouble, the rest for those who look at one connection.
fn log_event(event: &Event) {
    match event {
        Event::Opened { socket, transport, local, remote } => {
            tracing::debug!(socket = socket.to_bits(), ?transport, %local, %remote, "opened");
        }
        Event::Ended { socket, reason } => {
            tracing::debug!(socket = socket.to_bits(), ?reason, "ended");
        }
        Event::Retransmit { socket, seq, len, cause } => {
            tracing::debug!(socket = socket.to_bits(), seq, len, ?cause, "retransmit");
        }
        Event::TcpState { socket, from, to } => {
            tracing::trace!(socket = socket.to_bits(), ?from, ?to, "state");
        }
        Event::Congestion { socket, cwnd_bytes, ssthresh_bytes, flight_bytes, srtt } => {
            tracing::trace!(
                socket = socket.to_bits(),
                cwnd_bytes,
                ssthresh_bytes,
                flight_bytes,
                %srtt,
                "congestion"
            );
        }
        Event::Address { interface, address, state: Some(state) } => {
            tracing::debug!(interface = interface.0, %address, ?state, "address");
        }
        Event::Address { interface, address, state: None } => {
            tracing::debug!(interface = interface.0, %address, "address is gone");
        }
        Event::Resolver { interface, server, lifetime_s } => {
            tracing::debug!(interface = interface.0, %server, lifetime_s, "resolver");
        }
        Event::Dropped { interface, reason } => {
            tracing::trace!(interface = interface.0, ?reason, "dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_overlooked_checksum_is_told_and_no_other() {
        let mut observer = Observer::new(Vec::new());
        let told = [0, 0, 1, 1, 900].map(|count| observer.begins_to_overlook(count));
        assert_eq!(told, [false, false, true, false, false]);
    }
}
