//! More connections than a listener has room for.

use core::net::SocketAddr;

use crate::error::EndReason;
use crate::port::{Completion, Op, SocketId, SocketOption, StreamId, Transport};
use crate::testing::{Duo, Host};
use crate::time::Duration;

const PORT: u16 = 80;

/// `b` listens with room for `backlog`, `a` connects `count` times at once. The sockets and streams of `a`.
fn crowd(duo: &mut Duo, backlog: u32, count: usize) -> std::vec::Vec<(SocketId, StreamId)> {
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: remote, backlog });
    for _ in 0..count {
        duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    }
    duo.settle();
    let connecting = |news: &Completion| match news {
        Completion::Connecting { socket, stream, .. } => Some((*socket, *stream)),
        _ => None,
    };
    core::iter::from_fn(|| duo.a.take(connecting)).collect()
}

fn connected(duo: &mut Duo) -> usize {
    let connected = |news: &Completion| matches!(news, Completion::Connected { .. }).then_some(());
    core::iter::from_fn(|| duo.a.take(connected)).count()
}

fn incoming(duo: &mut Duo) -> std::vec::Vec<(SocketId, SocketId, StreamId, SocketAddr)> {
    let incoming = |news: &Completion| match news {
        Completion::Incoming { listener, socket, stream, remote, .. } => {
            Some((*listener, *socket, *stream, *remote))
        }
        _ => None,
    };
    core::iter::from_fn(|| duo.b.take(incoming)).collect()
}

#[test]
fn a_syn_beyond_the_queue_is_answered_with_a_cookie_that_keeps_the_options() {
    let mut duo = Duo::new(65_536);
    let ours = crowd(&mut duo, 2, 4);
    assert_eq!((ours.len(), connected(&mut duo)), (4, 4), "nobody is kept out");
    let stats = duo.b.engine.stack().stats();
    assert_eq!((stats.backlog_overflows, stats.syn_cookies_sent), (1, 1));
    let first = incoming(&mut duo);
    assert_eq!(first.len(), 3, "the application's queue is full");
    assert_eq!(duo.b.engine.stack().stats().accept_overflows, 1);
    duo.b.ask(Op::Accepted { listener: first[0].0, count: 3 });
    duo.settle();
    for (socket, stream) in &ours {
        duo.a.engine.port_mut().write(*stream, b"hello");
        duo.a.ask(Op::Kick { socket: *socket });
    }
    duo.pass(Duration::from_secs(2));
    let fourth = incoming(&mut duo);
    assert_eq!(fourth.len(), 1, "what it writes brings the cookie back");
    assert_eq!(duo.b.engine.stack().stats().syn_cookies_redeemed, 1);
    let (_, socket, stream, _) = fourth[0];
    let mut bytes = [0; 9];
    assert_eq!(duo.b.engine.port_mut().read(stream, &mut bytes), 5);
    duo.b.ask(Op::Info { socket });
    duo.b.ask(Op::Info { socket: first[0].1 });
    duo.settle();
    let info = |news: &Completion| match news {
        Completion::Info { info, .. } => Some((info.options, info.snd_wscale, info.rcv_wscale)),
        _ => None,
    };
    let (with_cookie, plain) = (duo.b.take(info).unwrap(), duo.b.take(info).unwrap());
    assert_eq!(with_cookie, plain, "timestamps, SACK and window scales");
    assert_eq!(plain.0 & 0b111, 0b111);
}

/// The handshake's last segment, one number before the window: a probe whether somebody is there.
fn probe(acknowledgement: &[u8]) -> std::vec::Vec<u8> {
    let mut bytes = acknowledgement.to_vec();
    for (at, less) in [(40, true), (50, false)] {
        let word = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let word = if less { word.checked_sub(1) } else { word.checked_add(1) };
        bytes[at..at + 2].copy_from_slice(&word.expect("nothing to carry").to_be_bytes());
    }
    bytes
}

