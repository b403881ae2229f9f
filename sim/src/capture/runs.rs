//! Runs of our own, captured at both hosts.

use std::cell::RefCell;
use std::rc::Rc;

use causeway_core::time::Instant;

use super::tests::pcap;
use crate::fault::FaultPlan;
use crate::tap::{Delivery, DirectionId, Fate, Tap};
use crate::trial::{Case, Outcome, Trial};

/// A frame: when, its bytes, and how many it has.
type Captured = (u64, Vec<u8>, usize);

/// What each of two hosts would capture.
#[derive(Clone, Default)]
pub(super) struct HostTap(Rc<RefCell<[Vec<Captured>; 2]>>);

impl HostTap {
    fn put(&self, host: usize, at: Instant, frame: &[u8]) {
        self.0.borrow_mut()[host].push((at.as_nanos(), frame.to_vec(), frame.len()));
    }

    /// The two files; the second host's clock is ahead.
    pub(super) fn files(&self, nanos: bool, ahead: u64) -> [Vec<u8>; 2] {
        let [a, b] = self.0.take();
        let base = 1_700_000_000_000_000_000;
        let moved = |packets: Vec<Captured>, by: u64| {
            packets
                .into_iter()
                .map(|(at, bytes, len)| (at + base + by, bytes, len))
                .collect::<Vec<_>>()
        };
        [pcap(1, nanos, false, &moved(a, 0)), pcap(1, nanos, true, &moved(b, ahead))]
    }
}

impl Tap for HostTap {
    fn sent(&mut self, at: Instant, direction: DirectionId, frame: &[u8], _: Fate<'_>) {
        self.put(direction.0, at, frame);
    }

    /// The host does not see what a router sends.
    fn injected(&mut self, _: Instant, _: DirectionId, _: &[u8], _: Fate<'_>) {}

    fn arrived(&mut self, at: Instant, direction: DirectionId, _: u64, frame: &[u8], _: Delivery) {
        self.put(1 - direction.0, at, frame);
    }
}

pub(super) const HOSTS: &str = "host = [\n\
    { name = \"a\", interface = [{ name = \"eth0\", mtu = 1500, addresses = [\"10.0.0.1/24\"] }] },\n\
    { name = \"b\", interface = [{ name = \"eth0\", mtu = 1500, addresses = [\"10.0.0.2/24\"] }] },\n]\n\
    link = [{ between = [\"a\", \"b\"], rate_kbit_s = 20000, delay_us = 3000 }]\n";

/// Linux on both ends, 128 bytes kept of each packet: between them a relay lost the SYN,ACK, three segments of the client and an
/// acknowledgement, held one of each back, changed a byte and sent one twice.
pub(super) const KERNEL: [&[u8]; 2] = [
    include_bytes!("../../tests/captures/kernel-a.pcap"),
    include_bytes!("../../tests/captures/kernel-b.ng"),
];

/// A file in memory.
#[derive(Clone, Default)]
pub(super) struct Shared(pub(super) Rc<RefCell<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A run with its captures.
pub(super) fn captured(seed: u64, rest: &str, plan: &str, nanos: bool) -> (Outcome, [Vec<u8>; 2]) {
    captured_between(HOSTS, seed, rest, plan, nanos)
}

/// The same between other hosts.
pub(super) fn captured_between(
    hosts: &str,
    seed: u64,
    rest: &str,
    plan: &str,
    nanos: bool,
) -> (Outcome, [Vec<u8>; 2]) {
    let plan: FaultPlan = format!("causeway fault plan 2\n{plan}").parse().expect("a plan");
    let case = Case { seed, failed: None, scenario: format!("{hosts}{rest}"), plan };
    let tap = HostTap::default();
    let trial = Trial::new("case", &case).expect("the scenario is right");
    let outcome = trial.run(vec![Box::new(tap.clone())]).expect("it runs");
    (outcome, tap.files(nanos, 77_123_456_789))
}
