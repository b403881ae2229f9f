//! TCP between two engines.

use core::net::SocketAddr;
use std::vec::Vec;

use crate::error::EndReason;
use crate::nic::{Frame, NicCaps};
use crate::port::{Completion, Op, Transport};
use crate::socket::EphemeralPorts;
use crate::stack::sock::{Kind, Socket};
use crate::tcp::{SeqNumber, State};
use crate::testing::{Duo, Handle, Host, transfer};
use crate::time::Duration;
use crate::wire::ETHERNET_HEADER_LEN;
use crate::wire::ipv4::IPV4_HEADER_LEN;

const PORT: u16 = 80;

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A connection of `a`'s only port that has brought much from `b`, which is in TIME-WAIT.
fn much_from_a_server_that_closed_first() -> (Duo, Handle) {
    let mut duo = Duo::new(65_536);
    let only = EphemeralPorts::new(40_000..=40_000).unwrap();
    duo.a.engine.stack_mut().set_ephemeral_ports(only);
    let (ours, theirs) = duo.connect(Transport::Tcp, 80);
    let bytes = std::vec![7; 2_000_000];
    assert!(transfer(&mut duo, theirs, ours, false, &bytes) == bytes);
    duo.b.ask(Op::Close { socket: theirs.socket });
    duo.settle();
    duo.a.ask(Op::Close { socket: ours.socket });
    duo.pass(Duration::from_millis(500));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    (duo, theirs)
}

fn last_sequence(duo: &Duo) -> SeqNumber {
    let connection = |socket: &Socket| match &socket.kind {
        Kind::Tcp { connection } => Some(connection.last_sequence()),
        Kind::Listener(_) | Kind::Udp(_) | Kind::Machnet { .. } => None,
    };
    let sockets = &duo.b.engine.stack().sockets;
    sockets.iter().find_map(|(_, socket)| connection(socket)).expect("b has a connection")
}

#[test]
fn a_connection_that_follows_one_in_time_wait_begins_beyond_its_numbers() {
    let (mut duo, _) = much_from_a_server_that_closed_first();
    let last = last_sequence(&duo);
    duo.reconnect(Transport::Tcp, 80);
    let first = last_sequence(&duo);
    assert!(first > last + 65_536, "{first:?} after {last:?}: the clock is behind");
}

fn time_waits(duo: &Duo) -> usize {
    let sockets = duo.b.engine.stack().sockets.iter();
    sockets.filter(|(_, socket)| socket.tcp_state() == Some(State::TimeWait)).count()
}

fn close_listener_of_b(duo: &mut Duo) {
    let listener = duo.b.take(|news| match news {
        Completion::Listening { socket, .. } => Some(*socket),
        _ => None,
    });
    duo.b.ask(Op::Close { socket: listener.expect("b listened") });
}

#[test]
fn a_syn_that_a_full_queue_has_no_room_for_does_not_end_time_wait() {
    let (mut duo, theirs) = much_from_a_server_that_closed_first();
    close_listener_of_b(&mut duo);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: theirs.local, backlog: 1 });
    duo.settle();
    for port in [40_001, 40_002, 40_000] {
        let only = EphemeralPorts::new(port..=port).unwrap();
        duo.a.engine.stack_mut().set_ephemeral_ports(only);
        let remote = theirs.local;
        duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
        duo.settle();
        // Nobody accepts the first two, and there is room for no other.
        assert_eq!(time_waits(&duo), 1, "from {port}");
    }
}

#[test]
fn a_syn_that_nobody_listens_for_does_not_end_time_wait() {
    let (mut duo, theirs) = much_from_a_server_that_closed_first();
    close_listener_of_b(&mut duo);
    duo.settle();
    assert_eq!(duo.b.engine.stack().socket_count(), 1);
    let remote = theirs.local;
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    duo.settle();
    assert_eq!(time_waits(&duo), 1, "TIME-WAIT goes on");
}

#[test]
fn strangers_resolve_each_other_connect_and_every_byte_arrives_in_both_directions() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    let bytes = pattern(1 << 20);
    assert!(transfer(&mut duo, a, b, true, &bytes) == bytes);
    assert!(transfer(&mut duo, b, a, false, &bytes) == bytes);
    for host in [&duo.a, &duo.b] {
        let stats = host.engine.stack().stats();
        assert_eq!(stats.drops.total(), 0, "{stats:?}");
        assert_eq!(stats.retransmits, 0);
    }
}

#[test]
fn both_sides_close_and_nothing_is_left_after_time_wait() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    duo.a.ask(Op::Close { socket: a.socket });
    duo.settle();
    assert!(
        duo.b
            .take(|news| (*news == Completion::PeerClosed { socket: b.socket }).then_some(()))
            .is_some()
    );
    assert_eq!(duo.b.take_ended(b.socket), None, "b may still send");
    duo.b.ask(Op::Close { socket: b.socket });
    duo.settle();
    assert_eq!(duo.a.take_ended(a.socket), Some(EndReason::Closed));
    assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Closed));
    assert_eq!(duo.a.engine.stack().socket_count(), 1, "TIME-WAIT");
    assert_eq!(duo.a.engine.port().streams_open(), 0, "without rings");
    duo.pass(Duration::from_secs(130));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    assert_eq!(duo.b.engine.stack().socket_count(), 1, "the listener");
}

