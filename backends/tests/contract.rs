//! Every backend against the contract of `Nic`.

use std::collections::VecDeque;

use causeway_backends::contract::{Rig, check};
use causeway_backends::fault::{Fault, FaultProfile};
use causeway_backends::loopback::LoopbackConfig;
use causeway_backends::{AnyNic, Loopback};
use causeway_core::nic::{BURST_MAX, Frame, Nic};

/// A pair: the far end is the other NIC.
struct Pair<N> {
    nic: N,
    peer: Loopback,
}

impl<N: Nic> Rig for Pair<N> {
    type Nic = N;

    fn nic(&mut self) -> &mut N {
        &mut self.nic
    }

    fn peer_send(&mut self, frame: &[u8]) {
        let mut buf = self.peer.alloc(frame.len()).expect("the far end has memory");
        buf.segment_mut(0).copy_from_slice(frame);
        assert_eq!(self.peer.tx_burst(&mut VecDeque::from([buf])), 1);
    }

    fn peer_received(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.peer)
    }
}

/// One NIC that hears itself: it is its own far end.
struct Mirror(Loopback);

impl Rig for Mirror {
    type Nic = Loopback;

    fn nic(&mut self) -> &mut Loopback {
        &mut self.0
    }

    fn peer_send(&mut self, frame: &[u8]) {
        // With all memory taken (one test does that) the far end, being the same NIC, has none either;
        // a second NIC's memory serves.
        let mut donor = Loopback::new(&LoopbackConfig::default());
        let mut buf = donor.alloc(frame.len()).expect("a fresh NIC has memory");
        buf.segment_mut(0).copy_from_slice(frame);
        assert_eq!(self.0.tx_burst(&mut VecDeque::from([buf])), 1);
    }

    fn peer_received(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.0)
    }
}

fn drain(nic: &mut impl Nic) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while nic.rx_burst(&mut frames, BURST_MAX) > 0 {}
    frames.iter().map(|f| f.segment(0).to_vec()).collect()
}

fn pair() -> (Loopback, Loopback) {
    Loopback::pair(&LoopbackConfig::default())
}

#[test]
fn the_loopback_keeps_the_contract_with_itself_as_peer() {
    check(|| Mirror(Loopback::new(&LoopbackConfig::default())));
}

#[test]
fn a_loopback_pair_keeps_the_contract() {
    check(|| {
        let (nic, peer) = pair();
        Pair { nic, peer }
    });
}

#[test]
fn the_fault_decorator_without_faults_keeps_the_contract() {
    check(|| {
        let (nic, peer) = pair();
        Pair { nic: Fault::new(nic, 1, FaultProfile::NONE, FaultProfile::NONE), peer }
    });
}

#[test]
fn any_nic_keeps_the_contract_of_what_it_holds() {
    check(|| {
        let (nic, peer) = pair();
        Pair { nic: AnyNic::from(nic), peer }
    });
    check(|| {
        let (nic, peer) = pair();
        let nic = Fault::new(nic.into(), 1, FaultProfile::NONE, FaultProfile::NONE);
        Pair { nic: AnyNic::Fault(Box::new(nic)), peer }
    });
}