#[test]
fn a_segment_that_is_not_acceptable_takes_no_place_in_the_queue_beforehand() {
    let mut duo = Duo::new(65_536);
    let remote = SocketAddr::new(Host::address(2), PORT);
    let connect = Op::Connect { transport: Transport::Tcp, local: None, remote };
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: remote, backlog: 0 });
    duo.a.ask(connect.clone());
    assert!(duo.run(100, |duo| connected(duo) == 1));
    // Behind what says where the caller is.
    let last = duo.b.nic().inbound.pop_back().expect("the handshake's last segment");
    let last = last.bytes().to_vec();
    duo.b.nic().inject(&probe(&last));
    duo.settle();
    assert!(incoming(&mut duo).is_empty(), "it completes nothing");
    duo.a.ask(connect);
    duo.settle();
    let second = incoming(&mut duo);
    assert_eq!(second.len(), 1, "the place is the second's");
    duo.b.nic().inject(&last);
    duo.settle();
    assert!(incoming(&mut duo).is_empty(), "the queue is full");
    assert_eq!(duo.b.engine.stack().stats().accept_overflows, 1);
    duo.b.ask(Op::Accepted { listener: second[0].0, count: 1 });
    duo.b.nic().inject(&last);
    duo.settle();
    assert_eq!(incoming(&mut duo).len(), 1);
}

#[test]
fn a_flood_of_syns_takes_no_more_memory_than_the_backlog_allows() {
    let mut duo = Duo::new(4_096);
    crowd(&mut duo, 4, 200);
    assert_eq!(connected(&mut duo), 200);
    let sockets = duo.b.engine.stack().socket_count();
    assert!(sockets <= 1 + 5 + 5, "{sockets}: the listener and its two queues");
    assert!(duo.b.engine.stack().stats().syn_cookies_sent >= 192);
}

/// A listener, which is returned, and somebody who has sent a SYN to it.
fn half_open() -> (Duo, SocketId) {
    let mut duo = Duo::new(4_096);
    let remote = SocketAddr::new(Host::address(2), PORT);
    duo.b.ask(Op::Listen { transport: Transport::Tcp, local: remote, backlog: 4 });
    duo.settle();
    let listener = duo.b.take(|news| match news {
        Completion::Listening { socket, .. } => Some(*socket),
        _ => None,
    });
    duo.a.ask(Op::Connect { transport: Transport::Tcp, local: None, remote });
    assert!(duo.run(1_000, |duo| duo.b.engine.stack().socket_count() == 2));
    (duo, listener.unwrap())
}

/// Who connected was told so by the one reset that was sent, and nothing is left.
fn ended_by_one_reset(duo: &mut Duo, reason: EndReason) {
    let socket = duo.a.take(|news| match news {
        Completion::Connecting { socket, .. } => Some(*socket),
        _ => None,
    });
    assert_eq!(duo.a.take_ended(socket.unwrap()), Some(reason));
    let stack = duo.b.engine.stack();
    assert_eq!(stack.stats().tcp_resets_out, 1);
    assert_eq!(stack.socket_count(), 0);
}

#[test]
fn closing_a_listener_forgets_what_is_half_open() {
    let (mut duo, listener) = half_open();
    duo.b.ask(Op::Close { socket: listener });
    duo.pass(Duration::from_secs(3));
    ended_by_one_reset(&mut duo, EndReason::Reset);
}

#[test]
fn a_syn_that_comes_again_after_its_listener_was_closed_is_refused() {
    let (mut duo, listener) = half_open();
    // The SYN,ACK is lost.
    let now = duo.now;
    duo.b.engine.step(now);
    duo.b.nic().outbound.clear();
    duo.a.nic().inbound.clear();
    duo.b.ask(Op::Close { socket: listener });
    duo.pass(Duration::from_millis(500));
    assert_eq!(duo.b.engine.stack().socket_count(), 1, "nothing was heard of it");
    duo.pass(Duration::from_secs(1));
    ended_by_one_reset(&mut duo, EndReason::Refused);
}

#[test]
fn a_deferred_connection_is_handed_over_with_its_first_data_or_when_the_time_is_over() {
    for writes in [true, false] {
        let mut duo = Duo::new(4_096);
        let option = SocketOption::DeferAccept(5);
        duo.b.ask(Op::SetOption { socket: None, option });
        let ours = crowd(&mut duo, 4, 1);
        assert_eq!(connected(&mut duo), 1);
        duo.pass(Duration::from_secs(1));
        assert!(incoming(&mut duo).is_empty(), "nothing to read yet");
        if writes {
            let (socket, stream) = ours[0];
            duo.a.engine.port_mut().write(stream, b"hello");
            duo.a.ask(Op::Kick { socket });
            duo.settle();
        } else {
            duo.pass(Duration::from_secs(9));
        }
        assert_eq!(incoming(&mut duo).len(), 1);
    }
}