#[test]
fn half_closing_leaves_the_other_direction_open() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    duo.a.engine.port_mut().write(a.stream, b"question");
    duo.a.ask(Op::Kick { socket: a.socket });
    duo.a.ask(Op::ShutdownWrite { socket: a.socket });
    duo.settle();
    let mut question = [0; 16];
    assert_eq!(duo.b.engine.port_mut().read(b.stream, &mut question), 8);
    let answer = pattern(100_000);
    assert!(transfer(&mut duo, b, a, false, &answer) == answer);
}

#[test]
fn a_closed_port_refuses() {
    let mut duo = Duo::new(65_536);
    let remote = SocketAddr::new(Host::address(2), 9);
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    duo.settle();
    let socket = duo.a.take(|news| match news {
        Completion::Connecting { socket, .. } => Some(*socket),
        _ => None,
    });
    assert_eq!(duo.a.take_ended(socket.unwrap()), Some(EndReason::Refused));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    assert_eq!(duo.b.engine.stack().stats().tcp_resets_out, 1);
}

#[test]
fn an_abort_resets_the_peer() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    duo.a.ask(Op::Abort { socket: a.socket });
    duo.settle();
    assert_eq!(duo.a.take_ended(a.socket), Some(EndReason::Aborted));
    assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Reset));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn the_death_of_a_channel_ends_its_sockets_and_tells_the_peers() {
    let mut duo = Duo::new(4_096);
    let (_, first) = duo.connect(Transport::Tcp, PORT);
    let mut theirs = std::vec![first];
    theirs.extend((1..200).map(|_| duo.reconnect(Transport::Tcp, PORT).1));
    duo.a.engine.port_mut().kill(crate::testing::CHANNEL);
    duo.settle();
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    for handle in theirs {
        assert_eq!(duo.b.take_ended(handle.socket), Some(EndReason::Reset));
    }
    assert_eq!(duo.b.engine.stack().socket_count(), 1, "the listener");
}

#[test]
fn a_full_backlog_takes_nobody_until_the_application_accepts() {
    let mut duo = Duo::with(4_096, &|_| {}, &|config| config.syn_cookies(false));
    let local = SocketAddr::new(Host::address(2), PORT);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local, backlog: 1 });
    for _ in 0..3 {
        duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote: local });
    }
    duo.settle();
    let connected = |news: &Completion| matches!(news, Completion::Connected { .. }).then_some(());
    assert!(duo.a.take(connected).is_some() && duo.a.take(connected).is_some());
    assert!(duo.a.take(connected).is_none(), "the third waits");
    assert_eq!(duo.b.engine.stack().stats().backlog_overflows, 1);
    let listener = duo.b.take(|news| match news {
        Completion::Incoming { listener, .. } => Some(*listener),
        _ => None,
    });
    duo.b.ask(Op::Accepted { listener: listener.unwrap(), count: 2 });
    duo.pass(Duration::from_secs(4));
    assert!(duo.a.take(connected).is_some(), "its SYN came again");
}

