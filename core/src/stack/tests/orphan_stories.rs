//! Applications that end before what they handed over is delivered.

use std::vec::Vec;

use crate::error::EndReason;
use crate::port::{Completion, Op, Transport};
use crate::stack::ORPHAN_LINGER;
use crate::testing::{CHANNEL, Duo, Handle};
use crate::time::{Duration, Instant};

const PORT: u16 = 80;
const MS: Duration = Duration::from_millis(1);

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// `a` writes as much of `len` bytes as there is room for, asks for them to be sent, and returns them.
fn write(duo: &mut Duo, from: Handle, len: usize) -> Vec<u8> {
    let mut bytes = pattern(len);
    let count = duo.a.engine.port_mut().write(from.stream, &bytes);
    bytes.truncate(count);
    duo.a.ask(Op::Kick { socket: from.socket });
    bytes
}

/// What `b` can read until the peer has closed, or the connection has ended.
fn read_to_end(duo: &mut Duo, to: Handle) -> (Vec<u8>, Option<EndReason>) {
    let mut read = Vec::new();
    let mut buffer = [0; 8_192];
    let mut end = None;
    for _ in 0..100_000 {
        duo.step();
        let count = duo.b.engine.port_mut().read(to.stream, &mut buffer);
        read.extend_from_slice(&buffer[..count]);
        if count > 0 {
            duo.b.ask(Op::Kick { socket: to.socket });
        }
        let closed = |news: &Completion| {
            (*news == Completion::PeerClosed { socket: to.socket }).then_some(())
        };
        if duo.b.take(closed).is_some() {
            end = Some(None);
        }
        if let Some(reason) = duo.b.take_ended(to.socket) {
            end = Some(Some(reason));
        }
        if let (0, Some(end)) = (count, end) {
            return (read, end);
        }
    }
    panic!("no end after {} bytes", read.len());
}

/// Steps `a` alone until it holds no rings, and loses what it sends. Returns how long it took.
fn silence(duo: &mut Duo, begin: Instant) -> Duration {
    while duo.a.engine.port().streams_open() > 0 {
        let now = duo.now;
        let next = duo.a.engine.step(now).next;
        duo.a.nic().outbound.clear();
        if duo.a.engine.port().streams_open() > 0 {
            duo.now = next.expect("a deadline").0.max(now);
        }
    }
    duo.now.saturating_since(begin)
}

#[test]
fn what_an_application_wrote_before_its_end_arrives_after_it_and_then_the_end_of_the_stream() {
    let mut duo = Duo::new(200_000);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    let bytes = write(&mut duo, a, 200_000);
    assert_eq!(bytes.len(), 200_000);
    duo.a.engine.port_mut().kill(CHANNEL);
    let (read, end) = read_to_end(&mut duo, b);
    assert!(read == bytes, "{} bytes", read.len());
    assert_eq!(end, None, "a FIN, no reset");
    duo.b.ask(Op::Close { socket: b.socket });
    duo.settle();
    assert_eq!(duo.a.engine.port().streams_open(), 0, "TIME-WAIT holds no rings");
    assert_eq!(duo.a.engine.stack().socket_count(), 1, "TIME-WAIT");
    duo.pass(Duration::from_secs(130));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn a_closed_connection_goes_on_closing_when_its_application_ends() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    let bytes = write(&mut duo, a, 50_000);
    duo.a.ask(Op::Close { socket: a.socket });
    duo.step();
    duo.a.engine.port_mut().kill(CHANNEL);
    let (read, end) = read_to_end(&mut duo, b);
    assert!(read == bytes && end.is_none());
    // The peer does not close: FIN-WAIT-2 is waited out quietly, the peer loses nothing by it.
    duo.pass(ORPHAN_LINGER);
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    assert_eq!(duo.b.take_ended(b.socket), None);
}

#[test]
fn connections_that_owe_nothing_are_reset_at_once_and_time_wait_goes_on() {
    let mut duo = Duo::new(4_096);
    let (old, theirs) = duo.connect(Transport::Tcp, PORT);
    duo.a.ask(Op::Close { socket: old.socket });
    duo.settle();
    duo.b.ask(Op::Close { socket: theirs.socket });
    duo.settle();
    let (_, idle) = duo.reconnect(Transport::Tcp, PORT);
    duo.a.engine.port_mut().kill(CHANNEL);
    duo.settle();
    assert_eq!(duo.b.take_ended(idle.socket), Some(EndReason::Reset));
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    assert_eq!(duo.a.engine.stack().socket_count(), 1, "TIME-WAIT");
}

#[test]
fn unread_bytes_make_the_end_a_reset_whatever_is_queued() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    duo.b.engine.port_mut().write(b.stream, b"a question");
    duo.b.ask(Op::Kick { socket: b.socket });
    duo.settle();
    write(&mut duo, a, 60_000);
    duo.a.engine.port_mut().kill(CHANNEL);
    duo.settle();
    assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Reset));
    assert_eq!(duo.a.engine.port().streams_open(), 0);
}

