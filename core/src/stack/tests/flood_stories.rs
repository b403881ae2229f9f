//! Forged SYNs: nothing is kept of them for long, and they keep nobody out.

use core::net::{Ipv4Addr, SocketAddr};
use std::vec::Vec;

use crate::nic::{Frame, RxChecksum};
use crate::port::{Completion, Op, Transport};
use crate::stack::sock::Kind;
use crate::testing::{Duo, Host};
use crate::time::Duration;
use crate::wire::{ETHERNET_HEADER_LEN, Ipv4Header};

const PORT: u16 = 80;

/// A pair, `b` of which listens; and the frame of a SYN from `a`, which `b` has not seen.
fn listening(transport: Transport, backlog: u32) -> (Duo, Vec<u8>) {
    let mut duo = Duo::new(4_096);
    let remote = SocketAddr::new(Host::address(2), PORT);
    // Each knows the other's station.
    duo.a.ask(Op::Ping { remote: Host::address(2), sequence: 1, len: 8 });
    duo.b.ask(Op::Listen { transport, local: remote, backlog });
    duo.settle();
    duo.a.ask(Op::Connect { transport, local: None, remote });
    let now = duo.now;
    duo.a.engine.step(now);
    let syn = duo.a.nic().outbound.pop_front().unwrap().bytes().to_vec();
    (duo, syn)
}

/// `count` SYNs as from hosts of the same network that are not there.
fn flood(duo: &mut Duo, syn: &[u8], hosts: core::ops::Range<u8>) {
    for host in hosts {
        let mut bytes = syn.to_vec();
        let (mut header, _) = Ipv4Header::parse(&bytes[ETHERNET_HEADER_LEN..]).unwrap();
        header.src = Ipv4Addr::new(10, 0, 0, host);
        header.emit(&mut bytes[ETHERNET_HEADER_LEN..]);
        let mut frame = duo.b.nic().pool.frame(&bytes);
        frame.meta_mut().rx_checksum = RxChecksum::Verified;
        duo.b.nic().inbound.push_back(frame);
    }
    duo.settle();
}

#[test]
fn of_a_syn_from_where_nobody_lives_nothing_is_left_after_some_seconds() {
    for transport in [Transport::Tcp, Transport::Machnet] {
        let (mut duo, syn) = listening(transport, 64);
        flood(&mut duo, &syn, 10..60);
        assert_eq!(duo.b.engine.stack().socket_count(), 51, "{transport:?}: half-open");
        duo.pass(Duration::from_secs(8));
        assert_eq!(duo.b.engine.stack().socket_count(), 2, "{transport:?}: and the true one's");
        let asked = duo.b.engine.stack().stats().tx_frames;
        duo.pass(Duration::from_secs(30));
        assert_eq!(duo.b.engine.stack().stats().tx_frames, asked, "{transport:?}: silence");
    }
}

#[test]
fn a_flood_of_forged_syns_does_not_shut_a_listener_for_messages() {
    let (mut duo, syn) = listening(Transport::Machnet, 4);
    flood(&mut duo, &syn, 10..100);
    assert_eq!(duo.b.engine.stack().socket_count(), 5, "the listener and its backlog");
    // The true one's SYN was taken away above; it comes again.
    duo.pass(Duration::from_secs(4));
    let connected = |news: &Completion| matches!(news, Completion::Connected { .. }).then_some(());
    assert_eq!(duo.a.take(connected), Some(()));
}

#[test]
fn flows_that_an_application_does_not_take_are_not_given_up_for_new_ones() {
    let mut duo = Duo::new(4_096);
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.b.ask(Op::Listen { transport: Transport::Machnet, local: remote, backlog: 2 });
    for _ in 0..6 {
        duo.a.ask(Op::Connect { transport: Transport::Machnet, local: None, remote });
        duo.settle();
    }
    assert_eq!(
        duo.b.engine.stack().socket_count(),
        3,
        "the listener, and two that are established"
    );
    let connected = |news: &Completion| matches!(news, Completion::Connected { .. }).then_some(());
    assert_eq!(core::iter::from_fn(|| duo.a.take(connected)).count(), 2);
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_takes_no_rings() {
    let (mut duo, syn) = listening(Transport::Machnet, 4);
    flood(&mut duo, &syn, 10..12);
    // Flags, seqno and ackno of the header behind Ethernet, IP and UDP.
    let mut ack = syn;
    ack[44] = 2;
    ack[46..50].copy_from_slice(&1_u32.to_be_bytes());
    ack[50..54].copy_from_slice(&77_u32.to_be_bytes());
    flood(&mut duo, &ack, 10..11);
    assert_eq!(duo.b.engine.port_mut().streams_open(), 0);
    ack[50..54].copy_from_slice(&1_u32.to_be_bytes());
    flood(&mut duo, &ack, 11..12);
    assert_eq!(duo.b.engine.port_mut().streams_open(), 1, "the right one does");
}

#[test]
fn a_listener_forgets_flows_that_have_their_answer_however_large_its_backlog() {
    let mut duo = Duo::new(4_096);
    let (mut ours, _) = duo.connect(Transport::Machnet, PORT);
    for _ in 0..60 {
        duo.a.ask(Op::Close { socket: ours.socket });
        duo.settle();
        (ours, _) = duo.reconnect(Transport::Machnet, PORT);
    }
    let listeners =
        duo.b.engine.stack().sockets.iter().filter_map(|(_, socket)| match &socket.kind {
            Kind::Listener(listener) => Some(listener.half_open_flows.len()),
            Kind::Tcp { .. } | Kind::Machnet { .. } | Kind::Udp(_) => None,
        });
    let waiting: Vec<usize> = listeners.collect();
    assert!(waiting.len() == 1 && waiting[0] <= 18, "{waiting:?}");
}