#[test]
fn a_host_that_is_not_there_ends_the_attempt() {
    let mut duo = Duo::new(4_096);
    let remote = SocketAddr::new(Host::address(77), PORT);
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    duo.pass(Duration::from_secs(10));
    let reason = duo.a.take(|news| match news {
        Completion::Ended { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, Some(EndReason::HostUnreachable));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn a_flow_between_two_sockets_of_one_host_never_touches_the_wire() {
    let mut duo = Duo::new(65_536);
    let local = SocketAddr::new(Host::address(1), PORT);
    duo.a.ask(Op::Listen { transport: Transport::Tcp, local, backlog: 4 });
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote: local });
    duo.settle();
    let (socket, stream) = duo
        .a
        .take(|news| match news {
            Completion::Connecting { socket, stream, .. } => Some((*socket, *stream)),
            _ => None,
        })
        .unwrap();
    let incoming = duo
        .a
        .take(|news| match news {
            Completion::Incoming { stream, .. } => Some(*stream),
            _ => None,
        })
        .unwrap();
    let bytes = pattern(60_000);
    duo.a.engine.port_mut().write(stream, &bytes);
    duo.a.ask(Op::Kick { socket });
    duo.settle();
    let mut read = std::vec![0; 70_000];
    let count = duo.a.engine.port_mut().read(incoming, &mut read);
    assert!(read[..count] == bytes);
    assert_eq!(duo.b.engine.stack().stats().rx_frames, 0);
}

/// The same transfer, whatever the NICs can do.
fn transfer_over(shape: &dyn Fn(&mut NicCaps), segment_bytes: usize) -> Duo {
    let mut duo = Duo::with(256 << 10, shape, &|config| config);
    duo.a.nic().segment_bytes = segment_bytes;
    duo.b.nic().segment_bytes = segment_bytes;
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    let bytes = pattern(1 << 20);
    assert!(transfer(&mut duo, a, b, true, &bytes) == bytes);
    assert_eq!(duo.b.engine.stack().stats().drops.total(), 0);
    duo
}

#[test]
fn frames_in_chains_of_segments_carry_the_same_bytes() {
    let chained = |caps: &mut NicCaps| caps.tx_segments = 16;
    transfer_over(&chained, 128);
    transfer_over(&chained, 201);
}

#[test]
fn a_nic_that_cuts_super_segments_is_given_some() {
    let tso = |caps: &mut NicCaps| {
        (caps.tso_bytes_max, caps.tx_checksum, caps.tx_segments) = (65_549, true, 20);
        (caps.lro, caps.rx_checksum) = (true, true);
    };
    let duo = transfer_over(&tso, 0);
    let sent = duo.a.engine.stack().stats().tcp_segments_out;
    assert!(sent < 300, "{sent} frames for 1 MiB");
    transfer_over(&tso, 4_096);
}

#[test]
fn a_segment_that_was_damaged_on_the_wire_is_dropped_and_sent_again() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    duo.a.engine.port_mut().write(a.stream, &pattern(500));
    duo.a.ask(Op::Kick { socket: a.socket });
    let now = duo.now;
    duo.a.engine.step(now);
    let mut damaged = duo.a.nic().outbound.pop_front().unwrap();
    let last = damaged.len() - 1;
    damaged.segment_mut(0)[last] ^= 0x10;
    duo.b.nic().inbound.push_back(damaged);
    duo.pass(Duration::from_secs(2));
    assert_eq!(duo.b.engine.stack().stats().drops.checksum, 1);
    assert_eq!(duo.a.engine.stack().stats().retransmits, 1);
    let mut read = [0; 600];
    assert_eq!(duo.b.engine.port_mut().read(b.stream, &mut read), 500);
    assert!(read[..500] == pattern(500));
}

#[test]
fn a_segment_with_reserved_bits_is_taken_like_any_other() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    duo.a.engine.port_mut().write(a.stream, &pattern(500));
    duo.a.ask(Op::Kick { socket: a.socket });
    let now = duo.now;
    duo.a.engine.step(now);
    let mut frame = duo.a.nic().outbound.pop_front().unwrap();
    let tcp = &mut frame.segment_mut(0)[ETHERNET_HEADER_LEN + IPV4_HEADER_LEN..];
    assert_eq!(tcp[12] & 0xf, 0, "sent as zero");
    // AE and the three beside it, and the checksum that goes with them.
    tcp[12] |= 0xf;
    let (sum, carry) = u16::from_be_bytes([tcp[16], tcp[17]]).overflowing_sub(0x0f00);
    let sum = (sum - u16::from(carry)).to_be_bytes();
    tcp[16..18].copy_from_slice(&sum);
    duo.b.nic().inbound.push_back(frame);
    duo.pass(Duration::from_millis(1));
    assert_eq!(duo.b.engine.stack().stats().drops.total(), 0);
    let mut read = [0; 600];
    assert_eq!(duo.b.engine.port_mut().read(b.stream, &mut read), 500);
}

#[test]
fn every_segment_says_that_it_is_not_to_be_fragmented() {
    let mut duo = Duo::new(65_536);
    let (a, _) = duo.connect(Transport::Tcp, PORT);
    duo.a.engine.port_mut().write(a.stream, &pattern(5_000));
    duo.a.ask(Op::Kick { socket: a.socket });
    let now = duo.now;
    duo.a.engine.step(now);
    let remote = SocketAddr::new(Host::address(2), PORT + 1);
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    duo.a.engine.step(now);
    let frames = core::mem::take(&mut duo.a.nic().outbound);
    assert_eq!(frames.len(), 5, "four of data, and a SYN");
    for frame in frames {
        let fragment = &frame.bytes()[ETHERNET_HEADER_LEN + 6..ETHERNET_HEADER_LEN + 8];
        assert_eq!(fragment, [0x40, 0]);
    }
}

#[test]
fn what_is_longer_than_its_frame_does_not_leave() {
    let mut duo = Duo::with(4_096, &|caps| caps.mtu = 68, &|config| config);
    let (ours, _) = duo.connect(Transport::Tcp, PORT);
    duo.a.engine.port_mut().write(ours.stream, &[7; 100]);
    duo.a.ask(Op::Kick { socket: ours.socket });
    for _ in 0..1_000 {
        duo.now += Duration::from_millis(10);
        duo.a.engine.step(duo.now);
        for frame in duo.a.nic().outbound.drain(..).filter(|frame| frame.bytes()[12..14] == [8, 0])
        {
            let total = u16::from_be_bytes([frame.bytes()[16], frame.bytes()[17]]);
            assert_eq!(usize::from(total), frame.len() - 14, "what the header says is there");
        }
    }
}
