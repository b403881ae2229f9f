//! Polled hosts over a link: what programs see.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use causeway_core::ip::InterfaceAddress;
use causeway_core::nic::MacAddr;
use causeway_core::port::Transport;
use causeway_core::stack::StackConfig;
use causeway_core::time::{Duration, Instant};

use super::*;
use crate::content;
use crate::fault::{FaultProfile, FaultSource};
use crate::link::LinkConfig;
use crate::nic::NicConfig;
use crate::world::{World, WorldConfig};

fn host(octet: u8, seed: u64) -> (PolledHost, Rc<crate::nic::NicPort>) {
    let config = PolledConfig {
        nics: vec![NicConfig::new(MacAddr([2, 0, 0, 0, 0, octet]))],
        ring_bytes: 256 << 10,
        streams_max: 64,
        granularity: Duration::ZERO,
    };
    let make: MakeStack = Box::new(move |seed, secret| {
        let address = InterfaceAddress::new([10, 0, 0, octet].into(), 24).expect("an address");
        StackConfig::builder(seed, secret).interface(&[address])
    });
    let (host, mut ports) =
        PolledHost::new(&config, make, seed, PortFaults::default()).expect("a configuration");
    (host, ports.remove(0))
}

/// A stream of `bytes` from a to b; what b received, and the state hash.
fn transfer(seed: u64, bytes: u64, faults: &FaultSource) -> (u64, u64, u64) {
    let mut world = World::new(WorldConfig::new(seed));
    let (mut a, a_port) = host(1, seed + 1);
    let (mut b, b_port) = host(2, seed + 2);
    let server: SocketAddr = ([10, 0, 0, 2], 7).into();
    let received = Rc::new(RefCell::new((0, false)));
    let mut sock = None;
    let mut listener = None;
    let seen = Rc::clone(&received);
    let receiver = move |net: &mut Net<'_>| {
        let listener = *listener.get_or_insert_with(|| net.listen(Transport::Tcp, server, 4));
        while net.take_ready().is_some() {}
        if sock.is_none() {
            sock = net.accept(listener).ok();
        }
        let sock = sock?;
        let mut seen = seen.borrow_mut();
        while let Ok(count) = net.recv_with(sock, usize::MAX, |offset, piece| {
            assert_eq!(content::mismatch(1, 0, offset, piece), None);
        }) {
            if count == 0 {
                seen.1 = true;
                let _ = net.close(sock);
                break;
            }
            seen.0 += count as u64;
        }
        None
    };
    let (mut sock, mut sent) = (None, 0);
    let sender = move |net: &mut Net<'_>| {
        let sock = *sock.get_or_insert_with(|| net.connect(Transport::Tcp, None, server));
        while net.take_ready().is_some() {}
        while sent < bytes {
            let len = usize::try_from(bytes - sent).unwrap_or(usize::MAX);
            match net.send_with(sock, len, |offset, piece| content::fill(1, 0, offset, piece)) {
                Ok(count) => sent += count as u64,
                Err(_) => return None,
            }
        }
        let _ = net.shutdown_write(sock);
        None
    };
    b.add_program(Box::new(receiver), Instant::ZERO);
    a.add_program(Box::new(sender), Instant::ZERO + Duration::from_millis(1));
    let a = world.add_host("a", Box::new(a), Arc::default());
    let b = world.add_host("b", Box::new(b), Arc::default());
    let link = LinkConfig::cable(1_000_000_000, Duration::from_micros(50));
    world.connect((a, a_port), (b, b_port), link, faults);
    world.run_until(Instant::ZERO + Duration::from_secs(100)).expect("no guest can fail");
    let (count, ended) = *received.borrow();
    assert!(ended, "the end of the stream came after {count} bytes");
    (count, world.state_hash(), world.stats().events)
}

#[test]
fn a_stream_between_polled_hosts_arrives_whole() {
    let (received, hash, _) = transfer(1, 3_000_000, &FaultSource::clean());
    assert_eq!(received, 3_000_000);
    assert_eq!(transfer(1, 3_000_000, &FaultSource::clean()).1, hash);
    assert_ne!(transfer(2, 3_000_000, &FaultSource::clean()).1, hash);
}

#[test]
fn it_arrives_whole_over_a_bad_link_too() {
    let profile = FaultProfile::builder()
        .loss_ppm(20_000)
        .duplicate_ppm(10_000)
        .reorder_ppm(20_000)
        .corrupt_ppm(10_000)
        .reorder_delay_max(Duration::from_micros(300));
    let faults = FaultSource::Drawn(profile.build().expect("the rates are in range").into());
    assert_eq!(transfer(1, 1_000_000, &faults).0, 1_000_000);
}
