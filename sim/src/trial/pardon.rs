//! What smoltcp is known to do wrong, seen on the wire: a flow that one of its ends sends may be unfinished because of it, and because of nothing
//! else. Each is a test of its own.
//!
//! | defect | what is seen |
//! |---|---|
//! | `no-congestion-control`: it is built without any, and sends as much as the peer's window takes, again after each timeout, whose backoff only a new sample of the round trip ends | a segment that it sent, or that was passed on, found a queue full |
//! | `empty-probes`: a window that closes while all that was written is under way replaces the retransmission timer by a probe, which has no byte and a number behind the FIN, so that nobody answers it and nothing is sent again | an acknowledgement with a closed window arrived at it |
//! | `lost-timer`: a fast retransmission for which the NIC has no room is forgotten, and the retransmission timer was stopped for it | nothing is left to happen, and it has bytes to send ([`super::forgotten`]) |
//!
//! They are defects of 0.14.0: `dispatch` of `src/socket/tcp.rs` takes a probe's bytes from behind what is in flight, and
//! `set_for_zero_window_probe` forgets the other timer (RFC 9293 3.8.6.1: a probe is at least one byte of new data or a retransmission);
//! it takes `pending_fast_retransmit` back before it knows that the segment left.

use std::cell::Cell;
use std::rc::Rc;

use causeway_core::time::Instant;

use crate::packet::{Flags, Packet, Tcp};
use crate::scenario::{Scenario, StackKind};
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::workload::SharedLedger;

/// A flow with an end on smoltcp.
#[derive(Clone, Debug)]
struct Watched {
    flow: usize,
    /// The port of its server, and whether that is smoltcp's end.
    port: u16,
    serves: bool,
    pardoned: Rc<Cell<bool>>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Pardons {
    watched: Vec<Watched>,
    ledger: SharedLedger,
}

impl Pardons {
    /// `None` where nobody is smoltcp.
    pub(super) fn new(scenario: &Scenario, ledger: &SharedLedger) -> Option<Self> {
        let is_smol = |host: usize| scenario.hosts[host].stack == StackKind::Smoltcp;
        let flows = scenario.flows.iter().enumerate();
        let flows = flows.filter(|(_, flow)| is_smol(flow.from) || is_smol(flow.to));
        let watched: Vec<_> = flows
            .map(|(index, flow)| Watched {
                flow: index,
                port: flow.address(index).port(),
                serves: is_smol(flow.to),
                pardoned: Rc::default(),
            })
            .collect();
        let ledger = SharedLedger::clone(ledger);
        (!watched.is_empty()).then_some(Self { watched, ledger })
    }

    /// A frame: was it sent by smoltcp (`sends`) or to it, and is its flow pardoned for what `is_defect` sees?
    fn see(&self, frame: &[u8], sends: bool, why: &'static str, is_defect: impl Fn(&Tcp) -> bool) {
        let Ok(packet) = Packet::parse(frame) else { return };
        let Some(tcp) = packet.tcp() else { return };
        let is_of = |watched: &&Watched| {
            let by_server = tcp.source_port == watched.port;
            (by_server || tcp.destination_port == watched.port)
                && (by_server == watched.serves) == sends
        };
        if let Some(watched) = self.watched.iter().find(is_of)
            && !watched.pardoned.get()
            && is_defect(tcp)
        {
            watched.pardoned.set(true);
            self.ledger.borrow_mut().pardon(watched.flow, why);
        }
    }
}

impl Tap for Pardons {
    fn sent(&mut self, _: Instant, _: DirectionId, frame: &[u8], fate: Fate<'_>) {
        if fate == Fate::QueueFull {
            self.see(frame, true, "no-congestion-control", |_| true);
        }
    }

    fn arrived(&mut self, _: Instant, _: DirectionId, _: u64, frame: &[u8], delivery: Delivery) {
        let closes = |tcp: &Tcp| tcp.window == 0 && !tcp.flags.has(Flags::RST);
        if delivery == Delivery::Received {
            self.see(frame, false, "empty-probes", closes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Case, Trial};
    use crate::workload::{Excuses, Ledger, Violation};

    /// smoltcp sends `bytes` over a link with a queue of so many frames. What is wrong, and what is pardoned.
    fn run(frames: u64, bytes: u64, plan: &str) -> (Option<Violation>, Option<&'static str>) {
        let text = format!(
            "host = [\n\
             {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},\n\
             {{ name = \"b\", stack = \"smoltcp\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }},\n]\n\
             link = [{{ between = [\"a\", \"b\"], delay_us = 10000, queue = \"drop-tail\", queue_frames = {frames} }}]\n\
             flow = [{{ kind = \"stream\", from = \"b\", to = \"a\", bytes = {bytes}, start_ms = 100 }}]\n\
             run = {{ heal_ms = 300, limit_s = 60 }}\n"
        );
        let plan = format!("causeway fault plan 2\n{plan}").parse().expect("a plan");
        let case = Case { seed: 1, scenario: text, plan, ..Case::default() };
        let trial = Trial::new("case", &case).expect("it is right");
        let ledger = Ledger::shared(1, Box::new(Excuses::default()));
        let pardons = Pardons::new(trial.scenario(), &ledger).expect("b is smoltcp");
        let outcome = trial.run(vec![Box::new(pardons)]).expect("what it names is there");
        let pardon = ledger.borrow().flows()[0].pardon;
        (outcome.violation, pardon)
    }

    #[test]
    fn only_what_was_seen_is_pardoned() {
        assert_eq!(run(200, 20_000, ""), (None, None));
        assert_eq!(run(3, 100_000, ""), (None, Some("no-congestion-control")));
        assert_eq!(
            run(200, 20_000, "drop b->a 6\n"),
            (None, None),
            "a lost segment is nobody's fault"
        );
    }

    #[test]
    fn a_window_that_closes_behind_the_last_byte_stops_smoltcp_for_good() {
        // ARP, SYN and ACK, then six segments at 140 ms. The last of them is lost, and the window of what acknowledges the others is
        // closed: no byte is sent again.
        let plan = "drop b->a 9\nwindow a->b 140ms..250ms 0\n";
        assert_eq!(run(200, 8_000, plan), (None, Some("empty-probes")));
    }
}