#[test]
fn a_peer_that_is_silent_holds_the_rings_no_longer_than_the_deadline() {
    for transport in [Transport::Tcp, Transport::Machnet] {
        let mut duo = Duo::new(65_536);
        let (a, _) = duo.connect(transport, PORT);
        let len = write(&mut duo, a, 30_000).len() as u32;
        if transport == Transport::Machnet {
            duo.a.ask(Op::SendMessage { socket: a.socket, offset: 0, len, message: 1 });
        }
        duo.a.engine.port_mut().kill(CHANNEL);
        let begin = duo.now;
        let took = silence(&mut duo, begin);
        assert!(took >= ORPHAN_LINGER && took < ORPHAN_LINGER + MS + MS, "{transport:?}: {took:?}");
        assert_eq!(duo.a.engine.stack().socket_count(), 0);
    }
}

#[test]
fn a_peer_that_keeps_its_window_shut_is_reset_at_the_deadline() {
    let mut duo = Duo::new(65_536);
    let (a, b) = duo.connect(Transport::Tcp, PORT);
    write(&mut duo, a, 65_536);
    duo.settle();
    assert!(!write(&mut duo, a, 1_000).is_empty(), "b's ring is full, a's is not");
    duo.a.engine.port_mut().kill(CHANNEL);
    duo.settle();
    assert_eq!(duo.a.engine.port().streams_open(), 1);
    duo.pass(ORPHAN_LINGER + MS);
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    duo.settle();
    assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Reset));
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn queued_messages_arrive_after_the_end_of_their_application_and_then_the_reset() {
    let mut duo = Duo::new(1 << 18);
    let (a, b) = duo.connect(Transport::Machnet, PORT);
    for id in 0..3_u64 {
        let offset = duo.a.engine.port_mut().written(a.stream);
        duo.a.engine.port_mut().write(a.stream, &pattern(60_000));
        duo.a.ask(Op::SendMessage { socket: a.socket, offset, len: 60_000, message: id });
    }
    duo.a.engine.port_mut().kill(CHANNEL);
    let mut arrived = 0;
    assert!(duo.run(10_000, |duo| {
        let news = duo.b.take(|news| match news {
            Completion::Message { len, .. } => Some(*len),
            _ => None,
        });
        if news == Some(60_000) {
            let mut bytes = std::vec![0; 60_000];
            assert_eq!(duo.b.engine.port_mut().read(b.stream, &mut bytes), 60_000);
            assert!(bytes == pattern(60_000));
            duo.b.ask(Op::Kick { socket: b.socket });
            arrived += 1;
        }
        arrived == 3
    }));
    duo.settle();
    assert!(duo.b.take_ended(b.socket).is_some());
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
}

#[test]
fn memory_that_is_not_trusted_delivers_nothing_not_even_what_was_being_delivered() {
    for after_death in [false, true] {
        let mut duo = Duo::new(65_536);
        let (a, b) = duo.connect(Transport::Tcp, PORT);
        write(&mut duo, a, 65_536);
        duo.settle();
        write(&mut duo, a, 30_000);
        if after_death {
            duo.a.engine.port_mut().kill(CHANNEL);
            duo.settle();
            assert_eq!(duo.a.engine.port().streams_open(), 1, "it delivers");
        }
        duo.a.engine.port_mut().poison(CHANNEL);
        duo.settle();
        assert_eq!(duo.a.engine.port().streams_open(), 0);
        assert_eq!(duo.a.engine.stack().socket_count(), 0);
        assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Reset));
    }
}

#[test]
fn a_dead_channel_with_many_sockets_is_let_go_of_in_steps_of_bounded_work() {
    let mut duo = Duo::new(4_096);
    let mut ours = std::vec![duo.connect(Transport::Tcp, PORT)];
    ours.extend((1..300).map(|_| duo.reconnect(Transport::Tcp, PORT)));
    for (a, _) in &ours {
        write(&mut duo, *a, 4_096);
    }
    duo.settle();
    for (a, _) in &ours {
        assert_eq!(write(&mut duo, *a, 100).len(), 100);
    }
    duo.settle();
    duo.a.engine.port_mut().kill(CHANNEL);
    let mut most = 0;
    for _ in 0..4 {
        let before = duo.a.engine.stack().stats().socket_visits;
        duo.step();
        most = most.max(duo.a.engine.stack().stats().socket_visits - before);
    }
    // 64 are let go of and send their FIN, 64 of the step before have it acknowledged and are asked for more.
    assert!(most <= 5 * 64, "{most} sockets in one step");
    assert_eq!(duo.a.engine.port().streams_open(), 300);
    duo.pass(ORPHAN_LINGER + MS);
    duo.settle();
    assert_eq!(duo.a.engine.port().streams_open(), 0);
    assert_eq!(duo.a.engine.stack().socket_count(), 0);
    for (_, b) in ours {
        assert_eq!(duo.b.take_ended(b.socket), Some(EndReason::Reset));
    }
}
