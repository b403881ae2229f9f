//! Causeway's two hosts in a world.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::MacAddr;
use causeway_core::port::Transport;
use causeway_core::stack::StackConfig;
use causeway_core::time::{Duration, Instant};
use causeway_sim::content;
use causeway_sim::fault::{FaultPlan, FaultSource};
use causeway_sim::nic::{NicConfig, NicPort};
use causeway_sim::polled::{MakeStack, Net, PolledConfig, PolledHost, PortFaults, Program, State};
use causeway_sim::trial::{Case, Trial};
use causeway_sim::world::HostId;

use super::{Load, Round, frames_of, timed};

/// The port of the first flow.
const PORT: u16 = 7_000;

/// A host with an address, and its NIC's other half.
pub fn host(octet: u8, ring_bytes: usize) -> (PolledHost, Rc<NicPort>) {
    let config = PolledConfig {
        nics: vec![NicConfig::new(MacAddr([2, 0, 0, 0, 0, octet]))],
        ring_bytes,
        streams_max: 256,
        granularity: Duration::ZERO,
    };
    let make: MakeStack = Box::new(move |seed, secret| {
        let address = InterfaceAddress::new([10, 0, 0, octet].into(), 24);
        StackConfig::builder(seed, secret).interface(&[address.expect("a prefix of 24 bits")])
    });
    let built = PolledHost::new(&config, make, u64::from(octet), PortFaults::default());
    let (host, mut ports) = built.expect("a stack takes its defaults");
    (host, ports.remove(0))
}

fn sender(flow: usize, bytes: u64) -> impl Program {
    let server: SocketAddr = ([10, 0, 0, 2], PORT + flow as u16).into();
    let (mut sock, mut sent) = (None, 0);
    move |net: &mut Net<'_>| {
        let sock = *sock.get_or_insert_with(|| net.connect(Transport::Tcp, None, server));
        while net.take_ready().is_some() {}
        if net.state(sock) == Some(State::Opening) || sent == bytes {
            return None;
        }
        while sent < bytes {
            let len = usize::try_from(bytes - sent).unwrap_or(usize::MAX);
            let fill = |offset, piece: &mut [u8]| content::fill(flow as u64, 0, offset, piece);
            let Ok(count) = net.send_with(sock, len, fill) else { return None };
            sent += count as u64;
        }
        let _ = net.close(sock);
        None
    }
}

fn receiver(flow: usize, bytes: u64, done: Rc<Cell<usize>>) -> impl Program {
    let local: SocketAddr = ([10, 0, 0, 2], PORT + flow as u16).into();
    let (mut listener, mut sock, mut received) = (None, None, 0);
    move |net: &mut Net<'_>| {
        let listener = *listener.get_or_insert_with(|| net.listen(Transport::Tcp, local, 1));
        while net.take_ready().is_some() {}
        if sock.is_none() {
            sock = net.accept(listener).ok();
        }
        let check = |offset, piece: &[u8]| {
            assert_eq!(content::mismatch(flow as u64, 0, offset, piece), None, "flow {flow}");
        };
        while let Ok(count) = net.recv_with(sock?, usize::MAX, check) {
            if count == 0 {
                assert_eq!(received, bytes, "flow {flow} ends early");
                done.set(done.get() + 1);
                let _ = net.close(sock?);
                return None;
            }
            received += count as u64;
        }
        None
    }
}

/// Runs `load`; frames that arrived.
pub fn streams(load: Load) -> u64 {
    let mut world = load.world();
    let ((mut a, a_port), (mut b, b_port)) = (host(1, load.ring_bytes), host(2, load.ring_bytes));
    let done = Rc::new(Cell::new(0));
    for flow in 0..load.flows {
        let receiver = receiver(flow, load.bytes, Rc::clone(&done));
        b.add_program(Box::new(receiver), Instant::ZERO);
        let starts_at = Instant::ZERO + Duration::from_micros(100);
        a.add_program(Box::new(sender(flow, load.bytes)), starts_at);
    }
    let a: HostId = world.add_host("a", Box::new(a), Arc::default());
    let b: HostId = world.add_host("b", Box::new(b), Arc::default());
    world.connect((a, a_port), (b, b_port), load.link(), &FaultSource::clean());
    world.run_while(Instant::ZERO + Duration::from_secs(3_600), || done.get() < load.flows);
    assert_eq!(done.get(), load.flows, "every stream ends");
    frames_of(&world)
}

/// One stream of `bytes` that every oracle watches.
pub fn judged(bytes: u64) -> Round {
    let scenario = format!(
        "\
host = [
  {{ name = \"a\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.1/24\"] }}] }},
  {{ name = \"b\", interface = [{{ name = \"eth0\", addresses = [\"10.0.0.2/24\"] }}] }},
]
link = [{{ between = [\"a\", \"b\"], rate_kbit_s = 100000000, delay_us = 5 }}]
flow = [{{ kind = \"stream\", from = \"a\", to = \"b\", bytes = {bytes} }}]
run = {{ poll_ns = 5000 }}
"
    );
    let case = Case { seed: 1, failed: None, scenario, plan: FaultPlan::new() };
    let trial = Trial::new("bench", &case).expect("the scenario is right");
    timed(|| {
        let outcome = trial.run(Vec::new()).expect("the case can be run");
        assert!(outcome.violation.is_none(), "{:?}", outcome.violation);
        outcome.frames
    })
}
